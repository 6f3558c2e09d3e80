/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/change.h"

#include "base/clock.h"
#include "ops/sleep.h"

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

static enum mw_code
stop(struct mw_app *app, struct mw_ctx *ctx, struct mw_change *c, bool *stopped)
{
	struct mw_sleep how = { .sync = c->sync, .force = c->force };
	struct mw_look l;
	enum mw_code code;

	if ((code = mw_look_user(app, ctx, c->user, &l)) != MW_OK)
		return code;
	c->before = l.state;
	how.filled = l.probe.marker != 0;
	return mw_sleep(app, ctx, c->user, &how, stopped);
}

enum mw_code
mw_change_sleep(struct mw_app *app, struct mw_ctx *ctx, struct mw_change *c)
{
	int64_t began = mw_now();
	bool stopped;
	enum mw_code code;

	if ((code = stop(app, ctx, c, &stopped)) != MW_OK)
		return code;
	c->now = c->before == MW_USER_STOPPED || c->before == MW_USER_SLEEPING ? c->before :
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

	/* Before anything is stopped that could then not be started. */
	if (c->max_wake == 0)
		return mw_ctx_fail(ctx, MW_INVALID_ARGUMENT,
		    "maxWakeTime: expected more than 0, a restart has to wake");
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
