/* SPDX-License-Identifier: BSD-2-Clause */
/* Text from outside, made safe to show on a terminal and to keep in one line. */
#ifndef MW_BASE_VISIBLE_H
#define MW_BASE_VISIBLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Append in[0..n) to out, room bytes at most, never half of a character; returns
 * the length.  Control characters (C1 too), bidi marks and the separators of lines
 * and paragraphs become \n, \t, \xHH or \u{HEX}; bytes that are not UTF-8 \xHH.
 * json: the inside of a JSON string instead, such bytes as U+FFFD.
 */
size_t mw_visible(char *out, size_t room, const char *in, size_t n, bool json);

#endif
