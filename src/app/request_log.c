/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/request_log.h"

#include <ctype.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static const char *
error_class(const struct mw_req *req)
{
	return req->code == MW_OK ? "" : mw_code_info(req->code)->log_class;
}

static void
record_json(const struct mw_req *req, int64_t ms, unsigned retries)
{
	struct json_object *o = json_object_new_object();
	const char *line;
	char now[MW_RFC3339_LEN];

	if (o == NULL)
		return;
	mw_rfc3339(mw_wall(), now);
	json_object_object_add(o, "time", json_object_new_string(now));
	json_object_object_add(o, "level", json_object_new_string("info"));
	json_object_object_add(o, "endpoint", json_object_new_string(req->http->name));
	json_object_object_add(o, "method", json_object_new_string(req->method_name));
	if (req->user != NULL)
		json_object_object_add(o, "userId", json_object_new_string(req->user));
	if (req->path != NULL)
		json_object_object_add(o, "path", json_object_new_string(req->path));
	json_object_object_add(o, "durationMs", json_object_new_int64(ms));
	json_object_object_add(o, "success", json_object_new_boolean(req->code == MW_OK));
	if (req->code != MW_OK)
		json_object_object_add(o, "errorType", json_object_new_string(error_class(req)));
	json_object_object_add(o, "retries", json_object_new_int64(retries));
	if (req->source != NULL)
		json_object_object_add(o, "source", json_object_new_string(req->source));
	json_object_object_add(o, "status", json_object_new_int(req->status));
	if (req->code != MW_OK) {
		json_object_object_add(o, "code",
		    json_object_new_string(mw_code_info(req->code)->name));
		json_object_object_add(o, "error", json_object_new_string(req->ctx.err.msg));
	}
	json_object_object_add(o, "requestId", json_object_new_string(req->ctx.request_id));
	line = json_object_to_json_string_ext(o,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (line != NULL)
		mw_log_raw(line, strlen(line));
	json_object_put(o);
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
