/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON5's white space, comments, strings, numbers and names (its specification, 5 to 8). */
#include "base/json5.h"
#include "base/json5_internal.h"

#include <string.h>

#include "base/utf8.h"

#define LS 0x2028		/* line separator, and the paragraph's, which end lines in JSON5 */
#define PS 0x2029
#define TRY(call) do { \
	enum mw_code try_rc = (call); \
	if (try_rc != MW_OK) \
		return try_rc; \
} while (0)

enum mw_code
mw_json5_bad(struct mw_json5_lex *l, size_t at, const char *what)
{
	size_t i, line = 1, column = 1;

	for (i = 0; i < at && i < l->n; i++) {
		if (l->s[i] == '\n' || (l->s[i] == '\r' && (i + 1 == l->n || l->s[i + 1] != '\n'))) {
			line++;
			column = 1;
		} else if (((unsigned char)l->s[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	return mw_fail(l->err, MW_INVALID_JSON, "line %zu, column %zu: %s", line, column, what);
}

/* The byte at l->at + ahead, -1 past the end. */
static int
peek(const struct mw_json5_lex *l, size_t ahead)
{
	return ahead < l->n - l->at ? (unsigned char)l->s[l->at + ahead] : -1;
}

static bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static int
hex_value(int c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- white space ---- */

/* The text is valid UTF-8. */
static unsigned
character(const struct mw_json5_lex *l, size_t at, size_t *len)
{
	return mw_utf8_get(l->s + at, len);
}

static bool
ends_line(unsigned cp)
{
	return cp == '\n' || cp == '\r' || cp == LS || cp == PS;
}

static enum mw_code
comment(struct mw_json5_lex *l)
{
	size_t start = l->at, len;
	bool block = peek(l, 1) == '*';

	if (!block && peek(l, 1) != '/')
		return mw_json5_bad(l, start, "a '/' that begins no comment");
	l->json = false;
	l->at += 2;
	while (l->at < l->n) {
		if (block && peek(l, 0) == '*' && peek(l, 1) == '/') {
			l->at += 2;
			return MW_OK;
		}
		if (!block && ends_line(character(l, l->at, &len)))
			return MW_OK;
		l->at += block ? 1 : len;
	}
	return block ? mw_json5_bad(l, start, "a comment without its end") : MW_OK;
}

enum mw_code
mw_json5_space(struct mw_json5_lex *l)
{
	size_t len;
	int c;

	while ((c = peek(l, 0)) >= 0) {
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			l->at++;
		} else if (c == '/') {
			TRY(comment(l));
		} else if (c == '\v' || c == '\f' || c >= 0x80) {
			if (c >= 0x80 && !mw_utf8_blank(character(l, l->at, &len)))
				break;
			l->at += c >= 0x80 ? len : 1;
			l->json = false;
		} else {
			break;
		}
	}
	return MW_OK;
}

/* ---- strings ---- */

/* N hexadecimal digits from l->at on. */
static enum mw_code
digits(struct mw_json5_lex *l, size_t n, unsigned *value)
{
	size_t i;
	int v;

	for (*value = 0, i = 0; i < n; i++) {
		if ((v = hex_value(peek(l, 0))) < 0)
			return mw_json5_bad(l, l->at, n == 2 ? "expected two hexadecimal digits after \\x" :
			    "expected four hexadecimal digits after \\u");
		*value = *value << 4 | (unsigned)v;
		l->at++;
	}
	return MW_OK;
}

/* After the backslash. */
static enum mw_code
escape(struct mw_json5_lex *l)
{
	unsigned value;
	size_t len;
	int c = peek(l, 0);

	if (c < 0)
		return mw_json5_bad(l, l->at, "the document ends within a string");
	(void)character(l, l->at, &len);
	l->at += len;
	if (c == 'u')
		return digits(l, 4, &value);	/* JSON's grammar, too, lets surrogates be alone */
	if (strchr("\"\\/bfnrt", c) != NULL && c != '\0')
		return MW_OK;
	l->json = false;
	if (c == 'x')
		return digits(l, 2, &value);
	if ((c == '0' && is_digit(peek(l, 0))) || (c >= '1' && c <= '9'))
		return mw_json5_bad(l, l->at - 1, "an escape of octal digits");
	if (c == '\r' && peek(l, 0) == '\n')
		l->at++;
	return MW_OK;
}

enum mw_code
mw_json5_string(struct mw_json5_lex *l)
{
	int c, quote = peek(l, 0);
	size_t start = l->at++;

	if (quote == '\'')
		l->json = false;
	for (;;) {
		c = peek(l, 0);
		if (c < 0)
			return mw_json5_bad(l, start, "a string without its end");
		if (c == '\n' || c == '\r')
			return mw_json5_bad(l, l->at, "a line ends within a string");
		l->at++;
		if (c == quote)
			return MW_OK;
		if (c == '\\')
			TRY(escape(l));
		else if (c < 0x20)
			l->json = false;
	}
}

/* ---- what a string says ---- */

static char *
put_unit(char *begin, char *out, unsigned cp)
{
	const unsigned char *high = (const unsigned char *)out - 3;

	if (cp >= 0xdc00 && cp <= 0xdfff && out - begin >= 3 && high[0] == 0xed && high[1] >= 0xa0 &&
	    high[1] <= 0xaf) {
		cp = 0x10000 + (((high[1] & 0xfU) << 6 | (high[2] & 0x3fU)) << 10) + (cp - 0xdc00);
		out -= 3;
	}
	if (cp >= 0xd800 && cp <= 0xdfff) {
		*out++ = (char)0xed;
		*out++ = (char)(0x80 | (cp >> 6 & 0x3f));
		*out++ = (char)(0x80 | (cp & 0x3f));
		return out;
	}
	return out + mw_utf8_put(out, cp);
}

static unsigned
hex_at(const char *p, size_t n)
{
	unsigned v = 0;

	while (n-- > 0)
		v = v << 4 | (unsigned)hex_value((unsigned char)*p++);
	return v;
}

/* The escape at p, behind its backslash: written to *out; returns what it takes. */
static size_t
unescape(const char *p, char *begin, char **out)
{
	static const char from[] = "bfnrtv0", to[] = "\b\f\n\r\t\v";
	const char *at = *p == '\0' ? NULL : strchr(from, *p);
	size_t len;
	unsigned cp;

	if (*p == 'u' || *p == 'x') {
		len = *p == 'u' ? 4 : 2;
		*out = put_unit(begin, *out, hex_at(p + 1, len));
		return len + 1;
	}
	if (at != NULL) {
		*(*out)++ = to[at - from];
		return 1;
	}
	cp = mw_utf8_get(p, &len);
	if (cp == '\r' && p[1] == '\n')
		return 2;
	if (!ends_line(cp)) {
		memcpy(*out, p, len);
		*out += len;
	}
	return len;
}

const char *
mw_json5_text(struct mw_arena *a, const char *s, unsigned from, unsigned to, size_t *len)
{
	bool quoted = s[from] == '"' || s[from] == '\'';
	const char *p = s + from + quoted, *end = s + to - quoted;
	char *out, *begin;

	*len = (size_t)(end - p);
	if (memchr(p, '\\', *len) == NULL)
		return p;
	if ((begin = out = mw_arena_alloc(a, *len + 1)) == NULL)
		return NULL;
	while (p < end) {
		if (*p == '\\') {
			p++;
			p += unescape(p, begin, &out);
		} else {
			*out++ = *p++;
		}
	}
	*len = (size_t)(out - begin);
	return begin;
}

/* ---- numbers and names ---- */

static size_t
skip_digits(struct mw_json5_lex *l)
{
	size_t start = l->at;

	while (is_digit(peek(l, 0)))
		l->at++;
	return l->at - start;
}

static enum mw_code
hexadecimal(struct mw_json5_lex *l)
{
	size_t start;

	l->json = false;
	l->at += 2;
	for (start = l->at; hex_value(peek(l, 0)) >= 0; l->at++)
		continue;
	if (l->at == start)
		return mw_json5_bad(l, l->at, "expected a hexadecimal digit after 0x");
	return l->at - start <= MW_JSON5_HEX_MAX ? MW_OK :
	    mw_json5_bad(l, start, "a hexadecimal number of more than 4096 digits");
}
_Static_assert(MW_JSON5_HEX_MAX == 4096, "the message names the limit");

static enum mw_code
decimal(struct mw_json5_lex *l)
{
	bool zero = peek(l, 0) == '0';
	size_t whole = skip_digits(l), part = 0;

	if (zero && whole > 1)
		return mw_json5_bad(l, l->at - whole, "a number that begins with 0");
	if (peek(l, 0) == '.') {
		l->at++;
		part = skip_digits(l);
		if (whole == 0 || part == 0)
			l->json = false;
	}
	if (whole + part == 0)
		return mw_json5_bad(l, l->at, "expected a digit");
	if ((peek(l, 0) | 0x20) != 'e')
		return MW_OK;
	l->at++;
	if (peek(l, 0) == '+' || peek(l, 0) == '-')
		l->at++;
	return skip_digits(l) > 0 ? MW_OK : mw_json5_bad(l, l->at, "expected a digit of the exponent");
}

enum mw_code
mw_json5_number(struct mw_json5_lex *l)
{
	if (peek(l, 0) == '+' || peek(l, 0) == '-') {
		if (peek(l, 0) == '+')
			l->json = false;
		l->at++;
	}
	if (mw_json5_is_word(l, l->at, "Infinity") || mw_json5_is_word(l, l->at, "NaN")) {
		l->json = false;
		l->at += peek(l, 0) == 'I' ? 8 : 3;
		return MW_OK;
	}
	if (peek(l, 0) == '0' && (peek(l, 1) | 0x20) == 'x')
		return hexadecimal(l);
	return decimal(l);
}

bool
mw_json5_is_word(const struct mw_json5_lex *l, size_t at, const char *word)
{
	size_t len = strlen(word), size;

	if (len > l->n - at || memcmp(l->s + at, word, len) != 0)
		return false;
	at += len;
	return at == l->n || !mw_utf8_letter(character(l, at, &size), false);
}

/* One letter or digit of a name, or an escape that says one. */
static enum mw_code
letter(struct mw_json5_lex *l, bool first, bool *is)
{
	size_t start = l->at, len;
	unsigned cp;

	*is = false;
	if (l->at == l->n)
		return MW_OK;
	if (peek(l, 0) != '\\') {
		*is = mw_utf8_letter(character(l, l->at, &len), first);
		l->at += *is ? len : 0;
		return MW_OK;
	}
	if (peek(l, 1) != 'u')
		return mw_json5_bad(l, start, "an escape other than \\u in a name without quotes");
	l->at += 2;
	TRY(digits(l, 4, &cp));
	*is = mw_utf8_letter(cp, first);
	return *is ? MW_OK : mw_json5_bad(l, start, "an escape that says no letter, in a name without quotes");
}

enum mw_code
mw_json5_word(struct mw_json5_lex *l)
{
	bool is;

	TRY(letter(l, true, &is));
	if (!is)
		return mw_json5_bad(l, l->at, "expected a member's name");
	l->json = false;
	while (is)
		TRY(letter(l, false, &is));
	return MW_OK;
}
