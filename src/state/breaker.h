/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Circuit breakers and the retry budget, shared by all processes: one word of
 * atomics each.  There is a breaker per store and one per user's sandbox.
 *
 * closed: calls are made.  `failures` of them in a row that speak against the
 * upstream open it.  open: none are made, for `open` ms, times how often it was
 * opened (to 300 s).  half open, after that: one is made, the trial; a good one
 * closes the breaker, a bad one opens it again.
 */
#ifndef MW_STATE_BREAKER_H
#define MW_STATE_BREAKER_H

#include "state/slot.h"

/* What the outcome of a call tells of the upstream. */
enum mw_verdict {
	MW_SAYS_NOTHING = 1,	/* nothing came of it that tells */
	MW_SAYS_WELL,		/* it answers */
	MW_SAYS_ILL		/* it is down, or silent */
};

enum mw_breaker_state { MW_BREAKER_CLOSED, MW_BREAKER_OPEN, MW_BREAKER_HALF_OPEN };

struct mw_breaker {
	struct mw_shm *shm;
	_Atomic uint64_t *word;
	const char *name;	/* of the store or user; borrowed */
	int64_t failures;	/* conf breaker.failures */
	int64_t open;		/* conf breaker.open, ms */
	int trial;		/* the slot of a call that is the trial, else -1 */
};

/* The breaker of the store with this identity / of this user's sandbox.  `name`
 * must outlive it; it is good for one request, as the rows of the mapping are. */
void mw_breaker_of_store(struct mw_breaker *b, struct mw_shm *s, const char *name,
    int64_t failures, int64_t open);
void mw_breaker_of_user(struct mw_breaker *b, struct mw_shm *s, const char *name,
    int64_t failures, int64_t open);

/*
 * May a call be made now?  0: yes, and mw_breaker_end follows it.  Else no, for
 * so many ms.  insist: it may be the trial although the breaker is open.
 */
int64_t mw_breaker_begin(struct mw_breaker *b, bool insist) MW_MUST;
/* True: this call has opened it. */
bool mw_breaker_end(struct mw_breaker *b, enum mw_verdict verdict);

/* How it stands; *wait: ms until an open one is half open, else 0. */
enum mw_breaker_state mw_breaker_state(const struct mw_breaker *b, int64_t *wait);

/* Users whose breaker is not closed. */
unsigned mw_breaker_users(struct mw_shm *s);

/* Take `cost` tokens of the `budget`, or none: false.  Give one back. */
bool mw_budget_take(struct mw_shm *s, int64_t cost, int64_t budget) MW_MUST;
void mw_budget_give(struct mw_shm *s);

#endif
