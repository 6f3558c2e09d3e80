/* SPDX-License-Identifier: BSD-2-Clause */
/* Breakers and the retry budget, also between processes. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/breaker.h"
#include "tap.h"

#define SHIFT 24		/* below the time in the word, see breaker.c */
#define OPEN 60000		/* longer than any test */

static struct mw_shm *shm;

static struct mw_breaker
of(const char *name, int64_t failures, int64_t open)
{
	struct mw_breaker b;

	mw_breaker_of_user(&b, shm, name, failures, open);
	return b;
}

/* One call and its outcome; false if it was not allowed. */
static bool
call(struct mw_breaker *b, enum mw_verdict verdict)
{
	if (mw_breaker_begin(b, false) > 0)
		return false;
	mw_breaker_end(b, verdict);
	return true;
}

static enum mw_breaker_state
state(const struct mw_breaker *b)
{
	int64_t wait;

	return mw_breaker_state(b, &wait);
}

/* As if the time had passed for which it is open. */
static void
let_time_pass(struct mw_breaker *b)
{
	uint64_t w = atomic_load(b->word);

	atomic_store(b->word, (uint64_t)1 << SHIFT | (w & ((1u << SHIFT) - 1)));
}

static void
test_rows(void)
{
	struct mw_breaker b = of("rows", 5, OPEN);
	int i;

	for (i = 0; i < 4; i++)
		ok(call(&b, MW_SAYS_ILL), "failure %d is allowed", i + 1);
	is_int(state(&b), MW_BREAKER_CLOSED, "four in a row do not open it");
	ok(call(&b, MW_SAYS_WELL), "an answer");
	for (i = 0; i < 4; i++)
		(void)call(&b, MW_SAYS_ILL);
	is_int(state(&b), MW_BREAKER_CLOSED, "an answer in between: not in a row");
	for (i = 0; i < 20; i++)
		(void)call(&b, MW_SAYS_NOTHING);
	is_int(state(&b), MW_BREAKER_CLOSED, "what says nothing never counts");
	(void)call(&b, MW_SAYS_ILL);
	is_int(state(&b), MW_BREAKER_OPEN, "but does not end the row either: the fifth opens it");
	ok(!call(&b, MW_SAYS_WELL), "then no call is allowed");
}

static void
test_cycle(void)
{
	struct mw_breaker b = of("cycle", 1, OPEN), other = of("cycle", 1, OPEN);
	int64_t wait;
	int i;

	(void)call(&b, MW_SAYS_ILL);
	wait = mw_breaker_begin(&b, false);
	ok(wait > OPEN - 30000 && wait <= OPEN, "open for the first time: once the time");
	let_time_pass(&b);
	is_int(state(&b), MW_BREAKER_HALF_OPEN, "then half open");
	is_int(mw_breaker_begin(&b, false), 0, "a trial is allowed");
	is_int(mw_breaker_begin(&other, false), 1000, "and no second one meanwhile");
	mw_breaker_end(&b, MW_SAYS_ILL);
	wait = mw_breaker_begin(&other, false);
	ok(wait > 2 * OPEN - 30000 && wait <= 2 * OPEN, "a bad one opens it for twice the time");
	for (i = 0; i < 10; i++) {
		let_time_pass(&b);
		(void)call(&b, MW_SAYS_ILL);
	}
	wait = mw_breaker_begin(&b, false);
	ok(wait > 270000 && wait <= 300000, "at most five minutes");
	let_time_pass(&b);
	is_int(mw_breaker_begin(&b, false), 0, "a trial");
	mw_breaker_end(&b, MW_SAYS_NOTHING);
	is_int(state(&b), MW_BREAKER_HALF_OPEN, "that says nothing leaves it half open");
	ok(call(&b, MW_SAYS_WELL), "and another is allowed");
	is_int(state(&b), MW_BREAKER_CLOSED, "a good one closes it");
	(void)call(&b, MW_SAYS_ILL);
	wait = mw_breaker_begin(&b, false);
	ok(wait > OPEN - 30000 && wait <= OPEN, "after which it begins anew");
}

static void
test_late(void)
{
	struct mw_breaker a = of("late", 1, OPEN), b = of("late", 1, OPEN);
	uint64_t word;

	is_int(mw_breaker_begin(&a, false) + mw_breaker_begin(&b, false), 0, "two calls at once");
	mw_breaker_end(&a, MW_SAYS_ILL);
	word = atomic_load(a.word);
	mw_breaker_end(&b, MW_SAYS_ILL);
	ok(atomic_load(a.word) == word, "the failure that comes late does not open it again");
}

static void
test_insist(void)
{
	struct mw_breaker a = of("wake", 1, OPEN), b = of("wake", 1, OPEN);
	int64_t wait;

	(void)call(&a, MW_SAYS_ILL);
	is_int(mw_breaker_begin(&a, true), 0, "who insists is the trial of an open one");
	ok(mw_breaker_begin(&b, true) > 0, "but one at a time");
	mw_breaker_end(&a, MW_SAYS_ILL);
	wait = mw_breaker_begin(&b, false);
	ok(wait > OPEN, "a bad one opens it for longer");
	is_int(mw_breaker_begin(&b, true), 0, "again");
	mw_breaker_end(&b, MW_SAYS_WELL);
	is_int(state(&a), MW_BREAKER_CLOSED, "a good one closes it");
}

static void
test_killed_trial(void)
{
	struct mw_breaker b = of("killed", 1, OPEN);
	int status, p[2];
	pid_t pid;
	char byte;

	(void)call(&b, MW_SAYS_ILL);
	let_time_pass(&b);
	(void)fflush(stdout);
	if (pipe(p) != 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		if (mw_breaker_begin(&b, false) != 0 || write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	(void)close(p[1]);
	ok(read(p[0], &byte, 1) == 1 && mw_breaker_begin(&b, false) == 1000,
	    "another process makes the trial");
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	ok(call(&b, MW_SAYS_WELL) && state(&b) == MW_BREAKER_CLOSED,
	    "it is killed: the next call is the trial");
	(void)close(p[0]);
}

/* Half open, and many processes come at once: one call goes through. */
static void
test_one_trial(void)
{
	struct mw_breaker b = of("one", 1, OPEN);
	unsigned round, i, trials, wrong = 0;
	int status, p[2];
	pid_t pid[8];
	char byte;

	(void)call(&b, MW_SAYS_ILL);
	for (round = 0; round < 40; round++) {
		let_time_pass(&b);
		(void)fflush(stdout);
		if (pipe(p) != 0)
			abort();
		for (i = 0; i < 8; i++) {
			if ((pid[i] = fork()) != 0)
				continue;
			(void)close(p[1]);
			if (read(p[0], &byte, 1) != 0)
				_exit(2);
			_exit(call(&b, MW_SAYS_ILL) ? 1 : 0);
		}
		(void)close(p[0]);
		(void)close(p[1]);
		for (i = 0, trials = 0; i < 8; i++)
			trials += waitpid(pid[i], &status, 0) == pid[i] && WEXITSTATUS(status) == 1;
		wrong += trials != 1;
	}
	is_int(wrong, 0, "exactly one trial each time, also right after a bad one");
}

static void
test_stores(void)
{
	struct mw_breaker a, b;
	char name[32];
	unsigned i;

	mw_breaker_of_store(&a, shm, "https://r2/bkt", 1, OPEN);
	mw_breaker_of_store(&b, shm, "/var/lib/store", 1, OPEN);
	(void)call(&a, MW_SAYS_ILL);
	ok(state(&a) == MW_BREAKER_OPEN && state(&b) == MW_BREAKER_CLOSED,
	    "each store has its own");
	mw_breaker_of_store(&b, shm, "https://r2/bkt", 1, OPEN);
	is_int(state(&b), MW_BREAKER_OPEN, "and finds it again");
	for (i = 0; i < 3 * MW_SHM_STORES; i++) {
		(void)snprintf(name, sizeof(name), "store%u", i);
		mw_breaker_of_store(&b, shm, name, 1, OPEN);
		(void)call(&b, MW_SAYS_WELL);
	}
	ok(true, "more stores than rows do no harm");
}

static void
test_users(void)
{
	struct mw_breaker b;

	memset(shm, 0, sizeof(*shm));
	is_int(mw_breaker_users(shm), 0, "no user's is open");
	b = of("x", 2, OPEN);
	(void)call(&b, MW_SAYS_ILL);
	is_int(mw_breaker_users(shm), 0, "a failure is not an open one");
	(void)call(&b, MW_SAYS_ILL);
	b = of("y", 1, OPEN);
	(void)call(&b, MW_SAYS_ILL);
	is_int(mw_breaker_users(shm), 2, "two are open");
	if (mw_breaker_begin(&b, true) == 0)
		mw_breaker_end(&b, MW_SAYS_WELL);
	is_int(mw_breaker_users(shm), 1, "one was closed");
}

#define THREADS 4
#define ROUNDS 20000

static void *
spend(void *arg)
{
	unsigned i, *got = arg;

	for (i = 0; i < ROUNDS; i++) {
		if (mw_budget_take(shm, 5, 1000)) {
			(*got)++;
		} else {
			mw_budget_give(shm);
		}
	}
	return NULL;
}

static void
test_budget(void)
{
	unsigned i, n = 0, got[THREADS] = { 0 };
	pthread_t t[THREADS];

	atomic_store(&shm->retries_spent, 0);
	while (mw_budget_take(shm, 5, 500))
		n++;
	is_int(n, 100, "500 tokens are 100 retries");
	ok(!mw_budget_take(shm, 1, 500), "and not one more");
	for (i = 0; i < 5; i++)
		mw_budget_give(shm);
	ok(mw_budget_take(shm, 5, 500) && !mw_budget_take(shm, 5, 500),
	    "five successes buy one");
	for (i = 0; i < 1000; i++)
		mw_budget_give(shm);
	for (n = 0; mw_budget_take(shm, 10, 500); n++)
		continue;
	is_int(n, 50, "it is never more than full");
	ok(!mw_budget_take(shm, 5, 0), "no budget, no retries");
	atomic_store(&shm->retries_spent, 0);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, spend, &got[i]) != 0)
			abort();
	for (i = 0, n = 0; i < THREADS; i++) {
		(void)pthread_join(t[i], NULL);
		n += got[i];
	}
	ok(atomic_load(&shm->retries_spent) >= 0 && atomic_load(&shm->retries_spent) <= 1000 &&
	    n >= 200, "threads keep it within its limits");
}

int
main(void)
{
	shm = mmap(NULL, sizeof(*shm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shm == MAP_FAILED)
		return 1;
	test_rows();
	test_cycle();
	test_late();
	test_insist();
	test_killed_trial();
	test_one_trial();
	test_stores();
	test_users();
	test_budget();
	return done();
}
