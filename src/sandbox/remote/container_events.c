/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the container server answers.  A command is a stream of events, each a JSON
 * object: "start", "stdout" and "stderr" with text, at last "complete" or "error".
 */
#include <json-c/json.h>
#include <string.h>

#include "sandbox/remote/container.h"

#define URL "check sandbox.container.url"
#define DEPTH 16

/* Of whole answers, and of "error" events (status 200). */
const struct mw_remote_error mw_container_errors[] = {
	{ 0, "FILE_TOO_LARGE", NULL, MW_FILE_TOO_LARGE, NULL },
	{ 0, "FILESYSTEM_ERROR", "ENOSPC", MW_STORAGE_FULL, NULL },
	{ 0, "FILESYSTEM_ERROR", "EDQUOT", MW_STORAGE_FULL, NULL },
	{ 0, "FILESYSTEM_ERROR", "EACCES", MW_PERMISSION_DENIED, NULL },
	{ 0, "FILESYSTEM_ERROR", "EROFS", MW_PERMISSION_DENIED, NULL },
	{ 0, "FILESYSTEM_ERROR", NULL, MW_SANDBOX_UNAVAILABLE, NULL },
	{ 0, "RESOURCE_BUSY", NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 0, "OPERATION_INTERRUPTED", NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 0, "SESSION_TERMINATED", NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 0, "SESSION_DESTROYED", NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 0, "STREAM_START_ERROR", NULL, MW_SANDBOX_UNAVAILABLE, NULL },
	{ 0, "COMMAND_EXECUTION_ERROR", NULL, MW_SANDBOX_UNAVAILABLE, NULL },
	{ 0, "INTERNAL_ERROR", NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 200, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 401, NULL, NULL, MW_SANDBOX_UNAVAILABLE, URL },
	{ 403, NULL, NULL, MW_SANDBOX_UNAVAILABLE, URL },
	{ 404, NULL, NULL, MW_SANDBOX_UNAVAILABLE, URL },
	{ 408, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 409, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 413, NULL, NULL, MW_FILE_TOO_LARGE, NULL },
	{ 429, NULL, NULL, MW_SANDBOX_CAPACITY, NULL },
	{ 500, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 502, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 503, NULL, NULL, MW_SANDBOX_UNREACHABLE, NULL },
	{ 504, NULL, NULL, MW_SANDBOX_TIMEOUT, NULL },
	{ 0, NULL, NULL, MW_SANDBOX_UNAVAILABLE, URL },
};

static bool
take_output(struct mw_remote_events *a, struct json_object *o)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, "data", &v) ||
	    !json_object_is_type(v, json_type_string))
		return false;
	if (!a->out(a->arg, json_object_get_string(v), (size_t)json_object_get_string_len(v)))
		a->stopped = true;
	return !a->stopped;
}

static bool
take_event(struct mw_remote_events *a, struct json_object *o, const char *data, size_t n)
{
	struct json_object *v;
	const char *type = "";

	if (json_object_object_get_ex(o, "type", &v) && json_object_is_type(v, json_type_string))
		type = json_object_get_string(v);
	if (strcmp(type, "stdout") == 0)
		return take_output(a, o);
	if (strcmp(type, "complete") == 0) {
		if (!json_object_object_get_ex(o, "exitCode", &v) ||
		    !json_object_is_type(v, json_type_int))
			return false;
		a->exit_code = json_object_get_int(v);
		a->ended = true;
	} else if (strcmp(type, "error") == 0) {
		mw_remote_said(data, n, "code", "error", &a->said);
		a->failed = true;
	}
	return true;
}

bool
mw_container_event(void *arg, const char *name, const char *data, size_t n)
{
	struct mw_remote_events *a = arg;
	struct json_tokener *t;
	struct json_object *o = NULL;
	bool good;

	(void)name;
	if (a->ended || a->failed)
		return true;
	if ((t = json_tokener_new_ex(DEPTH)) != NULL && n <= INT32_MAX)
		o = json_tokener_parse_ex(t, data, (int)n);
	good = json_object_is_type(o, json_type_object) && take_event(a, o, data, n);
	json_object_put(o);
	if (t != NULL)
		json_tokener_free(t);
	return good;
}
