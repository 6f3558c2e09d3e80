/* SPDX-License-Identifier: BSD-2-Clause */
/* Byte ranges (RFC 9110 14.1.2, 14.2): the header, and against a length. */
#include "base/range.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

bool
mw_range_resolve(int64_t size, int64_t *from, int64_t *to)
{
	if (*from < 0) {
		*from = *to < size ? size - *to : 0;
		*to = size - 1;
	} else if (*to < 0 || *to >= size) {
		*to = size - 1;
	}
	return *from < size && *from <= *to;
}

/* A run of digits, held to INT64_MAX; false if there is none. */
static bool
number(const char **sp, int64_t *out)
{
	size_t n = strspn(*sp, "0123456789");

	if (n == 0)
		return false;
	if (!mw_str_uint(*sp, n, INT64_MAX, out))
		*out = INT64_MAX;
	*sp += n;
	return true;
}

static const char *
skip_space(const char *s)
{
	return s + strspn(s, " \t");
}

bool
mw_range_parse(const char *s, struct mw_range *out)
{
	struct mw_range r = { -1, -1 };
	bool from, to;

	if (strncasecmp(s, "bytes=", 6) != 0)
		return false;
	s = skip_space(s + 6);
	from = number(&s, &r.from);
	if (*s++ != '-')
		return false;
	to = number(&s, &r.to);
	if (*skip_space(s) != '\0' || (!from && !to) || (from && to && r.to < r.from))
		return false;
	*out = r;
	return true;
}
