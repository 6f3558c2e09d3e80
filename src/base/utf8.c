/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8: valid spans, cleaning, normal form C. */
#include "base/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* First byte from p on that is not ASCII, or end. */
static const unsigned char *
skip_ascii(const unsigned char *p, const unsigned char *end)
{
	uint64_t a, b;

	while (end - p >= 16) {
		memcpy(&a, p, 8);
		memcpy(&b, p + 8, 8);
		if (((a | b) & HIGH_BITS) != 0)
			break;
		p += 16;
	}
	while (p < end && *p < 0x80)
		p++;
	return p;
}

unsigned
mw_utf8_lead(unsigned char c, unsigned char *lo, unsigned char *hi)
{
	*lo = 0x80;
	*hi = 0xbf;
	if (c >= 0xc2 && c <= 0xdf)
		return 1;
	if (c >= 0xe0 && c <= 0xef) {
		if (c == 0xe0)
			*lo = 0xa0;
		if (c == 0xed)
			*hi = 0x9f;
		return 2;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		if (c == 0xf0)
			*lo = 0x90;
		if (c == 0xf4)
			*hi = 0x8f;
		return 3;
	}
	return 0;
}

/* Length of the multibyte sequence at p, 0 if it is bad or cut off. */
static size_t
sequence(const unsigned char *p, const unsigned char *end)
{
	unsigned char lo, hi;
	unsigned i, more = mw_utf8_lead(*p, &lo, &hi);

	if (more == 0 || (size_t)(end - p) <= more || p[1] < lo || p[1] > hi)
		return 0;
	for (i = 2; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return more + 1;
}

size_t
mw_utf8_span(const void *s, size_t n)
{
	const unsigned char *start = s, *p = start, *end = start + n;
	size_t len;

	for (;;) {
		p = skip_ascii(p, end);
		/* Non-ASCII text comes in runs: stay here while it lasts. */
		while (p < end && *p >= 0x80) {
			len = sequence(p, end);
			if (len == 0)
				return (size_t)(p - start);
			p += len;
		}
		if (p == end)
			return n;
	}
}

bool
mw_utf8_valid(const void *p, size_t n)
{
	return n == 0 || mw_utf8_span(p, n) == n;
}

void
mw_utf8_clean(char *s, size_t n, char instead)
{
	unsigned char *p = (unsigned char *)s, *end = p + n;
	size_t len;

	for (; p < end; p += len) {
		len = *p < 0x80 ? 1 : sequence(p, end);
		if (len == 2 && p[0] == 0xc2 && p[1] < 0xa0)
			p[1] = (unsigned char)instead;
		else if (len != 0 && *p >= 0x20 && *p != 0x7f)
			continue;
		*p = (unsigned char)instead;
		if (len == 0)
			len = 1;
	}
}

/* Everything below U+0300 is its own composition: no byte from 0xCC on. */
static bool
below_combining(const unsigned char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] >= 0xcc)
			return false;
	}
	return true;
}

bool
mw_utf8_nfc(const void *p, size_t n)
{
	utf8proc_uint8_t *composed = NULL;
	utf8proc_ssize_t len;
	bool same;

	if (!mw_utf8_valid(p, n))
		return false;
	if (below_combining(p, n))
		return true;
	len = utf8proc_map(p, (utf8proc_ssize_t)n, &composed,
	    UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	same = len >= 0 && (size_t)len == n && memcmp(composed, p, n) == 0;
	free(composed);
	return same;
}

size_t
mw_utf8_put(char *out, unsigned cp)
{
	unsigned char *p = (unsigned char *)out;

	if (cp < 0x80) {
		p[0] = (unsigned char)cp;
		return 1;
	}
	if (cp < 0x800) {
		p[0] = (unsigned char)(0xc0 | cp >> 6);
		p[1] = (unsigned char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp >= 0xd800 && cp <= 0xdfff)
		return 0;
	if (cp < 0x10000) {
		p[0] = (unsigned char)(0xe0 | cp >> 12);
		p[1] = (unsigned char)(0x80 | (cp >> 6 & 0x3f));
		p[2] = (unsigned char)(0x80 | (cp & 0x3f));
		return 3;
	}
	if (cp > 0x10ffff)
		return 0;
	p[0] = (unsigned char)(0xf0 | cp >> 18);
	p[1] = (unsigned char)(0x80 | (cp >> 12 & 0x3f));
	p[2] = (unsigned char)(0x80 | (cp >> 6 & 0x3f));
	p[3] = (unsigned char)(0x80 | (cp & 0x3f));
	return 4;
}

unsigned
mw_utf8_get(const char *s, size_t *len)
{
	const unsigned char *p = (const unsigned char *)s;

	*len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	switch (*len) {
	case 1:
		return p[0];
	case 2:
		return (p[0] & 0x1fU) << 6 | (p[1] & 0x3fU);
	case 3:
		return (p[0] & 0x0fU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU);
	default:
		return (p[0] & 0x07U) << 18 | (p[1] & 0x3fU) << 12 | (p[2] & 0x3fU) << 6 | (p[3] & 0x3fU);
	}
}

bool
mw_utf8_letter(unsigned cp, bool first)
{
	if (cp < 0x80)
		return (cp | 0x20) - 'a' < 26 || cp == '$' || cp == '_' || (!first && cp - '0' < 10);
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_NL:
		return true;
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_PC:
		return !first;
	default:
		return !first && (cp == 0x200c || cp == 0x200d);
	}
}

bool
mw_utf8_blank(unsigned cp)
{
	return cp == 0xfeff || cp == 0x2028 || cp == 0x2029 ||
	    (cp >= 0x80 && utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_ZS);
}
