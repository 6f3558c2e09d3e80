/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool
collect(void *arg, const void *p, size_t n)
{
	return mw_buf_add(arg, p, n);
}

static bool
refuse(void *arg, const void *p, size_t n)
{
	(void)p;
	(void)n;
	++*(int *)arg;
	return false;
}

static void
test_escape(void)
{
	static const struct {
		const char *in;
		size_t n;
		const char *want;
	} t[] = {
		{ "", 0, "" },
		{ "plain text", 10, "plain text" },
		{ "\"\\/", 3, "\\\"\\\\/" },
		{ "\n\t\r\b\f", 5, "\\n\\t\\r\\b\\f" },
		{ "\0\x01\x1f\x0b", 4, "\\u0000\\u0001\\u001f\\u000b" },
		{ "\x7f\xc3\xa9\xe2\x80\xa8", 6, "\x7f\xc3\xa9\xe2\x80\xa8" },
		{ "12345678\"12345678\n", 18, "12345678\\\"12345678\\n" },
		{ "\xc2\xa2\xc2\x9c!\x22#", 7, "\xc2\xa2\xc2\x9c!\\\"#" },
	};
	struct mw_buf b;
	size_t i;
	int calls = 0;

	for (i = 0; i < COUNT(t); i++) {
		mw_buf_init(&b, 1000);
		ok(mw_buf_adds(&b, "") && mw_json_escape(collect, &b, t[i].in, t[i].n) &&
		    mw_json_escaped(t[i].in, t[i].n) == b.len &&
		    strcmp(b.data, t[i].want) == 0, "escape row %zu", i);
		mw_buf_free(&b);
	}
	ok(!mw_json_escape(refuse, &calls, "abc", 3) && calls == 1, "a writer that fails ends it");
}

/* The obvious escaper, to hold the fast one against. */
static void
slow_escape(struct mw_buf *b, const unsigned char *s, size_t n)
{
	static const char from[] = "\b\t\n\f\r\"\\", to[] = "btnfr\"\\";
	const char *at;
	size_t i;

	for (i = 0; i < n; i++) {
		at = s[i] == 0 ? NULL : strchr(from, s[i]);
		if (at != NULL)
			(void)mw_buf_addf(b, "\\%c", to[at - from]);
		else if (s[i] < 0x20)
			(void)mw_buf_addf(b, "\\u%04x", s[i]);
		else
			(void)mw_buf_addc(b, (char)s[i]);
	}
}

/* Every byte at every place of a word, and inputs around the staging size. */
static void
test_escape_all(void)
{
	static const size_t lengths[] = { 1360, 1366, 8177, 8178, 8185, 8192, 8193, 30000 };
	unsigned char *s = malloc(30000);
	struct mw_buf a, b;
	size_t i, k, n, wrong = 0;

	mw_buf_init(&a, 1 << 20);
	mw_buf_init(&b, 1 << 20);
	for (i = 0; i < 256 * 24; i++) {
		memset(s, 'x', 24);
		s[i % 24] = (unsigned char)(i / 24);
		mw_buf_reset(&a);
		mw_buf_reset(&b);
		slow_escape(&a, s, 24);
		wrong += !mw_json_escape(collect, &b, (char *)s, 24) ||
		    mw_json_escaped((char *)s, 24) != a.len || a.len != b.len || memcmp(a.data, b.data, a.len) != 0;
	}
	is_int((int64_t)wrong, 0, "every byte at every place");
	for (wrong = 0, i = 0; i < COUNT(lengths) * 3; i++) {
		n = lengths[i / 3];
		for (k = 0; k < n; k++)
			s[k] = i % 3 == 0 ? 1 : i % 3 == 1 ? (unsigned char)(k * 7 % 128) : 'y';
		mw_buf_reset(&a);
		mw_buf_reset(&b);
		slow_escape(&a, s, n);
		wrong += !mw_json_escape(collect, &b, (char *)s, n) ||
		    mw_json_escaped((char *)s, n) != a.len || a.len != b.len ||
		    memcmp(a.data, b.data, a.len) != 0;
	}
	is_int((int64_t)wrong, 0, "long inputs");
	for (wrong = 0, n = 8160; n < 8200; n++) {
		memset(s, 'y', n + 20);
		s[n] = 1;
		mw_buf_reset(&b);
		wrong += !mw_json_escape(collect, &b, (char *)s, n + 20) ||
		    b.len != n + 25 || memcmp(b.data + n - 1, "y\\u0001y", 8) != 0;
	}
	is_int((int64_t)wrong, 0, "an escape at every place near the end of the staging buffer");
	mw_buf_free(&a);
	mw_buf_free(&b);
	free(s);
}

static void
test_base64(void)
{
	static const struct {
		const char *raw, *text;
	} t[] = {		/* RFC 4648 10 */
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
		{ "\xff\xef\xbe", "/+++" },
	};
	static const char *const refused[] = {
		"Z", "Zg", "Zg=", "Zm8", "=", "==", "Z=", "Z===", "Zg===", "Zm9v=", "Zg==Zg==",
		"Zm 9", "Zm9v\n", "Zm-_", "Zh==", "Zm9=", "Zg=a", "Zg==a", "Zg==Zm9v", "\xff\xff\xff\xff",
	};
	struct mw_base64 d;
	struct mw_buf b;
	unsigned char out[64];
	size_t i, cut, n, bad;
	long one, two;

	for (i = 0; i < COUNT(t); i++) {
		mw_buf_init(&b, 100);
		ok(mw_buf_adds(&b, "") && mw_base64_write(collect, &b, t[i].raw,
		    strlen(t[i].raw)) && strcmp(b.data, t[i].text) == 0, "base64 row %zu", i);
		mw_buf_free(&b);
		n = strlen(t[i].text);
		for (bad = 0, cut = 0; cut <= n; cut++) {
			memset(&d, 0, sizeof(d));
			one = mw_base64_decode(&d, t[i].text, cut, out);
			two = one < 0 ? -1 :
			    mw_base64_decode(&d, t[i].text + cut, n - cut, out + one);
			bad += two < 0 || !mw_base64_finish(&d) ||
			    (size_t)(one + two) != strlen(t[i].raw) ||
			    memcmp(out, t[i].raw, (size_t)(one + two)) != 0;
		}
		is_int((int64_t)bad, 0, "decodes, cut anywhere");
	}
	for (i = 0; i < COUNT(refused); i++) {
		memset(&d, 0, sizeof(d));
		ok(mw_base64_decode(&d, refused[i], strlen(refused[i]), out) < 0 ||
		    !mw_base64_finish(&d), "base64 refused: row %zu", i);
	}
}

static void
test_base64_long(void)
{
	enum { N = 3 * 2048 * 2 + 5 };
	unsigned char *raw = malloc(N), *out = malloc(2 * N);
	struct mw_base64 d;
	struct mw_buf b;
	size_t n, i, wrong = 0;

	for (i = 0; i < N; i++)
		raw[i] = (unsigned char)(i * 31 + i / 256);
	mw_buf_init(&b, 1 << 20);
	for (n = 3 * 2048 - 4; n <= N; n += n == 3 * 2048 + 4 ? N - n - 9 : 1) {
		mw_buf_reset(&b);
		memset(&d, 0, sizeof(d));
		wrong += !mw_base64_write(collect, &b, raw, n) || b.len != (n + 2) / 3 * 4 ||
		    mw_base64_decode(&d, b.data, b.len, out) != (long)n ||
		    !mw_base64_finish(&d) || memcmp(raw, out, n) != 0;
	}
	is_int((int64_t)wrong, 0, "long base64 round trips");
	mw_buf_free(&b);
	free(raw);
	free(out);
}

/* The events of a document as text: {k"key"s"value"n"1"t}; chunks are joined. */
struct trace {
	struct mw_buf b;
	bool open;
	unsigned max_depth;
};

static enum mw_code
trace_event(void *arg, enum mw_json_event ev, const char *text, size_t n, unsigned depth)
{
	static const char marks[] = {
		[MW_JSON_OBJECT] = '{', [MW_JSON_OBJECT_END] = '}',
		[MW_JSON_ARRAY] = '[', [MW_JSON_ARRAY_END] = ']',
		[MW_JSON_KEY] = 'k', [MW_JSON_STRING] = 's', [MW_JSON_CHUNK] = 0,
		[MW_JSON_STRING_END] = '.', [MW_JSON_NUMBER] = 'n',
		[MW_JSON_TRUE] = 'T', [MW_JSON_FALSE] = 'F', [MW_JSON_NULL] = 'N',
	};
	struct trace *t = arg;

	if (ev == MW_JSON_CHUNK && (!t->open || n == 0))
		return MW_INTERNAL_ERROR;
	t->open = ev == MW_JSON_STRING || ev == MW_JSON_CHUNK;
	if (depth > t->max_depth)
		t->max_depth = depth;
	if (marks[ev] != 0 && !mw_buf_addf(&t->b, "%c%u", marks[ev], depth))
		return MW_INTERNAL_ERROR;
	if (ev == MW_JSON_KEY || ev == MW_JSON_NUMBER)
		return mw_buf_addf(&t->b, "(%.*s)", (int)n, text) ? MW_OK : MW_INTERNAL_ERROR;
	return mw_buf_add(&t->b, text, n) ? MW_OK : MW_INTERNAL_ERROR;
}

/* Parse s in pieces: up to `cut`, then `step` bytes at a time. */
static enum mw_code
parse(struct trace *t, const char *s, size_t n, size_t cut, size_t step, struct mw_err *err)
{
	struct mw_json j;
	enum mw_code rc;
	size_t at, len;

	mw_err_clear(err);
	mw_buf_reset(&t->b);
	t->open = false;
	t->max_depth = 0;
	mw_json_init(&j, trace_event, t);
	rc = mw_json_feed(&j, s, cut, err);
	for (at = cut; rc == MW_OK && at < n; at += len) {
		len = step < n - at ? step : n - at;
		rc = mw_json_feed(&j, s + at, len, err);
	}
	return rc == MW_OK ? mw_json_finish(&j, err) : rc;
}

/* Every split gives what the whole gave. */
static bool
splits_agree(const char *s, size_t n, enum mw_code want, const char *events, const char *msg)
{
	struct trace t;
	struct mw_err err;
	size_t cut, wrong = 0;
	enum mw_code rc;

	mw_buf_init(&t.b, 1 << 20);
	for (cut = 0; cut <= n + 1; cut++) {
		rc = cut <= n ? parse(&t, s, n, cut, n, &err) : parse(&t, s, n, 0, 1, &err);
		wrong += rc != want || strcmp(err.msg, msg) != 0 ||
		    (rc == MW_OK && strcmp(t.b.data, events) != 0);
	}
	mw_buf_free(&t.b);
	return wrong == 0;
}

static const struct {
	const char *in;
	const char *want;
} good[] = {
	{ "{}", "{0}0" },
	{ " [ ] \r\n\t", "[0]0" },
	{ "null", "N0" },
	{ "true", "T0" },
	{ " false ", "F0" },
	{ "0", "n0(0)" },
	{ "-0.5e+10 ", "n0(-0.5e+10)" },
	{ "[0,-1,10,1.25,1e5,1E-5,0e0]",
	    "[0n1(0)n1(-1)n1(10)n1(1.25)n1(1e5)n1(1E-5)n1(0e0)]0" },
	{ "\"\"", "s0.0" },
	{ "\"abc\"", "s0abc.0" },
	{ "{\"a\":\"b\",\"c\":[1,{\"d\":null}],\"\":true}",
	    "{0k1(a)s1b.1k1(c)[1n2(1){2k3(d)N3}2]1k1()T1}0" },
	{ "{\"a\" : 1 , \"a\" : 2 }", "{0k1(a)n1(1)k1(a)n1(2)}0" },
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "s0\"\\/\b\f\n\r\t.0" },
	{ "\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\"", "s0A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.0" },
	{ "{\"\\u006bey\\n\":1}", "{0k1(key\n)n1(1)}0" },
	{ "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"",
	    "s0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f.0" },
	{ "\"12345678901234567890\\n12345678\"", "s012345678901234567890\n12345678.0" },
	{ "\"\xed\x9f\xbf\xe0\xa0\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
	    "s0\xed\x9f\xbf\xe0\xa0\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf.0" },
	{ "[[[[]]],[]]", "[0[1[2[3]3]2]1[1]1]0" },
	{ "[true,false,null]", "[0T1F1N1]0" },
};

static const struct {
	const char *in;
	int at;
	const char *why;
} refused[] = {
	{ "", 0, "the document ends too early" },
	{ "  ", 2, "the document ends too early" },
	{ "{", 1, "the document ends too early" },
	{ "[1", 2, "the document ends too early" },
	{ "\"abc", 4, "the document ends too early" },
	{ "tru", 3, "the document ends too early" },
	{ "\"\\u00", 5, "the document ends too early" },
	{ "\"\xc3", 2, "the document ends too early" },
	{ "-", 1, "expected a digit" },
	{ "1.", 2, "expected a digit" },
	{ "1e", 2, "expected a digit" },
	{ "1e+", 3, "expected a digit" },
	{ "[1.]", 3, "expected a digit" },
	{ "[-x]", 2, "expected a digit" },
	{ "01", 1, "a number begins with 0" },
	{ "-01", 2, "a number begins with 0" },
	{ "[.5]", 1, "expected a value" },
	{ "+1", 0, "expected a value" },
	{ "NaN", 0, "expected a value" },
	{ "'a'", 0, "expected a value" },
	{ "[1,]", 3, "expected a value" },
	{ "[,1]", 1, "expected a value" },
	{ "{\"a\":}", 5, "expected a value" },
	{ "truE", 3, "expected true, false or null" },
	{ "nul l", 3, "expected true, false or null" },
	{ "{\"a\" 1}", 5, "expected ':'" },
	{ "{\"a\":1,}", 7, "expected a member name" },
	{ "{1:2}", 1, "expected a member name or '}'" },
	{ "{,}", 1, "expected a member name or '}'" },
	{ "{\"a\":1]", 6, "expected ',' or '}'" },
	{ "{\"a\":1 \"b\":2}", 7, "expected ',' or '}'" },
	{ "[1}", 2, "expected ',' or ']'" },
	{ "[1 2]", 3, "expected ',' or ']'" },
	{ "]", 0, "expected a value" },
	{ "{} {}", 3, "text after the document" },
	{ "1 2", 2, "text after the document" },
	{ "1x", 1, "text after the document" },
	{ "\xef\xbb\xbf{}", 0, "expected a value, not a byte order mark" },
	{ "{}\xef\xbb\xbf", 2, "text after the document" },
	{ "\v1", 0, "expected a value" },
	{ "\"a\nb\"", 2, "control character in a string" },
	{ "\"12345678\x1f\"", 9, "control character in a string" },
	{ "{\"a\tb\":1}", 3, "control character in a string" },
	{ "\"\\x\"", 2, "unknown escape in a string" },
	{ "\"\\u12g4\"", 5, "expected four hex digits after \\u" },
	{ "\"\\ud800\"", 7, "lone surrogate in a string" },
	{ "\"\\ud800\\n\"", 8, "lone surrogate in a string" },
	{ "\"\\ud800\\ud800\"", 12, "lone surrogate in a string" },
	{ "\"\\ud800\\u0041\"", 12, "lone surrogate in a string" },
	{ "\"\\udc00\"", 6, "lone surrogate in a string" },
	{ "\"\x80\"", 1, "not valid UTF-8" },
	{ "\"\xc3\"", 2, "not valid UTF-8" },
	{ "\"\xc3\\n\"", 2, "not valid UTF-8" },
	{ "\"\xc3" "bcdefghi\xa9\"", 2, "not valid UTF-8" },
	{ "\"abc\x80" "efghijkl\"", 4, "not valid UTF-8" },
	{ "\"\xed\xa0\x80\"", 2, "not valid UTF-8" },
	{ "\"\xc0\x80\"", 1, "not valid UTF-8" },
	{ "\"12345678\xf5\"", 9, "not valid UTF-8" },
	{ "{\"\xff\":1}", 2, "not valid UTF-8" },
};

static void
test_parser(void)
{
	struct trace t;
	struct mw_err err;
	char msg[256];
	size_t i;

	mw_buf_init(&t.b, 1 << 20);
	for (i = 0; i < COUNT(good); i++) {
		if (!ok(parse(&t, good[i].in, strlen(good[i].in), 0, 1000, &err) == MW_OK &&
		    strcmp(t.b.data, good[i].want) == 0, "document row %zu", i))
			printf("# %s %s\n", t.b.data, err.msg);
		ok(splits_agree(good[i].in, strlen(good[i].in), MW_OK, good[i].want, ""),
		    "document row %zu, every split", i);
	}
	for (i = 0; i < COUNT(refused); i++) {
		(void)snprintf(msg, sizeof(msg), "invalid JSON at byte %d: %s",
		    refused[i].at, refused[i].why);
		(void)parse(&t, refused[i].in, strlen(refused[i].in), 0, 1000, &err);
		is_str(err.msg, msg, msg);
		ok(splits_agree(refused[i].in, strlen(refused[i].in), MW_INVALID_JSON, "", msg),
		    "refused row %zu, every split", i);
	}
	ok(parse(&t, "\"\\u0000\"", 8, 0, 8, &err) == MW_OK && t.b.len == 5 &&
	    memcmp(t.b.data, "s0\0.0", 5) == 0, "an escaped NUL is a character");
	ok(parse(&t, "1\0", 2, 0, 2, &err) == MW_INVALID_JSON, "a raw NUL is not");
	mw_buf_free(&t.b);
}

static void
test_limits(void)
{
	struct trace t;
	struct mw_err err;
	char s[2000], *p;
	size_t n;

	mw_buf_init(&t.b, 1 << 20);
	memset(s, '[', 40);
	memset(s + 32, ']', 32);
	ok(parse(&t, s, 64, 0, 64, &err) == MW_OK && t.max_depth == 31, "depth 32");
	s[32] = '[';
	ok(parse(&t, s, 64, 0, 64, &err) == MW_INVALID_JSON &&
	    strstr(err.msg, "byte 32: nested deeper than 32") != NULL, "depth 33");
	memset(s, '1', 64);
	ok(parse(&t, s, 64, 0, 9, &err) == MW_OK, "a number of 64 bytes");
	s[64] = '1';
	ok(parse(&t, s, 65, 0, 9, &err) == MW_INVALID_JSON &&
	    strstr(err.msg, "longer than 64") != NULL, "a number of 65 bytes");
	n = (size_t)snprintf(s, sizeof(s), "{\"%0256d\":1,\"%0300d\":2}", 7, 8);
	ok(parse(&t, s, n, 0, 7, &err) == MW_OK, "long keys");
	p = strstr(t.b.data, "7)n1(1)k1(");
	ok(p != NULL && strspn(p + 10, "0") == MW_JSON_KEY_MAX &&
	    strcmp(p + 10 + MW_JSON_KEY_MAX, ")n1(2)}0") == 0, "one of 256 is whole, more is cut");
	mw_buf_free(&t.b);
}

static enum mw_code
stop_at_key(void *arg, enum mw_json_event ev, const char *text, size_t n, unsigned depth)
{
	(void)text;
	(void)n;
	(void)depth;
	++*(int *)arg;
	return ev == MW_JSON_KEY ? MW_BODY_TOO_LARGE : MW_OK;
}

static void
test_stop(void)
{
	struct mw_err err = { 0 };
	struct mw_json j;
	int calls = 0;

	mw_json_init(&j, stop_at_key, &calls);
	is_int(mw_json_feed(&j, "{\"a\":1,\"b\":2}", 13, &err), MW_BODY_TOO_LARGE,
	    "the handler's code comes back");
	is_int(calls, 2, "and nothing more is told");
	ok(mw_json_feed(&j, "1", 1, &err) == MW_BODY_TOO_LARGE &&
	    mw_json_finish(&j, &err) == MW_BODY_TOO_LARGE, "the parser stays stopped");
	is_int(err.code, MW_OK, "the text is left to the handler");
	mw_json_init(&j, stop_at_key, &calls);
	ok(mw_json_feed(&j, "x", 1, &err) == MW_INVALID_JSON &&
	    mw_json_feed(&j, "{}", 2, &err) == MW_INVALID_JSON &&
	    mw_json_finish(&j, &err) == MW_INVALID_JSON, "nor does it go on after an error");
}

struct spans {
	size_t chunks, bytes;
	const char *lo, *hi;	/* the input */
	bool inside;		/* every chunk pointed into it */
};

static enum mw_code
count_spans(void *arg, enum mw_json_event ev, const char *text, size_t n, unsigned depth)
{
	struct spans *s = arg;

	(void)depth;
	if (ev == MW_JSON_CHUNK) {
		s->chunks++;
		s->bytes += n;
		s->inside = s->inside && text >= s->lo && text + n <= s->hi;
	}
	return MW_OK;
}

/* A string without escapes is handed over in one piece, from where it lies. */
static void
test_spans(void)
{
	static char doc[100002];
	struct mw_err err = { 0 };
	struct mw_json j;
	struct spans s = { 0, 0, doc, doc + sizeof(doc), true };
	size_t i;

	for (i = 1; i + 3 < sizeof(doc); i += 3)
		memcpy(doc + i, "x\xc3\xa9", 3);
	while (i < sizeof(doc))
		doc[i++] = 'x';
	doc[0] = doc[sizeof(doc) - 1] = '"';
	mw_json_init(&j, count_spans, &s);
	ok(mw_json_feed(&j, doc, sizeof(doc), &err) == MW_OK &&
	    mw_json_finish(&j, &err) == MW_OK, "a long string");
	ok(s.chunks == 1 && s.inside && s.bytes == sizeof(doc) - 2, "is one chunk, not copied");
}

/* Lines of text, fed in small pieces, are handed over in large ones. */
static void
test_collect(void)
{
	static char doc[100001];
	struct mw_err err = { 0 };
	struct mw_json j;
	struct spans s = { 0, 0, doc, doc + sizeof(doc), true };
	enum mw_code rc = MW_OK;
	size_t i, n;

	for (i = 1; i + 9 < sizeof(doc); i += 9)
		memcpy(doc + i, "a line.\\n", 9);
	while (i < sizeof(doc))
		doc[i++] = 'x';
	doc[0] = doc[sizeof(doc) - 1] = '"';
	mw_json_init(&j, count_spans, &s);
	for (i = 0; i < sizeof(doc) && rc == MW_OK; i += n) {
		n = sizeof(doc) - i < 100 ? sizeof(doc) - i : 100;
		rc = mw_json_feed(&j, doc + i, n, &err);
	}
	ok(rc == MW_OK && mw_json_finish(&j, &err) == MW_OK, "a string of many lines");
	ok(s.bytes > 88000 && s.chunks <= s.bytes / (MW_JSON_STAGE - 1024) + 1,
	    "comes in pieces of some KiB");
}

/* A comma is where one belongs, whoever adds what; a full buffer stays failed. */
static void
test_writer(void)
{
	struct mw_buf b, more;

	mw_buf_init(&b, 1024);
	mw_buf_init(&more, 1024);
	(void)mw_json_open(&b, NULL, '{');
	(void)mw_json_add_all(&b, &more);
	(void)mw_json_add(&b, "a", "ends in {");
	(void)mw_json_add(&b, "n", NULL);
	(void)mw_json_open(&b, "list", '[');
	(void)mw_json_add_int(&b, NULL, -7);
	(void)mw_json_open(&b, NULL, '{');
	(void)mw_json_close(&b, '}');
	(void)mw_json_add(&b, NULL, "[");
	(void)mw_json_close(&b, ']');
	(void)mw_json_add_known(&b, "k", -1);
	(void)mw_json_add_bool(&b, "t", true);
	(void)mw_json_add_base64(&b, "b", "\xff", 1);
	(void)(mw_json_add_raw(&more, "x", "{}") && mw_json_add_int(&more, "y", 1));
	(void)mw_json_add_all(&b, &more);
	ok(mw_json_close(&b, '}'), "all of it was written");
	is_str(b.data, "{\"a\":\"ends in {\",\"n\":null,\"list\":[-7,{},\"[\"],\"k\":null,"
	    "\"t\":true,\"b\":\"/w==\",\"x\":{},\"y\":1}", "commas where they belong");
	mw_buf_free(&b);
	mw_buf_free(&more);
	mw_buf_init(&b, 8);
	(void)mw_json_open(&b, NULL, '{');
	(void)mw_json_add(&b, "name", "too long for it");
	ok(!mw_json_close(&b, '}') && b.failed, "past the cap it stays failed");
	mw_buf_free(&b);
}

int
main(void)
{
	test_escape();
	test_escape_all();
	test_base64();
	test_base64_long();
	test_parser();
	test_limits();
	test_stop();
	test_spans();
	test_collect();
	test_writer();
	return done();
}
