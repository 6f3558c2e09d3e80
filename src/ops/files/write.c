/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing and deleting a file, in the sandbox and in R2. */
#include "ops/files/write.h"

#include <stdio.h>
#include <string.h>

#include "base/mime.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "app/classify.h"
#include "ops/ready/quiesce.h"
#include "app/pathlock.h"
#include "ops/files/read.h"
#include "ops/files/marks.h"
#include "app/retry.h"
#include "ops/ready/ready.h"

const char *const mw_target_words[] = { "both", "container", "r2", NULL };

struct job {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_write *w;
	struct mw_spool *body;		/* NULL: a delete */
	const char *key;
	const struct mw_outbox_row *row;	/* pending when we came, or NULL */
	enum mw_mark mark;		/* when we came */
	const char *current;		/* R2's ETag when we came, NULL = none or not asked */
	bool unknown;			/* a delete could not learn whether R2 has it */
	bool unsure;			/* a put had no definite answer: R2 may have taken it */
	int64_t written;		/* when, by our clock: the content's mtime in R2 */
	uint32_t restores;		/* of the user, when the sandbox was last asked */
};

#define GRACE 5000	/* ms */

/* What the outbox must keep it gets time for, even if R2 has used the request's
 * up.  Returns the deadline to go back to. */
static int64_t
grace(struct job *j)
{
	int64_t deadline = j->ctx->deadline;

	if (deadline < mw_now() + GRACE)
		j->ctx->deadline = mw_now() + GRACE;
	return deadline;
}

/* ---- conditions ---- */

static enum mw_code
try_head(void *arg)
{
	struct job *j = arg;
	struct mw_object obj;
	enum mw_code code;

	code = j->app->store->ops->head(j->app->store, j->ctx, j->key, &obj);
	if (code == MW_OK)
		j->current = obj.etag;
	return code;
}

/* What R2 has, or will have: *there and j->current. */
static enum mw_code
look_at_r2(struct job *j, bool *there)
{
	enum mw_code code;
	char hex[33];

	if (j->row != NULL) {
		*there = j->row->op == MW_OUTBOX_PUT;
		if (!*there)
			return MW_OK;
		mw_str_hex(j->row->md5, sizeof(j->row->md5), hex);
		j->current = mw_arena_printf(j->ctx->arena, "\"%s\"", hex);
		return j->current != NULL ? MW_OK : mw_ctx_nomem(j->ctx);
	}
	code = mw_retry(j->app, j->ctx, MW_UP_STORE, try_head, j);
	*there = code == MW_OK;
	if (code == MW_FILE_NOT_FOUND) {
		mw_err_clear(&j->ctx->err);
		code = MW_OK;
	}
	return code;
}

static enum mw_code
check_conditions(struct job *j)
{
	const struct mw_write *w = j->w;
	enum mw_code code;
	bool there;

	if (w->if_match == NULL && w->if_none_match == NULL)
		return MW_OK;
	if ((code = look_at_r2(j, &there)) != MW_OK)
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
change(struct job *j, struct mw_sandbox *sb)
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
	struct job *j = arg;
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
to_sandbox(struct job *j)
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

/* ---- R2's side ---- */

static enum mw_code
try_r2(void *arg)
{
	struct job *j = arg;
	struct mw_store *store = j->app->store;
	struct mw_put put;
	enum mw_code code;

	if (j->body == NULL)
		return store->ops->remove(store, j->ctx, j->key);
	put = (struct mw_put){
		.fd = j->body->fd, .size = j->body->size,
		.sha256 = j->body->sha256, .md5 = j->body->md5,
		.content_type = mw_path_mime(j->w->path), .mode = -1, .mtime = j->written,
		.if_match = j->w->if_match != NULL ? j->current : NULL,
		.if_none_match = j->w->if_none_match != NULL &&
		    strcmp(j->w->if_none_match, "*") == 0,
	};
	code = store->ops->put(store, j->ctx, j->key, &put, &j->w->etag);
	j->unsure = j->unsure || code == MW_STORE_UNAVAILABLE;
	return code;
}

/*
 * The state of R2 that a conditional change was made for: what the row says that
 * it replaces, for that row was what the client saw.
 */
static void
bind_row(const struct job *j, struct mw_outbox_row *row)
{
	const struct mw_write *w = j->w;

	if (w->if_match == NULL && w->if_none_match == NULL)
		return;
	if (j->row != NULL) {
		row->if_match = j->row->if_match;
		row->if_none_match = j->row->if_none_match;
	} else if (w->if_match != NULL) {
		row->if_match = j->current;
	} else {
		row->if_none_match = w->if_none_match != NULL && strcmp(w->if_none_match, "*") == 0;
	}
}

/* What only R2 has got then. */
static enum mw_mark
r2_mark(const struct job *j)
{
	return j->body != NULL ? MW_MARK_NEWER_R2 : MW_MARK_DELETED_R2;
}

/* The queued twin of try_r2: durable when it returns. */
static enum mw_code
enqueue(struct job *j)
{
	struct mw_outbox_row row = {
		.user = j->w->user, .path = j->w->path, .store = j->app->store->identity,
		.op = j->body != NULL ? MW_OUTBOX_PUT : MW_OUTBOX_DELETE,
		.created = mw_wall(), .mode = -1, .mtime = j->written,
	};
	char hex[33];
	enum mw_code code;
	int64_t deadline;

	if (j->body != NULL) {
		row.size = j->body->size;
		memcpy(row.md5, j->body->md5, sizeof(row.md5));
		memcpy(row.sha256, j->body->sha256, sizeof(row.sha256));
		row.content_type = mw_path_mime(j->w->path);
		mw_str_hex(row.md5, sizeof(row.md5), hex);
		j->w->etag = mw_arena_printf(j->ctx->arena, "\"%s\"", hex);
		if (j->w->etag == NULL)
			return mw_ctx_nomem(j->ctx);
	}
	bind_row(j, &row);
	deadline = grace(j);
	if (j->w->target == MW_TARGET_R2)
		code = mw_outbox_put_marked(j->app->outbox, j->ctx, &row, j->body, r2_mark(j));
	else
		code = mw_outbox_put(j->app->outbox, j->ctx, &row, j->body);
	if (code == MW_OK)
		j->w->r2_queued = true;
	j->ctx->deadline = deadline;
	return code;
}

/* Nothing but R2 was to have it, and R2 refuses for good: no use in queueing. */
static bool
gives_up(const struct mw_write *w, enum mw_code code)
{
	return w->target == MW_TARGET_R2 && !mw_code_info(code)->retryable;
}

/* A condition failed after a try whose answer was lost: is what R2 has now this
 * very body?  Then that try was not lost. */
static bool
was_ours(struct job *j)
{
	struct mw_err cause = j->ctx->err;
	char hex[33], tag[36];
	const char *before = j->current;
	bool ours = false;

	mw_str_hex(j->body->md5, sizeof(j->body->md5), hex);
	(void)snprintf(tag, sizeof(tag), "\"%s\"", hex);
	mw_err_clear(&j->ctx->err);
	if (mw_retry(j->app, j->ctx, MW_UP_STORE, try_head, j) == MW_OK)
		ours = strcmp(j->current, tag) == 0;
	if (ours)
		j->w->etag = j->current;
	j->current = before;
	if (ours)
		mw_err_clear(&j->ctx->err);
	else
		j->ctx->err = cause;
	return ours;
}

static enum mw_code
send(struct job *j)
{
	enum mw_code code = mw_retry(j->app, j->ctx, MW_UP_STORE, try_r2, j);

	if (code == MW_PRECONDITION_FAILED && j->unsure && was_ours(j))
		code = MW_OK;
	j->w->r2_synced = code == MW_OK;
	return code;
}

/* R2 has it, or refuses it: the row is not needed, and after a refusal the mark
 * neither.  If that cannot be written down, the drainer finds out the same. */
static void
take_back(struct job *j, const struct mw_outbox_row *row, bool sent)
{
	struct mw_ctx aside = *j->ctx;
	enum mw_code code;

	mw_err_clear(&aside.err);
	if (aside.deadline < mw_now() + GRACE)
		aside.deadline = mw_now() + GRACE;
	code = sent ? mw_outbox_done(j->app->outbox, &aside, row) :
	    mw_outbox_undo(j->app->outbox, &aside, row, j->mark);
	if (code != MW_OK)
		mw_log(MW_ERROR, "[SYNC] userId=%s: /%s stays in the outbox: %s", j->w->user,
		    j->w->path, aside.err.msg);
	else
		j->w->r2_queued = false;
	if (sent)
		j->mark = r2_mark(j);
}

/*
 * For R2 alone: it is in the outbox, with its mark, before R2 is asked.  So the
 * sandbox will hear of it, however this request ends.
 */
static enum mw_code
outbox_first(struct job *j)
{
	const struct mw_outbox_row *row;
	struct mw_write *w = j->w;
	enum mw_code code;

	if ((code = enqueue(j)) != MW_OK ||
	    (code = mw_outbox_find(j->app->outbox, j->ctx, w->user, w->path, &row)) != MW_OK)
		return code;
	code = send(j);
	if (row != NULL && (code == MW_OK || code == MW_PRECONDITION_FAILED || gives_up(w, code)))
		take_back(j, row, code == MW_OK);
	if (code == MW_OK || code == MW_PRECONDITION_FAILED || gives_up(w, code))
		return code;
	j->mark = r2_mark(j);
	w->r2_error = mw_arena_strdup(j->ctx->arena, j->ctx->err.msg);
	mw_err_clear(&j->ctx->err);
	return MW_OK;
}

/* Put it or queue it.  A path with a pending row only queues: order is kept. */
static enum mw_code
to_r2(struct job *j)
{
	struct mw_write *w = j->w;
	enum mw_code code;

	w->tried |= MW_TRIED_R2;
	if (j->row != NULL) {
		w->r2_error = "an earlier change of this path still waits for R2";
		return enqueue(j);
	}
	if (w->target == MW_TARGET_R2 &&
	    mw_outbox_room(j->app->outbox, j->ctx, j->body != NULL ? j->body->size : 0))
		return outbox_first(j);
	code = send(j);
	if (code == MW_OK || code == MW_PRECONDITION_FAILED || gives_up(w, code))
		return code;
	w->r2_error = mw_arena_strdup(j->ctx->arena, j->ctx->err.msg);
	mw_log(MW_WARN, "[SYNC] userId=%s: R2 did not take /%s (%s), queued", w->user, w->path,
	    j->ctx->err.msg);
	mw_err_clear(&j->ctx->err);
	return enqueue(j);
}

static enum mw_code
delete_in_r2(struct job *j)
{
	struct mw_write *w = j->w;
	bool there = j->current != NULL;
	enum mw_code code;

	w->tried |= MW_TRIED_R2;
	if (!there && (code = look_at_r2(j, &there)) != MW_OK) {
		if (gives_up(w, code))
			return code;
		/* It cannot be asked, so it may have it: the delete is queued. */
		w->r2_error = mw_arena_strdup(j->ctx->arena, j->ctx->err.msg);
		mw_err_clear(&j->ctx->err);
		j->unknown = true;
		return enqueue(j);
	}
	w->existed = w->existed || there;
	if (there)
		return to_r2(j);
	/* Gone already; a pending delete stays queued. */
	w->r2_synced = j->row == NULL;
	w->r2_queued = j->row != NULL;
	return MW_OK;
}

/* ---- marks ---- */

static enum mw_code
set_mark(struct job *j, enum mw_mark mark)
{
	int64_t deadline;
	enum mw_code code;

	if (mark == j->mark)
		return MW_OK;
	deadline = grace(j);
	code = mw_outbox_mark(j->app->outbox, j->ctx, j->w->user, j->w->path, mark);
	j->ctx->deadline = deadline;
	if (code == MW_OK)
		j->mark = mark;
	return code;
}

/* The same change in a sandbox whose files are at hand. */
static enum mw_code
follow_now(struct job *j)
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
follow_r2(struct job *j)
{
	enum mw_code code;

	code = set_mark(j, r2_mark(j));
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
container_only(struct job *j)
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
job_begin(struct job *j, int *lock)
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
	struct job *j = arg;
	struct mw_stat st;

	return sb->ops->stat(sb, j->ctx, j->w->user, j->w->path, &st);
}

/*
 * R2 first, for a change that R2 may refuse: a condition, or an outbox with no
 * room for what R2 does not take.  Then nothing was changed.  The sandbox is
 * woken before, so that it does not fail after.
 */
static enum mw_code
r2_first(struct job *j)
{
	enum mw_code code, marked;
	struct mw_err cause;

	code = mw_in_sandbox(j->app, j->ctx, j->w->user, j->w->max_wake, try_stat, j);
	if (code != MW_OK && code != MW_FILE_NOT_FOUND)
		return code;
	mw_err_clear(&j->ctx->err);
	code = j->body != NULL ? to_r2(j) : delete_in_r2(j);
	if (code != MW_OK || (code = to_sandbox(j)) == MW_OK)
		return code;
	cause = j->ctx->err;
	mw_err_clear(&j->ctx->err);
	marked = set_mark(j, r2_mark(j));
	if (marked != MW_OK)
		mw_log(MW_ERROR, "[FILES] userId=%s: R2 has a newer /%s, and no mark says so: %s",
		    j->w->user, j->w->path, j->ctx->err.msg);
	j->ctx->err = cause;
	return code;
}

/* The sandbox, and R2 or the outbox. */
static enum mw_code
both(struct job *j)
{
	bool conditional = j->w->if_match != NULL || j->w->if_none_match != NULL;
	enum mw_code code;

	if (conditional ||
	    !mw_outbox_room(j->app->outbox, j->ctx, j->body != NULL ? j->body->size : 0))
		code = r2_first(j);
	else if ((code = to_sandbox(j)) == MW_OK)
		code = j->body != NULL ? to_r2(j) : delete_in_r2(j);
	if (code != MW_OK)
		return code;
	/* A sandbox that was replaced after it had taken this may have been restored
	 * before R2 had it. */
	if (atomic_load(&mw_shm_user(j->app->shm, j->w->user)->restores) != j->restores)
		return follow_r2(j);
	return set_mark(j, MW_MARK_NONE);
}

enum mw_code
mw_write_file(struct mw_app *app, struct mw_ctx *ctx, struct mw_write *w, struct mw_spool *body)
{
	struct job j = { .app = app, .ctx = ctx, .w = w, .body = body };
	enum mw_code code;
	int lock;

	if ((code = job_begin(&j, &lock)) == MW_OK) {
		if (w->target == MW_TARGET_CONTAINER)
			code = container_only(&j);
		else if (w->target == MW_TARGET_R2)
			code = (code = to_r2(&j)) == MW_OK ? follow_r2(&j) : code;
		else
			code = both(&j);
	}
	mw_path_unlock(lock);
	return code;
}

enum mw_code
mw_delete_file(struct mw_app *app, struct mw_ctx *ctx, struct mw_write *w)
{
	struct job j = { .app = app, .ctx = ctx, .w = w };
	enum mw_code code;
	int lock;

	if ((code = job_begin(&j, &lock)) == MW_OK) {
		if (w->target == MW_TARGET_CONTAINER)
			code = container_only(&j);
		else if (w->target == MW_TARGET_R2)
			code = (code = delete_in_r2(&j)) == MW_OK && (w->existed || j.unknown) ?
			    follow_r2(&j) : code;
		else
			code = both(&j);
	}
	mw_path_unlock(lock);
	if (code == MW_OK && !w->existed && !j.unknown)
		return mw_ctx_fail(ctx, MW_FILE_NOT_FOUND, "File not found: /%.200s", w->path);
	return code;
}
