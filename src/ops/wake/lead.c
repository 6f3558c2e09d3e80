/* SPDX-License-Identifier: BSD-2-Clause */
/* Leading a wake, in a process of its own: ops/ready/wake_wait.c is the side that waits. */
#include "ops/wake/lead.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "app/classify.h"
#include "ops/wake/gateway.h"
#include "ops/files/marks.h"
#include "ops/sync/restore.h"
#include "app/retry.h"
#include "state/metrics.h"

/* ---- steps ---- */

static enum mw_code
try_start(void *arg)
{
	struct mw_leader *l = arg;
	struct mw_sandbox_status st;
	enum mw_code code;

	code = l->sb->ops->status(l->sb, l->ctx, l->user, &st);
	if (code == MW_OK && st.state == MW_SB_RUNNING)
		return code;
	mw_err_clear(&l->ctx->err);
	l->action = MW_ACTION_STARTED;
	code = l->sb->ops->start(l->sb, l->ctx, l->user);
	l->refusal = code == MW_SANDBOX_CAPACITY || code == MW_SANDBOX_UNAVAILABLE ? code : MW_OK;
	return code;
}

static enum mw_code
try_probe(void *arg)
{
	struct mw_leader *l = arg;
	struct mw_probe_ask ask = {
		.gateway = l->level == MW_LEVEL_GATEWAY, .pass = true, .claim = l->claim,
	};

	return mw_probe_run(l->app->conf, l->ctx, l->sb, l->user, &ask, &l->probe);
}

static enum mw_code
try_mark(void *arg)
{
	struct mw_leader *l = arg;

	return mw_mark(l->app->conf, l->ctx, l->sb, l->user, l->probe.marker);
}

/* 64 random bits; 0 means none. */
static uint64_t
fresh_marker(void)
{
	uint64_t v = 0;

	while (v == 0) {
		if (getrandom(&v, sizeof(v), 0) != (ssize_t)sizeof(v))
			v = 0;
	}
	return v;
}

/* An instance without a marker gets the user's files, and the marker last. */
static enum mw_code
fill(struct mw_leader *l)
{
	enum mw_code code = MW_OK;

	/* It may have run before: it was not ready. */
	l->action = MW_ACTION_STARTED;
	l->sb->allow_unproven = true;
	if (l->app->conf->wake.restore)
		code = mw_restore(l->app, l->ctx, l->sb, l->user);
	if (code == MW_OK)
		code = mw_apply_marks(l->app, l->ctx, l->sb, l->user);
	l->sb->allow_unproven = false;
	if (code != MW_OK)
		return code;
	l->probe.marker = l->claim;
	code = mw_retry(l->app, l->ctx, MW_UP_SANDBOX, try_mark, l);
	/* Without a marker the gateway was not looked at; the platform may start it itself. */
	if (code == MW_OK && l->level == MW_LEVEL_GATEWAY)
		code = mw_retry(l->app, l->ctx, MW_UP_SANDBOX, try_probe, l);
	return code;
}

/* The first level is reached: those who want no more need not wait for the second. */
static void
tell_sandbox(struct mw_leader *l)
{
	mw_still_ready(l->app, l->user, l->probe.marker);
	atomic_fetch_add(&l->row->sandbox_gen, 1);
}

static enum mw_code
once(struct mw_leader *l)
{
	enum mw_code code;

	mw_leader_enter(l, MW_PHASE_SANDBOX_START);
	l->claim = fresh_marker();
	if ((code = mw_retry(l->app, l->ctx, MW_UP_SANDBOX, try_start, l)) != MW_OK ||
	    (code = mw_retry(l->app, l->ctx, MW_UP_SANDBOX, try_probe, l)) != MW_OK)
		return code;
	mw_leader_enter(l, MW_PHASE_RESTORE);
	if (l->probe.marker == 0)
		code = fill(l);
	else if ((code = mw_apply_marks(l->app, l->ctx, l->sb, l->user)) == MW_OK &&
	    l->app->conf->wake.restore)
		code = mw_restore_missing(l->app, l->ctx, l->sb, l->user);
	if (code == MW_OK && l->probe.marker == 0)
		code = mw_ctx_fail(l->ctx, MW_SANDBOX_HIBERNATING, "the sandbox was replaced");
	if (code != MW_OK)
		return code;
	tell_sandbox(l);
	if (l->level == MW_LEVEL_SANDBOX)
		return MW_OK;
	mw_leader_enter(l, MW_PHASE_GATEWAY_START);
	return mw_gateway_up(l);
}

static bool
put_to_sleep(const struct mw_leader *l)
{
	return atomic_load(&l->row->sleeps) != l->sleeps;
}

/* A sandbox that goes away under us is woken again, unless a client wants it asleep. */
static enum mw_code
lead(struct mw_leader *l)
{
	unsigned rounds = (unsigned)l->app->conf->retry.attempts;
	enum mw_code code;

	for (;;) {
		code = once(l);
		if (mw_classify(code) != MW_NEXT_WAKE || put_to_sleep(l) || --rounds == 0 ||
		    mw_left(l->ctx->deadline) == 0)
			return code;
		mw_err_clear(&l->ctx->err);
		mw_not_ready(l->app, l->user);
	}
}

/* ---- the end ---- */

static const char *
text_of(const struct mw_leader *l, enum mw_code code, const char *cause, char *out, size_t size)
{
	const char *phase = mw_phase_words[l->phase];

	if (code == MW_GATEWAY_FAILED)
		(void)snprintf(out, size, "Moltbot gateway failed to start for %s (%s): %.120s",
		    l->user, phase, cause);
	else if (code == MW_WAKE_TIMEOUT)
		(void)snprintf(out, size, "Wake timeout: %s was not ready within %lld ms; it died "
		    "in phase %s%s%.100s", l->user, (long long)l->limit, phase,
		    *cause != '\0' ? ": " : "", cause);
	else
		(void)snprintf(out, size, "%s of the sandbox of %s failed: %.150s", phase,
		    l->user, cause);
	return out;
}

/* Time that ran out in any phase is one code, and what would blame the client's
 * request is not the client's fault. */
static enum mw_code
code_of(const struct mw_leader *l, enum mw_code code)
{
	if (put_to_sleep(l))
		return MW_SANDBOX_HIBERNATING;
	if (code == MW_GATEWAY_FAILED)
		return code;
	if (mw_left(l->ctx->deadline) == 0)
		return MW_WAKE_TIMEOUT;
	if (code == MW_DEADLINE_EXCEEDED)
		return MW_SANDBOX_TIMEOUT;
	if (code == MW_SANDBOX_HIBERNATING ||
	    strcmp(mw_code_info(code)->type, "client_error") == 0)
		return MW_SANDBOX_UNAVAILABLE;
	return code;
}

/* Only what would come out the same again: a gateway that ended, a platform that
 * refuses, the whole time spent. */
static bool
worth_remembering(const struct mw_leader *l, enum mw_code code)
{
	return code == MW_GATEWAY_FAILED || code == MW_WAKE_TIMEOUT ||
	    (code != MW_OK && code == l->refusal);
}

static void
tell_failure(struct mw_leader *l, enum mw_code code)
{
	int64_t ttl = l->app->conf->wake.failure_ttl;
	struct mw_wake_result o = {
		.gen = atomic_load(&l->row->wake_gen) + 1, .code = code, .phase = l->phase,
		.level = l->phase >= MW_PHASE_GATEWAY_START ? MW_LEVEL_GATEWAY : MW_LEVEL_SANDBOX,
		.limit = code == MW_WAKE_TIMEOUT ? l->limit : 0,
		.retry_after = l->ctx->err.retry_after, .log = l->log,
	};

	(void)text_of(l, code, l->ctx->err.msg, o.text, sizeof(o.text));
	mw_log(MW_WARN, "[WAKE] userId=%s failed in phase %s (%s) requestId=%s: %s", l->user,
	    mw_phase_words[l->phase], mw_code_info(code)->name, l->ctx->request_id, o.text);
	mw_wake_result_save(l->app, l->user, &o);
	atomic_store(&l->row->failed_level, (int32_t)o.level);
	atomic_store(&l->row->failed_limit, o.limit);
	atomic_store(&l->row->failed_until, worth_remembering(l, code) ? mw_now() + ttl : 0);
}

static void
tell_success(struct mw_leader *l)
{
	atomic_store(&l->row->failed_until, 0);
	mw_wake_result_forget(l->app, l->user);
	mw_seen_ready(l->app, l->user, &l->probe);
	mw_log(MW_INFO, "[WAKE] userId=%s ready after %lld ms requestId=%s", l->user,
	    (long long)(mw_now() - l->began), l->ctx->request_id);
}

static void
count_wake(const struct mw_leader *l, enum mw_code code)
{
	int64_t us = (mw_now() - l->began) * 1000;
	enum mw_wake_end end = code == MW_OK ? MW_WAKE_OK :
	    code == MW_WAKE_TIMEOUT ? MW_WAKE_TIMED_OUT :
	    put_to_sleep(l) ? MW_WAKE_CANCELLED : MW_WAKE_FAILED;

	mw_observe(MW_M_WAKE_TIME, end, code == MW_OK ? MW_PHASE_NONE : l->phase, 0, us);
	if (end == MW_WAKE_OK || end == MW_WAKE_TIMED_OUT)
		mw_window_observe(MW_LAT_WAKE, us, end != MW_WAKE_OK);
	mw_window_add(MW_SUM_WAKES, 1);
	mw_window_add(MW_SUM_WAKES_OK, end == MW_WAKE_OK);
}

static void
tell(struct mw_leader *l, enum mw_code code)
{
	if (code == MW_OK)
		mw_leader_enter(l, MW_PHASE_NONE);
	count_wake(l, code);
	if (code == MW_OK)
		tell_success(l);
	else
		tell_failure(l, code);
	atomic_store(&l->row->wake_code, (int32_t)code);
	atomic_store(&l->row->wake_level, (int32_t)l->level);
	atomic_store(&l->row->wake_action, (int32_t)l->action);
	atomic_store(&l->row->wake_attempts, l->ctx->attempts);
	atomic_store(&l->row->wake_phase, MW_PHASE_NONE);
	atomic_store(&l->row->wake_pid, 0);
	atomic_fetch_add(&l->row->wake_gen, 1);
}

enum mw_code
mw_wake_lead(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t limit)
{
	struct mw_leader l = { .app = app, .ctx = ctx, .user = user, .level = level,
	    .limit = limit, .began = mw_now(), .row = mw_shm_user(app->shm, user) };
	enum mw_code code;

	ctx->deadline = l.began + limit;
	l.sleeps = atomic_load(&l.row->sleeps);
	atomic_store(&l.row->wake_until, ctx->deadline);
	atomic_store(&l.row->wake_pid, (int32_t)getpid());
	mw_count(MW_M_WAKE_LEADERS, 0, 0, 0, 1);
	mw_log(MW_INFO, "[WAKE] Attempt 1/%lld userId=%s requestId=%s",
	    (long long)app->conf->retry.attempts, user, ctx->request_id);
	if ((code = mw_app_sandbox(app, ctx, &l.sb)) == MW_OK)
		code = lead(&l);
	/* Told to end: nothing came of it, and a process that still waits takes over. */
	if (code != MW_OK && mw_stopping()) {
		atomic_store(&l.row->wake_pid, 0);
		return code;
	}
	if (code != MW_OK)
		code = code_of(&l, code);
	tell(&l, code);
	return code;
}
