/* SPDX-License-Identifier: BSD-2-Clause */
/* GET of a file: JSON, or the bytes themselves. */
#include "files.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/range.h"
#include "base/utf8.h"
#include "ops/files/params.h"
#include "state/metrics.h"
#include "app/responder.h"

struct answer {
	struct mw_req *req;
	struct mw_read *read;
	struct mw_buf content;		/* JSON: the whole of it */
	bool too_large;			/* JSON: only its metadata goes out */
};

static void
content_headers(struct mw_req *req, const struct mw_read *r)
{
	char date[MW_HTTPDATE_LEN];

	req->touched = true;
	req->source = r->from_source;
	mw_res_header(req, "X-Source", r->from_source);
	if (r->pending)
		mw_res_header(req, "X-Pending", "1");
	if (r->obj.etag != NULL)
		mw_res_header(req, "ETag", r->obj.etag);
	if (r->obj.modified > 0) {
		mw_http_date(r->obj.modified, date);
		mw_res_header(req, "Last-Modified", date);
	}
	mw_res_header(req, "Vary", "Accept");
}

static enum mw_code
not_modified(struct mw_req *req, const struct mw_read *r)
{
	content_headers(req, r);
	mw_res_start(req, 304, r->obj.content_type, -1);
	return MW_OK;
}

static enum mw_code
raw_begin(void *arg, const struct mw_object *obj)
{
	struct answer *a = arg;
	struct mw_req *req = a->req;
	int64_t length = obj->partial ? obj->to - obj->from + 1 : obj->size;

	content_headers(req, a->read);
	mw_res_header(req, "Accept-Ranges", "bytes");
	mw_res_header(req, "Content-Disposition", "attachment");
	mw_res_header(req, "Content-Security-Policy", "sandbox");
	if (obj->partial)
		mw_res_headerf(req, "Content-Range", "bytes %lld-%lld/%lld",
		    (long long)obj->from, (long long)obj->to, (long long)obj->size);
	mw_res_start(req, obj->partial ? 206 : 200, obj->content_type, length);
	return MW_OK;
}

static enum mw_code
raw_data(void *arg, const void *p, size_t n)
{
	struct answer *a = arg;

	return mw_res_write(a->req, p, n) ? MW_OK : MW_CLIENT_GONE;
}

/* RFC 9110 15.5.17: a 416 tells how long the file is.  One more look, for its sake. */
static enum mw_code
size_begin(void *arg, const struct mw_object *obj)
{
	*(int64_t *)arg = obj->size;
	return MW_OK;
}

static void
tell_size(struct mw_req *req, const struct mw_read *r)
{
	struct mw_read again = { .user = r->user, .path = r->path, .source = r->source,
	    .max_wake = r->max_wake, .meta_only = true };
	struct mw_err refused = req->ctx.err;
	int64_t size;

	again.sink = (struct mw_sink){ .begin = size_begin, .arg = &size };
	mw_err_clear(&req->ctx.err);
	if (mw_read_file(req->app, &req->ctx, &again) == MW_OK)
		mw_res_headerf(req, "Content-Range", "bytes */%lld", (long long)size);
	req->ctx.err = refused;
}

static bool
strong_tag(const char *s)
{
	size_t n = strlen(s);

	return n >= 2 && s[0] == '"' && strcspn(s + 1, "\" \t") == n - 2 && s[n - 1] == '"';
}

static enum mw_code
get_raw(struct mw_req *req, struct mw_read *r)
{
	struct answer a = { .req = req, .read = r };
	const char *range = mw_req_header(req, "Range");
	struct mw_range parsed;
	enum mw_code code;

	if (range != NULL && req->method == MW_GET && mw_range_parse(range, &parsed)) {
		r->ranged = true;
		r->from = parsed.from;
		r->to = parsed.to;
		r->if_range = mw_req_header(req, "If-Range");
		/* A date, a weak tag or a list: not one that we can match. */
		if (r->if_range != NULL && !strong_tag(r->if_range))
			r->ranged = false;
	}
	r->meta_only = req->method == MW_HEAD;
	r->sink = (struct mw_sink){ .begin = raw_begin, .data = raw_data, .arg = &a };
	code = mw_read_file(req->app, &req->ctx, r);
	if (code == MW_RANGE_NOT_SATISFIABLE)
		tell_size(req, r);
	return code;
}

static enum mw_code
json_begin(void *arg, const struct mw_object *obj)
{
	struct answer *a = arg;

	a->too_large = obj->size > a->req->app->conf->read.max_json;
	if (a->too_large)
		return MW_FILE_TOO_LARGE;
	mw_buf_init(&a->content, (size_t)obj->size + 1);
	return mw_buf_room(&a->content, (size_t)obj->size + 1) ? MW_OK :
	    mw_ctx_nomem(&a->req->ctx);
}

static enum mw_code
json_data(void *arg, const void *p, size_t n)
{
	struct answer *a = arg;

	return mw_buf_add(&a->content, p, n) ? MW_OK : mw_ctx_nomem(&a->req->ctx);
}

static void
json_restart(void *arg)
{
	struct answer *a = arg;

	mw_buf_free(&a->content);
}

static bool
buf_writer(void *arg, const void *p, size_t n)
{
	return mw_buf_add(arg, p, n);
}

static bool
base64(mw_write_fn write, void *arg, const char *s, size_t n)
{
	return mw_base64_write(write, arg, s, n);
}

static bool
add_text(struct mw_buf *b, const char *name, const char *value)
{
	return mw_buf_cat(b, ",\"", name, "\":\"", (char *)NULL) && value != NULL &&
	    mw_json_escape(buf_writer, b, value, strlen(value)) && mw_buf_addc(b, '"');
}

/* The members around the content; true = no failure. */
static bool
json_tail(struct mw_req *req, const struct mw_read *r, const struct answer *a, bool binary,
    struct mw_buf *b)
{
	const struct mw_object *obj = &r->obj;

	if (!a->too_large)
		(void)mw_buf_adds(b, binary ? "\",\"encoding\":\"base64\",\"isBinary\":true" :
		    "\",\"encoding\":\"utf-8\",\"isBinary\":false");
	(void)mw_buf_adds(b, ",\"size\":");
	(void)mw_buf_addi(b, obj->size);
	(void)add_text(b, "mimeType", obj->content_type);
	if (obj->etag != NULL)
		(void)add_text(b, "etag", obj->etag);
	if (obj->modified > 0)
		(void)add_text(b, "lastModified", mw_req_time(req, obj->modified));
	(void)add_text(b, "source", r->from_source);
	if (a->too_large)
		(void)add_text(b, "message", mw_arena_printf(req->ctx.arena,
		    "The file has more than %lld bytes: read it with raw=1",
		    (long long)req->app->conf->read.max_json));
	(void)add_text(b, "timestamp", mw_req_time(req, mw_wall()));
	return mw_buf_adds(b, "}\n");
}

/* The length is counted and the content escaped on its way out: it is never held twice. */
static enum mw_code
json_send(struct mw_req *req, const struct mw_read *r, struct answer *a)
{
	bool (*write)(mw_write_fn, void *, const char *, size_t);
	struct mw_buf head, tail;
	size_t n = a->content.len;
	bool binary = !a->too_large && !mw_utf8_valid(a->content.data, a->content.len);
	enum mw_code code = MW_OK;

	mw_buf_init(&head, 8 * MW_PATH_MAX);
	mw_buf_init(&tail, 8 * MW_PATH_MAX);
	(void)mw_buf_cat(&head, "{\"userId\":\"", req->user, "\"", (char *)NULL);
	(void)add_text(&head, "path", mw_file_shown(req, r->path));
	if (!a->too_large)
		(void)mw_buf_adds(&head, ",\"content\":\"");
	write = binary ? base64 : mw_json_escape;
	if (!json_tail(req, r, a, binary, &tail) || head.failed) {
		code = mw_ctx_nomem(&req->ctx);
		goto out;
	}
	content_headers(req, r);
	n = binary ? (n + 2) / 3 * 4 : mw_json_escaped(a->content.data, n);
	mw_res_start(req, 200, "application/json", (int64_t)(n + head.len + tail.len));
	if (!mw_res_write(req, head.data, head.len) ||
	    !write(mw_res_writer, req, a->content.data, a->content.len) ||
	    !mw_res_write(req, tail.data, tail.len))
		code = MW_CLIENT_GONE;
out:
	mw_buf_free(&head);
	mw_buf_free(&tail);
	return code;
}

static enum mw_code
get_json(struct mw_req *req, struct mw_read *r)
{
	struct answer a = { .req = req, .read = r };
	enum mw_code code;

	mw_buf_init(&a.content, 0);
	r->sink = (struct mw_sink){ .begin = json_begin, .data = json_data, .arg = &a };
	r->restart = json_restart;
	code = mw_read_file(req->app, &req->ctx, r);
	if (code == MW_FILE_TOO_LARGE && a.too_large) {
		mw_err_clear(&req->ctx.err);
		code = MW_OK;
	}
	if (code == MW_OK && !r->not_modified)
		code = json_send(req, r, &a);
	mw_buf_free(&a.content);
	return code;
}

enum mw_code
mw_files_read(struct mw_req *req, const char *path, bool raw)
{
	struct mw_read r = { .user = req->user, .path = path };
	enum mw_code code;

	req->app->file_op = MW_FILE_READ;
	if ((code = mw_query_source(req, &r.source)) != MW_OK ||
	    (code = mw_app_max_wake(req, &r.max_wake)) != MW_OK ||
	    (code = mw_req_query_bool(req, "raw", &raw)) != MW_OK)
		return code;
	r.if_none_match = mw_req_header(req, "If-None-Match");
	mw_app_deadline(req, r.max_wake, raw ? MW_TRANSFER_TIME : req->app->conf->sandbox.timeout);
	req->touched = true;
	code = raw ? get_raw(req, &r) : get_json(req, &r);
	if (code == MW_OK && r.not_modified)
		return not_modified(req, &r);
	return mw_file_failed(req, code, r.tried);
}
