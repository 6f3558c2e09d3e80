/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON5 documents as text: read into a tree that knows where everything stands,
 * told as JSON, and changed in place by a JSON Merge Patch (RFC 7396).  JSON5 1.0.0
 * (https://spec.json5.org), and a byte order mark before it; JSON is a part of it.
 */
#ifndef MW_BASE_JSON5_H
#define MW_BASE_JSON5_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"

#define MW_JSON5_DEPTH_MAX 32		/* open objects and arrays */
#define MW_JSON5_HEX_MAX 4096		/* digits of a hexadecimal number: what they cost grows faster */

enum mw_json5_type {
	MW_JSON5_NULL, MW_JSON5_FALSE, MW_JSON5_TRUE, MW_JSON5_NUMBER, MW_JSON5_STRING,
	MW_JSON5_ARRAY, MW_JSON5_OBJECT
};

/* Decoded text is UTF-8; a lone surrogate, which JSON5 can name, is three bytes in it. */
struct mw_json5_key {
	const char *name;
	size_t len;
	unsigned from, to;		/* as written, with its quotes */
};

struct mw_json5 {
	struct mw_json5 *first, *next;	/* members or elements, as they stand; the next of mine */
	const struct mw_json5_key *key;	/* of a member */
	unsigned from, to;		/* the value as written */
	unsigned comma;			/* where the ',' behind it stands, 0 = there is none */
	enum mw_json5_type type;
};

struct mw_json5_doc {
	const char *s;
	size_t n;
	struct mw_json5 root;
	bool json;			/* it is JSON, too (RFC 8259) */
};

/*
 * The tree of s[0..n), in the arena; s must outlive it.  n < 2^31.  MW_INVALID_JSON
 * names line and column: it is no JSON5, an object has one name twice, or it is
 * nested deeper than MW_JSON5_DEPTH_MAX.
 */
enum mw_code mw_json5_parse(struct mw_arena *a, const char *s, size_t n,
    struct mw_json5_doc *d, struct mw_err *err) MW_MUST;

/*
 * A value as JSON, appended to out: numbers keep their digits, hexadecimal ones in
 * exact decimal.  Infinity and NaN are null; their JSON Pointers
 * (RFC 6901) go to not_json as JSON strings with commas between them.  MW_FILE_TOO_LARGE
 * when one of the buffers is full.
 */
enum mw_code mw_json5_value(struct mw_arena *a, const struct mw_json5_doc *d,
    const struct mw_json5 *v, struct mw_buf *out, struct mw_buf *not_json,
    struct mw_err *err) MW_MUST;

/*
 * MergePatch(target, patch) of RFC 7396 section 2, both of them objects, as target's
 * text changed where the patch says so and nowhere else: appended to out.  What is new
 * is written the way its neighbours are.  MW_INVALID_ARGUMENT: it would bring Infinity
 * or NaN into a document that is JSON.  MW_BODY_TOO_LARGE: out is full.
 */
enum mw_code mw_json5_edit(struct mw_arena *a, const struct mw_json5_doc *target,
    const struct mw_json5_doc *patch, struct mw_buf *out, struct mw_err *err) MW_MUST;

#endif
