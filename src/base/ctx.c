/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/ctx.h"

enum mw_code
mw_ctx_nomem(struct mw_ctx *ctx)
{
	return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "out of memory");
}

void
mw_ctx_call(struct mw_ctx *ctx)
{
	if (!ctx->counted)
		ctx->attempts++;
	ctx->counted = false;
}
