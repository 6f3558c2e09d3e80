/* SPDX-License-Identifier: BSD-2-Clause */
/* A byte range against a length, RFC 9110 14.1.2. */
#ifndef MW_BASE_RANGE_H
#define MW_BASE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Resolve a range against `size` bytes, in place: from = -1 means the last `to`
 * bytes, to = -1 up to the end; afterwards both are inclusive positions.  False
 * if no byte of the content is in it.
 */
bool mw_range_resolve(int64_t size, int64_t *from, int64_t *to) MW_MUST;

#endif
