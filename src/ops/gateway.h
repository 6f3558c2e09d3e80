/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway program of a user: started as a job of its own, which nobody can start
 * twice; waited for; restarted only when it has passed its probe before and does not
 * any more.
 */
#ifndef MW_OPS_GATEWAY_H
#define MW_OPS_GATEWAY_H

#include "ops/outcome.h"

/* A wake in hand. */
struct mw_leader {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sandbox *sb;
	const char *user;
	enum mw_level level;
	struct mw_shm_user *row;
	int64_t began, limit;
	uint32_t sleeps;		/* of the row when it began */
	enum mw_phase phase;
	enum mw_action action;
	struct mw_probe probe;		/* the last one */
	const char *log;		/* the gateway's last lines, arena */
};

typedef void (*mw_enter_fn)(struct mw_leader *l, enum mw_phase phase);

/*
 * l->probe is fresh: bring the gateway up, until the probe passes or l->ctx->deadline.
 * MW_GATEWAY_FAILED when it ended; MW_SANDBOX_HIBERNATING when the sandbox did.  Sets
 * l->action and l->log.
 */
enum mw_code mw_gateway_up(struct mw_leader *l, mw_enter_fn enter) MW_MUST;

#endif
