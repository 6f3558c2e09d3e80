/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots of the mapping that are free again when their holder is gone. */
#include "state/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/str.h"

/*
 * An owner in one word: 22 bits of pid (the kernel's PID_MAX_LIMIT), 41 bits of
 * start time (ticks since boot, 700 years of them) and CLAIM, which says that it
 * is not settled yet whether the slot may be kept.
 *
 * A taker first claims a slot, then counts.  All claims and counts have one order
 * (seq_cst), so of two takers at least one sees the other.  The one at the lower
 * place waits until the other has settled, which it does by giving way.
 */
#define PID_BITS 22
#define CLAIM UINT64_C(1)
#define START_MASK ((UINT64_C(1) << 41) - 1)

#define PATIENCE 200		/* ms for others to settle; a stopped process may not */

static uint64_t
owner_of(pid_t pid, uint64_t start)
{
	return (uint64_t)pid << (64 - PID_BITS) | (start & START_MASK) << 1;
}

/*
 * Start time of a process, 0 = it cannot be read.  *gone: there is none, or it is
 * dead and only not waited for yet.
 */
static uint64_t
start_of(pid_t pid, bool *gone)
{
	char path[40], text[512], *p;
	int64_t start = 0;
	unsigned field;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	*gone = fd < 0 && errno == ENOENT;
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	*gone = n < 0 && errno == ESRCH;
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* proc(5): the name, field 2, may hold anything; state is 3, start time 22. */
	if ((p = strrchr(text, ')')) == NULL || p[1] != ' ')
		return 0;
	p += 2;
	*gone = *p == 'Z' || *p == 'X' || *p == 'x';
	for (field = 3; field < 22 && p != NULL; field++)
		p = (p = strchr(p, ' ')) != NULL ? p + 1 : NULL;
	if (p == NULL || !mw_str_uint(p, strcspn(p, " \n"), INT64_MAX, &start))
		return 0;
	return (uint64_t)start;
}

/* This process, looked up once, and once more after a fork. */
static uint64_t
self(void)
{
	static _Atomic uint64_t mine;
	uint64_t me = atomic_load(&mine);
	pid_t pid = getpid();
	bool gone;

	if (me >> (64 - PID_BITS) != (uint64_t)pid) {
		me = owner_of(pid, start_of(pid, &gone));
		atomic_store(&mine, me);
	}
	return me;
}

static bool
alive(uint64_t owner)
{
	pid_t pid = (pid_t)(owner >> (64 - PID_BITS));
	uint64_t start = owner >> 1 & START_MASK, now;
	bool gone;

	if ((owner & ~CLAIM) == self())
		return true;
	if (kill(pid, 0) != 0 && errno == ESRCH)
		return false;
	now = start_of(pid, &gone) & START_MASK;
	if (gone)
		return false;
	/* Not to be told: it counts as alive, as it is the safe side. */
	return now == 0 || start == 0 || now == start;
}

static uint64_t
word_of(enum mw_slot_kind kind, const char *key)
{
	return mw_hash(key) << 3 | (uint64_t)kind;
}

/*
 * A slot whose owner is gone becomes a free one.  `what` is left as it is: it
 * counts only together with an owner, and whoever claims a slot writes it anew.
 */
static void
reclaim(struct mw_shm_slot *sl, uint64_t owner)
{
	(void)atomic_compare_exchange_strong(&sl->owner, &owner, 0);
}

struct count {
	unsigned held;		/* settled ones */
	unsigned above, below;	/* claims at higher and at lower places than ours */
};

/* Owner and `what` of one instant: between two looks a slot may change hands. */
static uint64_t
look(const struct mw_shm_slot *sl, uint64_t *what)
{
	uint64_t owner, before;

	owner = atomic_load(&sl->owner);
	do {
		before = owner;
		*what = atomic_load(&sl->what);
		owner = atomic_load(&sl->owner);
	} while (owner != before);
	return owner;
}

/* check: ask whether each owner lives, and clear up after those who do not. */
static void
count(struct mw_shm *s, uint64_t what, int me, bool check, struct count *c)
{
	struct mw_shm_slot *sl;
	uint64_t owner, of;
	int i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < MW_SHM_SLOTS; i++) {
		sl = &s->slots[i];
		if (i == me || (owner = look(sl, &of)) == 0 || of != what)
			continue;
		if (check && !alive(owner))
			reclaim(sl, owner);
		else if ((owner & CLAIM) == 0)
			c->held++;
		else if (i > me)
			c->above++;
		else
			c->below++;
	}
}

/* A free place, now claimed; -1 = there is none. */
static int
claim(struct mw_shm *s, uint64_t what)
{
	uint64_t owner, old, mine = self() | CLAIM;
	struct mw_shm_slot *sl;
	int pass, i;

	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < MW_SHM_SLOTS; i++) {
			sl = &s->slots[i];
			owner = atomic_load(&sl->owner);
			if (owner != 0 && (pass == 0 || alive(owner)))
				continue;
			old = atomic_load(&sl->what);
			if (!atomic_compare_exchange_strong(&sl->owner, &owner, mine))
				continue;
			if (old != what)
				atomic_store(&sl->what, what);
			return i;
		}
	}
	return -1;
}

/* May the claim at `me` be kept?  1 yes, 0 no, -1 another was here first: give way. */
static int
settle(struct mw_shm *s, uint64_t what, int me, unsigned max, int64_t end)
{
	bool check = false;
	struct count c;

	for (;;) {
		count(s, what, me, check, &c);
		if (c.held + c.above + c.below < max)
			return 1;
		if (!check) {
			check = true;
			continue;
		}
		if (c.held >= max || mw_now() >= end)
			return 0;
		if (c.below > 0)
			return -1;
		(void)sched_yield();
	}
}

/*
 * Wait while as many claim as there are slots left: a claim more would only be in
 * their way.  False when there is nothing to be had.
 */
static bool
worth_a_claim(struct mw_shm *s, uint64_t what, unsigned max, int64_t end)
{
	struct count c;

	count(s, what, MW_SHM_SLOTS, false, &c);
	while (c.held + c.below >= max) {
		count(s, what, MW_SHM_SLOTS, true, &c);
		if (c.held >= max || mw_now() >= end)
			return false;
		(void)sched_yield();
	}
	return true;
}

int
mw_slot_take(struct mw_shm *s, enum mw_slot_kind kind, const char *key, unsigned max)
{
	uint64_t what = word_of(kind, key);
	int64_t end = mw_now() + PATIENCE;
	int slot, may;

	while (worth_a_claim(s, what, max, end) && (slot = claim(s, what)) >= 0) {
		if ((may = settle(s, what, slot, max, end)) > 0) {
			atomic_store(&s->slots[slot].owner, self());
			return slot;
		}
		mw_slot_give(s, slot);
		if (may == 0)
			break;
	}
	return -1;
}

void
mw_slot_give(struct mw_shm *s, int slot)
{
	uint64_t mine, claimed;

	if (slot < 0 || slot >= MW_SHM_SLOTS)
		return;
	mine = self();
	claimed = mine | CLAIM;
	if (!atomic_compare_exchange_strong(&s->slots[slot].owner, &mine, 0))
		(void)atomic_compare_exchange_strong(&s->slots[slot].owner, &claimed, 0);
}

unsigned
mw_slot_count(struct mw_shm *s, enum mw_slot_kind kind, const char *key)
{
	struct count c;

	count(s, word_of(kind, key), MW_SHM_SLOTS, true, &c);
	return c.held;
}

unsigned
mw_slot_count_kind(struct mw_shm *s, enum mw_slot_kind kind)
{
	uint64_t owner;
	unsigned n = 0;

	for (unsigned i = 0; i < MW_SHM_SLOTS; i++) {
		owner = atomic_load(&s->slots[i].owner);
		if (owner != 0 && (atomic_load(&s->slots[i].what) & 7) == (uint64_t)kind)
			n += alive(owner);
	}
	return n;
}
