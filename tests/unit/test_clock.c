/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include <time.h>

#include "base/clock.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	int64_t ms;
	const char *rfc3339;
	const char *http;
} times[] = {
	{ 0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT" },
	{ 784111777000, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT" },
	{ 951782400123, "2000-02-29T00:00:00.123Z", "Tue, 29 Feb 2000 00:00:00 GMT" },
	{ 1767323045678, "2026-01-02T03:04:05.678Z", "Fri, 02 Jan 2026 03:04:05 GMT" },
	{ -1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 GMT" },
	{ 253402300799999, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT" },
	{ -62167219200000, "0000-01-01T00:00:00.000Z", "Sat, 01 Jan 0000 00:00:00 GMT" },
};

static void
test_format(void)
{
	char iso[MW_RFC3339_LEN], http[MW_HTTPDATE_LEN];
	int64_t back;
	size_t i;

	for (i = 0; i < COUNT(times); i++) {
		mw_rfc3339(times[i].ms, iso);
		is_str(iso, times[i].rfc3339, times[i].rfc3339);
		mw_http_date(times[i].ms, http);
		is_str(http, times[i].http, times[i].http);
		ok(mw_rfc3339_parse(iso, &back) && back == times[i].ms, "reads back");
		ok(mw_http_date_parse(http, &back) && back <= times[i].ms &&
		    times[i].ms - back < 1000, "reads back to the second");
	}
	mw_rfc3339(INT64_MAX, iso);
	is_str(iso, "9999-12-31T23:59:59.999Z", "past the last year");
	mw_rfc3339(INT64_MIN, iso);
	is_str(iso, "0000-01-01T00:00:00.000Z", "before the first year");
}

static void
test_rfc3339_parse(void)
{
	static const struct {
		const char *s;
		int64_t want;
	} good[] = {
		{ "1970-01-01T00:00:01Z", 1000 },
		{ "1970-01-01t00:00:01z", 1000 },
		{ "1970-01-01T00:00:01.5Z", 1500 },
		{ "1970-01-01T00:00:01.123456789Z", 1123 },
		{ "1969-12-31T23:59:59.250Z", -750 },
	};
	static const char *const refused[] = {
		"", "1970-01-01", "1970-01-01T00:00:01", "1970-01-01T00:00:01.Z",
		"1970-01-01 00:00:01Z", "1970-13-01T00:00:01Z", "1970-02-30T00:00:01Z",
		"1970-01-01T24:00:01Z", "1970-01-01T00:60:01Z", "1970-01-01T00:00:61Z",
		"1970-01-01T00:00:01Zx", "1970-01-01T00:00:01+01:00", "1970-01-0aT00:00:01Z",
		"1970/01/01T00:00:01Z", "1970-01-01T00-00:01Z", "1970-00-01T00:00:01Z",
		"-970-01-01T00:00:01Z", "1970-01-01T00:00:01.1x",
	};
	int64_t t;
	size_t i;

	for (i = 0; i < COUNT(good); i++) {
		t = 42;
		ok(mw_rfc3339_parse(good[i].s, &t) && t == good[i].want, "%s", good[i].s);
	}
	for (i = 0; i < COUNT(refused); i++) {
		t = 42;
		ok(!mw_rfc3339_parse(refused[i], &t) && t == 42, "refused: '%s'", refused[i]);
	}
}

static void
test_http_parse(void)
{
	static const char *const refused[] = {
		"", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT ",
		"Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"Sun, 06 nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:61:37 GMT", "Sun, 06 Nov 1994 +8:49:37 GMT",
	};
	int64_t t;
	size_t i;

	for (i = 0; i < COUNT(refused); i++) {
		t = 42;
		ok(!mw_http_date_parse(refused[i], &t) && t == 42, "refused: '%s'", refused[i]);
	}
}

static void
test_clocks(void)
{
	int64_t a = mw_now(), u = mw_now_us(), before;

	ok(a > 0 && u >= a * 1000 && mw_now() >= a, "the monotonic clock");
	ok(mw_wall() / 1000 - (int64_t)time(NULL) <= 1 &&
	    (int64_t)time(NULL) - mw_wall() / 1000 <= 1, "the wall clock");
	is_int(mw_left(0), 0, "nothing left of a past deadline");
	is_int(mw_left(INT64_MIN), 0, "nor of the earliest");
	ok(mw_left(mw_now() + 5000) > 4000, "left of a deadline to come");
	ok(mw_left(INT64_MAX) > 0, "the latest deadline");
	before = mw_now_us();
	mw_sleep_ms(3);
	ok(mw_now_us() - before >= 3000, "sleeps as long as asked");
	before = mw_now();
	mw_sleep_ms(0);
	mw_sleep_ms(-5000);
	ok(mw_now() - before < 4000, "does not sleep for nothing");
}

int
main(void)
{
	test_format();
	test_rfc3339_parse();
	test_http_parse();
	test_clocks();
	return done();
}
