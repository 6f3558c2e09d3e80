/* SPDX-License-Identifier: BSD-2-Clause */
/* The results of many commands: kept before a stop, kept and forgotten by the drain. */
#include "ops/exec/tend.h"

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "app/retry.h"
#include "ops/exec/internal.h"
#include "ops/exec/look.h"
#include "ops/exec/results.h"
#include "ops/ready/ready.h"

#define TEND_SHARE 4		/* a job may take this part of the time that is left */
#define TEND_TIME 600000		/* ms, and no more than that */
#define LOGGED_MAX 8		/* failures of one pass that have a line of their own */

struct many {
	struct mw_app *app;
	struct mw_ctx *ctx;
	unsigned running;
	unsigned failed;	/* in the drain */
	unsigned busy;		/* another process keeps their results */
	bool wait;		/* for that process; else until is 0 */
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
	struct removal r = { .ctx = m->ctx, .key = mw_exec_key(m->app, m->ctx, row, stream) };
	enum mw_code code;

	if (r.key == NULL)
		return mw_ctx_nomem(m->ctx);
	if ((code = mw_app_store(m->app, m->ctx, &r.store)) != MW_OK)
		return code;
	return mw_retry(m->app, m->ctx, MW_UP_STORE, try_remove, &r);
}

/* Of one that is over and not kept, the process that was to keep it may have been killed halfway. */
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

/* Not while another process puts its output there: that would be left behind. */
static enum mw_code
forget_one(void *arg, const struct mw_process *row)
{
	struct many *m = arg;
	struct mw_process now;
	enum mw_code code;
	int lock;

	code = mw_exec_lock(m->app, m->ctx, row->id, m->until, &lock);
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
