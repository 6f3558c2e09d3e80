/* SPDX-License-Identifier: BSD-2-Clause */
/* What every responder shares: its main(), and the limits of one request. */
#ifndef MW_APP_RESPONDER_H
#define MW_APP_RESPONDER_H

#include "app/app.h"
#include "http/http.h"

/*
 * main() of a responder.  With MOLTWORKER_PROCS=N in the environment it becomes
 * N processes on the one listening socket, forked after the libraries are loaded,
 * so that their pages are shared, and respawned when they die.  MOLTWORKER_POOL=N
 * tells it how many of it another master keeps (mod_fcgid).
 */
int mw_app_main(const char *name, const struct mw_route *routes);

/*
 * Set the request's deadline from now: its wake, its own time limit and a little
 * more (ms).  Counts from the moment the body is in, not from its first byte.
 */
void mw_app_deadline(struct mw_req *req, int64_t max_wake, int64_t own);

/* The same for one of several things that a request does: never after the request's own. */
void mw_app_limit(struct mw_ctx *ctx, int64_t max_wake, int64_t own);

/* The query's maxWakeTime, ms: 0 = do not wake; more than the maximum is the maximum. */
#define MW_MAX_WAKE 180000
#define MW_EXPECTED_MAX_WAKE "an integer from 0 to 180000, milliseconds"
enum mw_code mw_app_max_wake(struct mw_req *req, int64_t *max_wake) MW_MUST;

#endif
