/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a configuration document. */
#include <string.h>

#include "ops/config/internal.h"

static enum mw_code
copy_begin(void *arg, const struct mw_object *obj)
{
	struct mw_document_copy *c = arg;

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
	struct mw_document_copy *c = arg;

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
	struct mw_document_copy *c = arg;

	c->text = NULL;
}

enum mw_code
mw_document_read(struct mw_document_job *j, enum mw_source source, int64_t max_wake,
    struct mw_document_copy *c)
{
	struct mw_read r = { .user = j->d->user, .path = j->d->path, .source = source,
	    .max_wake = max_wake, .restart = copy_restart };
	enum mw_code code;

	*c = (struct mw_document_copy){ .j = j };
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

const struct mw_json5_doc *
mw_document_parse(struct mw_document_job *j, const char *text, size_t len, struct mw_err *why)
{
	struct mw_json5_doc *doc = mw_arena_alloc(j->ctx->arena, sizeof(*doc));

	mw_err_clear(why);
	if (doc == NULL)
		(void)mw_fail(why, MW_INTERNAL_ERROR, "out of memory");
	if (doc == NULL || mw_json5_parse(j->ctx->arena, text, len, doc, why) != MW_OK)
		return NULL;
	if (doc->root.type == MW_JSON5_OBJECT)
		return doc;
	(void)mw_fail(why, MW_INVALID_ARGUMENT, "expected an object");
	return NULL;
}

enum mw_code
mw_document_check(struct mw_document_job *j, struct mw_document_copy *c)
{
	struct mw_err why;

	if ((c->doc = mw_document_parse(j, c->text, c->len, &why)) != NULL)
		return MW_OK;
	if (why.code == MW_INTERNAL_ERROR)
		return mw_ctx_fail(j->ctx, why.code, "%.200s", why.msg);
	return mw_ctx_fail(j->ctx, MW_CONFLICT, "/%.60s in %s cannot be read as JSON5 (%.80s); "
	    "raw=1 gives its text", j->d->path, strcmp(c->from, "r2") == 0 ? "R2" : "the sandbox",
	    why.msg);
}

void
mw_document_show(struct mw_document *d, const struct mw_document_copy *c)
{
	d->text = c->text;
	d->len = c->len;
	d->doc = c->doc;
	d->etag = c->etag;
	d->from = c->from;
	d->modified = c->modified;
}

enum mw_code
mw_document_absent(struct mw_document_job *j)
{
	mw_err_clear(&j->ctx->err);
	return mw_ctx_fail(j->ctx, MW_FILE_NOT_FOUND, "There is no configuration document: /%.200s",
	    j->d->path);
}

/* A sandbox that does not exist has no files; of one that sleeps nobody knows. */
static bool
no_sandbox(struct mw_document_job *j)
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
	struct mw_document_job j = { .app = app, .ctx = ctx, .d = d };
	struct mw_document_copy c;
	enum mw_code code;

	if ((code = mw_document_choose(&j, 0)) != MW_OK)
		return code;
	code = mw_document_read(&j, MW_SRC_AUTO, 0, &c);
	if (code == MW_SANDBOX_HIBERNATING && no_sandbox(&j)) {
		/* Then only R2 could have it; was it down, or does it not? */
		mw_err_clear(&ctx->err);
		code = mw_document_read(&j, MW_SRC_R2, 0, &c);
	}
	if (code == MW_FILE_NOT_FOUND)
		return mw_document_absent(&j);
	if (code != MW_OK)
		return code;
	d->etag = c.etag;		/* told with a conflict, too */
	if ((code = mw_document_check(&j, &c)) == MW_CONFLICT && d->raw) {
		mw_err_clear(&ctx->err);
		code = MW_OK;
	}
	if (code == MW_OK)
		mw_document_show(d, &c);
	return code;
}
