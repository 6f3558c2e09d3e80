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

/* A value that holds more than letters, digits and such: in quotes, so that it cannot
 * look like further fields. */
static const char *
quoted(struct mw_arena *arena, const char *value)
{
	const unsigned char *p = (const unsigned char *)value;
	char *out, *o;

	while (*p > ' ' && *p != '"' && *p != '\\' && *p != '=' && *p != 0x7f)
		p++;
	if (*p == '\0')
		return value;
	out = o = mw_arena_alloc(arena, 2 * strlen(value) + 3);
	if (out == NULL)
		return "\"\"";
	*o++ = '"';
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			*o++ = '\\';
		*o++ = *value;
	}
	*o++ = '"';
	*o = '\0';
	return out;
}

static void
record_text(struct mw_req *req, int64_t ms, unsigned retries)
{
	struct mw_arena *arena = req->ctx.arena;
	const char *path = mw_arena_printf(arena, "/%s", req->path != NULL ? req->path : "");
	char tag[16], failed[128] = "";
	size_t i;

	for (i = 0; req->http->name[i] != '\0' && i < sizeof(tag) - 1; i++)
		tag[i] = (char)toupper((unsigned char)req->http->name[i]);
	tag[i] = '\0';
	if (req->code != MW_OK)
		(void)snprintf(failed, sizeof(failed), " errorType=%s code=%s", error_class(req),
		    mw_code_info(req->code)->name);
	mw_log(MW_INFO, "[%s] %s %d endpoint=%s userId=%s path=%s durationMs=%lld "
	    "success=%s%s retries=%u source=%s requestId=%s%s%s", tag, req->method_name,
	    req->status, req->http->name, req->user != NULL ? quoted(arena, req->user) : "-",
	    path != NULL ? quoted(arena, path) : "-", (long long)ms,
	    req->code == MW_OK ? "true" : "false", failed, retries,
	    req->source != NULL ? req->source : "-", quoted(arena, req->ctx.request_id),
	    req->code == MW_OK ? "" : " error=",
	    req->code == MW_OK ? "" : quoted(arena, req->ctx.err.msg));
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
