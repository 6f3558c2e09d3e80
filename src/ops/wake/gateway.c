/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing up a gateway, watching it, and what it has written. */
#include "ops/wake/gateway.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "state/metrics.h"
#include "app/retry.h"
#include "app/longwait.h"

#define WINDOW_MIN 1000		/* ms of one wait inside */
#define WINDOW_MAX 30000
#define TOO_SHORT 100		/* ms that are not enough for another look */
#define FAILING 4000		/* ms of failed looks that make three of them, 2 s apart */
#define END_WAIT 5000		/* ms for it to end when told to */
#define LAST_LOOK 500		/* ms beyond the wake's time, to see the last lines */
#define LOG_BYTES 3000		/* of each stream, for a failure */

void
mw_leader_enter(struct mw_leader *l, enum mw_phase phase)
{
	if (l->phase != MW_PHASE_NONE && l->phase != phase)
		mw_observe(MW_M_PHASE_TIME, l->phase, 0, 0, mw_now_us() - l->entered);
	if (l->phase != phase)
		l->entered = mw_now_us();
	l->phase = phase;
	atomic_store(&l->row->wake_phase, (int32_t)phase);
}

/* One call about the job of a generation. */
struct call {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sandbox *sb;
	struct mw_job_ask ask;
	struct mw_job_view view;
	enum mw_code (*fn)(struct call *c);
	char id[MW_JOB_ID_MAX + 1];
};

static enum mw_code
call_run(struct call *c)
{
	/* By which the probe knows its processes when its job was removed from under it. */
	static const char *const env[] = { "MW_GATEWAY_JOB=1", NULL };
	const struct mw_job job = {
		.env = env, .command = c->app->conf->gateway.start,
		.command_len = strlen(c->app->conf->gateway.start),
	};

	return mw_job_run(c->app, c->ctx, c->sb, &job, &c->ask, &c->view);
}

static enum mw_code
call_look(struct call *c)
{
	return mw_job_look(c->app, c->ctx, c->sb, &c->ask, &c->view);
}

static enum mw_code
call_kill(struct call *c)
{
	return mw_job_kill(c->app, c->ctx, c->sb, &c->ask, &c->view);
}

static enum mw_code
try_call(void *arg)
{
	struct call *c = arg;

	return c->fn(c);
}

/* The caller frees c->view, whatever comes. */
static enum mw_code
call(struct call *c, struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, uint64_t marker, unsigned generation)
{
	(void)snprintf(c->id, sizeof(c->id), "gateway-%016llx-%u", (unsigned long long)marker,
	    generation);
	c->app = app;
	c->ctx = ctx;
	c->sb = sb;
	c->ask.user = user;
	c->ask.id = c->id;
	c->ask.marker = marker;
	mw_job_view_init(&c->view);
	return mw_retry(app, ctx, MW_UP_SANDBOX, try_call, c);
}

/* ---- what it has written ---- */

/* Whole lines of the end of a stream; a cut first one is left out. */
static const char *
whole_lines(const struct mw_buf *b, size_t max)
{
	const char *nl;

	if (b->len == 0)
		return "";
	nl = b->len < max ? NULL : memchr(b->data, '\n', b->len - 1);
	return nl == NULL ? b->data : nl + 1;
}

/* Both streams as text, out first. */
static const char *
text_of(struct mw_ctx *ctx, const struct mw_job_view *v, size_t max)
{
	const char *out = whole_lines(&v->out, max), *err = whole_lines(&v->err, max);
	size_t n = strlen(out);

	return mw_arena_printf(ctx->arena, "%s%s%s", out,
	    n > 0 && out[n - 1] != '\n' && *err != '\0' ? "\n" : "", err);
}

enum mw_code
mw_gateway_log(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const struct mw_probe *p, size_t max, const char **out)
{
	struct call c = { .fn = call_look,
	    .ask = { .out_at = -(int64_t)max, .err_at = -(int64_t)max, .max = max } };
	enum mw_code code;

	*out = "";
	if (p->generation == 0)
		return MW_OK;
	code = call(&c, app, ctx, sb, user, p->marker, p->generation);
	if (code == MW_OK && (*out = text_of(ctx, &c.view, max)) == NULL)
		code = mw_ctx_nomem(ctx);
	mw_job_view_free(&c.view);
	return code;
}

enum mw_code
mw_gateway_end(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const struct mw_probe *p)
{
	struct call c = { .fn = call_kill, .ask = { .wait = END_WAIT } };
	enum mw_code code;

	if (p->generation == 0)
		return MW_OK;
	code = call(&c, app, ctx, sb, user, p->marker, p->generation);
	mw_job_view_free(&c.view);
	return code;
}

/* ---- bringing it up ---- */

/* The job of the generation in hand, and its last lines, which others may see too. */
static enum mw_code
look(struct mw_leader *l, unsigned generation, enum mw_job_state *state, int *exit_code)
{
	struct call c = { .fn = call_look,
	    .ask = { .out_at = -LOG_BYTES, .err_at = -LOG_BYTES, .max = LOG_BYTES } };
	struct mw_wake_result progress = { .code = MW_OK, .phase = l->phase };
	enum mw_code code = call(&c, l->app, l->ctx, l->sb, l->user, l->probe.marker, generation);

	*state = c.view.state;
	*exit_code = c.view.exit_code;
	if (code == MW_OK && (l->log = text_of(l->ctx, &c.view, LOG_BYTES)) != NULL) {
		progress.gen = atomic_load(&l->row->wake_gen) + 1;
		progress.log = l->log;
		mw_wake_result_save(l->app, l->user, &progress);
	}
	mw_job_view_free(&c.view);
	return code;
}

static enum mw_code
start(struct mw_leader *l, unsigned generation)
{
	struct call c = { .fn = call_run };
	enum mw_code code;

	mw_leader_enter(l, MW_PHASE_GATEWAY_START);
	mw_log(MW_INFO, "[WAKE] userId=%s gateway %u is started requestId=%s", l->user,
	    generation, l->ctx->request_id);
	code = call(&c, l->app, l->ctx, l->sb, l->user, l->probe.marker, generation);
	if (code == MW_OK && c.view.state == MW_JOB_REPLACED)
		code = mw_ctx_fail(l->ctx, MW_SANDBOX_HIBERNATING, "the sandbox was replaced");
	mw_job_view_free(&c.view);
	return code;
}

struct probing {
	struct mw_leader *l;
	struct mw_probe_ask ask;
	struct mw_probe probe;
};

static enum mw_code
try_probe(void *arg)
{
	struct probing *t = arg;

	return mw_probe_run(t->l->app->conf, t->l->ctx, t->l->sb, t->l->user, &t->ask,
	    &t->probe);
}

/* Wait inside for up to `window` ms.  MW_OK says that l->probe is fresh; else it stays. */
static enum mw_code
watch(struct mw_leader *l, int64_t window, const char *job)
{
	struct probing t = { .l = l, .ask = { .gateway = true, .pass = true, .job = job } };
	enum mw_code code;

	mw_leader_enter(l, MW_PHASE_PROBE);
	t.ask.elapsed = mw_now() - l->began;
	t.ask.window = window < mw_left(l->ctx->deadline) ? window : mw_left(l->ctx->deadline);
	code = mw_retry(l->app, l->ctx, MW_UP_SANDBOX, try_probe, &t);
	if (code == MW_OK && t.probe.marker != l->probe.marker)
		return mw_ctx_fail(l->ctx, MW_SANDBOX_HIBERNATING, "the sandbox was replaced");
	if (code == MW_OK)
		l->probe = t.probe;
	return code;
}

static enum mw_code
ended(struct mw_leader *l, enum mw_job_state state, int exit_code)
{
	mw_leader_enter(l, MW_PHASE_GATEWAY_START);
	if (state == MW_JOB_EXITED)
		return mw_ctx_fail(l->ctx, MW_GATEWAY_FAILED, "it ended with exit code %d",
		    exit_code);
	if (state == MW_JOB_ERROR)
		return mw_ctx_fail(l->ctx, MW_GATEWAY_FAILED, "its command cannot be started");
	return mw_ctx_fail(l->ctx, MW_GATEWAY_FAILED, "it was killed");
}

/* The wake's time is over; a moment more shows what it has written last. */
static enum mw_code
out_of_time(struct mw_leader *l, unsigned generation)
{
	enum mw_phase phase = l->phase;
	enum mw_job_state state;
	int exit_code;

	l->ctx->deadline = mw_now() + LAST_LOOK;
	(void)look(l, generation, &state, &exit_code);
	l->ctx->deadline = 0;
	mw_err_clear(&l->ctx->err);
	l->phase = phase;
	return MW_WAKE_TIMEOUT;
}

/* The longer it takes, the longer; and so that its last look is answered in time: what is
 * done inside takes a little longer than what is slept. */
static int64_t
next_window(const struct mw_leader *l)
{
	int64_t window = mw_now() - l->began, left = mw_left(l->ctx->deadline);

	window = window < WINDOW_MIN ? WINDOW_MIN : window > WINDOW_MAX ? WINDOW_MAX : window;
	left -= left / 20 + TOO_SHORT;
	return window < left ? window : left > 0 ? left : 0;
}

/*
 * Until generation `n` passes.  One that ended with 0 may have gone to the background:
 * it has health_timeout to show itself.
 */
static enum mw_code
wait_for(struct mw_leader *l, unsigned generation)
{
	int64_t hidden = 0, began;
	enum mw_job_state state;
	char id[MW_JOB_ID_MAX + 1];
	enum mw_code code;
	int exit_code;

	(void)snprintf(id, sizeof(id), "gateway-%016llx-%u",
	    (unsigned long long)l->probe.marker, generation);
	for (;;) {
		began = mw_now();
		code = watch(l, next_window(l), hidden == 0 ? id : NULL);
		if (code == MW_OK && l->probe.gateway)
			return MW_OK;
		if (mw_left(l->ctx->deadline) < TOO_SHORT)
			return out_of_time(l, generation);
		if (code != MW_OK || (code = look(l, generation, &state, &exit_code)) != MW_OK)
			return code;
		if (hidden == 0 && state == MW_JOB_EXITED && exit_code == 0)
			hidden = mw_now();
		else if (mw_job_over(state) && (hidden == 0 ||
		    mw_now() - hidden > l->app->conf->wake.health_timeout))
			return ended(l, state, exit_code);
		else if (!mw_wait_pace(began, false))
			return mw_ctx_fail(l->ctx, MW_SANDBOX_UNAVAILABLE,
			    "this process was told to end");
	}
}

/*
 * One that has passed and does not any more: if it fails for a while it is ended, alone.
 * *again: the next generation is to be started.
 */
static enum mw_code
watch_failing(struct mw_leader *l, bool running, bool *again)
{
	enum mw_code code = watch(l, FAILING, NULL);

	*again = code == MW_OK && !l->probe.gateway;
	if (!*again)
		return code;
	if (mw_left(l->ctx->deadline) == 0)
		return MW_WAKE_TIMEOUT;
	l->action = MW_ACTION_RESTARTED;
	mw_log(MW_WARN, "[WAKE] userId=%s gateway %u has passed its probe and fails now: "
	    "it is restarted requestId=%s", l->user, l->probe.generation, l->ctx->request_id);
	return running ? mw_gateway_end(l->app, l->ctx, l->sb, l->user, &l->probe) : MW_OK;
}

enum mw_code
mw_gateway_up(struct mw_leader *l)
{
	unsigned generation = l->probe.generation;
	enum mw_job_state state = MW_JOB_NONE;
	bool again = true, passed = l->probe.passed, hidden;
	enum mw_code code = MW_OK;
	int exit_code = 0;

	if (l->probe.gateway)
		return MW_OK;
	if (generation > 0)
		code = look(l, generation, &state, &exit_code);
	if (code != MW_OK)
		return code;
	/* What runs is not killed, but for the one case; what starts is waited for. */
	hidden = generation == 0 || (state == MW_JOB_EXITED && exit_code == 0);
	/* After a sleep there is nothing that could be failing. */
	if (passed && !l->probe.none && (!mw_job_over(state) || hidden))
		code = watch_failing(l, !hidden, &again);
	else if (generation > 0 && !mw_job_over(state))
		again = false;
	if (code != MW_OK || l->probe.gateway)
		return code;
	if (again)
		generation++;
	if (again || state == MW_JOB_READY) {
		if (l->action == MW_ACTION_NONE)
			l->action = passed && !l->probe.none ? MW_ACTION_RESTARTED : MW_ACTION_STARTED;
		code = start(l, generation);
	}
	return code == MW_OK ? wait_for(l, generation) : code;
}
