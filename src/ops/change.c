/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/change.h"

#include "base/clock.h"
#include "base/log.h"
#include "ops/exec.h"
#include "ops/sleep.h"
#include "ops/sync.h"

int64_t
mw_change_time(const struct mw_conf *conf, const struct mw_change *c)
{
	return c->sync ? conf->sync.timeout : conf->sandbox.timeout;
}

/* ---- wake ---- */

static enum mw_code
wake(struct mw_app *app, struct mw_ctx *ctx, struct mw_change *c)
{
	enum mw_action action;
	struct mw_look l;
	enum mw_code code;

	code = mw_wake_remembered(app, ctx, c->user, MW_LEVEL_GATEWAY, c->max_wake);
	if (code != MW_OK || (code = mw_look_user(app, ctx, c->user, &l)) != MW_OK)
		return code;
	c->before = l.state;
	ctx->waking = true;
	if (c->wait)
		code = mw_wake(app, ctx, c->user, MW_LEVEL_GATEWAY, c->max_wake, &action);
	else
		code = mw_wake_begin(app, ctx, c->user, MW_LEVEL_GATEWAY, c->max_wake, &action);
	if (code != MW_OK)
		return code;
	c->now = c->wait ? MW_USER_ACTIVE : c->before;
	c->action = mw_action_words[action];
	return MW_OK;
}

enum mw_code
mw_change_wake(struct mw_app *app, struct mw_ctx *ctx, struct mw_change *c)
{
	int64_t began = mw_now();
	enum mw_code code = wake(app, ctx, c);

	c->waited = mw_now() - began;
	return code;
}

/* ---- stop ---- */

/* The last sync before its files may be out of reach. */
static enum mw_code
sync_first(struct mw_app *app, struct mw_ctx *ctx, const char *user)
{
	struct mw_sync s = { .user = user, .direction = MW_BACKUP };
	enum mw_code code = mw_sync(app, ctx, &s);
	struct mw_err cause = ctx->err;

	if (code == MW_OK && s.failed.count == 0)
		return MW_OK;
	mw_err_clear(&ctx->err);
	ctx->err.retry_after = cause.retry_after;
	if (code == MW_OK)
		return mw_ctx_fail(ctx, MW_STORE_UNAVAILABLE, "The sync failed for %lld "
		    "files, the first is /%.100s; force=true goes on without them",
		    (long long)s.failed.count, s.failed.first->path);
	return mw_ctx_fail(ctx, mw_code_info(code)->status == 503 ? code :
	    MW_STORE_UNAVAILABLE, "The sync failed; force=true goes on without it: %.150s",
	    cause.msg);
}

/* What has ended is kept, what still runs keeps the sandbox awake. */
static enum mw_code
jobs_first(struct mw_app *app, struct mw_ctx *ctx, const char *user)
{
	unsigned running = 0;
	enum mw_code code = mw_exec_keep_all(app, ctx, user, &running);

	if (code != MW_OK || running == 0)
		return code;
	return mw_ctx_fail(ctx, MW_CONFLICT, "%u commands of %s are running: end them, or "
	    "stop it all the same with force=true", running, user);
}

static enum mw_code
stop(struct mw_app *app, struct mw_ctx *ctx, struct mw_change *c, bool *stopped)
{
	struct mw_look l;
	enum mw_code code;

	if ((code = mw_look_user(app, ctx, c->user, &l)) != MW_OK)
		return code;
	c->before = l.state;
	/* Nothing is in a sandbox that was never filled. */
	if (l.probe.marker != 0) {
		code = jobs_first(app, ctx, c->user);
		if (c->sync && (code == MW_OK || c->force)) {
			mw_err_clear(&ctx->err);
			code = sync_first(app, ctx, c->user);
		}
	}
	if (code != MW_OK && !c->force)
		return code;
	if (code != MW_OK)
		mw_log(MW_WARN, "[SYNC] userId=%s is stopped all the same: %s", c->user,
		    ctx->err.msg);
	mw_err_clear(&ctx->err);
	return mw_sleep(app, ctx, c->user, stopped);
}

enum mw_code
mw_change_sleep(struct mw_app *app, struct mw_ctx *ctx, struct mw_change *c)
{
	int64_t began = mw_now();
	bool stopped;
	enum mw_code code;

	if ((code = stop(app, ctx, c, &stopped)) != MW_OK)
		return code;
	c->now = c->before == MW_USER_STOPPED ? MW_USER_STOPPED :
	    stopped ? MW_USER_SLEEPING : MW_USER_IDLE;
	c->action = c->now == c->before ? "none" : "stopped";
	c->waited = mw_now() - began;
	return MW_OK;
}

enum mw_code
mw_change_restart(struct mw_app *app, struct mw_ctx *ctx, struct mw_change *c)
{
	int64_t began = mw_now();
	enum mw_action action;
	bool stopped;
	enum mw_code code;

	if ((code = stop(app, ctx, c, &stopped)) != MW_OK)
		return code;
	ctx->waking = true;
	code = mw_wake(app, ctx, c->user, MW_LEVEL_GATEWAY, c->max_wake, &action);
	if (code != MW_OK)
		return code;
	c->now = MW_USER_ACTIVE;
	c->action = mw_action_words[MW_ACTION_RESTARTED];
	c->waited = mw_now() - began;
	return MW_OK;
}
