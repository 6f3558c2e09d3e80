/* SPDX-License-Identifier: BSD-2-Clause */
/* Applying a user's marks: what only R2 has got goes to the sandbox. */
#include "ops/files/marks.h"

#include <unistd.h>

#include "base/log.h"
#include "app/object.h"
#include "app/pathlock.h"

static enum mw_code
write_pending(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const char *path, const struct mw_outbox_row *row)
{
	enum mw_code code;
	int fd;

	if (row->op == MW_OUTBOX_DELETE)
		return MW_OK;
	if ((code = mw_outbox_body(app->outbox, ctx, row, &fd)) != MW_OK)
		return code;
	code = sb->ops->write(sb, ctx, user, path, fd, row->size, (int)row->mode, row->mtime);
	(void)close(fd);
	return code;
}

static enum mw_code
write_object(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user,
    const char *path)
{
	struct mw_spool spool = { .fd = -1 };
	const char *key = mw_store_key(app->conf, ctx->arena, user, path);
	struct mw_object obj;
	enum mw_code code;

	if (key == NULL)
		return mw_ctx_nomem(ctx);
	code = mw_object_get(app, ctx, key, NULL, &spool, &obj);
	if (code == MW_FILE_NOT_FOUND) {	/* deleted since the mark was set */
		mw_err_clear(&ctx->err);
		code = MW_OK;
	} else if (code == MW_OK) {
		code = sb->ops->write(sb, ctx, user, path, spool.fd, spool.size, (int)obj.mode,
		    mw_object_time(app->store, &obj));
	}
	mw_spool_drop(&spool);
	return code;
}

/* The newest acknowledged content of a path into the sandbox: the pending row's,
 * else R2's.  A row that goes while we look at it was replaced or reached R2. */
static enum mw_code
bring(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user,
    const char *path)
{
	const struct mw_outbox_row *row;
	enum mw_code code;

	for (;;) {
		if ((code = mw_outbox_find(app->outbox, ctx, user, path, &row)) != MW_OK)
			return code;
		if (row == NULL)
			return write_object(app, ctx, sb, user, path);
		if ((code = write_pending(app, ctx, sb, user, path, row)) != MW_FILE_NOT_FOUND)
			return code;
		mw_err_clear(&ctx->err);
	}
}

/* A failure that is this path's alone must not keep the user's other files away. */
static bool
only_this_path(struct mw_ctx *ctx, const char *user, const char *path, enum mw_code code)
{
	if (code != MW_CONFLICT && code != MW_PERMISSION_DENIED && code != MW_INVALID_PATH &&
	    code != MW_FILE_TOO_LARGE && !ctx->err.object)
		return false;
	mw_log(MW_WARN, "[SYNC] userId=%s: /%s cannot be restored, skipped: %s", user, path,
	    ctx->err.msg);
	mw_err_clear(&ctx->err);
	return true;
}

/* ---- marks ---- */

enum mw_code
mw_apply_mark(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const char *path, enum mw_mark mark)
{
	enum mw_code code;

	if (mark == MW_MARK_DELETED_R2) {
		code = sb->ops->remove(sb, ctx, user, path);
		if (code == MW_FILE_NOT_FOUND) {
			mw_err_clear(&ctx->err);
			code = MW_OK;
		}
	} else {
		code = bring(app, ctx, sb, user, path);
	}
	if (code == MW_OK)
		code = mw_outbox_mark(app->outbox, ctx, user, path, MW_MARK_NONE);
	return code;
}

struct marks {
	struct mw_ctx *ctx;
	struct marked { struct marked *next; const char *path; } *first;
};

static enum mw_code
add_mark(void *arg, const char *path, enum mw_mark mark)
{
	struct marks *m = arg;
	struct marked *one;

	if (mark != MW_MARK_NEWER_R2 && mark != MW_MARK_DELETED_R2)
		return MW_OK;
	if ((one = mw_arena_alloc(m->ctx->arena, sizeof(*one))) == NULL ||
	    (one->path = mw_arena_strdup(m->ctx->arena, path)) == NULL)
		return mw_ctx_nomem(m->ctx);
	one->next = m->first;
	m->first = one;
	return MW_OK;
}

static enum mw_code
lock_now(struct mw_app *app, struct mw_ctx *ctx, const char *user, const char *path, int *lock)
{
	int64_t deadline = ctx->deadline;
	enum mw_code code;

	ctx->deadline = 0;
	code = mw_path_lock(app, ctx, user, path, lock);
	ctx->deadline = deadline;
	return code;
}

enum mw_code
mw_apply_marks(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user)
{
	struct marks m = { .ctx = ctx };
	struct marked *one;
	enum mw_mark mark;
	enum mw_code code;
	int lock;

	code = mw_outbox_marks(app->outbox, ctx, user, add_mark, &m);
	for (one = m.first; one != NULL && code == MW_OK; one = one->next) {
		/* Somebody is at this path, and may be waiting for this wake: it is
		 * theirs, or the next wake's. */
		code = lock_now(app, ctx, user, one->path, &lock);
		if (code == MW_DEADLINE_EXCEEDED) {
			mw_err_clear(&ctx->err);
			code = MW_OK;
			continue;
		}
		if (code != MW_OK)
			break;
		code = mw_outbox_marked(app->outbox, ctx, user, one->path, &mark);
		if (code == MW_OK && (mark == MW_MARK_NEWER_R2 || mark == MW_MARK_DELETED_R2))
			code = mw_apply_mark(app, ctx, sb, user, one->path, mark);
		if (only_this_path(ctx, user, one->path, code))
			code = MW_OK;
		mw_path_unlock(lock);
	}
	return code;
}
