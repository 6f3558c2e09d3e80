/* SPDX-License-Identifier: BSD-2-Clause */
/* What a transfer of either direction asks of one path: content, stat, HEAD and lock. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "app/object.h"
#include "app/pathlock.h"
#include "app/retry.h"
#include "ops/sync/internal.h"

#define LOCK_WAIT 15000		/* ms for a path that somebody is writing */
#define READS 3			/* of a file that changes under our hands */

bool
mw_sync_tag_is(const char *tag, const unsigned char md5[16])
{
	unsigned char raw[16];

	return strlen(tag) == 34 && mw_str_unhex(tag + 1, 32, raw) &&
	    memcmp(raw, md5, sizeof(raw)) == 0;
}

enum mw_act
mw_sync_judge(const struct mw_row *item, const unsigned char md5[16])
{
	bool manifests = item->has_md5 && memcmp(item->md5, md5, sizeof(item->md5)) == 0;

	if (item->tag[0] == '\0')
		return MW_ACT_COPY;
	if (mw_sync_tag_is(item->tag, md5) || (manifests && item->r2_as_was))
		return MW_ACT_SAME;
	return manifests && item->act == MW_ACT_DECIDE ? MW_ACT_NEWER : MW_ACT_COPY;
}

bool
mw_sync_later(const struct mw_store *store, const struct mw_object *obj, int64_t mtime)
{
	return mw_object_time(store, obj) > mtime + (obj->mtime >= 0 ? 0 : MW_SYNC_CLOSE);
}

struct reading {
	struct mw_sync_worker *w;
	const char *path;
	struct mw_spool *spool;
	struct mw_stat *st;
	bool begun;
};

static enum mw_code
read_begin(void *arg, const struct mw_stat *st, int64_t from, int64_t to)
{
	struct reading *r = arg;
	int64_t most = mw_spool_share(r->w->app);

	(void)from;
	(void)to;
	*r->st = *st;
	r->begun = true;
	if (st->size > most)
		return mw_ctx_fail(r->w->ctx, MW_FILE_TOO_LARGE, "/%.100s has %lld bytes; "
		    "state.path's disk has room for %lld of one file while it is synced",
		    r->path, (long long)st->size, (long long)most);
	return MW_OK;
}

static enum mw_code
read_data(void *arg, const void *p, size_t n)
{
	struct reading *r = arg;

	if ((int64_t)n > r->st->size - r->spool->size)
		return mw_ctx_fail(r->w->ctx, MW_SANDBOX_UNAVAILABLE,
		    "/%.150s grows while it is read", r->path);
	return mw_spool_add(r->spool, p, n, &r->w->ctx->err);
}

/* A short read never becomes an object. */
static enum mw_code
try_read(void *arg)
{
	struct reading *r = arg;
	struct mw_ctx *ctx = r->w->ctx;
	struct mw_file_sink sink = { .begin = read_begin, .data = read_data, .arg = r };
	struct mw_sandbox *sb = r->w->sb;
	enum mw_code code;

	r->begun = false;
	mw_spool_drop(r->spool);
	if ((code = mw_spool_begin(r->spool, r->w->app->spool_dir, &ctx->err)) == MW_OK)
		code = sb->ops->read(sb, ctx, r->w->run->user, r->path, false, 0, -1, &sink);
	if (code == MW_OK && (code = mw_spool_finish(r->spool, &ctx->err)) == MW_OK &&
	    r->spool->size != r->st->size)
		code = mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "/%s: %lld of %lld bytes were read",
		    r->path, (long long)r->spool->size, (long long)r->st->size);
	return code;
}

enum mw_code
mw_sync_read(struct mw_sync_worker *w, const char *path, struct mw_spool *spool,
    struct mw_stat *st)
{
	struct reading r = { .w = w, .path = path, .spool = spool, .st = st };
	struct mw_stat now;
	enum mw_code code;
	bool there;
	int n;

	for (n = 0; n < READS; n++) {
		code = mw_retry(w->app, w->ctx, MW_UP_SANDBOX, try_read, &r);
		if (code == MW_SANDBOX_UNAVAILABLE && r.begun) {
			/* It got shorter: this file's own trouble, not the sandbox's. */
			mw_err_clear(&w->ctx->err);
			continue;
		}
		if (code != MW_OK || (code = mw_sync_stat(w, path, &now, &there)) != MW_OK)
			return code;
		if (there && now.size == st->size && now.mtime == st->mtime)
			return MW_OK;
	}
	if (r.begun && code == MW_OK)
		return MW_OK;		/* a log, say: whole as it was at that moment */
	return mw_ctx_fail(w->ctx, MW_CONFLICT, "/%.150s changes while it is read", path);
}

struct looking {
	struct mw_sync_worker *w;
	const char *path;
	struct mw_stat *st;
};

static enum mw_code
try_stat(void *arg)
{
	struct looking *l = arg;
	struct mw_sandbox *sb = l->w->sb;

	return sb->ops->stat(sb, l->w->ctx, l->w->run->user, l->path, l->st);
}

enum mw_code
mw_sync_stat(struct mw_sync_worker *w, const char *path, struct mw_stat *st, bool *there)
{
	struct looking l = { .w = w, .path = path, .st = st };
	enum mw_code code = mw_retry(w->app, w->ctx, MW_UP_SANDBOX, try_stat, &l);

	*there = code == MW_OK;
	if (code != MW_FILE_NOT_FOUND)
		return code;
	mw_err_clear(&w->ctx->err);
	return MW_OK;
}

enum mw_code
mw_sync_head(struct mw_sync_worker *w, const char *path, struct mw_object *obj, bool *there)
{
	char *key = mw_store_key(w->app->conf, w->ctx->arena, w->run->user, path);

	if (key == NULL)
		return mw_ctx_nomem(w->ctx);
	return mw_object_there(w->app, w->ctx, key, obj, there);
}

enum mw_code
mw_sync_lock(struct mw_sync_worker *w, const char *path, int *lock)
{
	int64_t deadline = w->ctx->deadline;
	enum mw_code code;

	if (mw_now() + LOCK_WAIT < deadline)
		w->ctx->deadline = mw_now() + LOCK_WAIT;
	code = mw_path_lock(w->app, w->ctx, w->run->user, path, lock);
	w->ctx->deadline = deadline;
	if (code != MW_DEADLINE_EXCEEDED || mw_left(deadline) == 0)
		return code;
	mw_err_clear(&w->ctx->err);
	return mw_ctx_fail(w->ctx, MW_CONFLICT, "/%.150s: another request keeps it busy", path);
}
