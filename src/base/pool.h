/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the processes of one growing pool know of each other: a board in anonymous
 * memory that they and their parent share.  A process says there whether it is idle;
 * the one that leaves nobody idle wakes the parent with SIGUSR2.  The parent forks,
 * the processes themselves leave when they were idle for long.
 */
#ifndef MW_BASE_POOL_H
#define MW_BASE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define MW_POOL_MAX 512		/* processes of one pool */

struct mw_pool;

/* "N" or "MIN-MAX", 1 <= MIN <= MAX <= MW_POOL_MAX. */
bool mw_pool_range(const char *text, unsigned *min, unsigned *max);

/* ---- the parent ---- */

enum mw_code mw_pool_open(struct mw_pool **p, struct mw_err *err) MW_MUST;
void mw_pool_close(struct mw_pool *p);		/* accepts NULL */

/* No process leaves below `min`, nor before it was idle for `idle` ms. */
void mw_pool_limits(struct mw_pool *p, unsigned min, unsigned max, int64_t idle);
void mw_pool_get_limits(const struct mw_pool *p, unsigned *min, unsigned *max);

void mw_pool_alive(struct mw_pool *p, unsigned n);	/* how many processes there are */
void mw_pool_forget(struct mw_pool *p, unsigned seat);	/* about to be filled */
bool mw_pool_seen(const struct mw_pool *p, unsigned seat);	/* it has been idle once */
unsigned mw_pool_idle(const struct mw_pool *p);		/* how many are */

/* The process of `seat` is gone.  True: it left as it may. */
bool mw_pool_gone(struct mw_pool *p, unsigned seat);

/* ---- a process ---- */

/* This process has `seat` from now on. */
void mw_pool_join(struct mw_pool *p, unsigned seat);
bool mw_pool_member(void);
unsigned mw_pool_most(void);	/* of this process's pool, as of now; 0 = it is in none */

enum mw_pool_next {
	MW_POOL_REQUEST,	/* accept; EAGAIN: another was quicker, wait again */
	MW_POOL_LEAVE,		/* idle for long: end, with status 0 */
	MW_POOL_STOP,		/* mw_pool_wake was called */
	MW_POOL_ERROR		/* errno */
};

/*
 * Wait, idle, for a connection at `listener`, which does not block.  Of several that
 * wait, the process that is in the pool for the longest time is woken, so a pool uses
 * as few processes as there are requests at once, and the others become old.
 */
enum mw_pool_next mw_pool_wait(int listener);
bool mw_pool_pending(void);	/* a connection waits for a process of this pool */
void mw_pool_wake(void);	/* may be called by a signal handler */

#endif
