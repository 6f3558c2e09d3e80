/* SPDX-License-Identifier: BSD-2-Clause */
/* Waking a user, putting it to sleep and restarting it, with what comes before. */
#ifndef MW_OPS_FLEET_LIFECYCLE_H
#define MW_OPS_FLEET_LIFECYCLE_H

#include "ops/ready/user_state.h"
#include "ops/ready/ready.h"
#include "ops/sync/sync.h"

struct mw_lifecycle {
	const char *user;
	int64_t max_wake;	/* ms; wake, restart */
	bool wait;		/* wake: for its end; else it goes on by itself */
	bool sync;		/* sleep, restart: back the files up first */
	bool remove;		/* ... with what is not in the sandbox removed from R2 */
	bool force;		/* sleep, restart: whatever runs, or fails to be backed up */

	/* results */
	enum mw_activity before, now;
	const char *action;	/* "none", "started", "restarted", "joined", "stopped" */
	int64_t waited;		/* ms */
	struct mw_sync_notes failed;	/* sleep, restart: paths that the backup has left out */
};

/*
 * All count their calls in ctx and stay within its deadline.  Sleep and restart:
 * MW_CONFLICT while commands run, a 503 when the backup failed, unless `force`.
 */
enum mw_code mw_lifecycle_wake(struct mw_app *app, struct mw_ctx *ctx, struct mw_lifecycle *c) MW_MUST;
enum mw_code mw_lifecycle_sleep(struct mw_app *app, struct mw_ctx *ctx, struct mw_lifecycle *c) MW_MUST;
enum mw_code mw_lifecycle_restart(struct mw_app *app, struct mw_ctx *ctx, struct mw_lifecycle *c) MW_MUST;

/* The time limit of what sleep and restart do beside waking, ms. */
int64_t mw_lifecycle_time(const struct mw_conf *conf, const struct mw_lifecycle *c);

#endif
