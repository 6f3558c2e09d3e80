/* SPDX-License-Identifier: BSD-2-Clause */
/* Attempts with exponential backoff and full jitter. */
#ifndef MW_OPS_RETRY_H
#define MW_OPS_RETRY_H

#include "ops/app.h"

enum mw_upstream { MW_UP_STORE, MW_UP_SANDBOX };

/* One attempt.  Clears nothing; a failure is recorded in ctx->err. */
typedef enum mw_code (*mw_try_fn)(void *arg);

/*
 * Call `fn` until it succeeds, fails for good (mw_classify), retry.attempts are
 * used up, or the next attempt could not begin before ctx->deadline.  Counts
 * ctx->attempts.  Only for what is idempotent.  An upstream's Retry-After is
 * waited out if it fits the deadline, else left in ctx->err for the client.
 */
enum mw_code mw_retry(struct mw_app *app, struct mw_ctx *ctx, enum mw_upstream up,
    mw_try_fn fn, void *arg) MW_MUST;

/* random(0, min(max, base * 2^n)) ms. */
int64_t mw_backoff(const struct mw_conf *conf, int64_t base, unsigned n);

#endif
