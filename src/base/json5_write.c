/* SPDX-License-Identifier: BSD-2-Clause */
/* New members of a JSON5 document, written the way their neighbours are. */
#include "base/json5.h"
#include "base/json5_internal.h"

#include <string.h>

#include "base/utf8.h"

size_t
mw_json5_blanks_before(const char *s, size_t at)
{
	while (at > 0 && (s[at - 1] == ' ' || s[at - 1] == '\t'))
		at--;
	return at;
}

size_t
mw_json5_blanks_after(const char *s, size_t at)
{
	while (s[at] == ' ' || s[at] == '\t')
		at++;
	return at;
}

/* ---- what the neighbours show ---- */

/* The quote of the first string or quoted name, 0 if there is none. */
static char
first_quote(const struct mw_json5_doc *d, const struct mw_json5 *v)
{
	const struct mw_json5 *m;
	char c;

	if (v->key != NULL && ((c = d->s[v->key->from]) == '"' || c == '\''))
		return c;
	if (v->type == MW_JSON5_STRING)
		return d->s[v->from];
	for (m = v->first; m != NULL; m = m->next) {
		if ((c = first_quote(d, m)) != '\0')
			return c;
	}
	return '\0';
}

void
mw_json5_style_default(struct mw_json5_style *st, const struct mw_json5_doc *d)
{
	char quote = first_quote(d, &d->root);

	if (quote == '\0')
		quote = '"';
	*st = (struct mw_json5_style){ .json = d->json, .name_quote = quote, .quote = quote,
	    .indent = "", .unit = "  ", .unit_n = 2, .gap = " ", .gap_n = 1,
	    .colon = ": ", .colon_n = 2, .eol = "\n" };
}

void
mw_json5_style(struct mw_json5_style *st, const struct mw_json5_doc *d, const struct mw_json5 *o,
    const struct mw_json5_style *around)
{
	const struct mw_json5 *m;
	bool name = false, text = false;
	char c;

	*st = *around;
	st->trailing = false;
	if (o->first != NULL)
		st->bare = false;
	for (m = o->first; m != NULL; m = m->next) {
		c = d->s[m->key->from];
		if (c != '"' && c != '\'')
			st->bare = true;
		else if (!name)
			st->name_quote = c;
		name = name || c == '"' || c == '\'';
		if (m->type == MW_JSON5_STRING && !text) {
			st->quote = d->s[m->from];
			text = true;
		}
		st->trailing = m->comma != 0;
	}
	if (!name && text)
		st->name_quote = st->quote;
}

/* Its line, if it is the first on one. */
static void
like_line(struct mw_json5_style *st, const char *s, size_t key, const struct mw_json5_style *around)
{
	size_t begin = mw_json5_blanks_before(s, key), more;

	st->lines = begin > 0 && (s[begin - 1] == '\n' || s[begin - 1] == '\r');
	if (!st->lines)
		return;
	st->indent = s + begin;
	st->indent_n = key - begin;
	st->eol = s[begin - 1] == '\r' ? "\r" : begin > 1 && s[begin - 2] == '\r' ? "\r\n" : "\n";
	more = around->indent_n;
	if (st->indent_n > more && memcmp(st->indent, around->indent, more) == 0) {
		st->unit = st->indent + more;
		st->unit_n = st->indent_n - more;
	}
}

void
mw_json5_style_like(struct mw_json5_style *st, const struct mw_json5_doc *d, const struct mw_json5 *o,
    const struct mw_json5 *before, const struct mw_json5 *m, const struct mw_json5_style *around)
{
	const char *s = d->s;
	size_t at = mw_json5_blanks_after(s, m->key->to), from = before != NULL ? before->comma + 1 : 0;

	like_line(st, s, m->key->from, around);
	st->colon = ": ";
	st->colon_n = 2;
	if (s[at] == ':' && mw_json5_blanks_after(s, at + 1) == m->from) {
		st->colon = s + m->key->to;
		st->colon_n = m->from - m->key->to;
	}
	st->pad = mw_json5_blanks_after(s, o->from + 1) == o->first->key->from &&
	    o->first->key->from > o->from + 1;
	st->gap = " ";
	st->gap_n = st->colon_n > 1 || st->pad;
	if (before != NULL && mw_json5_blanks_after(s, from) == m->key->from) {
		st->gap = s + from;
		st->gap_n = m->key->from - from;
	}
	if (m->type == MW_JSON5_STRING)
		st->quote = s[m->from];
}

/* ---- writing ---- */

void
mw_json5_put_line(struct mw_buf *out, const struct mw_json5_style *st, unsigned level)
{
	(void)mw_buf_adds(out, st->eol);
	if (st->indent_n > 0)
		(void)mw_buf_add(out, st->indent, st->indent_n);
	while (level-- > 0)
		(void)mw_buf_add(out, st->unit, st->unit_n);
}

static bool
plain_name(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if ((unsigned char)s[i] >= 0x80 || !mw_utf8_letter((unsigned char)s[i], i == 0))
			return false;
	}
	return n > 0;
}

void
mw_json5_put_member(struct mw_json5_writer *w, const struct mw_json5 *m,
    const struct mw_json5_style *st, unsigned level)
{
	if (st->bare && plain_name(m->key->name, m->key->len))
		(void)mw_buf_add(w->out, m->key->name, m->key->len);
	else
		mw_json5_put_text(w->out, m->key->name, m->key->len, st->name_quote);
	(void)mw_buf_add(w->out, st->colon, st->colon_n);
	mw_json5_put_value(w, m, st, level);
}

/* Does an array want lines of its own for its elements? */
static bool
has_groups(const struct mw_json5 *v)
{
	const struct mw_json5 *m;

	for (m = v->first; m != NULL; m = m->next) {
		if (m->first != NULL)
			return true;
	}
	return false;
}

/* RFC 7396 leaves out what is null, but takes arrays as they are. */
static bool
left_out(const struct mw_json5_writer *w, const struct mw_json5 *m)
{
	return m->key != NULL && m->type == MW_JSON5_NULL && w->arrays == 0;
}

static void
put_group(struct mw_json5_writer *w, const struct mw_json5 *v, const struct mw_json5_style *st,
    unsigned level)
{
	bool object = v->type == MW_JSON5_OBJECT, any = false;
	bool lines = st->lines && (object || has_groups(v));
	const struct mw_json5 *m;

	w->arrays += !object;
	(void)mw_buf_addc(w->out, object ? '{' : '[');
	for (m = v->first; m != NULL; m = m->next) {
		if (left_out(w, m))
			continue;
		if (any)
			(void)mw_buf_addc(w->out, ',');
		if (lines)
			mw_json5_put_line(w->out, st, level + 1);
		else if (any)
			(void)mw_buf_add(w->out, st->gap, st->gap_n);
		else if (object && st->pad)
			(void)mw_buf_addc(w->out, ' ');
		any = true;
		if (object)
			mw_json5_put_member(w, m, st, level + 1);
		else
			mw_json5_put_value(w, m, st, level + 1);
	}
	if (any && lines) {
		if (st->trailing)
			(void)mw_buf_addc(w->out, ',');
		mw_json5_put_line(w->out, st, level);
	} else if (any && object && st->pad) {
		(void)mw_buf_addc(w->out, ' ');
	}
	(void)mw_buf_addc(w->out, object ? '}' : ']');
	w->arrays -= !object;
}

void
mw_json5_put_value(struct mw_json5_writer *w, const struct mw_json5 *v,
    const struct mw_json5_style *st, unsigned level)
{
	const char *s = w->doc->s + v->from;
	size_t len = v->to - v->from;

	switch (v->type) {
	case MW_JSON5_OBJECT:
	case MW_JSON5_ARRAY:
		put_group(w, v, st, level);
		return;
	case MW_JSON5_STRING:
		if ((s = mw_json5_text(w->arena, w->doc->s, v->from, v->to, &len)) == NULL)
			w->nomem = true;
		else
			mw_json5_put_text(w->out, s, len, st->quote);
		return;
	case MW_JSON5_NUMBER:
		if (st->json) {
			w->infinite |= !mw_json5_put_number(w->arena, w->out, s, len);
			return;
		}
		/* FALLTHROUGH */
	default:
		(void)mw_buf_add(w->out, s, len);
	}
}
