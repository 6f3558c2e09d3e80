/* SPDX-License-Identifier: BSD-2-Clause */
/* Byte ranges, RFC 9110 14.1.2 and 14.2. */
#ifndef MW_BASE_RANGE_H
#define MW_BASE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * One byte range of RFC 9110 14.1.2. from = -1: the last `to` bytes (0 of them
 * is never satisfiable); to = -1: up to the end.  Numbers past INT64_MAX are
 * INT64_MAX.
 */
struct mw_range { int64_t from, to; };
/* False if the header asks for something else than one satisfiable-looking byte
 * range (several, other units, malformed): then it is ignored. */
bool mw_range_parse(const char *s, struct mw_range *out) MW_MUST;

/*
 * Resolve a range against `size` bytes, in place: from = -1 means the last `to`
 * bytes, to = -1 up to the end; afterwards both are inclusive positions.  False
 * if no byte of the content is in it.
 */
bool mw_range_resolve(int64_t size, int64_t *from, int64_t *to) MW_MUST;

#endif
