/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing and deleting one file, in the sandbox and in R2. */
#include "ops/files/internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/etag.h"
#include "base/log.h"
#include "ops/ready/quiesce.h"
#include "state/metrics.h"
#include "app/pathlock.h"
#include "ops/files/read.h"
#include "ops/ready/ready.h"

const char *const mw_target_words[] = { "both", "container", "r2", NULL };

/* ---- conditions ---- */

static enum mw_code
check_conditions(struct mw_write_job *j)
{
	const struct mw_write *w = j->w;
	enum mw_code code;
	bool there;

	if (w->if_match == NULL && w->if_none_match == NULL)
		return MW_OK;
	if ((code = mw_write_look(j, &there)) != MW_OK)
		return code;
	if (w->if_match != NULL && (!there || !mw_etag_in(w->if_match, j->current, false)))
		return mw_ctx_fail(j->ctx, MW_PRECONDITION_FAILED,
		    "If-Match: /%.150s has %s in R2; read it again and repeat the change",
		    w->path, there ? j->current : "no object");
	if (w->if_none_match != NULL && there && mw_etag_in(w->if_none_match, j->current, true))
		return mw_ctx_fail(j->ctx, MW_PRECONDITION_FAILED,
		    "If-None-Match: /%.150s exists in R2 with %s", w->path, j->current);
	return MW_OK;
}

/* ---- the sandbox's side ---- */

static enum mw_code
change(struct mw_write_job *j, struct mw_sandbox *sb)
{
	struct mw_stat st;
	struct mw_object obj;
	enum mw_code code;

	j->restores = atomic_load(&mw_shm_user(j->app->shm, j->w->user)->restores);
	if (j->body == NULL)
		return sb->ops->remove(sb, j->ctx, j->w->user, j->w->path);
	code = sb->ops->write(sb, j->ctx, j->w->user, j->w->path, j->body->fd,
	    j->body->size, -1, -1);
	if (code != MW_OK || j->w->target != MW_TARGET_CONTAINER)
		return code;
	/* It is written; without a stat the answer only lacks its ETag. */
	if (sb->ops->stat(sb, j->ctx, j->w->user, j->w->path, &st) == MW_OK &&
	    mw_object_of_stat(j->ctx, j->w->path, &st, &obj) == MW_OK)
		j->w->etag = obj.etag;
	mw_err_clear(&j->ctx->err);
	return MW_OK;
}

/* What nobody else has got must not go with an instance that is being stopped. */
static enum mw_code
try_sandbox(void *arg, struct mw_sandbox *sb)
{
	struct mw_write_job *j = arg;
	enum mw_code code;
	int inside;

	if (j->w->target != MW_TARGET_CONTAINER)
		return change(j, sb);
	if ((code = mw_quiesce_enter(j->app, j->ctx, j->w->user, &inside)) != MW_OK)
		return code;
	code = change(j, sb);
	mw_quiesce_leave(j->app, j->w->user, inside);
	return code;
}

static enum mw_code
to_sandbox(struct mw_write_job *j)
{
	enum mw_code code;

	j->w->tried |= MW_TRIED_CONTAINER;
	code = mw_in_sandbox(j->app, j->ctx, j->w->user, j->w->max_wake, try_sandbox, j);
	if (j->body == NULL && code == MW_FILE_NOT_FOUND) {
		mw_err_clear(&j->ctx->err);
		return MW_OK;
	}
	if (code == MW_OK && j->body == NULL)
		j->w->existed = true;
	return code;
}

/* ---- marks ---- */

static enum mw_code
set_mark(struct mw_write_job *j, enum mw_mark mark)
{
	int64_t deadline;
	enum mw_code code;

	/* NONE also ends what a restore has left behind: it is cheap where there is nothing. */
	if (mark == j->mark && mark != MW_MARK_NONE)
		return MW_OK;
	deadline = mw_write_grace(j);
	code = mw_outbox_mark(j->app->outbox, j->ctx, j->w->user, j->w->path, mark);
	j->ctx->deadline = deadline;
	if (code == MW_OK)
		j->mark = mark;
	return code;
}

/* The same change in a sandbox whose files are at hand. */
static enum mw_code
follow_now(struct mw_write_job *j)
{
	struct mw_sandbox *sb = j->app->sandbox;
	enum mw_code code;

	if (j->body != NULL)
		return sb->ops->write(sb, j->ctx, j->w->user, j->w->path, j->body->fd,
		    j->body->size, -1, -1);
	code = sb->ops->remove(sb, j->ctx, j->w->user, j->w->path);
	return code == MW_FILE_NOT_FOUND ? MW_OK : code;
}

/* Written to R2 alone: the sandbox follows now if its files are at hand, else at its next wake. */
static enum mw_code
follow_r2(struct mw_write_job *j)
{
	enum mw_code code;

	code = set_mark(j, mw_write_mark(j));
	if (code != MW_OK || !mw_files_at_hand(j->app, j->w->user))
		return code;
	code = follow_now(j);
	mw_err_clear(&j->ctx->err);
	return code == MW_OK ? set_mark(j, MW_MARK_NONE) : MW_OK;
}

/*
 * The mark first, so that a full disk stops it before anything has changed; but not
 * over a mark that says more, for if this request dies then, its mark would lie.
 */
static enum mw_code
container_only(struct mw_write_job *j)
{
	enum mw_mark mark = j->body != NULL ? MW_MARK_NEWER_SANDBOX : MW_MARK_DELETED_SANDBOX;
	bool first = j->mark == MW_MARK_NONE;
	struct mw_err cause;
	enum mw_code code;

	if (first && (code = set_mark(j, mark)) != MW_OK)
		return code;
	code = to_sandbox(j);
	if (code == MW_OK && (j->body != NULL || j->w->existed))
		return first ? MW_OK : set_mark(j, mark);
	if (first) {
		cause = j->ctx->err;
		mw_err_clear(&j->ctx->err);
		if (set_mark(j, MW_MARK_NONE) != MW_OK)
			mw_log(MW_ERROR, "[FILES] userId=%s: /%s stays marked as changed in the "
			    "sandbox: %s", j->w->user, j->w->path, j->ctx->err.msg);
		j->ctx->err = cause;
	}
	return code;
}

/* ---- the two verbs ---- */

static enum mw_code
job_begin(struct mw_write_job *j, int *lock)
{
	struct mw_store *store = NULL;
	enum mw_code code;

	*lock = -1;
	if (!j->w->locked &&
	    (code = mw_path_lock(j->app, j->ctx, j->w->user, j->w->path, lock)) != MW_OK)
		return code;
	j->written = mw_wall();
	if (j->w->target != MW_TARGET_CONTAINER || j->w->if_match != NULL ||
	    j->w->if_none_match != NULL) {
		if ((code = mw_app_store(j->app, j->ctx, &store)) != MW_OK)
			return code;
	}
	if ((j->key = mw_store_key(j->app->conf, j->ctx->arena, j->w->user, j->w->path)) == NULL)
		return mw_ctx_nomem(j->ctx);
	if (store != NULL && strlen(j->key) > store->ops->key_max)
		return mw_ctx_fail(j->ctx, MW_INVALID_PATH,
		    "The path is too long for R2: its key would have %zu bytes, at most %zu are "
		    "taken", strlen(j->key), store->ops->key_max);
	if ((code = mw_outbox_find(j->app->outbox, j->ctx, j->w->user, j->w->path, &j->row)) != MW_OK ||
	    (code = mw_outbox_marked(j->app->outbox, j->ctx, j->w->user, j->w->path, &j->mark)) != MW_OK)
		return code;
	return check_conditions(j);
}

static enum mw_code
try_stat(void *arg, struct mw_sandbox *sb)
{
	struct mw_write_job *j = arg;
	struct mw_stat st;

	return sb->ops->stat(sb, j->ctx, j->w->user, j->w->path, &st);
}

/*
 * R2 first, for a change that R2 may refuse: a condition, or an outbox with no
 * room for what R2 does not take.  Then nothing was changed.  The sandbox is
 * woken before, so that it does not fail after.
 */
static enum mw_code
r2_first(struct mw_write_job *j)
{
	enum mw_code code, marked;
	struct mw_err cause;

	code = mw_in_sandbox(j->app, j->ctx, j->w->user, j->w->max_wake, try_stat, j);
	if (code != MW_OK && code != MW_FILE_NOT_FOUND)
		return code;
	mw_err_clear(&j->ctx->err);
	code = j->body != NULL ? mw_write_to_r2(j) : mw_delete_in_r2(j);
	if (code != MW_OK || (code = to_sandbox(j)) == MW_OK)
		return code;
	cause = j->ctx->err;
	mw_err_clear(&j->ctx->err);
	marked = set_mark(j, mw_write_mark(j));
	if (marked != MW_OK)
		mw_log(MW_ERROR, "[FILES] userId=%s: R2 has a newer /%s, and no mark says so: %s",
		    j->w->user, j->w->path, j->ctx->err.msg);
	j->ctx->err = cause;
	return code;
}

/* The sandbox, and R2 or the outbox. */
static enum mw_code
both(struct mw_write_job *j)
{
	bool conditional = j->w->if_match != NULL || j->w->if_none_match != NULL;
	enum mw_code code;

	if (conditional ||
	    !mw_outbox_room(j->app->outbox, j->ctx, j->body != NULL ? j->body->size : 0))
		code = r2_first(j);
	else if ((code = to_sandbox(j)) == MW_OK)
		code = j->body != NULL ? mw_write_to_r2(j) : mw_delete_in_r2(j);
	if (code != MW_OK)
		return code;
	/* A sandbox that was replaced after it had taken this may have been restored
	 * before R2 had it. */
	if (atomic_load(&mw_shm_user(j->app->shm, j->w->user)->restores) != j->restores)
		return follow_r2(j);
	return set_mark(j, MW_MARK_NONE);
}

/* To R2, or away there; *changed: R2 is to be another than before. */
static enum mw_code
change_or_queue(struct mw_write_job *j, bool *changed)
{
	enum mw_code code = j->body != NULL ? mw_write_to_r2(j) : mw_delete_in_r2(j);

	*changed = code == MW_OK && (j->body != NULL || j->w->existed || j->unknown);
	return code;
}

static enum mw_code
run_job(struct mw_write_job *j)
{
	enum mw_code code;
	bool changed;
	int lock;

	if ((code = job_begin(j, &lock)) != MW_OK) {
		mw_path_unlock(lock);
		return code;
	}
	if (j->w->target == MW_TARGET_CONTAINER) {
		code = container_only(j);
	} else if (j->w->target == MW_TARGET_R2) {
		code = change_or_queue(j, &changed);
		if (changed)
			code = follow_r2(j);
	} else {
		code = both(j);
	}
	mw_path_unlock(lock);
	return code;
}

/* Acknowledged, and R2 still has to get it. */
static enum mw_code
counted(const struct mw_write_job *j, enum mw_code code)
{
	if (code == MW_OK && j->w->r2_queued)
		mw_count(MW_M_QUEUED, j->body == NULL, 0, 0, 1);
	return code;
}

enum mw_code
mw_write_file(struct mw_app *app, struct mw_ctx *ctx, struct mw_write *w, struct mw_spool *body)
{
	struct mw_write_job j = { .app = app, .ctx = ctx, .w = w, .body = body };

	return counted(&j, run_job(&j));
}

enum mw_code
mw_delete_file(struct mw_app *app, struct mw_ctx *ctx, struct mw_write *w)
{
	struct mw_write_job j = { .app = app, .ctx = ctx, .w = w };
	enum mw_code code = counted(&j, run_job(&j));

	if (code == MW_OK && !w->existed && !j.unknown)
		return mw_ctx_fail(ctx, MW_FILE_NOT_FOUND, "File not found: /%.200s", w->path);
	return code;
}
