/* SPDX-License-Identifier: BSD-2-Clause */
/* Putting a user's sandbox to sleep. */
#ifndef MW_OPS_SLEEP_H
#define MW_OPS_SLEEP_H

#include "ops/wake.h"

/*
 * Stop the sandbox; a driver that cannot stops its gateway.  A wake in hand ends, and
 * none begins meanwhile.  *stopped false: it runs on, without its gateway.
 */
enum mw_code mw_sleep(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    bool *stopped) MW_MUST;

#endif
