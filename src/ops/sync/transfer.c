/* SPDX-License-Identifier: BSD-2-Clause */
/* The transfers of a sync: each worker takes the next row of the plan when it is ready. */
#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "app/classify.h"
#include "app/workers.h"
#include "ops/sync/internal.h"

static bool
removes(enum mw_act act)
{
	return act == MW_ACT_REMOVE || act == MW_ACT_FORGET || act == MW_ACT_REPLACE;
}

/* What stands in the way of another kind goes first, what is absent last. */
static int
round_of(enum mw_act act)
{
	return act == MW_ACT_REPLACE ? 0 : removes(act) ? 2 : 1;
}

bool
mw_sync_one_path(enum mw_code code, const struct mw_err *err)
{
	return err->object || (!mw_is_outage(code) && code != MW_STORAGE_FULL && code != MW_INTERNAL_ERROR &&
	    code != MW_CLIENT_GONE);
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
	    round_of((enum mw_act)row->act) != run->round);
	if (run->code != MW_OK)
		row = NULL;
	if (row != NULL) {
		*item = *row;
		item->path = mw_arena_strdup(w->ctx->arena, row->path);
		item->tag = mw_arena_strdup(w->ctx->arena, row->tag);
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
	enum mw_code code = MW_OK;

	if (!w->run->restore && item->act == MW_ACT_REPLACE)
		code = mw_sync_kind_replace(w->run, w->ctx, item->path);
	else if (!w->run->restore && !removes((enum mw_act)item->act))
		code = mw_sync_kind_copy(w->run, w->ctx, item);
	if (code != MW_OK)
		return code;
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
	if (o->has_fact && o->fact.act != MW_ACT_NONE && o->fact.type == MW_FT_FILE) {
		s->files++;
		s->total += o->fact.size;
	}
}

/* Not to know of it later could cost R2's object: that ends the restore. */
static void
leave_behind(struct mw_sync_worker *w, const char *path, enum mw_code code)
{
	struct mw_sync_run *run = w->run;
	struct mw_err cause = w->ctx->err;
	struct mw_missing m = { .path = path, .code = code, .error = cause.msg };

	mw_err_clear(&w->ctx->err);
	code = mw_outbox_miss(w->app->outbox, w->ctx, run->user, run->s->id, &m);
	if (code != MW_OK && run->code == MW_OK) {
		run->code = code;
		run->err = w->ctx->err;
	}
}

static void
settle(struct mw_sync_worker *w, const struct mw_row *item, enum mw_code code,
    struct mw_sync_result *o)
{
	struct mw_sync_run *run = w->run;
	struct mw_err err = { .code = MW_OK };

	(void)pthread_mutex_lock(&run->mutex);
	if (item->act == MW_ACT_REPLACE && (code != MW_OK ||
	    (o->act != MW_ACT_REMOVE && o->act != MW_ACT_NONE)))
		mw_sync_kind_stays(run, item->path);
	if (code == MW_OK) {
		mw_log(MW_DEBUG, "[SYNC] userId=%s %s /%s: planned %u, done %u", run->user,
		    mw_direction_words[run->s->direction], item->path, item->act, (unsigned)o->act);
		count(run, item, o);
		if (o->has_fact && run->code == MW_OK &&
		    mw_sorted_add(run->facts, &o->fact, &err) != MW_OK) {
			run->code = err.code;
			run->err = err;
		}
	} else if (mw_sync_one_path(code, &w->ctx->err)) {
		mw_sync_note(run->ctx->arena, &run->s->failed, item->path, code, w->ctx->err.msg);
		mw_log(MW_WARN, "[SYNC] userId=%s: /%s: %s", run->user, item->path, w->ctx->err.msg);
		if (run->restore && o->absent && !run->s->dry_run)
			leave_behind(w, item->path, code);
	} else if (run->code == MW_OK && mw_left(run->deadline) == 0) {
		run->code = time_over(run);
	} else if (run->code == MW_OK) {
		run->code = code;
		run->err = w->ctx->err;
	}
	(void)pthread_mutex_unlock(&run->mutex);
	mw_err_clear(&w->ctx->err);
}

static void
work_rows(struct mw_sync_worker *w)
{
	struct mw_sync_result o;
	struct mw_row item;
	enum mw_code code;

	for (;;) {
		mw_arena_reset(w->ctx->arena);
		if (!take(w, &item))
			return;
		o = (struct mw_sync_result){ .act = MW_ACT_KEEP };
		w->ctx->deadline = w->run->deadline;
		code = carry_out(w, &item, &o);
		settle(w, &item, code, &o);
	}
}

/* The first worker has the sync's own handles; fewer workers than wished for are enough. */
static void
work(void *arg, struct mw_worker *worker)
{
	struct mw_sync_run *run = arg;
	struct mw_sync_worker w = { .run = run, .app = worker->app, .sb = run->sb,
	    .ctx = &worker->ctx };

	w.ctx->user = run->user;
	if (worker->i == 0) {
		work_rows(&w);
	} else if (w.app->store != NULL && w.app->sandbox != NULL) {
		w.app->store->clock = run->store->clock;
		w.sb = w.app->sandbox;
		w.sb->allow_unproven = run->sb->allow_unproven;
		work_rows(&w);
		w.sb->allow_unproven = false;
	}
}

/* One round of them. */
static enum mw_code
transfer_all(struct mw_sync_run *run, int round, size_t n)
{
	enum mw_code code;

	run->round = round;
	if ((code = mw_workers(run->app, run->ctx, n, "[SYNC]", work, run)) != MW_OK)
		return code;
	if (run->code != MW_OK && run->ctx->err.code == MW_OK)
		run->ctx->err = run->err;
	return run->code;
}

enum mw_code
mw_sync_transfer(struct mw_sync_run *run)
{
	size_t rows = mw_sorted_count(run->plan), n = (size_t)run->app->conf->sync.parallel;
	enum mw_code code;
	int round;

	if (rows == 0)
		return MW_OK;
	if (n > rows)
		n = rows;
	for (round = run->replaced > 0 ? 0 : 1; round <= 2; round++) {
		if ((code = mw_sorted_rewind(run->plan, &run->ctx->err)) != MW_OK ||
		    (code = transfer_all(run, round, n)) != MW_OK)
			return code;
	}
	return MW_OK;
}
