/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway program of a user: started as a job of its own, "gateway-MARKER-N", which
 * nobody can start twice; waited for; restarted only when it has passed its probe before
 * and does not any more.
 */
#ifndef MW_OPS_WAKE_GATEWAY_H
#define MW_OPS_WAKE_GATEWAY_H

#include "ops/job/job.h"
#include "ops/ready/wake_result.h"

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
	int64_t entered;		/* us, when it began */
	enum mw_action action;
	enum mw_code refusal;		/* what the platform said to start, if it refused */
	uint64_t claim;			/* the marker of an instance that this wake fills */
	struct mw_probe probe;		/* the last one */
	const char *log;		/* the gateway's last lines, arena */
};

/* The wake is at another phase now, for the processes that wait. */
void mw_leader_enter(struct mw_leader *l, enum mw_phase phase);

/*
 * l->probe is fresh: bring the gateway up, until the probe passes or l->ctx->deadline.
 * MW_GATEWAY_FAILED when it ended; MW_SANDBOX_HIBERNATING when the sandbox did.  Sets
 * l->action and l->log.
 */
enum mw_code mw_gateway_up(struct mw_leader *l) MW_MUST;

/*
 * The end of what generation `n` of the gateway has written, standard output and then
 * standard error, at most `max` bytes of each; *out "" when it was never started.
 */
enum mw_code mw_gateway_log(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const struct mw_probe *p, size_t max, const char **out) MW_MUST;

/* End the gateway that we have started, if it runs: TERM, and KILL after 2 s. */
enum mw_code mw_gateway_end(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const struct mw_probe *p) MW_MUST;

#endif
