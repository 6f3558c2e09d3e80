/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transfers of a sync, several at a time.  Each worker is a thread with
 * handles and an arena of its own and takes the next row of the plan when it is
 * ready; the thread that began the sync is the first of them.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/threads.h"
#include "app/classify.h"
#include "ops/sync/internal.h"

#define ARENA_MAX ((size_t)4 << 20)

static bool
removes(enum mw_act act)
{
	return act == MW_ACT_REMOVE || act == MW_ACT_FORGET;
}

/* Does this failure concern one path alone? */
static bool
row_only(enum mw_code code)
{
	return !mw_is_outage(code) && code != MW_STORAGE_FULL && code != MW_INTERNAL_ERROR &&
	    code != MW_CLIENT_GONE;
}

static enum mw_code
time_over(struct mw_sync_run *run)
{
	return mw_fail(&run->err, MW_DEADLINE_EXCEEDED,
	    "The sync's time is over; run it again, it goes on where it stopped");
}

/* The next row for this round into the worker's arena; false: none, or the end. */
static bool
take(struct mw_sync_worker *w, struct mw_row *item)
{
	struct mw_sync_run *run = w->run;
	const struct mw_row *row = NULL;
	struct mw_err err = { .code = MW_OK };

	(void)pthread_mutex_lock(&run->mutex);
	do {
		if (run->code == MW_OK && mw_stopping())
			run->code = mw_fail(&run->err, MW_SANDBOX_UNAVAILABLE,
			    "This process is ending: the sync stops here; run it again");
		if (run->code == MW_OK && mw_left(run->deadline) == 0)
			run->code = time_over(run);
		if (run->code == MW_OK)
			run->code = mw_sorted_next(run->plan, &row, &err);
		if (err.code != MW_OK)
			run->err = err;
	} while (run->code == MW_OK && row != NULL &&
	    removes((enum mw_act)row->act) != run->removing);
	if (run->code != MW_OK)
		row = NULL;
	if (row != NULL) {
		*item = *row;
		item->path = mw_arena_strdup(w->ctx.arena, row->path);
		item->tag = mw_arena_strdup(w->ctx.arena, row->tag);
		if (item->path == NULL || item->tag == NULL) {
			run->code = mw_fail(&run->err, MW_INTERNAL_ERROR, "out of memory");
			row = NULL;
		}
	}
	(void)pthread_mutex_unlock(&run->mutex);
	return row != NULL;
}

static enum mw_code
carry_out(struct mw_sync_worker *w, const struct mw_row *item, struct mw_sync_result *o)
{
	if (w->run->restore)
		return removes((enum mw_act)item->act) ? mw_sync_down_remove(w, item, o) :
		    mw_sync_down(w, item, o);
	return removes((enum mw_act)item->act) ? mw_sync_up_remove(w, item, o) :
	    mw_sync_up(w, item, o);
}

static void
count(struct mw_sync_run *run, const struct mw_row *item, const struct mw_sync_result *o)
{
	struct mw_sync *s = run->s;

	switch (o->act) {
	case MW_ACT_COPY:
		*(run->restore ? &s->downloaded : &s->uploaded) += 1;
		s->bytes += o->bytes;
		break;
	case MW_ACT_REMOVE:
		s->deleted++;
		break;
	case MW_ACT_NEWER:
		mw_sync_note(run->ctx->arena, &s->newer, item->path, MW_OK, NULL);
		s->skipped++;
		break;
	case MW_ACT_NONE:		/* it is gone meanwhile */
		break;
	case MW_ACT_WAIT:
		s->waiting++;
		s->skipped++;
		break;
	default:
		s->skipped++;
		break;
	}
	if (o->has_fact && o->fact.act != MW_ACT_NONE) {
		s->files++;
		s->total += o->fact.size;
	}
}

static void
settle(struct mw_sync_worker *w, const struct mw_row *item, enum mw_code code,
    struct mw_sync_result *o)
{
	struct mw_sync_run *run = w->run;
	struct mw_err err = { .code = MW_OK };

	(void)pthread_mutex_lock(&run->mutex);
	if (code == MW_OK) {
		mw_log(MW_DEBUG, "[SYNC] userId=%s %s /%s: planned %u, done %u", run->user,
		    mw_direction_words[run->s->direction], item->path, item->act, (unsigned)o->act);
		count(run, item, o);
		if (o->has_fact && run->code == MW_OK &&
		    mw_sorted_add(run->facts, &o->fact, &err) != MW_OK) {
			run->code = err.code;
			run->err = err;
		}
	} else if (row_only(code)) {
		mw_sync_note(run->ctx->arena, &run->s->failed, item->path, code, w->ctx.err.msg);
		mw_log(MW_WARN, "[SYNC] userId=%s: /%s: %s", run->user, item->path, w->ctx.err.msg);
	} else if (run->code == MW_OK && mw_left(run->deadline) == 0) {
		run->code = time_over(run);
	} else if (run->code == MW_OK) {
		run->code = code;
		run->err = w->ctx.err;
	}
	(void)pthread_mutex_unlock(&run->mutex);
	mw_err_clear(&w->ctx.err);
}

static void
work(struct mw_sync_worker *w)
{
	struct mw_sync_result o;
	struct mw_row item;
	enum mw_code code;

	for (;;) {
		mw_arena_reset(w->ctx.arena);
		if (!take(w, &item))
			return;
		o = (struct mw_sync_result){ .act = MW_ACT_KEEP };
		w->ctx.deadline = w->run->deadline;
		code = carry_out(w, &item, &o);
		settle(w, &item, code, &o);
	}
}

/* ---- the threads ---- */

struct thread {
	struct mw_sync_worker w;
	bool open;		/* all of its handles are */
};

static void
thread_close(struct mw_sync_run *run, struct thread *t)
{
	if (t->w.store != run->store)
		mw_store_close(t->w.store);
	if (t->w.sb != run->sb)
		mw_sandbox_close(t->w.sb);
	mw_arena_close(t->w.ctx.arena);
	run->ctx->attempts += t->w.ctx.attempts;
	run->ctx->retries += t->w.ctx.retries;
}

/* A worker with the sync's own handles, or with new ones. */
static bool
thread_open(struct mw_sync_run *run, struct thread *t, bool own, struct mw_err *err)
{
	t->w.run = run;
	t->w.app = run->app;
	t->w.ctx = (struct mw_ctx){ .request_id = run->ctx->request_id,
	    .user = run->user, .deadline = run->deadline, .arena = mw_arena_open(ARENA_MAX) };
	if (!own) {
		t->w.store = run->store;
		t->w.sb = run->sb;
	} else if (mw_store_open(run->app->conf, &t->w.store, err) != MW_OK ||
	    mw_app_open_sandbox(run->app, &t->w.sb, err) != MW_OK) {
		return false;
	} else {
		t->w.sb->allow_unproven = run->sb->allow_unproven;
		t->w.store->clock = run->store->clock;
	}
	return t->w.ctx.arena != NULL;
}

static void
run_thread(void *arg, size_t i)
{
	struct thread *t = (struct thread *)arg + i;

	if (t->open)
		work(&t->w);
}

/* Fewer workers than wished for are enough, as long as there is one. */
static enum mw_code
round_of(struct mw_sync_run *run, size_t n)
{
	struct thread *t = calloc(n, sizeof(*t));
	struct mw_err err = { .code = MW_OK };
	enum mw_code code = MW_OK;
	size_t i;

	if (t == NULL || !thread_open(run, &t[0], false, &err)) {
		free(t);
		return mw_ctx_nomem(run->ctx);
	}
	t[0].open = true;
	for (i = 1; i < n; i++)
		t[i].open = thread_open(run, &t[i], true, &err);
	(void)mw_threads(n, run_thread, t);
	for (i = 0; i < n; i++)
		thread_close(run, &t[i]);
	free(t);
	if (run->code != MW_OK) {
		code = run->code;
		if (run->ctx->err.code == MW_OK)
			run->ctx->err = run->err;
	}
	return code;
}

enum mw_code
mw_sync_transfer(struct mw_sync_run *run)
{
	size_t rows = mw_sorted_count(run->plan), n = (size_t)run->app->conf->sync.parallel;
	enum mw_code code;

	if (rows == 0)
		return MW_OK;
	if (n > rows)
		n = rows;
	run->removing = false;
	if ((code = round_of(run, n)) != MW_OK ||
	    (code = mw_sorted_rewind(run->plan, &run->ctx->err)) != MW_OK)
		return code;
	run->removing = true;
	return round_of(run, n);
}
