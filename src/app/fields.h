/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The members of a JSON object in a request's body, read piece by piece by a table:
 *
 *	static const struct mw_field table[] = {
 *		{ .name = "dryRun", .kind = MW_FIELD_BOOL, .at = offsetof(struct thing, dry_run),
 *		    .expected = "true or false" },
 *		{ .name = "count", .kind = MW_FIELD_INT, .at = offsetof(struct thing, count),
 *		    .min = 1, .max = 64, .expected = "an integer from 1 to 64" },
 *		{ .name = NULL }
 *	};
 *
 *	mw_fields_init(&f, table, &thing, &ctx->err);
 *	mw_json_init(&json, mw_fields_event, &f);
 *	... mw_json_feed() of each piece, mw_json_finish()
 *	code = mw_fields_need(&f, &table[1]);
 *
 * A member that the table has not is ignored with all that it holds.  Any other one must
 * be what the table says, and may be given once; a failure is MW_INVALID_ARGUMENT and its
 * text begins with the member's name.
 */
#ifndef MW_APP_FIELDS_H
#define MW_APP_FIELDS_H

#include "base/json.h"

#define MW_FIELD_STRING_MAX 4096	/* bytes */
#define MW_FIELDS_MAX 32		/* rows of a table */

struct mw_fields;

enum mw_field_kind {
	MW_FIELD_BOOL,		/* sets a bool */
	MW_FIELD_INT,		/* an int64_t, min to max */
	MW_FIELD_WORD,		/* an enum: the number of the word in `words` */
	MW_FIELD_STRING,	/* nothing: `done` takes text and len of struct mw_fields */
	MW_FIELD_TEXT,		/* adds to a struct mw_buf, initialised with the most that may be */
	MW_FIELD_OWN		/* nothing: `event` has all events of its value */
};

struct mw_field {
	const char *name;		/* NULL ends the table */
	const char *expected;		/* "expected ..." in its failures */
	enum mw_field_kind kind;
	size_t at;			/* offset of what is set */
	int64_t min, max;
	bool cap;			/* more than max, or than fits, is max */
	bool null;			/* null is as if it were not given */
	const char *const *words;	/* NULL ends them */
	unsigned uses;			/* 0, or bits: there if mw_fields.use is one of them */
	enum mw_code (*done)(struct mw_fields *f);	/* its string is whole; may be NULL */
	/* depth: 0 = the value itself, 1 = within it */
	enum mw_code (*event)(struct mw_fields *f, enum mw_json_event ev, const char *s, size_t n,
	    unsigned depth);
};

struct mw_fields {
	const struct mw_field *table;
	void *base;			/* what `at` counts from */
	struct mw_err *err;
	/* For the caller to set after init; 0, or NULL, unless said otherwise. */
	void *arg;			/* for done and event */
	unsigned use;			/* one bit */
	unsigned depth;			/* of the members: 1 */
	const char *list;		/* the array whose row the object is, for failures */
	int64_t row;			/* its number */

	const char *failed;		/* of a failure: which member */
	size_t len;			/* of the string in hand */
	char text[MW_FIELD_STRING_MAX + 1];	/* ends in NUL; may hold others */
	/* private */
	const struct mw_field *field;	/* whose value comes next; NULL = one to ignore */
	uint32_t seen;			/* bits */
};

void mw_fields_init(struct mw_fields *f, const struct mw_field *table, void *base,
    struct mw_err *err);

/* The next object of a list: into `base`, nothing seen yet. */
void mw_fields_next(struct mw_fields *f, void *base, int64_t row);

/*
 * A mw_json_fn.  At depth 0 it demands an object, with the first member of the table.
 * What is neither a member nor within one is ignored.
 */
enum mw_code mw_fields_event(void *fields, enum mw_json_event ev, const char *s, size_t n,
    unsigned depth) MW_MUST;

/* Was it given, be it as null? */
bool mw_fields_has(const struct mw_fields *f, const struct mw_field *field);

/* MW_OK, or "missing; expected ...". */
enum mw_code mw_fields_need(struct mw_fields *f, const struct mw_field *field) MW_MUST;

/* "NAME: HOWexpected ...": how ends in "; " or is "". */
enum mw_code mw_fields_wrong(struct mw_fields *f, const struct mw_field *field, const char *how);

/* "NAME: WHAT", with a code of one's own. */
enum mw_code mw_fields_bad(struct mw_fields *f, const struct mw_field *field, enum mw_code code,
    const char *what);

/* The row of this name, NULL = none. */
const struct mw_field *mw_field_find(const struct mw_field *table, unsigned use, const char *name,
    size_t n);

#endif
