/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The output of finished jobs in the store: .moltworker/jobs/ID.out and ID.err below
 * the user's prefix, an empty one not at all.  How it ended is in its row.
 */
#include "ops/exec/results.h"

#include <string.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "app/helper.h"
#include "app/names.h"
#include "app/object.h"
#include "app/retry.h"
#include "ops/exec/internal.h"
#include "state/spool.h"
#include "app/names.h"
#include "app/object.h"

#define PIECE (1 << 20)		/* bytes of each stream in one call */
#define SPARE (1 << 20)		/* beyond exec.max_stored, then the sandbox is lying */
#define ASIDE 2000		/* ms of it that a request bears which only wanted to look */

struct keep {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sandbox *sb;
	struct mw_process *row;
	struct mw_spool out, err;
	int64_t patience;	/* no further piece is begun after this, 0 = the deadline's */
};

const char *
mw_exec_key(struct mw_app *app, struct mw_ctx *ctx, const struct mw_process *row, const char *stream)
{
	const char *path = mw_arena_printf(ctx->arena, MW_NAME_JOBS "%s.%s", row->id, stream);

	return path == NULL ? NULL : mw_store_key(app->conf, ctx->arena, row->user, path);
}

/* ---- from the sandbox ---- */

static enum mw_code
add(struct keep *k, struct mw_spool *s, const struct mw_buf *b)
{
	return b->len == 0 ? MW_OK : mw_spool_add(s, b->data, b->len, &k->ctx->err);
}

static enum mw_code
fetch_piece(struct keep *k, bool *more)
{
	struct mw_job_ask ask = { .user = k->row->user, .id = k->row->id, .max = PIECE,
	    .marker = k->row->marker, .out_at = k->out.size, .err_at = k->err.size };
	struct mw_job_view v;
	enum mw_code code;

	mw_job_view_init(&v);
	code = mw_job_look(k->app, k->ctx, k->sb, &ask, &v);
	if (code == MW_OK && (!mw_job_over(v.state) || v.state == MW_JOB_REPLACED))
		code = mw_ctx_fail(k->ctx, MW_PROCESS_LOST, "the sandbox has the output of process "
		    "%s no more", k->row->id);
	if (code == MW_OK && (code = add(k, &k->out, &v.out)) == MW_OK)
		code = add(k, &k->err, &v.err);
	*more = v.out.len == PIECE || v.err.len == PIECE;
	mw_job_view_free(&v);
	return code;
}

static enum mw_code
fetch(struct keep *k)
{
	int64_t most = k->app->conf->exec.max_stored + SPARE;
	enum mw_code code = MW_OK;
	bool more = true;

	while (more && (code = fetch_piece(k, &more)) == MW_OK) {
		if (k->out.size > most || k->err.size > most)
			return mw_ctx_fail(k->ctx, MW_SANDBOX_UNREACHABLE,
			    "the sandbox sends more output than exec.max_stored");
		if (more && k->patience != 0 && mw_left(k->patience) <= 0)
			return mw_ctx_fail(k->ctx, MW_DEADLINE_EXCEEDED,
			    "it has much output, which is left to the drain");
	}
	return code;
}

/* ---- to the store ---- */

static enum mw_code
store(struct keep *k, struct mw_spool *s, const char *stream)
{
	const char *key = mw_exec_key(k->app, k->ctx, k->row, stream);
	enum mw_code code;

	if (key == NULL)
		return mw_ctx_nomem(k->ctx);
	if ((code = mw_spool_finish(s, &k->ctx->err)) != MW_OK || s->size == 0)
		return code;
	return mw_object_put_spool(k->app, k->ctx, key, s, "application/octet-stream");
}

/* Nobody need try again; the failure is the same, unless that cannot be written down. */
static enum mw_code
give_up(struct keep *k)
{
	struct mw_aside aside;
	enum mw_code code;

	mw_ctx_aside_begin(k->ctx, k->ctx->deadline, &aside);
	if ((code = mw_process_gone(k->app->processes, k->ctx, k->row)) != MW_OK)
		return code;
	mw_ctx_aside_end(k->ctx, &aside);
	return MW_PROCESS_LOST;
}

static enum mw_code
keep_locked(struct keep *k)
{
	enum mw_code code;

	k->out.fd = k->err.fd = -1;
	if ((code = mw_app_sandbox(k->app, k->ctx, &k->sb)) == MW_OK &&
	    (code = mw_spool_begin(&k->out, k->app->spool_dir, &k->ctx->err)) == MW_OK &&
	    (code = mw_spool_begin(&k->err, k->app->spool_dir, &k->ctx->err)) == MW_OK &&
	    (code = fetch(k)) == MW_OK && (code = store(k, &k->out, "out")) == MW_OK &&
	    (code = store(k, &k->err, "err")) == MW_OK) {
		k->row->out_size = k->out.size;
		k->row->err_size = k->err.size;
		code = mw_process_kept(k->app->processes, k->ctx, k->row);
	}
	mw_spool_drop(&k->out);
	mw_spool_drop(&k->err);
	return code == MW_PROCESS_LOST ? give_up(k) : code;
}

/* The process that had the lock may have kept it, or the drain forgotten it. */
static enum mw_code
keep_if_due(struct keep *k)
{
	enum mw_code code = mw_process_get(k->app->processes, k->ctx, k->row->user, k->row->id, k->row);

	if (code == MW_PROCESS_NOT_FOUND) {
		mw_err_clear(&k->ctx->err);
		k->row->gone = true;
		return MW_OK;
	}
	return code != MW_OK || k->row->kept || k->row->gone ? code : keep_locked(k);
}

enum mw_code
mw_exec_lock(struct mw_app *app, struct mw_ctx *ctx, const char *id, int64_t until, int *lock)
{
	const char *name = mw_arena_printf(ctx->arena, "job:%s", id);
	enum mw_code code;

	*lock = -1;
	if (name == NULL)
		return mw_ctx_nomem(ctx);
	code = mw_lockfile_take(app->lock_path, name, until, lock, &ctx->err);
	if (code != MW_DEADLINE_EXCEEDED || until != 0)
		return code;
	mw_err_clear(&ctx->err);
	return MW_OK;
}

static enum mw_code
keep(struct keep *k, int64_t until)
{
	enum mw_code code;
	int lock;

	code = mw_exec_lock(k->app, k->ctx, k->row->id, until, &lock);
	if (code == MW_OK && lock >= 0)
		code = keep_if_due(k);
	mw_lockfile_give(lock);
	return code;
}

enum mw_code
mw_exec_keep(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row, int64_t until)
{
	struct keep k = { .app = app, .ctx = ctx, .row = row };

	return keep(&k, until);
}

void
mw_exec_keep_aside(struct mw_app *app, struct mw_ctx *ctx, struct mw_process *row)
{
	struct keep k = { .app = app, .ctx = ctx, .row = row, .patience = mw_now() + ASIDE };
	enum mw_code code = keep(&k, 0);

	if (code == MW_OK)
		return;
	if (code == MW_DEADLINE_EXCEEDED)
		mw_drain_start(app);
	mw_log(MW_WARN, "[EXEC] userId=%s processId=%s: the result is not kept yet: %s",
	    row->user, row->id, ctx->err.msg);
	mw_err_clear(&ctx->err);
}

/* ---- from the store ---- */

struct get {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_store *store;
	const char *key;
	struct mw_get get;
	struct mw_buf *out;
	size_t max;
};

static enum mw_code
get_begin(void *arg, const struct mw_object *obj)
{
	struct get *g = arg;

	(void)obj;
	mw_buf_free(g->out);
	mw_buf_init(g->out, g->max);
	return MW_OK;
}

static enum mw_code
get_data(void *arg, const void *p, size_t n)
{
	struct get *g = arg;

	return mw_buf_add(g->out, p, n) ? MW_OK : mw_ctx_fail(g->ctx, MW_STORE_UNAVAILABLE,
	    "R2 sends more of %s than was asked for", g->key);
}

static enum mw_code
try_get(void *arg)
{
	struct get *g = arg;
	struct mw_sink sink = { .begin = get_begin, .data = get_data, .arg = g };
	bool same;

	return g->store->ops->get(g->store, g->ctx, g->key, &g->get, &sink, &same);
}

static enum mw_code
get_piece(struct get *g, const struct mw_process *row, const char *stream, int64_t size,
    int64_t at, struct mw_buf *out)
{
	enum mw_code code;

	mw_buf_free(out);
	mw_buf_init(out, g->max);
	if (at >= size || g->max == 0)
		return MW_OK;
	g->out = out;
	g->get = (struct mw_get){ .ranged = true, .from = at, .to = at + (int64_t)g->max - 1 };
	if (g->get.to >= size)
		g->get.to = size - 1;
	if ((g->key = mw_exec_key(g->app, g->ctx, row, stream)) == NULL)
		return mw_ctx_nomem(g->ctx);
	code = mw_retry(g->app, g->ctx, MW_UP_STORE, try_get, g);
	if (code != MW_FILE_NOT_FOUND)
		return code;
	mw_err_clear(&g->ctx->err);
	return mw_ctx_fail(g->ctx, MW_PROCESS_LOST, "the output of process %s was removed from R2",
	    row->id);
}

enum mw_code
mw_exec_kept(struct mw_app *app, struct mw_ctx *ctx, const struct mw_exec_ask *ask,
    struct mw_exec_view *v)
{
	struct get g = { .app = app, .ctx = ctx, .max = ask->max };
	enum mw_code code;

	v->duration = v->row.started > 0 ? v->row.ended - v->row.started : -1;
	if ((code = mw_app_store(app, ctx, &g.store)) != MW_OK ||
	    (code = get_piece(&g, &v->row, "out", v->row.out_size, ask->out_at, &v->out)) != MW_OK)
		return code;
	return get_piece(&g, &v->row, "err", v->row.err_size, ask->err_at, &v->err);
}
