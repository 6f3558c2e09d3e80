/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/stop.h"

#include <signal.h>

#include "base/clock.h"

#define PIECE 100	/* ms; a signal may come just before the sleep */

static volatile sig_atomic_t told;

void
mw_stop(void)
{
	told = 1;
}

bool
mw_stopping(void)
{
	return told != 0;
}

bool
mw_nap(int64_t ms)
{
	int64_t end = mw_now() + ms, left;

	while (!mw_stopping() && (left = mw_left(end)) > 0)
		mw_sleep_ms(left < PIECE ? left : PIECE);
	return !mw_stopping();
}
