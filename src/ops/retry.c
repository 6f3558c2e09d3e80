/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/retry.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "ops/classify.h"

int64_t
mw_backoff(const struct mw_conf *conf, int64_t base, unsigned n)
{
	int64_t ceiling = base;
	uint32_t r;

	while (n-- > 0 && ceiling < conf->retry.max)
		ceiling *= 2;
	if (ceiling > conf->retry.max)
		ceiling = conf->retry.max;
	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return ceiling;
	return (int64_t)((double)r / UINT32_MAX * (double)ceiling);
}

enum mw_code
mw_retry(struct mw_app *app, struct mw_ctx *ctx, enum mw_upstream up,
    mw_try_fn fn, void *arg)
{
	const struct mw_conf *conf = app->conf;
	int64_t base = up == MW_UP_STORE ? conf->retry.store_base : conf->retry.base;
	enum mw_code code;
	int64_t pause;
	unsigned n;

	for (n = 0;; n++) {
		if (mw_left(ctx->deadline) == 0)
			return mw_ctx_fail(ctx, MW_DEADLINE_EXCEEDED,
			    "The request's deadline ran out before %s was asked; "
			    "try again with more time",
			    up == MW_UP_STORE ? "R2" : "the sandbox");
		if (n > 0)
			ctx->retries++;
		ctx->attempts++;
		ctx->counted = true;
		code = fn(arg);
		if (mw_classify(code) != MW_NEXT_RETRY || n + 1 >= (unsigned)conf->retry.attempts)
			return code;
		pause = mw_backoff(conf, base, n);
		if ((int64_t)ctx->err.retry_after * 1000 > pause)
			pause = (int64_t)ctx->err.retry_after * 1000;
		if (pause >= mw_left(ctx->deadline))
			return code;
		mw_log(MW_DEBUG, "attempt %u of %lld failed (%s: %s), again in %lld ms",
		    n + 1, (long long)conf->retry.attempts, mw_code_info(code)->name,
		    ctx->err.msg, (long long)pause);
		mw_err_clear(&ctx->err);
		mw_sleep_ms(pause);
	}
}
