/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between what changes a sandbox and what stops it.  A change that R2 does not get
 * at once (a write for the sandbox alone, the start of a command) is made inside the
 * gate; whoever stops the sandbox closes it, when all inside are out.  While it is
 * closed no change begins and no wake does.  Locks: a killed process opens it.
 *
 * In the order of locks both come after a path's, and before a user's wake.
 */
#ifndef MW_OPS_READY_QUIESCE_H
#define MW_OPS_READY_QUIESCE_H

#include "app/app.h"

/*
 * Wait until the gate is open, and go in.  MW_SANDBOX_UNAVAILABLE when it stays
 * closed until ctx->deadline.
 */
enum mw_code mw_quiesce_enter(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    int *inside) MW_MUST;

/* The change is made, or was tried: it is counted. */
void mw_quiesce_leave(struct mw_app *app, const char *user, int inside);

/* How many changes there were; another number later: there were some since. */
uint32_t mw_quiesce_changes(struct mw_app *app, const char *user);

/*
 * Close it: nobody goes in any more, and those inside have left.  They get
 * sandbox.timeout for that, else it stays open: MW_SANDBOX_UNAVAILABLE.  With `force`
 * they get a few seconds, then it is closed over them.
 */
struct mw_quiesce { int turn, empty; };
enum mw_code mw_quiesce_close(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    bool force, struct mw_quiesce *g) MW_MUST;
void mw_quiesce_open(struct mw_quiesce *g);

/* Is it closed, or being closed? */
bool mw_quiesce_closed(struct mw_app *app, const char *user);

#endif
