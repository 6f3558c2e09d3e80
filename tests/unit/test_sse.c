/* SPDX-License-Identifier: BSD-2-Clause */
/* Server-sent events, whole and in pieces. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/remote/sse.h"
#include "tap.h"

struct seen {
	char text[1024];	/* "name=data;" of each event */
	size_t events, stop_at;
};

static bool
note(void *arg, const char *name, const char *data, size_t n)
{
	struct seen *s = arg;
	size_t len = strlen(s->text);

	(void)snprintf(s->text + len, sizeof(s->text) - len, "%s=%.*s;", name, (int)n, data);
	return ++s->events != s->stop_at;
}

static bool
parse(const char *p, size_t n, size_t step, struct seen *s)
{
	struct mw_sse sse;
	bool good = true;
	size_t i;

	mw_sse_init(&sse, note, s);
	for (i = 0; i < n && good; i += step)
		good = mw_sse_feed(&sse, p + i, n - i < step ? n - i : step);
	mw_sse_free(&sse);
	return good;
}

static void
test_rows(void)
{
	static const struct { const char *in, *want, *what; } rows[] = {
		{ "data: a\n\n", "=a;", "one line" },
		{ "event: exit\ndata: {}\n\n", "exit={};", "a name" },
		{ "data:a\n\n", "=a;", "no space after the colon" },
		{ "data:  a\n\n", "= a;", "one space is not the value's" },
		{ "data: a\ndata: b\n\n", "=a\nb;", "two lines are joined" },
		{ "data:\n\n", "=;", "an empty value" },
		{ "data\n\n", "=;", "a field without a colon" },
		{ "data: a\r\n\r\ndata: b\r\n\r\n", "=a;=b;", "CR LF" },
		{ "data: a\r\rdata: b\r\r", "=a;=b;", "CR" },
		{ ": ping\n\ndata: a\n\n", "=a;", "comments" },
		{ "id: 7\nretry: 3\ndata: a\n\n", "=a;", "other fields" },
		{ "event: x\n\ndata: a\n\n", "=a;", "a name without data is no event" },
		{ "event: x\nevent: y\ndata: a\n\n", "y=a;", "the last name counts" },
		{ "data: a\n\nevent: x\ndata: b\n\n", "=a;x=b;", "a name is of one event" },
		{ "data: a\n", "", "cut off before its end: none" },
		{ "data: a:b: c\n\n", "=a:b: c;", "colons in a value" },
		{ "verylongfieldname_data: x\ndata: a\n\n", "=a;", "a long field" },
		{ "database: x\ndata: a\n\n", "=a;", "a field that begins alike" },
		{ "event\ndata: a\n\n", "=a;", "a name without a colon" },
		{ "", "", "nothing" },
		{ "\n\n\n", "", "empty lines" },
	};
	static const size_t steps[] = { 1, 2, 3, 7, 1000 };
	size_t i, j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
			struct seen s = { .events = 0 };

			ok(parse(rows[i].in, strlen(rows[i].in), steps[j], &s), "%s: taken",
			    rows[i].what);
			is_str(s.text, rows[i].want, rows[i].what);
		}
	}
}

static void
test_limits(void)
{
	struct seen s = { .stop_at = 1 };
	static char big[MW_SSE_DATA_MAX + 100];
	char name[200];

	ok(!parse("data: a\n\ndata: b\n\n", 18, 100, &s), "the receiver may stop it");
	is_str(s.text, "=a;", "and gets no more");
	memset(big, 'x', sizeof(big));
	memcpy(big, "data: ", 6);
	s = (struct seen){ .events = 0 };
	ok(!parse(big, sizeof(big), 65536, &s), "an event without end is refused");
	is_int((int64_t)s.events, 0, "and is none");
	(void)snprintf(name, sizeof(name), "event: %0150d\ndata: a\n\n", 0);
	s = (struct seen){ .events = 0 };
	ok(parse(name, strlen(name), 10, &s), "a long name is taken");
	is_int((int64_t)strlen(s.text), MW_SSE_NAME_MAX + 3, "and cut");
}

int
main(void)
{
	test_rows();
	test_limits();
	return done();
}
