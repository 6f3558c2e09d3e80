/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of settings: checked and stored, printed, released.  See settings.h. */
#include "conf/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

const struct mw_setting *
mw_setting_find(const char *key)
{
	size_t i;

	for (i = 0; i < mw_setting_count; i++) {
		if (strcmp(mw_settings[i].key, key) == 0)
			return &mw_settings[i];
	}
	return NULL;
}

bool
mw_setting_group(const char *key)
{
	size_t i, n = strlen(key);

	for (i = 0; i < mw_setting_count; i++) {
		if (strncmp(mw_settings[i].key, key, n) == 0 && mw_settings[i].key[n] == '.')
			return true;
	}
	return false;
}

void
mw_setting_env(const struct mw_setting *s, char out[MW_SET_ENV_MAX])
{
	char *p;

	(void)snprintf(out, MW_SET_ENV_MAX, "MOLTWORKER_%s", s->key);
	for (p = out; *p != '\0'; p++)
		*p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
}

void
mw_setting_expect(const struct mw_setting *s, char out[MW_SET_EXPECT_MAX])
{
	const char *what = s->expect;

	switch (s->type) {
	case MW_SET_INT:
		(void)snprintf(out, MW_SET_EXPECT_MAX, "an integer %lld..%lld",
		    (long long)s->min, (long long)s->max);
		return;
	case MW_SET_BOOL:
		(void)snprintf(out, MW_SET_EXPECT_MAX, "true or false");
		return;
	case MW_SET_WORD:
		(void)snprintf(out, MW_SET_EXPECT_MAX, "one of %s", s->words);
		return;
	case MW_SET_LIST:
		(void)snprintf(out, MW_SET_EXPECT_MAX, "a list of %s",
		    what != NULL ? what : "strings");
		return;
	case MW_SET_STRING:
		break;
	}
	if (what == NULL)
		what = "a string without control characters";
	(void)snprintf(out, MW_SET_EXPECT_MAX, "%s%s", what,
	    (s->flags & MW_SET_EMPTY) != 0 ? ", or \"\"" : "");
}

static char **
text_at(const struct mw_setting *s, struct mw_conf *c)
{
	return (char **)(void *)((char *)c + s->offset);
}

static struct mw_list *
list_at(const struct mw_setting *s, struct mw_conf *c)
{
	return (struct mw_list *)(void *)((char *)c + s->offset);
}

static bool
is_word(const char *words, const char *v)
{
	size_t n = strlen(v), k;

	for (; n > 0; words += k + 1) {
		k = strcspn(words, "|");
		if (k == n && memcmp(words, v, n) == 0)
			return true;
		if (words[k] == '\0')
			break;
	}
	return false;
}

/* What every string must be, whatever the row checks besides. */
static bool
text_ok(const struct mw_setting *s, const char *v)
{
	const unsigned char *p;

	if (strlen(v) > MW_SET_TEXT_MAX)
		return false;
	for (p = (const unsigned char *)v; *p != '\0'; p++) {
		if ((s->flags & MW_SET_LINES) != 0 && (*p == '\t' || *p == '\n'))
			continue;
		if (*p < 0x20 || *p == 0x7f)
			return false;
	}
	if (*v == '\0')
		return (s->flags & MW_SET_EMPTY) != 0;
	return s->check == NULL || s->check(v);
}

bool
mw_setting_put_text(const struct mw_setting *s, struct mw_conf *c, const char *v, bool *nomem)
{
	char **at = text_at(s, c), *copy;

	if (s->type == MW_SET_WORD ? !is_word(s->words, v) : !text_ok(s, v))
		return false;
	copy = strdup(v);
	if (copy == NULL) {
		*nomem = true;
		return false;
	}
	free(*at);
	*at = copy;
	return true;
}

bool
mw_setting_put_int(const struct mw_setting *s, struct mw_conf *c, int64_t v)
{
	if (v < s->min || v > s->max)
		return false;
	*(int64_t *)(void *)((char *)c + s->offset) = v;
	return true;
}

bool
mw_setting_put_bool(const struct mw_setting *s, struct mw_conf *c, bool v)
{
	*(bool *)((char *)c + s->offset) = v;
	return true;
}

static void
list_free(struct mw_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->item[i]);
	free(l->item);
	l->item = NULL;
	l->n = 0;
}

/* Some, and none of them twice. */
static bool
few(const char *const *item, size_t n)
{
	size_t i, k;

	for (i = 1; i < n && n <= MW_CONF_PATHS_MAX; i++) {
		for (k = 0; k < i; k++) {
			if (strcmp(item[i], item[k]) == 0)
				return false;
		}
	}
	return n > 0 && n <= MW_CONF_PATHS_MAX;
}

bool
mw_setting_put_list(const struct mw_setting *s, struct mw_conf *c,
    const char *const *item, size_t n, bool *nomem)
{
	struct mw_list new = { NULL, 0 };
	size_t i;

	if (n > MW_SET_LIST_MAX || ((s->flags & MW_SET_FEW) != 0 && !few(item, n)))
		return false;
	for (i = 0; i < n; i++) {
		if (!text_ok(s, item[i]))
			return false;
	}
	if (n > 0 && (new.item = calloc(n, sizeof(*new.item))) == NULL) {
		*nomem = true;
		return false;
	}
	for (i = 0; i < n; i++) {
		if ((new.item[i] = strdup(item[i])) == NULL) {
			list_free(&new);
			*nomem = true;
			return false;
		}
		new.n++;
	}
	list_free(list_at(s, c));
	*list_at(s, c) = new;
	return true;
}

static char *
trim(char *s)
{
	char *end;

	s += strspn(s, " \t");
	for (end = s + strlen(s); end > s && (end[-1] == ' ' || end[-1] == '\t'); end--)
		end[-1] = '\0';
	return s;
}

/* "a, b,c" in pieces; blanks around a piece do not count, and no text is no piece. */
static bool
put_commas(const struct mw_setting *s, struct mw_conf *c, const char *v, bool *nomem)
{
	const char *item[MW_SET_LIST_MAX];
	char *copy, *p, *next;
	size_t n = 0;
	bool good;

	copy = strdup(v);
	if (copy == NULL) {
		*nomem = true;
		return false;
	}
	next = *trim(copy) == '\0' ? NULL : copy;
	while ((p = next) != NULL && n < MW_SET_LIST_MAX) {
		next = strchr(p, ',');
		if (next != NULL)
			*next++ = '\0';
		item[n++] = trim(p);
	}
	good = p == NULL && mw_setting_put_list(s, c, item, n, nomem);
	free(copy);
	return good;
}

bool
mw_setting_put_any(const struct mw_setting *s, struct mw_conf *c, const char *v, bool *nomem)
{
	int64_t i;
	bool b;

	switch (s->type) {
	case MW_SET_INT:
		return mw_str_int(v, strlen(v), s->min, s->max, &i) && mw_setting_put_int(s, c, i);
	case MW_SET_BOOL:
		return mw_str_bool(v, strlen(v), &b) && mw_setting_put_bool(s, c, b);
	case MW_SET_LIST:
		return put_commas(s, c, v, nomem);
	case MW_SET_STRING:
	case MW_SET_WORD:
		break;
	}
	return mw_setting_put_text(s, c, v, nomem);
}

/* A libconfig string. */
static bool
print_text(struct mw_buf *out, const char *v)
{
	const unsigned char *p;
	bool good = mw_buf_addc(out, '"');

	for (p = (const unsigned char *)v; good && *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			good = mw_buf_addc(out, '\\') && mw_buf_addc(out, (char)*p);
		else if (*p < 0x20 || *p == 0x7f)
			good = mw_buf_addf(out, "\\x%02x", *p);
		else
			good = mw_buf_addc(out, (char)*p);
	}
	return good && mw_buf_addc(out, '"');
}

/* Enough of a credential to recognise it by. */
static bool
print_masked(struct mw_buf *out, const char *v)
{
	if (*v == '\0')
		return mw_buf_adds(out, "\"\"");
	if (strlen(v) <= 8)
		return mw_buf_adds(out, "\"…\"");
	return mw_buf_addf(out, "\"%.4s…\"", v);
}

bool
mw_setting_print(const struct mw_setting *s, const struct mw_conf *c, struct mw_buf *out)
{
	const char *at = (const char *)c + s->offset;
	const struct mw_list *l;
	const char *text;
	int64_t v;
	size_t i;
	bool good;

	switch (s->type) {
	case MW_SET_INT:
		v = *(const int64_t *)(const void *)at;
		return mw_buf_addf(out, "%lld%s", (long long)v, v > INT32_MAX ? "L" : "");
	case MW_SET_BOOL:
		return mw_buf_adds(out, *(const bool *)at ? "true" : "false");
	case MW_SET_LIST:
		l = (const struct mw_list *)(const void *)at;
		good = mw_buf_adds(out, "[");
		for (i = 0; i < l->n; i++)
			good = good && mw_buf_adds(out, i > 0 ? ", " : " ") && print_text(out, l->item[i]);
		return good && mw_buf_adds(out, l->n > 0 ? " ]" : "]");
	case MW_SET_STRING:
	case MW_SET_WORD:
		break;
	}
	text = *(char *const *)(const void *)at;
	return (s->flags & MW_SET_MASK) != 0 ? print_masked(out, text) : print_text(out, text);
}

void
mw_setting_free(const struct mw_setting *s, struct mw_conf *c)
{
	if (s->type == MW_SET_LIST)
		list_free(list_at(s, c));
	else if (s->type == MW_SET_STRING || s->type == MW_SET_WORD)
		free(*text_at(s, c));
}
