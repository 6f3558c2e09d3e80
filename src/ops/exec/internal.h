/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of this folder. */
#ifndef MW_OPS_EXEC_INTERNAL_H
#define MW_OPS_EXEC_INTERNAL_H

#include "ops/exec/view.h"
#include "ops/job/job.h"

#define MW_EXEC_ANSWER_TIME 500	/* ms of the deadline that the sandbox has to answer a wait */
#define MW_EXEC_KILL_WAIT 4000		/* ms for a command to die */

/* ---- look.c ---- */

/* Take over what a call has brought; the row is written when it has changed. */
enum mw_code mw_exec_take(struct mw_app *app, struct mw_ctx *ctx, struct mw_job_view *job,
    struct mw_exec_view *v) MW_MUST;

/*
 * MW_PROCESS_LOST, and the row says so.  One that cannot be written stays as it was:
 * the next look finds out the same.
 */
enum mw_code mw_exec_lost(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row,
    const char *how) MW_MUST;

/*
 * Its sandbox is not there any more, says `why`.  True: the command's end is known, and
 * *row has it; who stops a sandbox writes it down before anything can begin there again.
 */
bool mw_exec_settled(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row,
    enum mw_code why) MW_MUST;

/* ms that one call may wait, of `wait`. */
int64_t mw_exec_pause(const struct mw_ctx *ctx, int64_t wait);

/* ---- results.c ---- */

/* The key of a stream ("out", "err"); NULL when memory is out. */
const char *mw_exec_key(struct mw_app *app, struct mw_ctx *ctx, const struct mw_process *row,
    const char *stream);

/*
 * The lock of the process that keeps a command's output or forgets it.  With `until` 0 another
 * holder is no failure: *lock is -1.
 */
enum mw_code mw_exec_lock(struct mw_app *app, struct mw_ctx *ctx, const char *id, int64_t until,
    int *lock) MW_MUST;

#endif
