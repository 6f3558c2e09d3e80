/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent: the first process inside a local sandbox.  It starts commands for
 * the driver, reaps what they leave behind and ends everything when told to.
 * Each connection is served by a process of its own, so that no client and no
 * command can hold up another; a command outlives the client that started it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/agent/agent.h"
#include "sandbox/agent/exec.h"

#define BACKLOG 128
#define SERVERS_MAX 256		/* connections served at once */
#define REQUEST_WAIT 10000	/* ms for a client to send more of its request */

struct agent {
	int listen, children, stop[2];	/* stop: a server process wants the end */
	int64_t started;		/* Unix time, ms */
	pid_t main;
	pid_t servers[SERVERS_MAX];	/* 0 = free */
};

/* ---- a server process ---- */

static bool
recv_all(int fd, unsigned char *p, size_t n)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t got;

	while (n > 0) {
		if (poll(&pfd, 1, REQUEST_WAIT) <= 0)
			return false;
		got = recv(fd, p, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

static bool
is_server(const struct agent *a, pid_t pid)
{
	size_t i;

	for (i = 0; i < SERVERS_MAX; i++) {
		if (a->servers[i] == pid)
			return true;
	}
	return pid == getpid();
}

static void
serve_status(const struct agent *a, int client)
{
	static struct mw_proc procs[MW_PROC_MAX];
	unsigned char out[MW_AG_STATE_SIZE];
	size_t n = mw_proc_tree(a->main, procs, MW_PROC_MAX), i;
	uint32_t count = 0;
	uint64_t memory = 0;

	for (i = 0; i < n; i++) {
		if (is_server(a, procs[i].pid))
			continue;
		count++;
		memory += (uint64_t)procs[i].resident;
	}
	mw_ag_put32(out, count);
	mw_ag_put64(out + 4, memory);
	mw_ag_put64(out + 12, (uint64_t)a->started);
	(void)mw_agent_send(client, MW_AG_STATE, out, sizeof(out));
}

/* The connection stays open until this process is killed with all others. */
static void
serve_stop(const struct agent *a)
{
	if (write(a->stop[1], "S", 1) != 1)
		return;
	for (;;)
		(void)pause();
}

static void
serve_exec(int client, uint32_t len)
{
	unsigned char *req = malloc((size_t)len + 1);

	if (req == NULL)
		mw_agent_failed(client, MW_AG_AT_RESOURCES, ENOMEM);
	else if (recv_all(client, req, len))
		mw_agent_exec(client, req, len);
}

static void
serve(const struct agent *a, int client)
{
	unsigned char head[MW_AG_HEAD];
	uint32_t len;
	int type;

	if (!recv_all(client, head, sizeof(head)))
		return;
	type = mw_ag_type(head);
	len = mw_ag_get32(head + 4);
	if (type == MW_AG_EXEC && len <= MW_AG_REQUEST_MAX)
		serve_exec(client, len);
	else if (type == MW_AG_PING && len == 0)
		(void)mw_agent_send(client, MW_AG_PONG, NULL, 0);
	else if (type == MW_AG_STATUS && len == 0)
		serve_status(a, client);
	else if (type == MW_AG_STOP && len == 0)
		serve_stop(a);
	else
		mw_agent_failed(client, MW_AG_AT_REQUEST, EPROTO);
}

/* ---- the main process ---- */

static void
accept_one(struct agent *a)
{
	int client = accept4(a->listen, NULL, NULL, SOCK_CLOEXEC);
	size_t i;
	pid_t pid;

	if (client < 0)
		return;
	for (i = 0; i < SERVERS_MAX && a->servers[i] != 0; i++)
		;
	pid = i < SERVERS_MAX ? fork() : -1;
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(a->listen);
		(void)close(a->children);
		serve(a, client);
		_exit(0);
	}
	if (pid < 0)
		mw_agent_failed(client, MW_AG_AT_RESOURCES, EAGAIN);
	else
		a->servers[i] = pid;
	(void)close(client);
}

static void
reap(struct agent *a)
{
	struct signalfd_siginfo si;
	size_t i;
	pid_t pid;

	(void)!read(a->children, &si, sizeof(si));
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		for (i = 0; i < SERVERS_MAX; i++) {
			if (a->servers[i] == pid)
				a->servers[i] = 0;
		}
	}
}

static int
loop(struct agent *a)
{
	struct pollfd pfd[4] = {
		{ .fd = a->stop[0], .events = POLLIN },
		{ .fd = a->children, .events = POLLIN },
		{ .fd = a->listen, .events = POLLIN },
		{ .fd = MW_AG_FD_HOLDER, .events = POLLIN },
	};

	for (;;) {
		if (poll(pfd, 4, -1) < 0 && errno != EINTR)
			return 1;
		if (pfd[0].revents != 0 || pfd[3].revents != 0) {
			/* Whoever asks from now on finds nobody. */
			(void)close(a->listen);
			mw_proc_kill_all();
			return 0;
		}
		if (pfd[1].revents != 0)
			reap(a);
		if (pfd[2].revents != 0)
			accept_one(a);
	}
}

static bool
set_up(struct agent *a)
{
	struct timespec now;
	sigset_t set;
	int null;

	a->listen = MW_AG_FD_LISTEN;
	a->main = getpid();
	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return false;
	a->started = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	(void)umask(022);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	a->children = sigprocmask(SIG_SETMASK, &set, NULL) == 0 ?
	    signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* Not dumpable: a command of the same user cannot trace us or look into us. */
	return a->children >= 0 && null >= 0 && prctl(PR_SET_DUMPABLE, 0) == 0 &&
	    prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR &&
	    pipe2(a->stop, O_CLOEXEC) == 0 &&
	    fcntl(MW_AG_FD_LISTEN, F_SETFD, FD_CLOEXEC) == 0 &&
	    fcntl(MW_AG_FD_LISTEN, F_SETFL, O_NONBLOCK) == 0 &&
	    fcntl(MW_AG_FD_LOCK, F_SETFD, FD_CLOEXEC) == 0 &&
	    fcntl(MW_AG_FD_HOLDER, F_SETFD, FD_CLOEXEC) == 0 &&
	    dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2 &&
	    listen(MW_AG_FD_LISTEN, BACKLOG) == 0;
}

int
mw_agent_main(int argc, char *argv[])
{
	static struct agent a;

	if (argc != 2 || strcmp(argv[1], MW_AG_WORD) != 0) {
		static const char usage[] = "run by: moltctl hold USER\n";

		(void)!write(2, usage, sizeof(usage) - 1);
		return 2;
	}
	if (!set_up(&a) || write(MW_AG_FD_READY, "R", 1) != 1)
		return 1;
	(void)close(MW_AG_FD_READY);
	return loop(&a);
}
