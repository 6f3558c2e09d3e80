/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Coming and going.  The container is somebody else's, or it is run by Docker or Podman and
 * the engine driver starts and stops it: then that is asked what it is, and its server only
 * whether it is up.
 */
#include "base/clock.h"
#include "sandbox/remote/container.h"
#include "sandbox/engine/engine.h"

#define PING_PAUSE 200		/* ms between two looks at one that comes up */

/* ---- with an engine ---- */

static struct mw_sandbox *
engine_of(struct mw_sandbox *s)
{
	struct mw_sandbox *engine = ((struct mw_container *)s)->engine;

	if (engine != NULL)
		engine->stop_ends = s->stop_ends;
	return engine;
}

enum mw_code
mw_container_gate(struct mw_container *c, struct mw_ctx *ctx, const char *user)
{
	struct mw_engine_state st;
	enum mw_code code;

	if (c->engine == NULL)
		return MW_OK;
	code = mw_engine_inspect((struct mw_engine *)c->engine, ctx, user, &st);
	if (code != MW_OK || st.running)
		return code;
	if (!st.exists)
		return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND, "there is no such sandbox");
	return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "the sandbox is asleep: %s",
	    st.paused ? "it is paused" : "its container does not run");
}

/* A server that is not up yet refuses, or is a proxy's that closes at once. */
static bool
not_yet(const struct mw_container *c, enum mw_code code, enum mw_sandbox_state state)
{
	return code == MW_OK ? state == MW_SB_ASLEEP || (c->engine != NULL && state == MW_SB_ABSENT) :
	    c->engine != NULL && code == MW_SANDBOX_UNREACHABLE;
}

enum mw_code
mw_container_enumerate(struct mw_sandbox *s, struct mw_ctx *ctx, mw_user_fn fn, void *arg)
{
	struct mw_sandbox *engine = engine_of(s);

	return engine != NULL ? engine->ops->enumerate(engine, ctx, fn, arg) :
	    mw_remote_enumerate(s, ctx, fn, arg);
}

enum mw_code
mw_container_status(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    struct mw_sandbox_status *st)
{
	struct mw_container *c = (struct mw_container *)s;
	struct mw_sandbox *engine = engine_of(s);
	enum mw_sandbox_state state = MW_SB_ASLEEP;
	enum mw_code code;

	*st = (struct mw_sandbox_status){ .memory = -1, .processes = -1 };
	if (engine == NULL)
		return mw_container_ping(c, ctx, user, &st->state);
	code = engine->ops->status(engine, ctx, user, st);
	if (code != MW_OK || st->state != MW_SB_RUNNING)
		return code;
	code = mw_container_ping(c, ctx, user, &state);
	if (!not_yet(c, code, state))
		return code;
	mw_err_clear(&ctx->err);
	st->state = MW_SB_STARTING;
	return MW_OK;
}

/* ---- start and stop ---- */

/* *up: its server answers. */
static enum mw_code
look(struct mw_container *c, struct mw_ctx *ctx, const char *user, bool *up)
{
	enum mw_sandbox_state state = MW_SB_ASLEEP;
	enum mw_code code = mw_container_ping(c, ctx, user, &state);

	*up = code == MW_OK && state == MW_SB_RUNNING;
	if (not_yet(c, code, state)) {
		mw_err_clear(&ctx->err);
		code = mw_container_gate(c, ctx, user);
		if (code != MW_SANDBOX_HIBERNATING)
			return code;
		mw_err_clear(&ctx->err);
		return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
		    "the container ended before its server answered");
	}
	if (code == MW_OK && !*up)
		return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND, "there is no container of that name");
	return code;
}

enum mw_code
mw_container_start(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user)
{
	struct mw_container *c = (struct mw_container *)s;
	struct mw_sandbox *engine = engine_of(s);
	int64_t until = mw_now() + c->remote.timeout;
	bool up = false;
	enum mw_code code = mw_container_may_be(c, ctx, user);

	if (code == MW_OK && engine != NULL)
		code = engine->ops->start(engine, ctx, user);
	while (code == MW_OK && !up) {
		code = look(c, ctx, user, &up);
		if (code != MW_OK || up)
			break;
		if (mw_now() + PING_PAUSE > until || mw_left(ctx->deadline) <= PING_PAUSE)
			return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE, engine != NULL ?
			    "the container runs, and its server does not answer" :
			    "the container does not run, and this driver cannot start it");
		mw_sleep_ms(PING_PAUSE);
	}
	return code == MW_OK ? mw_remote_ping(&c->remote, ctx, user) : code;
}

enum mw_code
mw_container_stop(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user)
{
	struct mw_sandbox *engine = engine_of(s);

	if (engine != NULL)
		return engine->ops->stop(engine, ctx, user);
	return mw_ctx_fail(ctx, MW_NOT_SUPPORTED,
	    "sandbox.driver \"container\" cannot stop a container");
}
