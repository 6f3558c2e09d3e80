/* SPDX-License-Identifier: BSD-2-Clause */
/* The board of a growing pool: who is idle, who may leave, when to fork. */
#include "base/pool.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define WORD 64
#define WORDS (MW_POOL_MAX / WORD)
#define AGAIN 50	/* ms until one that may not leave yet asks again */

/*
 * Bits, not a counter: whatever instruction a process is killed at, the parent
 * clears what it has left.
 */
struct mw_pool {
	_Atomic uint64_t idle[WORDS];
	_Atomic uint64_t seen[WORDS];
	atomic_uint leaving;		/* seat + 1 of the one process that may leave now */
	atomic_uint alive, min, max;
	_Atomic int64_t idle_ms;
	pid_t parent;
};

/* Of this process. */
static struct mw_pool *mine;
static unsigned my_seat;
static int events = -1;		/* the epoll */
static int stop_fd = -1;	/* an eventfd in it */

bool
mw_pool_range(const char *text, unsigned *min, unsigned *max)
{
	size_t n = strcspn(text, "-");
	int64_t lo, hi;

	if (!mw_str_uint(text, n, MW_POOL_MAX, &lo) || lo == 0)
		return false;
	hi = lo;
	if (text[n] == '-' && (!mw_str_uint(text + n + 1, strlen(text + n + 1), MW_POOL_MAX, &hi) ||
	    hi < lo))
		return false;
	*min = (unsigned)lo;
	*max = (unsigned)hi;
	return true;
}

static uint64_t
bit(unsigned seat)
{
	return UINT64_C(1) << seat % WORD;
}

enum mw_code
mw_pool_open(struct mw_pool **pp, struct mw_err *err)
{
	struct mw_pool *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*pp = NULL;
	if (p == MAP_FAILED)
		return mw_fail(err, MW_INTERNAL_ERROR, "mmap: %s", strerror(errno));
	p->parent = getpid();
	*pp = p;
	return MW_OK;
}

void
mw_pool_close(struct mw_pool *p)
{
	if (p != NULL)
		(void)munmap(p, sizeof(*p));
}

void
mw_pool_limits(struct mw_pool *p, unsigned min, unsigned max, int64_t idle)
{
	atomic_store(&p->min, min);
	atomic_store(&p->max, max);
	atomic_store(&p->idle_ms, idle);
}

void
mw_pool_get_limits(const struct mw_pool *p, unsigned *min, unsigned *max)
{
	*min = atomic_load(&p->min);
	*max = atomic_load(&p->max);
}

void
mw_pool_alive(struct mw_pool *p, unsigned n)
{
	atomic_store(&p->alive, n);
}

void
mw_pool_forget(struct mw_pool *p, unsigned seat)
{
	(void)atomic_fetch_and(&p->idle[seat / WORD], ~bit(seat));
	(void)atomic_fetch_and(&p->seen[seat / WORD], ~bit(seat));
}

bool
mw_pool_seen(const struct mw_pool *p, unsigned seat)
{
	return (atomic_load(&p->seen[seat / WORD]) & bit(seat)) != 0;
}

unsigned
mw_pool_idle(const struct mw_pool *p)
{
	unsigned n = 0;

	for (size_t i = 0; i < WORDS; i++)
		n += (unsigned)__builtin_popcountll(atomic_load(&p->idle[i]));
	return n;
}

bool
mw_pool_gone(struct mw_pool *p, unsigned seat)
{
	unsigned token = seat + 1;

	mw_pool_forget(p, seat);
	return atomic_compare_exchange_strong(&p->leaving, &token, 0);
}

/* ---- a process ---- */

void
mw_pool_join(struct mw_pool *p, unsigned seat)
{
	mine = p;
	my_seat = seat;
}

bool
mw_pool_member(void)
{
	return mine != NULL;
}

unsigned
mw_pool_most(void)
{
	return mine != NULL ? atomic_load(&mine->max) : 0;
}

/*
 * EPOLLEXCLUSIVE wakes the first waiter in the order in which they were added, where
 * accept() wakes the one that has waited for the longest time: that would be all of
 * them in turn.
 */
static bool
watch(int listener)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = listener };
	struct epoll_event stop = { .events = EPOLLIN };

	if (events != -1)
		return true;
	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	events = epoll_create1(EPOLL_CLOEXEC);
	stop.data.fd = stop_fd;
	return stop_fd != -1 && events != -1 &&
	    epoll_ctl(events, EPOLL_CTL_ADD, stop_fd, &stop) == 0 &&
	    epoll_ctl(events, EPOLL_CTL_ADD, listener, &ev) == 0;
}

void
mw_pool_wake(void)
{
	uint64_t one = 1;

	if (stop_fd != -1)
		(void)!write(stop_fd, &one, sizeof(one));
}

bool
mw_pool_pending(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return mine != NULL && poll(&p, 1, 0) > 0;
}

static void
idle_begin(void)
{
	(void)atomic_fetch_or(&mine->idle[my_seat / WORD], bit(my_seat));
	if (!mw_pool_seen(mine, my_seat))
		(void)atomic_fetch_or(&mine->seen[my_seat / WORD], bit(my_seat));
}

static void
idle_end(void)
{
	(void)atomic_fetch_and(&mine->idle[my_seat / WORD], ~bit(my_seat));
}

/*
 * One at a time, until the parent has seen the last one's end: so never one too many.
 * Nor the last idle one: the parent would fork another in its place.
 */
static bool
may_leave(void)
{
	unsigned none = 0;

	if (atomic_load(&mine->alive) <= atomic_load(&mine->min) || mw_pool_idle(mine) < 2 ||
	    !atomic_compare_exchange_strong(&mine->leaving, &none, my_seat + 1))
		return false;
	if (atomic_load(&mine->alive) > atomic_load(&mine->min) && mw_pool_idle(mine) >= 2)
		return true;
	atomic_store(&mine->leaving, 0);
	return false;
}

static void
tell_parent(void)
{
	if (mw_pool_idle(mine) == 0 && atomic_load(&mine->alive) < atomic_load(&mine->max))
		(void)kill(mine->parent, SIGUSR2);
}

/* What epoll_wait has told.  MW_POOL_LEAVE: nothing. */
static enum mw_pool_next
told(const struct epoll_event *ev, int n)
{
	enum mw_pool_next next = MW_POOL_LEAVE;

	for (int i = 0; i < n; i++) {
		if (ev[i].data.fd == stop_fd)
			return MW_POOL_STOP;
		next = MW_POOL_REQUEST;
	}
	return next;
}

enum mw_pool_next
mw_pool_wait(int listener)
{
	struct epoll_event ev[2];
	enum mw_pool_next next;
	int64_t ms = atomic_load(&mine->idle_ms);

	if (!watch(listener))
		return MW_POOL_ERROR;
	idle_begin();
	do {
		int n = epoll_wait(events, ev, 2, ms > INT_MAX ? INT_MAX : (int)ms);

		next = n < 0 && errno != EINTR ? MW_POOL_ERROR : told(ev, n);
		/* Those that must stay have all the time; those that wait for others' leave, less. */
		if (n == 0)
			ms = atomic_load(&mine->alive) > atomic_load(&mine->min) ? AGAIN :
			    atomic_load(&mine->idle_ms);
		else if (n < 0 && next == MW_POOL_LEAVE)
			continue;
		if (next == MW_POOL_LEAVE && may_leave())
			break;
	} while (next == MW_POOL_LEAVE);
	idle_end();
	if (next == MW_POOL_REQUEST)
		tell_parent();
	return next;
}
