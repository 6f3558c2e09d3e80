/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON merge patch, RFC 7396, on text: numbers keep their digits. */
#include "base/json_merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

struct span {
	const char *s;
	size_t n;
};

struct member;

struct node {
	struct span text;		/* without the white space around it */
	bool object;
	struct member *member;		/* as written */
	const struct member **sorted;	/* by name */
	size_t n;
	struct span tail;		/* white space before '}' */
};

struct member {
	struct span name;		/* decoded */
	struct span key;		/* as written, with its quotes */
	struct span lead, colon;	/* white space before the key; the colon with that around it */
	struct node value;
	struct span trail;		/* white space before ',' */
};

/* Walks over text that the parser has found to be valid. */
struct cursor {
	const char *p;
	struct mw_arena *arena;
	struct mw_err *err;
};

static enum mw_code
nomem(struct mw_err *err)
{
	return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
}

static struct span
skip_space(struct cursor *c)
{
	struct span s = { .s = c->p };

	while (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r')
		c->p++;
	s.n = (size_t)(c->p - s.s);
	return s;
}

static struct span
skip_string(struct cursor *c)
{
	struct span s = { .s = c->p++ };

	while (*c->p != '"')
		c->p += *c->p == '\\' ? 2 : 1;
	c->p++;
	s.n = (size_t)(c->p - s.s);
	return s;
}

/* ---- names ---- */

static unsigned
hex4(const char *p)
{
	unsigned v = 0, i, c;

	for (i = 0; i < 4; i++) {
		c = (unsigned char)p[i];
		v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return v;
}

/* One escape at p, its decoded bytes to out; returns what it takes of the text. */
static size_t
unescape(const char *p, char *out, size_t *len)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	unsigned cp;

	if (p[1] != 'u') {
		out[0] = to[strchr(from, p[1]) - from];
		*len = 1;
		return 2;
	}
	cp = hex4(p + 2);
	if (cp < 0xd800 || cp > 0xdbff) {
		*len = mw_utf8_put(out, cp);
		return 6;
	}
	cp = 0x10000 + ((cp - 0xd800) << 10) + (hex4(p + 8) - 0xdc00);
	*len = mw_utf8_put(out, cp);
	return 12;
}

static enum mw_code
decode_name(struct cursor *c, const struct span *key, struct span *name)
{
	const char *p = key->s + 1, *end = key->s + key->n - 1;
	size_t len;
	char *out;

	*name = (struct span){ p, (size_t)(end - p) };
	if (memchr(p, '\\', name->n) == NULL)
		return MW_OK;
	if ((out = mw_arena_alloc(c->arena, name->n)) == NULL)
		return nomem(c->err);
	name->s = out;
	while (p < end) {
		if (*p == '\\') {
			p += unescape(p, out, &len);
			out += len;
		} else {
			*out++ = *p++;
		}
	}
	name->n = (size_t)(out - name->s);
	return MW_OK;
}

static int
compare(const struct span *a, const struct span *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return a->n == 0 ? 0 : memcmp(a->s, b->s, a->n);
}

static int
by_name(const void *a, const void *b)
{
	const struct member *const *x = a, *const *y = b;

	return compare(&(*x)->name, &(*y)->name);
}

static enum mw_code
sort_members(struct cursor *c, struct node *o)
{
	size_t i;

	if (o->n == 0)
		return MW_OK;
	if ((o->sorted = mw_arena_alloc(c->arena, o->n * sizeof(*o->sorted))) == NULL)
		return nomem(c->err);
	for (i = 0; i < o->n; i++)
		o->sorted[i] = &o->member[i];
	qsort(o->sorted, o->n, sizeof(*o->sorted), by_name);
	for (i = 1; i < o->n; i++) {
		if (compare(&o->sorted[i - 1]->name, &o->sorted[i]->name) == 0)
			return mw_fail(c->err, MW_INVALID_JSON,
			    "invalid JSON: the member \"%.*s\" is given twice in one object",
			    o->sorted[i]->name.n > 100 ? 100 : (int)o->sorted[i]->name.n,
			    o->sorted[i]->name.s);
	}
	return MW_OK;
}

static const struct member *
find(const struct node *o, const struct span *name)
{
	const struct member want = { .name = *name }, *key = &want, **hit;

	if (o == NULL || !o->object || o->n == 0)
		return NULL;
	hit = bsearch(&key, o->sorted, o->n, sizeof(*o->sorted), by_name);
	return hit == NULL ? NULL : *hit;
}

/* ---- text to nodes; not deeper than the parser allowed ---- */

static enum mw_code parse_value(struct cursor *c, struct node *v);

static struct member *
new_member(struct cursor *c, struct node *o, size_t *cap)
{
	struct member *grown;

	if (o->n == *cap) {
		*cap = *cap == 0 ? 8 : *cap * 2;
		if ((grown = mw_arena_alloc(c->arena, *cap * sizeof(*grown))) == NULL)
			return NULL;
		if (o->n > 0)
			memcpy(grown, o->member, o->n * sizeof(*grown));
		o->member = grown;
	}
	return &o->member[o->n];
}

static enum mw_code
parse_object(struct cursor *c, struct node *o)
{
	struct member *m;
	enum mw_code code;
	size_t cap = 0;

	o->object = true;
	c->p++;
	o->tail = skip_space(c);
	while (*c->p != '}') {
		if ((m = new_member(c, o, &cap)) == NULL)
			return nomem(c->err);
		m->lead = o->tail;
		m->key = skip_string(c);
		m->colon = skip_space(c);
		c->p++;
		(void)skip_space(c);
		m->colon.n = (size_t)(c->p - m->colon.s);
		if ((code = decode_name(c, &m->key, &m->name)) != MW_OK ||
		    (code = parse_value(c, &m->value)) != MW_OK)
			return code;
		m->trail = o->tail = skip_space(c);
		o->n++;
		if (*c->p == ',') {
			c->p++;
			o->tail = skip_space(c);
		}
	}
	c->p++;
	return sort_members(c, o);
}

/* Its elements count for nothing but the names in them. */
static enum mw_code
parse_array(struct cursor *c)
{
	struct node element;
	enum mw_code code;

	c->p++;
	(void)skip_space(c);
	while (*c->p != ']') {
		if ((code = parse_value(c, &element)) != MW_OK)
			return code;
		(void)skip_space(c);
		if (*c->p == ',') {
			c->p++;
			(void)skip_space(c);
		}
	}
	c->p++;
	return MW_OK;
}

static enum mw_code
parse_value(struct cursor *c, struct node *v)
{
	enum mw_code code = MW_OK;

	*v = (struct node){ .text.s = c->p };
	if (*c->p == '{')
		code = parse_object(c, v);
	else if (*c->p == '[')
		code = parse_array(c);
	else if (*c->p == '"')
		(void)skip_string(c);
	else
		c->p += strcspn(c->p, " \t\n\r,]}");
	v->text.n = (size_t)(c->p - v->text.s);
	return code;
}

static enum mw_code
ignore(void *arg, enum mw_json_event ev, const char *text, size_t n, unsigned depth)
{
	(void)arg;
	(void)ev;
	(void)text;
	(void)n;
	(void)depth;
	return MW_OK;
}

/* The document and what it is made of, over a copy that ends in NUL. */
static enum mw_code
parse(struct mw_arena *a, const char *s, size_t n, struct node *root, struct mw_err *err)
{
	struct cursor c = { .arena = a, .err = err };
	struct mw_json json;
	enum mw_code code;

	mw_json_init(&json, ignore, NULL);
	if ((code = mw_json_feed(&json, s, n, err)) != MW_OK ||
	    (code = mw_json_finish(&json, err)) != MW_OK)
		return code;
	if ((c.p = mw_arena_dup(a, s, n)) == NULL)
		return nomem(err);
	(void)skip_space(&c);
	return parse_value(&c, root);
}

enum mw_code
mw_json_check(struct mw_arena *a, const char *s, size_t n, struct mw_err *err)
{
	struct node root;

	return parse(a, s, n, &root, err);
}

bool
mw_json_is_object(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r'); i++)
		continue;
	return i < n && s[i] == '{';
}

/* ---- the merge ---- */

static bool
is_null(const struct node *v)
{
	return v->text.s[0] == 'n';
}

/* A failed buffer stays failed: it is looked at once, in the end. */
static void
add(struct mw_buf *out, const struct span *s)
{
	if (s->n > 0)
		(void)mw_buf_add(out, s->s, s->n);
}

static void merge(struct mw_buf *out, const struct node *target, const struct node *patch);

static void
add_member(struct mw_buf *out, bool *first, const struct span *lead, const struct member *m)
{
	if (!*first)
		(void)mw_buf_addc(out, ',');
	*first = false;
	add(out, lead);
	add(out, &m->key);
	add(out, &m->colon);
}

/* target: an object, or NULL = none. */
static void
merge_object(struct mw_buf *out, const struct node *target, const struct node *patch)
{
	const struct member *m, *change;
	size_t i, n = target != NULL ? target->n : 0;
	bool first = true;

	(void)mw_buf_addc(out, '{');
	for (i = 0; i < n; i++) {
		m = &target->member[i];
		change = find(patch, &m->name);
		if (change != NULL && is_null(&change->value))
			continue;
		add_member(out, &first, &m->lead, m);
		if (change == NULL)
			add(out, &m->value.text);
		else
			merge(out, &m->value, &change->value);
		if (i + 1 < n)
			add(out, &m->trail);
	}
	for (i = 0; i < patch->n; i++) {
		m = &patch->member[i];
		if (is_null(&m->value) || find(target, &m->name) != NULL)
			continue;
		add_member(out, &first, n > 0 ? &target->member[n - 1].lead : &m->lead, m);
		merge(out, NULL, &m->value);
	}
	add(out, target != NULL ? &target->tail : &patch->tail);
	(void)mw_buf_addc(out, '}');
}

static void
merge(struct mw_buf *out, const struct node *target, const struct node *patch)
{
	if (!patch->object)
		add(out, &patch->text);
	else
		merge_object(out, target != NULL && target->object ? target : NULL, patch);
}

enum mw_code
mw_json_merge(struct mw_arena *a, const char *target, size_t target_len,
    const char *patch, size_t patch_len, struct mw_buf *out, struct mw_err *err)
{
	struct node t, p;
	enum mw_code code;

	if ((code = parse(a, target, target_len, &t, err)) != MW_OK ||
	    (code = parse(a, patch, patch_len, &p, err)) != MW_OK)
		return code;
	merge(out, &t, &p);
	return out->failed ? mw_fail(err, MW_BODY_TOO_LARGE,
	    "the merged document would have more than %zu bytes", out->max) : MW_OK;
}
