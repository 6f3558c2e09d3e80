/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether this process was told to end: waits then end too. */
#ifndef MW_BASE_STOP_H
#define MW_BASE_STOP_H

#include <stdbool.h>
#include <stdint.h>

void mw_stop(void);		/* may be called by a signal handler */
bool mw_stopping(void);

/* Sleep for `ms`, or until this process is told to end: then false. */
bool mw_nap(int64_t ms);

#endif
