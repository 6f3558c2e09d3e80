/* SPDX-License-Identifier: BSD-2-Clause */
/* A growing pool: it grows, stays in its bounds, becomes small, survives deaths. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/supervise.h"
#include "tap.h"

#define PATIENCE 10000		/* ms for what must happen */

static struct mw_supervisor sup;
static struct sockaddr_un sun = { .sun_family = AF_UNIX };

static void
bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A process: says who it is to each that connects, and is done when it hangs up. */
static int
run(void *arg)
{
	enum mw_pool_next next;
	char c;

	(void)arg;
	while ((next = mw_pool_wait(STDIN_FILENO)) == MW_POOL_REQUEST) {
		pid_t me = getpid();
		int fd = accept(STDIN_FILENO, NULL, NULL);

		if (fd == -1)
			continue;
		if (write(fd, &me, sizeof(me)) != (ssize_t)sizeof(me))
			return 1;
		while (read(fd, &c, 1) > 0)
			continue;
		close(fd);
	}
	return next == MW_POOL_LEAVE ? 0 : 1;
}

static void
begin(unsigned min, unsigned max, int64_t idle)
{
	static char *env[] = { NULL };
	struct mw_err err = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(sun.sun_path);
	if (fd == -1 || bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 1024) == -1)
		bail("socket");
	if (mw_sup_init(&sup, env, &err) != MW_OK ||
	    mw_sup_add_pool(&sup, "pool", run, NULL, fd, &err) != MW_OK)
		bail(err.msg);
	mw_pool_limits(sup.services[0].pool, min, max, idle);
}

static unsigned
alive(void)
{
	unsigned n = 0;

	for (unsigned k = 0; k < sup.services[0].nprocs; k++)
		n += sup.services[0].procs[k].pid != 0;
	return n;
}

static unsigned
idle(void)
{
	return mw_pool_idle(sup.services[0].pool);
}

/* Until there are so many, and so many of them idle. */
static bool
become(unsigned n, unsigned free)
{
	int64_t end = mw_now() + PATIENCE;

	while (mw_left(end) > 0 && (alive() != n || idle() != free)) {
		if (!mw_sup_step(&sup, 20))
			return false;
	}
	return alive() == n && idle() == free;
}

static int
call(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1)
		bail("connect");
	return fd;
}

/* Who has taken this call; 0 = nobody yet. */
static pid_t
taker(int fd, bool wait)
{
	int64_t end = mw_now() + PATIENCE;
	pid_t pid = 0;

	while (recv(fd, &pid, sizeof(pid), MSG_DONTWAIT) != (ssize_t)sizeof(pid)) {
		pid = 0;
		if (!wait || mw_left(end) == 0 || !mw_sup_step(&sup, 5))
			break;
	}
	return pid;
}

static pid_t
one(void)
{
	int fd = call();
	pid_t pid = taker(fd, true);

	close(fd);
	return pid;
}

static void
end(void)
{
	mw_sup_stop(&sup);
	is_int(alive(), 0, "the stop leaves nobody");
	mw_sup_free(&sup);
}

static void
test_grow(void)
{
	int fd[6];
	pid_t pid[6];
	bool different = true;

	begin(2, 6, 600000);
	ok(become(2, 2), "as many as the least, idle");
	for (unsigned i = 0; i < 5; i++) {
		fd[i] = call();
		pid[i] = taker(fd[i], true);
		for (unsigned k = 0; k < i; k++)
			different = different && pid[k] != pid[i];
	}
	ok(different && pid[4] != 0, "five at once are in five hands");
	ok(become(6, 1), "and one is idle");
	fd[5] = call();
	ok(taker(fd[5], true) != 0 && become(6, 0), "the last one is taken: no more than the most");
	for (unsigned i = 0; i < 6; i++)
		close(fd[i]);
	ok(become(6, 6), "all are idle again");
	end();
}

static void
test_bound(void)
{
	int a, b, c;

	begin(1, 2, 600000);
	ok(become(1, 1), "one");
	a = call();
	b = call();
	ok(taker(a, true) != 0 && taker(b, true) != 0, "two calls at the bound of two");
	c = call();
	(void)mw_sup_step(&sup, 100);
	is_int(taker(c, false), 0, "the third waits");
	close(a);
	ok(taker(c, true) != 0, "and is taken as soon as one is done");
	/* The bound may be raised while calls wait. */
	a = call();
	mw_pool_limits(sup.services[0].pool, 1, 3, 600000);
	ok(taker(a, true) != 0, "a higher bound is used at once");
	close(a);
	close(b);
	close(c);
	ok(become(3, 3), "three are idle");
	end();
}

static void
test_shrink(void)
{
	int fd[20];

	begin(2, 512, 200);
	for (unsigned i = 0; i < 20; i++)
		fd[i] = call();
	for (unsigned i = 0; i < 20; i++)
		(void)taker(fd[i], true);
	ok(alive() >= 20, "twenty are in hand");
	for (unsigned i = 0; i < 20; i++)
		close(fd[i]);
	ok(become(2, 2), "the idle ones leave, down to the least");
	ok(one() != 0, "and these serve");
	end();
}

/* However many are idle, calls one after the other go to one process. */
static void
test_hot(void)
{
	int fd[10];
	pid_t first, other = 0;

	begin(2, 512, 600000);
	for (unsigned i = 0; i < 10; i++)
		fd[i] = call();
	for (unsigned i = 0; i < 10; i++)
		(void)taker(fd[i], true);
	for (unsigned i = 0; i < 10; i++)
		close(fd[i]);
	while (idle() != alive() && mw_sup_step(&sup, 5))
		continue;
	first = one();
	for (unsigned i = 0; i < 100; i++) {
		while (idle() != alive() && mw_sup_step(&sup, 1))
			continue;
		if (one() != first)
			other++;
	}
	is_int(other, 0, "a hundred calls, one process");
	end();
}

static void
test_death(void)
{
	pid_t hot;
	int a, b;

	begin(2, 8, 600000);
	ok(become(2, 2), "two");
	hot = one();
	ok(become(2, 2), "both idle");
	/* Stopped, it is woken for a call and does not take it; killed, it never will. */
	(void)kill(hot, SIGSTOP);
	a = call();
	(void)kill(hot, SIGKILL);
	ok(taker(a, true) != 0, "a call whose process dies before it takes it is taken");
	close(a);
	ok(become(2, 2) || become(3, 3), "the dead one is replaced");
	a = call();
	hot = taker(a, true);
	(void)kill(hot, SIGKILL);
	b = call();
	ok(taker(b, true) != 0, "one that dies at work takes no other call with it");
	close(a);
	close(b);
	end();
}

static void
test_range(void)
{
	unsigned min = 0, max = 0;

	ok(mw_pool_range("4", &min, &max) && min == 4 && max == 4, "a number");
	ok(mw_pool_range("2-512", &min, &max) && min == 2 && max == 512, "a range");
	ok(!mw_pool_range("0", &min, &max) && !mw_pool_range("3-2", &min, &max) &&
	    !mw_pool_range("1-513", &min, &max) && !mw_pool_range("-2", &min, &max) &&
	    !mw_pool_range("1-", &min, &max) && !mw_pool_range("", &min, &max) &&
	    !mw_pool_range("1-2-3", &min, &max), "and what is none");
}

int
main(void)
{
	char dir[] = "/tmp/mw-pool-XXXXXX";

	if (mkdtemp(dir) == NULL)
		bail("mkdtemp");
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", dir);
	test_range();
	test_grow();
	test_bound();
	test_shrink();
	test_hot();
	test_death();
	(void)unlink(sun.sun_path);
	(void)rmdir(dir);
	return done();
}
