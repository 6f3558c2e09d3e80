/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/ready/user_state.h"

#include <string.h>

#include "base/clock.h"
#include "base/threads.h"
#include "ops/ready/ready.h"

#define THREADS 16		/* looks at a time */
#define THREAD_ARENA (1 << 20)	/* bytes of one thread */

const char *const mw_activity_words[MW_USER_STATES] = {
	[MW_USER_ACTIVE] = "active", [MW_USER_IDLE] = "idle", [MW_USER_SLEEPING] = "sleeping",
	[MW_USER_STOPPED] = "stopped", [MW_USER_ERROR] = "error",
};

static void
count_call(struct mw_ctx *ctx)
{
	ctx->attempts++;
	ctx->counted = true;
}

/* It runs: does its gateway? */
static enum mw_code
look_inside(const struct mw_conf *conf, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, struct mw_user_state *out)
{
	const struct mw_probe_ask ask = { .gateway = true };
	enum mw_code code;

	count_call(ctx);
	if ((code = mw_probe_run(conf, ctx, sb, user, &ask, &out->probe)) != MW_OK)
		return code;
	out->healthy = out->probe.gateway || !mw_has_gateway(conf);
	out->state = out->healthy ? MW_USER_ACTIVE : MW_USER_IDLE;
	return MW_OK;
}

void
mw_user_state(const struct mw_conf *conf, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, struct mw_user_state *out)
{
	int64_t began = mw_now();
	enum mw_code code;

	memset(out, 0, sizeof(*out));
	count_call(ctx);
	code = sb->ops->status(sb, ctx, user, &out->status);
	if (code == MW_OK && out->status.state == MW_SB_RUNNING)
		code = look_inside(conf, ctx, sb, user, out);
	else if (code == MW_OK)
		out->state = out->status.state == MW_SB_ABSENT ? MW_USER_STOPPED :
		    MW_USER_SLEEPING;
	/* It went away between the two questions. */
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
mw_user_state_of(struct mw_app *app, struct mw_ctx *ctx, const char *user, struct mw_user_state *out)
{
	struct mw_sandbox *sb;
	int64_t deadline = ctx->deadline, limit;
	enum mw_code code;

	if ((code = mw_app_sandbox(app, ctx, &sb)) != MW_OK)
		return code;
	limit = mw_now() + app->conf->wake.health_timeout;
	ctx->deadline = limit < deadline ? limit : deadline;
	mw_user_state(app->conf, ctx, sb, user, out);
	ctx->deadline = deadline;
	mw_seen_ready(app, user, &out->probe);
	return MW_OK;
}

/* ---- many ---- */

struct many {
	const struct mw_app *app;
	const char *request_id;
	int64_t deadline;
	const char *const *users;
	struct mw_user_state *out;
	size_t n;
	_Atomic size_t next;
	_Atomic unsigned attempts;
};

static void
too_late(struct mw_user_state *out)
{
	memset(out, 0, sizeof(*out));
	out->state = MW_USER_ERROR;
	(void)mw_fail(&out->err, MW_DEADLINE_EXCEEDED, "there was no time left to ask");
}

static void
look_next(struct many *m, struct mw_arena *arena, struct mw_sandbox *sb, size_t i)
{
	struct mw_ctx ctx = { .arena = arena, .deadline = m->deadline,
	    .request_id = m->request_id, .user = m->users[i] };

	if (mw_left(m->deadline) == 0) {
		too_late(&m->out[i]);
		return;
	}
	mw_user_state(m->app->conf, &ctx, sb, m->users[i], &m->out[i]);
	m->out[i].err.details = NULL;
	mw_arena_reset(arena);
	(void)atomic_fetch_add(&m->attempts, ctx.attempts);
}

static void
look_some(void *arg, size_t thread)
{
	struct many *m = arg;
	struct mw_arena *arena = mw_arena_open(THREAD_ARENA);
	struct mw_err err = { .code = MW_OK };
	struct mw_sandbox *sb = NULL;
	size_t i;

	(void)thread;
	if (arena == NULL)
		(void)mw_fail(&err, MW_INTERNAL_ERROR, "out of memory");
	else if (mw_app_open_sandbox(m->app, &sb, &err) != MW_OK)
		sb = NULL;
	while ((i = atomic_fetch_add(&m->next, 1)) < m->n) {
		if (sb != NULL)
			look_next(m, arena, sb, i);
		else
			m->out[i] = (struct mw_user_state){ .state = MW_USER_ERROR, .err = err };
	}
	mw_sandbox_close(sb);
	mw_arena_close(arena);
}

enum mw_code
mw_user_states(struct mw_app *app, struct mw_ctx *ctx, const char *const *users, size_t n,
    struct mw_user_state *out)
{
	struct many m = { .app = app, .request_id = ctx->request_id,
	    .deadline = ctx->deadline, .users = users, .out = out, .n = n };

	(void)mw_threads(n < THREADS ? n : THREADS, look_some, &m);
	ctx->attempts += atomic_load(&m.attempts);
	return MW_OK;
}
