/* SPDX-License-Identifier: BSD-2-Clause */
/* One byte range against a size. */
#include "base/range.h"

bool
mw_range_resolve(int64_t size, int64_t *from, int64_t *to)
{
	if (*from < 0) {
		*from = *to < size ? size - *to : 0;
		*to = size - 1;
	} else if (*to < 0 || *to >= size) {
		*to = size - 1;
	}
	return *from < size && *from <= *to;
}
