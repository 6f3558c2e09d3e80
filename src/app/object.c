/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/object.h"

#include <string.h>

#include "base/str.h"
#include "app/retry.h"

struct fetch {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_store *store;
	const char *key;
	struct mw_spool *spool;
	struct mw_object *obj;
};

static enum mw_code
fetch_begin(void *arg, const struct mw_object *obj)
{
	struct fetch *f = arg;

	*f->obj = *obj;
	return MW_OK;
}

static enum mw_code
fetch_data(void *arg, const void *p, size_t n)
{
	struct fetch *f = arg;

	return mw_spool_add(f->spool, p, n, &f->ctx->err);
}

/* Where the ETag is no MD5 the size has to do. */
static enum mw_code
fetch_verify(struct fetch *f)
{
	unsigned char md5[16];
	const char *tag = f->obj->etag;

	if (f->spool->size != f->obj->size)
		return mw_ctx_fail(f->ctx, MW_STORE_UNAVAILABLE,
		    "GET %s: %lld of %lld bytes arrived", f->key,
		    (long long)f->spool->size, (long long)f->obj->size);
	if (f->obj->etag_is_md5 && strlen(tag) == 34 && mw_str_unhex(tag + 1, 32, md5) &&
	    memcmp(md5, f->spool->md5, sizeof(md5)) != 0)
		return mw_ctx_fail(f->ctx, MW_STORE_UNAVAILABLE,
		    "GET %s: the content does not match its ETag", f->key);
	return MW_OK;
}

static enum mw_code
try_fetch(void *arg)
{
	struct fetch *f = arg;
	struct mw_sink sink = { .begin = fetch_begin, .data = fetch_data, .arg = f };
	struct mw_get get = { .ranged = false };
	bool unmodified;
	enum mw_code code;

	mw_spool_drop(f->spool);
	if ((code = mw_spool_begin(f->spool, f->app->spool_dir, &f->ctx->err)) == MW_OK)
		code = f->store->ops->get(f->store, f->ctx, f->key, &get, &sink, &unmodified);
	if (code == MW_OK)
		code = mw_spool_finish(f->spool, &f->ctx->err);
	return code == MW_OK ? fetch_verify(f) : code;
}

enum mw_code
mw_fetch(struct mw_app *app, struct mw_ctx *ctx, struct mw_store *store, const char *key,
    struct mw_spool *spool, struct mw_object *obj)
{
	struct fetch f = { app, ctx, store, key, spool, obj };

	return mw_retry(app, ctx, MW_UP_STORE, try_fetch, &f);
}
