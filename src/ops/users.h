/* SPDX-License-Identifier: BSD-2-Clause */
/* Who there is: whoever has a prefix in R2 or a sandbox. */
#ifndef MW_OPS_USERS_H
#define MW_OPS_USERS_H

#include "ops/app.h"

#define MW_USERS_MAX 1000	/* of one page */

struct mw_users {
	const char **id;	/* arena; in the order of R2's keys */
	size_t n;
	bool more;		/* there are others behind the last one */
};

/* Up to `limit` users after `after` (NULL = from the first). */
enum mw_code mw_users_page(struct mw_app *app, struct mw_ctx *ctx, const char *after,
    size_t limit, struct mw_users *out) MW_MUST;

#endif
