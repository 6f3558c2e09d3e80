/* SPDX-License-Identifier: BSD-2-Clause */
/* How commands are, those of this request and all others. */
#ifndef MW_OPS_EXEC_LOOK_H
#define MW_OPS_EXEC_LOOK_H

#include "ops/exec/view.h"

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

/* Bring the rows of this user's running jobs up to date, if it is awake. */
enum mw_code mw_exec_refresh(struct mw_app *app, struct mw_ctx *ctx, const char *user) MW_MUST;

/* Its sandbox was stopped while they ran: they are lost. */
enum mw_code mw_exec_stopped(struct mw_app *app, struct mw_ctx *ctx, const char *user) MW_MUST;

#endif
