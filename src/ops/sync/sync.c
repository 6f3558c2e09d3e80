/* SPDX-License-Identifier: BSD-2-Clause */
/* A sync, from its lock to its last note. */
#include "ops/sync/sync.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "base/str.h"
#include "ops/files/marks.h"
#include "app/retry.h"
#include "ops/sync/internal.h"
#include "app/longwait.h"
#include "ops/ready/ready.h"

#define GRACE 5000		/* ms to write down what was done when the time is over */

/* ---- the sandbox, and which one it is ---- */

struct proof {
	struct mw_sync_run *run;
	uint64_t marker;
};

static enum mw_code
try_marker(void *arg, struct mw_sandbox *sb)
{
	static const struct mw_probe_ask ask = { .gateway = false };
	struct proof *p = arg;
	struct mw_sync_run *run = p->run;
	struct mw_probe probe;
	enum mw_code code;

	if ((code = mw_probe_run(run->app->conf, run->ctx, sb, run->user, &ask, &probe)) != MW_OK)
		return code;
	p->marker = probe.marker;
	if (probe.marker == 0)
		return mw_ctx_fail(run->ctx, MW_SANDBOX_HIBERNATING, "the sandbox of %s has no "
		    "instance marker: its content is not proven", run->user);
	return MW_OK;
}

static enum mw_code
try_marker_again(void *arg)
{
	struct proof *p = arg;

	return try_marker(p, p->run->sb);
}

/* What was listed is the content of the instance that carries the marker only if
 * that is still so afterwards. */
static enum mw_code
list_proven(struct mw_sync_run *run, const struct proof *before)
{
	struct proof after = { .run = run };
	enum mw_code code;

	if ((code = mw_sync_list_sandbox(run)) != MW_OK ||
	    (code = mw_retry(run->app, run->ctx, MW_UP_SANDBOX, try_marker_again, &after)) != MW_OK)
		return code;
	if (before->marker != after.marker)
		return mw_ctx_fail(run->ctx, MW_SANDBOX_UNREACHABLE,
		    "the sandbox of %s was replaced while it was listed; run the sync again",
		    run->user);
	return MW_OK;
}

/* ---- the whole ---- */

/* Whatever ended the transfers, what they did is written down, if it can be: then
 * the next run has less to compare. */
static enum mw_code
conclude(struct mw_sync_run *run, enum mw_code code)
{
	struct mw_sorted *good = mw_sorted_open(run->app->spool_dir, MW_SORTED_MEMORY);
	struct mw_err cause = run->ctx->err;
	int64_t deadline = run->ctx->deadline;
	enum mw_code written;

	if (good == NULL)
		return mw_ctx_nomem(run->ctx);
	if (mw_left(run->ctx->deadline) < GRACE)
		run->ctx->deadline = mw_now() + GRACE;
	mw_err_clear(&run->ctx->err);
	written = mw_sync_verify(run, good);
	if (written == MW_OK && !run->restore)
		written = mw_sync_write_manifest(run, good);
	run->s->verified = code == MW_OK && written == MW_OK && run->s->failed.count == 0;
	if (run->s->verified && !run->restore)
		written = mw_sync_write_last(run);
	if (run->s->verified && written == MW_OK && !run->restore)
		mw_sync_remove_old(run);
	mw_sorted_close(good);
	run->ctx->deadline = deadline;
	if (code != MW_OK)
		run->ctx->err = cause;
	return code != MW_OK ? code : written;
}

static enum mw_code
guard(struct mw_sync_run *run)
{
	run->half = !run->s->force && (run->removals + run->replaced) * 2 > run->there;
	if (run->s->force || run->removals * 2 <= run->there)
		return MW_OK;
	return mw_ctx_fail(run->ctx, MW_CONFLICT, "delete=true would remove %lld of %lld files %s, "
	    "more than half: nothing was done; if that is meant, add force=true",
	    (long long)run->removals, (long long)run->there,
	    run->restore ? "in the sandbox" : "in R2");
}

static enum mw_code
transfer(struct mw_sync_run *run)
{
	enum mw_code code = mw_sync_transfer(run);

	if (code == MW_OK && run->restore && !run->s->dry_run)
		code = mw_sync_make_links(run);
	if (run->s->dry_run)
		return code;
	if ((code = conclude(run, code)) == MW_OK && run->restore)
		code = mw_outbox_missing_end(run->app->outbox, run->ctx, run->user, run->s->id);
	return code;
}

static enum mw_code
prepare(struct mw_sync_run *run)
{
	struct proof before = { .run = run };
	enum mw_code code;

	if ((code = mw_app_store(run->app, run->ctx, &run->store)) != MW_OK ||
	    (code = mw_app_sandbox(run->app, run->ctx, &run->sb)) != MW_OK ||
	    (code = mw_run_open(run)) != MW_OK ||
	    (code = mw_in_sandbox(run->app, run->ctx, run->user, run->s->max_wake, try_marker,
	    &before)) != MW_OK)
		return code;
	run->deadline = mw_now() + run->app->conf->sync.timeout;
	if (run->ctx->deadline < run->deadline)
		run->deadline = run->ctx->deadline;
	/* What only R2 has got goes to the sandbox first, whatever the direction. */
	if (!run->s->dry_run &&
	    (code = mw_apply_marks(run->app, run->ctx, run->sb, run->user)) != MW_OK)
		return code;
	return list_proven(run, &before);
}

static enum mw_code
sync_locked(struct mw_sync_run *run)
{
	enum mw_code code;

	if ((code = prepare(run)) != MW_OK || (code = mw_sync_compare(run)) != MW_OK ||
	    (code = guard(run)) != MW_OK)
		return code;
	if (!run->restore && !run->s->dry_run && (code = mw_sync_read_links(run)) != MW_OK)
		return code;
	return transfer(run);
}

enum mw_code
mw_sync(struct mw_app *app, struct mw_ctx *ctx, struct mw_sync *s)
{
	struct mw_sync_run run = { .app = app, .ctx = ctx, .s = s, .user = s->user,
	    .restore = s->direction == MW_RESTORE };
	int64_t began = mw_now();
	int lock = -1, slot = -1;
	enum mw_code code;
	char *name;

	mw_str_random_hex(s->id, 8);
	if ((name = mw_arena_printf(ctx->arena, "sync:%s", s->user)) == NULL)
		return mw_ctx_nomem(ctx);
	if ((code = mw_wait_begin(app, ctx, &slot)) == MW_OK &&
	    (code = mw_lockfile_take(app->lock_path, name, ctx->deadline, &lock, &ctx->err)) == MW_OK) {
		code = sync_locked(&run);
		mw_run_close(&run);
	}
	mw_lockfile_give(lock);
	mw_wait_end(app, slot);
	if (!s->dry_run)
		mw_sync_counted(s->direction == MW_BACKUP ? 0 : 1, s, code, began);
	mw_log(code == MW_OK ? MW_INFO : MW_WARN, "[SYNC] userId=%s %s syncId=%s uploaded=%lld "
	    "downloaded=%lld deleted=%lld skipped=%lld failed=%lld bytes=%lld durationMs=%lld "
	    "requestId=%s%s%s", s->user, mw_direction_words[s->direction], s->id,
	    (long long)s->uploaded, (long long)s->downloaded, (long long)s->deleted,
	    (long long)s->skipped, (long long)s->failed.count, (long long)s->bytes,
	    (long long)(mw_now() - began), ctx->request_id, code == MW_OK ? "" : ": ",
	    code == MW_OK ? "" : ctx->err.msg);
	return code;
}
