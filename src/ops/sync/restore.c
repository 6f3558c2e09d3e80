/* SPDX-License-Identifier: BSD-2-Clause */
/* All of a user into a sandbox without a marker. */
#include "ops/sync/restore.h"

#include "base/log.h"
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

enum mw_code
mw_restore(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user)
{
	struct mw_sync s = { .user = user, .direction = MW_RESTORE };
	struct mw_sync_run run = { .app = app, .ctx = ctx, .s = &s, .user = user, .sb = sb,
	    .restore = true, .add_only = true, .deadline = ctx->deadline };
	enum mw_code code;

	/* Whoever is writing to the instance before this one sees it, and leaves a mark. */
	atomic_fetch_add(&mw_shm_user(app->shm, user)->restores, 1);
	code = restore(&run);
	mw_run_close(&run);
	if (code == MW_OK && s.downloaded > 0)
		mw_log(MW_INFO, "[SYNC] userId=%s restored: files=%lld bytes=%lld failed=%lld "
		    "requestId=%s", user, (long long)s.downloaded, (long long)s.bytes,
		    (long long)s.failed.count, ctx->request_id);
	return code;
}
