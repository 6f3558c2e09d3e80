/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Helpers that outlive the answer: nothing runs in a responder after it has
 * answered, so such work is a detached `moltctl` of its own.
 */
#ifndef MW_APP_HELPER_H
#define MW_APP_HELPER_H

#include "app/app.h"

/*
 * Start moltctl with these arguments (argv[0] is added; NULL-terminated),
 * double-forked, in a session of its own, every descriptor closed, with a built
 * environment (PATH, MOLTWORKER_* but nothing of a request).
 */
enum mw_code mw_detach(const char *const *args, struct mw_err *err) MW_MUST;

/* The same with one descriptor kept, as MW_DETACH_FD: a lock that the helper is to hold
 * from its first moment.  The caller's own copy stays open. */
#define MW_DETACH_FD 3
enum mw_code mw_detach_with(const char *const *args, int keep, struct mw_err *err) MW_MUST;

/* Start a detached drain, if none was started within outbox.drain_interval. */
void mw_drain_start(struct mw_app *app);

/* After an answer: the same, if rows wait.  Costs nothing when none does. */
void mw_drain_kick(struct mw_app *app);

#endif
