/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The holder of one running local sandbox: takes its lock, makes its socket, starts
 * the agent inside and waits for its end.  It tells its starter on standard output
 * whether the agent is up ("ok"), another holder is there (MW_LOCAL_HELD) or why it
 * cannot be.  The sandbox ends with it, however it ends: the agent sees the end of a
 * pipe that only the holder has, and the kernel kills bubblewrap (--die-with-parent).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/tmpfile.h"
#include "sandbox/agent/agent.h"
#include "sandbox/local/local.h"

#define READY_WAIT 60000	/* ms for the agent to come up */
#define END_WAIT 5000		/* ms for the agent to end everything before it is killed */
#define ARENA_MAX (1 << 20)

struct hold {
	const struct mw_conf *conf;
	const char *user;
	struct mw_local *l;
	struct mw_arena *arena;
	struct mw_err err;
	char **argv, **env;
	const char *cwd;	/* isolation "none": the user's root */
	int run;		/* PATH/.run/USER */
	int lock, listen, log, null;
	int filter;		/* of system calls; -1 with isolation "none" */
	int ready;		/* read end; the agent has the other */
	int alive;		/* write end; its reader, the agent, ends when it is closed */
	pid_t child;
};

static enum mw_code
fail_errno(struct hold *h, const char *what)
{
	return mw_fail(&h->err, MW_SANDBOX_UNAVAILABLE, "%s/.run/%s: %s: %s", h->l->path,
	    h->user, what, strerror(errno));
}

/* ---- what is there before anything runs ---- */

static enum mw_code
take_lock(struct hold *h)
{
	const char *path = mw_arena_printf(h->arena, "%s/.run/%s/lock", h->l->path, h->user);

	enum mw_code code;

	if (path == NULL)
		return mw_fail(&h->err, MW_INTERNAL_ERROR, "out of memory");
	code = mw_lockfile_take(path, "holder", 0, &h->lock, NULL);
	if (code == MW_DEADLINE_EXCEEDED)
		return mw_fail(&h->err, code, MW_LOCAL_HELD);
	return code == MW_OK ? code : fail_errno(h, "lock");
}

/* What was there before this start would speak for processes that are gone; only what is
 * ours stays.  A directory that the user has closed to itself is opened again. */
static enum mw_code
empty_tmp(struct hold *h)
{
	const char *keep = strncmp(h->l->run_tail, "tmp/", 4) == 0 ? h->l->run_tail + 4 : "";
	int tmp;

	if (fchmodat(h->run, "tmp", 0700, AT_SYMLINK_NOFOLLOW) != 0 && errno != EOPNOTSUPP)
		return fail_errno(h, "tmp");
	tmp = mw_local_openat_nolink(h->run, "tmp", O_RDONLY | O_DIRECTORY);
	if (tmp < 0 || !mw_local_empty(tmp, keep))
		return fail_errno(h, "/tmp cannot be emptied");
	return MW_OK;
}

static enum mw_code
make_dirs(struct hold *h)
{
	const char *run_dir = h->l->run_tail;
	enum mw_code code;
	int in;

	if ((mkdirat(h->run, "tmp", 0700) != 0 && errno != EEXIST) ||
	    (mkdirat(h->run, "run", 0700) != 0 && errno != EEXIST) ||
	    (mkdirat(h->run, "in", 0700) != 0 && errno != EEXIST))
		return fail_errno(h, "cannot make a directory");
	if ((code = empty_tmp(h)) != MW_OK)
		return code;
	/* Below tmp the user may have put anything: then it is for the wake to say so. */
	in = mw_local_openat_nolink(h->run, "tmp", O_PATH | O_DIRECTORY);
	if (in >= 0 && strncmp(run_dir, "tmp/", 4) == 0 && strchr(run_dir + 4, '/') == NULL)
		(void)!mkdirat(in, run_dir + 4, 0700);
	if (in >= 0)
		(void)close(in);
	in = mw_local_openat_nolink(h->run, "in", O_RDONLY | O_DIRECTORY);
	if (in >= 0) {
		(void)mw_tmpfile_sweep(in, MW_LOCAL_LEFTOVER);
		(void)close(in);
	}
	return MW_OK;
}

/* Bound, not listening: that is the agent's first act. */
static enum mw_code
make_socket(struct hold *h)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/sock", h->run);
	if (unlinkat(h->run, "sock", 0) != 0 && errno != ENOENT)
		return fail_errno(h, "sock");
	h->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (h->listen < 0 || bind(h->listen, (const struct sockaddr *)&sun, sizeof(sun)) != 0 ||
	    fchmodat(h->run, "sock", 0600, 0) != 0)
		return fail_errno(h, "sock");
	return MW_OK;
}

static enum mw_code
open_files(struct hold *h)
{
	h->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	h->log = openat(h->run, "log", O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	return h->null >= 0 && h->log >= 0 ? MW_OK : fail_errno(h, "log");
}

/* ---- how the agent is run ---- */

static enum mw_code
make_env(struct hold *h, const char *root, const char *run_dir, const char *tmp)
{
	char *v[] = {
		mw_arena_strdup(h->arena, "PATH=/usr/local/sbin:/usr/local/bin:"
		    "/usr/sbin:/usr/bin:/sbin:/bin"),
		mw_arena_printf(h->arena, "HOME=%s", root),
		mw_arena_printf(h->arena, "USER=%s", h->user),
		mw_arena_printf(h->arena, "LOGNAME=%s", h->user),
		mw_arena_strdup(h->arena, "SHELL=/bin/sh"),
		mw_arena_strdup(h->arena, "LANG=C.UTF-8"),
		mw_arena_printf(h->arena, "TMPDIR=%s", tmp),
		mw_arena_printf(h->arena, "MW_ROOT=%s", root),
		mw_arena_printf(h->arena, "MW_RUN_DIR=%s", run_dir),
		/* Whose start is the sandbox's: there a process of its own is number 1. */
		mw_arena_printf(h->arena, "MW_HOLDER=%d", h->l->plain ? (int)getpid() : 1),
		NULL
	};
	size_t n = sizeof(v) / sizeof(v[0]), i;

	for (i = 0; i + 1 < n; i++) {
		if (v[i] == NULL)
			return mw_fail(&h->err, MW_INTERNAL_ERROR, "out of memory");
	}
	h->env = mw_arena_alloc(h->arena, sizeof(v));
	if (h->env == NULL)
		return mw_fail(&h->err, MW_INTERNAL_ERROR, "out of memory");
	memcpy(h->env, v, sizeof(v));
	return MW_OK;
}

/* isolation "none": the agent as it is, in the user's root. */
static enum mw_code
make_plain(struct hold *h, const char *agent)
{
	const char *run = mw_arena_printf(h->arena, "%s/.run/%s", h->l->path, h->user);
	const char *run_dir = mw_arena_printf(h->arena, "%s/.run/%s/%s", h->l->path, h->user,
	    h->l->run_tail);
	const char *tmp = run == NULL ? NULL : mw_arena_printf(h->arena, "%s/tmp", run);

	h->cwd = mw_arena_printf(h->arena, "%s/%s", h->l->path, h->user);
	h->argv = mw_arena_alloc(h->arena, 3 * sizeof(*h->argv));
	if (run_dir == NULL || tmp == NULL || h->cwd == NULL || h->argv == NULL)
		return mw_fail(&h->err, MW_INTERNAL_ERROR, "out of memory");
	h->argv[0] = mw_arena_strdup(h->arena, agent);
	h->argv[1] = mw_arena_strdup(h->arena, MW_AG_WORD);
	return make_env(h, h->cwd, run_dir, tmp);
}

static enum mw_code
make_command(struct hold *h)
{
	const char *agent = getenv("MOLTWORKER_AGENT");
	enum mw_code code;

	if (agent == NULL || *agent == '\0')
		agent = MW_LIBEXECDIR "/moltworker/agent";
	if (access(agent, X_OK) != 0)
		return mw_fail(&h->err, MW_SANDBOX_UNAVAILABLE, "%s: %s", agent, strerror(errno));
	if (h->l->plain)
		return make_plain(h, agent);
	h->filter = mw_local_syscalls();
	if (h->filter < 0)
		return mw_fail(&h->err, MW_SANDBOX_UNAVAILABLE,
		    "the filter of system calls cannot be made");
	code = mw_bwrap_argv(h->l, h->conf, h->user, agent, h->arena, &h->argv, &h->err);
	return code == MW_OK ? make_env(h, h->l->root, h->l->run_dir, "/tmp") : code;
}

/* In the new process: put the descriptors in their places, close all others, go. */
static _Noreturn void
become(const struct hold *h, int ready, int holder)
{
	const int from[] = { h->null, h->null, h->log, h->listen, ready, h->lock, holder,
	    h->filter };
	int high[MW_BWRAP_FD_FILTER + 1], i, n = h->filter < 0 ? MW_AG_FD_FREE : MW_AG_FD_FREE + 1;

	_Static_assert(sizeof(from) / sizeof(from[0]) == MW_BWRAP_FD_FILTER + 1, "all places");
	(void)umask(022);	/* bubblewrap makes the tree's own directories with it */
	for (i = 0; i < n; i++)
		high[i] = fcntl(from[i], F_DUPFD, n);
	for (i = 0; i < n; i++) {
		if (high[i] < 0 || dup2(high[i], i) != i)
			_exit(127);
	}
	if (close_range((unsigned)n, ~0u, 0) == 0 && (h->cwd == NULL || chdir(h->cwd) == 0))
		(void)execve(h->argv[0], h->argv, h->env);
	(void)!write(2, "cannot be executed\n", 19);
	_exit(127);
}

static enum mw_code
launch(struct hold *h)
{
	int ready[2], alive[2];

	if (pipe2(ready, O_CLOEXEC) != 0)
		return fail_errno(h, "pipe");
	h->ready = ready[0];
	if (pipe2(alive, O_CLOEXEC) != 0) {
		(void)close(ready[1]);
		return fail_errno(h, "pipe");
	}
	h->alive = alive[1];
	h->child = fork();
	if (h->child == 0)
		become(h, ready[1], alive[0]);
	(void)close(ready[1]);
	(void)close(alive[0]);
	/* Only the agent may keep the socket: when it is gone, connecting must fail. */
	(void)close(h->listen);
	h->listen = -1;
	return h->child > 0 ? MW_OK : fail_errno(h, "fork");
}

/* The last thing that was said before it all failed. */
static enum mw_code
fail_log(struct hold *h)
{
	char buf[200], *line = buf, *end;
	ssize_t n = pread(h->log, buf, sizeof(buf) - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	while ((end = strchr(line, '\n')) != NULL && end[1] != '\0')
		line = end + 1;
	return mw_fail(&h->err, MW_SANDBOX_UNAVAILABLE, "%s did not start (%.*s); see "
	    MW_LOCAL_SETTING, h->l->plain ? "the agent" : "bubblewrap",
	    (int)strcspn(line, "\n"), *line == '\0' ? "no reason given" : line);
}

static enum mw_code
wait_ready(struct hold *h)
{
	struct pollfd pfd = { .fd = h->ready, .events = POLLIN };
	int64_t end = mw_now() + READY_WAIT;
	char c;
	int n;

	do {
		n = poll(&pfd, 1, (int)mw_left(end));
	} while (n < 0 && errno == EINTR);
	if (n > 0 && read(h->ready, &c, 1) == 1)
		return MW_OK;
	(void)kill(h->child, SIGKILL);
	return fail_log(h);
}

/* ---- the whole ---- */

/* Let go of the agent: it ends everything, then itself. */
static void
let_go(struct hold *h)
{
	if (h->alive >= 0)
		(void)close(h->alive);
	h->alive = -1;
}

/*
 * Wait for the sandbox's end, or for a signal to bring it about.  Up to here such a
 * signal has killed this process, with the same result.
 */
static void
wait_end(struct hold *h)
{
	struct timespec t = { .tv_sec = END_WAIT / 1000 };
	sigset_t set;
	int sig;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	while (waitpid(h->child, NULL, WNOHANG) == 0) {
		sig = sigtimedwait(&set, NULL, h->alive < 0 ? &t : NULL);
		if (sig < 0 && errno == EAGAIN)
			(void)kill(h->child, SIGKILL);
		else if (sig > 0 && sig != SIGCHLD)
			let_go(h);
	}
	/* What the agent or bubblewrap could not end, having been killed, has come to us. */
	mw_proc_kill_all();
	(void)unlinkat(h->run, "sock", 0);
}

static enum mw_code
prepare(struct hold *h)
{
	enum mw_code code = mw_local_open(h->conf, &h->l, &h->err);

	if (code != MW_OK)
		return code;
	code = mw_local_may_run(h->l, &h->err);
	if (code != MW_OK)
		return code;
	h->arena = mw_arena_open(ARENA_MAX);
	if (h->arena == NULL)
		return mw_fail(&h->err, MW_INTERNAL_ERROR, "out of memory");
	h->run = mw_local_make_run_dir(h->l, h->user);
	if (h->run < 0)
		return fail_errno(h, "cannot be made");
	(void)umask(077);
	(void)signal(SIGPIPE, SIG_IGN);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return fail_errno(h, "prctl");
	code = take_lock(h);
	if (code == MW_OK)
		code = make_dirs(h);
	if (code == MW_OK)
		code = open_files(h);
	if (code == MW_OK)
		code = make_socket(h);
	return code == MW_OK ? make_command(h) : code;
}

/* The one line for the starter; after it nobody listens to us any more. */
static void
report(const struct hold *h, enum mw_code code)
{
	char line[sizeof(h->err.msg) + 2];
	int n = snprintf(line, sizeof(line), "%s\n", code == MW_OK ? "ok" : h->err.msg);

	/* A starter that is gone does not change anything. */
	(void)!write(1, line, n < 0 ? 0 : (size_t)n);
	if (h->null >= 0) {
		(void)dup2(h->null, 1);
		(void)dup2(h->null, 2);
	}
}

/* The lock stays: whoever waits for it waits for the end of this process too. */
static void
release(struct hold *h)
{
	const int fds[] = { h->ready, h->alive, h->listen, h->log, h->null, h->run, h->filter };
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
	}
	mw_arena_close(h->arena);
	mw_local_close(h->l);
}

int
mw_local_hold(const struct mw_conf *conf, const char *user)
{
	struct hold h = { .conf = conf, .user = user, .run = -1, .lock = -1, .listen = -1,
	    .log = -1, .null = -1, .ready = -1, .alive = -1, .filter = -1,
	    .child = -1 };
	enum mw_code code = prepare(&h);

	if (code == MW_OK)
		code = launch(&h);
	if (code == MW_OK)
		code = wait_ready(&h);
	report(&h, code);
	if (h.child > 0)
		wait_end(&h);
	release(&h);
	return code == MW_OK ? 0 : 1;
}
