/* SPDX-License-Identifier: BSD-2-Clause */
/* What a JSON5 document says, as JSON. */
#include "base/json5.h"
#include "base/json5_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define BASE 1000000000U	/* of a decimal limb */
#define CHUNK 7			/* hexadecimal digits at a time */

/* Where a value stands; its root has no `up`. */
struct place {
	const struct place *up;
	const struct mw_json5_key *key;	/* NULL: element number `index` */
	size_t index;
};

struct telling {
	struct mw_arena *arena;
	const struct mw_json5_doc *d;
	struct mw_buf *out, *not_json;
	bool nomem;
};

void
mw_json5_put_text(struct mw_buf *out, const char *s, size_t n, char quote)
{
	static const char from[] = "\b\f\n\r\t\\", to[] = "bfnrt\\";
	const unsigned char *p = (const unsigned char *)s, *end = p + n, *run = p;
	const char *at;
	size_t take;

	(void)mw_buf_addc(out, quote);
	for (; p < end; p += take) {
		take = 1;
		at = *p == '\0' ? NULL : strchr(from, *p);
		if (at == NULL && *p >= 0x20 && *p != (unsigned char)quote &&
		    !(*p == 0xed && p[1] >= 0xa0) && !(*p == 0xe2 && p[1] == 0x80 && (p[2] | 1) == 0xa9))
			continue;
		(void)mw_buf_add(out, run, (size_t)(p - run));
		if (at != NULL)
			(void)mw_buf_addf(out, "\\%c", to[at - from]);
		else if (*p == (unsigned char)quote)
			(void)mw_buf_addf(out, "\\%c", quote);
		else if (*p < 0x20)
			(void)mw_buf_addf(out, "\\u%04x", *p);
		else {
			(void)mw_buf_addf(out, "\\u%04x",
			    (p[0] & 0xfU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU));
			take = 3;
		}
		run = p + take;
	}
	(void)mw_buf_add(out, run, (size_t)(end - run));
	(void)mw_buf_addc(out, quote);
}

/* ---- numbers ---- */

static unsigned
digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* s[0..n) in base 16, to base 10: limbs of nine digits, the lowest first. */
static void
put_hex(struct mw_arena *a, struct mw_buf *out, const char *s, size_t n)
{
	uint32_t *limb = mw_arena_alloc(a, (n / CHUNK + 2) * sizeof(*limb));
	size_t used = 1, i, k;
	uint64_t carry, times;

	if (limb == NULL) {
		out->failed = true;
		return;
	}
	while (n > 0) {
		for (carry = 0, times = 1, k = n % CHUNK != 0 ? n % CHUNK : CHUNK; k > 0; k--, n--) {
			carry = carry << 4 | digit(*s++);
			times <<= 4;
		}
		for (i = 0; i < used; i++) {
			carry += limb[i] * times;
			limb[i] = (uint32_t)(carry % BASE);
			carry /= BASE;
		}
		if (carry > 0)
			limb[used++] = (uint32_t)carry;
	}
	(void)mw_buf_addf(out, "%u", limb[used - 1]);
	for (i = used - 1; i > 0; i--)
		(void)mw_buf_addf(out, "%09u", limb[i - 1]);
}

bool
mw_json5_put_number(struct mw_arena *a, struct mw_buf *out, const char *s, size_t n)
{
	size_t whole;

	if (*s == '+' || *s == '-') {
		if (s[1] == 'I' || s[1] == 'N')
			return false;
		if (*s == '-')
			(void)mw_buf_addc(out, '-');
		s++;
		n--;
	}
	if (*s == 'I' || *s == 'N')
		return false;
	if (n > 2 && (s[1] | 0x20) == 'x') {
		put_hex(a, out, s + 2, n - 2);
		return true;
	}
	for (whole = 0; whole < n && s[whole] != '.'; whole++)
		continue;
	if (whole == 0)
		(void)mw_buf_addc(out, '0');
	(void)mw_buf_add(out, s, whole);
	/* A point without a digit behind it goes. */
	if (whole < n && (whole + 1 == n || s[whole + 1] < '0' || s[whole + 1] > '9'))
		whole++;
	(void)mw_buf_add(out, s + whole, n - whole);
	return true;
}

/* ---- pointers to what JSON cannot say ---- */

static void
put_place(struct mw_buf *b, const struct place *at)
{
	const struct mw_json5_key *key = at->key;
	size_t i;

	if (at->up == NULL)
		return;
	put_place(b, at->up);
	if (key == NULL) {
		(void)mw_buf_addf(b, "/%zu", at->index);
		return;
	}
	(void)mw_buf_addc(b, '/');
	for (i = 0; i < key->len; i++) {
		if (key->name[i] == '~' || key->name[i] == '/')
			(void)mw_buf_adds(b, key->name[i] == '~' ? "~0" : "~1");
		else
			(void)mw_buf_addc(b, key->name[i]);
	}
}

static void
put_pointer(struct telling *t, const struct place *at)
{
	struct mw_buf b;

	mw_buf_init(&b, t->not_json->max);
	put_place(&b, at);
	if (t->not_json->len > 0)
		(void)mw_buf_addc(t->not_json, ',');
	if (b.failed)
		(void)mw_buf_room(t->not_json, t->not_json->max + 1);
	else
		mw_json5_put_text(t->not_json, b.data != NULL ? b.data : "", b.len, '"');
	mw_buf_free(&b);
}

/* ---- values ---- */

static void tell(struct telling *t, const struct mw_json5 *v, const struct place *at);

static void
tell_members(struct telling *t, const struct mw_json5 *v, const struct place *at)
{
	struct place in = { .up = at };
	const struct mw_json5 *m;

	for (m = v->first; m != NULL && !t->out->failed && !t->not_json->failed; m = m->next) {
		if (m != v->first)
			(void)mw_buf_addc(t->out, ',');
		if ((in.key = m->key) != NULL) {
			mw_json5_put_text(t->out, m->key->name, m->key->len, '"');
			(void)mw_buf_addc(t->out, ':');
		}
		tell(t, m, &in);
		in.index++;
	}
}

static void
tell(struct telling *t, const struct mw_json5 *v, const struct place *at)
{
	static const char *const word[] = { "null", "false", "true" };
	const char *text;
	size_t len;

	switch (v->type) {
	case MW_JSON5_OBJECT:
	case MW_JSON5_ARRAY:
		(void)mw_buf_addc(t->out, v->type == MW_JSON5_OBJECT ? '{' : '[');
		tell_members(t, v, at);
		(void)mw_buf_addc(t->out, v->type == MW_JSON5_OBJECT ? '}' : ']');
		return;
	case MW_JSON5_STRING:
		if ((text = mw_json5_text(t->arena, t->d->s, v->from, v->to, &len)) == NULL)
			t->nomem = true;
		else
			mw_json5_put_text(t->out, text, len, '"');
		return;
	case MW_JSON5_NUMBER:
		if (mw_json5_put_number(t->arena, t->out, t->d->s + v->from, v->to - v->from))
			return;
		put_pointer(t, at);
		break;
	default:
		break;
	}
	(void)mw_buf_adds(t->out, word[v->type <= MW_JSON5_TRUE ? v->type : MW_JSON5_NULL]);
}

enum mw_code
mw_json5_value(struct mw_arena *a, const struct mw_json5_doc *d, const struct mw_json5 *v,
    struct mw_buf *out, struct mw_buf *not_json, struct mw_err *err)
{
	struct telling t = { .arena = a, .d = d, .out = out, .not_json = not_json };
	const struct place top = { .up = NULL };

	tell(&t, v, &top);
	if (t.nomem)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	if (out->failed || not_json->failed)
		return mw_fail(err, MW_FILE_TOO_LARGE, "The configuration's value is too large as JSON: "
		    "read its text with raw=1");
	return MW_OK;
}
