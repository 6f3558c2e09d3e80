/* SPDX-License-Identifier: BSD-2-Clause */
/* The one place that turns an error code into an answer. */
#include <json-c/json.h>

#include "base/clock.h"
#include "http/http.h"

/* Seconds; 0 = the default of a 503 or 429.  What is only asleep or moving comes back sooner. */
static unsigned
retry_after(const struct mw_req *req, enum mw_code code)
{
	if (req->ctx.err.retry_after != 0)
		return req->ctx.err.retry_after;
	return code == MW_SANDBOX_HIBERNATING || code == MW_SANDBOX_UNREACHABLE ? 2 : 0;
}

static void
put(struct json_object *o, const char *name, struct json_object *value)
{
	(void)json_object_object_add(o, name, value);
}

static void
put_text(struct json_object *o, const char *name, const char *text)
{
	if (text != NULL)
		put(o, name, json_object_new_string(text));
}

static struct json_object *
error_body(struct mw_req *req, enum mw_code code, const char *text)
{
	const struct mw_code_info *info = mw_code_info(code);
	struct json_object *o = json_object_new_object();

	if (o == NULL)
		return NULL;
	put_text(o, "error", text);
	put_text(o, "hint", req->hint);
	put_text(o, "code", info->name);
	put_text(o, "errorType", info->type);
	put(o, "retryable", json_object_new_boolean(info->retryable));
	put(o, "attempts", json_object_new_int64(req->ctx.attempts));
	put_text(o, "userId", req->user);
	if (req->path != NULL)
		put_text(o, "path", mw_arena_printf(req->ctx.arena, "/%s", req->path));
	if (req->ctx.err.details != NULL)
		put(o, "details", json_tokener_parse(req->ctx.err.details));
	if (req->extra != NULL) {
		json_object_object_foreach(req->extra, name, value)
			put(o, name, json_object_get(value));
	}
	put_text(o, "requestId", req->ctx.request_id);
	put_text(o, "timestamp", mw_req_time(req, mw_wall()));
	return o;
}

void
mw_res_error(struct mw_req *req, enum mw_code code)
{
	const char *text = req->ctx.err.msg;
	unsigned wait;

	if (req->ctx.err.code != MW_OK)
		code = req->ctx.err.code;
	req->code = code;
	if (req->head_sent || code == MW_CLIENT_GONE) {
		if (req->status == 0)
			req->status = mw_code_info(code)->status;
		mw_http_abort(req);
		return;
	}
	if (text[0] == '\0')
		text = mw_code_info(code)->name;
	if ((wait = retry_after(req, code)) > 0)
		mw_res_headerf(req, "Retry-After", "%u", wait);
	if (mw_res_json(req, mw_code_info(code)->status, error_body(req, code, text)) != MW_OK &&
	    !req->head_sent)
		mw_res_start(req, 500, "application/json", 0);
}
