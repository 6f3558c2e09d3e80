/* SPDX-License-Identifier: BSD-2-Clause */
/* Attempts, backoff, retry budget and breakers around a call to an upstream. */
#include "app/retry.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "app/classify.h"
#include "app/longwait.h"
#include "state/metrics.h"

#define COST 5			/* tokens of a retry */
#define COST_TIMEOUT 10		/* of one after a timeout */

struct trying {
	struct mw_app *app;
	struct mw_ctx *ctx;
	enum mw_upstream up;
	bool guarded;			/* there is a breaker */
	struct mw_breaker breaker;
	unsigned made;			/* attempts */
};

static uint32_t
draw(const struct mw_app *app)
{
	uint32_t r;

	if (app->chance.draw != NULL)
		return app->chance.draw(app->chance.arg);
	/* Without chance: the middle. */
	return getrandom(&r, sizeof(r), 0) == (ssize_t)sizeof(r) ? r : UINT32_MAX / 2;
}

int64_t
mw_backoff(const struct mw_app *app, int64_t base, unsigned n)
{
	int64_t ceiling = base, max = app->conf->retry.max;

	while (n-- > 0 && ceiling < max)
		ceiling *= 2;
	if (ceiling > max)
		ceiling = max;
	return (int64_t)((double)draw(app) / UINT32_MAX * (double)ceiling);
}

bool
mw_retry_breaker(struct mw_app *app, const struct mw_ctx *ctx, enum mw_upstream up,
    struct mw_breaker *b)
{
	const struct mw_conf *conf = app->conf;

	if (up == MW_UP_STORE && app->store != NULL)
		mw_breaker_of_store(b, app->shm, app->store->identity,
		    conf->breaker.failures, conf->breaker.open);
	else if (up == MW_UP_SANDBOX && ctx->user != NULL)
		mw_breaker_of_user(b, app->shm, ctx->user,
		    conf->breaker.failures, conf->breaker.open);
	else
		return false;
	return true;
}

void
mw_retry_answered(struct mw_app *app, const struct mw_ctx *ctx, enum mw_upstream up)
{
	struct mw_breaker b;

	if (mw_retry_breaker(app, ctx, up, &b))
		(void)mw_breaker_end(&b, MW_SAYS_WELL);
}

static const char *
upstream(enum mw_upstream up)
{
	return up == MW_UP_STORE ? "R2" : "the sandbox";
}

static enum mw_code
not_there(enum mw_upstream up)
{
	return up == MW_UP_STORE ? MW_STORE_UNAVAILABLE : MW_SANDBOX_UNAVAILABLE;
}

/* Whole seconds, at least one. */
static unsigned
seconds(int64_t ms)
{
	return ms <= 1000 ? 1 : (unsigned)((ms + 999) / 1000);
}

/* No call is made, for `wait` ms.  What the last one said stays, if there was one. */
static enum mw_code
left_alone(struct trying *t, enum mw_code code, const struct mw_err *last, int64_t wait)
{
	struct mw_ctx *ctx = t->ctx;

	if (t->made > 0)
		ctx->err = *last;
	else
		code = mw_ctx_fail(ctx, not_there(t->up),
		    "%s has failed several times in a row and is left alone; "
		    "it is tried again in %u s", upstream(t->up), seconds(wait));
	if (ctx->err.retry_after < seconds(wait))
		ctx->err.retry_after = seconds(wait);
	return code;
}

static enum mw_code
stopping(struct trying *t, const struct mw_err *last)
{
	enum mw_code code = mw_ctx_fail(t->ctx, not_there(t->up),
	    "This process of the gateway is being stopped (%.150s)", last->msg);

	t->ctx->err.retry_after = 1;
	return code;
}

/* In the words of the metrics: ok not_found refused asleep unavailable timeout. */
static unsigned
outcome(const struct mw_ctx *ctx, enum mw_code code)
{
	if (code == MW_OK)
		return 0;
	if (code == MW_FILE_NOT_FOUND)
		return 1;
	if (mw_classify(code) == MW_NEXT_WAKE)
		return 3;
	if (ctx->err.timed_out || code == MW_SANDBOX_TIMEOUT || code == MW_DEADLINE_EXCEEDED)
		return 5;
	return mw_is_outage(code) ? 4 : 2;
}

static void
count_call(const struct trying *t, enum mw_code code, int64_t us)
{
	unsigned end = outcome(t->ctx, code);

	mw_observe(MW_M_CALL_TIME, t->up == MW_UP_SANDBOX, end, 0, us);
	mw_window_observe(t->up == MW_UP_STORE ? MW_LAT_STORE : MW_LAT_SANDBOX, us, end >= 4);
}

static enum mw_code
attempt(struct trying *t, mw_try_fn fn, void *arg)
{
	int64_t began = mw_now_us();
	struct mw_ctx *ctx = t->ctx;
	enum mw_code code;

	if (t->made++ > 0)
		ctx->retries++;
	mw_ctx_count(ctx);
	code = fn(arg);
	ctx->counted = false;
	count_call(t, code, mw_now_us() - began);
	if (t->guarded && mw_breaker_end(&t->breaker, mw_class(code)->verdict))
		mw_count(MW_M_OPENINGS, t->up == MW_UP_SANDBOX, 0, 0, 1);
	if (mw_class(code)->verdict == MW_SAYS_WELL)
		mw_budget_give(t->app->shm);
	return code;
}

static int64_t
denied(const struct trying *t, enum mw_denial why)
{
	mw_count(MW_M_DENIED, t->up == MW_UP_SANDBOX, why, 0, 1);
	return -1;
}

/* ms before the next attempt; -1 = there is none. */
static int64_t
next_in(struct trying *t, enum mw_code code)
{
	const struct mw_conf *conf = t->app->conf;
	struct mw_ctx *ctx = t->ctx;
	bool near = t->up == MW_UP_STORE || code == MW_SANDBOX_UNREACHABLE;
	bool late = ctx->err.timed_out || code == MW_SANDBOX_TIMEOUT;
	int64_t pause, wait;

	if (mw_classify(code) != MW_NEXT_RETRY)
		return -1;
	if (t->made >= (unsigned)conf->retry.attempts)
		return denied(t, MW_NO_ATTEMPTS);
	pause = mw_backoff(t->app, near ? conf->retry.store_base : conf->retry.base, t->made - 1);
	if ((int64_t)ctx->err.retry_after * 1000 > pause)
		pause = (int64_t)ctx->err.retry_after * 1000;
	if (t->guarded && mw_breaker_state(&t->breaker, &wait) == MW_BREAKER_OPEN) {
		if (ctx->err.retry_after < seconds(wait))
			ctx->err.retry_after = seconds(wait);
		return denied(t, MW_NO_BREAKER);
	}
	if (pause >= mw_left(ctx->deadline))
		return denied(t, MW_NO_TIME);
	if (!mw_budget_take(t->app->shm, late ? COST_TIMEOUT : COST, conf->retry.budget))
		return denied(t, MW_NO_BUDGET);
	mw_count(MW_M_RETRIES, t->up == MW_UP_SANDBOX,
	    late ? 0 : code == MW_TOO_MANY_REQUESTS ? 2 : 1, 0, 1);
	return pause;
}

/* False: we are told to end.  A wait that an upstream asked for may be long. */
static enum mw_code
rest(struct trying *t, int64_t pause, const struct mw_err *last)
{
	struct mw_app *app = t->app;
	enum mw_code code;
	int wait = -1;

	if (pause > app->conf->retry.max &&
	    (code = mw_wait_begin(app, t->ctx, &wait)) != MW_OK) {
		t->ctx->err = *last;
		return last->code;
	}
	if (app->chance.sleep != NULL)
		app->chance.sleep(app->chance.arg, pause);
	else
		(void)mw_nap(pause);
	mw_wait_end(app, wait);
	return mw_stopping() ? stopping(t, last) : MW_OK;
}

enum mw_code
mw_retry(struct mw_app *app, struct mw_ctx *ctx, enum mw_upstream up,
    mw_try_fn fn, void *arg)
{
	struct trying t = { .app = app, .ctx = ctx, .up = up };
	struct mw_err last = { .code = MW_OK };
	enum mw_code code = MW_OK;
	int64_t wait;

	t.guarded = mw_retry_breaker(app, ctx, up, &t.breaker);
	for (;;) {
		if (mw_left(ctx->deadline) == 0)
			return mw_ctx_fail(ctx, MW_DEADLINE_EXCEEDED,
			    "The request's deadline ran out before %s was asked; "
			    "try again with more time", upstream(up));
		wait = t.guarded ? mw_breaker_begin(&t.breaker,
		    ctx->waking && up == MW_UP_SANDBOX) : 0;
		if (wait > 0)
			return left_alone(&t, code, &last, wait);
		code = attempt(&t, fn, arg);
		if ((wait = next_in(&t, code)) < 0)
			return code;
		mw_log(MW_DEBUG, "attempt %u of %lld failed (%s: %s), again in %lld ms",
		    t.made, (long long)app->conf->retry.attempts, mw_code_info(code)->name,
		    ctx->err.msg, (long long)wait);
		last = ctx->err;
		mw_err_clear(&ctx->err);
		if ((code = rest(&t, wait, &last)) != MW_OK)
			return code;
		code = last.code;
	}
}

enum mw_code
mw_retry_once(struct mw_app *app, struct mw_ctx *ctx, enum mw_upstream up, mw_try_fn fn,
    void *arg)
{
	struct trying t = { .app = app, .ctx = ctx, .up = up };
	int64_t wait = 0;

	t.guarded = mw_retry_breaker(app, ctx, up, &t.breaker);
	if (t.guarded)
		wait = mw_breaker_begin(&t.breaker, ctx->waking && up == MW_UP_SANDBOX);
	return wait > 0 ? left_alone(&t, MW_OK, NULL, wait) : attempt(&t, fn, arg);
}
