/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking how users are: one, or many side by side. */
#include "ops/ready/user_state.h"

#include <string.h>

#include "app/retry.h"
#include "app/workers.h"
#include "base/clock.h"
#include "ops/ready/ready.h"

#define THREADS 16		/* looks at a time */

const char *const mw_activity_words[MW_USER_STATES] = {
	[MW_USER_ACTIVE] = "active", [MW_USER_IDLE] = "idle", [MW_USER_SLEEPING] = "sleeping",
	[MW_USER_STOPPED] = "stopped", [MW_USER_ERROR] = "error",
};

/* It runs: does its gateway? */
static enum mw_code
look_inside(struct mw_app *app, struct mw_ctx *ctx, const char *user, struct mw_user_state *out)
{
	enum mw_code code;

	if ((code = mw_ask(app, ctx, user, true, &out->probe)) != MW_OK)
		return code;
	out->healthy = out->probe.gateway || !mw_has_gateway(app->conf);
	out->state = out->healthy ? MW_USER_ACTIVE : MW_USER_IDLE;
	return MW_OK;
}

static enum mw_code
look(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user,
    struct mw_user_state *out)
{
	enum mw_code code;

	mw_ctx_count(ctx);
	if ((code = sb->ops->status(sb, ctx, user, &out->status)) == MW_OK) {
		if (out->status.state == MW_SB_RUNNING)
			code = look_inside(app, ctx, user, out);
		else
			code = out->status.state == MW_SB_ABSENT ? MW_SANDBOX_NOT_FOUND :
			    MW_SANDBOX_HIBERNATING;
	}
	return code;
}

/* Ask once, without repeating: the platform, and what runs. */
static void
find_out(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user,
    struct mw_user_state *out)
{
	int64_t began = mw_now();
	enum mw_code code;

	memset(out, 0, sizeof(*out));
	code = look(app, ctx, sb, user, out);
	/* One that ran may have gone away between the two questions. */
	if (code == MW_SANDBOX_HIBERNATING || code == MW_SANDBOX_NOT_FOUND) {
		out->state = code == MW_SANDBOX_NOT_FOUND ? MW_USER_STOPPED : MW_USER_SLEEPING;
	} else if (code != MW_OK) {
		out->state = MW_USER_ERROR;
		out->err = ctx->err;
		if (out->err.code == MW_OK)
			out->err.code = code;
	}
	mw_err_clear(&ctx->err);
	ctx->counted = false;
	out->latency = mw_now() - began;
}

enum mw_code
mw_user_state(struct mw_app *app, struct mw_ctx *ctx, const char *user, struct mw_user_state *out)
{
	struct mw_sandbox *sb;
	struct mw_aside aside;
	enum mw_code code;

	if ((code = mw_app_sandbox(app, ctx, &sb)) != MW_OK)
		return code;
	mw_ctx_aside_begin(ctx, mw_now() + app->conf->wake.health_timeout, &aside);
	find_out(app, ctx, sb, user, out);
	mw_ctx_aside_end(ctx, &aside);
	/* It has answered: whoever left it alone need not any more. */
	if (out->state == MW_USER_ACTIVE || out->state == MW_USER_IDLE)
		mw_retry_answered(app, ctx, MW_UP_SANDBOX);
	mw_seen_ready(app, user, &out->probe);
	return MW_OK;
}

/* ---- many ---- */

struct many {
	const char *const *users;
	struct mw_user_state *out;
	size_t n;
	_Atomic size_t next;
};

static enum mw_code
look_at(struct mw_worker *w, const char *user, struct mw_user_state *out)
{
	struct mw_sandbox *sb;
	enum mw_code code;

	mw_arena_reset(w->ctx.arena);
	w->ctx.user = user;
	if ((code = mw_app_sandbox(w->app, &w->ctx, &sb)) != MW_OK)
		return code;
	if (mw_left(w->ctx.deadline) == 0)
		return mw_ctx_fail(&w->ctx, MW_DEADLINE_EXCEEDED, "there was no time left to ask");
	find_out(w->app, &w->ctx, sb, user, out);
	out->err.details = NULL;
	return MW_OK;
}

static void
look_some(void *arg, struct mw_worker *w)
{
	struct many *m = arg;
	size_t i;

	while ((i = atomic_fetch_add(&m->next, 1)) < m->n) {
		if (look_at(w, m->users[i], &m->out[i]) != MW_OK)
			m->out[i] = (struct mw_user_state){ .state = MW_USER_ERROR,
			    .err = w->ctx.err };
		mw_err_clear(&w->ctx.err);
	}
}

enum mw_code
mw_user_states(struct mw_app *app, struct mw_ctx *ctx, const char *const *users, size_t n,
    struct mw_user_state *out)
{
	struct many m = { .users = users, .out = out, .n = n };

	return mw_workers(app, ctx, n < THREADS ? n : THREADS, "[STATE]", look_some, &m);
}
