/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/exec/exec.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/str.h"
#include "base/utf8.h"
#include "app/classify.h"
#include "ops/ready/quiesce.h"
#include "app/longwait.h"
#include "ops/ready/ready.h"

#define ROUNDS 3		/* instances that are tried, should they be replaced under us */
#define TURN_PAUSE 150		/* ms between looks for a free place among the jobs */
#define TURN_REFRESH 7		/* looks after which the running ones are asked how they are */
#define TURN_SLACK 5000		/* ms of the deadline that are left for the rest */
#define LIMIT_SLACK 6000	/* ms after its limit, then a job is ended from here */
#define ANSWER_TIME 500		/* ms of the deadline that the sandbox has to answer a wait */
#define KILL_WAIT 4000		/* ms for a command to die */

struct run {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sandbox *sb;
	const struct mw_exec_request *r;
	size_t max;
	struct mw_exec_view *v;
	struct mw_job_view job;
	bool claimed;		/* the row is there */
	bool joined;		/* by a request before this one */
	bool known;		/* the sandbox has answered that it has the job */
};

void
mw_exec_request_free(struct mw_exec_request *r)
{
	mw_buf_free(&r->command);
	mw_buf_free(&r->input);
}

void
mw_exec_view_init(struct mw_exec_view *v)
{
	memset(v, 0, sizeof(*v));
	v->duration = -1;
	mw_buf_init(&v->out, 0);
	mw_buf_init(&v->err, 0);
}

void
mw_exec_view_free(struct mw_exec_view *v)
{
	mw_buf_free(&v->out);
	mw_buf_free(&v->err);
}

/* ---- what the sandbox says, for the row ---- */

static enum mw_process_state
row_state(enum mw_job_state s)
{
	switch (s) {
	case MW_JOB_RUNNING:
		return MW_PROC_RUNNING;
	case MW_JOB_EXITED:
		return MW_PROC_EXITED;
	case MW_JOB_KILLED:
		return MW_PROC_KILLED;
	case MW_JOB_TIMEOUT:
		return MW_PROC_TIMEOUT;
	case MW_JOB_ERROR:
		return MW_PROC_ERROR;
	case MW_JOB_LOST:
		return MW_PROC_LOST;
	default:
		return MW_PROC_CLAIMED;
	}
}

/* Its times are the sandbox's own; from its age they become ours, once. */
static void
note_times(struct mw_process *row, const struct mw_job_view *job)
{
	if (row->started == 0 && job->age >= 0)
		row->started = mw_wall() - job->age;
	if (row->started > 0 && job->duration >= 0 && mw_job_over(job->state))
		row->ended = row->started + job->duration;
	else if (mw_job_over(job->state))
		row->ended = mw_wall();
}

/* Take over what a call has brought; the row is written when it has changed. */
static enum mw_code
take(struct mw_app *app, struct mw_ctx *ctx, struct mw_job_view *job, struct mw_exec_view *v)
{
	enum mw_process_state now = row_state(job->state);
	enum mw_code code = MW_OK;

	mw_exec_view_free(v);
	v->out = job->out;
	v->err = job->err;
	mw_buf_init(&job->out, 0);
	mw_buf_init(&job->err, 0);
	if (!mw_process_over(v->row.state) &&
	    (now > v->row.state || (v->row.started == 0 && job->age >= 0))) {
		v->row.state = now;
		v->row.exit_code = job->exit_code;
		v->row.out_cut = job->out_cut;
		v->row.err_cut = job->err_cut;
		note_times(&v->row, job);
		code = mw_process_seen(app->processes, ctx, &v->row);
	}
	if (mw_process_over(v->row.state))
		v->duration = v->row.started > 0 ? v->row.ended - v->row.started : job->duration;
	else
		v->duration = job->duration;
	return code;
}

/* A row that cannot be written stays as it was: whoever looks next finds out the same. */
static enum mw_code
lost(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row, const char *how)
{
	const char *unwritten = "";

	if (!mw_process_over(row->state)) {
		row->state = MW_PROC_LOST;
		row->ended = mw_wall();
		if (mw_process_seen(app->processes, ctx, row) != MW_OK) {
			mw_log(MW_ERROR, "[EXEC] userId=%s processId=%s is lost, and its row cannot be "
			    "written: %s", row->user, row->id, ctx->err.msg);
			mw_err_clear(&ctx->err);
			unwritten = "; this was not written down, see the log";
		}
	}
	return mw_ctx_fail(ctx, MW_PROCESS_LOST, "process %s is lost: %s; whether and how far the "
	    "command ran is not known%s", row->id, how, unwritten);
}

/* A failure that may come after the start names the process. */
static enum mw_code
name_process(const struct run *x, enum mw_code code)
{
	struct mw_err *err = &x->ctx->err;

	if (code != MW_OK && err->details == NULL)
		err->details = mw_arena_printf(x->ctx->arena, "{\"processId\":\"%s\"}", x->v->row.id);
	return code;
}

/* ---- claiming ---- */

static void
add_digest(EVP_MD_CTX *md, const void *p, size_t n, bool *good)
{
	uint64_t len = n;

	*good = *good && EVP_DigestUpdate(md, &len, sizeof(len)) == 1 &&
	    EVP_DigestUpdate(md, p, n) == 1;
}

/* Of all that makes it this command, and not another. */
static enum mw_code
digest(struct mw_ctx *ctx, const struct mw_exec_request *r, unsigned char out[32])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool good = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
	size_t i;

	add_digest(md, r->command.data, r->command.len, &good);
	add_digest(md, r->cwd != NULL ? r->cwd : "", r->cwd != NULL ? strlen(r->cwd) : 0, &good);
	for (i = 0; r->env != NULL && r->env[i] != NULL; i++)
		add_digest(md, r->env[i], strlen(r->env[i]), &good);
	add_digest(md, r->has_input ? "i" : "", r->has_input, &good);
	if (r->has_input)
		add_digest(md, r->input.len > 0 ? r->input.data : "", r->input.len, &good);
	good = good && EVP_DigestFinal_ex(md, out, NULL) == 1;
	EVP_MD_CTX_free(md);
	return good ? MW_OK : mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "SHA-256 is not at hand");
}

static enum mw_code
make_row(struct run *x)
{
	struct mw_process *row = &x->v->row;
	size_t n = x->r->command.len;
	char random[25];

	if (n > MW_PROCESS_COMMAND_MAX)
		n = mw_utf8_span(x->r->command.data, MW_PROCESS_COMMAND_MAX);
	mw_str_random_hex(random, 12);
	*row = (struct mw_process){
		.user = x->r->user, .key = x->r->key, .limit = x->r->timeout, .exit_code = -1,
		.id = mw_arena_printf(x->ctx->arena, "job-%s", random),
		.command = mw_arena_dup(x->ctx->arena, x->r->command.data, n),
	};
	if (row->id == NULL || row->command == NULL)
		return mw_ctx_nomem(x->ctx);
	return digest(x->ctx, x->r, row->digest);
}

static enum mw_code
interrupted(struct run *x)
{
	enum mw_code code;

	if (x->r->gone != NULL && x->r->gone(x->r->arg))
		return mw_ctx_fail(x->ctx, MW_CLIENT_GONE, "the client is gone%s",
		    x->known ? "; the command runs on" : "");
	if (!mw_stopping())
		return MW_OK;
	code = mw_ctx_fail(x->ctx, MW_SANDBOX_UNAVAILABLE, "this process was told to end%s",
	    x->known ? "; the command runs on, ask for its status" : "; try again");
	x->ctx->err.retry_after = 1;
	return code;
}

/* Every place is taken: wait for one, as long as the command itself would still fit. */
static enum mw_code
claim(struct run *x, uint64_t marker)
{
	int64_t until = x->ctx->deadline - x->r->timeout - TURN_SLACK;
	unsigned max = (unsigned)x->app->conf->exec.max_jobs, turn;
	enum mw_code code;

	x->v->row.marker = marker;
	for (turn = 1;; turn++) {
		code = mw_process_claim(x->app->processes, x->ctx, &x->v->row, max, &x->joined);
		if (code != MW_TOO_MANY_REQUESTS || mw_left(until) == 0)
			break;
		mw_err_clear(&x->ctx->err);
		if ((code = interrupted(x)) != MW_OK)
			break;
		if (turn % TURN_REFRESH == 1 &&
		    mw_exec_refresh(x->app, x->ctx, x->r->user) != MW_OK)
			mw_err_clear(&x->ctx->err);
		(void)mw_nap(TURN_PAUSE);
	}
	x->claimed = code == MW_OK;
	return code;
}

/* ---- running ---- */

static int64_t
step(const struct mw_ctx *ctx, int64_t wait)
{
	int64_t left = mw_left(ctx->deadline) - ANSWER_TIME;

	if (wait > MW_EXEC_STEP)
		wait = MW_EXEC_STEP;
	return wait < left ? wait : left > 0 ? left : 0;
}

static struct mw_job_ask
asking(const struct run *x)
{
	/* One byte more: is there more than the client gets? */
	return (struct mw_job_ask){ .user = x->r->user, .id = x->v->row.id,
	    .marker = x->v->row.marker, .max = x->max + 1,
	    .wait = x->r->stream ? 0 : step(x->ctx, MW_EXEC_STEP) };
}

static enum mw_code
start(struct run *x)
{
	struct mw_job job = {
		.command = x->r->command.data, .command_len = x->r->command.len,
		.env = x->r->env, .cwd = x->r->cwd, .limit = x->v->row.limit,
		.input = x->r->has_input ? (x->r->input.len > 0 ? x->r->input.data : "") : NULL,
		.input_len = x->r->input.len,
	};
	struct mw_job_ask ask = asking(x);
	enum mw_code code;
	int inside;

	if ((code = mw_quiesce_enter(x->app, x->ctx, x->r->user, &inside)) != MW_OK)
		return code;
	code = mw_job_run(x->app, x->ctx, x->sb, &job, &ask, &x->job);
	mw_quiesce_leave(x->app, x->r->user, inside);
	return code;
}

/* The instance in place is another one than the row was meant for. */
static enum mw_code
follow(struct run *x, uint64_t marker)
{
	enum mw_code code;
	bool moved;

	if (x->job.doubts > 0)
		return lost(x->app, x->ctx, &x->v->row, "its sandbox was replaced");
	code = mw_process_move(x->app->processes, x->ctx, &x->v->row, marker, &moved);
	if (code == MW_OK && !moved)
		code = lost(x->app, x->ctx, &x->v->row, "its sandbox was replaced");
	return code;
}

/* Nothing was started, and nothing will be: the row need not hold a place. */
static void
abandon(struct run *x)
{
	struct mw_err err = x->ctx->err;

	if (!x->claimed || x->known || x->job.doubts > 0)
		return;
	if (mw_process_abandon(x->app->processes, x->ctx, x->v->row.id) == MW_OK)
		x->claimed = false;
	x->ctx->err = err;
}

/*
 * Until the sandbox has answered that the job is there.  One that is asleep or
 * another than expected has started nothing; anything else is in doubt, and the
 * next call attaches to what it may have started.
 */
static enum mw_code
launch(struct run *x)
{
	enum mw_level level = x->r->gateway ? MW_LEVEL_GATEWAY : MW_LEVEL_SANDBOX;
	enum mw_code code = MW_OK;
	uint64_t marker;
	unsigned round;

	for (round = 0; round < ROUNDS; round++) {
		mw_err_clear(&x->ctx->err);
		if ((code = mw_ready(x->app, x->ctx, x->r->user, level, x->r->max_wake,
		    &marker)) != MW_OK)
			return code;
		if (!x->claimed && (code = claim(x, marker)) != MW_OK)
			return code;
		if (x->v->row.marker != marker && !mw_process_over(x->v->row.state) &&
		    (code = follow(x, marker)) != MW_OK)
			return code;
		if (mw_process_over(x->v->row.state))
			return MW_OK;
		code = start(x);
		x->known = code == MW_OK && x->job.state != MW_JOB_REPLACED;
		if (x->known)
			mw_still_ready(x->app, x->r->user, marker);
		if (x->known || (code != MW_OK && mw_classify(code) != MW_NEXT_WAKE))
			return code;
		mw_not_ready(x->app, x->r->user);
	}
	if (code == MW_OK)
		code = mw_ctx_fail(x->ctx, MW_SANDBOX_UNAVAILABLE,
		    "the sandbox of %s is replaced again and again; try again later", x->r->user);
	return code;
}

/* Its limit has passed and nobody inside has ended it. */
static bool
overdue(const struct run *x)
{
	return x->v->duration > x->v->row.limit + LIMIT_SLACK;
}

/* Ask again, waiting for its end.  Only that is news, and output is not. */
static enum mw_code
ask_again(struct run *x)
{
	enum mw_job_state before = x->job.state;
	struct mw_job_ask ask = asking(x);
	int64_t began = mw_now();
	struct mw_scratch s;
	enum mw_code code;

	if ((code = mw_scratch_open(&s, x->ctx, MW_EXEC_MEMORY)) != MW_OK)
		return code;
	mw_scratch_enter(&s);
	ask.wait = step(x->ctx, overdue(x) ? KILL_WAIT : MW_EXEC_STEP);
	/* Only a job that is there is waited for: run is for one that is not. */
	code = before == MW_JOB_READY ? start(x) : overdue(x) ?
	    mw_job_kill(x->app, x->ctx, x->sb, &ask, &x->job) :
	    mw_job_wait(x->app, x->ctx, x->sb, &ask, &x->job);
	mw_scratch_leave(&s);
	mw_scratch_close(&s);
	if (code == MW_OK)
		(void)mw_wait_pace(began, x->job.state != before);
	return code;
}

static enum mw_code
wait_for_end(struct run *x)
{
	enum mw_code code;

	for (;;) {
		if ((code = take(x->app, x->ctx, &x->job, x->v)) != MW_OK ||
		    mw_process_over(x->v->row.state) ||
		    (x->r->stream && x->job.state != MW_JOB_READY))
			return code;
		if ((code = interrupted(x)) != MW_OK)
			return code;
		if (mw_left(x->ctx->deadline) <= ANSWER_TIME)
			return mw_ctx_fail(x->ctx, MW_DEADLINE_EXCEEDED, "process %s has not ended "
			    "within the request's time; ask for its status", x->v->row.id);
		if ((code = ask_again(x)) != MW_OK)
			return code;
		if (x->job.state == MW_JOB_REPLACED || x->job.state == MW_JOB_NONE)
			return lost(x->app, x->ctx, &x->v->row, "its sandbox was replaced");
		mw_still_ready(x->app, x->r->user, x->v->row.marker);
	}
}

static enum mw_code
outcome(struct run *x)
{
	struct mw_exec_view *v = x->v;

	switch (v->row.state) {
	case MW_PROC_ERROR:
		return mw_ctx_fail(x->ctx, MW_COMMAND_ERROR, "the command was not started: %.200s",
		    v->err.len > 0 ? v->err.data : "the shell cannot parse it");
	case MW_PROC_TIMEOUT:
		return mw_ctx_fail(x->ctx, MW_COMMAND_TIMEOUT, "timeout: the command was killed after "
		    "%lld ms; give it more time, or start it with stream",
		    (long long)v->row.limit);
	case MW_PROC_LOST:
		return lost(x->app, x->ctx, &v->row, "it ended without a result, as if killed by the "
		    "system or with its sandbox");
	default:
		return MW_OK;
	}
}

/* The same request was made before, and its job is over: its answer again. */
static enum mw_code
repeat(struct run *x)
{
	struct mw_exec_ask ask = { .max = x->max + 1 };
	const char *id = x->v->row.id;

	return mw_exec_look(x->app, x->ctx, x->r->user, id, &ask, x->v);
}

enum mw_code
mw_exec_run(struct mw_app *app, struct mw_ctx *ctx, const struct mw_exec_request *r, size_t max,
    struct mw_exec_view *v)
{
	struct run x = { .app = app, .ctx = ctx, .r = r, .max = max, .v = v };
	unsigned char mine[32];
	enum mw_code code;
	bool found = false;

	mw_job_view_init(&x.job);
	if ((code = mw_app_sandbox(app, ctx, &x.sb)) != MW_OK || (code = make_row(&x)) != MW_OK)
		return code;
	memcpy(mine, v->row.digest, sizeof(mine));
	if (r->key != NULL)	/* a job that is over needs no sandbox */
		code = mw_process_by_key(app->processes, ctx, r->user, r->key, &v->row, &found);
	if (code == MW_OK && found && memcmp(mine, v->row.digest, sizeof(mine)) != 0)
		code = mw_ctx_fail(ctx, MW_CONFLICT, "idempotencyKey: it was used for another "
		    "command, process %s; take another key", v->row.id);
	if (code == MW_OK && found && mw_process_over(v->row.state))
		code = repeat(&x);
	else if (code == MW_OK && (!found || (code = make_row(&x)) == MW_OK) &&
	    (code = launch(&x)) == MW_OK)
		code = mw_process_over(v->row.state) ? repeat(&x) : wait_for_end(&x);
	if (code == MW_OK)
		code = outcome(&x);
	else
		abandon(&x);
	mw_job_view_free(&x.job);
	return x.claimed || found ? name_process(&x, code) : code;
}

/* ---- looking ---- */

/* What the sandbox has of it.  MW_OK: v is it. */
static enum mw_code
look_inside(struct mw_app *app, struct mw_ctx *ctx, const struct mw_job_ask *ask, bool kill,
    struct mw_exec_view *v)
{
	struct mw_job_view job;
	struct mw_sandbox *sb;
	enum mw_code code;

	mw_job_view_init(&job);
	if ((code = mw_app_sandbox(app, ctx, &sb)) == MW_OK)
		code = kill ? mw_job_kill(app, ctx, sb, ask, &job) :
		    mw_job_look(app, ctx, sb, ask, &job);
	if (code == MW_OK && job.state == MW_JOB_REPLACED) {
		mw_not_ready(app, ask->user);
		code = lost(app, ctx, &v->row, "its sandbox was replaced");
	} else if (code == MW_OK && job.state == MW_JOB_NONE &&
	    (v->row.state != MW_PROC_CLAIMED || v->row.created + v->row.limit < mw_wall())) {
		code = lost(app, ctx, &v->row, "the sandbox does not know it");
	} else if (code == MW_OK) {
		mw_still_ready(app, ask->user, ask->marker);
		code = take(app, ctx, &job, v);
	}
	if (code == MW_OK && v->row.state == MW_PROC_LOST)
		code = lost(app, ctx, &v->row, "it ended without a result");
	mw_job_view_free(&job);
	return code;
}

static enum mw_code
look(struct mw_app *app, struct mw_ctx *ctx, const char *user, const char *id,
    const struct mw_exec_ask *ask, bool kill, struct mw_exec_view *v)
{
	struct mw_job_ask inside = { .user = user, .out_at = ask->out_at, .err_at = ask->err_at,
	    .max = ask->max, .wait = kill ? KILL_WAIT : step(ctx, ask->wait) };
	enum mw_code code;

	v->out_at = ask->out_at;
	v->err_at = ask->err_at;
	if ((code = mw_process_get(app->processes, ctx, user, id, &v->row)) != MW_OK)
		return code;
	if (v->row.state == MW_PROC_LOST)
		return lost(app, ctx, &v->row, "its sandbox was replaced or lost it");
	if (v->row.gone)
		return mw_ctx_fail(ctx, MW_PROCESS_LOST, "the output of process %s is lost: its "
		    "sandbox was replaced before anybody asked for it", v->row.id);
	if (v->row.kept)
		return mw_exec_kept(app, ctx, ask, v);
	inside.id = v->row.id;
	inside.marker = v->row.marker;
	if ((code = look_inside(app, ctx, &inside, kill && !mw_process_over(v->row.state), v)) != MW_OK)
		return code;
	if (mw_process_over(v->row.state))
		mw_exec_keep_aside(app, ctx, &v->row);
	return MW_OK;
}

enum mw_code
mw_exec_look(struct mw_app *app, struct mw_ctx *ctx, const char *user, const char *id,
    const struct mw_exec_ask *ask, struct mw_exec_view *v)
{
	return look(app, ctx, user, id, ask, false, v);
}

enum mw_code
mw_exec_kill(struct mw_app *app, struct mw_ctx *ctx, const char *user, const char *id,
    const struct mw_exec_ask *ask, struct mw_exec_view *v)
{
	return look(app, ctx, user, id, ask, true, v);
}

/* ---- all of a user's ---- */

struct refresh {
	struct mw_app *app;
	struct mw_ctx *ctx;
	bool asked, awake;		/* whether it is awake: only if there is a row to ask for */
};

static enum mw_code
refresh_one(void *arg, const struct mw_process *row)
{
	struct refresh *f = arg;
	struct mw_job_ask ask = { .user = row->user, .id = row->id, .marker = row->marker };
	struct mw_exec_view v;
	enum mw_code code;

	if (!f->asked)
		f->awake = mw_is_awake(f->app, f->ctx, row->user);
	f->asked = true;
	if (!f->awake)
		return MW_OK;
	mw_exec_view_init(&v);
	v.row = *row;
	code = look_inside(f->app, f->ctx, &ask, false, &v);
	mw_exec_view_free(&v);
	if (code != MW_OK && code != MW_PROCESS_LOST)
		return code;
	mw_err_clear(&f->ctx->err);
	return MW_OK;
}

/* One that nobody saw run may wait for the gate, and run later.  If it was started all the
 * same, whoever looks next finds its sandbox replaced. */
static enum mw_code
stopped_one(void *arg, const struct mw_process *row)
{
	struct refresh *f = arg;
	struct mw_process now = *row;

	if (row->state == MW_PROC_CLAIMED)
		return MW_OK;
	(void)lost(f->app, f->ctx, &now, "its sandbox was stopped while it ran");
	mw_err_clear(&f->ctx->err);
	return MW_OK;
}

enum mw_code
mw_exec_refresh(struct mw_app *app, struct mw_ctx *ctx, const char *user)
{
	struct refresh f = { .app = app, .ctx = ctx };
	struct mw_exec_each e = { .ctx = ctx, .fn = refresh_one, .arg = &f };

	return mw_process_running(app->processes, ctx, user, mw_exec_each, &e);
}

enum mw_code
mw_exec_stopped(struct mw_app *app, struct mw_ctx *ctx, const char *user)
{
	struct refresh f = { .app = app, .ctx = ctx };
	struct mw_exec_each e = { .ctx = ctx, .fn = stopped_one, .arg = &f };

	return mw_process_running(app->processes, ctx, user, mw_exec_each, &e);
}

enum mw_code
mw_exec_each(void *arg, const struct mw_process *row)
{
	struct mw_exec_each *e = arg;
	struct mw_arena *own = e->ctx->arena;
	enum mw_code code;

	if ((e->ctx->arena = mw_arena_open(MW_EXEC_MEMORY)) == NULL) {
		e->ctx->arena = own;
		return mw_ctx_nomem(e->ctx);
	}
	code = e->fn(e->arg, row);
	e->ctx->err.details = NULL;	/* it was in there */
	mw_arena_close(e->ctx->arena);
	e->ctx->arena = own;
	return code;
}
