/* SPDX-License-Identifier: BSD-2-Clause */
/* Base64, RFC 4648 section 4: written through a callback, and read strictly in pieces. */
#ifndef MW_BASE_BASE64_H
#define MW_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Takes n bytes; false stops the writer. */
typedef bool (*mw_write_fn)(void *arg, const void *p, size_t n);

/* s[0..n) in base64 with padding (RFC 4648 4), no line breaks. */
bool mw_base64_write(mw_write_fn write, void *arg, const void *p, size_t n) MW_MUST;

/*
 * Strict base64 decoding in pieces.  Zero the state first.  White space, bad
 * letters and misplaced padding are refused; finish fails on a partial group.
 * out needs 3 * ((n + 3) / 4 + 1) bytes; returns bytes written, -1 if bad.
 */
struct mw_base64 {
	unsigned acc;
	unsigned count;		/* letters in acc, 0..3 */
	bool ended;		/* padding was seen */
	unsigned pad;
};
long mw_base64_decode(struct mw_base64 *b, const char *s, size_t n, unsigned char *out);
bool mw_base64_finish(const struct mw_base64 *b);

#endif
