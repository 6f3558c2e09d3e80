/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, up to U+10FFFF. */
#ifndef MW_BASE_UTF8_H
#define MW_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool mw_utf8_valid(const void *p, size_t n);

/* Length of the longest valid beginning of p[0..n); n if all of it is valid. */
size_t mw_utf8_span(const void *p, size_t n);

/*
 * Make s[0..n) safe to show: control characters (C1 too: terminals obey them)
 * and bytes that are not UTF-8 become `instead`, one for one.
 */
void mw_utf8_clean(char *s, size_t n, char instead);

/* How many bytes follow the first byte `c` of a multibyte sequence, 0 if none
 * begins with it; the next byte must be in lo..hi, those after it in 80..BF. */
unsigned mw_utf8_lead(unsigned char c, unsigned char *lo, unsigned char *hi);

/* Valid and in Unicode normalisation form C (UAX #15). */
bool mw_utf8_nfc(const void *p, size_t n);

/* Append a code point as UTF-8 to out (4 bytes at most); returns its length, 0 if invalid. */
size_t mw_utf8_put(char *out, unsigned cp);

/* The code point at p, which is valid UTF-8, and its length; *len bytes are there. */
unsigned mw_utf8_get(const char *p, size_t *len);

/* May it stand in a name of ECMAScript 5.1 (7.6), as its first character or behind it? */
bool mw_utf8_letter(unsigned cp, bool first);

/* Is it white space there (7.2, 7.3), beyond ASCII: of category Zs, a byte order mark,
 * a separator of lines or paragraphs? */
bool mw_utf8_blank(unsigned cp);

#endif
