/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a file: the outbox, R2, the sandbox. */
#include "ops/files/read.h"

#include <string.h>
#include <unistd.h>

#include "base/mime.h"
#include "base/clock.h"
#include "base/etag.h"
#include "base/log.h"
#include "base/range.h"
#include "base/str.h"
#include "app/classify.h"
#include "app/retry.h"
#include "ops/ready/ready.h"

const char *const mw_source_words[] = { "auto", "r2", "container", NULL };

struct flow {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_read *r;
	const char *key;
	bool r2_has_none;	/* proven */
	bool ranged;		/* r->ranged, unless if_range said no */
	bool other;		/* R2 sent a part of another version than if_range names */
	bool begun;		/* the reader has its begin */
	int64_t got;		/* bytes handed over since */
};

/* ---- shared by the sources ---- */

/* A first begin goes to the reader; a later one must be the same content going on. */
static enum mw_code
flow_begin(struct flow *f, const struct mw_object *obj)
{
	enum mw_code code;

	if (f->begun) {
		if (obj->partial && obj->size == f->r->obj.size && obj->etag != NULL &&
		    f->r->obj.etag != NULL && strcmp(obj->etag, f->r->obj.etag) == 0)
			return MW_OK;
		return mw_ctx_fail(f->ctx, MW_CONFLICT,
		    "%s changed while it was being read", f->r->path);
	}
	f->r->obj = *obj;
	f->r->obj.content_type = mw_path_mime(f->r->path);
	if ((code = f->r->sink.begin(f->r->sink.arg, &f->r->obj)) != MW_OK)
		return code;
	f->begun = true;
	return MW_OK;
}

static enum mw_code
flow_data(void *arg, const void *p, size_t n)
{
	struct flow *f = arg;
	enum mw_code code = f->r->sink.data(f->r->sink.arg, p, n);

	if (code == MW_OK)
		f->got += (int64_t)n;
	return code;
}

/* Begin anew, if the reader can forget what it was given. */
static void
flow_restart(struct flow *f)
{
	if (!f->begun || f->r->restart == NULL)
		return;
	f->r->restart(f->r->sink.arg);
	f->begun = false;
	f->got = 0;
}

/* What is still to be asked for; false when all of it has come. */
static bool
flow_rest(struct flow *f, bool *ranged, int64_t *from, int64_t *to)
{
	const struct mw_object *obj = &f->r->obj;

	flow_restart(f);
	*ranged = f->ranged;
	*from = f->r->from;
	*to = f->r->to;
	if (!f->begun)
		return true;
	*ranged = true;
	*from = (obj->partial ? obj->from : 0) + f->got;
	*to = obj->partial ? obj->to : obj->size - 1;
	return *from <= *to;
}

static bool
unmodified(struct flow *f, const struct mw_object *obj)
{
	struct mw_read *r = f->r;

	if (f->begun || r->if_none_match == NULL || obj->etag == NULL ||
	    !mw_etag_in(r->if_none_match, obj->etag, true))
		return false;
	r->obj = *obj;
	r->not_modified = true;
	return true;
}

/* ---- R2 ---- */

static enum mw_code
r2_begin(void *arg, const struct mw_object *obj)
{
	struct flow *f = arg;

	mw_retry_answered(f->app, f->ctx, MW_UP_STORE);
	/* Not every store heeds If-Match in a GET. */
	f->other = !f->begun && obj->partial && f->r->if_range != NULL &&
	    strcmp(f->r->if_range, obj->etag) != 0;
	return f->other ? MW_PRECONDITION_FAILED : flow_begin(f, obj);
}

/* A range that the object has not got: is it that of if_range at all? */
static enum mw_code
range_of_other(struct flow *f, struct mw_store *store)
{
	struct mw_err cause = f->ctx->err;
	struct mw_object obj;
	enum mw_code code;

	mw_err_clear(&f->ctx->err);
	if ((code = store->ops->head(store, f->ctx, f->key, &obj)) != MW_OK)
		return code;
	if (strcmp(f->r->if_range, obj.etag) != 0)
		return MW_PRECONDITION_FAILED;
	f->ctx->err = cause;
	return MW_RANGE_NOT_SATISFIABLE;
}

static enum mw_code
try_r2(void *arg)
{
	struct flow *f = arg;
	struct mw_store *store = f->app->store;
	struct mw_sink sink = { .begin = r2_begin, .data = flow_data, .arg = f };
	struct mw_get get = { .ranged = false };
	enum mw_code code;

	if (!flow_rest(f, &get.ranged, &get.from, &get.to))
		return MW_OK;
	if (!f->begun) {
		get.if_none_match = f->r->if_none_match;
		get.unmodified = &f->r->obj;
	}
	if (f->begun) {
		if ((get.if_match = f->r->obj.etag) == NULL)
			return mw_ctx_fail(f->ctx, MW_STORE_ERROR,
			    "GET %s was cut and has no ETag to go on with", f->key);
	} else if (get.ranged) {
		get.if_match = f->r->if_range;
	}
	if (f->r->meta_only) {
		struct mw_object obj;

		if ((code = store->ops->head(store, f->ctx, f->key, &obj)) != MW_OK)
			return code;
		return unmodified(f, &obj) ? MW_OK : flow_begin(f, &obj);
	}
	code = store->ops->get(store, f->ctx, f->key, &get, &sink, &f->r->not_modified);
	if (f->begun || !f->ranged || f->r->if_range == NULL)
		return code;
	if (code == MW_RANGE_NOT_SATISFIABLE)
		code = range_of_other(f, store);
	if (code == MW_PRECONDITION_FAILED) {
		mw_err_clear(&f->ctx->err);	/* another version: the whole of it */
		f->ranged = false;
		get.ranged = false;
		get.if_match = NULL;
		code = store->ops->get(store, f->ctx, f->key, &get, &sink, &f->r->not_modified);
	}
	return code;
}

static enum mw_code
read_r2(struct flow *f)
{
	struct mw_store *store;
	enum mw_code code;

	f->r->tried |= MW_TRIED_R2;
	f->r->from_source = "r2";
	if ((code = mw_app_store(f->app, f->ctx, &store)) != MW_OK)
		return code;
	f->key = mw_store_key(f->app->conf, f->ctx->arena, f->r->user, f->r->path);
	if (f->key == NULL)
		return mw_ctx_nomem(f->ctx);
	return mw_retry(f->app, f->ctx, MW_UP_STORE, try_r2, f);
}

/* ---- the outbox ---- */

/* from/to of a request against `size` bytes, resolved into obj. */
static enum mw_code
resolve_range(struct flow *f, struct mw_object *obj)
{
	int64_t from = f->r->from, to = f->r->to;

	if (!f->ranged || (f->r->if_range != NULL && strcmp(f->r->if_range, obj->etag) != 0))
		return MW_OK;
	if (!mw_range_resolve(obj->size, &from, &to))
		return mw_ctx_fail(f->ctx, MW_RANGE_NOT_SATISFIABLE,
		    "%s has %lld bytes; the range begins after them",
		    f->r->path, (long long)obj->size);
	obj->partial = true;
	obj->from = from;
	obj->to = to;
	return MW_OK;
}

static enum mw_code
send_pending(struct flow *f, const struct mw_object *obj, int fd)
{
	char buf[64 * 1024];
	int64_t at = obj->partial ? obj->from : 0;
	int64_t end = obj->partial ? obj->to + 1 : obj->size;
	enum mw_code code = MW_OK;
	ssize_t n;

	while (at < end && code == MW_OK) {
		n = pread(fd, buf, end - at < (int64_t)sizeof(buf) ?
		    (size_t)(end - at) : sizeof(buf), at);
		if (n <= 0)
			return mw_ctx_fail(f->ctx, MW_INTERNAL_ERROR,
			    "the pending content of %s cannot be read", f->r->path);
		code = flow_data(f, buf, (size_t)n);
		at += n;
	}
	return code;
}

static enum mw_code
read_pending(struct flow *f, const struct mw_outbox_row *row)
{
	struct mw_object obj = { .size = row->size, .modified = row->created,
	    .mode = row->mode, .mtime = row->mtime };
	char hex[33];
	enum mw_code code;
	int fd;

	mw_str_hex(row->md5, sizeof(row->md5), hex);
	if ((obj.etag = mw_arena_printf(f->ctx->arena, "\"%s\"", hex)) == NULL)
		return mw_ctx_nomem(f->ctx);
	f->r->tried |= MW_TRIED_R2;
	f->r->from_source = "r2";
	if ((code = mw_outbox_body(f->app->outbox, f->ctx, row, &fd)) != MW_OK)
		return code;
	f->r->pending = true;
	if (!unmodified(f, &obj) && (code = resolve_range(f, &obj)) == MW_OK &&
	    (code = flow_begin(f, &obj)) == MW_OK && !f->r->meta_only)
		code = send_pending(f, &obj, fd);
	(void)close(fd);
	return code;
}

/* ---- the sandbox ---- */

enum mw_code
mw_object_of_stat(struct mw_ctx *ctx, const char *path, const struct mw_stat *st,
    struct mw_object *obj)
{
	memset(obj, 0, sizeof(*obj));
	obj->size = st->size;
	obj->modified = st->mtime;
	obj->mtime = st->mtime;
	obj->mode = st->mode;
	obj->content_type = mw_path_mime(path);
	obj->etag = mw_arena_printf(ctx->arena, "W/\"%llx-%llx\"",
	    (unsigned long long)st->mtime, (unsigned long long)st->size);
	return obj->etag != NULL ? MW_OK : mw_ctx_nomem(ctx);
}

/* Stops a read whose metadata was all that was wanted. */
#define STOP MW_CLIENT_GONE

static enum mw_code
sandbox_begin(void *arg, const struct mw_stat *st, int64_t from, int64_t to)
{
	struct flow *f = arg;
	struct mw_object obj;
	enum mw_code code;

	mw_retry_answered(f->app, f->ctx, MW_UP_SANDBOX);
	if ((code = mw_object_of_stat(f->ctx, f->r->path, st, &obj)) != MW_OK)
		return code;
	if (from > 0 || to < st->size - 1) {
		obj.partial = true;
		obj.from = from;
		obj.to = to;
	}
	if (unmodified(f, &obj))
		return STOP;
	/* A range that happens to be the whole file is still one. */
	obj.partial = obj.partial || f->ranged || f->begun;
	obj.from = from;
	obj.to = to;
	if ((code = flow_begin(f, &obj)) == MW_OK && f->r->meta_only)
		code = STOP;
	return code;
}

static enum mw_code
try_container(void *arg, struct mw_sandbox *sb)
{
	struct flow *f = arg;
	struct mw_file_sink sink = { .begin = sandbox_begin, .data = flow_data, .arg = f };
	enum mw_code code;
	int64_t from, to;
	bool ranged;

	/* A weak ETag never matches If-Range (RFC 9110 13.1.5). */
	if (f->r->if_range != NULL)
		f->ranged = false;
	if (!flow_rest(f, &ranged, &from, &to))
		return MW_OK;
	code = sb->ops->read(sb, f->ctx, f->r->user, f->r->path, ranged, from, to, &sink);
	if (code == STOP && (f->r->not_modified || (f->r->meta_only && f->begun)))
		code = MW_OK;
	return code;
}

/* It is not in the sandbox: was it never there, or could it not be brought? */
static enum mw_code
not_restored(struct flow *f)
{
	const struct mw_missing *m;
	struct mw_err err = f->ctx->err;
	enum mw_code code;

	mw_err_clear(&f->ctx->err);
	if ((code = mw_outbox_missed(f->app->outbox, f->ctx, f->r->user, f->r->path, &m)) != MW_OK)
		return code;
	if (m != NULL)
		return mw_ctx_fail(f->ctx, m->code, "It is in R2 and could not be restored: %.200s",
		    m->error);
	f->ctx->err = err;
	return MW_FILE_NOT_FOUND;
}

static enum mw_code
read_container(struct flow *f)
{
	enum mw_code code;

	f->r->tried |= MW_TRIED_CONTAINER;
	f->r->from_source = "container";
	code = mw_in_sandbox(f->app, f->ctx, f->r->user, f->r->max_wake, try_container, f);
	return code == MW_FILE_NOT_FOUND && !f->r2_has_none ? not_restored(f) : code;
}

/* ---- in which order ---- */

/*
 * R2 did not serve it.  The sandbox may, but what it has is an answer only if
 * nothing newer is known to lie in R2.
 */
static enum mw_code
fall_back(struct flow *f, enum mw_code r2_code, enum mw_mark mark)
{
	struct mw_err r2_err = f->ctx->err;
	enum mw_code code;

	flow_restart(f);
	if (mark == MW_MARK_NEWER_R2 || mark == MW_MARK_DELETED_R2 || f->begun)
		return r2_code;
	if (r2_code != MW_FILE_NOT_FOUND)
		mw_log(MW_WARN, "[FILES] userId=%s: R2 cannot serve /%s (%s), asking the sandbox",
		    f->r->user, f->r->path, r2_err.msg);
	mw_err_clear(&f->ctx->err);
	f->r2_has_none = r2_code == MW_FILE_NOT_FOUND;
	code = read_container(f);
	if (code == MW_FILE_NOT_FOUND && r2_code != MW_FILE_NOT_FOUND) {
		/* Not in the sandbox, and R2 could not be asked: that proves nothing. */
		f->ctx->err = r2_err;
		return r2_code == MW_STORE_ERROR ? MW_STORE_ERROR : MW_STORE_UNAVAILABLE;
	}
	return code;
}

#define R2_SHARE 10000		/* ms */

/*
 * A hanging R2 must leave time for the sandbox to answer instead.  A raw answer
 * has an hour, of which that is a small part; what a batch has left may be less,
 * and then R2 gets its share of it.
 */
static int64_t
r2_deadline(const struct flow *f)
{
	int64_t left = mw_left(f->ctx->deadline);
	int64_t least = left / 2 < R2_SHARE ? left / 2 : R2_SHARE;
	int64_t most = left - f->app->conf->sandbox.timeout - f->r->max_wake;

	return f->ctx->deadline - left + (most > least ? most : least);
}

static enum mw_code
read_auto(struct flow *f, enum mw_mark mark)
{
	int64_t deadline = f->ctx->deadline;
	enum mw_code code;

	f->ctx->deadline = r2_deadline(f);
	code = read_r2(f);
	f->ctx->deadline = deadline;
	if (code != MW_FILE_NOT_FOUND && !mw_is_outage(code))
		return code;
	return fall_back(f, code, mark);
}

static enum mw_code
not_found(struct flow *f)
{
	mw_err_clear(&f->ctx->err);
	return mw_ctx_fail(f->ctx, MW_FILE_NOT_FOUND, "File not found: /%.200s", f->r->path);
}

/* A delete that R2 still has to hear of: R2's copy counts as gone. */
static enum mw_code
read_deleted(struct flow *f, enum mw_mark mark)
{
	f->r->tried |= MW_TRIED_R2;
	if (f->r->source == MW_SRC_R2 || mark == MW_MARK_DELETED_R2)
		return MW_FILE_NOT_FOUND;
	return read_container(f);
}

/*
 * With a pending row the outbox is R2's newest content, or its absence.  A row
 * that goes while we open it was replaced, and then the new one is looked at,
 * or it has reached R2.
 */
static enum mw_code
read_behind_outbox(struct flow *f, enum mw_mark mark)
{
	const struct mw_outbox_row *row;
	enum mw_code code;

	for (;;) {
		code = mw_outbox_find(f->app->outbox, f->ctx, f->r->user, f->r->path, &row);
		if (code != MW_OK)
			return code;
		if (row == NULL)
			return f->r->source == MW_SRC_R2 ? read_r2(f) : read_auto(f, mark);
		if (row->op == MW_OUTBOX_DELETE)
			return read_deleted(f, mark);
		if ((code = read_pending(f, row)) != MW_FILE_NOT_FOUND)
			return code;
		mw_err_clear(&f->ctx->err);
	}
}

static enum mw_code
read_known(struct flow *f)
{
	enum mw_mark mark;
	enum mw_code code;

	if ((code = mw_outbox_marked(f->app->outbox, f->ctx, f->r->user, f->r->path, &mark)) != MW_OK)
		return code;
	if (f->r->source == MW_SRC_AUTO &&
	    (mark == MW_MARK_NEWER_SANDBOX || mark == MW_MARK_DELETED_SANDBOX)) {
		code = read_container(f);
		/* Written there and gone: removed there since.  Only where nothing is restored
		 * may it have been lost with an earlier sandbox. */
		if (code != MW_FILE_NOT_FOUND || mark == MW_MARK_DELETED_SANDBOX ||
		    f->app->conf->wake.restore)
			return code;
		mw_err_clear(&f->ctx->err);
	}
	return read_behind_outbox(f, mark);
}

enum mw_code
mw_read_file(struct mw_app *app, struct mw_ctx *ctx, struct mw_read *r)
{
	struct flow f = { .app = app, .ctx = ctx, .r = r, .ranged = r->ranged };
	enum mw_code code;

	code = r->source == MW_SRC_CONTAINER ? read_container(&f) : read_known(&f);
	return code == MW_FILE_NOT_FOUND ? not_found(&f) : code;
}
