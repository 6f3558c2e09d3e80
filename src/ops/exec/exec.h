/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands of clients (behaviour: Exec): jobs of a sandbox, with a row in
 * state/jobs that says whose they are, and with their output in the store once
 * they are over, so that it outlives the sandbox.
 *
 * Waiting is done in steps of MW_EXEC_STEP, each an upstream call: between them a
 * process that is told to end does so, and a client that left is noticed.
 */
#ifndef MW_OPS_EXEC_EXEC_H
#define MW_OPS_EXEC_EXEC_H

#include "app/fields.h"
#include "ops/job/job.h"

#define MW_EXEC_STEP 1800	/* ms */
#define MW_EXEC_MEMORY (8 << 20)	/* bytes for one look, or for one of many jobs */

struct mw_exec_request {
	const char *user;
	struct mw_buf command, input;	/* owned; freed by mw_exec_request_free */
	bool has_input;
	const char *const *env;		/* as of struct mw_job */
	const char *cwd;
	int64_t timeout, max_wake;	/* ms */
	bool stream, gateway;
	const char *key;
	/* How the client is: asked between steps of waiting, may be NULL. */
	bool (*gone)(void *arg);
	void *arg;
};
void mw_exec_request_free(struct mw_exec_request *r);

/*
 * Read POST exec's body (api: Exec): every member checked, defaults and clamps
 * applied.  MW_INVALID_ARGUMENT names the member.
 */
enum mw_code mw_exec_read(struct mw_req *req, struct mw_exec_request *r) MW_MUST;

/*
 * The same event by event, for a body that holds other things too, which it
 * ignores.  `max`: bytes of a command, of an input.  After finish nothing points
 * into `in`; free it in any case.
 */

struct mw_exec_in {
	struct mw_ctx *ctx;
	const struct mw_conf *conf;
	struct mw_exec_request *r;
	/* private */
	struct mw_fields fields;
	struct mw_buf env;	/* "NAME=value" NUL, and on */
	size_t nenv;
	size_t name_at;		/* where the variable in hand begins in env */
};
void mw_exec_in_init(struct mw_exec_in *in, struct mw_ctx *ctx, const struct mw_conf *conf,
    size_t max, struct mw_exec_request *r);
enum mw_code mw_exec_in_event(void *in, enum mw_json_event ev, const char *text, size_t n,
    unsigned depth) MW_MUST;
enum mw_code mw_exec_in_finish(struct mw_exec_in *in) MW_MUST;
void mw_exec_in_free(struct mw_exec_in *in);

/* Is this a member of the body? */
bool mw_exec_in_knows(const char *name);

/* A job as it is now, and a piece of its output. */
struct mw_exec_view {
	struct mw_process row;
	int64_t duration;		/* ms; -1 = has not begun */
	int64_t out_at, err_at;		/* where out and err begin */
	struct mw_buf out, err;
};
void mw_exec_view_init(struct mw_exec_view *v);
void mw_exec_view_free(struct mw_exec_view *v);

/* What to have of the output, and how long to wait for something new, ms. */
struct mw_exec_ask {
	int64_t out_at, err_at;
	size_t max;
	int64_t wait;
};

/*
 * Wake the sandbox, take a turn among exec.max_jobs, and run the command; a key of
 * before attaches to its job.  With request->stream it returns once the job is
 * given to the sandbox, else at its end, with at most `max` bytes of each stream.
 *
 * The command is started at most once, whatever is returned.  Codes that may be
 * returned after that carry the processId in ctx->err.details.  MW_COMMAND_ERROR:
 * it cannot be started.  MW_COMMAND_TIMEOUT: v has its output.  MW_PROCESS_LOST.
 * MW_CONFLICT: the key belongs to another command.  MW_TOO_MANY_REQUESTS.
 */
enum mw_code mw_exec_run(struct mw_app *app, struct mw_ctx *ctx,
    const struct mw_exec_request *r, size_t max, struct mw_exec_view *v) MW_MUST;

/*
 * How a job is.  Never wakes anything.  One that is over is copied to the store
 * by the first look that sees it, and read from there when the sandbox has it no
 * more.  ask->wait is at most one step.  MW_PROCESS_NOT_FOUND, MW_PROCESS_LOST.
 */
enum mw_code mw_exec_look(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    const char *id, const struct mw_exec_ask *ask, struct mw_exec_view *v) MW_MUST;

/* TERM, KILL, and how it is then.  One that is over stays as it is. */
enum mw_code mw_exec_kill(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    const char *id, const struct mw_exec_ask *ask, struct mw_exec_view *v) MW_MUST;

/*
 * For listings of rows, as fn: each with a memory of its own in ctx, as nobody
 * knows how many there are.
 */
struct mw_exec_each {
	struct mw_ctx *ctx;
	mw_process_fn fn;
	void *arg;
};
enum mw_code mw_exec_each(void *each, const struct mw_process *row) MW_MUST;

/* Bring the rows of this user's running jobs up to date, if it is awake. */
enum mw_code mw_exec_refresh(struct mw_app *app, struct mw_ctx *ctx, const char *user) MW_MUST;

/* Its sandbox was stopped while they ran: they are lost. */
enum mw_code mw_exec_stopped(struct mw_app *app, struct mw_ctx *ctx, const char *user) MW_MUST;

/* ---- exec_keep.c ---- */

/*
 * Copy a finished job's output to the store, unless that has been done.  Somebody
 * else at it: waits for them until `until` (monotonic ms), then
 * MW_DEADLINE_EXCEEDED; with 0 it leaves it to them.  MW_PROCESS_LOST.
 */
enum mw_code mw_exec_keep(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row,
    int64_t until) MW_MUST;

/* The same, for who only looks at the job: what another does, fails or would take longer than
 * two seconds is left to the drain.  row may be brought up to date. */
void mw_exec_keep_aside(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row);

/* A piece of it from there. */
enum mw_code mw_exec_kept(struct mw_app *app, struct mw_ctx *ctx, const struct mw_exec_ask *ask,
    struct mw_exec_view *v) MW_MUST;

/*
 * Before a sandbox sleeps, is restarted or backed up: copy the output of all of the
 * user's finished jobs to the store, and wait for others who do.  *running: jobs that are not over.
 */
enum mw_code mw_exec_keep_all(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    unsigned *running) MW_MUST;

/*
 * For the drain: keep what is over in sandboxes known awake, and forget jobs that
 * are older than exec.keep.  What cannot be done now is left for the next time.  With
 * `wait` others that keep a result are waited for, each a part of the time.  Returns
 * how many results could not be kept, or may not be yet.
 */
unsigned mw_exec_tend(struct mw_app *app, struct mw_ctx *ctx, bool wait);

#endif
