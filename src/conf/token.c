/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of a configuration's text. */
#include "conf/token.h"

#include <ctype.h>
#include <string.h>

size_t
mw_token_span(const char *p, const char *end, int (*in)(int))
{
	const char *s = p;

	while (p < end && in((unsigned char)*p))
		p++;
	return (size_t)(p - s);
}

static int
is_name(int c)
{
	return isalnum(c) || c == '_' || c == '-' || c == '*';
}

int
mw_token_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f';
}

static int
not_newline(int c)
{
	return c != '\n';
}

/* Letters too: "5L", "0xff", "1.5e3". */
static int
is_number(int c)
{
	return isalnum(c) || c == '.';
}

/* The comment at p; n = 0 if there is none. */
static struct mw_token
comment(const char *p, const char *end)
{
	struct mw_token k = { MW_TOKEN_BLANK, p, 0 };
	const char *close;

	if (*p == '#' || (end - p >= 2 && p[0] == '/' && p[1] == '/')) {
		k.n = mw_token_span(p, end, not_newline);
	} else if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
		close = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);
		if (close == NULL)
			k.kind = MW_TOKEN_OPEN;
		k.n = close == NULL ? (size_t)(end - p) : (size_t)(close + 2 - p);
	}
	return k;
}

/* one_line: a line's end closes a string too, so that a forgotten quote spoils one line only. */
static struct mw_token
string(const char *p, const char *end, bool one_line)
{
	struct mw_token k = { MW_TOKEN_OPEN, p, 0 };
	const char *q;

	for (q = p + 1; q < end; q++) {
		if (*q == '"') {
			k.kind = MW_TOKEN_STRING;
			q++;
			break;
		}
		if (one_line && *q == '\n')
			break;
		if (*q == '\\' && q + 1 < end)
			q++;
	}
	k.n = (size_t)(q - p);
	return k;
}

struct mw_token
mw_token_next(const char *p, const char *end, bool one_line)
{
	struct mw_token k = comment(p, end);

	if (k.n > 0)
		return k;
	k.n = 1;
	if (*p == '\n') {
		k.kind = MW_TOKEN_NEWLINE;
	} else if (mw_token_blank((unsigned char)*p)) {
		k.n = mw_token_span(p, end, mw_token_blank);
	} else if (*p == '"') {
		k = string(p, end, one_line);
	} else if (isdigit((unsigned char)*p)) {
		k.kind = MW_TOKEN_NUMBER;
		k.n = mw_token_span(p, end, is_number);
	} else if (is_name((unsigned char)*p) && *p != '-') {
		k.kind = MW_TOKEN_NAME;
		k.n = mw_token_span(p, end, is_name);
	} else {
		k.kind = MW_TOKEN_OTHER;
	}
	return k;
}

bool
mw_token_is(const struct mw_token *k, const char *word)
{
	return k->n == strlen(word) && memcmp(k->p, word, k->n) == 0;
}
