/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/classify.h"

enum mw_next
mw_classify(enum mw_code code)
{
	switch (code) {
	case MW_STORE_UNAVAILABLE:
	case MW_SANDBOX_UNREACHABLE:
	case MW_SANDBOX_TIMEOUT:
		return MW_NEXT_RETRY;
	case MW_SANDBOX_NOT_FOUND:
	case MW_SANDBOX_HIBERNATING:
		return MW_NEXT_WAKE;
	default:
		return MW_NEXT_ANSWER;
	}
}

bool
mw_is_outage(enum mw_code code)
{
	switch (code) {
	case MW_STORE_UNAVAILABLE:
	case MW_STORE_ERROR:
	case MW_SANDBOX_NOT_FOUND:
	case MW_SANDBOX_HIBERNATING:
	case MW_SANDBOX_UNREACHABLE:
	case MW_SANDBOX_UNAVAILABLE:
	case MW_SANDBOX_CAPACITY:
	case MW_SANDBOX_TIMEOUT:
	case MW_WAKE_TIMEOUT:
	case MW_GATEWAY_FAILED:
	case MW_DEADLINE_EXCEEDED:
		return true;
	default:
		return false;
	}
}
