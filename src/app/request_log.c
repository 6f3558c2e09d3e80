/* SPDX-License-Identifier: BSD-2-Clause */
/* One line of the log for each request. */
#include "app/request_log.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define LINE_MAX_BYTES (64 << 10)

static const char *
error_class(const struct mw_req *req)
{
	return req->code == MW_OK ? "" : mw_code_info(req->code)->log_class;
}

static void
record_json(const struct mw_req *req, int64_t ms, unsigned retries)
{
	char now[MW_RFC3339_LEN];
	struct mw_buf b;

	mw_buf_init(&b, LINE_MAX_BYTES);
	mw_rfc3339(mw_wall(), now);
	(void)mw_json_open(&b, NULL, '{');
	(void)mw_json_add(&b, "time", now);
	(void)mw_json_add(&b, "level", "info");
	(void)mw_json_add(&b, "endpoint", req->http->name);
	(void)mw_json_add(&b, "method", req->method_name);
	if (req->user != NULL)
		(void)mw_json_add(&b, "userId", req->user);
	if (req->path != NULL)
		(void)mw_json_add(&b, "path", req->path);
	(void)mw_json_add_int(&b, "durationMs", ms);
	(void)mw_json_add_bool(&b, "success", req->code == MW_OK);
	if (req->code != MW_OK)
		(void)mw_json_add(&b, "errorType", error_class(req));
	(void)mw_json_add_int(&b, "retries", retries);
	if (req->source != NULL)
		(void)mw_json_add(&b, "source", req->source);
	(void)mw_json_add_int(&b, "status", req->status);
	if (req->code != MW_OK) {
		(void)mw_json_add(&b, "code", mw_code_info(req->code)->name);
		(void)mw_json_add(&b, "error", req->ctx.err.msg);
	}
	(void)mw_json_add(&b, "requestId", req->ctx.request_id);
	if (mw_json_close(&b, '}'))
		mw_log_raw(b.data, b.len);
	mw_buf_free(&b);
}

static void
record_text(const struct mw_req *req, int64_t ms, unsigned retries)
{
	char tag[16];
	size_t i;

	for (i = 0; req->http->name[i] != '\0' && i < sizeof(tag) - 1; i++)
		tag[i] = (char)toupper((unsigned char)req->http->name[i]);
	tag[i] = '\0';
	if (req->code == MW_OK)
		mw_log(MW_INFO, "[%s] %s %d endpoint=%s userId=%s path=/%s durationMs=%lld "
		    "success=true retries=%u source=%s requestId=%s", tag, req->method_name,
		    req->status, req->http->name, req->user != NULL ? req->user : "-",
		    req->path != NULL ? req->path : "", (long long)ms, retries,
		    req->source != NULL ? req->source : "-", req->ctx.request_id);
	else
		mw_log(MW_INFO, "[%s] %s %d endpoint=%s userId=%s path=/%s durationMs=%lld "
		    "success=false errorType=%s code=%s retries=%u source=%s requestId=%s: %s",
		    tag, req->method_name, req->status, req->http->name,
		    req->user != NULL ? req->user : "-", req->path != NULL ? req->path : "",
		    (long long)ms, error_class(req), mw_code_info(req->code)->name, retries,
		    req->source != NULL ? req->source : "-", req->ctx.request_id,
		    req->ctx.err.msg);
}

void
mw_request_log(struct mw_req *req)
{
	int64_t ms = mw_now() - req->started;
	unsigned retries = req->ctx.retries;

	if (mw_log_is_json())
		record_json(req, ms, retries);
	else
		record_text(req, ms, retries);
}
