/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * files.fcgi: read, write, delete and list a user's files.
 * Each handler reads like its paragraph of the API manual.
 */
#include <json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/utf8.h"
#include "ops/app.h"
#include "ops/body.h"
#include "ops/list.h"
#include "ops/read.h"
#include "ops/write.h"

#define TRANSFER_TIME 3600000		/* ms; the time limit of a raw transfer */

/* ---- parameters that several routes share ---- */

static enum mw_code
query_source(struct mw_req *req, enum mw_source *source)
{
	enum mw_code code;
	int n;

	for (n = 0; mw_source_words[n] != NULL; n++) {
		if (strcmp(mw_source_words[n], req->app->conf->read.default_source) == 0)
			*source = (enum mw_source)n;
	}
	n = (int)*source;
	code = mw_req_query_choice(req, "source", mw_source_words, &n);
	*source = (enum mw_source)n;
	return code;
}

/* "/a/b": paths in answers are rooted at the user's directory. */
static const char *
shown(struct mw_req *req, const char *path)
{
	const char *s = mw_arena_printf(req->ctx.arena, "/%s", path);

	return s != NULL ? s : path;
}

/* A file that was asked for and is not there: say where we looked. */
static enum mw_code
failed(struct mw_req *req, enum mw_code code, unsigned tried)
{
	struct json_object *list;

	if (code != MW_FILE_NOT_FOUND)
		return code;
	list = json_object_new_array();
	if (tried & MW_TRIED_R2)
		json_object_array_add(list, json_object_new_string("r2"));
	if (tried & MW_TRIED_CONTAINER)
		json_object_array_add(list, json_object_new_string("container"));
	if (req->extra == NULL)
		req->extra = json_object_new_object();
	json_object_object_add(req->extra, "triedSources", list);
	return code;
}

/* ---- GET a file ---- */

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
	return mw_buf_addf(b, ",\"%s\":\"", name) && value != NULL &&
	    mw_json_escape(buf_writer, b, value, strlen(value)) && mw_buf_addc(b, '"');
}

/* The members around the content; true = no failure. */
static bool
json_tail(struct mw_req *req, const struct mw_read *r, const struct answer *a, bool binary,
    struct mw_buf *b)
{
	const struct mw_object *obj = &r->obj;

	if (!a->too_large)
		(void)mw_buf_addf(b, "\",\"encoding\":\"%s\",\"isBinary\":%s",
		    binary ? "base64" : "utf-8", binary ? "true" : "false");
	(void)mw_buf_addf(b, ",\"size\":%lld", (long long)obj->size);
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
	(void)mw_buf_addf(&head, "{\"userId\":\"%s\"", req->user);
	(void)add_text(&head, "path", shown(req, r->path));
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

static enum mw_code
read_file(struct mw_req *req, const char *path, bool raw)
{
	struct mw_read r = { .user = req->user, .path = path };
	enum mw_code code;

	if ((code = query_source(req, &r.source)) != MW_OK ||
	    (code = mw_app_max_wake(req, &r.max_wake)) != MW_OK ||
	    (code = mw_req_query_bool(req, "raw", &raw)) != MW_OK)
		return code;
	r.if_none_match = mw_req_header(req, "If-None-Match");
	mw_app_deadline(req, r.max_wake, raw ? TRANSFER_TIME : req->app->conf->sandbox.timeout);
	req->touched = true;
	code = raw ? get_raw(req, &r) : get_json(req, &r);
	if (code == MW_OK && r.not_modified)
		return not_modified(req, &r);
	return failed(req, code, r.tried);
}

/* ---- GET a directory ---- */

static struct json_object *
time_or_null(struct mw_req *req, int64_t ms)
{
	return ms >= 0 ? json_object_new_string(mw_req_time(req, ms)) : NULL;
}

static struct json_object *
listed(struct mw_req *req, const struct mw_listed *e)
{
	static const char *const types[] = {
		[MW_FT_FILE] = "file", [MW_FT_DIR] = "directory",
		[MW_FT_SYMLINK] = "symlink", [MW_FT_OTHER] = "other",
	};
	struct json_object *o = json_object_new_object();
	const char *name = strrchr(e->path, '/');
	char mode[8];

	json_object_object_add(o, "name",
	    json_object_new_string(name != NULL ? name + 1 : e->path));
	json_object_object_add(o, "relativePath", json_object_new_string(e->path));
	json_object_object_add(o, "type", json_object_new_string(types[e->type]));
	json_object_object_add(o, "size",
	    e->size >= 0 ? json_object_new_int64(e->size) : NULL);
	json_object_object_add(o, "modifiedAt", time_or_null(req, e->modified));
	if (e->mode >= 0) {
		(void)snprintf(mode, sizeof(mode), "%04o", (unsigned)e->mode & 07777);
		json_object_object_add(o, "mode", json_object_new_string(mode));
	}
	if (e->etag != NULL)
		json_object_object_add(o, "etag", json_object_new_string(e->etag));
	return o;
}

static enum mw_code
send_listing(struct mw_req *req, const struct mw_listing *l)
{
	struct json_object *o = json_object_new_object(), *files = json_object_new_array();
	size_t i;

	for (i = 0; i < l->n; i++)
		json_object_array_add(files, listed(req, &l->entry[i]));
	json_object_object_add(o, "userId", json_object_new_string(req->user));
	json_object_object_add(o, "path", json_object_new_string(shown(req, l->path)));
	json_object_object_add(o, "files", files);
	json_object_object_add(o, "count", json_object_new_int64((int64_t)l->n));
	if (l->next != NULL)
		json_object_object_add(o, "nextCursor", json_object_new_string(l->next));
	if (l->skipped > 0)
		json_object_object_add(o, "skippedNames", json_object_new_int64((int64_t)l->skipped));
	json_object_object_add(o, "source", json_object_new_string(l->from_source));
	json_object_object_add(o, "timestamp", json_object_new_string(mw_req_time(req, mw_wall())));
	req->source = l->from_source;
	return mw_res_json(req, 200, o);
}

static enum mw_code
list_files(struct mw_req *req, const char *path)
{
	struct mw_listing l = { .user = req->user, .path = path, .limit = MW_LIST_MAX };
	const struct mw_pair *cursor = mw_req_query(req, "cursor");
	enum mw_code code;

	if ((code = query_source(req, &l.source)) != MW_OK ||
	    (code = mw_app_max_wake(req, &l.max_wake)) != MW_OK ||
	    (code = mw_req_query_bool(req, "recursive", &l.recursive)) != MW_OK ||
	    (code = mw_req_query_int(req, "limit", 1, MW_LIST_MAX, true, &l.limit)) != MW_OK)
		return code;
	l.cursor = cursor != NULL ? cursor->value : NULL;
	mw_app_deadline(req, l.max_wake, req->app->conf->sandbox.timeout);
	req->touched = true;
	if ((code = mw_list_files(req->app, &req->ctx, &l)) != MW_OK)
		return failed(req, code, l.tried);
	return send_listing(req, &l);
}

/* ---- PUT ---- */

static void
add_r2_sync(struct json_object *o, const struct mw_write *w)
{
	struct json_object *sync = json_object_new_object();

	json_object_object_add(sync, "success", json_object_new_boolean(w->r2_synced));
	json_object_object_add(sync, "queued", json_object_new_boolean(w->r2_queued));
	json_object_object_add(sync, "error",
	    w->r2_error != NULL ? json_object_new_string(w->r2_error) : NULL);
	json_object_object_add(o, "r2Sync", sync);
}

static enum mw_code
write_params(struct mw_req *req, struct mw_write *w)
{
	enum mw_code code;
	bool skip = false;
	int target = MW_TARGET_BOTH;

	if ((code = mw_app_max_wake(req, &w->max_wake)) != MW_OK ||
	    (code = mw_req_query_choice(req, "target", mw_target_words, &target)) != MW_OK ||
	    (code = mw_req_query_bool(req, "skipR2", &skip)) != MW_OK)
		return code;
	if (skip && target == MW_TARGET_R2)
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "skipR2: it contradicts target=r2");
	w->target = skip ? MW_TARGET_CONTAINER : (enum mw_target)target;
	w->if_match = mw_req_header(req, "If-Match");
	w->if_none_match = mw_req_header(req, "If-None-Match");
	if (w->if_match != NULL && !mw_etag_list_valid(w->if_match))
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "If-Match: expected * or quoted entity tags");
	if (w->if_none_match != NULL && !mw_etag_list_valid(w->if_none_match))
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "If-None-Match: expected * or quoted entity tags");
	return MW_OK;
}

static enum mw_code
put_answer(struct mw_req *req, const struct mw_write *w, int64_t size)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "userId", json_object_new_string(req->user));
	json_object_object_add(o, "path", json_object_new_string(shown(req, w->path)));
	json_object_object_add(o, "success", json_object_new_boolean(true));
	json_object_object_add(o, "bytesWritten", json_object_new_int64(size));
	json_object_object_add(o, "mimeType", json_object_new_string(mw_path_mime(w->path)));
	if (w->etag != NULL)
		json_object_object_add(o, "etag", json_object_new_string(w->etag));
	add_r2_sync(o, w);
	json_object_object_add(o, "timestamp", json_object_new_string(mw_req_time(req, mw_wall())));
	return mw_res_json(req, 200, o);
}

static enum mw_code
put_at(struct mw_req *req, const char *path)
{
	struct mw_write w = { .user = req->user, .path = path };
	struct mw_spool body = { .fd = -1 };
	enum mw_code code;

	if ((code = write_params(req, &w)) != MW_OK)
		return code;
	if ((code = mw_body_spool(req, &body)) == MW_OK) {
		mw_app_deadline(req, w.max_wake, TRANSFER_TIME);
		req->touched = true;
		if ((code = mw_write_file(req->app, &req->ctx, &w, &body)) == MW_OK)
			code = put_answer(req, &w, body.size);
	}
	mw_spool_drop(&body);
	return code;
}

/* ---- DELETE ---- */

static enum mw_code
delete_at(struct mw_req *req, const char *path)
{
	struct mw_write w = { .user = req->user, .path = path };
	struct json_object *o;
	enum mw_code code;

	if ((code = write_params(req, &w)) != MW_OK)
		return code;
	mw_app_deadline(req, w.max_wake, req->app->conf->sandbox.timeout);
	req->touched = true;
	if ((code = mw_delete_file(req->app, &req->ctx, &w)) != MW_OK)
		return failed(req, code, w.tried);
	o = json_object_new_object();
	json_object_object_add(o, "userId", json_object_new_string(req->user));
	json_object_object_add(o, "path", json_object_new_string(shown(req, path)));
	json_object_object_add(o, "success", json_object_new_boolean(true));
	json_object_object_add(o, "existed", json_object_new_boolean(w.existed));
	add_r2_sync(o, &w);
	json_object_object_add(o, "timestamp", json_object_new_string(mw_req_time(req, mw_wall())));
	return mw_res_json(req, 200, o);
}

/* ---- .../files?path=NAME, and the routes ---- */

/* The path in the query; "" (the root) if none was sent and `dir` allows it. */
static enum mw_code
query_path(struct mw_req *req, unsigned flags, const char **path)
{
	const struct mw_pair *p = mw_req_query(req, "path");
	char *out = mw_arena_alloc(req->ctx.arena, MW_PATH_MAX + 1);
	enum mw_code code;

	*path = out;
	if (out == NULL)
		return mw_ctx_nomem(&req->ctx);
	code = mw_path_parse(p != NULL ? p->value : "", p != NULL ? p->len : 0, flags, out,
	    &req->ctx.err);
	if (code == MW_OK)
		req->path = out;	/* for errors and the log */
	return code;
}

static enum mw_code
get_files(struct mw_req *req)
{
	const char *path;
	enum mw_code code;
	bool raw = false, content = false;

	if ((code = query_path(req, MW_PATH_DIR, &path)) != MW_OK ||
	    (code = mw_req_query_bool(req, "raw", &raw)) != MW_OK ||
	    (code = mw_req_query_bool(req, "content", &content)) != MW_OK)
		return code;
	if ((raw || content) && path[0] == '\0')
		return mw_ctx_fail(&req->ctx, MW_INVALID_PATH, "path: expected the name of a file");
	return raw || content ? read_file(req, path, raw) : list_files(req, path);
}

static enum mw_code
get_file(struct mw_req *req)
{
	if (req->path[0] == '\0')
		return get_files(req);
	return read_file(req, req->path, mw_req_accepts_bytes(req));
}

static enum mw_code
put_file(struct mw_req *req)
{
	const char *path = req->path;
	enum mw_code code;

	if ((path == NULL || path[0] == '\0') &&
	    (code = query_path(req, MW_PATH_WRITE, &path)) != MW_OK)
		return code;
	return put_at(req, path);
}

static enum mw_code
delete_file(struct mw_req *req)
{
	const char *path = req->path;
	enum mw_code code;

	if ((path == NULL || path[0] == '\0') && (code = query_path(req, 0, &path)) != MW_OK)
		return code;
	return delete_at(req, path);
}

#define FILES "/api/super/users/{user}/files"

static const struct mw_route routes[] = {
	{ FILES, MW_GET | MW_HEAD, 0, get_files },
	{ FILES, MW_PUT, 0, put_file },
	{ FILES, MW_DELETE, 0, delete_file },
	{ FILES "/{path}", MW_GET | MW_HEAD, MW_ROUTE_DIR, get_file },
	{ FILES "/{path}", MW_PUT, MW_ROUTE_DIR | MW_ROUTE_WRITE_PATH, put_file },
	{ FILES "/{path}", MW_DELETE, MW_ROUTE_DIR, delete_file },
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("files", routes);
}
