/* SPDX-License-Identifier: BSD-2-Clause */
/* What is known of a user's readiness, and what is done when nothing is. */
#include "ops/ready/ready.h"

#include "base/clock.h"
#include "base/stop.h"
#include "app/classify.h"
#include "ops/ready/wake_wait.h"
#include "app/retry.h"

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
	struct mw_sandbox_status st;
	struct mw_aside aside;
	struct mw_sandbox *sb;
	bool awake;

	if (mw_known_awake(app, user))
		return true;
	mw_ctx_aside_begin(ctx, ctx->deadline, &aside);
	awake = mw_app_sandbox(app, ctx, &sb) == MW_OK &&
	    sb->ops->status(sb, ctx, user, &st) == MW_OK && st.state == MW_SB_RUNNING;
	mw_ctx_aside_end(ctx, &aside);
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
	int64_t trust;

	/* Of another instance nothing is known but that it answers. */
	if (atomic_exchange(&row->marker, marker) != marker)
		atomic_store(&row->gateway_until, 0);
	atomic_store(&row->ready_until, mw_now() + app->conf->wake.ready_ttl);
	/* No success stands in for a probe: the gateway may have died meanwhile. */
	trust = atomic_load(&row->gateway_probed) + app->conf->wake.ready_ttl;
	if (atomic_load(&row->gateway_until) > trust)
		atomic_store(&row->gateway_until, trust);
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

static void
seen(struct mw_app *app, struct mw_shm_user *row, const struct mw_probe *p)
{
	if (p->marker == 0)
		return;
	awake(app, row, p->marker);
	if (!p->looked)
		return;
	if (p->gateway)
		atomic_store(&row->gateway_probed, mw_now());
	atomic_store(&row->gateway_until, p->gateway ? mw_now() + app->conf->wake.ready_ttl : 0);
}

void
mw_seen_ready(struct mw_app *app, const char *user, const struct mw_probe *p)
{
	seen(app, mw_shm_user(app->shm, user), p);
}

/* ---- a request that wants it ready ---- */

struct wanted {
	struct mw_app *app;
	struct mw_ctx *ctx;
	const char *user;
	struct mw_shm_user *row;
	enum mw_level level;		/* without a gateway there is only one */
	int64_t max_wait;
};

static struct wanted
wanted(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t max_wait)
{
	return (struct wanted){ .app = app, .ctx = ctx, .user = user,
	    .row = mw_shm_user(app->shm, user),
	    .level = mw_has_gateway(app->conf) ? level : MW_LEVEL_SANDBOX, .max_wait = max_wait };
}

/* An earlier failure. */
static enum mw_code
remembered(const struct wanted *w)
{
	int64_t left = mw_left(atomic_load(&w->row->failed_until));
	int64_t limit = atomic_load(&w->row->failed_limit);
	struct mw_wake_result o;

	if (left == 0 || atomic_load(&w->row->failed_level) > (int32_t)w->level ||
	    (limit > 0 && limit < w->max_wait) ||
	    !mw_wake_result_load(w->app, w->ctx, w->user, &o) || o.code == MW_OK)
		return MW_OK;
	o.retry_after = (unsigned)((left + 999) / 1000);
	return mw_wake_result_fail(w->ctx, &o);
}

enum mw_code
mw_wake_remembered(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    enum mw_level level, int64_t max_wait)
{
	struct wanted w = wanted(app, ctx, user, level, max_wait);

	return remembered(&w);
}

/* ---- asking, without waking ---- */

struct asking {
	const struct wanted *w;
	struct mw_sandbox *sb;
	struct mw_probe *p;
};

static enum mw_code
try_ask(void *arg)
{
	const struct asking *a = arg;
	const struct mw_probe_ask ask = { .gateway = a->w->level == MW_LEVEL_GATEWAY,
	    .pass = true };

	return mw_probe_run(a->w->app->conf, a->w->ctx, a->sb, a->w->user, &ask, a->p);
}

/* One look.  MW_OK: *p is what the sandbox says, and others know it now, too. */
static enum mw_code
ask(const struct wanted *w, struct mw_probe *p)
{
	struct asking a = { .w = w, .p = p };
	enum mw_code code;

	if ((code = mw_app_sandbox(w->app, w->ctx, &a.sb)) != MW_OK)
		return code;
	code = mw_retry_once(w->app, w->ctx, MW_UP_SANDBOX, try_ask, &a);
	if (code == MW_OK)
		seen(w->app, w->row, p);
	return code;
}

static bool
fulfils(const struct wanted *w, const struct mw_probe *p)
{
	return p->marker != 0 && (p->gateway || w->level == MW_LEVEL_SANDBOX);
}

/* It has failed so often that nobody asks it, or wakes it unless told to by name. */
static bool
left_alone(const struct wanted *w)
{
	struct mw_breaker b;
	int64_t wait;

	return !w->ctx->waking && mw_retry_breaker(w->app, w->ctx, MW_UP_SANDBOX, &b) &&
	    mw_breaker_state(&b, &wait) == MW_BREAKER_OPEN;
}

/* Is a wake in hand whose result is the better answer to what we would ask? */
static bool
being_woken(const struct wanted *w)
{
	int32_t phase = atomic_load(&w->row->wake_phase);

	return phase != MW_PHASE_NONE &&
	    (w->level == MW_LEVEL_GATEWAY || phase < (int32_t)MW_PHASE_GATEWAY_START);
}

static enum mw_code
not_woken(const struct wanted *w, enum mw_code code, bool runs)
{
	/* One that only the operator can make does not exist; one that a wake would make is
	 * asleep to the client. */
	if (code == MW_SANDBOX_NOT_FOUND && (w->app->sandbox->flags & MW_SB_CAN_CREATE) == 0)
		return code;
	mw_err_clear(&w->ctx->err);
	return mw_ctx_fail(w->ctx, MW_SANDBOX_HIBERNATING, "The %s of %s is hibernating and "
	    "maxWakeTime=0 forbids waking it; allow a wake%s", runs ? "gateway" : "sandbox",
	    w->user, runs ? "" : ", or read files with source=r2");
}

/* Not known ready.  *action, if wanted, is what was done about it. */
static enum mw_code
make_ready(const struct wanted *w, uint64_t *marker, enum mw_action *action)
{
	int64_t own = w->ctx->deadline, deadline = mw_now() + w->max_wait;
	struct mw_probe p = { .marker = 0 };
	enum mw_code code = MW_SANDBOX_HIBERNATING;
	bool led = false;

	if (deadline > own)
		deadline = own;
	if (w->max_wait == 0 || !being_woken(w)) {
		if (w->max_wait > 0)
			w->ctx->deadline = deadline;
		code = ask(w, &p);
		w->ctx->deadline = own;
		if (code == MW_OK && fulfils(w, &p)) {
			*marker = p.marker;
			*action = MW_ACTION_NONE;
			return MW_OK;
		}
		if (code != MW_OK && (mw_stopping() || left_alone(w)))
			return code;
	}
	if (w->max_wait == 0)
		return not_woken(w, code, p.marker != 0);
	mw_err_clear(&w->ctx->err);
	code = mw_wake_wait(w->app, w->ctx, w->user, w->level, deadline, &led, marker);
	*action = led ? (enum mw_action)atomic_load(&w->row->wake_action) : MW_ACTION_JOINED;
	return code;
}

static enum mw_code
ready_or_wake(const struct wanted *w, uint64_t *marker, enum mw_action *action)
{
	enum mw_code code = remembered(w);

	return code == MW_OK ? make_ready(w, marker, action) : code;
}

enum mw_code
mw_ready(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t max_wait, uint64_t *marker)
{
	struct wanted w = wanted(app, ctx, user, level, max_wait);
	enum mw_action action;

	return known(w.row, w.level, marker) ? MW_OK : ready_or_wake(&w, marker, &action);
}

enum mw_code
mw_wake(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t max_wait, enum mw_action *action)
{
	struct wanted w = wanted(app, ctx, user, level, max_wait);
	uint64_t marker;

	*action = MW_ACTION_NONE;
	return ready_or_wake(&w, &marker, action);
}

enum mw_code
mw_wake_begin(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t max_wait, enum mw_action *action)
{
	struct wanted w = wanted(app, ctx, user, level, max_wait);
	struct mw_probe p;
	enum mw_code code;
	bool led;

	*action = MW_ACTION_NONE;
	if ((code = remembered(&w)) != MW_OK)
		return code;
	if (!being_woken(&w)) {
		code = ask(&w, &p);
		mw_err_clear(&ctx->err);
		if (code == MW_OK && fulfils(&w, &p))
			return MW_OK;
	}
	if (max_wait == 0)
		return not_woken(&w, MW_SANDBOX_HIBERNATING, false);
	code = mw_wake_spawn(app, ctx, user, w.level, max_wait, &led);
	*action = led ? MW_ACTION_STARTED : MW_ACTION_JOINED;
	return code;
}

/* ---- something in the sandbox ---- */

struct sandbox_try {
	struct wanted w;
	mw_sandbox_fn fn;
	void *arg;
	struct mw_sandbox *sb;
	uint64_t marker;	/* of the instance it is done in */
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
check_absence(struct sandbox_try *t)
{
	struct mw_ctx *ctx = t->w.ctx;
	struct mw_aside aside;
	struct mw_probe p;
	enum mw_code code;

	mw_ctx_aside_begin(ctx, ctx->deadline, &aside);
	code = ask(&t->w, &p);
	mw_ctx_aside_end(ctx, &aside);
	if (code == MW_OK && p.marker == t->marker && t->marker != 0)
		return MW_FILE_NOT_FOUND;
	mw_err_clear(&ctx->err);
	return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "the sandbox was replaced meanwhile");
}

static enum mw_code
once(struct sandbox_try *t)
{
	enum mw_code code = mw_retry(t->w.app, t->w.ctx, MW_UP_SANDBOX, try_sandbox, t);

	if ((t->sb->flags & MW_SB_FILES_ASLEEP) != 0)
		return code;
	if (code == MW_FILE_NOT_FOUND)
		code = check_absence(t);
	if (code == MW_OK)
		mw_still_ready(t->w.app, t->w.user, t->marker);
	return code;
}

enum mw_code
mw_in_sandbox(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    int64_t max_wait, mw_sandbox_fn fn, void *arg)
{
	struct sandbox_try t = { .w = wanted(app, ctx, user, MW_LEVEL_SANDBOX, max_wait), .fn = fn,
	    .arg = arg };
	enum mw_code code;

	if ((code = mw_app_sandbox(app, ctx, &t.sb)) != MW_OK)
		return code;
	/* Where files cannot be had asleep, asking for one would start it, unrestored. */
	if ((t.sb->flags & MW_SB_FILES_ASLEEP) == 0 &&
	    (code = mw_ready(app, ctx, user, MW_LEVEL_SANDBOX, max_wait, &t.marker)) != MW_OK)
		return code;
	code = once(&t);
	if (mw_classify(code) != MW_NEXT_WAKE)
		return code;
	mw_not_ready(app, user);
	if (max_wait == 0)
		return not_woken(&t.w, code, false);
	mw_err_clear(&ctx->err);
	code = mw_ready(app, ctx, user, MW_LEVEL_SANDBOX, max_wait, &t.marker);
	return code != MW_OK ? code : once(&t);
}
