/* SPDX-License-Identifier: BSD-2-Clause */
/* The one place that turns an error code into an answer. */
#include "base/json.h"
#include "http/http.h"

/* Members that are there only if they are known. */
static void
add_if(struct mw_buf *b, const char *name, const char *text)
{
	if (text != NULL)
		(void)mw_json_add(b, name, text);
}

static enum mw_code
send_error(struct mw_req *req, enum mw_code code, const char *text)
{
	const struct mw_code_info *info = mw_code_info(code);
	struct mw_buf b;

	mw_res_open(&b);
	add_if(&b, "error", text);
	add_if(&b, "hint", req->hint);
	add_if(&b, "code", info->name);
	add_if(&b, "errorType", info->type);
	(void)mw_json_add_bool(&b, "retryable", mw_err_retryable(&req->ctx.err, code));
	(void)mw_json_add_int(&b, "attempts", req->ctx.attempts);
	add_if(&b, "userId", req->user);
	if (req->path != NULL)
		add_if(&b, "path", mw_arena_printf(req->ctx.arena, "/%s", req->path));
	if (req->ctx.err.details != NULL)
		(void)mw_json_add_raw(&b, "details", req->ctx.err.details);
	(void)mw_json_add_all(&b, &req->extra);
	add_if(&b, "requestId", req->ctx.request_id);
	return mw_res_object(req, info->status, &b);
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
	if ((wait = mw_retry_after(&req->ctx.err, code)) > 0)
		mw_res_headerf(req, "Retry-After", "%u", wait);
	if (send_error(req, code, text) != MW_OK && !req->head_sent)
		mw_res_start(req, 500, "application/json", 0);
}
