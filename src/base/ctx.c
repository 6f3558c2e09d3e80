/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/ctx.h"

enum mw_code
mw_ctx_nomem(struct mw_ctx *ctx)
{
	return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "out of memory");
}
