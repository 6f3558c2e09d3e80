/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers as the sandbox's stat prints them. */
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "sandbox/remote/internal.h"

bool
mw_remote_field(const char **p, const char **s, size_t *n)
{
	while (**p == ' ')
		(*p)++;
	*s = *p;
	*n = strcspn(*p, " ");
	*p += *n;
	return *n > 0;
}

/* Seconds, with a fraction or without, maybe before 1970, as ms. */
static bool
parse_time(const char *s, size_t n, int64_t *out)
{
	const char *dot = memchr(s, '.', n);
	size_t whole = dot == NULL ? n : (size_t)(dot - s), i;
	int64_t ms = 0;

	if (!mw_str_int(s, whole, -INT64_MAX / 2000, INT64_MAX / 2000, out))
		return false;
	for (i = whole + 1; i < whole + 4; i++) {
		ms *= 10;
		if (i >= n)
			continue;
		if (s[i] < '0' || s[i] > '9')
			return false;
		ms += s[i] - '0';
	}
	*out = *out * 1000 + ms;
	return true;
}

static bool
parse_mode(const char *s, size_t n, struct mw_stat *st)
{
	unsigned mode = 0, digit;
	size_t i;

	if (n == 0 || n > 8)
		return false;
	for (i = 0; i < n; i++) {
		if (s[i] >= '0' && s[i] <= '9')
			digit = (unsigned)(s[i] - '0');
		else if (s[i] >= 'a' && s[i] <= 'f')
			digit = (unsigned)(s[i] - 'a') + 10;
		else
			return false;
		mode = mode << 4 | digit;
	}
	st->type = S_ISREG(mode) ? MW_FT_FILE : S_ISDIR(mode) ? MW_FT_DIR :
	    S_ISLNK(mode) ? MW_FT_SYMLINK : MW_FT_OTHER;
	st->mode = (int)(mode & 07777);
	return true;
}

bool
mw_remote_stat_parse(const char **p, struct mw_stat *st)
{
	const char *s;
	size_t n;

	return mw_remote_field(p, &s, &n) && mw_str_uint(s, n, INT64_MAX, &st->size) &&
	    mw_remote_field(p, &s, &n) && parse_time(s, n, &st->mtime) &&
	    mw_remote_field(p, &s, &n) && parse_mode(s, n, st);
}
