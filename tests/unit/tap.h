/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Test Anything Protocol for the unit tests.  Each program prints one line per
 * check and, from done(), the plan; exit status 0, automake's driver counts.
 */
#ifndef MW_TESTS_TAP_H
#define MW_TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int tap_count;

/* Flushes: a crash loses no line, a forked child repeats none.  Of a text of several
 * lines the first is the name: another one might look like a result. */
__attribute__((format(printf, 2, 3), unused)) static bool
ok(bool good, const char *fmt, ...)
{
	char name[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	name[strcspn(name, "\r\n")] = '\0';
	printf("%sok %d - %s\n", good ? "" : "not ", ++tap_count, name);
	(void)fflush(stdout);
	return good;
}

__attribute__((unused)) static bool
is_int(int64_t got, int64_t want, const char *what)
{
	bool good = ok(got == want, "%s", what);

	if (!good)
		printf("# got %lld, want %lld\n", (long long)got, (long long)want);
	return good;
}

__attribute__((unused)) static bool
is_str(const char *got, const char *want, const char *what)
{
	bool good = ok(got == want || (got != NULL && want != NULL &&
	    strcmp(got, want) == 0), "%s", what);

	if (!good)
		printf("# got '%s', want '%s'\n", got ? got : "(null)", want ? want : "(null)");
	return good;
}

__attribute__((unused)) static int
done(void)
{
	printf("1..%d\n", tap_count);
	return 0;
}

#endif
