/* SPDX-License-Identifier: BSD-2-Clause */
/* What every call to an upstream takes along. */
#ifndef MW_BASE_CTX_H
#define MW_BASE_CTX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct mw_ctx {
	struct mw_arena *arena;		/* results are allocated here */
	int64_t deadline;		/* monotonic ms; no call may outlive it */
	const char *request_id;		/* sent along upstream; never NULL */
	const char *user;		/* whom it is about, or NULL; borrowed */
	unsigned attempts;		/* calls made to upstreams so far */
	bool counted;			/* the next call is in attempts already */
	unsigned retries;		/* those of them that repeated a failed one */
	bool waited;			/* for a wake */
	bool waking;			/* a wake by name: it may be the trial of the user's open breaker */
	bool (*gone)(void *arg);	/* has the client left?  NULL: nobody can tell */
	void *gone_arg;
	struct mw_err err;		/* the first failure, see mw_fail() */
};

/* Shorthand: mw_fail(&ctx->err, ...). */
#define mw_ctx_fail(ctx, ...) mw_fail(&(ctx)->err, __VA_ARGS__)

/* The caller of a driver's operation counts its first call, before it. */
void mw_ctx_count(struct mw_ctx *ctx);

/*
 * For a driver that may make several calls for one operation: before each.  The
 * first was counted by whoever asked for the operation.
 */
void mw_ctx_call(struct mw_ctx *ctx);

/*
 * Something on the side, whose failure is not the request's: between begin and end ctx->err
 * is clear, and ctx->deadline is `limit` if that comes first.  Both are then as before.
 */
struct mw_aside {
	int64_t deadline;
	struct mw_err err;
};
void mw_ctx_aside_begin(struct mw_ctx *ctx, int64_t limit, struct mw_aside *a);
void mw_ctx_aside_end(struct mw_ctx *ctx, const struct mw_aside *a);

/*
 * For a loop of calls whose number nothing limits: memory that is given back before
 * each.  Between enter and leave ctx->arena is that memory; what was allocated then lives
 * until the next enter or the close, but for ctx->err, which lives on.
 */
struct mw_scratch {
	struct mw_ctx *ctx;
	struct mw_arena *own, *arena;	/* the request's, and the loop's */
};
/* At most `max` bytes for each call.  MW_INTERNAL_ERROR: then there is nothing to close. */
enum mw_code mw_scratch_open(struct mw_scratch *s, struct mw_ctx *ctx, size_t max) MW_MUST;
void mw_scratch_enter(struct mw_scratch *s);
void mw_scratch_leave(struct mw_scratch *s);
void mw_scratch_close(struct mw_scratch *s);

/* MW_INTERNAL_ERROR, "out of memory". */
enum mw_code mw_ctx_nomem(struct mw_ctx *ctx);

#endif
