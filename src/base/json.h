/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON for file contents, which json-c is not for: an escaper that writes
 * through a callback, and a push parser that never holds a whole document.
 * Small documents are json-c's.  RFC 8259.
 */
#ifndef MW_BASE_JSON_H
#define MW_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base64.h"
#include "base/err.h"

/* The inside of a JSON string (no quotes) for valid UTF-8 s[0..n). */
bool mw_json_escape(mw_write_fn write, void *arg, const char *s, size_t n) MW_MUST;

/* How many bytes mw_json_escape writes, at a fraction of its cost. */
size_t mw_json_escaped(const char *s, size_t n);

/* Adds to a struct mw_buf, with the signature of mw_write_fn. */
bool mw_buf_writer(void *buf, const void *p, size_t n);

/*
 * Writing a document into a buffer.  A comma goes before what is not the first of its
 * object or array, so members can be added in any order and by anybody.  `name` is a
 * plain ASCII word, or NULL for an element of an array and for the document itself.
 * All return false past the buffer's cap, and ever after: check once, at the end.
 */
struct mw_buf;
bool mw_json_open(struct mw_buf *b, const char *name, char bracket);	/* '{' or '[' */
bool mw_json_close(struct mw_buf *b, char bracket);			/* '}' or ']' */
bool mw_json_add_text(struct mw_buf *b, const char *name, const char *s, size_t n);	/* UTF-8 */
bool mw_json_add(struct mw_buf *b, const char *name, const char *s);	/* NULL is null */
bool mw_json_add_int(struct mw_buf *b, const char *name, int64_t value);
bool mw_json_add_known(struct mw_buf *b, const char *name, int64_t value);	/* < 0 is null */
bool mw_json_add_bool(struct mw_buf *b, const char *name, bool value);
bool mw_json_add_raw(struct mw_buf *b, const char *name, const char *json);	/* as it is */
bool mw_json_add_base64(struct mw_buf *b, const char *name, const void *p, size_t n);
/* The members or elements that were written into `more`, which may be empty. */
bool mw_json_add_all(struct mw_buf *b, const struct mw_buf *more);

/*
 * The push parser.  Events name what was met; `depth` is the number of open
 * objects and arrays around it (a member of the top object has depth 1).
 */
enum mw_json_event {
	MW_JSON_OBJECT, MW_JSON_OBJECT_END,
	MW_JSON_ARRAY, MW_JSON_ARRAY_END,
	MW_JSON_KEY,		/* text = the whole key; n == MW_JSON_KEY_MAX: perhaps cut */
	MW_JSON_STRING,		/* a string value begins; no text */
	MW_JSON_CHUNK,		/* some decoded bytes of it, any number of times; small
				 * pieces are collected.  May end within a character */
	MW_JSON_STRING_END,
	MW_JSON_NUMBER,		/* text = the number as written */
	MW_JSON_TRUE, MW_JSON_FALSE, MW_JSON_NULL
};

#define MW_JSON_DEPTH_MAX 32	/* open objects and arrays */
#define MW_JSON_KEY_MAX 256	/* a longer key is handed over cut; it is unknown to us anyway */
#define MW_JSON_STAGE 4096	/* bytes of a string collected before they are handed over */
#define MW_JSON_NUMBER_MAX 64	/* a longer number is refused */

/*
 * Return MW_OK to go on; anything else stops the parser, which returns it (the
 * handler says why in its own mw_err).  text is valid during the call only.
 */
typedef enum mw_code (*mw_json_fn)(void *arg, enum mw_json_event ev,
    const char *text, size_t n, unsigned depth);

struct mw_json {
	mw_json_fn fn;
	void *arg;
	int64_t offset;			/* bytes consumed */
	unsigned depth;
	unsigned char state;		/* private from here on */
	unsigned char need;		/* UTF-8 continuation bytes still due */
	unsigned char lo, hi;		/* range of the next of them */
	unsigned char nhex;		/* digits of the \u escape read so far */
	bool in_key;
	bool is_array[MW_JSON_DEPTH_MAX];
	unsigned cp;			/* \u escape being read */
	unsigned high;			/* pending high surrogate, 0 = none */
	enum mw_code stopped;		/* what ended the parser, MW_OK = nothing yet */
	const char *literal;		/* true, false or null, while one is read */
	size_t len;			/* of text, or of the literal so far */
	char text[MW_JSON_STAGE];	/* key, number or piece of a string being read */
};

void mw_json_init(struct mw_json *j, mw_json_fn fn, void *arg);

/*
 * Feed the next bytes.  MW_INVALID_JSON with the offset of the offending byte,
 * counted from 0, in err.  After a failure every call returns the same code.
 */
enum mw_code mw_json_feed(struct mw_json *j, const char *p, size_t n,
    struct mw_err *err) MW_MUST;

/* After the last byte: the document must be complete. */
enum mw_code mw_json_finish(struct mw_json *j, struct mw_err *err) MW_MUST;

#endif
