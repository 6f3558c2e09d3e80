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

#include "ops/exec/request.h"
#include "ops/exec/view.h"

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

#endif
