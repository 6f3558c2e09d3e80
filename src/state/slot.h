/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is taken and given back by processes: a slot of the shared mapping that
 * holds its owner's pid and start time, and is free again when that process is
 * gone, however it ended.  Atomics only; a process killed at any instruction
 * leaves nothing that the next taker does not clear up.
 */
#ifndef MW_STATE_SLOT_H
#define MW_STATE_SLOT_H

#include "state/shm.h"

enum mw_slot_kind {
	MW_SLOT_WAITER = 1,	/* waits for a wake; key: the user */
	MW_SLOT_JOB,		/* a running exec; key: the user */
	MW_SLOT_BUSY,		/* a process that waits; key: the responder */
	MW_SLOT_TRIAL		/* the one call through a half-open breaker; key: its name */
};

/*
 * Take one of the at most `max` slots of kind and key.  -1 when live processes
 * hold that many, or when all of the table is taken.  Two that come for the last
 * one at the same instant never both get it; one of them does.
 */
int mw_slot_take(struct mw_shm *s, enum mw_slot_kind kind, const char *key, unsigned max) MW_MUST;

/* Only by the process that took it.  Accepts -1. */
void mw_slot_give(struct mw_shm *s, int slot);

/* How many are held by live processes. */
unsigned mw_slot_count(struct mw_shm *s, enum mw_slot_kind kind, const char *key);

/* The same, whatever the key. */
unsigned mw_slot_count_kind(struct mw_shm *s, enum mw_slot_kind kind);

#endif
