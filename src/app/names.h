/* SPDX-License-Identifier: BSD-2-Clause */
/* What the gateway itself keeps in R2, below a user's prefix.  base/path.c reserves these names. */
#ifndef MW_APP_NAMES_H
#define MW_APP_NAMES_H

#define MW_NAME_LAST_SYNC ".last-sync"
#define MW_NAME_MANIFEST ".moltworker/manifest"
#define MW_NAME_CONFIG ".moltworker/config/"	/* earlier configuration documents */
#define MW_NAME_JOBS ".moltworker/jobs/"	/* outputs of commands */

#endif
