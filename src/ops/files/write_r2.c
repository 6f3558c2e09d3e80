/* SPDX-License-Identifier: BSD-2-Clause */
/* R2's side of a write or delete: sent now, or durable in the outbox. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mime.h"
#include "app/object.h"
#include "ops/files/internal.h"
#include "ops/files/read.h"

#define GRACE 5000	/* ms */

/* What the outbox must keep it gets time for, even if R2 has used the request's
 * up.  Returns the deadline to go back to. */
int64_t
mw_write_grace(struct mw_write_job *j)
{
	int64_t deadline = j->ctx->deadline;

	if (deadline < mw_now() + GRACE)
		j->ctx->deadline = mw_now() + GRACE;
	return deadline;
}

/* NULL: no memory. */
static const char *
etag_of(const struct mw_write_job *j, const unsigned char md5[16])
{
	char tag[MW_ETAG_LEN];

	mw_object_etag(md5, tag);
	return mw_arena_strdup(j->ctx->arena, tag);
}

/* What R2 has, or will have: *there and j->current. */
enum mw_code
mw_write_look(struct mw_write_job *j, bool *there)
{
	struct mw_object obj;
	enum mw_code code;

	if (j->row != NULL) {
		*there = j->row->op == MW_OUTBOX_PUT;
		if (!*there)
			return MW_OK;
		j->current = etag_of(j, j->row->md5);
		return j->current != NULL ? MW_OK : mw_ctx_nomem(j->ctx);
	}
	code = mw_object_there(j->app, j->ctx, j->key, &obj, there);
	if (code == MW_OK && *there)
		j->current = obj.etag;
	return code;
}

static enum mw_code
change_r2(struct mw_write_job *j)
{
	struct mw_put put;

	if (j->body == NULL)
		return mw_object_remove(j->app, j->ctx, j->key);
	put = (struct mw_put){
		.fd = j->body->fd, .size = j->body->size,
		.sha256 = j->body->sha256, .md5 = j->body->md5,
		.content_type = mw_path_mime(j->w->path), .mode = -1, .mtime = j->written,
		.if_match = j->w->if_match != NULL ? j->current : NULL,
		.if_none_match = j->w->if_none_match != NULL &&
		    strcmp(j->w->if_none_match, "*") == 0,
	};
	return mw_object_put(j->app, j->ctx, j->key, &put, &j->w->etag, &j->unsure);
}

/*
 * The state of R2 that a conditional change was made for: what the row says that
 * it replaces, for that row was what the client saw.
 */
static void
bind_row(const struct mw_write_job *j, struct mw_outbox_row *row)
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
enum mw_mark
mw_write_mark(const struct mw_write_job *j)
{
	return j->body != NULL ? MW_MARK_NEWER_R2 : MW_MARK_DELETED_R2;
}

/* The queued twin of change_r2: durable when it returns. */
static enum mw_code
enqueue(struct mw_write_job *j)
{
	struct mw_outbox_row row = {
		.user = j->w->user, .path = j->w->path, .store = j->app->store->identity,
		.op = j->body != NULL ? MW_OUTBOX_PUT : MW_OUTBOX_DELETE,
		.created = mw_wall(), .mode = -1, .mtime = j->written,
	};
	enum mw_code code;
	int64_t deadline;

	if (j->body != NULL) {
		row.size = j->body->size;
		memcpy(row.md5, j->body->md5, sizeof(row.md5));
		memcpy(row.sha256, j->body->sha256, sizeof(row.sha256));
		row.content_type = mw_path_mime(j->w->path);
		if ((j->w->etag = etag_of(j, row.md5)) == NULL)
			return mw_ctx_nomem(j->ctx);
	}
	bind_row(j, &row);
	deadline = mw_write_grace(j);
	if (j->w->target == MW_TARGET_R2)
		code = mw_outbox_put_marked(j->app->outbox, j->ctx, &row, j->body, mw_write_mark(j));
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
was_ours(struct mw_write_job *j)
{
	struct mw_err cause = j->ctx->err;
	struct mw_object obj;
	char tag[MW_ETAG_LEN];

	mw_object_etag(j->body->md5, tag);
	mw_err_clear(&j->ctx->err);
	if (mw_object_head(j->app, j->ctx, j->key, &obj) == MW_OK && strcmp(obj.etag, tag) == 0) {
		j->w->etag = obj.etag;
		return true;
	}
	j->ctx->err = cause;
	return false;
}

static enum mw_code
send(struct mw_write_job *j)
{
	enum mw_code code = change_r2(j);

	if (code == MW_PRECONDITION_FAILED && j->unsure && was_ours(j))
		code = MW_OK;
	j->w->r2_synced = code == MW_OK;
	return code;
}

/* R2 has it, or refuses it: the row is not needed, and after a refusal the mark
 * neither.  If that cannot be written down, the drainer finds out the same. */
static void
take_back(struct mw_write_job *j, const struct mw_outbox_row *row, bool sent)
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
		j->mark = mw_write_mark(j);
}

/*
 * For R2 alone: it is in the outbox, with its mark, before R2 is asked.  So the
 * sandbox will hear of it, however this request ends.
 */
static enum mw_code
outbox_first(struct mw_write_job *j)
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
	j->mark = mw_write_mark(j);
	w->r2_error = mw_arena_strdup(j->ctx->arena, j->ctx->err.msg);
	mw_err_clear(&j->ctx->err);
	return MW_OK;
}

/* Put it or queue it.  A path with a pending row only queues: order is kept. */
enum mw_code
mw_write_to_r2(struct mw_write_job *j)
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

enum mw_code
mw_delete_in_r2(struct mw_write_job *j)
{
	struct mw_write *w = j->w;
	bool there = j->current != NULL;
	enum mw_code code;

	w->tried |= MW_TRIED_R2;
	if (!there && (code = mw_write_look(j, &there)) != MW_OK) {
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
		return mw_write_to_r2(j);
	/* Gone already; a pending delete stays queued. */
	w->r2_synced = j->row == NULL;
	w->r2_queued = j->row != NULL;
	return MW_OK;
}
