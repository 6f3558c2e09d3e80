/* SPDX-License-Identifier: BSD-2-Clause */
/* Strict parsers with a maximum, and small string helpers. */
#ifndef MW_BASE_STR_H
#define MW_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * The whole of s[0..n) as a decimal number: digits only, no sign, no space,
 * 0..max.  False otherwise, *out untouched.
 */
bool mw_str_uint(const char *s, size_t n, int64_t max, int64_t *out) MW_MUST;

/* The same with an optional leading '-', min..max. */
bool mw_str_int(const char *s, size_t n, int64_t min, int64_t max, int64_t *out) MW_MUST;

/* One digit or more, and nothing else. */
bool mw_str_digits(const char *s, size_t n);

/* "true" "1" "yes" / "false" "0" "no", any case; false if it is none of them. */
bool mw_str_bool(const char *s, size_t n, bool *out) MW_MUST;

/* Lower-case hex of n bytes; out holds 2n + 1. */
void mw_str_hex(const unsigned char *p, size_t n, char *out);

/* Bytes of lower- or upper-case hex; n hex digits, n even. */
bool mw_str_unhex(const char *s, size_t n, unsigned char *out) MW_MUST;

/* A value of an HTTP header: no CR, LF, NUL or other control byte but TAB. */
bool mw_str_header_ok(const char *s);

/* Percent-encode per RFC 3986: unreserved bytes and those in `keep` stay. */
struct mw_buf;
bool mw_str_pct_encode(struct mw_buf *out, const char *s, size_t n, const char *keep);

/* n random bytes as 2n lower-case hex digits and a NUL. Aborts if the kernel has none. */
void mw_str_random_hex(char *out, size_t n);

/* Equal in constant time; for digests of secrets. */
bool mw_str_equal_ct(const void *a, const void *b, size_t n);

#endif
