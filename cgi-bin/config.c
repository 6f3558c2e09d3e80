/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.fcgi: a user's configuration document, its history, and bringing it to
 * the gateway.  Each handler reads like its paragraph of the API manual.
 */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "app/responder.h"
#include "ops/config/document.h"
#include "ops/config/history.h"
#include "ops/files/params.h"
#include "ops/files/read.h"

#define VALUE_MAX ((size_t)8 << 20)	/* bytes of a document's value as JSON */
#define PLACES_MAX ((size_t)1 << 20)	/* and of the list of what is none */
#define ANSWER_MAX (VALUE_MAX + PLACES_MAX + 64 * 1024)
#define SMALL 1024					/* bytes of a body with a version in it */

/* ---- parameters ---- */

static enum mw_code
begin(struct mw_req *req, struct mw_document *d)
{
	enum mw_code code;

	d->user = req->user;
	if ((code = mw_app_max_wake(req, &d->max_wake)) != MW_OK ||
	    (code = mw_req_query_bool(req, "force", &d->force)) != MW_OK ||
	    (code = mw_header_conditions(req, &d->if_match, &d->if_none_match)) != MW_OK)
		return code;
	mw_app_deadline(req, d->max_wake, req->app->conf->sandbox.timeout);
	req->touched = true;
	return MW_OK;
}

/* ---- the document in an answer: what is JSON as it was written ---- */

/* ,"format","config","notJson" */
static enum mw_code
value(struct mw_req *req, struct mw_buf *b, const struct mw_json5_doc *doc)
{
	struct mw_buf places;
	enum mw_code code = MW_OK;

	mw_buf_init(&places, PLACES_MAX);
	(void)mw_json_add(b, "format", doc == NULL ? NULL : doc->json ? "json" : "json5");
	(void)mw_buf_adds(b, ",\"config\":");
	if (doc == NULL)
		(void)mw_buf_adds(b, "null");
	else if (doc->json)
		(void)mw_buf_add(b, doc->s, doc->n);
	else
		code = mw_json5_value(req->ctx.arena, doc, &doc->root, b, &places, &req->ctx.err);
	(void)mw_buf_adds(b, ",\"notJson\":[");
	if (places.len > 0)
		(void)mw_buf_add(b, places.data, places.len);
	(void)mw_buf_addc(b, ']');
	mw_buf_free(&places);
	return code;
}

/* {"userId" and the document. */
static enum mw_code
head(struct mw_req *req, struct mw_buf *b, const struct mw_document *d, bool changed)
{
	enum mw_code code;

	(void)mw_buf_addf(b, "{\"userId\":\"%s\"", req->user);
	if (changed)
		(void)mw_buf_adds(b, ",\"success\":true");
	(void)mw_json_add(b, "path", d->path);
	code = value(req, b, d->doc);
	(void)mw_json_add(b, "etag", d->etag);
	(void)mw_json_add(b, "source", d->from);
	(void)mw_json_add(b, "lastModified", d->modified > 0 ? mw_req_time(req, d->modified) : NULL);
	return code;
}

static enum mw_code
send(struct mw_req *req, const char *type, const char *etag, const char *data, size_t len)
{
	if (etag != NULL)
		mw_res_header(req, "ETag", etag);
	mw_res_start(req, 200, type, (int64_t)len);
	return mw_res_write(req, data, len) ? MW_OK : MW_CLIENT_GONE;
}

static enum mw_code
finish(struct mw_req *req, struct mw_buf *b, const char *etag)
{
	(void)mw_json_add(b, "timestamp", mw_req_time(req, mw_wall()));
	if (!mw_buf_adds(b, "}\n"))
		return mw_ctx_nomem(&req->ctx);
	return send(req, "application/json", etag, b->data, b->len);
}

/* The bytes themselves, whatever they are. */
static enum mw_code
answer_raw(struct mw_req *req, const struct mw_json5_doc *doc, const char *etag, const char *text,
    size_t len)
{
	mw_res_header(req, "Content-Disposition", "attachment");
	return send(req, doc != NULL ? "application/json5" : "application/octet-stream", etag, text, len);
}

static enum mw_code
answer_document(struct mw_req *req, const struct mw_document *d)
{
	struct mw_buf b;
	enum mw_code code;

	req->source = d->from;
	mw_buf_init(&b, ANSWER_MAX);
	if ((code = head(req, &b, d, false)) == MW_OK)
		code = finish(req, &b, d->etag);
	mw_buf_free(&b);
	return code;
}

/* The change is made: a value too large to be told is told as null. */
static enum mw_code
answer_change(struct mw_req *req, struct mw_document *d)
{
	const struct mw_write *w = &d->written;
	struct mw_buf b;
	enum mw_code code;

	req->source = d->from;
	mw_buf_init(&b, ANSWER_MAX);
	if (head(req, &b, d, true) != MW_OK) {
		mw_err_clear(&req->ctx.err);
		mw_buf_free(&b);
		mw_buf_init(&b, ANSWER_MAX);
		d->doc = NULL;
		if ((code = head(req, &b, d, true)) != MW_OK)
			return code;
	}
	(void)mw_json_add_bool(&b, "saved", d->saved);
	(void)mw_json_add_bool(&b, "applied", d->applied);
	(void)mw_buf_addf(&b, ",\"r2Sync\":{\"success\":%s", w->r2_synced ? "true" : "false");
	(void)mw_json_add_bool(&b, "queued", w->r2_queued);
	(void)mw_json_add(&b, "error", w->r2_error);
	(void)mw_buf_addc(&b, '}');
	code = finish(req, &b, d->etag);
	mw_buf_free(&b);
	return code;
}

/* Of a document that is not there, where we looked; of a broken one, its ETag. */
static enum mw_code
failed(struct mw_req *req, const struct mw_document *d, enum mw_code code)
{
	if (code == MW_CONFLICT && d->etag != NULL)
		mw_res_header(req, "ETag", d->etag);
	if (code == MW_FILE_NOT_FOUND && d->tried != 0)
		mw_add_tried(&req->extra, d->tried);
	return code;
}

/* ---- GET, PUT, PATCH …/config ---- */

static enum mw_code
get_config(struct mw_req *req)
{
	struct mw_document d = { .user = req->user };
	enum mw_code code;

	if ((code = mw_req_query_bool(req, "raw", &d.raw)) != MW_OK)
		return code;
	mw_app_deadline(req, 0, req->app->conf->sandbox.timeout);
	req->touched = true;
	if ((code = mw_document_get(req->app, &req->ctx, &d)) != MW_OK)
		return failed(req, &d, code);
	if (!d.raw)
		return answer_document(req, &d);
	req->source = d.from;
	return answer_raw(req, d.doc, d.etag, d.text, d.len);
}

static enum mw_code
change(struct mw_req *req, enum mw_code (*how)(struct mw_app *, struct mw_ctx *,
    struct mw_document *, const char *, size_t))
{
	struct mw_document d = { .user = req->user };
	enum mw_code code;
	char *body;
	size_t n;

	if ((code = mw_req_body(req, MW_DOCUMENT_MAX, &body, &n)) != MW_OK ||
	    (code = begin(req, &d)) != MW_OK)
		return code;
	if ((code = how(req->app, &req->ctx, &d, body, n)) != MW_OK)
		return failed(req, &d, code);
	return answer_change(req, &d);
}

static enum mw_code
put_config(struct mw_req *req)
{
	return change(req, mw_document_put);
}

static enum mw_code
patch_config(struct mw_req *req)
{
	return change(req, mw_document_patch);
}

/* ---- …/config/history, rollback, reload ---- */

static enum mw_code
get_history(struct mw_req *req)
{
	struct mw_version version[MW_HISTORY_MAX];
	struct mw_buf b;
	enum mw_code code;
	size_t i, n;

	mw_app_deadline(req, 0, req->app->conf->store.timeout);
	req->touched = true;
	if ((code = mw_history_list(req->app, &req->ctx, req->user, version, &n)) != MW_OK)
		return code;
	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	(void)mw_json_open(&b, "versions", '[');
	for (i = 0; i < n; i++) {
		(void)mw_json_open(&b, NULL, '{');
		(void)mw_json_add_int(&b, "version", (int64_t)i + 1);
		(void)mw_json_add(&b, "savedAt", mw_req_time(req, version[i].saved));
		(void)mw_json_add_int(&b, "size", version[i].size);
		(void)mw_json_add(&b, "etag", version[i].etag);
		(void)mw_json_add(&b, "path", version[i].path);
		(void)mw_json_close(&b, '}');
	}
	(void)mw_json_close(&b, ']');
	(void)mw_json_add_int(&b, "count", (int64_t)n);
	return mw_res_object(req, 200, &b);
}

static enum mw_code
answer_version(struct mw_req *req, int64_t number, const struct mw_version *v,
    const struct mw_json5_doc *doc)
{
	struct mw_buf b;
	enum mw_code code;

	mw_buf_init(&b, ANSWER_MAX);
	(void)mw_buf_addf(&b, "{\"userId\":\"%s\"", req->user);
	(void)mw_json_add_int(&b, "version", number);
	(void)mw_json_add(&b, "savedAt", mw_req_time(req, v->saved));
	(void)mw_json_add_int(&b, "size", v->size);
	(void)mw_json_add(&b, "etag", v->etag);
	(void)mw_json_add(&b, "path", v->path);
	if ((code = value(req, &b, doc)) == MW_OK)
		code = finish(req, &b, v->etag);
	mw_buf_free(&b);
	return code;
}

static enum mw_code
get_version(struct mw_req *req)
{
	struct mw_document where = { .tried = MW_TRIED_R2 };
	struct mw_version v;
	struct mw_json5_doc doc;
	struct mw_err why = { .code = MW_OK };
	enum mw_code code;
	int64_t number;
	bool raw = false, is;
	size_t len;
	char *text;

	if ((code = mw_req_query_bool(req, "raw", &raw)) != MW_OK)
		return code;
	if (!mw_str_uint(req->id, strlen(req->id), INT64_MAX, &number))
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "version: expected a number, 1 = the newest backup");
	mw_app_deadline(req, 0, req->app->conf->store.timeout);
	req->touched = true;
	if ((code = mw_history_get(req->app, &req->ctx, req->user, number, &v, &text, &len)) != MW_OK)
		return failed(req, &where, code);
	is = mw_json5_parse(req->ctx.arena, text, len, &doc, &why) == MW_OK &&
	    doc.root.type == MW_JSON5_OBJECT;
	req->source = "r2";
	return raw ? answer_raw(req, is ? &doc : NULL, v.etag, text, len) :
	    answer_version(req, number, &v, is ? &doc : NULL);
}

/* {"version": N}: the only member that counts. */
struct wanted {
	struct mw_err *err;
	bool next;			/* its value comes next */
	int64_t version;		/* 0 = not told */
};

static enum mw_code
wanted_event(void *arg, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	struct wanted *w = arg;
	bool mine = w->next;

	if (depth == 0 && ev != MW_JSON_OBJECT && ev != MW_JSON_OBJECT_END)
		return mw_fail(w->err, MW_INVALID_ARGUMENT, "body: expected {\"version\":NUMBER}");
	if (depth != 1)
		return MW_OK;
	w->next = ev == MW_JSON_KEY && n == 7 && memcmp(s, "version", 7) == 0;
	if (!mine)
		return MW_OK;
	if (ev == MW_JSON_NUMBER && w->version == 0 && mw_str_uint(s, n, INT64_MAX, &w->version) &&
	    w->version > 0)
		return MW_OK;
	return mw_fail(w->err, MW_INVALID_ARGUMENT, "version: expected a number, 1 = the newest backup");
}

static enum mw_code
read_version(struct mw_req *req, int64_t *version)
{
	struct wanted w = { .err = &req->ctx.err };
	struct mw_json json;
	enum mw_code code;
	char *body;
	size_t n;

	mw_json_init(&json, wanted_event, &w);
	if ((code = mw_req_body(req, SMALL, &body, &n)) != MW_OK ||
	    (code = mw_json_feed(&json, body, n, &req->ctx.err)) != MW_OK ||
	    (code = mw_json_finish(&json, &req->ctx.err)) != MW_OK)
		return code;
	*version = w.version;
	return w.version > 0 ? MW_OK : mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
	    "version: missing; expected a number, 1 = the newest backup");
}

static enum mw_code
post_rollback(struct mw_req *req)
{
	struct mw_document d = { .user = req->user };
	int64_t version;
	enum mw_code code;

	if ((code = read_version(req, &version)) != MW_OK || (code = begin(req, &d)) != MW_OK)
		return code;
	if ((code = mw_document_rollback(req->app, &req->ctx, &d, version)) != MW_OK)
		return failed(req, &d, code);
	return answer_change(req, &d);
}

static enum mw_code
post_reload(struct mw_req *req)
{
	struct mw_document d = { .user = req->user };
	struct mw_buf b;
	enum mw_code code;

	if ((code = begin(req, &d)) != MW_OK)
		return code;
	if ((code = mw_document_reload(req->app, &req->ctx, &d)) != MW_OK)
		return failed(req, &d, code);
	req->source = d.from;
	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	(void)mw_json_add_bool(&b, "success", true);
	(void)mw_json_add(&b, "path", d.path);
	(void)mw_json_add_bool(&b, "applied", d.applied);
	(void)mw_json_add(&b, "etag", d.etag);
	return mw_res_object(req, 200, &b);
}

#define CONFIG "/api/super/users/{user}/config"

static const struct mw_route routes[] = {
	{ CONFIG, MW_GET | MW_HEAD, 0, get_config },
	{ CONFIG, MW_PUT, 0, put_config },
	{ CONFIG, MW_PATCH, 0, patch_config },
	{ CONFIG "/history", MW_GET | MW_HEAD, 0, get_history },
	{ CONFIG "/history/{id}", MW_GET | MW_HEAD, 0, get_version },
	{ CONFIG "/rollback", MW_POST, 0, post_rollback },
	{ CONFIG "/reload", MW_POST, 0, post_reload },
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("config", routes);
}
