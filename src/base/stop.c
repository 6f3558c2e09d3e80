/* SPDX-License-Identifier: BSD-2-Clause */
/* TERM, as a flag that waits look at. */
#include "base/stop.h"

#include <stdatomic.h>

#include "base/clock.h"

#define PIECE 100	/* ms; a signal may come just before the sleep */

/* Set by signal handlers and read by every thread: atomic, and lock-free everywhere. */
static atomic_int told;

void
mw_stop(void)
{
	atomic_store(&told, 1);
}

bool
mw_stopping(void)
{
	return atomic_load(&told) != 0;
}

bool
mw_nap(int64_t ms)
{
	int64_t end = mw_now() + ms, left;

	while (!mw_stopping() && (left = mw_left(end)) > 0)
		mw_sleep_ms(left < PIECE ? left : PIECE);
	return !mw_stopping();
}
