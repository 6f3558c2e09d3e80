/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON documents as text: checked, and changed by a JSON Merge Patch (RFC 7396).
 * What a patch does not touch stays as it was written, byte for byte: numbers of
 * any size, escapes, the order of members, white space.
 */
#ifndef MW_BASE_JSON_MERGE_H
#define MW_BASE_JSON_MERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"

/*
 * Is s[0..n) one JSON document in which no object has two members of one name?
 * MW_INVALID_JSON says what is wrong with it; nested deeper than 32 is.
 */
enum mw_code mw_json_check(struct mw_arena *a, const char *s, size_t n,
    struct mw_err *err) MW_MUST;

/* Is the document, which was checked, an object? */
bool mw_json_is_object(const char *s, size_t n);

/*
 * MergePatch(target, patch) of RFC 7396 section 2, appended to out.  Both are
 * checked by this.  Deterministic: what is new comes after what was there, in the
 * patch's order.
 */
enum mw_code mw_json_merge(struct mw_arena *a, const char *target, size_t target_len,
    const char *patch, size_t patch_len, struct mw_buf *out, struct mw_err *err) MW_MUST;

#endif
