/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/stop.h"

#include <signal.h>

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
