/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readiness and waking.  A user is sandbox-ready (running, restored, marker known) or
 * gateway-ready (its gateway passes the probe, too).  What is known is believed for
 * wake.ready_ttl; a wake happens once per user at a time, across all processes.
 */
#ifndef MW_OPS_READY_READY_H
#define MW_OPS_READY_READY_H

#include "app/app.h"
#include "ops/ready/probe.h"

enum mw_level { MW_LEVEL_SANDBOX, MW_LEVEL_GATEWAY };

enum mw_action { MW_ACTION_NONE, MW_ACTION_STARTED, MW_ACTION_RESTARTED, MW_ACTION_JOINED };

/* Indexed by enum mw_action. */
extern const char *const mw_action_words[];

/*
 * Make `user` ready for `level` within max_wait ms (0 = do not wake:
 * MW_SANDBOX_HIBERNATING) and ctx->deadline; *marker is the instance this holds for.
 * Known ready costs no upstream call.  Without a gateway.start both levels are one.
 *
 * Fails with what kept the user from being ready (MW_GATEWAY_FAILED, MW_WAKE_TIMEOUT,
 * MW_SANDBOX_...), ctx->err.details naming the phase; at once, with the same answer, while
 * an earlier failure is remembered.  The deadline ends the waiting, never the wake.
 */
enum mw_code mw_ready(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    enum mw_level level, int64_t max_wait, uint64_t *marker) MW_MUST;

/* It turned out asleep, unreachable or replaced: forget what is known of it. */
void mw_not_ready(struct mw_app *app, const char *user);

/*
 * A success in the sandbox: known ready for wake.ready_ttl from now.  It says nothing of
 * the gateway, which may be dead: that is believed for ready_ttl after its last probe.
 */
void mw_still_ready(struct mw_app *app, const char *user, uint64_t marker);

/* A probe has shown this: known for wake.ready_ttl, like a success, but no activity. */
void mw_seen_ready(struct mw_app *app, const char *user, const struct mw_probe *p);

/*
 * The same as mw_ready() for a client that asks for the wake itself: nothing is believed, the
 * sandbox is always asked.  *action says what this call has brought about.
 */
enum mw_code mw_wake(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    enum mw_level level, int64_t max_wait, enum mw_action *action) MW_MUST;

/* MW_OK, or the failure of an earlier wake that is remembered: no upstream call. */
enum mw_code mw_wake_remembered(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    enum mw_level level, int64_t max_wait) MW_MUST;

/* Start a wake that goes on by itself for up to max_wait ms, and return at once. */
enum mw_code mw_wake_begin(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    enum mw_level level, int64_t max_wait, enum mw_action *action) MW_MUST;

/*
 * Do something in the sandbox: at once, and if it turns out asleep or unproven,
 * wake it (not if max_wait is 0) and do it again.  `fn` is idempotent.
 */
typedef enum mw_code (*mw_sandbox_fn)(void *arg, struct mw_sandbox *sb);
enum mw_code mw_in_sandbox(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    int64_t max_wait, mw_sandbox_fn fn, void *arg) MW_MUST;

/* Is the user known to be awake, without asking anybody? */
bool mw_known_awake(struct mw_app *app, const char *user);

/* Is it awake?  Asks the driver when that is not known; starts nothing. */
bool mw_is_awake(struct mw_app *app, struct mw_ctx *ctx, const char *user);

/* Can the user's files be changed without waking it: known awake, or a driver
 * whose files are reachable asleep. */
bool mw_files_at_hand(struct mw_app *app, const char *user);

#endif
