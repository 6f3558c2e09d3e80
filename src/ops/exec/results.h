/* SPDX-License-Identifier: BSD-2-Clause */
/* The output of finished commands in the store. */
#ifndef MW_OPS_EXEC_RESULTS_H
#define MW_OPS_EXEC_RESULTS_H

#include "ops/exec/view.h"

/*
 * Copy a finished job's output to the store, unless that has been done.  While another
 * process copies it, this one waits until `until` (monotonic ms), then fails with
 * MW_DEADLINE_EXCEEDED; with 0 it leaves it to the other.  MW_PROCESS_LOST.
 */
enum mw_code mw_exec_keep(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row,
    int64_t until) MW_MUST;

/*
 * The same for who only looks at the job: what another process copies, what fails, and what
 * would take longer than two seconds is left to the drain.  row may be brought up to date.
 */
void mw_exec_keep_aside(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row);

/* A piece of it from there. */
enum mw_code mw_exec_kept(struct mw_app *app, struct mw_ctx *ctx, const struct mw_exec_ask *ask,
    struct mw_exec_view *v) MW_MUST;

#endif
