/* SPDX-License-Identifier: BSD-2-Clause */
/* The answer: head, body, small JSON documents. */
#include "base/clock.h"
#include "base/json.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "http/http.h"

#define HEAD_MAX (32 * 1024)	/* bytes of status line and headers */

static const char *
reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{ 200, "OK" }, { 202, "Accepted" }, { 204, "No Content" },
		{ 206, "Partial Content" }, { 304, "Not Modified" },
		{ 400, "Bad Request" }, { 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 409, "Conflict" }, { 410, "Gone" },
		{ 412, "Precondition Failed" }, { 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" }, { 429, "Too Many Requests" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" }, { 507, "Insufficient Storage" },
	};
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return reasons[i].text;
	}
	return "Status";
}

void
mw_res_header(struct mw_req *req, const char *name, const char *value)
{
	if (req->head_sent)
		return;
	if (!mw_str_header_ok(value)) {
		mw_log(MW_WARN, "dropped the answer's %s header: control byte in its value", name);
		return;
	}
	if (!mw_buf_cat(&req->head, name, ": ", value, "\r\n", (char *)NULL))
		mw_log(MW_ERROR, "no room for the answer's %s header", name);
}

void
mw_res_headerf(struct mw_req *req, const char *name, const char *fmt, ...)
{
	char value[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(value)) {
		mw_log(MW_WARN, "dropped the answer's %s header: too long", name);
		return;
	}
	mw_res_header(req, name, value);
}

/* Was this header, which starts a line, added by the handler? */
static bool
has_header(const struct mw_req *req, const char *name)
{
	const char *s = req->head.data, *hit;

	if (req->head.len == 0)
		return false;
	for (hit = strstr(s, name); hit != NULL; hit = strstr(hit + 1, name)) {
		if (hit == s || hit[-1] == '\n')
			return true;
	}
	return false;
}

static void
add_number(struct mw_buf *b, const char *name, int64_t n)
{
	(void)mw_buf_adds(b, name);
	(void)mw_buf_addi(b, n);
	(void)mw_buf_adds(b, "\r\n");
}

static void
head_write(struct mw_req *req, struct mw_buf *b, const char *type, int64_t length)
{
	(void)mw_buf_adds(b, "Status: ");
	(void)mw_buf_addi(b, req->status);
	(void)mw_buf_cat(b, " ", reason(req->status), "\r\n", (char *)NULL);
	if (type != NULL)
		(void)mw_buf_cat(b, "Content-Type: ", mw_str_header_ok(type) ? type :
		    "application/octet-stream", "\r\n", (char *)NULL);
	if (length >= 0)
		add_number(b, "Content-Length: ", length);
	(void)mw_buf_cat(b, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
	    "X-Request-Id: ", req->ctx.request_id, "\r\n", (char *)NULL);
	if (req->touched)
		add_number(b, "X-Attempts: ", req->ctx.attempts);
	if ((req->status == 503 || req->status == 429) && !has_header(req, "Retry-After:"))
		add_number(b, "Retry-After: ", MW_RETRY_AFTER);
	if (req->head.len > 0)
		(void)mw_buf_add(b, req->head.data, req->head.len);
	(void)mw_buf_adds(b, "\r\n");
}

void
mw_res_start(struct mw_req *req, int status, const char *type, int64_t length)
{
	struct mw_buf b;
	bool empty = status == 204 || status == 304;

	if (req->head_sent)
		return;
	req->status = status;
	req->head_sent = true;
	req->announced = empty ? 0 : length;
	req->bodiless = empty || req->method == MW_HEAD;
	mw_buf_init(&b, HEAD_MAX);
	head_write(req, &b, empty ? NULL : type, empty ? -1 : length);
	if (b.failed || !req->io->write(req->io->t, b.data, b.len))
		req->broken = true;
	mw_buf_free(&b);
}

bool
mw_res_write(struct mw_req *req, const void *p, size_t n)
{
	if (req->broken)
		return false;
	if (req->announced >= 0 && !(req->bodiless && req->announced == 0) &&
	    n > (uint64_t)(req->announced - req->sent)) {
		mw_log(MW_ERROR, "%s: the answer is longer than the announced %lld bytes",
		    req->ctx.request_id, (long long)req->announced);
		req->code = MW_INTERNAL_ERROR;
		mw_http_abort(req);
		return false;
	}
	req->sent += (int64_t)n;
	if (req->bodiless || n == 0)
		return true;
	if (!req->io->write(req->io->t, p, n))
		req->broken = true;
	return !req->broken;
}

bool
mw_res_writer(void *req, const void *p, size_t n)
{
	return mw_res_write(req, p, n);
}

bool
mw_res_flush(struct mw_req *req)
{
	if (!req->broken && !req->io->flush(req->io->t))
		req->broken = true;
	return !req->broken;
}

void
mw_http_abort(struct mw_req *req)
{
	if (req->io->cut != NULL)
		req->io->cut(req->io->t);
	req->broken = true;
}

void
mw_res_open(struct mw_buf *b)
{
	mw_buf_init(b, MW_RES_MAX);
	(void)mw_json_open(b, NULL, '{');
}

enum mw_code
mw_res_object(struct mw_req *req, int status, struct mw_buf *b)
{
	enum mw_code code = MW_OK;

	(void)mw_json_add(b, "timestamp", mw_req_time(req, mw_wall()));
	(void)mw_json_close(b, '}');
	if (!mw_buf_addc(b, '\n')) {
		code = mw_ctx_nomem(&req->ctx);
	} else {
		mw_res_start(req, status, "application/json", (int64_t)b->len);
		if (!mw_res_write(req, b->data, b->len))
			code = MW_CLIENT_GONE;
	}
	mw_buf_free(b);
	return code;
}
