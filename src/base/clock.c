/* SPDX-License-Identifier: BSD-2-Clause */
/* The two clocks, sleeping, and times as text. */
#include "base/clock.h"

#include <string.h>
#include <time.h>

#include "base/str.h"

#define WALL_MIN INT64_C(-62167219200000)	/* 0000-01-01T00:00:00.000Z */
#define WALL_MAX INT64_C(253402300799999)	/* 9999-12-31T23:59:59.999Z */

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static int64_t
read_us(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) != 0)
		return 0;
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
mw_now(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
mw_now_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t
mw_wall(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

int64_t
mw_left(int64_t deadline)
{
	int64_t now = mw_now();

	return deadline > now ? deadline - now : 0;
}

/* v in exactly n digits. */
static void
put(char *out, int v, int n)
{
	while (n-- > 0) {
		out[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

/* Broken-down UTC; a time that has no four-digit year is held to the nearest. */
static int
split(int64_t wall_ms, struct tm *tm)
{
	time_t t;
	int ms;

	if (wall_ms < WALL_MIN)
		wall_ms = WALL_MIN;
	if (wall_ms > WALL_MAX)
		wall_ms = WALL_MAX;
	ms = (int)((wall_ms % 1000 + 1000) % 1000);
	t = (time_t)((wall_ms - ms) / 1000);
	if (gmtime_r(&t, tm) == NULL)
		memset(tm, 0, sizeof(*tm));
	return ms;
}

void
mw_rfc3339(int64_t wall_ms, char out[MW_RFC3339_LEN])
{
	struct tm tm;
	int ms = split(wall_ms, &tm);

	memcpy(out, "0000-00-00T00:00:00.000Z", MW_RFC3339_LEN);
	put(out, tm.tm_year + 1900, 4);
	put(out + 5, tm.tm_mon + 1, 2);
	put(out + 8, tm.tm_mday, 2);
	put(out + 11, tm.tm_hour, 2);
	put(out + 14, tm.tm_min, 2);
	put(out + 17, tm.tm_sec, 2);
	put(out + 20, ms, 3);
}

void
mw_http_date(int64_t wall_ms, char out[MW_HTTPDATE_LEN])
{
	struct tm tm;

	(void)split(wall_ms, &tm);
	memcpy(out, "Sun, 06 Nov 1994 08:49:37 GMT", MW_HTTPDATE_LEN);
	memcpy(out, days + 3 * tm.tm_wday, 3);
	put(out + 5, tm.tm_mday, 2);
	memcpy(out + 8, months + 3 * tm.tm_mon, 3);
	put(out + 12, tm.tm_year + 1900, 4);
	put(out + 17, tm.tm_hour, 2);
	put(out + 20, tm.tm_min, 2);
	put(out + 23, tm.tm_sec, 2);
}

static bool
field(const char *s, size_t n, int *out)
{
	int64_t v;

	if (!mw_str_uint(s, n, 9999, &v))
		return false;
	*out = (int)v;
	return true;
}

static bool
month_of(const char *s, int *out)
{
	int i;

	for (i = 0; i < 12; i++) {
		if (memcmp(s, months + 3 * i, 3) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

static int64_t
join(struct tm *tm)
{
	return (int64_t)timegm(tm) * 1000;
}

/* The separators, the day of the week and the ranges are checked by writing
 * the result out again. */
bool
mw_http_date_parse(const char *s, int64_t *wall_ms)
{
	struct tm tm;
	char again[MW_HTTPDATE_LEN];
	int64_t t;

	memset(&tm, 0, sizeof(tm));
	if (strlen(s) != MW_HTTPDATE_LEN - 1 ||
	    !field(s + 5, 2, &tm.tm_mday) || !month_of(s + 8, &tm.tm_mon) ||
	    !field(s + 12, 4, &tm.tm_year) || !field(s + 17, 2, &tm.tm_hour) ||
	    !field(s + 20, 2, &tm.tm_min) || !field(s + 23, 2, &tm.tm_sec))
		return false;
	tm.tm_year -= 1900;
	t = join(&tm);
	mw_http_date(t, again);
	if (strcmp(s, again) != 0)
		return false;
	*wall_ms = t;
	return true;
}

/* What follows the seconds: an optional fraction of any length, then Z. */
static bool
fraction(const char *s, int *ms)
{
	int scale = 100;

	*ms = 0;
	if (*s == '.') {
		s++;
		if (*s < '0' || *s > '9')
			return false;
		for (; *s >= '0' && *s <= '9'; s++) {
			*ms += (*s - '0') * scale;
			scale /= 10;
		}
	}
	return (*s == 'Z' || *s == 'z') && s[1] == '\0';
}

bool
mw_rfc3339_parse(const char *s, int64_t *wall_ms)
{
	struct tm tm;
	char again[MW_RFC3339_LEN];
	int64_t t;
	int ms;

	memset(&tm, 0, sizeof(tm));
	if (strlen(s) < sizeof("2026-01-02T03:04:05Z") - 1 ||
	    !field(s, 4, &tm.tm_year) || !field(s + 5, 2, &tm.tm_mon) ||
	    !field(s + 8, 2, &tm.tm_mday) || !field(s + 11, 2, &tm.tm_hour) ||
	    !field(s + 14, 2, &tm.tm_min) || !field(s + 17, 2, &tm.tm_sec) ||
	    !fraction(s + 19, &ms))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	t = join(&tm);
	mw_rfc3339(t, again);
	if (memcmp(s, again, 10) != 0 || (s[10] != 'T' && s[10] != 't') ||
	    memcmp(s + 11, again + 11, 8) != 0)
		return false;
	*wall_ms = t + ms;
	return true;
}

void
mw_sleep_ms(int64_t ms)
{
	struct timespec ts;

	if (ms <= 0)
		return;
	ts.tv_sec = (time_t)(ms / 1000);
	ts.tv_nsec = (long)(ms % 1000) * 1000000;
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}
