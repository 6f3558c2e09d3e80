/* SPDX-License-Identifier: BSD-2-Clause */
/* Putting a sandbox to sleep: what comes first, and the stop itself behind a closed gate. */
#include "ops/fleet/sleep.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "ops/exec/look.h"
#include "ops/exec/tend.h"
#include "ops/ready/quiesce.h"
#include "ops/wake/gateway.h"
#include "app/retry.h"
#include "base/json.h"
#include "ops/sync/answer.h"

#define DETAILS_MAX (1 << 20)	/* bytes of paths and why they failed, escaped */

struct stopping {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sandbox *sb;
	const char *user;
	bool running;		/* commands, that are stopped all the same */
	bool end;
};

static enum mw_code
try_stop(void *arg)
{
	struct stopping *s = arg;
	enum mw_code code;

	s->sb->stop_ends = s->end;
	code = s->sb->ops->stop(s->sb, s->ctx, s->user);
	s->sb->stop_ends = false;
	return code;
}

static enum mw_code
end_gateway(struct stopping *s)
{
	struct mw_probe p;
	enum mw_code code = mw_ask(s->app, s->ctx, s->user, true, &p);

	if (code == MW_OK && p.marker != 0)
		code = mw_gateway_end(s->app, s->ctx, s->sb, s->user, &p);
	if (code == MW_SANDBOX_HIBERNATING || code == MW_SANDBOX_NOT_FOUND) {
		mw_err_clear(&s->ctx->err);
		code = MW_OK;
	}
	return code;
}

static enum mw_code
stop(struct stopping *s)
{
	enum mw_code code;

	code = (s->sb->flags & MW_SB_CAN_STOP) != 0 ?
	    mw_retry(s->app, s->ctx, MW_UP_SANDBOX, try_stop, s) : end_gateway(s);
	mw_not_ready(s->app, s->user);
	return code;
}

/* The wake's lock, once more after the wake in hand has seen its sandbox go. */
static enum mw_code
take_lock(struct stopping *s, int *lock)
{
	char name[MW_USER_MAX + 8];

	(void)snprintf(name, sizeof(name), "wake:%s", s->user);
	return mw_lockfile_take(s->app->lock_path, name, s->ctx->deadline, lock, &s->ctx->err);
}

/* ---- what comes first ---- */

/* What must be kept first cannot be: 503, whatever the store said. */
static enum mw_code
not_kept(struct stopping *s, enum mw_code code, const char *what)
{
	struct mw_err cause = s->ctx->err;

	mw_err_clear(&s->ctx->err);
	s->ctx->err.retry_after = cause.retry_after;
	return mw_ctx_fail(s->ctx, mw_code_info(code)->status == 503 ? code :
	    MW_STORE_UNAVAILABLE, "%s; force=true goes on without it: %.150s", what, cause.msg);
}

/* What has ended is kept, what still runs keeps the sandbox awake. */
static enum mw_code
jobs_first(struct stopping *s)
{
	unsigned running = 0;
	enum mw_code code = mw_exec_keep_all(s->app, s->ctx, s->user, &running);

	s->running = running > 0;
	if (code != MW_OK)
		return not_kept(s, code, "The output of a finished command cannot be kept");
	if (!s->running)
		return MW_OK;
	return mw_ctx_fail(s->ctx, MW_CONFLICT, "%u commands of %s are running: end them, or "
	    "stop it all the same with force=true", running, s->user);
}

/* Where the disk stays, a path that cannot be read keeps nobody awake. */
static enum mw_code
sync_first(struct stopping *s, struct mw_sleep *how)
{
	struct mw_sync sync = { .user = s->user, .direction = MW_BACKUP, .remove = how->remove,
	    .force = how->remove && how->force };
	enum mw_code code = mw_sync(s->app, s->ctx, &sync);
	struct mw_buf b;

	if (code == MW_CONFLICT && how->remove)	/* it would remove too much */
		return code;
	if (code != MW_OK)
		return not_kept(s, code, "The sync failed");
	how->failed = sync.failed;
	if (sync.failed.count == 0 || (s->sb->flags & MW_SB_FILES_ASLEEP) != 0)
		return MW_OK;
	code = mw_ctx_fail(s->ctx, MW_CONFLICT, "%lld files could not be backed up, the first is "
	    "/%.100s; force=true goes on without them", (long long)sync.failed.count,
	    sync.failed.first->path);
	mw_buf_init(&b, DETAILS_MAX);
	(void)mw_json_open(&b, NULL, '{');
	mw_sync_add_failed(&b, s->ctx->arena, "failed", &sync.failed);
	if (mw_json_close(&b, '}'))
		s->ctx->err.details = mw_arena_strdup(s->ctx->arena, b.data);
	mw_buf_free(&b);
	return code;
}

static enum mw_code
keep(struct stopping *s, struct mw_sleep *how)
{
	enum mw_code code;

	if (!how->filled)
		return MW_OK;
	code = jobs_first(s);
	if (how->sync && (code == MW_OK || how->force)) {
		mw_err_clear(&s->ctx->err);
		code = sync_first(s, how);
		/* That may have taken minutes, in which a command may have been started. */
		if (code == MW_OK)
			code = jobs_first(s);
	}
	if (code == MW_OK || !how->force)
		return code;
	mw_log(MW_WARN, "[SYNC] userId=%s is stopped all the same: %s", s->user, s->ctx->err.msg);
	mw_err_clear(&s->ctx->err);
	return MW_OK;
}

/* ---- the gate is closed ---- */

/* Something was changed since the caller began: what was kept is not all. */
static enum mw_code
changed(struct stopping *s, struct mw_sleep *how)
{
	if (!how->last) {
		how->again = true;
		return MW_OK;
	}
	if (how->force)
		return MW_OK;
	s->ctx->err.retry_after = 1;
	return mw_ctx_fail(s->ctx, MW_SANDBOX_UNAVAILABLE, "Files are written or commands started "
	    "in the sandbox of %s again and again, so that not all would be kept: it was not "
	    "stopped; force=true stops it all the same", s->user);
}

/* No wake begins; the one in hand ends, as its sandbox goes, or leaves one to be stopped. */
static enum mw_code
stop_closed(struct stopping *s, struct mw_sleep *how)
{
	struct mw_shm_user *row = mw_shm_user(s->app->shm, s->user);
	enum mw_code code;
	int lock;

	atomic_fetch_add(&row->sleeps, 1);
	if ((code = stop(s)) != MW_OK || (code = take_lock(s, &lock)) != MW_OK)
		return code;
	code = stop(s);
	if (code == MW_OK && s->running && how->stopped &&
	    (how->end || (s->sb->flags & MW_SB_PAUSES) == 0))
		code = mw_exec_stopped(s->app, s->ctx, s->user);
	atomic_store(&row->failed_until, 0);
	mw_lockfile_give(lock);
	mw_log(MW_INFO, "[WAKE] userId=%s put to sleep requestId=%s", s->user, s->ctx->request_id);
	return code;
}

enum mw_code
mw_sleep(struct mw_app *app, struct mw_ctx *ctx, const char *user, struct mw_sleep *how)
{
	struct stopping s = { .app = app, .ctx = ctx, .user = user, .end = how->end };
	struct mw_quiesce gate;
	enum mw_code code;

	how->again = how->stopped = false;
	if ((code = mw_app_sandbox(app, ctx, &s.sb)) != MW_OK || (code = keep(&s, how)) != MW_OK ||
	    (code = mw_quiesce_close(app, ctx, user, how->force, &gate)) != MW_OK)
		return code;
	if (mw_quiesce_changes(app, user) != how->changes)
		code = changed(&s, how);
	if (code == MW_OK && !how->again) {
		how->stopped = (s.sb->flags & MW_SB_CAN_STOP) != 0;
		code = stop_closed(&s, how);
	}
	mw_quiesce_open(&gate);
	return code;
}
