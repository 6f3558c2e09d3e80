/* SPDX-License-Identifier: BSD-2-Clause */
/* Failing through a context. */
#include "base/ctx.h"

enum mw_code
mw_ctx_nomem(struct mw_ctx *ctx)
{
	return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "out of memory");
}

void
mw_ctx_count(struct mw_ctx *ctx)
{
	ctx->attempts++;
	ctx->counted = true;
}

void
mw_ctx_aside_begin(struct mw_ctx *ctx, int64_t limit, struct mw_aside *a)
{
	*a = (struct mw_aside){ .deadline = ctx->deadline, .err = ctx->err };
	if (limit < ctx->deadline)
		ctx->deadline = limit;
	mw_err_clear(&ctx->err);
}

void
mw_ctx_aside_end(struct mw_ctx *ctx, const struct mw_aside *a)
{
	ctx->deadline = a->deadline;
	ctx->err = a->err;
}

void
mw_ctx_call(struct mw_ctx *ctx)
{
	if (!ctx->counted)
		ctx->attempts++;
	ctx->counted = false;
}

enum mw_code
mw_scratch_open(struct mw_scratch *s, struct mw_ctx *ctx, size_t max)
{
	*s = (struct mw_scratch){ .ctx = ctx, .own = ctx->arena, .arena = mw_arena_open(max) };
	return s->arena != NULL ? MW_OK : mw_ctx_nomem(ctx);
}

void
mw_scratch_enter(struct mw_scratch *s)
{
	mw_arena_reset(s->arena);
	s->ctx->arena = s->arena;
}

void
mw_scratch_leave(struct mw_scratch *s)
{
	struct mw_err *err = &s->ctx->err;

	s->ctx->arena = s->own;
	/* An answer without details is better than none. */
	if (err->details != NULL)
		err->details = mw_arena_strdup(s->own, err->details);
}

void
mw_scratch_close(struct mw_scratch *s)
{
	mw_arena_close(s->arena);
	s->arena = NULL;
}
