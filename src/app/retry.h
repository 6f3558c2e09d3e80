/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attempts with exponential backoff and full jitter, within the deadline, the
 * budget that all processes share, and the upstream's breaker.
 */
#ifndef MW_APP_RETRY_H
#define MW_APP_RETRY_H

#include "app/app.h"
#include "state/breaker.h"

enum mw_upstream { MW_UP_STORE, MW_UP_SANDBOX };

/* One attempt.  Clears nothing; a failure is recorded in ctx->err. */
typedef enum mw_code (*mw_try_fn)(void *arg);

/*
 * Call `fn` until it succeeds, fails for good (mw_classify), retry.attempts are
 * used up, the budget is empty, or the next attempt could not begin before
 * ctx->deadline.  Counts ctx->attempts.  Only for what is idempotent.  An
 * upstream's Retry-After is waited out if it fits the deadline, else left in
 * ctx->err for the client.
 *
 * MW_UP_STORE: the breaker of the store.  An open one is MW_STORE_UNAVAILABLE at
 * once, without an attempt.  MW_UP_SANDBOX: that of ctx->user, if there is one;
 * MW_SANDBOX_UNAVAILABLE.  With ctx->waking set the call is its trial instead.
 * TERM ends a backoff with the same codes.
 */
enum mw_code mw_retry(struct mw_app *app, struct mw_ctx *ctx, enum mw_upstream up,
    mw_try_fn fn, void *arg) MW_MUST;

/* The same with one attempt, whatever comes of it. */
enum mw_code mw_retry_once(struct mw_app *app, struct mw_ctx *ctx, enum mw_upstream up,
    mw_try_fn fn, void *arg) MW_MUST;

/* For calls outside mw_retry: the upstream's breaker; false = it has none. */
bool mw_retry_breaker(struct mw_app *app, const struct mw_ctx *ctx, enum mw_upstream up,
    struct mw_breaker *b) MW_MUST;

/* The upstream has begun to answer; its breaker need not wait for the end, which a
 * slow client may put off for an hour. */
void mw_retry_answered(struct mw_app *app, const struct mw_ctx *ctx, enum mw_upstream up);

/* random(0, min(retry.max, base * 2^n)) ms. */
int64_t mw_backoff(const struct mw_app *app, int64_t base, unsigned n);

#endif
