/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waking a sandbox: start it, prove or restore its content, write the instance
 * marker.  Single flight per user across all processes.
 */
#ifndef MW_OPS_WAKE_H
#define MW_OPS_WAKE_H

#include "ops/app.h"

/*
 * Make `user` sandbox-ready (running, restored, marker known), within max_wait
 * ms and ctx->deadline.  If somebody else is waking it, wait for that with our
 * own deadline and take its result.  Fails with MW_WAKE_TIMEOUT or with what
 * kept it from running; the text names the phase (sandbox_start, restore, probe).
 */
enum mw_code mw_wake(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    int64_t max_wait) MW_MUST;

/*
 * Do something in the sandbox: at once, and if it turns out asleep or unproven,
 * wake it (not if max_wait is 0) and do it again.  `fn` is idempotent.
 */
typedef enum mw_code (*mw_sandbox_fn)(void *arg, struct mw_sandbox *sb);
enum mw_code mw_in_sandbox(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    int64_t max_wait, mw_sandbox_fn fn, void *arg) MW_MUST;

/* Is the user known to be awake, without asking anybody? */
bool mw_known_awake(struct mw_app *app, const char *user);

/* Can the user's files be changed without waking it: known awake, or a driver
 * whose files are reachable asleep. */
bool mw_files_at_hand(struct mw_app *app, const char *user);

#endif
