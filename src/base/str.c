/* SPDX-License-Identifier: BSD-2-Clause */
/* Strict numbers, hex, and comparisons in constant time. */
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/buf.h"

static const char lower_hex[] = "0123456789abcdef";
static const char upper_hex[] = "0123456789ABCDEF";

/* One or more digits, 0..max. */
static bool
digits(const char *s, size_t n, uint64_t max, uint64_t *out)
{
	uint64_t v = 0, d;
	size_t i;

	if (n == 0)
		return false;
	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		d = (uint64_t)(s[i] - '0');
		if (d > max || v > (max - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

bool
mw_str_uint(const char *s, size_t n, int64_t max, int64_t *out)
{
	uint64_t v;

	if (max < 0 || !digits(s, n, (uint64_t)max, &v))
		return false;
	*out = (int64_t)v;
	return true;
}

bool
mw_str_int(const char *s, size_t n, int64_t min, int64_t max, int64_t *out)
{
	uint64_t v, limit = (uint64_t)INT64_MAX;
	bool negative = n > 0 && s[0] == '-';
	int64_t value;

	if (negative) {
		s++;
		n--;
		limit++;
	}
	if (!digits(s, n, limit, &v))
		return false;
	/* v - 1 first: -INT64_MIN does not exist. */
	if (negative && v > 0)
		value = -(int64_t)(v - 1) - 1;
	else
		value = (int64_t)v;
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}

static bool
is_word(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(s, word, n) == 0;
}

bool
mw_str_digits(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
	}
	return n > 0;
}

bool
mw_str_bool(const char *s, size_t n, bool *out)
{
	if (is_word(s, n, "true") || is_word(s, n, "1") || is_word(s, n, "yes"))
		*out = true;
	else if (is_word(s, n, "false") || is_word(s, n, "0") || is_word(s, n, "no"))
		*out = false;
	else
		return false;
	return true;
}

void
mw_str_hex(const unsigned char *p, size_t n, char *out)
{
	size_t i;

	for (i = 0; i < n; i++) {
		*out++ = lower_hex[p[i] >> 4];
		*out++ = lower_hex[p[i] & 15];
	}
	*out = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
mw_str_unhex(const char *s, size_t n, unsigned char *out)
{
	size_t i;
	int hi, lo;

	if (n % 2 != 0)
		return false;
	for (i = 0; i < n; i += 2) {
		hi = hex_value(s[i]);
		lo = hex_value(s[i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		*out++ = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

#define EACH(b) (UINT64_C(0x0101010101010101) * (b))

/* No control byte among the next eight?  May say no where there is none. */
static bool
plain(const char *s)
{
	uint64_t w, del;

	memcpy(&w, s, sizeof(w));
	del = w ^ EACH(0x7f);
	return ((((w - EACH(0x20)) & ~w) | ((del - EACH(1)) & ~del)) & EACH(0x80)) == 0;
}

bool
mw_str_header_ok(const char *s)
{
	size_t n = strlen(s), i = 0;
	unsigned char c;

	for (; n - i >= 8 && plain(s + i); i += 8)
		continue;
	for (; i < n; i++) {
		c = (unsigned char)s[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool
unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') ||
	    c == '-' || c == '.' || c == '_' || c == '~';
}

bool
mw_str_pct_encode(struct mw_buf *out, const char *s, size_t n, const char *keep)
{
	size_t i;
	char e[3] = { '%', 0, 0 };

	for (i = 0; i < n; i++) {
		if (unreserved(s[i]) || (s[i] != '\0' && keep != NULL &&
		    strchr(keep, s[i]) != NULL)) {
			if (!mw_buf_addc(out, s[i]))
				return false;
			continue;
		}
		e[1] = upper_hex[(unsigned char)s[i] >> 4];
		e[2] = upper_hex[(unsigned char)s[i] & 15];
		if (!mw_buf_add(out, e, sizeof(e)))
			return false;
	}
	return mw_buf_add(out, "", 0);
}

void
mw_str_random_hex(char *out, size_t n)
{
	unsigned char raw[64];
	size_t want;
	ssize_t got;

	*out = '\0';
	while (n > 0) {
		want = n < sizeof(raw) ? n : sizeof(raw);
		got = getrandom(raw, want, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		mw_str_hex(raw, (size_t)got, out);
		out += 2 * got;
		n -= (size_t)got;
	}
}

bool
mw_str_equal_ct(const void *a, const void *b, size_t n)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned diff = 0;
	size_t i;

	for (i = 0; i < n; i++)
		diff |= (unsigned)(x[i] ^ y[i]);
	return diff == 0;
}
