/* SPDX-License-Identifier: BSD-2-Clause */
/* All of a user into a sandbox without a marker. */
#include "ops/sync/restore.h"

#include <string.h>

#include "app/pathlock.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "ops/sync/internal.h"

/* Files that R2 has never seen yet are restored from their pending rows. */
static enum mw_code
restore_pending(void *arg, const struct mw_outbox_row *row)
{
	struct mw_sync_run *run = arg;
	struct mw_sync_worker w = { .run = run, .app = run->app, .sb = run->sb, .ctx = run->ctx };
	struct mw_row item = { .path = row->path, .tag = "", .size = -1, .mtime = -1,
	    .act = MW_ACT_COPY, .r2_size = -1, .set_mtime = -1 };
	struct mw_sync_result o = { .act = MW_ACT_KEEP };
	enum mw_code code;

	if (row->op == MW_OUTBOX_DELETE ||
	    mw_plan_excluded(&run->app->conf->sync.exclude_restore, row->path))
		return MW_OK;
	code = mw_sync_down(&w, &item, &o);
	if (code != MW_CONFLICT && code != MW_PERMISSION_DENIED)
		return code;
	mw_log(MW_WARN, "[SYNC] userId=%s: /%s cannot be restored, skipped: %s", run->user,
	    row->path, run->ctx->err.msg);
	mw_err_clear(&run->ctx->err);
	return MW_OK;
}

static enum mw_code
restore(struct mw_sync_run *run)
{
	enum mw_code code;

	if ((code = mw_app_store(run->app, run->ctx, &run->store)) != MW_OK ||
	    (code = mw_run_open(run)) != MW_OK ||
	    (code = mw_sync_list_sandbox(run)) != MW_OK ||
	    (code = mw_sync_compare(run)) != MW_OK ||
	    (code = mw_sync_transfer(run)) != MW_OK ||
	    (code = mw_outbox_each(run->app->outbox, run->ctx, run->user, "", restore_pending,
	    run)) != MW_OK ||
	    (code = mw_sync_make_links(run)) != MW_OK)
		return code;
	return mw_sync_verify(run, NULL);
}

/* May the wake go on without what is missing? */
static enum mw_code
complete(struct mw_app *app, struct mw_ctx *ctx, const char *user)
{
	struct mw_missing first;
	enum mw_code code;
	int64_t count;
	size_t n;

	if (strcmp(app->conf->wake.restore_failures, "stop") != 0)
		return MW_OK;
	code = mw_outbox_missing(app->outbox, ctx, user, "", &first, 1, &n, &count);
	return code != MW_OK || n == 0 ? code : mw_ctx_fail(ctx, first.code, "%lld paths cannot be "
	    "restored, and wake.restore_failures is \"stop\"; the first is /%.80s: %.90s",
	    (long long)count, first.path, first.error);
}

enum mw_code
mw_restore(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user)
{
	struct mw_sync s = { .user = user, .direction = MW_RESTORE };
	struct mw_sync_run run = { .app = app, .ctx = ctx, .s = &s, .user = user, .sb = sb,
	    .restore = true, .add_only = true, .deadline = ctx->deadline };
	int64_t began = mw_now();
	enum mw_code code;

	mw_str_random_hex(s.id, 8);
	/* Whoever is writing to the instance before this one sees it, and leaves a mark. */
	atomic_fetch_add(&mw_shm_user(app->shm, user)->restores, 1);
	code = restore(&run);
	mw_run_close(&run);
	if (code == MW_OK)
		code = mw_outbox_missing_end(app->outbox, ctx, user, s.id);
	mw_sync_counted(2, &s, code, began);
	if (code == MW_OK && s.downloaded > 0)
		mw_log(MW_INFO, "[SYNC] userId=%s restored: files=%lld bytes=%lld failed=%lld "
		    "requestId=%s", user, (long long)s.downloaded, (long long)s.bytes,
		    (long long)s.failed.count, ctx->request_id);
	return code == MW_OK ? complete(app, ctx, user) : code;
}

/* One path; the sandbox has a marker now, so others may be at it: then it is theirs. */
static enum mw_code
try_missing(struct mw_sync_run *run, const struct mw_missing *old)
{
	struct mw_sync_worker w = { .run = run, .app = run->app, .sb = run->sb, .ctx = run->ctx };
	struct mw_row item = { .path = old->path, .tag = "", .size = -1, .mtime = -1, .mode = -1,
	    .act = MW_ACT_COPY, .r2_size = -1, .set_mtime = -1 };
	struct mw_missing m = { .path = old->path };
	struct mw_sync_result o = { .act = MW_ACT_KEEP };
	int64_t deadline = run->ctx->deadline;
	enum mw_code code;
	int lock = -1;

	run->ctx->deadline = 0;
	code = mw_path_lock(run->app, run->ctx, run->user, old->path, &lock);
	run->ctx->deadline = deadline;
	if (code == MW_DEADLINE_EXCEEDED) {
		mw_err_clear(&run->ctx->err);
		return MW_OK;
	}
	if (code == MW_OK && (code = mw_sync_down(&w, &item, &o)) == MW_OK &&
	    o.act != MW_ACT_KEEP && o.act != MW_ACT_WAIT) {
		code = mw_outbox_found(run->app->outbox, run->ctx, run->user, old->path);
	} else if (code != MW_OK && mw_sync_one_path(code, &run->ctx->err)) {
		m.code = code;
		m.error = mw_arena_strdup(run->ctx->arena, run->ctx->err.msg);
		mw_err_clear(&run->ctx->err);
		code = m.error == NULL ? mw_ctx_nomem(run->ctx) :
		    mw_outbox_miss(run->app->outbox, run->ctx, run->user, run->s->id, &m);
	}
	mw_path_unlock(lock);
	return code;
}

#define AT_A_TIME 64

enum mw_code
mw_restore_missing(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user)
{
	struct mw_sync s = { .user = user, .direction = MW_RESTORE };
	struct mw_sync_run run = { .app = app, .ctx = ctx, .s = &s, .user = user, .sb = sb,
	    .restore = true, .add_only = true, .deadline = ctx->deadline };
	struct mw_missing rows[AT_A_TIME];
	const char *after = "";
	size_t n = AT_A_TIME, i;
	int64_t count;
	enum mw_code code = MW_OK;

	mw_str_random_hex(s.id, 8);
	while (code == MW_OK && n == AT_A_TIME) {
		code = mw_outbox_missing(app->outbox, ctx, user, after, rows, AT_A_TIME, &n, &count);
		for (i = 0; i < n && code == MW_OK; i++)
			code = try_missing(&run, &rows[i]);
		if (n > 0)
			after = rows[n - 1].path;
	}
	/* R2 is down, say: what the sandbox has is there all the same. */
	if (code != MW_OK)
		mw_log(MW_WARN, "[SYNC] userId=%s: what was not restored is not tried now: %s", user,
		    ctx->err.msg);
	mw_err_clear(&ctx->err);
	return complete(app, ctx, user);
}
