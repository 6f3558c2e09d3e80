/* SPDX-License-Identifier: BSD-2-Clause */
/* A batch: its operations, some side by side. */
#include "ops/files/batch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/threads.h"

#define LANE_ARENA (64 * 1024 * 1024)	/* bytes, at most */
#define NONE SIZE_MAX

/*
 * Operations form chains: those of one path, or all of them if they are to run
 * one after the other.  The head of a chain is ready; each one that is done makes
 * the next of its chain ready.
 */
struct run {
	struct mw_batch *b;
	struct mw_batch_gate gate;
	int64_t deadline;
	pthread_mutex_t mutex;		/* of what follows */
	pthread_cond_t more;		/* something became ready, or the end is near */
	size_t *next;			/* by operation: the next of its chain, or NONE */
	size_t *ready, head, tail;	/* a queue with room for all */
	size_t taken;			/* operations handed out */
	bool stopped;			/* stopOnError, and one failed */
};

struct worker {
	struct run *run;
	struct mw_lane *lane;
};

/* ---- chains ---- */

struct named {
	const char *path;
	size_t i;
};

static int
by_path(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order != 0 ? order : x->i < y->i ? -1 : 1;
}

static void
push(struct run *r, size_t i)
{
	r->ready[r->tail++] = i;
}

static enum mw_code
chain(struct run *r, struct mw_ctx *ctx)
{
	struct mw_batch *b = r->b;
	struct named *name = mw_arena_alloc(ctx->arena, b->n * sizeof(*name));
	bool *follows = mw_arena_alloc(ctx->arena, b->n);
	size_t i;

	r->next = mw_arena_alloc(ctx->arena, b->n * sizeof(*r->next));
	r->ready = mw_arena_alloc(ctx->arena, b->n * sizeof(*r->ready));
	if (name == NULL || follows == NULL || r->next == NULL || r->ready == NULL)
		return mw_ctx_nomem(ctx);
	for (i = 0; i < b->n; i++)
		name[i] = (struct named){ .path = b->parallel ? b->op[i].path : "", .i = i };
	qsort(name, b->n, sizeof(*name), by_path);
	for (i = 0; i < b->n; i++)
		r->next[name[i].i] = NONE;
	for (i = 1; i < b->n; i++) {
		if (strcmp(name[i - 1].path, name[i].path) != 0)
			continue;
		r->next[name[i - 1].i] = name[i].i;
		follows[name[i].i] = true;
	}
	for (i = 0; i < b->n; i++) {
		if (!follows[i])
			push(r, i);
	}
	return MW_OK;
}

/* ---- workers ---- */

/* The next operation to run, NONE at the end.  Called with the mutex held. */
static size_t
take(struct run *r)
{
	while (!r->stopped && r->head == r->tail && r->taken < r->b->n)
		(void)pthread_cond_wait(&r->more, &r->mutex);
	if (r->stopped || r->taken == r->b->n)
		return NONE;
	r->taken++;
	return r->ready[r->head++];
}

/* Called with the mutex held. */
static void
finished(struct run *r, size_t i)
{
	if (r->next[i] != NONE)
		push(r, r->next[i]);
	if (r->b->op[i].code != MW_OK && r->b->stop_on_error && !r->stopped) {
		r->stopped = true;
		r->b->stopped_by = i;
	}
	(void)pthread_cond_broadcast(&r->more);
}

static void
do_one(struct worker *w, size_t i)
{
	struct mw_batch *b = w->run->b;
	struct mw_batch_op *op = &b->op[i];

	if (mw_left(w->run->deadline) == 0) {
		op->code = MW_DEADLINE_EXCEEDED;
		op->error = "Not run: the deadline of the batch ran out before it; send it again";
	} else if (mw_stopping()) {
		op->code = MW_SANDBOX_UNAVAILABLE;
		op->error = "Not run: the gateway is being stopped; send it again";
	} else {
		mw_batch_one(w->lane, b, op, &w->run->gate, w->run->deadline);
	}
	if (op->code != MW_OK)
		mw_log(MW_INFO, "[BATCH] userId=%s operations[%zu] %s /%s failed (%s): %s requestId=%s",
		    b->user, i, mw_batch_words[op->kind], op->path, mw_code_info(op->code)->name,
		    op->error != NULL ? op->error : "", w->lane->ctx.request_id);
}

static void
work(void *arg, size_t n)
{
	struct worker *w = (struct worker *)arg + n;
	size_t i;

	(void)pthread_mutex_lock(&w->run->mutex);
	while ((i = take(w->run)) != NONE) {
		(void)pthread_mutex_unlock(&w->run->mutex);
		do_one(w, i);
		(void)pthread_mutex_lock(&w->run->mutex);
		finished(w->run, i);
	}
	(void)pthread_mutex_unlock(&w->run->mutex);
}

/* The calling thread is the first lane; a thread that cannot be had is one less. */
static void
work_all(struct worker *w, size_t n)
{
	size_t had = mw_threads(n, work, w);

	if (had < n)
		mw_log(MW_WARN, "[BATCH] only %zu of %zu threads could be started", had, n);
}

/* ---- the whole ---- */

static size_t
lanes_wanted(const struct mw_batch *b, const struct mw_conf *conf)
{
	size_t n = b->parallel ? (size_t)conf->batch.parallel : 1;

	if (n > b->n)
		n = b->n;
	return n > MW_LANES_MAX ? MW_LANES_MAX : n;
}

static enum mw_code
open_lanes(struct mw_app *app, struct mw_ctx *ctx, struct mw_batch *b)
{
	size_t i, n = lanes_wanted(b, app->conf);
	enum mw_code code;

	if ((b->lane = mw_arena_alloc(ctx->arena, n * sizeof(*b->lane))) == NULL)
		return mw_ctx_nomem(ctx);
	for (i = 0; i < n; i++, b->nlanes++) {
		struct mw_lane *l = &b->lane[i];

		l->ctx = (struct mw_ctx){ .request_id = ctx->request_id,
		    .user = b->user, .deadline = ctx->deadline, .arena = mw_arena_open(LANE_ARENA) };
		if (l->ctx.arena == NULL)
			return mw_ctx_nomem(ctx);
		l->app = app;
		if (i > 0 && (code = mw_lane_app(app, ctx, i - 1, &l->app)) != MW_OK) {
			mw_arena_close(l->ctx.arena);
			return code;
		}
	}
	return MW_OK;
}

static void
sum_up(struct run *r, struct mw_ctx *ctx)
{
	struct mw_batch *b = r->b;
	size_t i;

	for (i = 0; i < b->nlanes; i++) {
		ctx->attempts += b->lane[i].ctx.attempts;
		ctx->retries += b->lane[i].ctx.retries;
	}
	for (i = 0; i < b->n; i++)
		b->op[i].skipped = !b->op[i].ran && b->op[i].code == MW_OK;
}

enum mw_code
mw_batch_run(struct mw_app *app, struct mw_ctx *ctx, struct mw_batch *b)
{
	struct run r = { .b = b, .deadline = ctx->deadline,
	    .mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER,
	    .gate = { .mutex = PTHREAD_MUTEX_INITIALIZER } };
	struct worker *w;
	enum mw_code code;
	size_t i;

	if ((code = chain(&r, ctx)) != MW_OK || (code = open_lanes(app, ctx, b)) != MW_OK)
		return code;
	if ((w = mw_arena_alloc(ctx->arena, b->nlanes * sizeof(*w))) == NULL)
		return mw_ctx_nomem(ctx);
	for (i = 0; i < b->nlanes; i++)
		w[i] = (struct worker){ .run = &r, .lane = &b->lane[i] };
	work_all(w, b->nlanes);
	sum_up(&r, ctx);
	return MW_OK;
}

void
mw_batch_init(struct mw_batch *b)
{
	memset(b, 0, sizeof(*b));
	b->pile = -1;
}

void
mw_batch_free(struct mw_batch *b)
{
	size_t i;

	for (i = 0; i < b->n; i++) {
		if (b->op[i].content != NULL && b->op[i].mapped)
			(void)munmap(b->op[i].content, b->op[i].mapped_len);
		else
			free(b->op[i].content);
	}
	for (i = 0; i < b->nlanes; i++)
		mw_arena_close(b->lane[i].ctx.arena);
	if (b->pile >= 0)
		(void)close(b->pile);
	mw_batch_init(b);
}
