/* SPDX-License-Identifier: BSD-2-Clause */
/* Putting a user's sandbox to sleep. */
#ifndef MW_OPS_SLEEP_H
#define MW_OPS_SLEEP_H

#include "ops/wake.h"

struct mw_sleep {
	bool sync;		/* back its files up first */
	bool force;		/* although commands run, or the backup fails */
	bool filled;		/* it has a marker: there is something to keep */
	bool end;		/* its processes end, also where it sleeps with them kept */
};

/*
 * Stop the sandbox; a driver that cannot stops its gateway.  What its jobs have written
 * is kept.  A wake in hand ends, and none begins meanwhile.  *stopped false: it runs on,
 * without its gateway.  MW_CONFLICT: commands are running.
 */
enum mw_code mw_sleep(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    const struct mw_sleep *how, bool *stopped) MW_MUST;

#endif
