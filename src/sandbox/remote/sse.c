/* SPDX-License-Identifier: BSD-2-Clause */
/* A reader of server-sent events. */
#include "sandbox/remote/sse.h"

#include <string.h>

void
mw_sse_init(struct mw_sse *s, mw_sse_fn fn, void *arg)
{
	memset(s, 0, sizeof(*s));
	s->fn = fn;
	s->arg = arg;
	mw_buf_init(&s->data, MW_SSE_DATA_MAX);
}

void
mw_sse_free(struct mw_sse *s)
{
	mw_buf_free(&s->data);
}

/* The value of the line begins: "data" lines of one event are joined by LF. */
static bool
begin_value(struct mw_sse *s)
{
	s->field[s->len < MW_SSE_FIELD_MAX ? s->len : MW_SSE_FIELD_MAX] = '\0';
	s->in_value = true;
	s->started = false;
	s->len = 0;
	if (strcmp(s->field, "event") == 0)
		s->name[0] = '\0';
	if (strcmp(s->field, "data") != 0)
		return true;
	if (s->has_data && !mw_buf_addc(&s->data, '\n'))
		return false;
	s->has_data = true;
	return true;
}

static bool
add_value(struct mw_sse *s, const char *p, size_t n)
{
	size_t room;

	if (n > 0 && !s->started) {
		s->started = true;
		if (*p == ' ') {	/* one space after the colon is not the value's */
			p++;
			n--;
		}
	}
	if (strcmp(s->field, "data") == 0)
		return mw_buf_add(&s->data, p, n);
	if (strcmp(s->field, "event") == 0) {
		room = MW_SSE_NAME_MAX - s->len;
		n = n < room ? n : room;
		memcpy(s->name + s->len, p, n);
		s->len += n;
		s->name[s->len] = '\0';
	}
	return true;
}

static bool
dispatch(struct mw_sse *s)
{
	bool good = true;

	if (s->has_data)
		good = mw_buf_add(&s->data, "", 0) &&
		    s->fn(s->arg, s->name, s->data.len > 0 ? s->data.data : "", s->data.len);
	mw_buf_reset(&s->data);
	s->has_data = false;
	s->name[0] = '\0';
	return good;
}

static bool
end_line(struct mw_sse *s)
{
	bool good = true;

	if (!s->in_value && s->len == 0)
		good = dispatch(s);
	else if (!s->in_value)		/* a field without a colon has an empty value */
		good = begin_value(s);
	s->in_value = false;
	s->len = 0;
	return good;
}

/* The part of p[0..n) up to the end of its line, or all of it; *used bytes. */
static bool
take(struct mw_sse *s, const char *p, size_t n, size_t *used)
{
	size_t i;

	if (!s->in_value) {
		*used = 1;
		if (*p == ':')
			return begin_value(s);
		if (s->len < MW_SSE_FIELD_MAX)
			s->field[s->len] = *p;
		s->len++;
		return true;
	}
	for (i = 0; i < n && p[i] != '\n' && p[i] != '\r'; i++)
		continue;
	*used = i;
	return add_value(s, p, i);
}

bool
mw_sse_feed(struct mw_sse *s, const char *p, size_t n)
{
	size_t used;

	while (n > 0 && !s->stopped) {
		used = 1;
		if (*p == '\n' && s->after_cr) {
			s->after_cr = false;
		} else if (*p == '\n' || *p == '\r') {
			s->after_cr = *p == '\r';
			s->stopped = !end_line(s);
		} else {
			s->after_cr = false;
			s->stopped = !take(s, p, n, &used);
		}
		p += used;
		n -= used;
	}
	return !s->stopped;
}
