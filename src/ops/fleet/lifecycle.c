/* SPDX-License-Identifier: BSD-2-Clause */
/* Waking a user, putting it to sleep, restarting it. */
#include "ops/fleet/lifecycle.h"

#include "base/clock.h"
#include "ops/ready/quiesce.h"
#include "ops/ready/probe.h"
#include "ops/fleet/sleep.h"

#define TURNS 3	/* of keeping what has changed, before the stop is given up */

int64_t
mw_lifecycle_time(const struct mw_conf *conf, const struct mw_lifecycle *c)
{
	return c->sync ? conf->sync.timeout : conf->sandbox.timeout;
}

/* ---- wake ---- */

static enum mw_code
wake(struct mw_app *app, struct mw_ctx *ctx, struct mw_lifecycle *c)
{
	enum mw_action action;
	struct mw_user_state l;
	enum mw_code code;

	code = mw_wake_remembered(app, ctx, c->user, MW_LEVEL_GATEWAY, c->max_wake);
	if (code != MW_OK || (code = mw_user_state(app, ctx, c->user, &l)) != MW_OK)
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
mw_lifecycle_wake(struct mw_app *app, struct mw_ctx *ctx, struct mw_lifecycle *c)
{
	int64_t began = mw_now();
	enum mw_code code = wake(app, ctx, c);

	c->waited = mw_now() - began;
	return code;
}

/* ---- stop ---- */

/*
 * What is there to be kept?  Not to know that is a reason to stop nothing, unless by
 * force: what was not copied may be gone with the instance.
 */
static enum mw_code
before_stop(struct mw_app *app, struct mw_ctx *ctx, struct mw_lifecycle *c, bool *filled)
{
	struct mw_user_state l;
	struct mw_probe p;
	enum mw_code code;

	if ((code = mw_user_state(app, ctx, c->user, &l)) != MW_OK)
		return code;
	c->before = l.state;
	*filled = l.probe.marker != 0;
	if (l.state != MW_USER_ERROR)
		return MW_OK;
	/* A gateway whose probe hangs must not hide that the sandbox holds files. */
	if ((code = mw_ask(app, ctx, c->user, false, &p)) == MW_OK)
		*filled = p.marker != 0;
	if (code == MW_OK || !c->force)
		return code;
	mw_err_clear(&ctx->err);
	return MW_OK;
}

/* Some drivers cannot tell a sandbox that sleeps from one that nobody has used for a
 * while, and take its files away when they stop it. */
static bool
only_seems_asleep(const struct mw_app *app, const struct mw_lifecycle *c)
{
	return c->before == MW_USER_SLEEPING && (app->sandbox->flags & MW_SB_GUESSES) != 0;
}

static enum mw_code
stop(struct mw_app *app, struct mw_ctx *ctx, struct mw_lifecycle *c, bool end, bool *stopped)
{
	struct mw_sleep how = { .sync = c->sync, .remove = c->remove, .force = c->force,
	    .end = end, .again = true };
	unsigned turn;
	enum mw_code code;

	*stopped = false;
	if (c->remove && !c->sync)
		return mw_ctx_fail(ctx, MW_INVALID_ARGUMENT,
		    "delete: it is part of the backup, and contradicts sync=false");
	for (turn = 1; turn <= TURNS && how.again; turn++) {
		how.changes = mw_quiesce_changes(app, c->user);
		how.last = turn == TURNS;
		if ((code = before_stop(app, ctx, c, &how.filled)) != MW_OK)
			return code;
		if (only_seems_asleep(app, c))
			return MW_OK;
		if ((code = mw_sleep(app, ctx, c->user, &how)) != MW_OK)
			return code;
		c->failed = how.failed;
	}
	*stopped = how.stopped;
	return MW_OK;
}

enum mw_code
mw_lifecycle_sleep(struct mw_app *app, struct mw_ctx *ctx, struct mw_lifecycle *c)
{
	int64_t began = mw_now();
	bool stopped;
	enum mw_code code;

	if ((code = stop(app, ctx, c, false, &stopped)) != MW_OK)
		return code;
	c->now = c->before == MW_USER_STOPPED || c->before == MW_USER_SLEEPING ? c->before :
	    stopped ? MW_USER_SLEEPING : mw_has_gateway(app->conf) ? MW_USER_IDLE : c->before;
	c->action = c->now == c->before ? "none" : "stopped";
	c->waited = mw_now() - began;
	return MW_OK;
}

enum mw_code
mw_lifecycle_restart(struct mw_app *app, struct mw_ctx *ctx, struct mw_lifecycle *c)
{
	int64_t began = mw_now();
	enum mw_action action;
	bool stopped;
	enum mw_code code;

	/* Before anything is stopped that could then not be started. */
	if (c->max_wake == 0)
		return mw_ctx_fail(ctx, MW_INVALID_ARGUMENT,
		    "maxWakeTime: expected more than 0, a restart has to wake");
	if ((code = stop(app, ctx, c, true, &stopped)) != MW_OK)
		return code;
	ctx->waking = true;
	code = mw_wake(app, ctx, c->user, MW_LEVEL_GATEWAY, c->max_wake, &action);
	if (code == MW_OK && only_seems_asleep(app, c) && action == MW_ACTION_NONE) {
		/* It ran all the time; now that is known. */
		if ((code = stop(app, ctx, c, true, &stopped)) == MW_OK)
			code = mw_wake(app, ctx, c->user, MW_LEVEL_GATEWAY, c->max_wake,
			    &action);
	}
	if (code != MW_OK)
		return code;
	c->now = MW_USER_ACTIVE;
	c->action = mw_action_words[MW_ACTION_RESTARTED];
	c->waited = mw_now() - began;
	return MW_OK;
}
