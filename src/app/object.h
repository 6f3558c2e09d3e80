/* SPDX-License-Identifier: BSD-2-Clause */
/* One object of R2's as a whole: fetched and verified, put, and how old it is. */
#ifndef MW_APP_OBJECT_H
#define MW_APP_OBJECT_H

#include "app/app.h"

/*
 * GET `key` into *spool (fd -1 or an earlier one, which is dropped), with retries.
 * The size must be right, and the MD5 where the ETag is one: a short or altered
 * transfer is MW_STORE_UNAVAILABLE.  Drop the spool in any case.
 */
enum mw_code mw_fetch(struct mw_app *app, struct mw_ctx *ctx, struct mw_store *store,
    const char *key, struct mw_spool *spool, struct mw_object *obj) MW_MUST;

/* Put one small object of ours; the spool is finished. */
enum mw_code mw_put_ours(struct mw_app *app, struct mw_ctx *ctx, struct mw_store *store,
    const char *user, const char *path, const struct mw_spool *spool, const char *type) MW_MUST;

/* When R2's content was made, by our clock, ms. */
int64_t mw_object_time(const struct mw_store *store, const struct mw_object *obj);

#endif
