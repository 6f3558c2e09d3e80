/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a failure means for what is done next: one table for all codes.  How an
 * upstream's own failures become codes is its driver's table: store/s3_classify.c,
 * store/dir_path.c, net/net_classify.c, sandbox/local/classify.c.
 */
#ifndef MW_APP_CLASSIFY_H
#define MW_APP_CLASSIFY_H

#include "base/err.h"
#include "state/breaker.h"

enum mw_next {
	MW_NEXT_ANSWER = 1,	/* final: success, the client's fault, or not worth another try */
	MW_NEXT_RETRY,		/* passing: try again after a backoff */
	MW_NEXT_WAKE		/* the sandbox is not there for the asking: wake it, then try again */
};

struct mw_class {
	enum mw_next next;
	enum mw_verdict verdict;	/* for the upstream's breaker */
	bool outage;			/* of the infrastructure, not of what was asked */
};

/* The row of a code; every code has one.  Never NULL. */
const struct mw_class *mw_class(enum mw_code code);

enum mw_next mw_classify(enum mw_code code);
bool mw_is_outage(enum mw_code code);

#endif
