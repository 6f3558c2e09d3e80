/* SPDX-License-Identifier: BSD-2-Clause */
/* Range (RFC 9110 14.2) and entity-tag lists (RFC 9110 8.8.3, 13.1). */
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "http/http.h"

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

struct tag {
	const char *s;		/* after the opening quote */
	size_t n;
	bool weak;
};

/* The next entity tag; NULL if there is none here, else what follows it. */
static const char *
tag_parse(const char *s, struct tag *tag)
{
	tag->weak = s[0] == 'W' && s[1] == '/';
	if (tag->weak)
		s += 2;
	if (*s++ != '"')
		return NULL;
	tag->s = s;
	while ((unsigned char)*s > 0x20 && *s != '"' && *s != 0x7f)
		s++;
	tag->n = (size_t)(s - tag->s);
	return *s == '"' ? s + 1 : NULL;
}

/* The next tag of a list, after commas and spaces.  *sp = NULL: malformed. */
static bool
list_next(const char **sp, struct tag *tag)
{
	const char *s = *sp + strspn(*sp, ", \t");

	if (*s == '\0')
		return false;
	s = tag_parse(s, tag);
	if (s != NULL) {
		s = skip_space(s);
		if (*s != ',' && *s != '\0')
			s = NULL;
	}
	*sp = s;
	return s != NULL;
}

static bool
is_star(const char *list)
{
	list = skip_space(list);
	return *list == '*' && *skip_space(list + 1) == '\0';
}

bool
mw_etag_in(const char *list, const char *etag, bool weak)
{
	struct tag want, tag;
	const char *end;

	if (etag == NULL)
		return false;
	if (is_star(list))
		return true;
	end = tag_parse(etag, &want);
	if (end == NULL || *end != '\0' || (!weak && want.weak))
		return false;
	while (list_next(&list, &tag)) {
		if (tag.n == want.n && memcmp(tag.s, want.s, tag.n) == 0 &&
		    (weak || !tag.weak))
			return true;
	}
	return false;
}

bool
mw_etag_list_valid(const char *list)
{
	struct tag tag;
	size_t n;

	if (is_star(list))
		return true;
	for (n = 0; list_next(&list, &tag); n++)
		;
	return list != NULL && n > 0;
}
