/* SPDX-License-Identifier: BSD-2-Clause */
/* How a user's sandbox is, asked without waking it. */
#ifndef MW_OPS_READY_USER_STATE_H
#define MW_OPS_READY_USER_STATE_H

#include "app/app.h"
#include "ops/ready/probe.h"

enum mw_activity {
	MW_USER_ACTIVE,		/* its gateway runs, or it runs and there is no gateway */
	MW_USER_IDLE,		/* it runs, its gateway does not */
	MW_USER_SLEEPING,	/* exists, does not run */
	MW_USER_STOPPED,	/* does not exist */
	MW_USER_ERROR,		/* cannot be told */
	MW_USER_STATES
};
extern const char *const mw_activity_words[MW_USER_STATES];

struct mw_user_state {
	enum mw_activity state;
	struct mw_sandbox_status status;
	struct mw_probe probe;	/* when it runs */
	bool healthy;		/* the gateway passes its probe */
	int64_t latency;	/* ms that asking took */
	struct mw_err err;	/* why, with MW_USER_ERROR */
};

/*
 * Ask once, without repeating, within wake.health_timeout and ctx->deadline: the platform,
 * and what runs.  What cannot be told is MW_USER_ERROR; fails without a sandbox driver only.
 * Counts its calls in ctx; what they show is remembered as of a probe.
 */
enum mw_code mw_user_state(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    struct mw_user_state *out) MW_MUST;

/*
 * Many side by side, each with a handle of its own, all within ctx->deadline.  out has n
 * places; a user that time was too short for is MW_USER_ERROR.
 */
enum mw_code mw_user_states(struct mw_app *app, struct mw_ctx *ctx, const char *const *users,
    size_t n, struct mw_user_state *out) MW_MUST;

#endif
