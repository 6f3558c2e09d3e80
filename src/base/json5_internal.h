/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of JSON5 share, for base/json5*.c only. */
#ifndef MW_BASE_JSON5_INTERNAL_H
#define MW_BASE_JSON5_INTERNAL_H

#include "base/json5.h"

/* ---- reading (json5_lex.c) ---- */

struct mw_json5_lex {
	const char *s;
	size_t n, at;
	bool json;			/* nothing that JSON has not was met so far */
	unsigned depth;
	struct mw_arena *arena;
	struct mw_err *err;
};

/* MW_INVALID_JSON with the place of byte `at`. */
enum mw_code mw_json5_bad(struct mw_json5_lex *l, size_t at, const char *what);

/* These begin at l->at and leave it behind what they took. */
enum mw_code mw_json5_space(struct mw_json5_lex *l) MW_MUST;	/* and comments */
enum mw_code mw_json5_string(struct mw_json5_lex *l) MW_MUST;
enum mw_code mw_json5_number(struct mw_json5_lex *l) MW_MUST;
enum mw_code mw_json5_word(struct mw_json5_lex *l) MW_MUST;	/* a name without quotes */
/* Is the word there, with no letter behind it?  Takes nothing. */
bool mw_json5_is_word(const struct mw_json5_lex *l, size_t at, const char *word);

/* The text of a string or name that was read; NULL: out of memory. */
const char *mw_json5_text(struct mw_arena *a, const char *s, unsigned from, unsigned to, size_t *len);

/* ---- writing (json5_value.c, json5_write.c) ---- */

/* Decoded text in quotes. */
void mw_json5_put_text(struct mw_buf *out, const char *s, size_t n, char quote);

/* A number as JSON has it; false for Infinity and NaN, of which nothing is written. */
bool mw_json5_put_number(struct mw_arena *a, struct mw_buf *out, const char *s, size_t n);

/* How members are written. */
struct mw_json5_style {
	bool json;			/* of a document that is JSON */
	bool lines;			/* each on its own line */
	bool bare;			/* names without quotes */
	bool trailing;			/* a comma behind the last one, too */
	bool pad;			/* blanks inside braces on one line */
	char name_quote, quote;		/* of names that need one, of strings */
	const char *indent, *unit;	/* of the members; what one level more has */
	size_t indent_n, unit_n;
	const char *gap, *colon;	/* between members on one line; between name and value */
	size_t gap_n, colon_n;
	const char *eol;
};

struct mw_json5_writer {
	struct mw_arena *arena;
	const struct mw_json5_doc *doc;	/* of what is written */
	struct mw_buf *out;
	unsigned arrays;		/* open ones */
	bool infinite;			/* some would-be JSON was not */
	bool nomem;
};

/* A value, null members of objects left out (RFC 7396), at so many levels below the style's. */
void mw_json5_put_value(struct mw_json5_writer *w, const struct mw_json5 *v,
    const struct mw_json5_style *st, unsigned level);
/* Name, colon, value. */
void mw_json5_put_member(struct mw_json5_writer *w, const struct mw_json5 *m,
    const struct mw_json5_style *st, unsigned level);
/* A line's end, and the indentation of the next one. */
void mw_json5_put_line(struct mw_buf *out, const struct mw_json5_style *st, unsigned level);

/* The way of the object o, as far as all its members show it; else that of `around`. */
void mw_json5_style(struct mw_json5_style *st, const struct mw_json5_doc *d,
    const struct mw_json5 *o, const struct mw_json5_style *around);
/* The way its member m is written, which comes after `before` (NULL: is the first). */
void mw_json5_style_like(struct mw_json5_style *st, const struct mw_json5_doc *d,
    const struct mw_json5 *o, const struct mw_json5 *before, const struct mw_json5 *m,
    const struct mw_json5_style *around);
/* What a document has that shows nothing. */
void mw_json5_style_default(struct mw_json5_style *st, const struct mw_json5_doc *d);

/* The first byte of the blanks and TABs that end at `at`; the one behind those that begin there. */
size_t mw_json5_blanks_before(const char *s, size_t at);
size_t mw_json5_blanks_after(const char *s, size_t at);

#endif
