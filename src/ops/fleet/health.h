/* SPDX-License-Identifier: BSD-2-Clause */
/* The deep health of one user: four checks side by side.  Wakes nothing, changes nothing. */
#ifndef MW_OPS_FLEET_HEALTH_H
#define MW_OPS_FLEET_HEALTH_H

#include "app/app.h"

struct mw_check {
	bool good;
	int64_t ms;
	struct mw_err err;		/* why it is not good */
};

struct mw_health {
	struct mw_check sandbox;	/* it runs */
	struct mw_check gateway;	/* it passes its probe, or there is none to pass */
	struct mw_check filesystem;	/* the user's root can be entered, read and written */
	struct mw_check r2;		/* the store answers */
	int processes;			/* -1 = not known */
	const char *working_dir;	/* the root as seen inside; arena, NULL = not known */
	bool has_config;		/* gateway.config_path is a file there */
	int64_t last_sync;		/* wall ms, 0 = never or not known */
};

/* Each check has wake.health_timeout, and threads and handles of its own. */
enum mw_code mw_health(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    struct mw_health *out) MW_MUST;

#endif
