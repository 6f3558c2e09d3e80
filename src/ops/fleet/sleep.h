/* SPDX-License-Identifier: BSD-2-Clause */
/* Putting a user's sandbox to sleep. */
#ifndef MW_OPS_FLEET_SLEEP_H
#define MW_OPS_FLEET_SLEEP_H

#include "ops/ready/ready.h"
#include "ops/sync/sync.h"

struct mw_sleep {
	bool sync;		/* back its files up first */
	bool remove;		/* ... and what it has not away from R2 */
	bool force;		/* although commands run, or the backup fails */
	bool end;		/* its processes end, also where it sleeps with them kept */
	bool filled;		/* it has a marker: there is something to keep */
	uint32_t changes;	/* mw_quiesce_changes before that was found */
	bool last;		/* do not ask for another turn */
	bool again;		/* result: it was changed meanwhile, and not stopped */
	struct mw_sync_notes failed;	/* result: paths that the backup has left out */
	bool stopped;		/* result; false: it runs on, without its gateway */
};

/*
 * Stop the sandbox; a driver that cannot stops its gateway.  What its jobs have written
 * is kept.  A wake in hand ends, and none begins meanwhile.  MW_CONFLICT: commands are
 * running, or paths could not be backed up where the disk goes with the sandbox.  With `again` the caller has to begin anew, for what has been kept is not
 * all; in the last turn that is MW_SANDBOX_UNAVAILABLE, unless by force.
 */
enum mw_code mw_sleep(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    struct mw_sleep *how) MW_MUST;

#endif
