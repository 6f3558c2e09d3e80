/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"

static char dir[] = "/tmp/mw-lockfile-XXXXXX";
static char path[64];

static void
test_basic(void)
{
	struct mw_err err = { 0 };
	struct stat st;
	int a, b, c;

	is_int(mw_lockfile_take(path, "one", 0, &a, &err), MW_OK, "take");
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "the file is 0600");
	ok((fcntl(a, F_GETFD) & FD_CLOEXEC) != 0, "the lock is not inherited by exec");
	is_int(mw_lockfile_take(path, "one", 0, &b, &err), MW_DEADLINE_EXCEEDED,
	    "taken: refused at once");
	ok(b == -1 && err.code == MW_DEADLINE_EXCEEDED, "and says so");
	mw_err_clear(&err);
	is_int(mw_lockfile_take(path, "two", 0, &c, &err), MW_OK, "another name is free");
	mw_lockfile_give(c);
	mw_lockfile_give(a);
	is_int(mw_lockfile_take(path, "one", 0, &b, &err), MW_OK, "free again once given back");
	mw_lockfile_give(b);
	mw_lockfile_give(-1);
	is_int(mw_lockfile_take("/nonexistent/lock", "x", 0, &a, &err), MW_INTERNAL_ERROR,
	    "no such directory");
	ok(a == -1 && strstr(err.msg, "/nonexistent/lock") != NULL, "the message names the file");
}

static void
test_shared(void)
{
	struct mw_err err = { 0 };
	int a, b, c;

	is_int(mw_lockfile_share(path, "s", 0, &a, &err), MW_OK, "share");
	is_int(mw_lockfile_share(path, "s", 0, &b, &err), MW_OK, "with another");
	mw_lockfile_give(a);
	is_int(mw_lockfile_take(path, "s", 0, &c, &err), MW_DEADLINE_EXCEEDED,
	    "while one shares it nobody takes it");
	mw_err_clear(&err);
	mw_lockfile_give(b);
	is_int(mw_lockfile_take(path, "s", 0, &c, &err), MW_OK, "then it can be taken");
	is_int(mw_lockfile_share(path, "s", 0, &a, &err), MW_DEADLINE_EXCEEDED,
	    "and not shared");
	mw_lockfile_give(c);
}

static void
test_deadline(void)
{
	struct mw_err err = { 0 };
	int64_t start;
	int a, b;

	is_int(mw_lockfile_take(path, "d", 0, &a, &err), MW_OK, "take");
	start = mw_now();
	is_int(mw_lockfile_take(path, "d", start + 60, &b, &err), MW_DEADLINE_EXCEEDED,
	    "waits for the deadline");
	ok(mw_now() - start >= 60, "and not less");
	mw_lockfile_give(a);
}

/* A child takes the lock, tells so through the pipe, and waits to be killed. */
static void
test_crash(void)
{
	struct mw_err err = { 0 };
	int p[2], fd, status;
	char byte;
	pid_t pid;

	if (!ok(pipe(p) == 0, "pipe"))
		return;
	pid = fork();
	if (pid == 0) {
		if (mw_lockfile_take(path, "crash", 0, &fd, &err) != MW_OK ||
		    write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	ok(pid > 0 && read(p[0], &byte, 1) == 1, "a child holds the lock");
	is_int(mw_lockfile_take(path, "crash", 0, &fd, &err), MW_DEADLINE_EXCEEDED,
	    "so the parent cannot");
	mw_err_clear(&err);
	ok(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid, "the child is killed");
	is_int(mw_lockfile_take(path, "crash", 0, &fd, &err), MW_OK, "which frees the lock");
	mw_lockfile_give(fd);
	(void)close(p[0]);
	(void)close(p[1]);
}

#define THREADS 4
#define ROUNDS 25

/* Atomic because the compiler knows nothing of file locks. */
static _Atomic int inside, most, total;

static void *
contend(void *arg)
{
	struct mw_err err = { 0 };
	int i, fd;

	for (i = 0; i < ROUNDS; i++) {
		if (mw_lockfile_take(path, "threads", mw_now() + 60000, &fd, &err) != MW_OK)
			return arg;
		inside++;
		if (inside > most)
			most = inside;
		total++;
		(void)sched_yield();
		inside--;
		mw_lockfile_give(fd);
	}
	return NULL;
}

static void
test_threads(void)
{
	pthread_t t[THREADS];
	void *failed;
	int i, bad = 0;

	for (i = 0; i < THREADS; i++)
		bad += pthread_create(&t[i], NULL, contend, path) != 0;
	for (i = 0; i < THREADS && bad == 0; i++)
		bad += pthread_join(t[i], &failed) != 0 || failed != NULL;
	is_int(bad, 0, "threads wait for each other");
	is_int(most, 1, "one at a time");
	is_int(total, THREADS * ROUNDS, "all of them had their turns");
}

static void
test_hash(void)
{
	ok(mw_hash("") == UINT64_C(0xcbf29ce484222325), "FNV-1a of nothing");
	ok(mw_hash("a") == UINT64_C(0xaf63dc4c8601ec8c), "FNV-1a of a");
	ok(mw_hash("foobar") == UINT64_C(0x85944171f73967e8), "FNV-1a of foobar");
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	(void)snprintf(path, sizeof(path), "%s/lock", dir);
	test_basic();
	test_shared();
	test_deadline();
	test_crash();
	test_threads();
	test_hash();
	(void)unlink(path);
	(void)rmdir(dir);
	return done();
}
