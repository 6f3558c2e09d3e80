/* SPDX-License-Identifier: BSD-2-Clause */
/* The results of many commands: kept before a sandbox is stopped, and by the drain. */
#ifndef MW_OPS_EXEC_TEND_H
#define MW_OPS_EXEC_TEND_H

#include "app/app.h"

/*
 * Before a sandbox sleeps, is restarted or backed up: copy the output of all of the
 * user's finished jobs to the store, and wait for other processes that do.  *running: jobs that are not over.
 */
enum mw_code mw_exec_keep_all(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    unsigned *running) MW_MUST;

/*
 * For the drain: keep what is over in sandboxes known awake, and forget jobs that
 * are older than exec.keep.  What cannot be done now is left for the next time.  With
 * `wait` other processes that keep a result are waited for, each a part of the time.  Returns
 * how many results could not be kept, or may not be yet.
 */
unsigned mw_exec_tend(struct mw_app *app, struct mw_ctx *ctx, bool wait);

#endif
