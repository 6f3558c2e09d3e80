/* SPDX-License-Identifier: BSD-2-Clause */
/* Escapes for what a terminal would obey. */
#include "base/visible.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static bool
hidden(unsigned cp)
{
	return (cp >= 0x7f && cp < 0xa0) || cp == 0x61c || cp == 0x200e || cp == 0x200f ||
	    (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

/* One character of n bytes, 1 if it is not UTF-8; returns the length of its escape. */
static int
escape(char out[16], const char *p, size_t n, unsigned cp, bool valid, bool json)
{
	if (json && !valid)
		return snprintf(out, 16, "\xef\xbf\xbd");
	if (json && (*p == '"' || *p == '\\'))
		return snprintf(out, 16, "\\%c", *p);
	if (valid && cp >= 0x20 && !hidden(cp)) {
		memcpy(out, p, n);
		return (int)n;
	}
	if (cp == '\n' || cp == '\t')
		return snprintf(out, 16, "\\%c", cp == '\n' ? 'n' : 't');
	if (json)
		return snprintf(out, 16, "\\u%04x", cp);
	return cp < 0x80 || !valid ? snprintf(out, 16, "\\x%02x", cp) :
	    snprintf(out, 16, "\\u{%x}", cp);
}

size_t
mw_visible(char *out, size_t room, const char *in, size_t n, bool json)
{
	unsigned char lo, hi;
	size_t i, len, used = 0;
	unsigned cp;
	char one[16];
	bool valid;
	int k;

	for (i = 0; i < n; i += len) {
		len = 1 + mw_utf8_lead((unsigned char)in[i], &lo, &hi);
		valid = len <= n - i && mw_utf8_span(in + i, len) == len;
		if (!valid)
			len = 1;
		cp = valid ? mw_utf8_get(in + i, &len) : (unsigned char)in[i];
		k = escape(one, in + i, len, cp, valid, json);
		if (k <= 0 || (size_t)k > room - used)
			break;
		memcpy(out + used, one, (size_t)k);
		used += (size_t)k;
	}
	return used;
}
