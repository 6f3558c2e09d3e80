/* SPDX-License-Identifier: BSD-2-Clause */
/* One object of R2's as a whole. */
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

struct putting {
	struct mw_ctx *ctx;
	struct mw_store *store;
	const char *key, *type;
	const struct mw_spool *spool;
};

static enum mw_code
try_put(void *arg)
{
	struct putting *p = arg;
	struct mw_put put = { .fd = p->spool->fd, .size = p->spool->size,
	    .sha256 = p->spool->sha256, .md5 = p->spool->md5, .content_type = p->type,
	    .mode = -1, .mtime = -1 };
	const char *etag;

	return p->store->ops->put(p->store, p->ctx, p->key, &put, &etag);
}

enum mw_code
mw_put_ours(struct mw_app *app, struct mw_ctx *ctx, struct mw_store *store, const char *user,
    const char *path, const struct mw_spool *spool, const char *type)
{
	struct putting p = { .ctx = ctx, .store = store, .type = type, .spool = spool };

	if ((p.key = mw_store_key(app->conf, ctx->arena, user, path)) == NULL)
		return mw_ctx_nomem(ctx);
	return mw_retry(app, ctx, MW_UP_STORE, try_put, &p);
}

int64_t
mw_object_time(const struct mw_store *store, const struct mw_object *obj)
{
	return obj->mtime >= 0 ? obj->mtime : obj->modified - store->clock;
}
