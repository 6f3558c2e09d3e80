/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON5 documents, read into a tree. */
#include "base/json5.h"
#include "base/json5_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define TRY(call) do { \
	enum mw_code try_rc = (call); \
	if (try_rc != MW_OK) \
		return try_rc; \
} while (0)

static enum mw_code value(struct mw_json5_lex *l, struct mw_json5 *v);

static enum mw_code
nomem(struct mw_json5_lex *l)
{
	return mw_fail(l->err, MW_INTERNAL_ERROR, "out of memory");
}

static int
next_byte(const struct mw_json5_lex *l)
{
	return l->at < l->n ? (unsigned char)l->s[l->at] : -1;
}

/* ---- names ---- */

static int
by_name(const void *a, const void *b)
{
	const struct mw_json5_key *x = *(const struct mw_json5_key *const *)a,
	    *y = *(const struct mw_json5_key *const *)b;
	int order;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	order = x->len == 0 ? 0 : memcmp(x->name, y->name, x->len);
	return order != 0 ? order : x->from < y->from ? -1 : 1;
}

/* Of the names that are there twice, the first that stands in the text. */
static enum mw_code
no_name_twice(struct mw_json5_lex *l, const struct mw_json5 *o, size_t n)
{
	const struct mw_json5_key **key = NULL;
	const struct mw_json5 *m;
	size_t i, at = SIZE_MAX;

	if (n < 2)
		return MW_OK;
	if ((key = malloc(n * sizeof(*key))) == NULL)
		return nomem(l);
	for (i = 0, m = o->first; m != NULL; m = m->next)
		key[i++] = m->key;
	qsort(key, n, sizeof(*key), by_name);
	for (i = 1; i < n; i++) {
		if (key[i]->len == key[i - 1]->len && (key[i]->len == 0 ||
		    memcmp(key[i]->name, key[i - 1]->name, key[i]->len) == 0) && key[i]->from < at)
			at = key[i]->from;
	}
	free(key);
	return at == SIZE_MAX ? MW_OK : mw_json5_bad(l, at, "a name that its object has already");
}

static enum mw_code
member_name(struct mw_json5_lex *l, struct mw_json5 *m)
{
	struct mw_json5_key *key = mw_arena_alloc(l->arena, sizeof(*key));
	int c = next_byte(l);

	if (key == NULL)
		return nomem(l);
	key->from = (unsigned)l->at;
	TRY(c == '"' || c == '\'' ? mw_json5_string(l) : mw_json5_word(l));
	key->to = (unsigned)l->at;
	if ((key->name = mw_json5_text(l->arena, l->s, key->from, key->to, &key->len)) == NULL)
		return nomem(l);
	m->key = key;
	TRY(mw_json5_space(l));
	if (next_byte(l) != ':')
		return mw_json5_bad(l, l->at, "expected ':'");
	l->at++;
	return mw_json5_space(l);
}

/* ---- values ---- */

/* What stands where a comma or the end should, or nothing does. */
static enum mw_code
not_ended(struct mw_json5_lex *l, const struct mw_json5 *v, char end)
{
	if (next_byte(l) < 0)
		return mw_json5_bad(l, v->from, end == '}' ? "an object without its end" :
		    "an array without its end");
	return mw_json5_bad(l, l->at, end == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
}

/* Of an object or array, from behind its bracket to behind the other one. */
static enum mw_code
members(struct mw_json5_lex *l, struct mw_json5 *v, char end)
{
	struct mw_json5 *m, **last = &v->first;
	size_t n = 0;

	TRY(mw_json5_space(l));
	while (next_byte(l) != end) {
		if (next_byte(l) < 0)
			return not_ended(l, v, end);
		if ((m = mw_arena_alloc(l->arena, sizeof(*m))) == NULL)
			return nomem(l);
		if (end == '}')
			TRY(member_name(l, m));
		TRY(value(l, m));
		*last = m;
		last = &m->next;
		n++;
		TRY(mw_json5_space(l));
		if (next_byte(l) == end)
			break;
		if (next_byte(l) != ',')
			return not_ended(l, v, end);
		m->comma = (unsigned)l->at++;
		TRY(mw_json5_space(l));
		if (next_byte(l) == end)
			l->json = false;
	}
	l->at++;
	return end == '}' ? no_name_twice(l, v, n) : MW_OK;
}

static enum mw_code
group(struct mw_json5_lex *l, struct mw_json5 *v, char end)
{
	if (l->depth == MW_JSON5_DEPTH_MAX)
		return mw_json5_bad(l, l->at, "nested deeper than 32");
	l->depth++;
	l->at++;
	v->type = end == '}' ? MW_JSON5_OBJECT : MW_JSON5_ARRAY;
	TRY(members(l, v, end));
	l->depth--;
	return MW_OK;
}
_Static_assert(MW_JSON5_DEPTH_MAX == 32, "the message names the limit");

static enum mw_code
scalar(struct mw_json5_lex *l, struct mw_json5 *v)
{
	static const char *const word[] = { "null", "false", "true" };
	int c = next_byte(l);
	unsigned i;

	for (i = 0; i < 3; i++) {
		if (mw_json5_is_word(l, l->at, word[i])) {
			v->type = (enum mw_json5_type)(MW_JSON5_NULL + i);
			l->at += strlen(word[i]);
			return MW_OK;
		}
	}
	if (c == '"' || c == '\'') {
		v->type = MW_JSON5_STRING;
		return mw_json5_string(l);
	}
	v->type = MW_JSON5_NUMBER;
	if ((c >= '0' && c <= '9') || c == '.' || c == '+' || c == '-' ||
	    mw_json5_is_word(l, l->at, "Infinity") || mw_json5_is_word(l, l->at, "NaN"))
		return mw_json5_number(l);
	return mw_json5_bad(l, l->at, c < 0 ? "the document ends too early" : "expected a value");
}

static enum mw_code
value(struct mw_json5_lex *l, struct mw_json5 *v)
{
	int c = next_byte(l);

	v->from = (unsigned)l->at;
	TRY(c == '{' ? group(l, v, '}') : c == '[' ? group(l, v, ']') : scalar(l, v));
	v->to = (unsigned)l->at;
	return MW_OK;
}

enum mw_code
mw_json5_parse(struct mw_arena *a, const char *s, size_t n, struct mw_json5_doc *d,
    struct mw_err *err)
{
	struct mw_json5_lex l = { .s = s, .n = n, .json = true, .arena = a, .err = err };
	size_t valid = n == 0 ? 0 : mw_utf8_span(s, n);

	memset(d, 0, sizeof(*d));
	d->s = s;
	d->n = n;
	if (valid < n)
		return mw_json5_bad(&l, valid, "not valid UTF-8");
	TRY(mw_json5_space(&l));		/* and the byte order mark, which is white space in JSON5 */
	TRY(value(&l, &d->root));
	TRY(mw_json5_space(&l));
	if (l.at < n)
		return mw_json5_bad(&l, l.at, "text behind the document");
	d->json = l.json;
	return MW_OK;
}
