/* SPDX-License-Identifier: BSD-2-Clause */
/* Query parameters with a type: a bad value is a 400 that names it. */
#include <string.h>

#include "base/str.h"
#include "http/http.h"

const struct mw_pair *
mw_req_query(const struct mw_req *req, const char *name)
{
	size_t i;

	for (i = 0; i < req->nquery; i++) {
		if (strcmp(req->query[i].name, name) == 0)
			return &req->query[i];
	}
	return NULL;
}

enum mw_code
mw_req_query_bool(struct mw_req *req, const char *name, bool *out)
{
	const struct mw_pair *pair = mw_req_query(req, name);

	if (pair == NULL || mw_str_bool(pair->value, pair->len, out))
		return MW_OK;
	return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
	    "%s: expected true or false, got \"%.60s\"", name, pair->value);
}

/* Digits only, and not below min: then what failed was the maximum. */
static bool
too_big(const struct mw_pair *pair, int64_t min)
{
	int64_t v;

	if (pair->len == 0 || strspn(pair->value, "0123456789") != pair->len)
		return false;
	return !mw_str_int(pair->value, pair->len, INT64_MIN, INT64_MAX, &v) || v >= min;
}

enum mw_code
mw_req_query_int(struct mw_req *req, const char *name,
    int64_t min, int64_t max, bool clamp, int64_t *out)
{
	const struct mw_pair *pair = mw_req_query(req, name);

	if (pair == NULL || mw_str_int(pair->value, pair->len, min, max, out))
		return MW_OK;
	if (clamp && too_big(pair, min)) {
		*out = max;
		return MW_OK;
	}
	return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
	    "%s: expected an integer from %lld to %lld, got \"%.60s\"", name,
	    (long long)min, (long long)max, pair->value);
}

enum mw_code
mw_req_query_choice(struct mw_req *req, const char *name,
    const char *const *choices, int *out)
{
	const struct mw_pair *pair = mw_req_query(req, name);
	char words[120] = "";
	size_t used = 0, n;
	int i;

	if (pair == NULL)
		return MW_OK;
	for (i = 0; choices[i] != NULL; i++) {
		if (strcmp(pair->value, choices[i]) == 0) {
			*out = i;
			return MW_OK;
		}
		n = strlen(choices[i]);
		if (n + 2 < sizeof(words) - used) {
			words[used++] = ' ';
			memcpy(words + used, choices[i], n + 1);
			used += n;
		}
	}
	return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
	    "%s: expected one of%s, got \"%.60s\"", name, words, pair->value);
}
