/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs: commands that the sandbox starts at most once, however often it is asked
 * (behaviour: Exec).  The client of ops/job/job.sh, which runs inside and is sent
 * along with every call.
 *
 * Each function is one upstream call that may be repeated: a lost answer
 * (MW_SANDBOX_UNREACHABLE, MW_SANDBOX_TIMEOUT) is asked for again, with the same
 * id and marker, by mw_retry, and that attaches to what the first one started.
 * No function wakes anything: MW_SANDBOX_HIBERNATING, MW_SANDBOX_NOT_FOUND.
 */
#ifndef MW_OPS_JOB_JOB_H
#define MW_OPS_JOB_JOB_H

#include "base/buf.h"
#include "app/app.h"

#define MW_JOB_ID_MAX 64		/* bytes of an id: letters, digits, '-' */
#define MW_JOB_WAIT_MAX 55000		/* ms that one call may wait */

struct mw_job {
	const char *command;		/* for sh; no NUL in it */
	size_t command_len;
	const char *const *env;		/* "NAME=value", names as the shell has them, or NULL */
	const char *cwd;		/* absolute, or below the user's root; NULL = the root */
	const void *input;		/* stdin; NULL = none */
	size_t input_len;
	int64_t limit;			/* ms, then TERM and after 2 s KILL; 0 = none */
};

struct mw_job_ask {
	const char *user, *id;
	uint64_t marker;	/* of the instance that is meant */
	/* Bytes of each stream to skip; -N = the last N bytes, whatever comes before. */
	int64_t out_at, err_at;
	size_t max;			/* bytes of each stream to have at most */
	int64_t wait;			/* ms; look: for anything new, the others: for its end */
};

enum mw_job_state {
	MW_JOB_NONE,		/* never heard of */
	MW_JOB_READY,		/* not started yet, or just being started */
	MW_JOB_RUNNING,
	MW_JOB_EXITED,		/* by itself */
	MW_JOB_KILLED,		/* by mw_job_kill() */
	MW_JOB_TIMEOUT,		/* killed at its limit */
	MW_JOB_ERROR,		/* cannot be started; err says why: syntax, directory */
	MW_JOB_LOST,		/* was started; neither process nor result is left */
	MW_JOB_REPLACED		/* another instance: nothing was looked at, claimed or run */
};

struct mw_job_view {
	enum mw_job_state state;
	int exit_code;		/* 128 + N when signal N ended it; -1 = none yet */
	int64_t age;		/* ms since it began, -1 = has not */
	int64_t duration;	/* ms it ran, or has run so far; -1 = has not */
	bool out_cut, err_cut;	/* it wrote more than exec.max_stored: the rest is gone */
	struct mw_buf out, err;	/* from the offsets asked for */
	uint64_t marker;	/* the one it was asked with */
	unsigned doubts;	/* calls whose answer was lost: they may have started it */
};

void mw_job_view_init(struct mw_job_view *v);
void mw_job_view_free(struct mw_job_view *v);
/* Has it come to its end, whichever? */
bool mw_job_over(enum mw_job_state state);

/*
 * Start the job, or attach to it if it was started before, and wait.  MW_OK says
 * that v is known, not that the command was successful.  MW_STORAGE_FULL: the
 * sandbox cannot store the command, nothing was started.  v->doubts is raised,
 * never reset: MW_JOB_REPLACED with doubts may be a job that ran and is lost.
 */
enum mw_code mw_job_run(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const struct mw_job *job, const struct mw_job_ask *ask, struct mw_job_view *v) MW_MUST;

/* These never start it. */
enum mw_code mw_job_look(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const struct mw_job_ask *ask, struct mw_job_view *v) MW_MUST;
enum mw_code mw_job_wait(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const struct mw_job_ask *ask, struct mw_job_view *v) MW_MUST;

/* TERM to its session, KILL after 2 s; one that is not started yet never will be. */
enum mw_code mw_job_kill(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const struct mw_job_ask *ask, struct mw_job_view *v) MW_MUST;

#endif
