/* SPDX-License-Identifier: BSD-2-Clause */
/* A supervisor of services: starts, counts, respawns and stops their processes. */
#include "base/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define YOUNG 2000		/* ms; a process that dies sooner never worked */
#define BACKOFF_MIN 100		/* ms */
#define BACKOFF_MAX 10000
#define GRACE_VITAL 5000	/* ms for the web server to go */
#define GRACE 15000		/* ms for a responder to finish its request */
#define IDLE 60000		/* ms; longest sleep of one wait */
#define TWICE 1000		/* ms; a signal that comes sooner says the same again */
#define RATE_MAX 16		/* processes of a pool that start at once: with 4, 200 took twice the time */
#define CALM 1000		/* ms without growth: the next begins with one again */

/* SIGUSR2: a pool has nobody idle left. */
static const int taken[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR2 };

static void
taken_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		sigaddset(set, taken[i]);
}

enum mw_code
mw_sup_init(struct mw_supervisor *s, char *const *env, struct mw_err *err)
{
	sigset_t set;

	*s = (struct mw_supervisor){ .env = env };
	taken_set(&set);
	/* Inherited as ignored, the kernel would reap behind our back. */
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		return mw_fail(err, MW_INTERNAL_ERROR, "signal: %s", strerror(errno));
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return mw_fail(err, MW_INTERNAL_ERROR, "sigprocmask: %s", strerror(errno));
	return MW_OK;
}

void
mw_sup_free(struct mw_supervisor *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->services[i].fd != -1)
			close(s->services[i].fd);
		mw_pool_close(s->services[i].pool);
		free(s->services[i].procs);
	}
	free(s->services);
	s->services = NULL;
	s->n = 0;
}

enum mw_code
mw_sup_add(struct mw_supervisor *s, const char *name, const char *const *argv,
    int fd, unsigned nprocs, bool vital, struct mw_err *err)
{
	struct mw_service *grown, *svc;

	grown = realloc(s->services, (s->n + 1) * sizeof(*grown));
	if (grown == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	s->services = grown;
	svc = &s->services[s->n];
	*svc = (struct mw_service){ .argv = argv, .fd = fd, .vital = vital, .nprocs = nprocs };
	snprintf(svc->name, sizeof(svc->name), "%s", name);
	svc->procs = calloc(nprocs, sizeof(*svc->procs));
	if (svc->procs == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	s->n++;
	return MW_OK;
}

enum mw_code
mw_sup_add_run(struct mw_supervisor *s, const char *name, int (*run)(void *arg), void *arg,
    int fd, unsigned nprocs, struct mw_err *err)
{
	enum mw_code code = mw_sup_add(s, name, NULL, fd, nprocs, false, err);

	if (code == MW_OK) {
		s->services[s->n - 1].run = run;
		s->services[s->n - 1].arg = arg;
	}
	return code;
}

enum mw_code
mw_sup_add_pool(struct mw_supervisor *s, const char *name, int (*run)(void *arg), void *arg,
    int fd, struct mw_err *err)
{
	int flags = fcntl(fd, F_GETFL);
	struct mw_pool *pool;

	/* Several may be woken for one connection. */
	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return mw_fail(err, MW_INTERNAL_ERROR, "fcntl: %s", strerror(errno));
	if (mw_pool_open(&pool, err) != MW_OK)
		return err->code;
	if (mw_sup_add_run(s, name, run, arg, fd, MW_POOL_MAX, err) != MW_OK) {
		mw_pool_close(pool);
		return err->code;
	}
	mw_pool_limits(pool, 1, 1, IDLE);
	s->services[s->n - 1].pool = pool;
	return MW_OK;
}

/* Between fork and exec: only async-signal-safe calls. */
static void
child(const struct mw_service *svc, unsigned seat, char *const *env, pid_t parent)
{
	sigset_t none;
	int fd = svc->fd;

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) == -1 || getppid() != parent)
		_exit(127);
	(void)setsid();
	if (fd == -1)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd == -1 || dup2(fd, 0) == -1 || dup2(2, 1) == -1 || close_range(3, ~0U, 0) == -1)
		_exit(127);
	for (int sig = 1; sig < SIGRTMIN; sig++) {
		if (sig != SIGKILL && sig != SIGSTOP)
			(void)signal(sig, SIG_DFL);
	}
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (svc->pool != NULL)
		mw_pool_join(svc->pool, seat);
	if (svc->run != NULL)
		exit(svc->run(svc->arg));
	execve(svc->argv[0], (char *const *)(uintptr_t)svc->argv, env);
	_exit(127);
}

static bool
spawn(struct mw_supervisor *s, struct mw_service *svc, unsigned seat)
{
	struct mw_sup_process *p = &svc->procs[seat];
	pid_t parent = getpid();
	pid_t pid;

	if (svc->pool != NULL)
		mw_pool_forget(svc->pool, seat);
	pid = fork();
	if (pid == 0)
		child(svc, seat, s->env, parent);
	if (pid == -1) {
		mw_log(MW_ERROR, "%s: fork: %s", svc->name, strerror(errno));
		return false;
	}
	p->pid = pid;
	p->born = mw_now();
	return true;
}

/* No respawn for a while: longer each time that a process dies at once. */
static void
back_off(struct mw_service *svc)
{
	int64_t wait = BACKOFF_MIN;

	for (unsigned i = 0; i < svc->fails && wait < BACKOFF_MAX; i++)
		wait *= 2;
	if (wait > BACKOFF_MAX)
		wait = BACKOFF_MAX;
	svc->fails++;
	svc->retry_at = mw_now() + wait;
}

struct census {
	unsigned alive;
	unsigned starting;	/* of these, never idle yet */
};

static struct census
count(const struct mw_service *svc)
{
	struct census c = { 0 };

	for (unsigned k = 0; k < svc->nprocs; k++) {
		if (svc->procs[k].pid == 0)
			continue;
		c.alive++;
		c.starting += svc->pool != NULL && !mw_pool_seen(svc->pool, k);
	}
	return c;
}

/* How many more to start when nobody is idle: one, in a burst two, four, eight ... at a time. */
static unsigned
grow(struct mw_service *svc, unsigned starting, int64_t now)
{
	unsigned n;

	if (svc->rate == 0 || now - svc->grown_at >= CALM)
		svc->rate = 1;
	if (starting >= svc->rate)
		return 0;
	n = svc->rate - starting;
	svc->rate = svc->rate * 2 > RATE_MAX ? RATE_MAX : svc->rate * 2;
	svc->grown_at = now;
	return n;
}

/* How many processes this service lacks now. */
static unsigned
missing(struct mw_service *svc, int64_t now)
{
	struct census c = count(svc);
	unsigned min, max, n = 0;

	if (svc->pool == NULL)
		return svc->nprocs - c.alive;
	mw_pool_get_limits(svc->pool, &min, &max);
	if (c.alive < min)
		n = min - c.alive;
	else if (c.alive < max && mw_pool_idle(svc->pool) == 0)
		n = grow(svc, c.starting, now);
	/* One that died may have been woken for a connection that it did not take. */
	if (n == 0 && svc->lost && c.starting == 0)
		n = 1;
	return c.alive + n > max ? (max > c.alive ? max - c.alive : 0) : n;
}

static void
start_some(struct mw_supervisor *s, struct mw_service *svc, unsigned n)
{
	for (unsigned k = 0; k < svc->nprocs && n > 0; k++) {
		if (svc->procs[k].pid != 0)
			continue;
		if (!spawn(s, svc, k)) {
			back_off(svc);
			return;
		}
		svc->lost = false;
		n--;
	}
}

/* Start what is missing; *next is lowered to the time of the next retry. */
static void
start_missing(struct mw_supervisor *s, int64_t *next)
{
	int64_t now = mw_now();

	for (size_t i = 0; i < s->n; i++) {
		struct mw_service *svc = &s->services[i];
		unsigned n = missing(svc, now);

		if (n == 0)
			continue;
		if (svc->retry_at <= now)
			start_some(s, svc, n);
		if (svc->retry_at > now && svc->retry_at < *next)
			*next = svc->retry_at;
		if (svc->pool != NULL)
			mw_pool_alive(svc->pool, count(svc).alive);
	}
}

static void
describe(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127)
		snprintf(out, size, "could not be started");
	else
		snprintf(out, size, "ended with status %d", WEXITSTATUS(status));
}

/* SIGKILL comes from somebody else: it does not say that the program never worked. */
static bool
was_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* A process of `svc` is gone, not by our order. */
static void
lost(struct mw_supervisor *s, struct mw_service *svc, const struct mw_sup_process *p, int status)
{
	char how[48];
	int64_t now = mw_now();

	describe(status, how, sizeof(how));
	if (svc->vital) {
		mw_log(MW_ERROR, "%s (pid %d) %s", svc->name, (int)p->pid, how);
		s->died = true;
	} else if (now - p->born >= YOUNG || was_killed(status)) {
		mw_log(MW_WARN, "%s (pid %d) %s: starting another", svc->name, (int)p->pid, how);
		svc->fails = 0;
	} else if (svc->retry_at <= now) {
		/* The siblings of one round share its delay and its line. */
		back_off(svc);
		mw_log(MW_ERROR, "%s (pid %d) %s as soon as it was started: next try in %lld ms",
		    svc->name, (int)p->pid, how, (long long)(svc->retry_at - now));
	}
}

/* The process of seat `k` has been waited for. */
static void
ended(struct mw_supervisor *s, struct mw_service *svc, unsigned k, int status, bool expected)
{
	bool left = svc->pool != NULL && mw_pool_gone(svc->pool, k) && status == 0;

	if (!expected && !left) {
		lost(s, svc, &svc->procs[k], status);
		svc->lost = true;
	}
	svc->procs[k].pid = 0;
	if (svc->pool != NULL)
		mw_pool_alive(svc->pool, count(svc).alive);
}

static void
reap(struct mw_supervisor *s, bool expected)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < s->n; i++) {
			struct mw_service *svc = &s->services[i];

			for (unsigned k = 0; k < svc->nprocs; k++) {
				if (svc->procs[k].pid == pid)
					ended(s, svc, k, status, expected);
			}
		}
	}
}

static bool
to_stop(int sig)
{
	return sig == SIGINT || sig == SIGTERM || sig == SIGHUP;
}

/* Wait up to `ms` for one of our signals; its number, or 0. */
static int
wait_signal(int64_t ms)
{
	sigset_t set;
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	int sig;

	taken_set(&set);
	sig = sigtimedwait(&set, NULL, &ts);
	return sig > 0 ? sig : 0;
}

bool
mw_sup_step(struct mw_supervisor *s, int64_t ms)
{
	int64_t now = mw_now(), next = now + (ms < IDLE ? ms : IDLE);
	int sig;

	start_missing(s, &next);
	now = mw_now();
	sig = wait_signal(next > now ? next - now : 0);
	if (to_stop(sig)) {
		s->stopping = true;
		s->told = mw_now();
	}
	reap(s, false);
	return !s->stopping && !s->died;
}

static size_t
signal_all(const struct mw_supervisor *s, bool vital, int sig)
{
	size_t alive = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct mw_service *svc = &s->services[i];

		for (unsigned k = 0; svc->vital == vital && k < svc->nprocs; k++) {
			pid_t pid = svc->procs[k].pid;

			if (pid == 0)
				continue;
			alive++;
			/* Its whole session for KILL, which its own children would miss. */
			if (sig != 0)
				(void)kill(sig == SIGKILL ? -pid : pid, sig);
		}
	}
	return alive;
}

static void
stop_some(struct mw_supervisor *s, bool vital, int64_t grace)
{
	int64_t deadline = mw_now() + grace;
	bool killed = false;

	if (signal_all(s, vital, SIGTERM) == 0)
		return;
	while (signal_all(s, vital, 0) > 0) {
		int sig = wait_signal(killed ? 1000 : mw_left(deadline));

		reap(s, true);
		if (!killed && (mw_left(deadline) == 0 || (to_stop(sig) &&
		    mw_now() - s->told >= TWICE))) {
			(void)signal_all(s, vital, SIGKILL);
			killed = true;
		}
	}
}

void
mw_sup_stop(struct mw_supervisor *s)
{
	stop_some(s, true, GRACE_VITAL);
	stop_some(s, false, GRACE);
}
