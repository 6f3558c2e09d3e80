/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots: the limit, the dead, and many that come at once. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/slot.h"
#include "tap.h"

static struct mw_shm *shm;

static int
take(const char *key, unsigned max)
{
	return mw_slot_take(shm, MW_SLOT_BUSY, key, max);
}

static unsigned
held(const char *key)
{
	return mw_slot_count(shm, MW_SLOT_BUSY, key);
}

static void
test_limit(void)
{
	int a, b, c;

	is_int(held("files"), 0, "nothing is held");
	a = take("files", 2);
	b = take("files", 2);
	ok(a >= 0 && b >= 0 && a != b, "two slots of two");
	is_int(take("files", 2), -1, "and no third");
	is_int(held("files"), 2, "two are counted");
	c = mw_slot_take(shm, MW_SLOT_JOB, "files", 1);
	ok(c >= 0, "another kind of the same key is its own");
	mw_slot_give(shm, c);
	c = take("exec", 1);
	ok(c >= 0, "and so is another key");
	mw_slot_give(shm, c);
	mw_slot_give(shm, a);
	is_int(held("files"), 1, "one was given back");
	a = take("files", 2);
	ok(a >= 0, "and is to be had again");
	is_int(take("files", 0), -1, "none of none");
	mw_slot_give(shm, a);
	mw_slot_give(shm, b);
	mw_slot_give(shm, -1);
	mw_slot_give(shm, MW_SHM_SLOTS);
	is_int(held("files"), 0, "all are back");
}

static void
test_full(void)
{
	int slot[MW_SHM_SLOTS], i, got = 0;

	for (i = 0; i < MW_SHM_SLOTS; i++) {
		slot[i] = take("full", MW_SHM_SLOTS + 1);
		got += slot[i] >= 0;
	}
	is_int(got, MW_SHM_SLOTS, "the whole table can be taken");
	is_int(take("full", MW_SHM_SLOTS + 1), -1, "and then there is no slot, whatever max says");
	for (i = 0; i < MW_SHM_SLOTS; i++)
		mw_slot_give(shm, slot[i]);
	is_int(held("full"), 0, "all are back");
}

/* A child that takes `n` slots, says so, and waits to be killed. */
static pid_t
holder(const char *key, unsigned n)
{
	int p[2];
	pid_t pid;
	char byte;

	(void)fflush(stdout);
	if (pipe(p) != 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		while (n-- > 0)
			if (take(key, 100) < 0)
				_exit(1);
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	(void)close(p[1]);
	ok(read(p[0], &byte, 1) == 1, "a child holds its slots");
	(void)close(p[0]);
	return pid;
}

static void
test_killed(void)
{
	pid_t pid = holder("k", 3);
	int status, slot;
	siginfo_t si;

	is_int(held("k"), 3, "and they count");
	is_int(take("k", 3), -1, "and keep others out");
	(void)kill(pid, SIGSTOP);
	is_int(held("k"), 3, "also while it is stopped");
	(void)kill(pid, SIGKILL);
	ok(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) == 0, "it was killed, not yet waited for");
	slot = take("k", 1);
	ok(slot >= 0, "its slots are free at once");
	mw_slot_give(shm, slot);
	(void)waitpid(pid, &status, 0);
	is_int(held("k"), 0, "and nothing counts when it is gone");
}

/* The same pid, another process: its start time tells. */
static void
test_reused(void)
{
	int slot = take("pid", 1);
	uint64_t owner = atomic_load(&shm->slots[slot].owner);

	is_int(take("pid", 1), -1, "held by a live process");
	atomic_store(&shm->slots[slot].owner, owner + (UINT64_C(1000) << 1));
	is_int(held("pid"), 0, "a process of the same pid and another start is not the owner");
	slot = take("pid", 1);
	ok(slot >= 0, "and its slot can be taken");
	mw_slot_give(shm, slot);
	slot = take("pid", 1);
	atomic_store(&shm->slots[slot].owner, (owner & ~(((UINT64_C(1) << 42) - 1))) | 1);
	is_int(held("pid"), 0, "a claim of an unknown start is no holder");
	atomic_store(&shm->slots[slot].owner, 0);
}

static void
test_fork(void)
{
	int slot = take("f", 1), status;
	pid_t pid;

	(void)fflush(stdout);
	if ((pid = fork()) == 0) {
		mw_slot_give(shm, slot);	/* not its own */
		_exit(held("f") == 1 && take("f", 2) >= 0 ? 0 : 1);
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0, "a child does not own its parent's slots");
	is_int(held("f"), 1, "what the child took is gone with it");
	mw_slot_give(shm, slot);
}

/* A claim that its maker did not live to settle. */
static void
test_dead_claim(void)
{
	int slot = take("c", 1);
	uint64_t owner = atomic_load(&shm->slots[slot].owner);

	atomic_store(&shm->slots[slot].owner, (owner + (UINT64_C(1000) << 1)) | 1);
	slot = take("c", 1);
	ok(slot >= 0, "a dead process's claim keeps nobody out");
	atomic_store(&shm->slots[slot].owner, owner | 1);
	is_int(take("c", 1), -1, "a live one's that does not settle does");
	mw_slot_give(shm, slot);
	slot = take("c", 1);
	ok(slot >= 0, "it can be given back too");
	mw_slot_give(shm, slot);
}

/* ---- many at once ---- */

#define MAX 3

struct arena {
	_Atomic int inside;	/* holders, as they count themselves */
	_Atomic int most;
	_Atomic int taken;
};
static struct arena *ring;

static void
enter(void)
{
	int n = atomic_fetch_add(&ring->inside, 1) + 1, most = atomic_load(&ring->most);

	while (n > most && !atomic_compare_exchange_weak(&ring->most, &most, n))
		;
	atomic_fetch_add(&ring->taken, 1);
	(void)sched_yield();
	atomic_fetch_sub(&ring->inside, 1);
}

static void
rounds(unsigned n)
{
	int slot;

	while (n-- > 0) {
		if ((slot = take("ring", MAX)) >= 0) {
			enter();
			mw_slot_give(shm, slot);
		}
	}
}

static void *
thread(void *arg)
{
	rounds(*(unsigned *)arg);
	return NULL;
}

static void
test_threads(void)
{
	unsigned n = 300, i;
	pthread_t t[6];

	memset(ring, 0, sizeof(*ring));
	for (i = 0; i < 6; i++)
		if (pthread_create(&t[i], NULL, thread, &n) != 0)
			abort();
	for (i = 0; i < 6; i++)
		(void)pthread_join(t[i], NULL);
	ok(atomic_load(&ring->most) <= MAX, "threads: never more than max (%d of %d)",
	    atomic_load(&ring->most), MAX);
	ok(atomic_load(&ring->taken) > 100, "and many got one (%d)", atomic_load(&ring->taken));
	is_int(held("ring"), 0, "and all are back");
}

#define PROCS 8

static void
test_processes(void)
{
	pid_t pid[PROCS];
	int i, status, good = 0;

	memset(ring, 0, sizeof(*ring));
	(void)fflush(stdout);
	for (i = 0; i < PROCS; i++) {
		if ((pid[i] = fork()) == 0) {
			rounds(400);
			_exit(0);
		}
	}
	for (i = 0; i < PROCS; i++)
		good += waitpid(pid[i], &status, 0) == pid[i] && status == 0;
	is_int(good, PROCS, "all processes ended well");
	ok(atomic_load(&ring->most) <= MAX, "processes: never more than max (%d of %d)",
	    atomic_load(&ring->most), MAX);
	ok(atomic_load(&ring->taken) > 100, "and many got one (%d)", atomic_load(&ring->taken));
	is_int(held("ring"), 0, "and all are back");
}

/* Killed at whatever instruction: what is left is repaired by the next taker. */
static void
test_murder(void)
{
	unsigned i, j, bad = 0;
	pid_t pid[2];
	int status, slot[MAX];

	for (i = 0; i < 150; i++) {
		memset(ring, 0, sizeof(*ring));
		(void)fflush(stdout);
		for (j = 0; j < 2; j++)
			if ((pid[j] = fork()) == 0)
				for (;;)
					rounds(100);
		while (atomic_load(&ring->taken) == 0)
			(void)sched_yield();
		for (j = 0; j < i * 13; j++)
			(void)getppid();
		for (j = 0; j < 2; j++)
			(void)kill(pid[j], SIGKILL);
		for (j = 0; j < 2; j++)
			(void)waitpid(pid[j], &status, 0);
		for (j = 0; j < MAX; j++)
			bad += (slot[j] = take("ring", MAX)) < 0;
		bad += take("ring", MAX) >= 0;
		for (j = 0; j < MAX; j++)
			mw_slot_give(shm, slot[j]);
	}
	is_int(bad, 0, "killed holders and takers leave all slots to be had, and no more");
}

/* The last one, wanted by many at the same instant: one gets it, and one only. */
static void
test_last_one(void)
{
	unsigned i, j, none = 0, several = 0, got;
	int status, p[2];
	pid_t pid[PROCS];
	char byte;

	for (i = 0; i < 60; i++) {
		(void)fflush(stdout);
		if (pipe(p) != 0)
			abort();
		for (j = 0; j < PROCS; j++) {
			if ((pid[j] = fork()) != 0)
				continue;
			(void)close(p[1]);
			/* The start: the pipe's end. */
			if (read(p[0], &byte, 1) != 0 ||
			    mw_slot_take(shm, MW_SLOT_TRIAL, "store", 1) < 0)
				_exit(0);
			(void)raise(SIGSTOP);		/* hold it until all have tried */
			_exit(1);
		}
		(void)close(p[0]);
		(void)close(p[1]);
		for (j = 0, got = 0; j < PROCS; j++)
			got += waitpid(pid[j], &status, WUNTRACED) == pid[j] && WIFSTOPPED(status);
		for (j = 0; j < PROCS; j++)
			(void)kill(pid[j], SIGKILL);
		while (waitpid(-1, &status, 0) > 0)
			;
		none += got == 0;
		several += got > 1;
	}
	is_int(several, 0, "never two");
	is_int(none, 0, "and never none");
}

int
main(void)
{
	shm = mmap(NULL, sizeof(*shm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shm == MAP_FAILED || ring == MAP_FAILED)
		return 1;
	test_limit();
	test_full();
	test_killed();
	test_reused();
	test_fork();
	test_dead_claim();
	test_threads();
	test_processes();
	test_murder();
	test_last_one();
	return done();
}
