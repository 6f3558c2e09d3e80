/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/restore.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "ops/pathlock.h"
#include "ops/retry.h"

#define LIST_PAGE 1000
#define LAST_MAX (2 * MW_PATH_MAX)	/* a key and its prefix */

/* ---- one object into a spool file ---- */

struct fetch {
	struct mw_app *app;
	struct mw_ctx *ctx;
	const char *key;
	struct mw_spool *spool;
	struct mw_object obj;
};

static enum mw_code
fetch_begin(void *arg, const struct mw_object *obj)
{
	struct fetch *f = arg;

	f->obj = *obj;
	return MW_OK;
}

static enum mw_code
fetch_data(void *arg, const void *p, size_t n)
{
	struct fetch *f = arg;

	return mw_spool_add(f->spool, p, n, &f->ctx->err);
}

/* A short or altered transfer never becomes a file.  Where the ETag is no MD5
 * the size has to do. */
static enum mw_code
fetch_verify(struct fetch *f)
{
	unsigned char md5[16];
	const char *tag = f->obj.etag;

	if (f->spool->size != f->obj.size)
		return mw_ctx_fail(f->ctx, MW_STORE_UNAVAILABLE,
		    "GET %s: %lld of %lld bytes arrived", f->key,
		    (long long)f->spool->size, (long long)f->obj.size);
	if (f->obj.etag_is_md5 && strlen(tag) == 34 && mw_str_unhex(tag + 1, 32, md5) &&
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
		code = f->app->store->ops->get(f->app->store, f->ctx, f->key, &get, &sink, &unmodified);
	if (code == MW_OK)
		code = mw_spool_finish(f->spool, &f->ctx->err);
	if (code == MW_OK)
		code = fetch_verify(f);
	return code;
}

/* ---- one path ---- */

static enum mw_code
write_pending(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const char *path, const struct mw_outbox_row *row)
{
	enum mw_code code;
	int fd;

	if (row->op == MW_OUTBOX_DELETE)
		return MW_OK;
	if ((code = mw_outbox_body(app->outbox, ctx, row, &fd)) != MW_OK)
		return code;
	code = sb->ops->write(sb, ctx, user, path, fd, row->size, (int)row->mode, row->mtime);
	(void)close(fd);
	return code;
}

static enum mw_code
write_object(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user,
    const char *path)
{
	struct mw_spool spool = { .fd = -1 };
	struct fetch f = { .app = app, .ctx = ctx, .spool = &spool };
	enum mw_code code;

	if ((f.key = mw_store_key(app->conf, ctx->arena, user, path)) == NULL)
		return mw_ctx_nomem(ctx);
	code = mw_retry(app, ctx, MW_UP_STORE, try_fetch, &f);
	if (code == MW_FILE_NOT_FOUND) {	/* deleted since it was listed */
		mw_err_clear(&ctx->err);
		code = MW_OK;
	} else if (code == MW_OK) {
		code = sb->ops->write(sb, ctx, user, path, spool.fd, spool.size,
		    (int)f.obj.mode, f.obj.mtime >= 0 ? f.obj.mtime : f.obj.modified);
	}
	mw_spool_drop(&spool);
	return code;
}

/* The newest acknowledged content of a path into the sandbox: the pending row's,
 * else R2's.  A row that goes while we look at it was replaced or reached R2. */
static enum mw_code
bring(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user,
    const char *path)
{
	const struct mw_outbox_row *row;
	enum mw_code code;

	for (;;) {
		if ((code = mw_outbox_find(app->outbox, ctx, user, path, &row)) != MW_OK)
			return code;
		if (row == NULL)
			return write_object(app, ctx, sb, user, path);
		if ((code = write_pending(app, ctx, sb, user, path, row)) != MW_FILE_NOT_FOUND)
			return code;
		mw_err_clear(&ctx->err);
	}
}

/* A failure that is this path's alone must not keep the user's other files away. */
static bool
only_this_path(struct mw_ctx *ctx, const char *user, const char *path, enum mw_code code)
{
	if (code != MW_CONFLICT && code != MW_PERMISSION_DENIED && code != MW_INVALID_PATH &&
	    code != MW_FILE_TOO_LARGE)
		return false;
	mw_log(MW_WARN, "[SYNC] userId=%s: /%s cannot be restored, skipped: %s", user, path,
	    ctx->err.msg);
	mw_err_clear(&ctx->err);
	return true;
}

/*
 * Takes no path lock: a writer that holds it may be waiting for this very wake.
 * None is needed, for nobody can write to a sandbox without a marker but us.
 */
static enum mw_code
bring_if_absent(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const char *path)
{
	struct mw_stat st;
	enum mw_mark mark;
	enum mw_code code;

	if ((code = mw_outbox_marked(app->outbox, ctx, user, path, &mark)) != MW_OK ||
	    mark == MW_MARK_DELETED_SANDBOX)
		return code;
	code = sb->ops->stat(sb, ctx, user, path, &st);
	if (code == MW_FILE_NOT_FOUND) {
		mw_err_clear(&ctx->err);
		code = bring(app, ctx, sb, user, path);
	}
	return only_this_path(ctx, user, path, code) ? MW_OK : code;
}

/* ---- all of a user ---- */

struct page {
	struct mw_app *app;
	struct mw_ctx *ctx;
	const char *user;
	const char *prefix;		/* ends with '/' */
	const char *after;
	bool more;
	char *keys[LIST_PAGE];
	size_t n;
};

static enum mw_code
add_key(void *arg, const struct mw_list_row *row)
{
	struct page *p = arg;

	if (p->n == LIST_PAGE)
		return MW_INTERNAL_ERROR;
	if ((p->keys[p->n] = mw_arena_strdup(p->ctx->arena, row->key)) == NULL)
		return mw_ctx_nomem(p->ctx);
	p->n++;
	return MW_OK;
}

static enum mw_code
try_page(void *arg)
{
	struct page *p = arg;
	struct mw_store *store = p->app->store;
	struct mw_list_req req = {
		.prefix = p->prefix, .recursive = true, .after = p->after, .max = LIST_PAGE,
	};

	p->n = 0;
	return store->ops->list(store, p->ctx, &req, add_key, p, &p->more);
}

/* The objects of one page.  Their calls use an arena of their own. */
static enum mw_code
restore_page(struct page *p, struct mw_sandbox *sb, struct mw_arena *scratch)
{
	struct mw_arena *own = p->ctx->arena;
	char path[MW_PATH_MAX + 1];
	struct mw_err bad;
	enum mw_code code = MW_OK;
	size_t i, skip = strlen(p->prefix);

	p->ctx->arena = scratch;
	for (i = 0; i < p->n && code == MW_OK; i++) {
		mw_arena_reset(scratch);
		mw_err_clear(&bad);
		if (mw_path_parse(p->keys[i] + skip, strlen(p->keys[i] + skip), MW_PATH_OURS,
		    path, &bad) != MW_OK || strcmp(path, p->keys[i] + skip) != 0) {
			mw_log(MW_WARN, "[SYNC] userId=%s: an object's name cannot be a file, "
			    "skipped: %s", p->user, p->keys[i]);
			continue;
		}
		if (!mw_path_ours(path))
			code = bring_if_absent(p->app, p->ctx, sb, p->user, path);
	}
	p->ctx->arena = own;
	return code;
}

/* Files that R2 has never seen yet are restored from their pending rows. */
struct pending {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sandbox *sb;
	const char *user;
};

static enum mw_code
restore_pending(void *arg, const struct mw_outbox_row *row)
{
	struct pending *p = arg;

	if (row->op == MW_OUTBOX_DELETE)
		return MW_OK;
	return bring_if_absent(p->app, p->ctx, p->sb, p->user, row->path);
}

enum mw_code
mw_restore(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user)
{
	struct page p = { .app = app, .ctx = ctx, .user = user, .more = true };
	struct pending pending = { .app = app, .ctx = ctx, .sb = sb, .user = user };
	struct mw_arena *keys = mw_arena_open(8 << 20), *scratch = mw_arena_open(4 << 20);
	struct mw_arena *own = ctx->arena;
	struct mw_store *store;
	enum mw_code code;
	char *last = NULL;

	if ((code = mw_app_store(app, ctx, &store)) != MW_OK)
		goto out;
	if (keys == NULL || scratch == NULL ||
	    (p.prefix = mw_store_key(app->conf, own, user, "")) == NULL ||
	    (last = mw_arena_alloc(own, LAST_MAX)) == NULL) {
		code = mw_ctx_nomem(ctx);
		goto out;
	}
	while (code == MW_OK && p.more) {
		ctx->arena = keys;
		mw_arena_reset(keys);
		code = mw_retry(app, ctx, MW_UP_STORE, try_page, &p);
		if (code == MW_OK)
			code = restore_page(&p, sb, scratch);
		if (code == MW_OK && p.n == 0)
			break;
		if (code == MW_OK && p.more) {
			(void)snprintf(last, LAST_MAX, "%s", p.keys[p.n - 1]);
			p.after = last;
		}
	}
	ctx->arena = own;
	if (code == MW_OK)
		code = mw_outbox_each(app->outbox, ctx, user, "", restore_pending, &pending);
out:
	mw_arena_close(keys);
	mw_arena_close(scratch);
	return code;
}

/* ---- marks ---- */

enum mw_code
mw_apply_mark(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const char *path, enum mw_mark mark)
{
	enum mw_code code;

	if (mark == MW_MARK_DELETED_R2) {
		code = sb->ops->remove(sb, ctx, user, path);
		if (code == MW_FILE_NOT_FOUND) {
			mw_err_clear(&ctx->err);
			code = MW_OK;
		}
	} else {
		code = bring(app, ctx, sb, user, path);
	}
	if (code == MW_OK)
		code = mw_outbox_mark(app->outbox, ctx, user, path, MW_MARK_NONE);
	return code;
}

struct marks {
	struct mw_ctx *ctx;
	struct marked { struct marked *next; const char *path; } *first;
};

static enum mw_code
add_mark(void *arg, const char *path, enum mw_mark mark)
{
	struct marks *m = arg;
	struct marked *one;

	if (mark != MW_MARK_NEWER_R2 && mark != MW_MARK_DELETED_R2)
		return MW_OK;
	if ((one = mw_arena_alloc(m->ctx->arena, sizeof(*one))) == NULL ||
	    (one->path = mw_arena_strdup(m->ctx->arena, path)) == NULL)
		return mw_ctx_nomem(m->ctx);
	one->next = m->first;
	m->first = one;
	return MW_OK;
}

static enum mw_code
lock_now(struct mw_app *app, struct mw_ctx *ctx, const char *user, const char *path, int *lock)
{
	int64_t deadline = ctx->deadline;
	enum mw_code code;

	ctx->deadline = 0;
	code = mw_path_lock(app, ctx, user, path, lock);
	ctx->deadline = deadline;
	return code;
}

enum mw_code
mw_apply_marks(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user)
{
	struct marks m = { .ctx = ctx };
	struct marked *one;
	enum mw_mark mark;
	enum mw_code code;
	int lock;

	code = mw_outbox_marks(app->outbox, ctx, user, add_mark, &m);
	for (one = m.first; one != NULL && code == MW_OK; one = one->next) {
		/* Somebody is at this path, and may be waiting for this wake: it is
		 * theirs, or the next wake's. */
		code = lock_now(app, ctx, user, one->path, &lock);
		if (code == MW_DEADLINE_EXCEEDED) {
			mw_err_clear(&ctx->err);
			code = MW_OK;
			continue;
		}
		if (code != MW_OK)
			break;
		code = mw_outbox_marked(app->outbox, ctx, user, one->path, &mark);
		if (code == MW_OK && (mark == MW_MARK_NEWER_R2 || mark == MW_MARK_DELETED_R2))
			code = mw_apply_mark(app, ctx, sb, user, one->path, mark);
		if (only_this_path(ctx, user, one->path, code))
			code = MW_OK;
		mw_path_unlock(lock);
	}
	return code;
}
