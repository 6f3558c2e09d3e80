/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the bridge answers.  An exec is a stream of events: "stdout" and "stderr" in
 * base64, each by itself, and at last "exit" or "error".
 */
#include <json-c/json.h>
#include <string.h>

#include "sandbox/remote/bridge.h"

#define URL "check sandbox.bridge.url"
#define TOKEN "check sandbox.bridge.token_file"
#define POOL "raise the bridge's max_instances, or let sandboxes sleep"
#define PIECE 32768

/* Of whole answers, and of "error" events (status 200). */
const struct mw_remote_error mw_bridge_errors[] = {
	{ 0, "unauthorized", NULL, MW_SANDBOX_UNAVAILABLE, TOKEN },
	{ 0, "capacity_exceeded", NULL, MW_SANDBOX_CAPACITY, POOL },
	{ 0, "pool_error", NULL, MW_SANDBOX_UNAVAILABLE, NULL },
	{ 0, "payload_too_large", NULL, MW_FILE_TOO_LARGE, NULL },
	{ 0, "invalid_request", NULL, MW_SANDBOX_UNAVAILABLE, NULL },
	{ 0, "session_error", NULL, MW_SANDBOX_UNAVAILABLE, NULL },
	/* The container's own codes may come through in the text. */
	{ 0, "workspace_archive_write_error", "ENOSPC", MW_STORAGE_FULL, NULL },
	{ 0, "workspace_archive_write_error", "No space left", MW_STORAGE_FULL, NULL },
	{ 0, "workspace_archive_write_error", NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 0, "workspace_archive_read_error", NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 0, "exec_transport_error", NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 0, "exec_error", NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 200, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 401, NULL, NULL, MW_SANDBOX_UNAVAILABLE, TOKEN },
	{ 403, NULL, NULL, MW_SANDBOX_UNAVAILABLE, TOKEN },
	{ 404, NULL, NULL, MW_SANDBOX_UNAVAILABLE, URL },
	{ 405, NULL, NULL, MW_SANDBOX_UNAVAILABLE, URL },
	{ 408, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 413, NULL, NULL, MW_FILE_TOO_LARGE, NULL },
	{ 429, NULL, NULL, MW_SANDBOX_CAPACITY, NULL },
	{ 500, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 501, NULL, NULL, MW_SANDBOX_UNAVAILABLE, URL },
	{ 502, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 503, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 504, NULL, NULL, MW_SANDBOX_TIMEOUT, NULL },
	{ 520, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 521, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 522, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 523, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 524, NULL, NULL, MW_SANDBOX_TIMEOUT, NULL },
	{ 530, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 0, NULL, NULL, MW_SANDBOX_UNAVAILABLE, URL },
};

static bool
take_output(struct mw_remote_events *a, const char *p, size_t n)
{
	unsigned char out[3 * ((PIECE + 3) / 4 + 1)];
	struct mw_base64 b64 = { .acc = 0 };
	size_t some;
	long got;

	for (; n > 0; p += some, n -= some) {
		some = n < PIECE ? n : PIECE;
		if ((got = mw_base64_decode(&b64, p, some, out)) < 0)
			return false;
		if (got > 0 && !a->out(a->arg, out, (size_t)got)) {
			a->stopped = true;
			return false;
		}
	}
	return mw_base64_finish(&b64);
}

static bool
take_exit(struct mw_remote_events *a, const char *p, size_t n)
{
	struct json_tokener *t = json_tokener_new_ex(4);
	struct json_object *o = NULL, *v;

	if (t != NULL && n <= INT32_MAX)
		o = json_tokener_parse_ex(t, p, (int)n);
	if (json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, "exit_code", &v) &&
	    json_object_is_type(v, json_type_int)) {
		a->exit_code = json_object_get_int(v);
		a->ended = true;
	}
	json_object_put(o);
	if (t != NULL)
		json_tokener_free(t);
	return a->ended;
}

bool
mw_bridge_event(void *arg, const char *name, const char *data, size_t n)
{
	struct mw_remote_events *a = arg;

	if (a->ended || a->failed)
		return true;
	if (strcmp(name, "stdout") == 0)
		return take_output(a, data, n);
	if (strcmp(name, "exit") == 0)
		return take_exit(a, data, n);
	if (strcmp(name, "error") == 0) {
		mw_remote_said(data, n, "code", "error", &a->said);
		a->failed = true;
	}
	return true;
}
