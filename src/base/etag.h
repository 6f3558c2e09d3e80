/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of entity tags, as If-Match and If-None-Match have them. */
#ifndef MW_BASE_ETAG_H
#define MW_BASE_ETAG_H

#include <stdbool.h>

/*
 * Does the comma-separated entity-tag list (or "*") hold `etag`?  weak: compare
 * weakly (If-None-Match).  etag is quoted, or NULL = nothing is there, which
 * nothing matches.
 */
bool mw_etag_in(const char *list, const char *etag, bool weak);
/* Is it a well-formed If-Match / If-None-Match value? */
bool mw_etag_list_valid(const char *list);

#endif
