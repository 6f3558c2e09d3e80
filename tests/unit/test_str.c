/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include "base/buf.h"
#include "base/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
test_uint(void)
{
	static const struct {
		const char *s;
		int64_t max;
		int64_t want;		/* -1: refused */
	} t[] = {
		{ "0", 0, 0 }, { "1", 0, -1 }, { "7", 7, 7 }, { "8", 7, -1 },
		{ "5", 5, 5 }, { "10", 5, -1 }, { "255", 255, 255 }, { "256", 255, -1 },
		{ "007", 10, 7 }, { "", 10, -1 }, { "-1", 10, -1 }, { "+1", 10, -1 },
		{ " 1", 10, -1 }, { "1 ", 10, -1 }, { "1x", 10, -1 }, { "0x1", 10, -1 },
		{ "9223372036854775807", INT64_MAX, INT64_MAX },
		{ "9223372036854775808", INT64_MAX, -1 },
		{ "99999999999999999999999", INT64_MAX, -1 },
		{ "18446744073709551616", INT64_MAX, -1 }, { "1", -5, -1 },
	};
	int64_t got;
	size_t i;
	bool good;

	for (i = 0; i < COUNT(t); i++) {
		got = -99;
		good = mw_str_uint(t[i].s, strlen(t[i].s), t[i].max, &got);
		if (t[i].want >= 0)
			ok(good && got == t[i].want, "uint '%s'", t[i].s);
		else
			ok(!good && got == -99, "uint '%s' refused", t[i].s);
	}
	ok(mw_str_uint("12x", 2, 99, &got) && got == 12, "uint reads n bytes only");
	ok(!mw_str_uint("1\0" "2", 3, 999, &got), "uint refuses a NUL");
	ok(mw_str_digits("0129", 4) && mw_str_digits("7x", 1), "digits");
	ok(!mw_str_digits("", 0) && !mw_str_digits("1/", 2) && !mw_str_digits("1:", 2) &&
	    !mw_str_digits("-1", 2), "no digits");
}

static void
test_int(void)
{
	static const struct {
		const char *s;
		int64_t min, max;
		bool good;
		int64_t want;
	} t[] = {
		{ "-1", -1, 1, true, -1 }, { "-2", -1, 1, false, 0 }, { "2", -1, 1, false, 0 },
		{ "-0", 0, 1, true, 0 }, { "-", -1, 1, false, 0 }, { "", -1, 1, false, 0 },
		{ "--1", -9, 9, false, 0 }, { "5", 6, 9, false, 0 }, { "-5", -9, -6, false, 0 },
		{ "-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN },
		{ "-9223372036854775809", INT64_MIN, INT64_MAX, false, 0 },
		{ "9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX },
		{ "9223372036854775808", INT64_MIN, INT64_MAX, false, 0 },
	};
	int64_t got;
	size_t i;

	for (i = 0; i < COUNT(t); i++) {
		got = 0;
		ok(mw_str_int(t[i].s, strlen(t[i].s), t[i].min, t[i].max, &got) ==
		    t[i].good && got == t[i].want, "int '%s'", t[i].s);
	}
}

static void
test_bool(void)
{
	static const struct {
		const char *s;
		int want;		/* -1: refused */
	} t[] = {
		{ "true", 1 }, { "TRUE", 1 }, { "1", 1 }, { "yes", 1 }, { "Yes", 1 },
		{ "false", 0 }, { "False", 0 }, { "0", 0 }, { "no", 0 },
		{ "", -1 }, { "t", -1 }, { "truex", -1 }, { "on", -1 }, { "01", -1 },
	};
	bool got, good;
	size_t i;

	for (i = 0; i < COUNT(t); i++) {
		got = t[i].want == 0;
		good = mw_str_bool(t[i].s, strlen(t[i].s), &got);
		ok(good == (t[i].want >= 0) && (!good || got == (t[i].want == 1)),
		    "bool '%s'", t[i].s);
	}
}

static void
test_hex(void)
{
	static const unsigned char raw[] = { 0x00, 0x7f, 0x80, 0xff, 0xa5 };
	unsigned char back[8];
	char hex[32], other[32];

	mw_str_hex(raw, sizeof(raw), hex);
	is_str(hex, "007f80ffa5", "hex");
	mw_str_hex(raw, 0, hex);
	is_str(hex, "", "hex of nothing");
	ok(mw_str_unhex("007F80fFa5", 10, back) && memcmp(back, raw, 5) == 0, "unhex");
	ok(!mw_str_unhex("abc", 3, back), "unhex of an odd count");
	ok(!mw_str_unhex("ag", 2, back) && !mw_str_unhex("/0", 2, back) &&
	    !mw_str_unhex("0:", 2, back) && !mw_str_unhex("@a", 2, back), "unhex of other bytes");
	mw_str_random_hex(hex, 8);
	mw_str_random_hex(other, 8);
	ok(strlen(hex) == 16 && strspn(hex, "0123456789abcdef") == 16, "random hex");
	ok(strcmp(hex, other) != 0, "is not the same twice");
	mw_str_random_hex(hex, 0);
	is_str(hex, "", "random hex of nothing");
}

static void
test_random_long(void)
{
	char hex[401];

	memset(hex, 'x', sizeof(hex));
	mw_str_random_hex(hex, 200);
	ok(strlen(hex) == 400 && strspn(hex, "0123456789abcdef") == 400,
	    "random hex longer than one read");
}

/* The fast look at eight bytes against the plain one, every byte at every place. */
static void
test_header_ok(void)
{
	char text[32];
	size_t at, wrong = 0;
	int c;

	for (c = 1; c < 256; c++) {
		for (at = 0; at < sizeof(text) - 1; at++) {
			memset(text, 0xa9, sizeof(text));
			text[at] = (char)c;
			text[sizeof(text) - 1] = '\0';
			wrong += mw_str_header_ok(text) != ((c >= 0x20 && c != 0x7f) || c == '\t');
		}
	}
	is_int((int64_t)wrong, 0, "header value, every byte at every place");
}

static void
test_header(void)
{
	ok(mw_str_header_ok("plain, with\ttab"), "header value");
	ok(mw_str_header_ok("\xc3\xa9"), "header value with high bytes");
	ok(mw_str_header_ok(""), "empty header value");
	ok(!mw_str_header_ok("a\r\nb"), "CR LF");
	ok(!mw_str_header_ok("a\nb") && !mw_str_header_ok("\x01") && !mw_str_header_ok("\x7f"),
	    "control bytes");
}

static void
pct(const char *s, size_t n, const char *keep, const char *want)
{
	struct mw_buf b;

	mw_buf_init(&b, 100);
	ok(mw_str_pct_encode(&b, s, n, keep), "pct_encode");
	is_str(b.data, want, want);
	mw_buf_free(&b);
}

static void
test_pct(void)
{
	struct mw_buf b;

	pct("aZ09-._~", 8, NULL, "aZ09-._~");
	pct("a b/c+d%", 8, "", "a%20b%2Fc%2Bd%25");
	pct("a b/c", 5, "/", "a%20b/c");
	pct("\xc3\xa9\0", 3, "/", "%C3%A9%00");
	pct("", 0, "/", "");
	mw_buf_init(&b, 4);
	ok(!mw_str_pct_encode(&b, "  ", 2, NULL), "pct_encode past the cap");
	mw_buf_free(&b);
}

static void
test_equal(void)
{
	ok(mw_str_equal_ct("abcd", "abcd", 4), "equal");
	ok(!mw_str_equal_ct("abcd", "abce", 4), "the last byte counts");
	ok(!mw_str_equal_ct("abcd", "Abcd", 4), "the first byte counts");
	ok(mw_str_equal_ct("a", "b", 0), "nothing equals nothing");
}

int
main(void)
{
	test_header_ok();
	test_uint();
	test_int();
	test_bool();
	test_hex();
	test_random_long();
	test_header();
	test_pct();
	test_equal();
	return done();
}
