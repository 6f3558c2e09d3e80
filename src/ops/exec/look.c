/* SPDX-License-Identifier: BSD-2-Clause */
/* How a command is: what the sandbox says about it, and what its row is to say then. */
#include "ops/exec/look.h"

#include <string.h>

#include "app/classify.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "ops/exec/internal.h"
#include "ops/exec/results.h"
#include "ops/ready/quiesce.h"
#include "ops/ready/ready.h"

#define STOP_LOOK 50		/* ms between looks whether a stop is over */

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

enum mw_code
mw_exec_take(struct mw_app *app, struct mw_ctx *ctx, struct mw_job_view *job, struct mw_exec_view *v)
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
		/* What took it may have taken the gateway, too. */
		if (now == MW_PROC_LOST)
			mw_not_ready(app, v->row.user);
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

enum mw_code
mw_exec_lost(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row, const char *how)
{
	const char *unwritten = "";

	if (!mw_process_over(row->state)) {
		mw_not_ready(app, row->user);
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

bool
mw_exec_settled(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row, enum mw_code why)
{
	struct mw_err first = ctx->err;

	while (mw_quiesce_closed(app, row->user) && !mw_stopping() &&
	    mw_left(ctx->deadline) > MW_EXEC_ANSWER_TIME)
		(void)mw_nap(STOP_LOOK);
	mw_err_clear(&ctx->err);
	if (mw_process_get(app->processes, ctx, row->user, row->id, row) == MW_OK &&
	    row->state == MW_PROC_RUNNING && why == MW_SANDBOX_NOT_FOUND)
		(void)!mw_exec_lost(app, ctx, row, "its sandbox was removed");
	ctx->err = first;
	if (mw_process_over(row->state))
		mw_err_clear(&ctx->err);
	return mw_process_over(row->state);
}

int64_t
mw_exec_pause(const struct mw_ctx *ctx, int64_t wait)
{
	int64_t left = mw_left(ctx->deadline) - MW_EXEC_ANSWER_TIME;

	if (wait > MW_EXEC_STEP)
		wait = MW_EXEC_STEP;
	return wait < left ? wait : left > 0 ? left : 0;
}

/* ---- one ---- */

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
		code = mw_exec_lost(app, ctx, &v->row, "its sandbox was replaced");
	} else if (code == MW_OK && job.state == MW_JOB_NONE &&
	    (v->row.state != MW_PROC_CLAIMED || v->row.created + v->row.limit < mw_wall())) {
		code = mw_exec_lost(app, ctx, &v->row, "the sandbox does not know it");
	} else if (code == MW_OK) {
		mw_still_ready(app, ask->user, ask->marker);
		code = mw_exec_take(app, ctx, &job, v);
	}
	if (code == MW_OK && v->row.state == MW_PROC_LOST)
		code = mw_exec_lost(app, ctx, &v->row, "it ended without a result");
	mw_job_view_free(&job);
	return code;
}

/* Of the row in hand. */
static enum mw_code
look_at(struct mw_app *app, struct mw_ctx *ctx, const struct mw_exec_ask *ask, bool kill,
    struct mw_exec_view *v)
{
	struct mw_job_ask inside = { .user = v->row.user, .out_at = ask->out_at, .err_at = ask->err_at,
	    .max = ask->max, .wait = kill ? MW_EXEC_KILL_WAIT : mw_exec_pause(ctx, ask->wait) };
	enum mw_code code;

	if (v->row.state == MW_PROC_LOST)
		return mw_exec_lost(app, ctx, &v->row, "its sandbox was replaced or lost it");
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

static enum mw_code
look(struct mw_app *app, struct mw_ctx *ctx, const char *user, const char *id,
    const struct mw_exec_ask *ask, bool kill, struct mw_exec_view *v)
{
	enum mw_code code;

	v->out_at = ask->out_at;
	v->err_at = ask->err_at;
	if ((code = mw_process_get(app->processes, ctx, user, id, &v->row)) != MW_OK)
		return code;
	code = look_at(app, ctx, ask, kill, v);
	if (mw_classify(code) == MW_NEXT_WAKE && !mw_process_over(v->row.state) &&
	    mw_exec_settled(app, ctx, &v->row, code))
		code = look_at(app, ctx, ask, kill, v);
	return code;
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
 * same, the next look finds its sandbox replaced. */
static enum mw_code
stopped_one(void *arg, const struct mw_process *row)
{
	struct refresh *f = arg;
	struct mw_process now = *row;

	if (row->state == MW_PROC_CLAIMED)
		return MW_OK;
	(void)!mw_exec_lost(f->app, f->ctx, &now, "its sandbox was stopped while it ran");
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
