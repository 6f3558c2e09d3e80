/* SPDX-License-Identifier: BSD-2-Clause */
/* Time.  Deadlines are points on the monotonic clock, in milliseconds. */
#ifndef MW_BASE_CLOCK_H
#define MW_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

int64_t mw_now(void);			/* monotonic, ms */
int64_t mw_now_us(void);		/* monotonic, us */
int64_t mw_wall(void);			/* Unix time, ms */

/* Milliseconds left until `deadline`, at least 0. */
int64_t mw_left(int64_t deadline);

#define MW_RFC3339_LEN 25		/* "2026-01-02T03:04:05.678Z" and NUL */
#define MW_HTTPDATE_LEN 30		/* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL */

void mw_rfc3339(int64_t wall_ms, char out[MW_RFC3339_LEN]);
void mw_http_date(int64_t wall_ms, char out[MW_HTTPDATE_LEN]);

/* IMF-fixdate (RFC 9110 5.6.7) or RFC 3339 UTC, to ms since the epoch. */
bool mw_http_date_parse(const char *s, int64_t *wall_ms) MW_MUST;
bool mw_rfc3339_parse(const char *s, int64_t *wall_ms) MW_MUST;

/* Sleep that a signal ends early. */
void mw_sleep_ms(int64_t ms);

#endif
