/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who there is: whoever has a prefix in R2 or a sandbox.  With one of the two not to be
 * had, those that the other and this host's own state know of: a partial list.
 */
#ifndef MW_OPS_FLEET_USERS_H
#define MW_OPS_FLEET_USERS_H

#include "app/app.h"

#define MW_USERS_MAX 1000	/* of one page */

/* Where users are looked for. */
enum mw_users_source { MW_USERS_R2, MW_USERS_SANDBOX, MW_USERS_STATE, MW_USERS_SOURCES };
extern const char *const mw_users_source_words[MW_USERS_SOURCES];

struct mw_users {
	const char **id;	/* arena; in the order of R2's keys */
	size_t n;
	bool more;		/* there are others behind the last one */
	bool partial;		/* a source has failed: there may be others anywhere */
	struct mw_err failed[MW_USERS_SOURCES];	/* code MW_OK: it did not */
};

/*
 * Up to `limit` users after `after` (NULL = from the first).  A source that fails makes
 * the list partial; fails when it is the first page, partial and empty.
 */
enum mw_code mw_users_page(struct mw_app *app, struct mw_ctx *ctx, const char *after,
    size_t limit, struct mw_users *out) MW_MUST;

/* All of them, in order, page by page; more: there are others than the first `max`. */
enum mw_code mw_users_all(struct mw_app *app, struct mw_ctx *ctx, size_t max,
    struct mw_users *out) MW_MUST;

#endif
