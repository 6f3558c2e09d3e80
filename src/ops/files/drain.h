/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bringing what waits in the outbox to the object store.  One drainer at a
 * time per host; it holds a path's lock while it sends that path's row.
 */
#ifndef MW_OPS_FILES_DRAIN_H
#define MW_OPS_FILES_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"

struct mw_app;

enum mw_drain_flags {
	MW_DRAIN_NOW = 1,	/* ignore the backoff of earlier drains */
	MW_DRAIN_IDLE = 2,	/* another drainer at work: return at once */
	MW_DRAIN_PARKED = 4	/* try the parked rows again, too */
};

struct mw_drain_result {
	int64_t done;		/* rows that reached the store in this pass */
	int64_t left;		/* rows that wait for another try */
	int64_t parked;		/* rows that were refused for good */
	bool busy;		/* another drainer is at work; nothing was done */
};

/*
 * One pass over the outbox, oldest row first, within ctx->deadline.  A row that
 * cannot be brought now is counted in `left`, not a failure of the pass.
 */
enum mw_code mw_drain(struct mw_app *app, struct mw_ctx *ctx, unsigned flags,
    struct mw_drain_result *out) MW_MUST;

#endif
