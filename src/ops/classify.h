/* SPDX-License-Identifier: BSD-2-Clause */
/* What a failure means for what is done next. */
#ifndef MW_OPS_CLASSIFY_H
#define MW_OPS_CLASSIFY_H

#include "base/err.h"

enum mw_next {
	MW_NEXT_ANSWER,		/* final: success, the client's fault, or not worth another try */
	MW_NEXT_RETRY,		/* passing: try again after a backoff */
	MW_NEXT_WAKE		/* the sandbox is not there for the asking: wake it, then try again */
};

enum mw_next mw_classify(enum mw_code code);

/* A failure of the infrastructure, not of what was asked. */
bool mw_is_outage(enum mw_code code);

#endif
