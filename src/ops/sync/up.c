/* SPDX-License-Identifier: BSD-2-Clause */
/* One path of a backup: the sandbox's file to R2, or R2's object away. */
#include <string.h>

#include "base/clock.h"
#include "base/mime.h"
#include "base/path.h"
#include "app/object.h"
#include "app/pathlock.h"
#include "ops/sync/internal.h"

/* ---- upload ---- */

struct upload {
	struct mw_sync_worker *w;
	const struct mw_row *item;
	struct mw_spool spool;
	struct mw_stat st;
	const char *key, *etag;
};

static enum mw_code
put(struct upload *u)
{
	struct mw_put put = {
		.fd = u->spool.fd, .size = u->spool.size, .sha256 = u->spool.sha256,
		.md5 = u->spool.md5, .content_type = mw_path_mime(u->item->path),
		.mode = u->st.mode, .mtime = u->st.mtime >= 0 ? u->st.mtime : -1,
		.if_match = u->item->tag[0] != '\0' ? u->item->tag : NULL,
		.if_none_match = u->item->tag[0] == '\0',
	};

	return mw_object_put(u->w->app, u->w->ctx, u->key, &put, &u->etag, NULL);
}

/* R2 is not what was listed any more, unless an answer to our own put was lost. */
static enum mw_code
refused(struct upload *u, struct mw_sync_result *o)
{
	struct mw_object obj;
	enum mw_code code;
	bool there;

	mw_err_clear(&u->w->ctx->err);
	if ((code = mw_sync_head(u->w, u->item->path, &obj, &there)) != MW_OK)
		return code;
	o->act = there && mw_sync_tag_is(obj.etag, u->spool.md5) ? MW_ACT_COPY : MW_ACT_NEWER;
	u->etag = there ? obj.etag : NULL;
	return MW_OK;
}

/* The contents differ, and both sides may have changed: may R2's be replaced? */
static enum mw_code
decide(struct upload *u, struct mw_sync_result *o)
{
	struct mw_object obj;
	enum mw_code code;
	bool there;

	if ((code = mw_sync_head(u->w, u->item->path, &obj, &there)) != MW_OK)
		return code;
	if (!there || strcmp(obj.etag, u->item->tag) != 0 ||
	    mw_sync_later(u->w->app->store, &obj, u->st.mtime))
		o->act = MW_ACT_NEWER;
	else if (!obj.etag_is_md5 && obj.size == u->st.size && obj.mtime == u->st.mtime)
		o->act = MW_ACT_SAME;
	return MW_OK;
}

/* What the manifest is to remember. */
static enum mw_code
remember(struct upload *u, int64_t began, struct mw_sync_result *o)
{
	o->has_fact = true;
	o->fact = (struct mw_row){
		.path = u->item->path, .tag = o->act == MW_ACT_COPY ? u->etag : u->item->tag,
		.size = u->st.size, .mtime = u->st.mtime, .mode = u->st.mode,
		.type = MW_FT_FILE, .act = (unsigned char)o->act, .has_md5 = true,
		.racy = u->st.mtime > began - MW_SYNC_CLOSE,
	};
	memcpy(o->fact.md5, u->spool.md5, sizeof(o->fact.md5));
	return mw_outbox_mark(u->w->app->outbox, u->w->ctx, u->w->run->user, u->item->path,
	    MW_MARK_NONE);
}

static enum mw_code
send(struct upload *u, struct mw_sync_result *o)
{
	enum mw_code code = MW_OK;

	o->act = mw_sync_judge(u->item, u->spool.md5);
	if (o->act == MW_ACT_COPY && u->item->act == MW_ACT_DECIDE)
		code = decide(u, o);
	if (code != MW_OK || o->act != MW_ACT_COPY)
		return code;
	o->bytes = u->spool.size;
	if (u->w->run->s->dry_run)
		return MW_OK;
	code = put(u);
	return code == MW_PRECONDITION_FAILED ? refused(u, o) : code;
}

/* Under the path's lock: whatever was listed, this is how it stands now. */
static enum mw_code
still_ours(struct mw_sync_worker *w, const char *path, struct mw_sync_result *o)
{
	const struct mw_outbox_row *row;
	enum mw_mark mark;
	enum mw_code code;

	if ((code = mw_outbox_find(w->app->outbox, w->ctx, w->run->user, path, &row)) != MW_OK ||
	    (code = mw_outbox_marked(w->app->outbox, w->ctx, w->run->user, path, &mark)) != MW_OK)
		return code;
	if (row != NULL)
		o->act = MW_ACT_WAIT;
	else if (mark == MW_MARK_NEWER_R2 || mark == MW_MARK_DELETED_R2)
		o->act = MW_ACT_NEWER;
	else
		o->act = MW_ACT_COPY;
	return MW_OK;
}

static enum mw_code
up_locked(struct upload *u, struct mw_sync_result *o)
{
	int64_t began = mw_wall();
	enum mw_code code;

	if ((code = still_ours(u->w, u->item->path, o)) != MW_OK || o->act != MW_ACT_COPY)
		return code;
	code = mw_sync_read(u->w, u->item->path, &u->spool, &u->st);
	if (code == MW_FILE_NOT_FOUND) {	/* removed since it was listed */
		mw_err_clear(&u->w->ctx->err);
		o->act = MW_ACT_NONE;
		return MW_OK;
	}
	if (code != MW_OK || (code = send(u, o)) != MW_OK || u->w->run->s->dry_run ||
	    (o->act != MW_ACT_COPY && o->act != MW_ACT_SAME))
		return code;
	return remember(u, began, o);
}

enum mw_code
mw_sync_up(struct mw_sync_worker *w, const struct mw_row *item, struct mw_sync_result *o)
{
	struct upload u = { .w = w, .item = item, .spool = { .fd = -1 } };
	enum mw_code code;
	int lock;

	/* An upload that nothing stands against needs no look at the content. */
	if (w->run->s->dry_run && item->tag[0] == '\0') {
		o->act = MW_ACT_COPY;
		o->bytes = item->size;
		return MW_OK;
	}
	if ((u.key = mw_store_key(w->app->conf, w->ctx->arena, w->run->user, item->path)) == NULL)
		return mw_ctx_nomem(w->ctx);
	if ((code = mw_sync_lock(w, item->path, &lock)) == MW_OK)
		code = up_locked(&u, o);
	mw_path_unlock(lock);
	mw_spool_drop(&u.spool);
	return code;
}

/* ---- removal ---- */

/* It goes only if it is what was listed, and the sandbox still has no such file. */
static enum mw_code
remove_locked(struct upload *u, struct mw_sync_result *o)
{
	struct mw_object obj;
	enum mw_code code;
	struct mw_stat st;
	bool there, dir;

	if ((code = still_ours(u->w, u->item->path, o)) != MW_OK || o->act != MW_ACT_COPY ||
	    (code = mw_sync_stat(u->w, u->item->path, &st, &there)) != MW_OK)
		return code;
	o->act = MW_ACT_KEEP;
	if (there && st.type == MW_FT_FILE && !mw_sync_kind_link(u->w->run, u->item->path))
		return MW_OK;
	dir = there && st.type == MW_FT_DIR && u->item->act == MW_ACT_REPLACE;
	if ((code = mw_sync_head(u->w, u->item->path, &obj, &there)) != MW_OK)
		return code;
	if (there && strcmp(obj.etag, u->item->tag) != 0) {
		o->act = MW_ACT_NEWER;
		return MW_OK;
	}
	if ((code = mw_object_remove(u->w->app, u->w->ctx, u->key)) != MW_OK)
		return code;
	o->act = there ? MW_ACT_REMOVE : MW_ACT_NONE;
	o->has_fact = true;
	o->fact = (struct mw_row){ .path = u->item->path, .tag = "", .act = MW_ACT_NONE };
	if (dir) {		/* an empty one is in no listing of R2's */
		o->fact.act = MW_ACT_SAME;
		o->fact.type = MW_FT_DIR;
		o->fact.mode = st.mode;
	}
	return mw_outbox_mark(u->w->app->outbox, u->w->ctx, u->w->run->user, u->item->path,
	    MW_MARK_NONE);
}

enum mw_code
mw_sync_up_remove(struct mw_sync_worker *w, const struct mw_row *item, struct mw_sync_result *o)
{
	struct upload u = { .w = w, .item = item, .spool = { .fd = -1 } };
	enum mw_code code;
	int lock;

	if (w->run->s->dry_run) {
		o->act = MW_ACT_REMOVE;
		return MW_OK;
	}
	if ((u.key = mw_store_key(w->app->conf, w->ctx->arena, w->run->user, item->path)) == NULL)
		return mw_ctx_nomem(w->ctx);
	if ((code = mw_sync_lock(w, item->path, &lock)) == MW_OK)
		code = remove_locked(&u, o);
	mw_path_unlock(lock);
	return code;
}
