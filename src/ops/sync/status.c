/* SPDX-License-Identifier: BSD-2-Clause */
/* How a user's sandbox and R2 stand, without waking or changing anything. */
#include <string.h>

#include "app/retry.h"
#include "ops/sync/internal.h"
#include "ops/ready/ready.h"
#include "app/names.h"

#define LAST_SYNC_MAX 4096

/* R2's side. */
static enum mw_code
count_objects(struct mw_app *app, struct mw_ctx *ctx, struct mw_store *store, const char *user,
    struct mw_sync_status *st, bool *has_last)
{
	struct mw_r2_list l;
	const struct mw_row *row;
	enum mw_code code;

	code = mw_r2_list_open(&l, app, ctx, store, user, NULL);
	do {
		if (code == MW_OK)
			code = mw_r2_list_next(&l, &row);
	} while (code == MW_OK && row != NULL);
	st->objects = l.objects;
	st->bytes = l.bytes;
	*has_last = l.has_last_sync;
	mw_r2_list_close(&l);
	return code;
}

struct text {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_store *store;
	const char *key;
	char *at;
	size_t n;
};

static enum mw_code
text_begin(void *arg, const struct mw_object *obj)
{
	struct text *t = arg;

	t->n = 0;
	return obj->size < LAST_SYNC_MAX ? MW_OK :
	    mw_ctx_fail(t->ctx, MW_FILE_TOO_LARGE, ".last-sync is none of ours");
}

static enum mw_code
text_data(void *arg, const void *p, size_t n)
{
	struct text *t = arg;

	if (n > LAST_SYNC_MAX - 1 - t->n)
		return mw_ctx_fail(t->ctx, MW_FILE_TOO_LARGE, ".last-sync is none of ours");
	memcpy(t->at + t->n, p, n);
	t->n += n;
	return MW_OK;
}

static enum mw_code
try_text(void *arg)
{
	struct text *t = arg;
	struct mw_sink sink = { .begin = text_begin, .data = text_data, .arg = t };
	struct mw_get get = { .ranged = false };
	bool unmodified;

	return t->store->ops->get(t->store, t->ctx, t->key, &get, &sink, &unmodified);
}

static enum mw_code
read_last_sync(struct mw_app *app, struct mw_ctx *ctx, struct mw_store *store, const char *user,
    struct mw_sync_status *st)
{
	struct text t = { .app = app, .ctx = ctx, .store = store };
	enum mw_code code;

	t.key = mw_store_key(app->conf, ctx->arena, user, MW_NAME_LAST_SYNC);
	if (t.key == NULL || (t.at = mw_arena_alloc(ctx->arena, LAST_SYNC_MAX)) == NULL)
		return mw_ctx_nomem(ctx);
	code = mw_retry(app, ctx, MW_UP_STORE, try_text, &t);
	if (code == MW_OK)
		st->last_sync = t.at;
	if (code == MW_FILE_NOT_FOUND || code == MW_FILE_TOO_LARGE) {
		mw_err_clear(&ctx->err);
		code = MW_OK;
	}
	return code;
}

/* What a backup would do now. */
static enum mw_code
compare(struct mw_sync_run *run, struct mw_sync_status *st)
{
	enum mw_code code;

	if ((code = mw_app_sandbox(run->app, run->ctx, &run->sb)) != MW_OK ||
	    (code = mw_run_open(run)) != MW_OK ||
	    (code = mw_sync_list_sandbox(run)) != MW_OK ||
	    (code = mw_sync_compare(run)) != MW_OK)
		return code;
	st->compared = true;
	st->only_in_r2 = run->removals;
	st->unknown = run->unsure;
	st->changed = (int64_t)mw_sorted_count(run->plan) - run->removals - run->checks -
	    run->unsure;
	st->newer_in_r2 = run->s->newer.count;
	st->waiting = run->s->waiting;
	return MW_OK;
}

enum mw_code
mw_sync_status(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    struct mw_sync_status *st)
{
	struct mw_sync s = { .user = user, .remove = true };
	struct mw_sync_run run = { .app = app, .ctx = ctx, .s = &s, .user = user };
	enum mw_code code;
	bool has_last;

	*st = (struct mw_sync_status){ .objects = 0 };
	if ((code = mw_app_store(app, ctx, &run.store)) != MW_OK ||
	    (code = count_objects(app, ctx, run.store, user, st, &has_last)) != MW_OK)
		return code;
	if (has_last && (code = read_last_sync(app, ctx, run.store, user, st)) != MW_OK)
		return code;
	if (!mw_is_awake(app, ctx, user))
		return MW_OK;
	if (compare(&run, st) != MW_OK) {
		st->not_compared = mw_arena_strdup(ctx->arena, ctx->err.msg);
		mw_err_clear(&ctx->err);
	}
	mw_run_close(&run);
	return MW_OK;
}
