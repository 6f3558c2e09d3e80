/* SPDX-License-Identifier: BSD-2-Clause */
/* Running a command: its row, its turn, its start and the wait for its end. */
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
#include "app/longwait.h"
#include "ops/exec/internal.h"
#include "ops/exec/look.h"
#include "ops/ready/quiesce.h"
#include "ops/ready/ready.h"

#define ROUNDS 3		/* instances that are tried, should they be replaced under us */
#define TURN_PAUSE 150		/* ms between looks for a free place among the jobs */
#define TURN_REFRESH 7		/* looks after which the running ones are asked how they are */
#define TURN_SLACK 5000		/* ms of the deadline that are left for the rest */
#define LIMIT_SLACK 6000	/* ms after its limit, then a job is ended from here */

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

/*
 * A failure that may come after the start names the process, beside what it has to say of
 * a wake; and it is no reason to send the command again, unless its key makes that safe.
 */
static enum mw_code
name_process(const struct run *x, enum mw_code code)
{
	struct mw_err *err = &x->ctx->err;
	const char *more = err->details != NULL ? err->details + 1 : "}";

	if (code == MW_OK)
		return code;
	err->details = mw_arena_printf(x->ctx->arena, "{\"processId\":\"%s\"%s%s", x->v->row.id,
	    *more != '}' ? "," : "", more);
	err->final = x->r->key == NULL;
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

/* May it have been started? */
static bool
begun(const struct run *x)
{
	return x->known || x->job.doubts > 0;
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
	    begun(x) ? "; the command runs on, ask for its status" : "; try again");
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

static struct mw_job_ask
asking(const struct run *x)
{
	/* One byte more: is there more than the client gets? */
	return (struct mw_job_ask){ .user = x->r->user, .id = x->v->row.id,
	    .marker = x->v->row.marker, .max = x->max + 1,
	    .wait = x->r->stream ? 0 : mw_exec_pause(x->ctx, MW_EXEC_STEP) };
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
		return mw_exec_lost(x->app, x->ctx, &x->v->row, "its sandbox was replaced");
	code = mw_process_move(x->app->processes, x->ctx, &x->v->row, marker, &moved);
	if (code == MW_OK && !moved)
		code = mw_exec_lost(x->app, x->ctx, &x->v->row, "its sandbox was replaced");
	return code;
}

/* Nothing was started, and nothing will be: the row need not hold a place. */
static void
abandon(struct run *x)
{
	struct mw_aside aside;

	if (!x->claimed || begun(x))
		return;
	mw_ctx_aside_begin(x->ctx, x->ctx->deadline, &aside);
	if (mw_process_abandon(x->app->processes, x->ctx, x->v->row.id) == MW_OK)
		x->claimed = false;
	mw_ctx_aside_end(x->ctx, &aside);
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
		if (!x->known && (code == MW_OK || code == MW_STORAGE_FULL ||
		    mw_classify(code) == MW_NEXT_WAKE))
			mw_not_ready(x->app, x->r->user);	/* the next probe mends what it can */
		if (x->known || (code != MW_OK && mw_classify(code) != MW_NEXT_WAKE))
			return code;
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
	ask.wait = mw_exec_pause(x->ctx, overdue(x) ? MW_EXEC_KILL_WAIT : MW_EXEC_STEP);
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

/* The job is over, and was perhaps when the request came: its answer as it is kept. */
static enum mw_code
repeat(struct run *x)
{
	struct mw_exec_ask ask = { .max = x->max + 1 };
	const char *id = x->v->row.id;

	return mw_exec_look(x->app, x->ctx, x->r->user, id, &ask, x->v);
}

static enum mw_code
wait_for_end(struct run *x)
{
	enum mw_code code;

	for (;;) {
		if ((code = mw_exec_take(x->app, x->ctx, &x->job, x->v)) != MW_OK ||
		    mw_process_over(x->v->row.state) ||
		    (x->r->stream && x->job.state != MW_JOB_READY))
			return code;
		if ((code = interrupted(x)) != MW_OK)
			return code;
		if (mw_left(x->ctx->deadline) <= MW_EXEC_ANSWER_TIME)
			return mw_ctx_fail(x->ctx, MW_DEADLINE_EXCEEDED, "process %s has not ended "
			    "within the request's time; ask for its status", x->v->row.id);
		code = ask_again(x);
		if (mw_classify(code) == MW_NEXT_WAKE) {
			mw_not_ready(x->app, x->r->user);
			return mw_exec_settled(x->app, x->ctx, &x->v->row, code) ?
			    repeat(x) : code;
		}
		if (code != MW_OK)
			return code;
		if (x->job.state == MW_JOB_REPLACED || x->job.state == MW_JOB_NONE)
			return mw_exec_lost(x->app, x->ctx, &x->v->row, "its sandbox was replaced");
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
		return mw_exec_lost(x->app, x->ctx, &v->row, "it ended without a result, as if killed by the "
		    "system or with its sandbox");
	default:
		return MW_OK;
	}
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
	return begun(&x) || found ? name_process(&x, code) : code;
}
