/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/document.h"

#include <string.h>

#include "base/clock.h"
#include "base/json_merge.h"
#include "base/log.h"
#include "base/path.h"
#include "ops/classify.h"
#include "ops/history.h"
#include "ops/pathlock.h"
#include "ops/read.h"
#include "ops/restore.h"
#include "ops/wake.h"

#define TRIES 5			/* when another host changes the document between read and write */
#define CLOCKS 2000		/* ms by which the sandbox's clock and R2's may differ */

struct job {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_document *d;
};

/* One copy of the document. */
struct copy {
	struct job *j;
	char *text;
	size_t len, size;
	const char *etag, *from;
	int64_t modified;
};

/* ---- reading a copy ---- */

static enum mw_code
copy_begin(void *arg, const struct mw_object *obj)
{
	struct copy *c = arg;

	if (obj->size > MW_DOCUMENT_MAX)
		return mw_ctx_fail(c->j->ctx, MW_FILE_TOO_LARGE,
		    "/%.150s has %lld bytes, too many for a configuration (%d)", c->j->d->path,
		    (long long)obj->size, MW_DOCUMENT_MAX);
	c->len = 0;
	c->size = (size_t)obj->size;
	c->text = mw_arena_alloc(c->j->ctx->arena, c->size + 1);
	return c->text != NULL ? MW_OK : mw_ctx_nomem(c->j->ctx);
}

static enum mw_code
copy_data(void *arg, const void *p, size_t n)
{
	struct copy *c = arg;

	if (n > c->size - c->len)
		return mw_ctx_fail(c->j->ctx, MW_CONFLICT, "/%.200s changed while it was being read",
		    c->j->d->path);
	memcpy(c->text + c->len, p, n);
	c->len += n;
	return MW_OK;
}

static void
copy_restart(void *arg)
{
	struct copy *c = arg;

	c->text = NULL;
}

/* c->text stays NULL unless it is there. */
static enum mw_code
read_copy(struct job *j, enum mw_source source, int64_t max_wake, struct copy *c)
{
	struct mw_read r = { .user = j->d->user, .path = j->d->path, .source = source,
	    .max_wake = max_wake, .restart = copy_restart };
	enum mw_code code;

	*c = (struct copy){ .j = j };
	r.sink = (struct mw_sink){ .begin = copy_begin, .data = copy_data, .arg = c };
	code = mw_read_file(j->app, j->ctx, &r);
	j->d->tried |= r.tried;
	c->from = r.from_source;
	c->etag = r.obj.etag;
	c->modified = r.obj.modified;
	if (code != MW_OK)
		c->text = NULL;
	return code;
}

/* Is this what a document must be?  Why not is left in *why. */
static bool
is_document(struct job *j, const char *text, size_t len, struct mw_err *why)
{
	mw_err_clear(why);
	if (mw_json_check(j->ctx->arena, text, len, why) != MW_OK)
		return false;
	if (mw_json_is_object(text, len))
		return true;
	(void)mw_fail(why, MW_INVALID_ARGUMENT, "expected a JSON object");
	return false;
}

static enum mw_code
check_copy(struct job *j, const struct copy *c)
{
	struct mw_err why;

	if (is_document(j, c->text, c->len, &why))
		return MW_OK;
	return mw_ctx_fail(j->ctx, MW_CONFLICT, "/%.60s in %s is no configuration document "
	    "(%.80s): write it anew through the files routes, or roll it back", j->d->path,
	    strcmp(c->from, "r2") == 0 ? "R2" : "the sandbox", why.msg);
}

static void
show(struct mw_document *d, const struct copy *c)
{
	d->text = c->text;
	d->len = c->len;
	d->etag = c->etag;
	d->from = c->from;
	d->modified = c->modified;
}

static enum mw_code
find_path(struct job *j)
{
	const char *setting = j->app->conf->gateway.config_path;
	char *path = mw_arena_alloc(j->ctx->arena, MW_PATH_MAX + 1);
	struct mw_err why = { .code = MW_OK };

	if (path == NULL)
		return mw_ctx_nomem(j->ctx);
	if (mw_path_parse(setting, strlen(setting), MW_PATH_WRITE, path, &why) != MW_OK)
		return mw_ctx_fail(j->ctx, MW_INTERNAL_ERROR, "gateway.config_path: %.200s", why.msg);
	j->d->path = path;
	return MW_OK;
}

static enum mw_code
absent(struct job *j)
{
	mw_err_clear(&j->ctx->err);
	return mw_ctx_fail(j->ctx, MW_FILE_NOT_FOUND, "There is no configuration document: /%.200s",
	    j->d->path);
}

/* A sandbox that does not exist has no files; of one that sleeps nobody knows. */
static bool
no_sandbox(struct job *j)
{
	struct mw_ctx aside = *j->ctx;
	struct mw_sandbox_status st;
	struct mw_sandbox *sb;

	mw_err_clear(&aside.err);
	return mw_app_sandbox(j->app, &aside, &sb) == MW_OK &&
	    sb->ops->status(sb, &aside, j->d->user, &st) == MW_OK && st.state == MW_SB_ABSENT;
}

enum mw_code
mw_document_get(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d)
{
	struct job j = { .app = app, .ctx = ctx, .d = d };
	struct copy c;
	enum mw_code code;

	if ((code = find_path(&j)) != MW_OK)
		return code;
	code = read_copy(&j, MW_SRC_AUTO, 0, &c);
	if (code == MW_SANDBOX_HIBERNATING && no_sandbox(&j)) {
		/* Then only R2 could have it; was it down, or does it not? */
		mw_err_clear(&ctx->err);
		code = read_copy(&j, MW_SRC_R2, 0, &c);
	}
	if (code == MW_FILE_NOT_FOUND)
		return absent(&j);
	if (code != MW_OK)
		return code;
	d->etag = c.etag;		/* told with a conflict, too */
	if ((code = check_copy(&j, &c)) == MW_OK)
		show(d, &c);
	return code;
}

/* ---- what may keep a change back ---- */

static enum mw_code
check_conditions(struct job *j, const struct copy *now)
{
	const struct mw_document *d = j->d;
	const char *etag = now->text != NULL ? now->etag : NULL;

	if (d->if_match != NULL && !mw_etag_in(d->if_match, etag, false))
		return mw_ctx_fail(j->ctx, MW_PRECONDITION_FAILED,
		    "If-Match: the configuration has %s; read it again and repeat the change",
		    etag != NULL ? etag : "no object");
	if (d->if_none_match != NULL && mw_etag_in(d->if_none_match, etag, true))
		return mw_ctx_fail(j->ctx, MW_PRECONDITION_FAILED,
		    "If-None-Match: the configuration exists with %s", etag);
	return MW_OK;
}

static enum mw_code
newer_there(struct job *j)
{
	return mw_ctx_fail(j->ctx, MW_CONFLICT, "The sandbox of %.80s has a newer /%.80s of its own: "
	    "back it up with a sync, or overrule it with force=true", j->d->user, j->d->path);
}

/*
 * A running gateway may have rewritten its document.  Then R2's is no basis for a
 * change, and one that is made blindly would lose what the gateway wrote.
 */
static enum mw_code
check_sandbox(struct job *j, const struct copy *r2)
{
	struct copy own;
	enum mw_mark mark;
	enum mw_code code;

	if (j->d->force)
		return MW_OK;
	code = mw_outbox_marked(j->app->outbox, j->ctx, j->d->user, j->d->path, &mark);
	if (code != MW_OK)
		return code;
	if (mark == MW_MARK_NEWER_SANDBOX)
		return newer_there(j);
	if (r2->text == NULL || !mw_known_awake(j->app, j->d->user))
		return MW_OK;
	code = read_copy(j, MW_SRC_CONTAINER, 0, &own);
	if (code == MW_FILE_NOT_FOUND || mw_classify(code) == MW_NEXT_WAKE) {
		mw_err_clear(&j->ctx->err);
		return MW_OK;
	}
	if (code != MW_OK)
		return code;
	if (own.len == r2->len && memcmp(own.text, r2->text, own.len) == 0)
		return MW_OK;
	return own.modified + CLOCKS >= r2->modified ? newer_there(j) : MW_OK;
}

/* ---- changing it; the lock is held ---- */

static enum mw_code
write_text(struct job *j, const char *text, size_t len)
{
	struct mw_document *d = j->d;
	struct mw_spool spool = { .fd = -1 };
	struct mw_err *err = &j->ctx->err;
	enum mw_mark mark = MW_MARK_NONE;
	enum mw_code code;

	if ((code = mw_spool_begin(&spool, j->app->spool_dir, err)) == MW_OK &&
	    (code = mw_spool_add(&spool, text, len, err)) == MW_OK &&
	    (code = mw_spool_finish(&spool, err)) == MW_OK)
		code = mw_write_file(j->app, j->ctx, &d->written, &spool);
	mw_spool_drop(&spool);
	if (code != MW_OK)
		return code;
	if (mw_outbox_marked(j->app->outbox, j->ctx, d->user, d->path, &mark) != MW_OK) {
		mark = MW_MARK_NEWER_R2;
		mw_err_clear(err);
	}
	d->applied = mark == MW_MARK_NONE;
	d->text = text;
	d->len = len;
	d->etag = d->written.etag;
	d->from = "r2";
	d->modified = mw_wall();
	return MW_OK;
}

/* R2 down or refusing does not stop a change, but then there is no backup. */
static enum mw_code
save_old(struct job *j, const struct copy *now, const char *text, size_t len)
{
	enum mw_code code;

	if (now->text == NULL || (now->len == len && memcmp(now->text, text, len) == 0))
		return MW_OK;
	code = mw_history_save(j->app, j->ctx, j->d->user, now->text, now->len);
	j->d->saved = code == MW_OK;
	if (code == MW_OK || !mw_is_outage(code))
		return code;
	mw_log(MW_WARN, "[CONFIG] userId=%s: /%s is not saved in the history: %s", j->d->user,
	    j->d->path, j->ctx->err.msg);
	mw_err_clear(&j->ctx->err);
	return MW_OK;
}

static enum mw_code
replace(struct job *j, const struct copy *now, const char *text, size_t len)
{
	enum mw_code code;

	if ((code = check_sandbox(j, now)) != MW_OK ||
	    (code = save_old(j, now, text, len)) != MW_OK)
		return code;
	return write_text(j, text, len);
}

/* Without R2 nobody knows what is replaced: a change without a condition is queued. */
static enum mw_code
read_current(struct job *j, struct copy *now)
{
	enum mw_code code = read_copy(j, MW_SRC_R2, 0, now);

	if (code == MW_FILE_NOT_FOUND && mw_known_awake(j->app, j->d->user)) {
		mw_err_clear(&j->ctx->err);
		code = read_copy(j, MW_SRC_CONTAINER, 0, now);
	}
	if (code == MW_OK || (code != MW_FILE_NOT_FOUND && !mw_is_outage(code)) ||
	    ((j->d->if_match != NULL || j->d->if_none_match != NULL) && code != MW_FILE_NOT_FOUND))
		return code;
	mw_err_clear(&j->ctx->err);
	return MW_OK;
}

static enum mw_code
put_locked(struct job *j, const char *text, size_t len, bool over_anything)
{
	struct mw_document *d = j->d;
	struct copy now;
	enum mw_code code;

	d->written.if_match = d->if_match;
	d->written.if_none_match = d->if_none_match;
	if ((code = read_current(j, &now)) != MW_OK ||
	    (code = check_conditions(j, &now)) != MW_OK)
		return code;
	/* Whoever names its ETag has seen that it is broken. */
	if (now.text != NULL && !over_anything && d->if_match == NULL &&
	    (code = check_copy(j, &now)) != MW_OK)
		return code;
	return replace(j, &now, text, len);
}

static enum mw_code
begin(struct job *j, int *lock)
{
	enum mw_code code;

	*lock = -1;
	if ((code = find_path(j)) != MW_OK ||
	    (code = mw_path_lock(j->app, j->ctx, j->d->user, j->d->path, lock)) != MW_OK)
		return code;
	j->d->written = (struct mw_write){ .user = j->d->user, .path = j->d->path,
	    .target = MW_TARGET_R2, .locked = true };
	return MW_OK;
}

enum mw_code
mw_document_put(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d,
    const char *text, size_t len)
{
	struct job j = { .app = app, .ctx = ctx, .d = d };
	struct mw_err why;
	enum mw_code code;
	int lock;

	if (!is_document(&j, text, len, &why))
		return mw_ctx_fail(ctx, why.code, "body: %.200s", why.msg);
	if ((code = begin(&j, &lock)) == MW_OK)
		code = put_locked(&j, text, len, d->force);
	mw_path_unlock(lock);
	return code;
}

/* ---- patch ---- */

static enum mw_code
merge(struct job *j, const struct copy *now, const char *patch, size_t len, struct copy *out)
{
	struct mw_buf buf;
	enum mw_code code;

	mw_buf_init(&buf, MW_DOCUMENT_MAX);
	code = mw_json_merge(j->ctx->arena, now->text, now->len, patch, len, &buf, &j->ctx->err);
	if (code == MW_OK && (out->text = mw_arena_dup(j->ctx->arena, buf.data, buf.len)) == NULL)
		code = mw_ctx_nomem(j->ctx);
	out->len = buf.len;
	mw_buf_free(&buf);
	return code;
}

/* The change is bound to what it was made from: R2's object, or that there is none. */
static enum mw_code
patch_once(struct job *j, const char *patch, size_t len)
{
	struct mw_document *d = j->d;
	struct copy now, merged = { .j = j };
	enum mw_code code;
	bool in_r2;

	code = read_copy(j, MW_SRC_R2, 0, &now);
	in_r2 = code == MW_OK;
	if (code == MW_FILE_NOT_FOUND) {
		mw_err_clear(&j->ctx->err);
		code = read_copy(j, MW_SRC_CONTAINER, d->max_wake, &now);
	}
	if (code == MW_FILE_NOT_FOUND)
		return absent(j);
	if (code != MW_OK || (code = check_conditions(j, &now)) != MW_OK ||
	    (code = check_copy(j, &now)) != MW_OK ||
	    (code = merge(j, &now, patch, len, &merged)) != MW_OK)
		return code;
	d->written.if_match = in_r2 ? now.etag : NULL;
	d->written.if_none_match = in_r2 ? NULL : "*";
	return replace(j, &now, merged.text, merged.len);
}

enum mw_code
mw_document_patch(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d,
    const char *patch, size_t len)
{
	struct job j = { .app = app, .ctx = ctx, .d = d };
	struct mw_err why;
	enum mw_code code;
	unsigned n;
	int lock;

	if (!is_document(&j, patch, len, &why))
		return mw_ctx_fail(ctx, why.code, "body: %.200s", why.msg);
	code = begin(&j, &lock);
	for (n = 0; code == MW_OK && n < TRIES; n++) {
		code = patch_once(&j, patch, len);
		/* Another host was faster: that is no failure of a client without a condition. */
		if (code != MW_PRECONDITION_FAILED || d->if_match != NULL ||
		    d->if_none_match != NULL || n + 1 == TRIES)
			break;
		mw_err_clear(&ctx->err);
		code = MW_OK;
	}
	mw_path_unlock(lock);
	return code;
}

/* ---- rollback and reload ---- */

static enum mw_code
rollback_locked(struct job *j, int64_t version)
{
	struct mw_err why;
	enum mw_code code;
	char *text;
	size_t len;

	j->d->tried = MW_TRIED_R2;
	code = mw_history_get(j->app, j->ctx, j->d->user, version, &text, &len);
	if (code != MW_OK)
		return code;
	if (!is_document(j, text, len, &why))
		return mw_ctx_fail(j->ctx, MW_CONFLICT, "Version %lld is no configuration document: "
		    "%.150s", (long long)version, why.msg);
	return put_locked(j, text, len, true);
}

enum mw_code
mw_document_rollback(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d, int64_t version)
{
	struct job j = { .app = app, .ctx = ctx, .d = d };
	enum mw_code code;
	int lock;

	if ((code = begin(&j, &lock)) == MW_OK)
		code = rollback_locked(&j, version);
	mw_path_unlock(lock);
	return code;
}

static enum mw_code
reload_locked(struct job *j)
{
	struct mw_document *d = j->d;
	struct mw_sandbox *sb;
	struct copy r2;
	enum mw_code code;

	if ((code = read_copy(j, MW_SRC_R2, 0, &r2)) == MW_FILE_NOT_FOUND)
		return absent(j);
	if (code != MW_OK || (code = check_conditions(j, &r2)) != MW_OK ||
	    (code = check_copy(j, &r2)) != MW_OK || (code = check_sandbox(j, &r2)) != MW_OK ||
	    (code = mw_app_sandbox(j->app, j->ctx, &sb)) != MW_OK ||
	    (code = mw_outbox_mark(j->app->outbox, j->ctx, d->user, d->path,
	    MW_MARK_NEWER_R2)) != MW_OK)
		return code;
	show(d, &r2);
	if (!mw_files_at_hand(j->app, d->user))
		return MW_OK;
	d->applied = mw_apply_mark(j->app, j->ctx, sb, d->user, d->path, MW_MARK_NEWER_R2) == MW_OK;
	if (!d->applied)
		mw_log(MW_WARN, "[CONFIG] userId=%s: /%s goes to the sandbox at its next wake: %s",
		    d->user, d->path, j->ctx->err.msg);
	mw_err_clear(&j->ctx->err);
	return MW_OK;
}

enum mw_code
mw_document_reload(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d)
{
	struct job j = { .app = app, .ctx = ctx, .d = d };
	enum mw_code code;
	int lock;

	if ((code = begin(&j, &lock)) == MW_OK)
		code = reload_locked(&j);
	mw_path_unlock(lock);
	return code;
}
