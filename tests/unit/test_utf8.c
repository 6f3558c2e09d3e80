/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include <stdlib.h>

#include "base/utf8.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *s;
	size_t valid;		/* length of the valid beginning */
} spans[] = {
	{ "", 0 }, { "a", 1 }, { "\x7f", 1 }, { "\x80", 0 }, { "\xbf", 0 },
	{ "\xc0\x80", 0 }, { "\xc1\xbf", 0 }, { "\xc2\x80", 2 }, { "\xdf\xbf", 2 },
	{ "\xc2", 0 }, { "\xc2" "a", 0 }, { "\xc2\xc2", 0 },
	{ "\xe0\x9f\xbf", 0 }, { "\xe0\xa0\x80", 3 }, { "\xe0\xa0", 0 },
	{ "\xed\x9f\xbf", 3 }, { "\xed\xa0\x80", 0 }, { "\xed\xbf\xbf", 0 },
	{ "\xee\x80\x80", 3 }, { "\xef\xbf\xbf", 3 }, { "\xe1\x80\xc0", 0 },
	{ "\xf0\x8f\xbf\xbf", 0 }, { "\xf0\x90\x80\x80", 4 }, { "\xf0\x90\x80", 0 },
	{ "\xf4\x8f\xbf\xbf", 4 }, { "\xf4\x90\x80\x80", 0 }, { "\xf5\x80\x80\x80", 0 },
	{ "\xff", 0 }, { "\xfe", 0 }, { "ab\xc3\xa9\xffz", 4 },
	{ "0123456789abcdef\xe6\xbc\xa2", 19 }, { "0123456789abcde\xe6\xbc\xa2!", 19 },
	{ "0123456789abcdef0123456789abcdef\x80", 32 },
};

static void
test_span(void)
{
	size_t i, n;

	for (i = 0; i < COUNT(spans); i++) {
		n = strlen(spans[i].s);
		ok(mw_utf8_span(spans[i].s, n) == spans[i].valid &&
		    mw_utf8_valid(spans[i].s, n) == (spans[i].valid == n), "span row %zu", i);
	}
	ok(mw_utf8_valid(NULL, 0), "nothing is valid");
	ok(mw_utf8_valid("a\0b", 3), "a NUL is a character");
}

/* One bad byte at every place of a longer text: no word-at-a-time path misses it. */
static void
test_positions(void)
{
	char text[70];
	size_t i, missed = 0;

	for (i = 0; i < sizeof(text); i++) {
		memset(text, 'x', sizeof(text));
		text[i] = '\x80';
		missed += mw_utf8_span(text, sizeof(text)) != i;
	}
	is_int((int64_t)missed, 0, "a bad byte is found at every position");
}

/* Every code point written is valid, reads back as one, and no other is written. */
static void
test_put(void)
{
	char out[4];
	unsigned cp;
	size_t n, wrong = 0;

	for (cp = 0; cp <= 0x110000; cp++) {
		n = mw_utf8_put(out, cp);
		if ((cp >= 0xd800 && cp <= 0xdfff) || cp > 0x10ffff)
			wrong += n != 0;
		else
			wrong += n == 0 || mw_utf8_span(out, n) != n ||
			    (n > 1 && mw_utf8_valid(out, n - 1));
	}
	is_int((int64_t)wrong, 0, "every code point");
	ok(mw_utf8_put(out, 0x20ac) == 3 && memcmp(out, "\xe2\x82\xac", 3) == 0, "U+20AC");
	ok(mw_utf8_put(out, 0x1f600) == 4 && memcmp(out, "\xf0\x9f\x98\x80", 4) == 0, "U+1F600");
}

static void
test_nfc(void)
{
	static const struct {
		const char *s;
		bool nfc;
		const char *what;
	} t[] = {
		{ "", true, "nothing" },
		{ "plain.txt", true, "ASCII" },
		{ "\xc3\xa9", true, "e acute, composed" },
		{ "e\xcc\x81", false, "e acute, decomposed" },
		{ "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", false, "Hangul in parts" },
		{ "\xed\x95\x9c", true, "Hangul, composed" },
		{ "\xe2\x84\xab", false, "the angstrom sign, a singleton" },
		{ "\xe6\xbc\xa2\xe5\xad\x97.md", true, "Han" },
		{ "q\xcc\x87\xcc\xa3", false, "marks in the wrong order" },
		{ "q\xcc\xa3\xcc\x87", true, "marks in canonical order" },
		{ "\xf0\x9f\x98\x80", true, "an emoji" },
		{ "\xff", false, "not UTF-8" },
		{ "\xcc", false, "cut off" },
	};
	size_t i;

	for (i = 0; i < COUNT(t); i++)
		ok(mw_utf8_nfc(t[i].s, strlen(t[i].s)) == t[i].nfc, "NFC: %s", t[i].what);
}

static void
test_clean(void)
{
	char s[] = "a\nb\x7f" "c\xc3\xa9\xff\xc2\x9b" "d\xe6\xbc";

	mw_utf8_clean(s, strlen(s), '?');
	is_str(s, "a?b?c\xc3\xa9???d??", "clean");
	ok(mw_utf8_valid(s, strlen(s)), "clean text is valid");
}

int
main(void)
{
	test_span();
	test_positions();
	test_put();
	test_nfc();
	test_clean();
	return done();
}
