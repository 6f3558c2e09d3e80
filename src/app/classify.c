/* SPDX-License-Identifier: BSD-2-Clause */
/* What a code means for what is done next: the one table. */
#include "app/classify.h"

#define ANSWER MW_NEXT_ANSWER
#define RETRY MW_NEXT_RETRY
#define WAKE MW_NEXT_WAKE
#define NOTHING MW_SAYS_NOTHING
#define WELL MW_SAYS_WELL
#define ILL MW_SAYS_ILL

/*
 * A definite answer, a refusal too, speaks for the upstream.  A sandbox that
 * sleeps, does not exist or finds no room says nothing about whether it can be
 * reached; nor does what we may have found out for ourselves.
 */
static const struct mw_class classes[] = {
	[MW_OK] = { ANSWER, WELL, false },
	[MW_INVALID_JSON] = { ANSWER, NOTHING, false },
	[MW_INVALID_PATH] = { ANSWER, NOTHING, false },
	[MW_INVALID_USER_ID] = { ANSWER, NOTHING, false },
	[MW_INVALID_ARGUMENT] = { ANSWER, NOTHING, false },
	[MW_TOO_MANY_OPERATIONS] = { ANSWER, NOTHING, false },
	[MW_FORBIDDEN] = { ANSWER, NOTHING, false },
	[MW_NOT_FOUND] = { ANSWER, NOTHING, false },
	[MW_FILE_NOT_FOUND] = { ANSWER, WELL, false },
	[MW_PROCESS_NOT_FOUND] = { ANSWER, WELL, false },
	[MW_METHOD_NOT_ALLOWED] = { ANSWER, NOTHING, false },
	[MW_CONFLICT] = { ANSWER, NOTHING, false },
	[MW_PROCESS_LOST] = { ANSWER, WELL, false },
	[MW_PRECONDITION_FAILED] = { ANSWER, WELL, false },
	[MW_BODY_TOO_LARGE] = { ANSWER, NOTHING, false },
	[MW_FILE_TOO_LARGE] = { ANSWER, WELL, false },
	[MW_UNSUPPORTED_MEDIA] = { ANSWER, NOTHING, false },
	[MW_RANGE_NOT_SATISFIABLE] = { ANSWER, WELL, false },
	[MW_TOO_MANY_REQUESTS] = { ANSWER, NOTHING, false },
	[MW_COMMAND_ERROR] = { ANSWER, WELL, false },
	[MW_PERMISSION_DENIED] = { ANSWER, WELL, false },
	[MW_NOT_SUPPORTED] = { ANSWER, WELL, false },
	[MW_STORAGE_FULL] = { ANSWER, WELL, false },
	[MW_DEADLINE_EXCEEDED] = { ANSWER, NOTHING, true },
	[MW_INTERNAL_ERROR] = { ANSWER, NOTHING, false },
	[MW_STORE_ERROR] = { ANSWER, WELL, true },
	[MW_SANDBOX_NOT_FOUND] = { WAKE, NOTHING, true },
	[MW_SANDBOX_HIBERNATING] = { WAKE, NOTHING, true },
	[MW_SANDBOX_UNREACHABLE] = { RETRY, ILL, true },
	[MW_SANDBOX_UNAVAILABLE] = { ANSWER, NOTHING, true },
	[MW_GATEWAY_FAILED] = { ANSWER, NOTHING, true },
	[MW_WAKE_TIMEOUT] = { ANSWER, NOTHING, true },
	[MW_SANDBOX_CAPACITY] = { ANSWER, NOTHING, true },
	[MW_STORE_UNAVAILABLE] = { RETRY, ILL, true },
	[MW_COMMAND_TIMEOUT] = { ANSWER, WELL, false },
	[MW_SANDBOX_TIMEOUT] = { RETRY, ILL, true },
	[MW_CLIENT_GONE] = { ANSWER, NOTHING, false },
};

_Static_assert(sizeof(classes) / sizeof(classes[0]) == MW_CODE_COUNT,
    "every code needs its row");

const struct mw_class *
mw_class(enum mw_code code)
{
	if ((unsigned)code >= MW_CODE_COUNT || classes[code].next == 0)
		return &classes[MW_INTERNAL_ERROR];
	return &classes[code];
}

enum mw_next
mw_classify(enum mw_code code)
{
	return mw_class(code)->next;
}

bool
mw_is_outage(enum mw_code code)
{
	return mw_class(code)->outage;
}
