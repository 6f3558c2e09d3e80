/* SPDX-License-Identifier: BSD-2-Clause */
/* What is known of a user's readiness, and what is done when nothing is. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/stop.h"
#include "app/classify.h"
#include "ops/ready/wake_wait.h"
#include "app/retry.h"

#define GATEWAY_TRUST 10	/* ready_ttl's for which successes may stand in for a probe */

const char *const mw_action_words[] = { "none", "started", "restarted", "joined" };

/* ---- what is known ---- */

static bool
known(const struct mw_shm_user *row, enum mw_level level, uint64_t *marker)
{
	int64_t now = mw_now();

	*marker = atomic_load(&row->marker);
	return *marker != 0 && atomic_load(&row->ready_until) > now &&
	    (level == MW_LEVEL_SANDBOX || atomic_load(&row->gateway_until) > now);
}

bool
mw_known_awake(struct mw_app *app, const char *user)
{
	return atomic_load(&mw_shm_user(app->shm, user)->ready_until) > mw_now();
}

bool
mw_is_awake(struct mw_app *app, struct mw_ctx *ctx, const char *user)
{
	struct mw_err before = ctx->err;
	struct mw_sandbox_status st;
	struct mw_sandbox *sb;
	bool awake;

	if (mw_known_awake(app, user))
		return true;
	awake = mw_app_sandbox(app, ctx, &sb) == MW_OK &&
	    sb->ops->status(sb, ctx, user, &st) == MW_OK && st.state == MW_SB_RUNNING;
	ctx->err = before;
	return awake;
}

bool
mw_files_at_hand(struct mw_app *app, const char *user)
{
	return app->sandbox != NULL &&
	    ((app->sandbox->flags & MW_SB_FILES_ASLEEP) != 0 || mw_known_awake(app, user));
}

void
mw_not_ready(struct mw_app *app, const char *user)
{
	struct mw_shm_user *row = mw_shm_user(app->shm, user);

	atomic_store(&row->ready_until, 0);
	atomic_store(&row->gateway_until, 0);
	atomic_store(&row->marker, 0);
}

static void
awake(struct mw_app *app, struct mw_shm_user *row, uint64_t marker)
{
	int64_t now = mw_now(), ttl = app->conf->wake.ready_ttl, until = now + ttl, trust;

	/* Of another instance nothing is known but that it answers. */
	if (atomic_exchange(&row->marker, marker) != marker)
		atomic_store(&row->gateway_until, 0);
	atomic_store(&row->ready_until, until);
	trust = atomic_load(&row->gateway_probed) + GATEWAY_TRUST * ttl;
	if (atomic_load(&row->gateway_until) > now)
		atomic_store(&row->gateway_until, until < trust ? until : trust);
}

void
mw_still_ready(struct mw_app *app, const char *user, uint64_t marker)
{
	struct mw_shm_user *row = mw_shm_user(app->shm, user);

	if (marker == 0)
		return;
	atomic_store(&row->active, mw_wall());
	awake(app, row, marker);
}

void
mw_seen_ready(struct mw_app *app, const char *user, const struct mw_probe *p)
{
	struct mw_shm_user *row = mw_shm_user(app->shm, user);

	if (p->marker == 0)
		return;
	awake(app, row, p->marker);
	if (!p->looked)
		return;
	if (p->gateway) {
		atomic_store(&row->gateway_probed, mw_now());
		atomic_store(&row->gateway_until, mw_now() + app->conf->wake.ready_ttl);
	} else {
		atomic_store(&row->gateway_until, 0);
	}
}

/* ---- an earlier failure ---- */

static enum mw_level
level_here(struct mw_app *app, enum mw_level level)
{
	return mw_has_gateway(app->conf) ? level : MW_LEVEL_SANDBOX;
}

enum mw_code
mw_wake_remembered(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    enum mw_level level, int64_t max_wait)
{
	struct mw_shm_user *row = mw_shm_user(app->shm, user);
	int64_t left = mw_left(atomic_load(&row->failed_until));
	int64_t limit = atomic_load(&row->failed_limit);
	struct mw_wake_result o;

	if (left == 0 || atomic_load(&row->failed_level) > (int32_t)level_here(app, level) ||
	    (limit > 0 && limit < max_wait) || !mw_wake_result_load(app, ctx, user, &o) ||
	    o.code == MW_OK)
		return MW_OK;
	o.retry_after = (unsigned)((left + 999) / 1000);
	return mw_wake_result_fail(ctx, &o);
}

/* ---- asking, without waking ---- */

struct asking {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sandbox *sb;
	const char *user;
	struct mw_probe_ask ask;
	struct mw_probe *p;
};

static enum mw_code
try_ask(void *arg)
{
	struct asking *a = arg;

	return mw_probe_run(a->app->conf, a->ctx, a->sb, a->user, &a->ask, a->p);
}

/* One look.  MW_OK: *p is what the sandbox says, and others know it now, too. */
static enum mw_code
ask(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    struct mw_probe *p)
{
	struct asking a = { .app = app, .ctx = ctx, .user = user, .p = p,
	    .ask = { .gateway = level == MW_LEVEL_GATEWAY, .pass = true } };
	enum mw_code code;

	if ((code = mw_app_sandbox(app, ctx, &a.sb)) != MW_OK)
		return code;
	code = mw_retry_once(app, ctx, MW_UP_SANDBOX, try_ask, &a);
	if (code == MW_OK)
		mw_seen_ready(app, user, p);
	return code;
}

/* It has failed so often that nobody asks it, or wakes it unless told to by name. */
static bool
left_alone(struct mw_app *app, const struct mw_ctx *ctx)
{
	struct mw_breaker b;
	int64_t wait;

	return !ctx->waking && mw_retry_breaker(app, ctx, MW_UP_SANDBOX, &b) &&
	    mw_breaker_state(&b, &wait) == MW_BREAKER_OPEN;
}

/* Is a wake in hand whose result is the better answer to what we would ask? */
static bool
being_woken(struct mw_app *app, const char *user, enum mw_level level)
{
	int32_t phase = atomic_load(&mw_shm_user(app->shm, user)->wake_phase);

	return phase != MW_PHASE_NONE &&
	    (level == MW_LEVEL_GATEWAY || phase < (int32_t)MW_PHASE_GATEWAY_START);
}

static enum mw_code
not_woken(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_code code,
    bool runs)
{
	/* One that only somebody else can make does not exist; one that a wake would
	 * make is asleep to the client. */
	if (code == MW_SANDBOX_NOT_FOUND && (app->sandbox->flags & MW_SB_CAN_CREATE) == 0)
		return code;
	mw_err_clear(&ctx->err);
	return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "The %s of %s is hibernating and "
	    "maxWakeTime=0 forbids waking it; allow a wake%s", runs ? "gateway" : "sandbox",
	    user, runs ? "" : ", or read files with source=r2");
}

/* Not known ready.  *action, if wanted, is what was done about it. */
static enum mw_code
make_ready(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t max_wait, uint64_t *marker, enum mw_action *action)
{
	struct mw_shm_user *row = mw_shm_user(app->shm, user);
	int64_t deadline = mw_now() + max_wait, own = ctx->deadline;
	struct mw_probe p = { .marker = 0 };
	enum mw_code code = MW_SANDBOX_HIBERNATING;
	bool led = false;

	if (max_wait == 0 || !being_woken(app, user, level)) {
		if (max_wait > 0 && deadline < own)
			ctx->deadline = deadline;
		code = ask(app, ctx, user, level, &p);
		ctx->deadline = own;
		if (code == MW_OK && p.marker != 0 &&
		    (p.gateway || level == MW_LEVEL_SANDBOX)) {
			*marker = p.marker;
			*action = MW_ACTION_NONE;
			return MW_OK;
		}
		if (code != MW_OK && (mw_stopping() || left_alone(app, ctx)))
			return code;
	}
	if (max_wait == 0)
		return not_woken(app, ctx, user, code, p.marker != 0);
	mw_err_clear(&ctx->err);
	code = mw_wake_wait(app, ctx, user, level, deadline < own ? deadline : own, &led,
	    marker);
	*action = led ? (enum mw_action)atomic_load(&row->wake_action) : MW_ACTION_JOINED;
	return code;
}

enum mw_code
mw_ready(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t max_wait, uint64_t *marker)
{
	enum mw_action action;
	enum mw_code code;

	level = level_here(app, level);
	if (known(mw_shm_user(app->shm, user), level, marker))
		return MW_OK;
	if ((code = mw_wake_remembered(app, ctx, user, level, max_wait)) != MW_OK)
		return code;
	return make_ready(app, ctx, user, level, max_wait, marker, &action);
}

enum mw_code
mw_wake(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t max_wait, enum mw_action *action)
{
	enum mw_code code;
	uint64_t marker;

	level = level_here(app, level);
	*action = MW_ACTION_NONE;
	if ((code = mw_wake_remembered(app, ctx, user, level, max_wait)) != MW_OK)
		return code;
	return make_ready(app, ctx, user, level, max_wait, &marker, action);
}

enum mw_code
mw_wake_begin(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t max_wait, enum mw_action *action)
{
	struct mw_probe p;
	enum mw_code code;
	bool led;

	level = level_here(app, level);
	*action = MW_ACTION_NONE;
	if ((code = mw_wake_remembered(app, ctx, user, level, max_wait)) != MW_OK)
		return code;
	if (!being_woken(app, user, level)) {
		code = ask(app, ctx, user, level, &p);
		mw_err_clear(&ctx->err);
		if (code == MW_OK && p.marker != 0 && (p.gateway || level == MW_LEVEL_SANDBOX))
			return MW_OK;
	}
	if (max_wait == 0)
		return not_woken(app, ctx, user, MW_SANDBOX_HIBERNATING, false);
	code = mw_wake_spawn(app, ctx, user, level, max_wait, &led);
	*action = led ? MW_ACTION_STARTED : MW_ACTION_JOINED;
	return code;
}

/* ---- something in the sandbox ---- */

struct sandbox_try {
	mw_sandbox_fn fn;
	void *arg;
	struct mw_sandbox *sb;
};

static enum mw_code
try_sandbox(void *arg)
{
	struct sandbox_try *t = arg;

	return t->fn(t->arg, t->sb);
}

/*
 * "No such file", said by a route that does not show which instance it came from: it
 * counts only if the instance that answers now is still the one that was restored.
 */
static enum mw_code
check_absence(struct mw_app *app, struct mw_ctx *ctx, const char *user, uint64_t marker)
{
	struct mw_err absent = ctx->err;
	struct mw_probe p;
	enum mw_code code;

	mw_err_clear(&ctx->err);
	code = ask(app, ctx, user, MW_LEVEL_SANDBOX, &p);
	if (code == MW_OK && p.marker == marker && marker != 0) {
		ctx->err = absent;
		return MW_FILE_NOT_FOUND;
	}
	mw_err_clear(&ctx->err);
	return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "the sandbox was replaced meanwhile");
}

static enum mw_code
once(struct mw_app *app, struct mw_ctx *ctx, const char *user, struct sandbox_try *t,
    uint64_t marker)
{
	bool asleep = (t->sb->flags & MW_SB_FILES_ASLEEP) != 0;
	enum mw_code code = mw_retry(app, ctx, MW_UP_SANDBOX, try_sandbox, t);

	if (asleep)
		return code;
	if (code == MW_FILE_NOT_FOUND)
		code = check_absence(app, ctx, user, marker);
	if (code == MW_OK)
		mw_still_ready(app, user, marker);
	return code;
}

enum mw_code
mw_in_sandbox(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    int64_t max_wait, mw_sandbox_fn fn, void *arg)
{
	struct sandbox_try t = { .fn = fn, .arg = arg };
	uint64_t marker = 0;
	enum mw_code code;

	if ((code = mw_app_sandbox(app, ctx, &t.sb)) != MW_OK)
		return code;
	/* Where files cannot be had asleep, asking for one would start it, unrestored. */
	if ((t.sb->flags & MW_SB_FILES_ASLEEP) == 0 &&
	    (code = mw_ready(app, ctx, user, MW_LEVEL_SANDBOX, max_wait, &marker)) != MW_OK)
		return code;
	code = once(app, ctx, user, &t, marker);
	if (mw_classify(code) != MW_NEXT_WAKE)
		return code;
	mw_not_ready(app, user);
	if (max_wait == 0)
		return not_woken(app, ctx, user, code, false);
	mw_err_clear(&ctx->err);
	code = mw_ready(app, ctx, user, MW_LEVEL_SANDBOX, max_wait, &marker);
	return code != MW_OK ? code : once(app, ctx, user, &t, marker);
}
