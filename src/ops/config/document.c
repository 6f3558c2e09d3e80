/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of a configuration document, its rollback and reload. */
#include "ops/config/internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/etag.h"
#include "base/log.h"
#include "app/classify.h"
#include "ops/config/history.h"
#include "app/pathlock.h"
#include "ops/files/marks.h"
#include "ops/ready/ready.h"

#define TRIES 5			/* when another host changes the document between read and write */
#define CLOCKS 2000		/* ms by which the sandbox's clock and R2's may differ */

/* ---- what may keep a change back ---- */

static enum mw_code
check_conditions(struct mw_document_job *j, const struct mw_document_copy *now)
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
newer_there(struct mw_document_job *j)
{
	return mw_ctx_fail(j->ctx, MW_CONFLICT, "The sandbox of %.80s has a newer /%.80s of its own: "
	    "back it up with a sync, or overrule it with force=true", j->d->user, j->d->path);
}

/*
 * A running gateway may have rewritten its document.  Then R2's is no basis for a
 * change, and one that is made blindly would lose what the gateway wrote.
 */
static enum mw_code
check_sandbox(struct mw_document_job *j, const struct mw_document_copy *r2)
{
	struct mw_document_copy own;
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
	code = mw_document_read(j, MW_SRC_CONTAINER, 0, &own);
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
write_text(struct mw_document_job *j, const char *text, size_t len)
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
save_old(struct mw_document_job *j, const struct mw_document_copy *now, const char *text,
    size_t len)
{
	enum mw_code code;

	if (now->text == NULL || (now->len == len && memcmp(now->text, text, len) == 0))
		return MW_OK;
	code = mw_history_save(j->app, j->ctx, j->d->user, j->d->path, now->text, now->len);
	j->d->saved = code == MW_OK;
	if (code == MW_OK || !mw_is_outage(code))
		return code;
	mw_log(MW_WARN, "[CONFIG] userId=%s: /%s is not saved in the history: %s", j->d->user,
	    j->d->path, j->ctx->err.msg);
	mw_err_clear(&j->ctx->err);
	return MW_OK;
}

static enum mw_code
replace(struct mw_document_job *j, const struct mw_document_copy *now, const char *text, size_t len)
{
	enum mw_code code;

	if ((code = check_sandbox(j, now)) != MW_OK ||
	    (code = save_old(j, now, text, len)) != MW_OK)
		return code;
	return write_text(j, text, len);
}

/* Without R2 nobody knows what is replaced: a change without a condition is queued. */
static enum mw_code
read_current(struct mw_document_job *j, struct mw_document_copy *now)
{
	enum mw_code code = mw_document_read(j, MW_SRC_R2, 0, now);

	if (code == MW_FILE_NOT_FOUND && mw_known_awake(j->app, j->d->user)) {
		mw_err_clear(&j->ctx->err);
		code = mw_document_read(j, MW_SRC_CONTAINER, 0, now);
	}
	if (code == MW_OK || (code != MW_FILE_NOT_FOUND && !mw_is_outage(code)) ||
	    ((j->d->if_match != NULL || j->d->if_none_match != NULL) && code != MW_FILE_NOT_FOUND))
		return code;
	mw_err_clear(&j->ctx->err);
	return MW_OK;
}

static enum mw_code
put_locked(struct mw_document_job *j, const char *text, size_t len, bool over_anything)
{
	struct mw_document *d = j->d;
	struct mw_document_copy now;
	enum mw_code code;

	d->written.if_match = d->if_match;
	d->written.if_none_match = d->if_none_match;
	if ((code = read_current(j, &now)) != MW_OK ||
	    (code = check_conditions(j, &now)) != MW_OK)
		return code;
	/* Whoever names its ETag has seen that it is broken. */
	if (now.text != NULL && !over_anything && d->if_match == NULL &&
	    (code = mw_document_check(j, &now)) != MW_OK)
		return code;
	return replace(j, &now, text, len);
}

static void
set_written(struct mw_document_job *j)
{
	j->d->written = (struct mw_write){ .user = j->d->user, .path = j->d->path,
	    .target = MW_TARGET_R2, .locked = true };
}

/* mw_document_unlock ends it, whatever it returns. */
static enum mw_code
begin(struct mw_document_job *j, int64_t max_wake)
{
	enum mw_code code;

	if ((code = mw_document_lock(j)) != MW_OK || (code = mw_document_choose(j, max_wake)) != MW_OK)
		return code;
	set_written(j);
	return MW_OK;
}

enum mw_code
mw_document_put(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d,
    const char *text, size_t len)
{
	struct mw_document_job j = { .app = app, .ctx = ctx, .d = d };
	struct mw_err why;
	enum mw_code code;

	if ((d->doc = mw_document_parse(&j, text, len, &why)) == NULL)
		return mw_ctx_fail(ctx, why.code, "body: %.200s", why.msg);
	if ((code = begin(&j, 0)) == MW_OK)
		code = put_locked(&j, text, len, d->force);
	mw_document_unlock(&j);
	return code;
}

/* ---- patch ---- */

/* What comes of it is read once more: for the answer, and so that no broken text is stored. */
static enum mw_code
edit(struct mw_document_job *j, const struct mw_document_copy *now, const struct mw_json5_doc *patch,
    struct mw_document_copy *out)
{
	struct mw_buf buf;
	struct mw_err why;
	enum mw_code code;

	mw_buf_init(&buf, MW_DOCUMENT_MAX);
	code = mw_json5_edit(j->ctx->arena, now->doc, patch, &buf, &j->ctx->err);
	if (code == MW_OK && (out->text = mw_arena_dup(j->ctx->arena, buf.data, buf.len)) == NULL)
		code = mw_ctx_nomem(j->ctx);
	out->len = buf.len;
	mw_buf_free(&buf);
	if (code == MW_OK && (out->doc = mw_document_parse(j, out->text, out->len, &why)) == NULL)
		code = mw_ctx_fail(j->ctx, MW_INTERNAL_ERROR, "the patched document cannot be read: %.150s",
		    why.msg);
	return code;
}

/* The change is bound to what it was made from: R2's object, or that there is none. */
static enum mw_code
patch_once(struct mw_document_job *j, const struct mw_json5_doc *patch)
{
	struct mw_document *d = j->d;
	struct mw_document_copy now, merged = { .j = j };
	enum mw_code code;
	bool in_r2;

	code = mw_document_read(j, MW_SRC_R2, 0, &now);
	in_r2 = code == MW_OK;
	if (code == MW_FILE_NOT_FOUND) {
		mw_err_clear(&j->ctx->err);
		code = mw_document_read(j, MW_SRC_CONTAINER, d->max_wake, &now);
	}
	if (code == MW_FILE_NOT_FOUND)
		return mw_document_absent(j);
	if (code != MW_OK || (code = check_conditions(j, &now)) != MW_OK ||
	    (code = mw_document_check(j, &now)) != MW_OK ||
	    (code = edit(j, &now, patch, &merged)) != MW_OK)
		return code;
	d->doc = merged.doc;
	d->written.if_match = in_r2 ? now.etag : NULL;
	d->written.if_none_match = in_r2 ? NULL : "*";
	return replace(j, &now, merged.text, merged.len);
}

enum mw_code
mw_document_patch(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d,
    const char *patch, size_t len)
{
	struct mw_document_job j = { .app = app, .ctx = ctx, .d = d };
	const struct mw_json5_doc *change;
	struct mw_err why;
	enum mw_code code;
	unsigned n;

	if ((change = mw_document_parse(&j, patch, len, &why)) == NULL)
		return mw_ctx_fail(ctx, why.code, "body: %.200s", why.msg);
	code = begin(&j, d->max_wake);
	for (n = 0; code == MW_OK && n < TRIES; n++) {
		code = patch_once(&j, change);
		/* Another host was faster: that is no failure of a client without a condition. */
		if (code != MW_PRECONDITION_FAILED || d->if_match != NULL ||
		    d->if_none_match != NULL || n + 1 == TRIES)
			break;
		mw_err_clear(&ctx->err);
		code = MW_OK;
	}
	mw_document_unlock(&j);
	return code;
}

/* ---- rollback and reload ---- */

static enum mw_code
rollback_locked(struct mw_document_job *j, int64_t version)
{
	struct mw_version v;
	struct mw_err why;
	enum mw_code code;
	char *text;
	size_t len;

	j->d->tried = MW_TRIED_R2;
	if ((code = mw_history_get(j->app, j->ctx, j->d->user, version, &v, &text, &len)) != MW_OK ||
	    (code = mw_document_lock_other(j, v.path)) != MW_OK)
		return code;
	set_written(j);
	j->d->doc = mw_document_parse(j, text, len, &why);	/* NULL: what was there comes back */
	return put_locked(j, text, len, true);
}

enum mw_code
mw_document_rollback(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d, int64_t version)
{
	struct mw_document_job j = { .app = app, .ctx = ctx, .d = d };
	enum mw_code code;

	if ((code = mw_document_lock(&j)) == MW_OK)
		code = rollback_locked(&j, version);
	mw_document_unlock(&j);
	return code;
}

static enum mw_code
reload_locked(struct mw_document_job *j)
{
	struct mw_document *d = j->d;
	struct mw_sandbox *sb;
	struct mw_document_copy r2;
	enum mw_code code;

	if ((code = mw_document_read(j, MW_SRC_R2, 0, &r2)) == MW_FILE_NOT_FOUND)
		return mw_document_absent(j);
	if (code != MW_OK || (code = check_conditions(j, &r2)) != MW_OK ||
	    (code = mw_document_check(j, &r2)) != MW_OK || (code = check_sandbox(j, &r2)) != MW_OK ||
	    (code = mw_app_sandbox(j->app, j->ctx, &sb)) != MW_OK ||
	    (code = mw_outbox_mark(j->app->outbox, j->ctx, d->user, d->path,
	    MW_MARK_NEWER_R2)) != MW_OK)
		return code;
	mw_document_show(d, &r2);
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
	struct mw_document_job j = { .app = app, .ctx = ctx, .d = d };
	enum mw_code code;

	if ((code = begin(&j, 0)) == MW_OK)
		code = reload_locked(&j);
	mw_document_unlock(&j);
	return code;
}
