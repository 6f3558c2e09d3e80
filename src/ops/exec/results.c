/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The output of finished jobs in the store: .moltworker/jobs/ID.out and ID.err below
 * the user's prefix, an empty one not at all.  How it ended is in its row.
 */
#include <string.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "app/helper.h"
#include "ops/exec/exec.h"
#include "app/retry.h"
#include "ops/ready/ready.h"
#include "state/spool.h"
#include "app/names.h"

#define PIECE (1 << 20)		/* bytes of each stream in one call */
#define SPARE (1 << 20)		/* beyond exec.max_stored, then somebody is lying */
#define ASIDE 2000		/* ms of it that a request bears which only wanted to look */
#define TEND_SHARE 4		/* a job may take this part of the time that is left */
#define TEND_TIME 600000		/* ms, and no more than that */
#define LOGGED_MAX 8		/* failures of one pass that have a line of their own */

struct keep {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sandbox *sb;
	struct mw_process *row;
	struct mw_spool out, err;
	int64_t patience;	/* no further piece is begun after this, 0 = the deadline's */
};

static const char *
key_of(struct mw_app *app, struct mw_ctx *ctx, const struct mw_process *row, const char *stream)
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

struct put {
	struct keep *k;
	struct mw_store *store;
	const char *key;
	const struct mw_spool *body;
};

static enum mw_code
try_put(void *arg)
{
	struct put *p = arg;
	struct mw_put put = {
		.fd = p->body->fd, .size = p->body->size, .sha256 = p->body->sha256,
		.md5 = p->body->md5, .content_type = "application/octet-stream",
		.mode = -1, .mtime = -1,
	};
	const char *etag;

	return p->store->ops->put(p->store, p->k->ctx, p->key, &put, &etag);
}

static enum mw_code
store(struct keep *k, struct mw_spool *s, const char *stream)
{
	struct put p = { .k = k, .body = s, .key = key_of(k->app, k->ctx, k->row, stream) };
	enum mw_code code;

	if (p.key == NULL)
		return mw_ctx_nomem(k->ctx);
	if ((code = mw_spool_finish(s, &k->ctx->err)) != MW_OK || s->size == 0)
		return code;
	if ((code = mw_app_store(k->app, k->ctx, &p.store)) != MW_OK)
		return code;
	return mw_retry(k->app, k->ctx, MW_UP_STORE, try_put, &p);
}

/* Nobody need try again; the failure is the same. */
static enum mw_code
give_up(struct keep *k)
{
	struct mw_err err = k->ctx->err;
	enum mw_code code;

	mw_err_clear(&k->ctx->err);
	if ((code = mw_process_gone(k->app->processes, k->ctx, k->row)) != MW_OK)
		return code;
	k->ctx->err = err;
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

/* Whoever had the lock may have kept it, or the drain forgotten it. */
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

/* The lock of whoever keeps the job's output or forgets it; *lock -1: another has it, and
 * `until` is 0. */
static enum mw_code
take_lock(struct mw_app *app, struct mw_ctx *ctx, const char *id, int64_t until, int *lock)
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

	code = take_lock(k->app, k->ctx, k->row->id, until, &lock);
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
	if ((g->key = key_of(g->app, g->ctx, row, stream)) == NULL)
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

/* ---- many ---- */

struct many {
	struct mw_app *app;
	struct mw_ctx *ctx;
	unsigned running;
	unsigned failed;	/* in the drain */
	unsigned busy;		/* somebody else is at them */
	bool wait;		/* for who is; else until is 0 */
	int64_t until;		/* as of mw_exec_keep */
	enum mw_code code;	/* of the first that could not be kept */
};

static enum mw_code
count_one(void *arg, const struct mw_process *row)
{
	struct many *m = arg;

	(void)row;
	m->running++;
	return MW_OK;
}

static enum mw_code
keep_one(void *arg, const struct mw_process *row)
{
	struct many *m = arg;
	struct mw_process r = *row;
	enum mw_code code = mw_exec_keep(m->app, m->ctx, &r, m->until);

	/* Its output is gone: nothing that could be kept is lost by going on. */
	if (code == MW_PROCESS_LOST)
		mw_err_clear(&m->ctx->err);
	else if (m->code == MW_OK)
		m->code = code;
	m->busy += code == MW_OK && !r.kept && !r.gone;
	return MW_OK;
}

enum mw_code
mw_exec_keep_all(struct mw_app *app, struct mw_ctx *ctx, const char *user, unsigned *running)
{
	struct many m = { .app = app, .ctx = ctx, .until = ctx->deadline };
	struct mw_exec_each each = { .ctx = ctx, .fn = keep_one, .arg = &m };
	enum mw_code code;

	/* In this order: one that ends in between is in both, not in neither. */
	if ((code = mw_exec_refresh(app, ctx, user)) == MW_OK &&
	    (code = mw_process_running(app->processes, ctx, user, count_one, &m)) == MW_OK)
		code = mw_process_unkept(app->processes, ctx, user, mw_exec_each, &each);
	*running = m.running;
	return m.code != MW_OK ? m.code : code;
}

/* ---- for the drain ---- */

struct removal {
	struct mw_ctx *ctx;
	struct mw_store *store;
	const char *key;
};

static enum mw_code
try_remove(void *arg)
{
	struct removal *r = arg;

	return r->store->ops->remove(r->store, r->ctx, r->key);
}

static enum mw_code
remove_stream(struct many *m, const struct mw_process *row, const char *stream)
{
	struct removal r = { .ctx = m->ctx, .key = key_of(m->app, m->ctx, row, stream) };
	enum mw_code code;

	if (r.key == NULL)
		return mw_ctx_nomem(m->ctx);
	if ((code = mw_app_store(m->app, m->ctx, &r.store)) != MW_OK)
		return code;
	return mw_retry(m->app, m->ctx, MW_UP_STORE, try_remove, &r);
}

/* Of one that is over and not kept, whoever was to keep it may have been killed halfway. */
static bool
may_be_there(const struct mw_process *row, int64_t size)
{
	if (row->kept)
		return size > 0;
	return mw_process_over(row->state) && row->state != MW_PROC_LOST;
}

static enum mw_code
forget_locked(struct many *m, const struct mw_process *row)
{
	enum mw_code code = MW_OK;

	if (may_be_there(row, row->out_size))
		code = remove_stream(m, row, "out");
	if (code == MW_OK && may_be_there(row, row->err_size))
		code = remove_stream(m, row, "err");
	return code != MW_OK ? code : mw_process_remove(m->app->processes, m->ctx, row->id);
}

/* Not while somebody puts its output there: that would be left behind. */
static enum mw_code
forget_one(void *arg, const struct mw_process *row)
{
	struct many *m = arg;
	struct mw_process now;
	enum mw_code code;
	int lock;

	code = take_lock(m->app, m->ctx, row->id, m->until, &lock);
	if (code == MW_OK && lock >= 0 &&
	    (code = mw_process_get(m->app->processes, m->ctx, row->user, row->id, &now)) == MW_OK)
		code = forget_locked(m, &now);
	mw_lockfile_give(lock);
	if (code != MW_PROCESS_NOT_FOUND)
		return code;
	mw_err_clear(&m->ctx->err);
	return MW_OK;
}

static enum mw_code
tend_one(void *arg, const struct mw_process *row)
{
	struct many *m = arg;

	(void)keep_one(m, row);
	return m->code;
}

/*
 * Each job has a memory of its own, as nobody knows how many there are, and a part
 * of the time.  What fails is left for the next time, and keeps nothing else up.
 */
static enum mw_code
alone(struct many *all, const struct mw_process *row, mw_process_fn fn)
{
	int64_t share = mw_left(all->ctx->deadline) / TEND_SHARE;
	struct mw_ctx mine = { .deadline = mw_now() + (share < TEND_TIME ? share : TEND_TIME),
	    .user = row->user, .request_id = all->ctx->request_id,
	    .arena = mw_arena_open(MW_EXEC_MEMORY) };
	struct many m = { .app = all->app, .ctx = &mine,
	    .until = all->wait ? mine.deadline : 0 };

	if (mine.arena == NULL)
		return mw_ctx_nomem(all->ctx);
	if (fn(&m, row) != MW_OK && all->failed++ < LOGGED_MAX)
		mw_log(MW_WARN, "[EXEC] userId=%s processId=%s: left for the next time: %s",
		    row->user, row->id, mine.err.msg);
	all->busy += m.busy;
	mw_arena_close(mine.arena);
	return MW_OK;
}

static enum mw_code
tend_alone(void *arg, const struct mw_process *row)
{
	struct many *m = arg;

	if (!mw_known_awake(m->app, row->user))
		return MW_OK;
	return alone(m, row, tend_one);
}

static enum mw_code
forget_alone(void *arg, const struct mw_process *row)
{
	return alone(arg, row, forget_one);
}

static void
log_pass(struct many *m, enum mw_code code, const char *what)
{
	if (code != MW_OK)
		mw_log(MW_WARN, "[EXEC] %s: the rest is left for the next time: %s", what,
		    m->ctx->err.msg);
	if (m->failed > LOGGED_MAX)
		mw_log(MW_WARN, "[EXEC] %s: %u jobs are left for the next time", what, m->failed);
	mw_err_clear(&m->ctx->err);
}

/* Expiry comes first: it needs no sandbox, so that none can use up its time. */
unsigned
mw_exec_tend(struct mw_app *app, struct mw_ctx *ctx, bool wait)
{
	struct many old = { .app = app, .ctx = ctx, .wait = wait }, over = old;
	int64_t before = mw_wall() - app->conf->exec.keep;

	log_pass(&old, mw_process_expired(app->processes, ctx, NULL, before, forget_alone, &old),
	    "forgetting old jobs");
	log_pass(&over, mw_process_unkept(app->processes, ctx, NULL, tend_alone, &over),
	    "keeping results");
	return over.failed + over.busy;
}
