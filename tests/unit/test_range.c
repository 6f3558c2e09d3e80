/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include "base/etag.h"
#include "base/range.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
test_range(void)
{
	static const struct {
		const char *s;
		bool good;
		int64_t from, to;
	} t[] = {
		{ "bytes=0-0", true, 0, 0 },
		{ "bytes=0-499", true, 0, 499 },
		{ "bytes=500-", true, 500, -1 },
		{ "bytes=-500", true, -1, 500 },
		{ "bytes=-0", true, -1, 0 },
		{ "Bytes=1-2", true, 1, 2 },
		{ "bytes= 1-2 ", true, 1, 2 },
		{ "bytes=9223372036854775807-", true, INT64_MAX, -1 },
		{ "bytes=99999999999999999999-", true, INT64_MAX, -1 },
		{ "bytes=1-99999999999999999999", true, 1, INT64_MAX },
		{ "bytes=-99999999999999999999", true, -1, INT64_MAX },
		{ "bytes=2-1", false, 0, 0 },
		{ "bytes=-", false, 0, 0 },
		{ "bytes=", false, 0, 0 },
		{ "bytes", false, 0, 0 },
		{ "", false, 0, 0 },
		{ "bytes=a-b", false, 0, 0 },
		{ "bytes=1", false, 0, 0 },
		{ "bytes=1-2,4-5", false, 0, 0 },
		{ "bytes=1-2,", false, 0, 0 },
		{ "bytes=1 -2", false, 0, 0 },
		{ "bytes=--2", false, 0, 0 },
		{ "bytes=+1-2", false, 0, 0 },
		{ "bytes =1-2", false, 0, 0 },
		{ "items=1-2", false, 0, 0 },
		{ "bytes=0x1-2", false, 0, 0 },
	};
	struct mw_range r;
	size_t i;
	bool good;

	for (i = 0; i < COUNT(t); i++) {
		r = (struct mw_range){ -9, -9 };
		good = mw_range_parse(t[i].s, &r);
		ok(good == t[i].good && (!good || (r.from == t[i].from && r.to == t[i].to)),
		    "'%s' is %s", t[i].s, t[i].good ? "a range" : "ignored");
	}
}

static void
test_valid(void)
{
	static const struct {
		const char *s;
		bool good;
	} t[] = {
		{ "*", true }, { " * ", true }, { "\"a\"", true }, { "W/\"a\"", true },
		{ "\"\"", true }, { "\"a\", W/\"b\"", true }, { "\"a,b\"", true },
		{ "\"a\",,\"b\"", true }, { ",\"a\"", true }, { "\"\x80\xff\"", true },
		{ "", false }, { ",", false }, { "a", false }, { "\"a", false },
		{ "a\"", false }, { "w/\"a\"", false }, { "W/ \"a\"", false },
		{ "\"a b\"", false }, { "\"a\"\"b\"", false }, { "\"a\" \"b\"", false },
		{ "*, \"a\"", false }, { "\"a\", *", false }, { "**", false },
		{ "\"a\x7f\"", false }, { "W/", false }, { "W", false },
	};
	size_t i;

	for (i = 0; i < COUNT(t); i++)
		ok(mw_etag_list_valid(t[i].s) == t[i].good, "%s is %s", t[i].s,
		    t[i].good ? "well-formed" : "malformed");
}

static void
test_in(void)
{
	static const struct {
		const char *list, *etag;
		bool weak, strong;	/* the answers */
	} t[] = {
		{ "\"a\"", "\"a\"", true, true },
		{ "\"a\"", "\"b\"", false, false },
		{ "\"a\"", "\"ab\"", false, false },
		{ "\"ab\"", "\"a\"", false, false },
		{ "W/\"a\"", "\"a\"", true, false },
		{ "\"a\"", "W/\"a\"", true, false },
		{ "W/\"a\"", "W/\"a\"", true, false },
		{ "\"x\", \"a\"", "\"a\"", true, true },
		{ "\"x\",W/\"y\"  ,\"a\"", "\"a\"", true, true },
		{ "\"x,\\\"a\"", "\"a\"", false, false },
		{ "\"\"", "\"\"", true, true },
		{ "*", "\"a\"", true, true },
		{ "*", NULL, false, false },
		{ "\"a\"", NULL, false, false },
		{ "a", "a", false, false },
		{ "\"a\"", "\"a\"b", false, false },
		{ "\"a\", b", "\"a\"", true, true },
		{ "", "\"a\"", false, false },
		{ "\"A\"", "\"a\"", false, false },
	};
	size_t i;

	for (i = 0; i < COUNT(t); i++)
		ok(mw_etag_in(t[i].list, t[i].etag, true) == t[i].weak &&
		    mw_etag_in(t[i].list, t[i].etag, false) == t[i].strong,
		    "%s against %s", t[i].list, t[i].etag != NULL ? t[i].etag : "nothing");
}

int
main(void)
{
	test_range();
	test_valid();
	test_in();
	return done();
}
