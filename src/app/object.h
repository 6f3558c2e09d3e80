/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One object of R2's, or one page of its listing, with retries: app->store is asked
 * as mw_retry(MW_UP_STORE) says.  A store that is not open fails as mw_app_store()
 * does.  Codes are the store's.
 */
#ifndef MW_APP_OBJECT_H
#define MW_APP_OBJECT_H

#include "app/app.h"

enum mw_code mw_object_head(struct mw_app *app, struct mw_ctx *ctx, const char *key,
    struct mw_object *obj) MW_MUST;

/* The same; *there false = it has none, proven. */
enum mw_code mw_object_there(struct mw_app *app, struct mw_ctx *ctx, const char *key,
    struct mw_object *obj, bool *there) MW_MUST;

/*
 * GET `key` into *spool (fd -1 or an earlier one, which is dropped).  The size must be
 * right, and the MD5 where the ETag is one: a short or altered transfer is
 * MW_STORE_UNAVAILABLE.  listed: its etag and size in a listing, or NULL; the same object
 * with another size is MW_STORE_ERROR, and this object's own trouble.  One that is larger
 * than mw_spool_share() is MW_FILE_TOO_LARGE.  Drop the spool in any case.
 */
enum mw_code mw_object_get(struct mw_app *app, struct mw_ctx *ctx, const char *key,
    const struct mw_object *listed, struct mw_spool *spool, struct mw_object *obj) MW_MUST;

/* Bytes that one file may take of the spool's disk: all transfers together leave half of
 * it to others, whatever sizes a sandbox or a store claims. */
int64_t mw_spool_share(const struct mw_app *app);

/* GET, all of it or a range, into a sink whose begin is called for each attempt. */
enum mw_code mw_object_read(struct mw_app *app, struct mw_ctx *ctx, const char *key,
    const struct mw_get *get, const struct mw_sink *sink) MW_MUST;

/* *etag is the new object's.  *unsure, if not NULL, is set by an attempt without a
 * definite answer: R2 may have taken it then. */
enum mw_code mw_object_put(struct mw_app *app, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, const char **etag, bool *unsure) MW_MUST;

/* PUT a finished spool, as the gateway's own files are kept. */
enum mw_code mw_object_put_spool(struct mw_app *app, struct mw_ctx *ctx, const char *key,
    const struct mw_spool *spool, const char *type) MW_MUST;

/* One that is not there is MW_OK. */
enum mw_code mw_object_remove(struct mw_app *app, struct mw_ctx *ctx, const char *key) MW_MUST;

/* One page.  Each attempt begins after what req->after is then: fn moves it on to the
 * row that it has taken, so that no row comes twice. */
enum mw_code mw_object_list(struct mw_app *app, struct mw_ctx *ctx, const struct mw_list_req *req,
    mw_list_fn fn, void *arg, bool *more) MW_MUST;

/* When an object's content was made, by our clock, ms. */
int64_t mw_object_time(const struct mw_store *store, const struct mw_object *obj);

/* The ETag of a content whose MD5 this is, with its quotes. */
#define MW_ETAG_LEN 35
void mw_object_etag(const unsigned char md5[16], char out[MW_ETAG_LEN]);

#endif
