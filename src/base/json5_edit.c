/* SPDX-License-Identifier: BSD-2-Clause */
/* A JSON5 document changed in place by a JSON Merge Patch (RFC 7396). */
#include "base/json5.h"
#include "base/json5_internal.h"

#include <stdlib.h>
#include <string.h>

/* text instead of from..to */
struct edit {
	size_t from, to;
	const char *text;
	size_t len, turn;		/* which of them came first */
};

struct editor {
	struct mw_arena *arena;
	const struct mw_json5_doc *d, *patch;
	struct mw_json5_writer w;
	struct mw_buf made;		/* what is written just now */
	struct edit *edit;
	size_t n, cap;
	bool nomem;
};

/* The members of an object of the target, as they stand, and those by name. */
struct members {
	const struct mw_json5 *o;
	const struct mw_json5 **m, **sorted;
	size_t n;
	bool *gone, *keep;		/* the member; the comma behind it */
};

static void *
take(struct editor *e, size_t n)
{
	void *p = mw_arena_alloc(e->arena, n > 0 ? n : 1);

	if (p == NULL)
		e->nomem = true;
	return p;
}

/* ---- edits ---- */

static void
add_edit(struct editor *e, size_t from, size_t to, const char *text, size_t len)
{
	struct edit *grown;

	if (e->n == e->cap) {
		e->cap = e->cap > 0 ? e->cap * 2 : 16;
		if ((grown = realloc(e->edit, e->cap * sizeof(*grown))) == NULL) {
			e->cap = e->n;
			e->nomem = true;
			return;
		}
		e->edit = grown;
	}
	e->edit[e->n] = (struct edit){ from, to, text, len, e->n };
	e->n++;
}

/* What was written to e->made, instead of from..to. */
static void
add_made(struct editor *e, size_t from, size_t to)
{
	size_t len = e->made.len;
	char *text = e->made.failed ? NULL : mw_arena_dup(e->arena, e->made.data, len);

	if (text != NULL)
		add_edit(e, from, to, text, len);
	else if (!e->made.failed)
		e->nomem = true;
	if (!e->made.failed)
		mw_buf_reset(&e->made);
}

/* What is put in at a place comes before what is taken away from there on. */
static int
by_place(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if ((x->from == x->to) != (y->from == y->to))
		return x->from == x->to ? -1 : 1;
	return x->turn < y->turn ? -1 : 1;
}

static void
apply(struct editor *e, struct mw_buf *out)
{
	const struct edit *x;
	size_t at = 0, i;

	if (e->n > 0)
		qsort(e->edit, e->n, sizeof(*e->edit), by_place);
	for (i = 0; i < e->n; i++) {
		x = &e->edit[i];
		if (x->from > at)
			(void)mw_buf_add(out, e->d->s + at, x->from - at);
		if (x->len > 0)
			(void)mw_buf_add(out, x->text, x->len);
		at = x->to > at ? x->to : at;
	}
	(void)mw_buf_add(out, e->d->s + at, e->d->n - at);
}

/* ---- names ---- */

static int
compare(const struct mw_json5_key *a, const struct mw_json5_key *b)
{
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->len == 0 ? 0 : memcmp(a->name, b->name, a->len);
}

static int
by_name(const void *a, const void *b)
{
	return compare((*(const struct mw_json5 *const *)a)->key, (*(const struct mw_json5 *const *)b)->key);
}

static bool
index_members(struct editor *e, const struct mw_json5 *o, struct members *all)
{
	const struct mw_json5 *m;
	size_t i;

	*all = (struct members){ .o = o };
	for (m = o->first; m != NULL; m = m->next)
		all->n++;
	if ((all->m = take(e, all->n * sizeof(*all->m))) == NULL ||
	    (all->sorted = take(e, all->n * sizeof(*all->sorted))) == NULL ||
	    (all->gone = take(e, all->n)) == NULL || (all->keep = take(e, all->n)) == NULL)
		return false;
	for (i = 0, m = o->first; m != NULL; m = m->next, i++)
		all->m[i] = all->sorted[i] = m;
	if (all->n > 0)
		qsort(all->sorted, all->n, sizeof(*all->sorted), by_name);
	return true;
}

static const struct mw_json5 *
find(const struct members *all, const struct mw_json5 *like)
{
	const struct mw_json5 **found = all->n == 0 ? NULL :
	    bsearch(&like, all->sorted, all->n, sizeof(*all->sorted), by_name);

	return found != NULL ? *found : NULL;
}

/* ---- is it changed at all? ---- */

static bool
same_number(struct editor *e, const char *a, size_t a_len, const char *b, size_t b_len)
{
	struct mw_buf x, y;
	bool same;

	if (a_len == b_len && memcmp(a, b, a_len) == 0)
		return true;
	mw_buf_init(&x, e->made.max);
	mw_buf_init(&y, e->made.max);
	same = mw_json5_put_number(e->arena, &x, a, a_len) && mw_json5_put_number(e->arena, &y, b, b_len) ?
	    x.len == y.len && !x.failed && !y.failed && memcmp(x.data, y.data, x.len) == 0 : false;
	mw_buf_free(&x);
	mw_buf_free(&y);
	return same;
}

/* Members in another order count as a change. */
static bool
same(struct editor *e, const struct mw_json5 *a, const struct mw_json5 *b)
{
	const char *x = e->d->s + a->from, *y = e->patch->s + b->from;
	size_t n = a->to - a->from, k = b->to - b->from;

	if (a->type != b->type)
		return false;
	if (a->type == MW_JSON5_NUMBER)
		return same_number(e, x, n, y, k);
	if (a->type == MW_JSON5_STRING) {
		x = mw_json5_text(e->arena, e->d->s, a->from, a->to, &n);
		y = mw_json5_text(e->arena, e->patch->s, b->from, b->to, &k);
		return x != NULL && y != NULL && n == k && memcmp(x, y, n) == 0;
	}
	for (a = a->first, b = b->first; a != NULL && b != NULL; a = a->next, b = b->next) {
		if ((a->key != NULL && compare(a->key, b->key) != 0) || !same(e, a, b))
			return false;
	}
	return a == NULL && b == NULL;
}

/* ---- taking away ---- */

/* The end of a comment at p that ends on its line, or p. */
static size_t
past_comment(const char *s, size_t p)
{
	size_t q = p + 2;

	if (s[p] != '/' || (s[p + 1] != '/' && s[p + 1] != '*'))
		return p;
	for (;; q++) {
		if (s[p + 1] == '*' && s[q] == '*' && s[q + 1] == '/')
			return q + 2;
		if (s[q] == '\n' || s[q] == '\r')
			return s[p + 1] == '/' ? q : p;
		if ((unsigned char)s[q] == 0xe2 && (unsigned char)s[q + 1] == 0x80 &&
		    ((unsigned char)s[q + 2] | 1) == 0xa9)
			return p;	/* other tools take that for no line's end */
	}
}

/*
 * How far what is on the line behind `at` belongs to it: blanks, the comma at `comma`
 * (0: none), comments if nothing comes behind them.  *end: '\n' if the line ends there,
 * '}' if the object does, 0 if something else follows.
 */
static size_t
tail(const char *s, size_t at, size_t comma, char *end)
{
	size_t p = at, own = at, last = at, q;

	for (;;) {
		p = mw_json5_blanks_after(s, p);
		if (comma != 0 && p == comma)
			own = q = p + 1;
		else
			q = past_comment(s, p);
		if (q == p)
			break;
		p = last = q;
	}
	*end = s[p] == '\r' || s[p] == '\n' ? '\n' : s[p] == '}' ? '}' : '\0';
	return *end == '\n' ? p : *end == '}' ? last : own;
}

/* Where what goes with member i begins: blanks before it, a comma that goes, and the
 * members before that, if they go and stand on the same line. */
static size_t
begin_of(const struct members *all, const char *s, size_t i)
{
	size_t from;

	for (;; i--) {
		from = mw_json5_blanks_before(s, all->m[i]->key->from);
		if (i == 0 || all->keep[i - 1] || all->m[i - 1]->comma != from - 1)
			return from;
		from = mw_json5_blanks_before(s, from - 1);
		if (!all->gone[i - 1] || all->m[i - 1]->to != from)
			return from;
	}
}

static void
remove_member(struct editor *e, const struct members *all, size_t i)
{
	const char *s = e->d->s;
	const struct mw_json5 *m = all->m[i];
	size_t from, to;
	char end;

	to = tail(s, m->to, all->keep[i] ? 0 : m->comma, &end);
	if (end == '\0' && i + 1 < all->n) {
		add_edit(e, m->key->from, mw_json5_blanks_after(s, to), NULL, 0);
		return;
	}
	from = begin_of(all, s, i);
	if (end == '\n' && (s[from - 1] == '\n' || s[from - 1] == '\r'))
		to += s[to] == '\r' && s[to + 1] == '\n' ? 2 : 1;
	add_edit(e, from, to, NULL, 0);
}

/* Is the comma the first on the line of what comes after it? */
static bool
leads(const char *s, const struct mw_json5 *before, const struct mw_json5 *m)
{
	size_t from = mw_json5_blanks_before(s, before->comma);

	return (s[from - 1] == '\n' || s[from - 1] == '\r') &&
	    mw_json5_blanks_after(s, before->comma + 1) == m->key->from;
}

/*
 * Between two members that stay there is one comma, and behind the last one if there
 * was one; `more` come behind it.  Returns the last that stays, n = none does.
 */
static size_t
keep_commas(struct editor *e, const struct members *all, bool more)
{
	const struct mw_json5 *const *m = all->m;
	size_t i, last = all->n;

	for (i = 0; i < all->n; i++) {
		if (all->gone[i])
			continue;
		if (last < all->n)
			all->keep[last < i - 1 && leads(e->d->s, m[i - 1], m[i]) ? i - 1 : last] = true;
		last = i;
	}
	if (last < all->n && m[last]->comma != 0 && (more || m[all->n - 1]->comma != 0))
		all->keep[last] = true;
	for (i = 0; i < all->n; i++) {
		if (m[i]->comma != 0 && !all->keep[i])
			add_edit(e, m[i]->comma, m[i]->comma + 1, NULL, 0);
	}
	return last;
}

/* ---- putting in ---- */

static const struct mw_json5 *
next_new(const struct members *all, const struct mw_json5 *m)
{
	while (m != NULL && (m->type == MW_JSON5_NULL || find(all, m) != NULL))
		m = m->next;
	return m;
}

/* All that are new, each with a comma behind it but perhaps the last. */
static void
write_new(struct editor *e, const struct members *all, const struct mw_json5 *p,
    const struct mw_json5_style *st, bool first)
{
	const struct mw_json5 *m = next_new(all, p->first), *next;

	for (; m != NULL; m = next) {
		next = next_new(all, m->next);
		if (st->lines)
			mw_json5_put_line(&e->made, st, 0);
		else if (!first)
			(void)mw_buf_add(&e->made, st->gap, st->gap_n);
		else if (st->pad)
			(void)mw_buf_addc(&e->made, ' ');
		first = false;
		mw_json5_put_member(&e->w, m, st, 0);
		if (next != NULL || st->trailing)
			(void)mw_buf_addc(&e->made, ',');
	}
}

/* An object in which nothing stands but, perhaps, comments. */
static void
fill_empty(struct editor *e, const struct members *all, const struct mw_json5 *p,
    struct mw_json5_style *st, const struct mw_json5_style *around)
{
	const char *s = e->d->s;
	size_t from = all->o->from + 1, to = all->o->to - 1, last = to;
	struct mw_json5_style closing = *st;
	char *indent = take(e, around->indent_n + around->unit_n);

	if (indent == NULL)
		return;
	for (; last > from && memchr(" \t\r\n", s[last - 1], 4) != NULL; last--)
		st->lines = st->lines || s[last - 1] == '\n' || s[last - 1] == '\r';
	if (around->indent_n > 0)
		memcpy(indent, around->indent, around->indent_n);
	memcpy(indent + around->indent_n, around->unit, around->unit_n);
	st->indent = indent;
	st->indent_n = around->indent_n + around->unit_n;
	st->pad = !st->lines && last == from && to > from;
	st->trailing = st->lines && around->trailing;
	write_new(e, all, p, st, last == from);
	if (last == from && st->lines)
		mw_json5_put_line(&e->made, &closing, 0);
	else if (last == from && st->pad)
		(void)mw_buf_addc(&e->made, ' ');
	add_made(e, last, last == from ? to : last);
}

static void
put_new(struct editor *e, const struct members *all, const struct mw_json5 *p, size_t last,
    const struct mw_json5_style *of, const struct mw_json5_style *around)
{
	struct mw_json5_style st = *of;
	size_t like = last < all->n ? last : 0, at;
	char end;

	if (all->n == 0) {
		fill_empty(e, all, p, &st, around);
		return;
	}
	mw_json5_style_like(&st, e->d, all->o, like > 0 ? all->m[like - 1] : NULL, all->m[like], around);
	at = last == all->n ? all->o->from + 1 :
	    all->keep[last] ? all->m[last]->comma + 1 : all->m[last]->to;
	if (last < all->n && !all->keep[last])
		add_edit(e, all->m[last]->to, all->m[last]->to, ",", 1);
	if (st.lines)
		at = tail(e->d->s, at, 0, &end);
	write_new(e, all, p, &st, last == all->n);
	add_made(e, at, at);
}

/* ---- the merge ---- */

static void merge(struct editor *e, const struct mw_json5 *o, const struct mw_json5 *p,
    const struct mw_json5_style *around);

static void
change(struct editor *e, const struct members *all, size_t i, const struct mw_json5 *to,
    const struct mw_json5_style *of, const struct mw_json5_style *around)
{
	const struct mw_json5 *m = all->m[i];
	struct mw_json5_style st = *of;

	if (to->type != MW_JSON5_OBJECT && same(e, m, to))
		return;
	mw_json5_style_like(&st, e->d, all->o, i > 0 ? all->m[i - 1] : NULL, m, around);
	if (to->type == MW_JSON5_OBJECT && m->type == MW_JSON5_OBJECT) {
		merge(e, m, to, &st);
		return;
	}
	mw_json5_put_value(&e->w, to, &st, 0);
	add_made(e, m->from, m->to);
}

static void
merge(struct editor *e, const struct mw_json5 *o, const struct mw_json5 *p,
    const struct mw_json5_style *around)
{
	struct mw_json5_style st;
	struct members all, wanted;
	const struct mw_json5 *to;
	size_t i, last;
	bool more;

	if (e->nomem || !index_members(e, o, &all) || !index_members(e, p, &wanted))
		return;
	mw_json5_style(&st, e->d, o, around);
	for (i = 0; i < all.n; i++) {
		if ((to = find(&wanted, all.m[i])) == NULL)
			continue;
		all.gone[i] = to->type == MW_JSON5_NULL;
		if (!all.gone[i])
			change(e, &all, i, to, &st, around);
	}
	more = next_new(&all, p->first) != NULL;
	last = keep_commas(e, &all, more);
	for (i = 0; i < all.n; i++) {
		if (all.gone[i])
			remove_member(e, &all, i);
	}
	/* Of what stood on the brace's own line, nothing is left. */
	if (last == all.n && all.n > 0 &&
	    mw_json5_blanks_after(e->d->s, o->from + 1) == all.m[0]->key->from)
		add_edit(e, o->from + 1, all.m[0]->key->from, NULL, 0);
	if (more)
		put_new(e, &all, p, last, &st, around);
}

enum mw_code
mw_json5_edit(struct mw_arena *a, const struct mw_json5_doc *target,
    const struct mw_json5_doc *patch, struct mw_buf *out, struct mw_err *err)
{
	struct editor e = { .arena = a, .d = target, .patch = patch };
	struct mw_json5_style around;
	enum mw_code code = MW_OK;

	mw_buf_init(&e.made, out->max);
	e.w = (struct mw_json5_writer){ .arena = a, .doc = patch, .out = &e.made };
	mw_json5_style_default(&around, target);
	merge(&e, &target->root, &patch->root, &around);
	if (e.nomem || e.w.nomem)
		code = mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	else if (e.w.infinite)
		code = mw_fail(err, MW_INVALID_ARGUMENT,
		    "Infinity and NaN cannot be in this document, which is JSON");
	else if (!e.made.failed)
		apply(&e, out);
	if (code == MW_OK && (e.made.failed || out->failed))
		code = mw_fail(err, MW_BODY_TOO_LARGE, "the merged document would have more than %zu bytes",
		    out->max);
	free(e.edit);
	mw_buf_free(&e.made);
	return code;
}
