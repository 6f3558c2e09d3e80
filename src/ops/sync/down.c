/* SPDX-License-Identifier: BSD-2-Clause */
/* One path of a restore: R2's object to the sandbox, or the sandbox's file away. */
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "app/object.h"
#include "app/pathlock.h"
#include "app/retry.h"
#include "ops/sync/internal.h"

struct download {
	struct mw_sync_worker *w;
	const struct mw_row *item;
	int fd;				/* what is written: content, size, mode, mtime */
	int64_t size, mtime;
	int mode;
};

static enum mw_code
try_write(void *arg)
{
	struct download *d = arg;
	struct mw_sandbox *sb = d->w->sb;

	return sb->ops->write(sb, d->w->ctx, d->w->run->user, d->item->path, d->fd, d->size,
	    d->mode, d->mtime);
}

static enum mw_code
write_it(struct download *d, struct mw_sync_result *o)
{
	o->act = MW_ACT_COPY;
	o->bytes = d->size;
	return mw_retry(d->w->app, d->w->ctx, MW_UP_SANDBOX, try_write, d);
}

/* The content that still waits for R2. */
static enum mw_code
from_outbox(struct download *d, const struct mw_outbox_row *row, struct mw_sync_result *o)
{
	enum mw_code code;

	if ((code = mw_outbox_body(d->w->app->outbox, d->w->ctx, row, &d->fd)) != MW_OK)
		return code;
	d->size = row->size;
	d->mode = (int)row->mode;
	d->mtime = row->mtime;
	code = write_it(d, o);
	(void)close(d->fd);
	return code;
}

/* Mode and mtime: the manifest's, if it is about this very object; else its own. */
static enum mw_code
from_r2(struct download *d, struct mw_sync_result *o)
{
	struct mw_sync_worker *w = d->w;
	struct mw_spool spool = { .fd = -1 };
	const char *key = mw_store_key(w->app->conf, w->ctx->arena, w->run->user, d->item->path);
	struct mw_object obj, listed = { .etag = d->item->tag, .size = d->item->r2_size };
	enum mw_code code;
	bool known;

	if (key == NULL)
		return mw_ctx_nomem(w->ctx);
	code = mw_object_get(w->app, w->ctx, key, &listed, &spool, &obj);
	if (code == MW_FILE_NOT_FOUND) {	/* deleted since it was listed */
		mw_err_clear(&w->ctx->err);
		o->act = MW_ACT_NONE;
		code = MW_OK;
	} else if (code == MW_OK) {
		known = d->item->set_mtime >= 0 && strcmp(obj.etag, d->item->tag) == 0;
		d->fd = spool.fd;
		d->size = spool.size;
		d->mode = known && d->item->mode >= 0 ? d->item->mode : (int)obj.mode;
		d->mtime = known ? d->item->set_mtime : mw_object_time(w->app->store, &obj);
		code = write_it(d, o);
	}
	mw_spool_drop(&spool);
	return code;
}

/* The sandbox has a file already: the same, or an older one? */
static enum mw_code
compare(struct download *d, const struct mw_stat *st, struct mw_sync_result *o)
{
	struct mw_sync_worker *w = d->w;
	struct mw_spool spool = { .fd = -1 };
	struct mw_object obj;
	enum mw_code code = MW_OK;
	struct mw_stat now;
	bool there;

	o->act = MW_ACT_COPY;
	if (st->size == d->item->r2_size || d->item->act != MW_ACT_COPY) {
		code = mw_sync_read(w, d->item->path, &spool, &now);
		if (code == MW_OK)
			o->act = mw_sync_judge(d->item, spool.md5);
		mw_spool_drop(&spool);
	}
	if (code != MW_OK || o->act == MW_ACT_SAME || d->item->act == MW_ACT_COPY)
		return code;
	if (o->act == MW_ACT_NEWER) {	/* R2's is, then */
		o->act = MW_ACT_COPY;
		return MW_OK;
	}
	if ((code = mw_sync_head(w, d->item->path, &obj, &there)) != MW_OK)
		return code;
	if (!there)
		o->act = MW_ACT_NONE;
	else if (!mw_sync_later(w->app->store, &obj, st->mtime))
		o->act = MW_ACT_NEWER;
	return MW_OK;
}

/* What is in the sandbox now, and may it be written over?  COPY: it may. */
static enum mw_code
judge(struct download *d, const struct mw_outbox_row *row, enum mw_mark mark,
    struct mw_sync_result *o)
{
	const struct mw_sync_run *run = d->w->run;
	const struct mw_row *item = d->item;
	struct mw_stat st = { .size = -1 };
	enum mw_code code;
	bool there, force = run->s->force && !run->add_only;

	if ((code = mw_sync_stat(d->w, item->path, &st, &there)) != MW_OK)
		return code;
	o->absent = !there;
	if (mark == MW_MARK_DELETED_SANDBOX && !force)
		o->act = there ? MW_ACT_NEWER : MW_ACT_KEEP;
	else if (!there)
		o->act = mark == MW_MARK_NEWER_SANDBOX && !force && !run->add_only ?
		    MW_ACT_KEEP : MW_ACT_COPY;
	else if (run->add_only)
		o->act = MW_ACT_KEEP;
	else if (row != NULL)
		o->act = MW_ACT_WAIT;
	else if (st.type != MW_FT_FILE)
		return mw_ctx_fail(d->w->ctx, MW_CONFLICT, "/%.150s is no file in the sandbox",
		    item->path);
	else if (!force && (mark == MW_MARK_NEWER_SANDBOX || st.size != item->size ||
	    st.mtime != item->mtime))
		o->act = MW_ACT_NEWER;	/* written since it was listed */
	else
		return compare(d, &st, o);
	return MW_OK;
}

/* A row that goes while we look at it was replaced, or has reached R2. */
static enum mw_code
bring(struct download *d, struct mw_sync_result *o)
{
	struct mw_sync_worker *w = d->w;
	struct mw_outbox *box = w->app->outbox;
	const struct mw_outbox_row *row;
	enum mw_mark mark;
	enum mw_code code;

	for (;;) {
		if ((code = mw_outbox_find(box, w->ctx, w->run->user, d->item->path, &row)) != MW_OK ||
		    (code = mw_outbox_marked(box, w->ctx, w->run->user, d->item->path, &mark)) != MW_OK)
			return code;
		if (row != NULL && row->op == MW_OUTBOX_DELETE) {
			o->act = MW_ACT_WAIT;
			return MW_OK;
		}
		if ((code = judge(d, row, mark, o)) != MW_OK || o->act != MW_ACT_COPY ||
		    w->run->s->dry_run)
			return code;
		if (row == NULL)
			break;
		if ((code = from_outbox(d, row, o)) != MW_FILE_NOT_FOUND)
			return code;
		mw_err_clear(&w->ctx->err);
	}
	code = from_r2(d, o);
	/* Without the path's lock the mark may be about something newer by now. */
	if (code == MW_OK && mark == MW_MARK_NEWER_R2 && !w->run->add_only)
		code = mw_outbox_mark(box, w->ctx, w->run->user, d->item->path, MW_MARK_NONE);
	return code;
}

/*
 * A wake's restore takes no path lock: a writer that holds it may be waiting for
 * this very wake.  None is needed, for nobody can write to a sandbox without a
 * marker but us.
 */
enum mw_code
mw_sync_down(struct mw_sync_worker *w, const struct mw_row *item, struct mw_sync_result *o)
{
	struct download d = { .w = w, .item = item, .fd = -1 };
	enum mw_code code = MW_OK;
	int lock = -1;

	if (!w->run->add_only)
		code = mw_sync_lock(w, item->path, &lock);
	if (code == MW_OK)
		code = bring(&d, o);
	if (code == MW_OK && o->act == MW_ACT_COPY && !w->run->s->dry_run) {
		o->has_fact = true;	/* so that it is looked for afterwards */
		o->fact = (struct mw_row){ .path = item->path, .tag = "", .size = d.size,
		    .mtime = d.mtime, .type = MW_FT_FILE, .act = MW_ACT_COPY };
	} else if (o->act == MW_ACT_COPY) {
		o->bytes = item->r2_size > 0 ? item->r2_size : 0;
	}
	mw_path_unlock(lock);
	return code;
}

/* ---- removal ---- */

static enum mw_code
try_remove(void *arg)
{
	struct download *d = arg;
	struct mw_sandbox *sb = d->w->sb;

	return sb->ops->remove(sb, d->w->ctx, d->w->run->user, d->item->path);
}

/* It goes only if it is what was listed, and R2 still has no such object. */
static enum mw_code
remove_locked(struct download *d, struct mw_sync_result *o)
{
	struct mw_sync_worker *w = d->w;
	const struct mw_outbox_row *row;
	struct mw_object obj;
	enum mw_code code;
	struct mw_stat st;
	bool there;

	o->act = MW_ACT_WAIT;
	if ((code = mw_outbox_find(w->app->outbox, w->ctx, w->run->user, d->item->path, &row)) != MW_OK ||
	    row != NULL)
		return code;
	o->act = MW_ACT_KEEP;
	if ((code = mw_sync_head(w, d->item->path, &obj, &there)) != MW_OK || there)
		return code;
	if ((code = mw_sync_stat(w, d->item->path, &st, &there)) != MW_OK)
		return code;
	o->act = there ? MW_ACT_NEWER : MW_ACT_NONE;
	if (!there || st.type != d->item->type || st.mtime != d->item->mtime ||
	    (st.type == MW_FT_FILE && st.size != d->item->size))
		return MW_OK;
	o->act = MW_ACT_REMOVE;
	code = mw_retry(w->app, w->ctx, MW_UP_SANDBOX, try_remove, d);
	if (code == MW_FILE_NOT_FOUND) {
		mw_err_clear(&w->ctx->err);
		code = MW_OK;
	}
	return code == MW_OK ? mw_outbox_mark(w->app->outbox, w->ctx, w->run->user,
	    d->item->path, MW_MARK_NONE) : code;
}

enum mw_code
mw_sync_down_remove(struct mw_sync_worker *w, const struct mw_row *item, struct mw_sync_result *o)
{
	struct download d = { .w = w, .item = item, .fd = -1 };
	enum mw_code code;
	int lock;

	if (w->run->s->dry_run) {
		o->act = MW_ACT_REMOVE;
		return MW_OK;
	}
	if ((code = mw_sync_lock(w, item->path, &lock)) == MW_OK)
		code = remove_locked(&d, o);
	mw_path_unlock(lock);
	return code;
}
