/* SPDX-License-Identifier: BSD-2-Clause */
/* One object of R2's, or one page of its listing, with retries. */
#include "app/object.h"

#include <string.h>
#include <sys/statvfs.h>

#include "base/str.h"
#include "app/retry.h"

/* A call and its arguments; what the call has no use for is NULL. */
struct call {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_store *store;
	const char *key;
	struct mw_object *obj;
	const struct mw_object *listed;
	struct mw_spool *spool;
	const struct mw_get *get;
	const struct mw_sink *sink;
	const struct mw_put *put;
	const char **etag;
	bool *unsure;
	const struct mw_list_req *req;
	mw_list_fn fn;
	void *arg;
	bool *more;
};

static enum mw_code
ask(struct call *c, mw_try_fn try)
{
	enum mw_code code = mw_app_store(c->app, c->ctx, &c->store);

	return code == MW_OK ? mw_retry(c->app, c->ctx, MW_UP_STORE, try, c) : code;
}

static enum mw_code
try_head(void *arg)
{
	struct call *c = arg;

	return c->store->ops->head(c->store, c->ctx, c->key, c->obj);
}

enum mw_code
mw_object_head(struct mw_app *app, struct mw_ctx *ctx, const char *key, struct mw_object *obj)
{
	struct call c = { .app = app, .ctx = ctx, .key = key, .obj = obj };

	return ask(&c, try_head);
}

enum mw_code
mw_object_there(struct mw_app *app, struct mw_ctx *ctx, const char *key, struct mw_object *obj,
    bool *there)
{
	enum mw_code code = mw_object_head(app, ctx, key, obj);

	*there = code == MW_OK;
	if (code != MW_FILE_NOT_FOUND)
		return code;
	mw_err_clear(&ctx->err);
	return MW_OK;
}

/* ---- get ---- */

int64_t
mw_spool_share(const struct mw_app *app)
{
	struct statvfs fs;

	if (fstatvfs(app->spool_dir, &fs) != 0)
		return 0;
	return (int64_t)(fs.f_bavail * fs.f_frsize) / (2 * app->conf->sync.parallel);
}

/* Before a byte of it comes: what the store announces may be anything. */
static enum mw_code
get_begin(void *arg, const struct mw_object *obj)
{
	struct call *c = arg;
	int64_t most = mw_spool_share(c->app);
	enum mw_code code;

	*c->obj = *obj;
	if (c->listed != NULL && strcmp(c->listed->etag, obj->etag) == 0 &&
	    c->listed->size != obj->size) {
		code = mw_ctx_fail(c->ctx, MW_STORE_ERROR, "GET %.120s: the store announces %lld "
		    "bytes, and lists %lld", c->key, (long long)obj->size,
		    (long long)c->listed->size);
		c->ctx->err.object = true;
		return code;
	}
	return obj->size <= most ? MW_OK : mw_ctx_fail(c->ctx, MW_FILE_TOO_LARGE,
	    "GET %.120s: it has %lld bytes; state.path's disk has room for %lld of one file",
	    c->key, (long long)obj->size, (long long)most);
}

static enum mw_code
get_data(void *arg, const void *p, size_t n)
{
	struct call *c = arg;

	return mw_spool_add(c->spool, p, n, &c->ctx->err);
}

/* Where the ETag is no MD5 the size has to do. */
static enum mw_code
verify(const struct call *c)
{
	unsigned char md5[16];
	const char *tag = c->obj->etag;

	if (c->spool->size != c->obj->size)
		return mw_ctx_fail(c->ctx, MW_STORE_UNAVAILABLE,
		    "GET %s: %lld of %lld bytes arrived", c->key,
		    (long long)c->spool->size, (long long)c->obj->size);
	if (c->obj->etag_is_md5 && strlen(tag) == 34 && mw_str_unhex(tag + 1, 32, md5) &&
	    memcmp(md5, c->spool->md5, sizeof(md5)) != 0)
		return mw_ctx_fail(c->ctx, MW_STORE_UNAVAILABLE,
		    "GET %s: the content does not match its ETag", c->key);
	return MW_OK;
}

static enum mw_code
try_get(void *arg)
{
	struct call *c = arg;
	struct mw_sink sink = { .begin = get_begin, .data = get_data, .arg = c };
	struct mw_get get = { .ranged = false };
	bool unmodified;
	enum mw_code code;

	mw_spool_drop(c->spool);
	if ((code = mw_spool_begin(c->spool, c->app->spool_dir, &c->ctx->err)) == MW_OK)
		code = c->store->ops->get(c->store, c->ctx, c->key, &get, &sink, &unmodified);
	if (code == MW_OK)
		code = mw_spool_finish(c->spool, &c->ctx->err);
	return code == MW_OK ? verify(c) : code;
}

enum mw_code
mw_object_get(struct mw_app *app, struct mw_ctx *ctx, const char *key,
    const struct mw_object *listed, struct mw_spool *spool, struct mw_object *obj)
{
	struct call c = { .app = app, .ctx = ctx, .key = key, .listed = listed, .spool = spool,
	    .obj = obj };

	return ask(&c, try_get);
}

static enum mw_code
try_read(void *arg)
{
	struct call *c = arg;
	bool unmodified;

	return c->store->ops->get(c->store, c->ctx, c->key, c->get, c->sink, &unmodified);
}

enum mw_code
mw_object_read(struct mw_app *app, struct mw_ctx *ctx, const char *key, const struct mw_get *get,
    const struct mw_sink *sink)
{
	struct call c = { .app = app, .ctx = ctx, .key = key, .get = get, .sink = sink };

	return ask(&c, try_read);
}

/* ---- put and remove ---- */

static enum mw_code
try_put(void *arg)
{
	struct call *c = arg;
	enum mw_code code = c->store->ops->put(c->store, c->ctx, c->key, c->put, c->etag);

	if (code == MW_STORE_UNAVAILABLE && c->unsure != NULL)
		*c->unsure = true;
	return code;
}

enum mw_code
mw_object_put(struct mw_app *app, struct mw_ctx *ctx, const char *key, const struct mw_put *put,
    const char **etag, bool *unsure)
{
	struct call c = { .app = app, .ctx = ctx, .key = key, .put = put, .etag = etag,
	    .unsure = unsure };

	return ask(&c, try_put);
}

enum mw_code
mw_object_put_spool(struct mw_app *app, struct mw_ctx *ctx, const char *key,
    const struct mw_spool *spool, const char *type)
{
	struct mw_put put = { .fd = spool->fd, .size = spool->size, .sha256 = spool->sha256,
	    .md5 = spool->md5, .content_type = type, .mode = -1, .mtime = -1 };
	const char *etag;

	return mw_object_put(app, ctx, key, &put, &etag, NULL);
}

static enum mw_code
try_remove(void *arg)
{
	struct call *c = arg;

	return c->store->ops->remove(c->store, c->ctx, c->key);
}

enum mw_code
mw_object_remove(struct mw_app *app, struct mw_ctx *ctx, const char *key)
{
	struct call c = { .app = app, .ctx = ctx, .key = key };

	return ask(&c, try_remove);
}

/* ---- listing ---- */

static enum mw_code
try_list(void *arg)
{
	struct call *c = arg;

	struct mw_list_req req = *c->req;

	return c->store->ops->list(c->store, c->ctx, &req, c->fn, c->arg, c->more);
}

enum mw_code
mw_object_list(struct mw_app *app, struct mw_ctx *ctx, const struct mw_list_req *req,
    mw_list_fn fn, void *arg, bool *more)
{
	struct call c = { .app = app, .ctx = ctx, .req = req, .fn = fn, .arg = arg, .more = more };

	return ask(&c, try_list);
}

/* ---- what an object says of itself ---- */

int64_t
mw_object_time(const struct mw_store *store, const struct mw_object *obj)
{
	return obj->mtime >= 0 ? obj->mtime : obj->modified - store->clock;
}

void
mw_object_etag(const unsigned char md5[16], char out[MW_ETAG_LEN])
{
	out[0] = '"';
	mw_str_hex(md5, 16, out + 1);
	out[33] = '"';
	out[34] = '\0';
}
