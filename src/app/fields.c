/* SPDX-License-Identifier: BSD-2-Clause */
/* Members of a JSON object in a request's body, by a table. */
#include "app/fields.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

void
mw_fields_init(struct mw_fields *f, const struct mw_field *table, void *base, struct mw_err *err)
{
	memset(f, 0, sizeof(*f));
	f->table = table;
	f->base = base;
	f->err = err;
	f->depth = 1;
}

void
mw_fields_next(struct mw_fields *f, void *base, int64_t row)
{
	f->base = base;
	f->row = row;
	f->field = NULL;
	f->seen = 0;
}

/* ---- failures ---- */

static enum mw_code
fail(struct mw_fields *f, const struct mw_field *field, enum mw_code code, const char *how,
    const char *what)
{
	char row[64] = "";

	f->failed = field->name;
	if (f->list != NULL)
		(void)snprintf(row, sizeof(row), "%s[%lld].", f->list, (long long)f->row);
	return mw_fail(f->err, code, "%s%s: %s%.180s", row, field->name, how, what);
}

enum mw_code
mw_fields_bad(struct mw_fields *f, const struct mw_field *field, enum mw_code code,
    const char *what)
{
	return fail(f, field, code, "", what);
}

enum mw_code
mw_fields_wrong(struct mw_fields *f, const struct mw_field *field, const char *how)
{
	char what[160];

	(void)snprintf(what, sizeof(what), "expected %s", field->expected);
	return fail(f, field, MW_INVALID_ARGUMENT, how, what);
}

bool
mw_fields_has(const struct mw_fields *f, const struct mw_field *field)
{
	return (f->seen & (uint32_t)1 << (field - f->table)) != 0;
}

enum mw_code
mw_fields_need(struct mw_fields *f, const struct mw_field *field)
{
	return mw_fields_has(f, field) ? MW_OK : mw_fields_wrong(f, field, "missing; ");
}

/* ---- names ---- */

const struct mw_field *
mw_field_find(const struct mw_field *table, unsigned use, const char *name, size_t n)
{
	const struct mw_field *m;

	for (m = table; m->name != NULL; m++) {
		if ((m->uses == 0 || (m->uses & use) != 0) && strlen(m->name) == n &&
		    memcmp(m->name, name, n) == 0)
			return m;
	}
	return NULL;
}

static enum mw_code
take_key(struct mw_fields *f, const char *s, size_t n)
{
	f->field = mw_field_find(f->table, f->use, s, n);
	f->len = 0;
	if (f->field == NULL)
		return MW_OK;
	if (mw_fields_has(f, f->field))
		return mw_fields_wrong(f, f->field, "given twice; ");
	f->seen |= (uint32_t)1 << (f->field - f->table);
	return MW_OK;
}

/* ---- values ---- */

static void *
target(const struct mw_fields *f)
{
	return (char *)f->base + f->field->at;
}

static enum mw_code
take_int(struct mw_fields *f, const char *s, size_t n)
{
	const struct mw_field *m = f->field;
	bool negative = n > 1 && s[0] == '-';
	int64_t v;

	/* The text ends where n says: there may be digits of something else behind. */
	if (!mw_str_digits(s + negative, n - negative))
		return mw_fields_wrong(f, m, "");
	if (!mw_str_int(s, n, INT64_MIN, INT64_MAX, &v))
		v = negative ? INT64_MIN : INT64_MAX;
	if (v > m->max && m->cap)
		v = m->max;
	if (v < m->min || v > m->max)
		return mw_fields_wrong(f, m, "");
	*(int64_t *)target(f) = v;
	return MW_OK;
}

static enum mw_code
take_chunk(struct mw_fields *f, const char *s, size_t n)
{
	struct mw_buf *b = f->field->kind == MW_FIELD_TEXT ? target(f) : NULL;

	if (n > (b != NULL ? b->max - b->len : MW_FIELD_STRING_MAX - f->len))
		return mw_fields_bad(f, f->field, MW_INVALID_ARGUMENT, "too long");
	if (b != NULL)
		return mw_buf_add(b, s, n) ? MW_OK :
		    mw_fail(f->err, MW_INTERNAL_ERROR, "out of memory");
	memcpy(f->text + f->len, s, n);
	f->len += n;
	return MW_OK;
}

static enum mw_code
take_word(struct mw_fields *f)
{
	const char *const *words = f->field->words;
	unsigned i;

	for (i = 0; words[i] != NULL; i++) {
		if (strlen(words[i]) == f->len && memcmp(words[i], f->text, f->len) == 0) {
			*(unsigned *)target(f) = i;
			return MW_OK;
		}
	}
	return mw_fields_wrong(f, f->field, "");
}

static enum mw_code
string_end(struct mw_fields *f)
{
	f->text[f->len] = '\0';
	if (f->field->kind == MW_FIELD_WORD)
		return take_word(f);
	return f->field->done != NULL ? f->field->done(f) : MW_OK;
}

/* Of a member that is not the caller's own. */
static enum mw_code
value(struct mw_fields *f, enum mw_json_event ev, const char *s, size_t n)
{
	enum mw_field_kind kind = f->field->kind;

	switch (ev) {
	case MW_JSON_CHUNK:
		return take_chunk(f, s, n);
	case MW_JSON_STRING_END:
		return string_end(f);
	case MW_JSON_STRING:
		if (kind == MW_FIELD_WORD || kind == MW_FIELD_STRING || kind == MW_FIELD_TEXT)
			return MW_OK;
		break;
	case MW_JSON_NUMBER:
		if (kind == MW_FIELD_INT)
			return take_int(f, s, n);
		break;
	case MW_JSON_TRUE:
	case MW_JSON_FALSE:
		if (kind != MW_FIELD_BOOL)
			break;
		*(bool *)target(f) = ev == MW_JSON_TRUE;
		return MW_OK;
	default:
		break;
	}
	return mw_fields_wrong(f, f->field, "");
}

enum mw_code
mw_fields_event(void *fields, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	struct mw_fields *f = fields;

	if (depth == 0 && ev != MW_JSON_OBJECT && ev != MW_JSON_OBJECT_END)
		return mw_fail(f->err, MW_INVALID_ARGUMENT,
		    "body: expected a JSON object with the member %s", f->table->name);
	if (depth < f->depth)
		return MW_OK;
	if (depth == f->depth && ev == MW_JSON_KEY)
		return take_key(f, s, n);
	if (f->field == NULL || (ev == MW_JSON_NULL && depth == f->depth && f->field->null))
		return MW_OK;
	if (f->field->kind == MW_FIELD_OWN)
		return f->field->event(f, ev, s, n, depth - f->depth);
	return value(f, ev, s, n);
}
