/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/gateway.h"

#include "base/clock.h"

enum mw_code
mw_gateway_up(struct mw_leader *l, mw_enter_fn enter)
{
	struct mw_probe_ask ask = { .gateway = true, .pass = true };
	enum mw_code code;

	while (!l->probe.gateway) {
		enter(l, MW_PHASE_PROBE);
		ask.elapsed = mw_now() - l->began;
		ask.window = mw_left(l->ctx->deadline) < 1000 ? mw_left(l->ctx->deadline) : 1000;
		l->ctx->attempts++;
		code = mw_probe_run(l->app->conf, l->ctx, l->sb, l->user, &ask, &l->probe);
		if (code != MW_OK)
			return code;
		if (mw_left(l->ctx->deadline) == 0)
			return MW_WAKE_TIMEOUT;
	}
	return MW_OK;
}
