/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of entity tags (RFC 9110 8.8.3, 13.1). */
#include "base/etag.h"

#include <string.h>

static const char *
skip_space(const char *s)
{
	return s + strspn(s, " \t");
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
