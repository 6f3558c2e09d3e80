/* SPDX-License-Identifier: BSD-2-Clause */
/* The push parser of JSON. */
#include "base/json.h"

#include <endian.h>
#include <string.h>

#include "base/utf8.h"

#define WORD 8
#define EACH(b) (UINT64_C(0x0101010101010101) * (b))
#define DIRECT 1024		/* pieces from this size on are not copied */
#define TRY(call) do { \
	enum mw_code try_rc = (call); \
	if (try_rc != MW_OK) \
		return try_rc; \
} while (0)

enum state {
	VALUE,			/* a value is due */
	FIRST_ITEM,		/* a value, or the end of an empty array */
	FIRST_KEY,		/* a key, or the end of an empty object */
	KEY,			/* a key, after a comma */
	COLON,
	AFTER,			/* after a value inside an object or array */
	DONE,			/* after the outermost value */
	LITERAL,
	STRING,			/* the rest: inside a string, inside a number */
	ESCAPE, HEX, LOW_SLASH, LOW_U,
	MINUS, ZERO, INT, POINT, FRACTION, EXP, EXP_SIGN, EXP_DIGITS
};

static enum mw_code
bad(struct mw_json *j, struct mw_err *err, const char *what)
{
	j->stopped = MW_INVALID_JSON;
	return mw_fail(err, MW_INVALID_JSON, "invalid JSON at byte %lld: %s",
	    (long long)j->offset, what);
}

static enum mw_code
emit(struct mw_json *j, enum mw_json_event ev, const char *text, size_t n)
{
	j->stopped = j->fn(j->arg, ev, text, n, j->depth);
	return j->stopped;
}

static void
value_done(struct mw_json *j)
{
	j->state = j->depth == 0 ? DONE : AFTER;
}

static bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_space(unsigned char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Objects and arrays. */

static enum mw_code
open_group(struct mw_json *j, bool array, struct mw_err *err)
{
	if (j->depth == MW_JSON_DEPTH_MAX)
		return bad(j, err, "nested deeper than 32");
	TRY(emit(j, array ? MW_JSON_ARRAY : MW_JSON_OBJECT, NULL, 0));
	j->is_array[j->depth++] = array;
	j->state = array ? FIRST_ITEM : FIRST_KEY;
	return MW_OK;
}
_Static_assert(MW_JSON_DEPTH_MAX == 32, "the message names the limit");

static enum mw_code
close_group(struct mw_json *j)
{
	bool array = j->is_array[--j->depth];

	TRY(emit(j, array ? MW_JSON_ARRAY_END : MW_JSON_OBJECT_END, NULL, 0));
	value_done(j);
	return MW_OK;
}

static enum mw_code
begin_string(struct mw_json *j, bool key)
{
	j->in_key = key;
	j->len = j->high = j->need = 0;
	j->state = STRING;
	return key ? MW_OK : emit(j, MW_JSON_STRING, NULL, 0);
}

static enum mw_code
begin_literal(struct mw_json *j, const char *word)
{
	j->literal = word;
	j->len = 1;
	j->state = LITERAL;
	return MW_OK;
}

static enum mw_code
begin_number(struct mw_json *j, unsigned char c)
{
	j->text[0] = (char)c;
	j->len = 1;
	j->state = c == '-' ? MINUS : c == '0' ? ZERO : INT;
	return MW_OK;
}

static enum mw_code
step_value(struct mw_json *j, unsigned char c, struct mw_err *err)
{
	switch (c) {
	case '{':
		return open_group(j, false, err);
	case '[':
		return open_group(j, true, err);
	case '"':
		return begin_string(j, false);
	case 't':
		return begin_literal(j, "true");
	case 'f':
		return begin_literal(j, "false");
	case 'n':
		return begin_literal(j, "null");
	default:
		break;
	}
	if (c == '-' || is_digit(c))
		return begin_number(j, c);
	if (j->offset == 0 && c == 0xef)
		return bad(j, err, "expected a value, not a byte order mark");
	return bad(j, err, "expected a value");
}

/* Everything between the values, white space left out. */
static enum mw_code
step_between(struct mw_json *j, unsigned char c, struct mw_err *err)
{
	bool array = j->depth > 0 && j->is_array[j->depth - 1];

	switch (j->state) {
	case FIRST_ITEM:
		return c == ']' ? close_group(j) : step_value(j, c, err);
	case FIRST_KEY:
		if (c == '}')
			return close_group(j);
		/* FALLTHROUGH */
	case KEY:
		if (c == '"')
			return begin_string(j, true);
		return bad(j, err, j->state == KEY ? "expected a member name" :
		    "expected a member name or '}'");
	case COLON:
		if (c != ':')
			return bad(j, err, "expected ':'");
		j->state = VALUE;
		return MW_OK;
	case AFTER:
		if (c == (array ? ']' : '}'))
			return close_group(j);
		if (c != ',')
			return bad(j, err, array ? "expected ',' or ']'" :
			    "expected ',' or '}'");
		j->state = array ? VALUE : KEY;
		return MW_OK;
	case DONE:
		return bad(j, err, "text after the document");
	default:
		return step_value(j, c, err);
	}
}

static enum mw_code
step_literal(struct mw_json *j, unsigned char c, struct mw_err *err)
{
	if (c != (unsigned char)j->literal[j->len])
		return bad(j, err, "expected true, false or null");
	if (j->literal[++j->len] != '\0')
		return MW_OK;
	TRY(emit(j, j->literal[0] == 't' ? MW_JSON_TRUE :
	    j->literal[0] == 'f' ? MW_JSON_FALSE : MW_JSON_NULL, NULL, 0));
	value_done(j);
	return MW_OK;
}

/* Numbers. */

/* The state after c, or -1 if c is no part of the number. */
static int
number_next(unsigned char state, unsigned char c)
{
	bool digit = is_digit(c), e = c == 'e' || c == 'E';

	switch (state) {
	case MINUS:
		return c == '0' ? ZERO : digit ? INT : -1;
	case INT:
		if (digit)
			return INT;
		/* FALLTHROUGH */
	case ZERO:
		return c == '.' ? POINT : e ? EXP : -1;
	case POINT:
		return digit ? FRACTION : -1;
	case FRACTION:
		return digit ? FRACTION : e ? EXP : -1;
	case EXP:
		if (c == '+' || c == '-')
			return EXP_SIGN;
		/* FALLTHROUGH */
	default:
		return digit ? EXP_DIGITS : -1;
	}
}

static enum mw_code
end_number(struct mw_json *j, struct mw_err *err)
{
	if (j->state != ZERO && j->state != INT && j->state != FRACTION &&
	    j->state != EXP_DIGITS)
		return bad(j, err, "expected a digit");
	TRY(emit(j, MW_JSON_NUMBER, j->text, j->len));
	value_done(j);
	return MW_OK;
}

static enum mw_code
step_number(struct mw_json *j, unsigned char c, struct mw_err *err)
{
	int next = number_next(j->state, c);

	if (next < 0) {
		if (j->state == ZERO && is_digit(c))
			return bad(j, err, "a number begins with 0");
		TRY(end_number(j, err));
		return is_space(c) ? MW_OK : step_between(j, c, err);
	}
	if (j->len == MW_JSON_NUMBER_MAX)
		return bad(j, err, "number longer than 64 bytes");
	j->text[j->len++] = (char)c;
	j->state = (unsigned char)next;
	return MW_OK;
}
_Static_assert(MW_JSON_NUMBER_MAX == 64, "the message names the limit");

/* Strings. */

/* Hand over what was collected of a value. */
static enum mw_code
flush(struct mw_json *j)
{
	size_t n = j->len;

	j->len = 0;
	return n == 0 ? MW_OK : emit(j, MW_JSON_CHUNK, j->text, n);
}

/* Decoded bytes of the key or value being read. */
static enum mw_code
put(struct mw_json *j, const char *p, size_t n)
{
	if (j->in_key) {
		if (n > MW_JSON_KEY_MAX - j->len)
			n = MW_JSON_KEY_MAX - j->len;
	} else {
		if (n >= DIRECT || n > sizeof(j->text) - j->len)
			TRY(flush(j));
		if (n >= DIRECT)
			return emit(j, MW_JSON_CHUNK, p, n);
	}
	memcpy(j->text + j->len, p, n);
	j->len += n;
	return MW_OK;
}

static enum mw_code
end_string(struct mw_json *j)
{
	if (j->in_key) {
		j->state = COLON;
		return emit(j, MW_JSON_KEY, j->text, j->len);
	}
	TRY(flush(j));
	TRY(emit(j, MW_JSON_STRING_END, NULL, 0));
	value_done(j);
	return MW_OK;
}

/* First byte that is not plain ASCII inside a string, or end. */
static const unsigned char *
skip_plain(const unsigned char *p, const unsigned char *end)
{
	uint64_t w, quote, slash, mask;

	for (; end - p >= WORD; p += WORD) {
		memcpy(&w, p, WORD);
		w = le64toh(w);
		quote = w ^ EACH('"');
		slash = w ^ EACH('\\');
		/* Exact up to the first byte found, which is all that counts. */
		mask = (w | (w - EACH(0x20)) | ((quote - EACH(1)) & ~quote) |
		    ((slash - EACH(1)) & ~slash)) & EACH(0x80);
		if (mask != 0)
			return p + __builtin_ctzll(mask) / 8;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* c begins or goes on with a multibyte character. */
static bool
multibyte(struct mw_json *j, unsigned char c)
{
	if (j->need == 0) {
		j->need = (unsigned char)mw_utf8_lead(c, &j->lo, &j->hi);
		return j->need != 0;
	}
	if (c < j->lo || c > j->hi)
		return false;
	j->need--;
	j->lo = 0x80;
	j->hi = 0xbf;
	return true;
}

/* The raw bytes of a string up to its end, an escape, or the end of the input. */
static enum mw_code
string_span(struct mw_json *j, const unsigned char **pp, const unsigned char *end,
    struct mw_err *err)
{
	const unsigned char *p = *pp, *start = p;
	bool good = true;

	for (;;) {
		if (j->need == 0)
			p = skip_plain(p, end);
		if (p == end || (*p < 0x80 && j->need == 0))
			break;
		good = multibyte(j, *p);
		if (!good)
			break;
		p++;
	}
	j->offset += p - start;
	*pp = p;
	if (!good)
		return bad(j, err, "not valid UTF-8");
	TRY(put(j, (const char *)start, (size_t)(p - start)));
	if (p == end)
		return MW_OK;
	if (*p < 0x20)
		return bad(j, err, "control character in a string");
	if (*p == '\\')
		j->state = ESCAPE;
	else
		TRY(end_string(j));
	j->offset++;
	(*pp)++;
	return MW_OK;
}

static enum mw_code
step_escape(struct mw_json *j, unsigned char c, struct mw_err *err)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (c == 'u') {
		j->cp = 0;
		j->nhex = 0;
		j->state = HEX;
		return MW_OK;
	}
	at = c == '\0' ? NULL : strchr(from, c);
	if (at == NULL)
		return bad(j, err, "unknown escape in a string");
	j->state = STRING;
	return put(j, to + (at - from), 1);
}

/* Four hex digits are in: a character, or half of one. */
static enum mw_code
end_hex(struct mw_json *j, struct mw_err *err)
{
	char utf8[4];
	unsigned cp = j->cp;
	bool low = cp >= 0xdc00 && cp <= 0xdfff;

	if (low != (j->high != 0))
		return bad(j, err, "lone surrogate in a string");
	if (cp >= 0xd800 && cp <= 0xdbff) {
		j->high = cp;
		j->state = LOW_SLASH;
		return MW_OK;
	}
	if (low)
		cp = 0x10000 + ((j->high - 0xd800) << 10) + (cp - 0xdc00);
	j->high = 0;
	j->state = STRING;
	return put(j, utf8, mw_utf8_put(utf8, cp));
}

static enum mw_code
step_hex(struct mw_json *j, unsigned char c, struct mw_err *err)
{
	unsigned v;

	if (is_digit(c))
		v = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		v = (c | 0x20) - 'a' + 10;
	else
		return bad(j, err, "expected four hex digits after \\u");
	j->cp = j->cp << 4 | v;
	return ++j->nhex == 4 ? end_hex(j, err) : MW_OK;
}

/* The second \u of a surrogate pair. */
static enum mw_code
step_low(struct mw_json *j, unsigned char c, struct mw_err *err)
{
	if (c != (j->state == LOW_SLASH ? '\\' : 'u'))
		return bad(j, err, "lone surrogate in a string");
	if (j->state == LOW_SLASH) {
		j->state = LOW_U;
	} else {
		j->cp = 0;
		j->nhex = 0;
		j->state = HEX;
	}
	return MW_OK;
}

static enum mw_code
step(struct mw_json *j, unsigned char c, struct mw_err *err)
{
	switch (j->state) {
	case LITERAL:
		return step_literal(j, c, err);
	case ESCAPE:
		return step_escape(j, c, err);
	case HEX:
		return step_hex(j, c, err);
	case LOW_SLASH:
	case LOW_U:
		return step_low(j, c, err);
	default:
		break;
	}
	if (j->state >= MINUS)
		return step_number(j, c, err);
	return is_space(c) ? MW_OK : step_between(j, c, err);
}

void
mw_json_init(struct mw_json *j, mw_json_fn fn, void *arg)
{
	*j = (struct mw_json){ .fn = fn, .arg = arg, .state = VALUE };
}

enum mw_code
mw_json_feed(struct mw_json *j, const char *s, size_t n, struct mw_err *err)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + n;

	if (j->stopped != MW_OK)
		return j->stopped;
	while (p < end) {
		if (j->state == STRING) {
			TRY(string_span(j, &p, end, err));
			continue;
		}
		TRY(step(j, *p, err));
		j->offset++;
		p++;
	}
	return MW_OK;
}

enum mw_code
mw_json_finish(struct mw_json *j, struct mw_err *err)
{
	if (j->stopped != MW_OK)
		return j->stopped;
	/* A number is the one value that does not show its own end. */
	if (j->depth == 0 && j->state >= MINUS)
		TRY(end_number(j, err));
	if (j->state != DONE)
		return bad(j, err, "the document ends too early");
	return MW_OK;
}
