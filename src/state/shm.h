/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What processes share without a lock: one file under state.path, mapped
 * shared, allocated in full at creation, C11 atomics only.  Its layout version
 * is in its name; another boot id in its header resets it.  Losing it costs a
 * probe or a query, never an answer.
 */
#ifndef MW_STATE_SHM_H
#define MW_STATE_SHM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "state/mapfile.h"

#define MW_SHM_USERS 4096	/* rows of the hashed user table; 8 probes, then eviction */
#define MW_SHM_BUCKETS 1024	/* of the outbox's dirty marks, by hash of user */
#define MW_SHM_ADDRS 256	/* client addresses that sent wrong secrets */
#define MW_SHM_SLOTS 8192	/* of slot.h, all kinds together */
#define MW_SHM_CHANGES 16384	/* counts of changes in sandboxes, by hash of user */
#define MW_SHM_STORES 16	/* stores with a breaker; a host has one, or two while it moves */

/* Per user; the key is the 64-bit hash of the id.  Times are monotonic ms. */
struct mw_shm_user {
	_Atomic uint64_t key;
	_Atomic int64_t ready_until;		/* sandbox known ready (running, restored) until */
	_Atomic int64_t gateway_until;		/* and its gateway */
	_Atomic uint64_t marker;		/* the instance that ready_until is about, 0 = unknown */
	_Atomic uint32_t wake_gen;		/* raised when a wake ends */
	_Atomic int32_t wake_code;		/* enum mw_code it ended with */
	_Atomic int64_t failed_until;		/* a remembered failure */
	_Atomic int64_t used;			/* for eviction */
	_Atomic int64_t drain_after;		/* backoff of this user's outbox rows */
	_Atomic uint64_t breaker;		/* of this user's sandbox, see breaker.h */
	/* Waking.  Who leads a wake holds the lock "wake:USER" and writes these; wake_gen
	 * is raised last.  Levels, phases and actions are those of ops/ready/ready.h. */
	_Atomic uint32_t sandbox_gen;		/* raised when a wake has reached the sandbox level */
	_Atomic int32_t wake_phase;		/* of the wake in hand, 0 = none */
	_Atomic int32_t wake_pid;		/* of the process that leads it, 0 = none */
	_Atomic int64_t wake_until;		/* when its time is over */
	_Atomic int32_t wake_level;		/* level, action and calls of the wake that ended */
	_Atomic int32_t wake_action;
	_Atomic uint32_t wake_attempts;
	_Atomic uint32_t sleeps;		/* raised by what puts it to sleep: a wake in hand ends */
	_Atomic int32_t failed_level;		/* the remembered failure keeps from this level */
	_Atomic int64_t failed_limit;		/* ms that it was tried for; 0 = a failure at any time */
	_Atomic int64_t gateway_probed;		/* the gateway's last good probe */
	_Atomic int64_t active;			/* last success in the sandbox, wall ms */
	_Atomic uint32_t restores;		/* raised before a wake's restore looks at R2 */
	_Atomic int64_t answered;		/* its driver's last answer, 0 = none since it failed */
};

struct mw_shm_addr {
	_Atomic uint64_t key;
	_Atomic int64_t window;			/* start of the 60 s window */
	_Atomic uint32_t count;
};

struct mw_shm_slot {
	_Atomic uint64_t owner;			/* process, 0 = free; see slot.c */
	_Atomic uint64_t what;			/* kind and hash of the key */
};

struct mw_shm_store {
	_Atomic uint64_t key;			/* hash of the store's identity, 0 = free */
	_Atomic uint64_t breaker;
};

struct mw_shm {
	struct mw_mapfile head;
	struct mw_shm_user users[MW_SHM_USERS];
	/* Outbox: dirty is raised before a row is committed; clean is the value of
	 * dirty at which the bucket was seen empty.  Equal = no rows, no marks. */
	_Atomic uint64_t dirty[MW_SHM_BUCKETS];
	_Atomic uint64_t clean[MW_SHM_BUCKETS];
	struct mw_shm_addr addrs[MW_SHM_ADDRS];
	_Atomic int64_t last_drain;		/* a detached drain was started at */
	/* The same for rows that a drainer could bring: queued is raised before a
	 * row is committed, drained is its value when none was left to try, emptied
	 * its value when there was none at all. */
	_Atomic uint64_t queued, drained, emptied;
	struct mw_shm_slot slots[MW_SHM_SLOTS];
	struct mw_shm_store stores[MW_SHM_STORES];
	_Atomic int64_t retries_spent;		/* tokens gone from retry.budget */
	/* Raised after each change in a sandbox that R2 does not get at once; no row of a
	 * user, which may be given away: ops/ready/quiesce.h relies on it. */
	_Atomic uint32_t changes[MW_SHM_CHANGES];
};

/* A hash with the top bit set is no key: the row is being changed hands. */
#define MW_SHM_CLAIM (UINT64_C(1) << 63)

/* Map (creating it) state.path/shared-vN; see mapfile.h. */
enum mw_code mw_shm_open(const char *state_path, struct mw_shm **sp, struct mw_err *err) MW_MUST;
void mw_shm_close(struct mw_shm *s);		/* accepts NULL */

/*
 * The row of a user, made if need be; never NULL.  Good for one request: a row
 * unused for MW_SHM_IDLE may be given to another user.  With eight busier users
 * in its place, the row is the calling thread's own and empty: nothing is known.
 */
#define MW_SHM_IDLE 900000		/* ms; longer than any request takes */
struct mw_shm_user *mw_shm_user(struct mw_shm *s, const char *user);

/* Count a wrong secret from `addr`, IPv6 by /64; true when it is past 10 in 60 s.
 * *first is true when this one crossed the line (one log line). */
bool mw_shm_refused(struct mw_shm *s, const char *addr, bool *first);

/* Does anything wait in the outbox for a drainer?  Cheap; true when in doubt. */
bool mw_shm_queued(const struct mw_shm *s);

/* Number of a user's bucket in dirty/clean. */
unsigned mw_shm_bucket(const char *user);

/* The count of changes in a user's sandbox.  Two users may share one. */
_Atomic uint32_t *mw_shm_changes(struct mw_shm *s, const char *user);

#endif
