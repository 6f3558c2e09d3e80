/* SPDX-License-Identifier: BSD-2-Clause */
/* Each call is made once, side by side, and signals stay with the calling thread. */
#include "tap.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/threads.h"

#define MOST 64

static _Atomic unsigned calls[MOST];
static pthread_barrier_t barrier;
static pthread_t self;
static _Atomic unsigned foreign, deaf;

static void
count(void *arg, size_t i)
{
	(void)arg;
	(void)atomic_fetch_add(&calls[i], 1);
}

/* Returns only if all of them run at the same time. */
static void
meet(void *arg, size_t i)
{
	sigset_t blocked;

	count(arg, i);
	(void)pthread_barrier_wait(&barrier);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (pthread_equal(pthread_self(), self))
		return;
	(void)atomic_fetch_add(&foreign, 1);
	if (sigismember(&blocked, SIGTERM) == 1)
		(void)atomic_fetch_add(&deaf, 1);
}

static bool
each_once(size_t n)
{
	bool good = true;
	size_t i;

	for (i = 0; i < MOST; i++) {
		good = good && calls[i] == (i < n ? 1U : 0U);
		calls[i] = 0;
	}
	return good;
}

/* The rest of a sigset_t holds no signal, and need not be the same. */
static bool
same_signals(const sigset_t *a, const sigset_t *b)
{
	bool same = true;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		same = same && sigismember(a, sig) == sigismember(b, sig);
	return same;
}

/* No thread can be had: the calls are made all the same.  Root has no such limit. */
static void
test_none(void)
{
	struct rlimit before, none;
	size_t had;

	if (geteuid() == 0 && setuid(65534) != 0)
		printf("# cannot give up root\n");
	(void)getrlimit(RLIMIT_NPROC, &before);
	none = before;
	none.rlim_cur = 0;
	(void)setrlimit(RLIMIT_NPROC, &none);
	had = mw_threads(8, count, NULL);
	(void)setrlimit(RLIMIT_NPROC, &before);
	is_int((int64_t)had, 1, "no thread can be had");
	ok(each_once(8), "no thread can be had: each call once");
}

int
main(void)
{
	static const size_t sizes[] = { 0, 1, 2, 16, MOST };
	sigset_t before, after;
	size_t i, had;

	self = pthread_self();
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		(void)pthread_barrier_init(&barrier, NULL, sizes[i] > 0 ? (unsigned)sizes[i] : 1);
		(void)pthread_sigmask(SIG_SETMASK, NULL, &before);
		foreign = deaf = 0;
		had = mw_threads(sizes[i], meet, NULL);
		(void)pthread_sigmask(SIG_SETMASK, NULL, &after);
		(void)pthread_barrier_destroy(&barrier);
		ok(had == sizes[i] && each_once(sizes[i]), "%zu: each call once, all at a time", had);
		ok(foreign + (had > 0) == sizes[i] && deaf == foreign,
		    "%zu: one in the calling thread, the others take no signals", had);
		ok(same_signals(&before, &after), "%zu: its own signals as before", had);
	}
	test_none();
	return done();
}
