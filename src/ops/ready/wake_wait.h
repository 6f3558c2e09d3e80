/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The waiting side of a wake.  A wake is a helper process, `moltctl wake`, that holds
 * the lock "wake:USER" from its first moment to its last.  A process that finds that lock
 * free starts one; each waits with a deadline of its own and takes the helper's result.
 */
#ifndef MW_OPS_READY_WAKE_WAIT_H
#define MW_OPS_READY_WAKE_WAIT_H

#include "ops/ready/wake_result.h"

/*
 * Wait until the user is ready for `level` or a wake has failed, up to `deadline`.  A
 * helper that is killed is replaced within a moment.  Where this process must stay free
 * (app/longwait.h) it is only started: the client is to come again.  *led: it was started from here;
 * *marker: the instance that is ready.
 */
enum mw_code mw_wake_wait(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    enum mw_level level, int64_t deadline, bool *led, uint64_t *marker) MW_MUST;

/* Only start it, to go on for `limit` ms; *led false = one of another process is in hand. */
enum mw_code mw_wake_spawn(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    enum mw_level level, int64_t limit, bool *led) MW_MUST;

/* End the wakes in hand, and wait a little for that: for who stops a private instance. */
void mw_wakes_stop(struct mw_shm *shm);

#endif
