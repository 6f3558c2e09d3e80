/* SPDX-License-Identifier: BSD-2-Clause */
/* Long waits of a process, so that one of its pool is always left to serve. */
#ifndef MW_APP_LONGWAIT_H
#define MW_APP_LONGWAIT_H

#include "app/app.h"

/*
 * Before a long wait: a cold wake, a long poll, a stream.  Of the N processes of
 * a responder (the most that its pool may have, or app->procs; nothing is limited if
 * that is 0 or 1) N - 1 may wait at once.  The next one waits here for a place, for 2 s
 * or until a connection needs this process; then this fails with
 * MW_SANDBOX_UNAVAILABLE and Retry-After 1.
 * *slot goes to mw_wait_end, in any case.  Waits may nest.
 */
enum mw_code mw_wait_begin(struct mw_app *app, struct mw_ctx *ctx, int *slot) MW_MUST;
void mw_wait_end(struct mw_app *app, int slot);

/*
 * After a call that was to wait inside a sandbox, begun at `began` (monotonic ms), and
 * before the next one: what waits there is in its user's hands and may answer at once.
 * Without any news in under 100 ms this sleeps for 100 ms, or until this process is told
 * to end.  False: it is.
 */
bool mw_wait_pace(int64_t began, bool news);

#endif
