/* SPDX-License-Identifier: BSD-2-Clause */
/* Leading a wake. */
#ifndef MW_OPS_WAKE_LEAD_H
#define MW_OPS_WAKE_LEAD_H

#include "ops/ready/ready.h"

/*
 * Lead a wake, in a process of its own: `moltctl wake`.  The caller holds the lock
 * "wake:USER".  What comes of it is told to the processes that wait (ops/ready/wake_result.h).
 */
enum mw_code mw_wake_lead(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    enum mw_level level, int64_t limit) MW_MUST;

#endif
