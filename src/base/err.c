/* SPDX-License-Identifier: BSD-2-Clause */
/* The one table of error codes. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define CLIENT "client_error"
#define CONTAINER "container_error"
#define STORE "store_error"
#define TIMEOUT "timeout_error"

static const struct mw_code_info codes[] = {
	[MW_OK] = { "ok", 200, "", false, "" },
	[MW_INVALID_JSON] = { "invalid_json", 400, CLIENT, false, "other" },
	[MW_INVALID_PATH] = { "invalid_path", 400, CLIENT, false, "other" },
	[MW_INVALID_USER_ID] = { "invalid_user_id", 400, CLIENT, false, "other" },
	[MW_INVALID_ARGUMENT] = { "invalid_argument", 400, CLIENT, false, "other" },
	[MW_TOO_MANY_OPERATIONS] = { "too_many_operations", 400, CLIENT, false, "other" },
	[MW_FORBIDDEN] = { "forbidden", 403, CLIENT, false, "other" },
	[MW_NOT_FOUND] = { "not_found", 404, CLIENT, false, "other" },
	[MW_FILE_NOT_FOUND] = { "file_not_found", 404, CLIENT, false, "other" },
	[MW_PROCESS_NOT_FOUND] = { "process_not_found", 404, CLIENT, false, "other" },
	[MW_METHOD_NOT_ALLOWED] = { "method_not_allowed", 405, CLIENT, false, "other" },
	[MW_CONFLICT] = { "conflict", 409, CLIENT, false, "other" },
	[MW_PROCESS_LOST] = { "process_lost", 410, CONTAINER, false, "container" },
	[MW_PRECONDITION_FAILED] = { "precondition_failed", 412, CLIENT, false, "other" },
	[MW_BODY_TOO_LARGE] = { "body_too_large", 413, CLIENT, false, "other" },
	[MW_FILE_TOO_LARGE] = { "file_too_large", 413, CLIENT, false, "other" },
	[MW_UNSUPPORTED_MEDIA] = { "unsupported_media_type", 415, CLIENT, false, "other" },
	[MW_RANGE_NOT_SATISFIABLE] = { "range_not_satisfiable", 416, CLIENT, false, "other" },
	[MW_TOO_MANY_REQUESTS] = { "too_many_requests", 429, CLIENT, true, "other" },
	[MW_COMMAND_ERROR] = { "command_error", 500, "command_error", false, "command" },
	[MW_PERMISSION_DENIED] = { "permission_denied", 403, CLIENT, false, "other" },
	[MW_NOT_SUPPORTED] = { "not_supported", 501, CLIENT, false, "other" },
	[MW_STORAGE_FULL] = { "storage_full", 507, STORE, true, "other" },
	[MW_DEADLINE_EXCEEDED] = { "deadline_exceeded", 504, TIMEOUT, true, "timeout" },
	[MW_INTERNAL_ERROR] = { "internal_error", 500, "internal_error", false, "other" },
	[MW_STORE_ERROR] = { "store_error", 502, STORE, false, "other" },
	[MW_SANDBOX_NOT_FOUND] = { "sandbox_not_found", 503, CONTAINER, true, "container" },
	[MW_SANDBOX_HIBERNATING] = { "sandbox_hibernating", 503, CONTAINER, true, "container" },
	[MW_SANDBOX_UNREACHABLE] = { "sandbox_unreachable", 503, CONTAINER, true, "container" },
	[MW_SANDBOX_UNAVAILABLE] = { "sandbox_unavailable", 503, CONTAINER, true, "container" },
	[MW_GATEWAY_FAILED] = { "gateway_failed", 503, CONTAINER, true, "container" },
	[MW_WAKE_TIMEOUT] = { "wake_timeout", 503, CONTAINER, true, "timeout" },
	[MW_SANDBOX_CAPACITY] = { "sandbox_capacity", 503, CONTAINER, true, "container" },
	[MW_STORE_UNAVAILABLE] = { "store_unavailable", 503, STORE, true, "other" },
	[MW_COMMAND_TIMEOUT] = { "command_timeout", 504, TIMEOUT, false, "timeout" },
	[MW_SANDBOX_TIMEOUT] = { "sandbox_timeout", 504, TIMEOUT, true, "timeout" },
	[MW_CLIENT_GONE] = { "client_gone", 499, CLIENT, false, "other" },
};

_Static_assert(sizeof(codes) / sizeof(codes[0]) == MW_CODE_COUNT,
    "every code needs its row");

const struct mw_code_info *
mw_code_info(enum mw_code code)
{
	if ((unsigned)code >= MW_CODE_COUNT || codes[code].name == NULL)
		return &codes[MW_INTERNAL_ERROR];
	return &codes[code];
}

enum mw_code
mw_fail(struct mw_err *err, enum mw_code code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL || err->code != MW_OK)
		return code;
	err->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	/* Also mends a character that the buffer's end has cut in two. */
	mw_utf8_clean(err->msg, strlen(err->msg), ' ');
	return code;
}

/* What is only asleep or moving comes back sooner. */
unsigned
mw_retry_after(const struct mw_err *err, enum mw_code code)
{
	int status = mw_code_info(code)->status;

	if (err->retry_after != 0)
		return err->retry_after;
	if (code == MW_SANDBOX_HIBERNATING || code == MW_SANDBOX_UNREACHABLE)
		return 2;
	return status == 503 || status == 429 ? MW_RETRY_AFTER : 0;
}

bool
mw_err_retryable(const struct mw_err *err, enum mw_code code)
{
	return mw_code_info(code)->retryable && !err->final;
}

void
mw_err_clear(struct mw_err *err)
{
	memset(err, 0, sizeof(*err));
}
