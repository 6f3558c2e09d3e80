/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a JSON document, whole and in pieces: all must say the same.
 * The same bytes as content: escaped and parsed, they come back; encoded in
 * base64 and decoded in pieces, too; and as base64, they decode to something
 * that encodes to them.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/json.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"

#define TRACE_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool good)
{
	if (!good)
		abort();
}

static bool
collect(void *arg, const void *p, size_t n)
{
	return mw_buf_add(arg, p, n);
}

/* What a document said.  Each string value's bytes are checked as a whole. */
struct trace {
	struct mw_buf events;
	struct mw_buf string;
	unsigned depth;
	bool open;		/* within a string */
};

static void
check_order(struct trace *t, enum mw_json_event ev, size_t n, unsigned depth)
{
	if (ev == MW_JSON_OBJECT_END || ev == MW_JSON_ARRAY_END)
		t->depth--;
	must(depth == t->depth && depth <= MW_JSON_DEPTH_MAX);
	if (ev == MW_JSON_OBJECT || ev == MW_JSON_ARRAY)
		t->depth++;
	must(t->open == (ev == MW_JSON_CHUNK || ev == MW_JSON_STRING_END));
	must(ev != MW_JSON_CHUNK || n > 0);
	must(ev != MW_JSON_KEY || n <= MW_JSON_KEY_MAX);
	must(ev != MW_JSON_NUMBER || (n > 0 && n <= MW_JSON_NUMBER_MAX));
}

static enum mw_code
record(void *arg, enum mw_json_event ev, const char *text, size_t n, unsigned depth)
{
	struct trace *t = arg;

	check_order(t, ev, n, depth);
	if (ev == MW_JSON_CHUNK) {
		must(mw_buf_add(&t->string, text, n));
		return MW_OK;
	}
	must(mw_buf_addf(&t->events, "%d.%u.%zu.", (int)ev, depth, n));
	must(n == 0 || mw_buf_add(&t->events, text, n));
	t->open = ev == MW_JSON_STRING;
	if (ev == MW_JSON_STRING)
		mw_buf_reset(&t->string);
	if (ev == MW_JSON_STRING_END) {
		must(mw_utf8_valid(t->string.data, t->string.len));
		must(mw_buf_add(&t->events, t->string.data, t->string.len));
	}
	return MW_OK;
}

/* Pieces of `first` bytes, then `step` bytes each. */
static enum mw_code
parse(struct trace *t, const char *s, size_t n, size_t first, size_t step, struct mw_err *err)
{
	struct mw_json j;
	enum mw_code rc;
	char *piece;
	size_t at, len;

	memset(t, 0, sizeof(*t));
	mw_buf_init(&t->events, TRACE_MAX);
	mw_buf_init(&t->string, TRACE_MAX);
	mw_json_init(&j, record, t);
	for (rc = MW_OK, at = 0, len = first; rc == MW_OK && at < n; at += len, len = step) {
		if (len > n - at)
			len = n - at;
		/* A copy of its own, so that reading past it is seen. */
		piece = malloc(len > 0 ? len : 1);
		must(piece != NULL);
		memcpy(piece, s + at, len);
		rc = mw_json_feed(&j, piece, len, err);
		free(piece);
	}
	if (rc == MW_OK)
		rc = mw_json_finish(&j, err);
	must(j.offset >= 0 && (size_t)j.offset <= n);
	must(rc != MW_OK || ((size_t)j.offset == n && t->depth == 0 && !t->open));
	return rc;
}

static void
trace_free(struct trace *t)
{
	mw_buf_free(&t->events);
	mw_buf_free(&t->string);
}

/* On failure the pieces may have told less or more of a string: only the
 * verdict and its text must agree then. */
static void
check_splits(const char *s, size_t n)
{
	const size_t steps[][2] = { { 1, 1 }, { n / 2, n + 1 }, { n / 3, 7 }, { 8, 3 } };
	struct mw_err err = { 0 }, err2;
	struct trace whole, t;
	enum mw_code rc;
	size_t i;

	rc = parse(&whole, s, n, n, n + 1, &err);
	must(rc == err.code && (rc == MW_OK || rc == MW_INVALID_JSON));
	must(mw_utf8_valid(err.msg, strlen(err.msg)));
	/* A key that was cut may end within a character; all else is UTF-8. */
	must(rc != MW_OK || mw_utf8_valid(s, n));
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		mw_err_clear(&err2);
		must(parse(&t, s, n, steps[i][0], steps[i][1], &err2) == rc);
		must(strcmp(err.msg, err2.msg) == 0);
		must(rc != MW_OK || (t.events.len == whole.events.len &&
		    memcmp(t.events.data, whole.events.data, t.events.len) == 0));
		trace_free(&t);
	}
	trace_free(&whole);
}

static void
check_escape(const char *s, size_t n)
{
	struct mw_err err = { 0 };
	struct mw_buf doc;
	struct trace t;

	if (!mw_utf8_valid(s, n)) {
		must(mw_utf8_span(s, n) < n);
		return;
	}
	mw_buf_init(&doc, TRACE_MAX);
	must(mw_buf_addc(&doc, '"') && mw_json_escape(collect, &doc, s, n) &&
	    mw_buf_addc(&doc, '"'));
	must(parse(&t, doc.data, doc.len, doc.len / 2, 5, &err) == MW_OK);
	must(t.string.len == n && (n == 0 || memcmp(t.string.data, s, n) == 0));
	trace_free(&t);
	mw_buf_free(&doc);
}

/* Decode in two pieces; the length, or -1. */
static long
decode(const char *s, size_t n, size_t cut, unsigned char *out)
{
	struct mw_base64 d = { 0 };
	long one, two;

	one = mw_base64_decode(&d, s, cut, out);
	if (one < 0)
		return -1;
	two = mw_base64_decode(&d, s + cut, n - cut, out + one);
	return two < 0 || !mw_base64_finish(&d) ? -1 : one + two;
}

static void
check_base64(const char *s, size_t n)
{
	struct mw_buf b;
	unsigned char *out;
	size_t room, cut = n > 0 ? (unsigned char)s[0] % (n + 1) : 0;
	long len;

	mw_buf_init(&b, TRACE_MAX);
	must(mw_buf_add(&b, "", 0) && mw_base64_write(collect, &b, s, n));
	room = 3 * ((b.len + 3) / 4 + 1);
	out = malloc(room);
	must(out != NULL && b.len == (n + 2) / 3 * 4);
	must(decode(b.data, b.len, b.len < cut ? b.len : cut, out) == (long)n);
	must(n == 0 || memcmp(out, s, n) == 0);
	len = decode(s, n, cut, out);
	must(len == decode(s, n, 0, out));
	if (len >= 0) {
		mw_buf_reset(&b);
		must(mw_base64_write(collect, &b, out, (size_t)len));
		must(b.len == n && (n == 0 || memcmp(b.data, s, n) == 0));
	}
	free(out);
	mw_buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const char *s = (const char *)data;

	check_splits(s, size);
	check_escape(s, size);
	check_base64(s, size);
	return 0;
}
