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
#include "app/workers.h"

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
do_one(struct run *r, struct mw_worker *w, size_t i)
{
	struct mw_batch *b = r->b;
	struct mw_batch_op *op = &b->op[i];

	if (mw_left(r->deadline) == 0) {
		op->code = MW_DEADLINE_EXCEEDED;
		op->error = "Not run: the deadline of the batch ran out before it; send it again";
	} else if (mw_stopping()) {
		op->code = MW_SANDBOX_UNAVAILABLE;
		op->error = "Not run: the gateway is being stopped; send it again";
	} else {
		mw_batch_one(w, b, op, &r->gate, r->deadline);
	}
	if (op->code != MW_OK)
		mw_log(MW_INFO, "[BATCH] userId=%s operations[%zu] %s /%s failed (%s): %s requestId=%s",
		    b->user, i, mw_batch_words[op->kind], op->path, mw_code_info(op->code)->name,
		    op->error != NULL ? op->error : "", w->ctx.request_id);
}

static void
work(void *arg, struct mw_worker *w)
{
	struct run *r = arg;
	size_t i;

	w->ctx.user = r->b->user;
	(void)pthread_mutex_lock(&r->mutex);
	while ((i = take(r)) != NONE) {
		(void)pthread_mutex_unlock(&r->mutex);
		do_one(r, w, i);
		(void)pthread_mutex_lock(&r->mutex);
		finished(r, i);
	}
	(void)pthread_mutex_unlock(&r->mutex);
}

/* ---- the whole ---- */

static size_t
workers_wanted(const struct mw_batch *b, const struct mw_conf *conf)
{
	size_t n = b->parallel ? (size_t)conf->batch.parallel : 1;

	return n < b->n ? n : b->n;
}

/* A text of a worker's, into the request's memory; NULL stays NULL. */
static bool
keep(struct mw_ctx *ctx, const char **text)
{
	return *text == NULL || (*text = mw_arena_strdup(ctx->arena, *text)) != NULL;
}

static enum mw_code
sum_up(struct mw_ctx *ctx, struct mw_batch *b)
{
	struct mw_batch_op *op;

	for (op = b->op; op < b->op + b->n; op++) {
		op->skipped = !op->ran && op->code == MW_OK;
		if (!keep(ctx, &op->error) || !keep(ctx, &op->written.r2_error) ||
		    !keep(ctx, &op->written.etag))
			return mw_ctx_nomem(ctx);
	}
	return MW_OK;
}

enum mw_code
mw_batch_run(struct mw_app *app, struct mw_ctx *ctx, struct mw_batch *b)
{
	struct run r = { .b = b, .deadline = ctx->deadline,
	    .mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER,
	    .gate = { .mutex = PTHREAD_MUTEX_INITIALIZER } };
	struct mw_workers ws;
	enum mw_code code;

	if ((code = chain(&r, ctx)) != MW_OK)
		return code;
	code = mw_workers_open(app, ctx, workers_wanted(b, app->conf), &ws);
	if (code == MW_OK) {
		b->threads = ws.n;
		mw_workers_run(&ws, "[BATCH]", work, &r);
		code = sum_up(ctx, b);
	}
	mw_workers_close(&ws);
	return code;
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
	if (b->pile >= 0)
		(void)close(b->pile);
	mw_batch_init(b);
}
