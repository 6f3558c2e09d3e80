/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting and stopping: at most one of both at a time for one user. */
#include "sandbox/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/stop.h"

#define PREFIX "MOLTWORKER_"
#define ENV_MAX 256
#define STOP_GRACE 5000		/* ms for the agent to end everything before it is killed */
#define NAP 10			/* ms between two looks at what gives no event */

extern char **environ;

/* ---- locks ---- */

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static enum mw_code
take(const struct mw_local *l, struct mw_ctx *ctx, const char *user, const char *name,
    int64_t deadline, int *fd, struct mw_err *err)
{
	const char *path = mw_arena_printf(ctx->arena, "%s/.run/%s/lock", l->path, user);

	*fd = -1;
	if (path == NULL)
		return mw_ctx_nomem(ctx);
	return mw_lockfile_take(path, name, deadline, fd, err);
}

/* Take "start", the lock on starting and stopping. */
static enum mw_code
take_start(const struct mw_local *l, struct mw_ctx *ctx, const char *user, int *fd)
{
	struct mw_err err = { .code = MW_OK };
	enum mw_code code = take(l, ctx, user, "start", ctx->deadline, fd, &err);

	if (code == MW_DEADLINE_EXCEEDED)
		return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT,
		    "another start or stop of this sandbox takes long");
	return code == MW_OK ? code : mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "%s", err.msg);
}

/* Does nothing of it run?  Waits until `deadline` for that. */
static bool
is_free(const struct mw_local *l, struct mw_ctx *ctx, const char *user, int64_t deadline)
{
	int fd;

	if (take(l, ctx, user, "holder", deadline, &fd, NULL) != MW_OK)
		return false;
	mw_lockfile_give(fd);
	return true;
}

bool
mw_local_held(const struct mw_local *l, struct mw_ctx *ctx, const char *user)
{
	struct mw_err err = { .code = MW_OK };
	int fd;

	if (take(l, ctx, user, "holder", 0, &fd, &err) == MW_OK) {
		mw_lockfile_give(fd);
		return false;
	}
	return err.code == MW_DEADLINE_EXCEEDED;
}

/* ---- the detached holder ---- */

/* PATH and what is ours of the environment; a CGI environment holds secrets. */
static char **
holder_env(struct mw_ctx *ctx)
{
	char **v = mw_arena_alloc(ctx->arena, ENV_MAX * sizeof(*v));
	const char *path = getenv("PATH");
	size_t n = 0, i;

	if (v == NULL)
		return NULL;
	v[n] = mw_arena_printf(ctx->arena, "PATH=%s", path != NULL && *path != '\0' ? path :
	    "/usr/local/bin:/usr/bin:/bin");
	if (v[n++] == NULL)
		return NULL;
	for (i = 0; environ != NULL && environ[i] != NULL && n + 1 < ENV_MAX; i++) {
		if (strncmp(environ[i], PREFIX, sizeof(PREFIX) - 1) == 0 &&
		    strncmp(environ[i], PREFIX "SECRET=", sizeof(PREFIX "SECRET=") - 1) != 0)
			v[n++] = environ[i];
	}
	return v;
}

/* In the process that becomes the holder; only what is safe after fork. */
static _Noreturn void
become(char *const argv[], char *const env[], int out)
{
	sigset_t none;
	int i, null = open("/dev/null", O_RDWR);

	for (i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	out = fcntl(out, F_DUPFD, 3);
	if (null >= 0 && out >= 0 && dup2(null, 0) == 0 && dup2(out, 1) == 1 &&
	    dup2(out, 2) == 2 && close_range(3, ~0u, 0) == 0 && chdir("/") == 0)
		(void)execve(argv[0], argv, env);
	(void)!write(1, "moltctl cannot be executed\n", 27);
	_exit(127);
}

/* Start it in a session of its own, as nobody's child.  *out: what it has to say. */
static bool
detach(char *const argv[], char *const env[], int *out)
{
	int fds[2], status = 0, e;
	pid_t pid, got;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	pid = fork();
	if (pid == 0) {
		pid = setsid() < 0 ? -1 : fork();
		if (pid == 0)
			become(argv, env, fds[1]);
		_exit(pid < 0);
	}
	e = errno;
	(void)close(fds[1]);
	*out = fds[0];
	if (pid > 0) {
		do {
			got = waitpid(pid, &status, 0);
		} while (got < 0 && errno == EINTR);
		/* ECHILD: somebody ignores SIGCHLD; the pipe will tell. */
		if (got < 0 || status == 0)
			return true;
		e = EAGAIN;
	}
	(void)close(fds[0]);
	errno = e;
	return false;
}

/* The last whole line of text[0..n), without its newline; *len 0 if there is none. */
static const char *
last_line(const char *text, size_t n, size_t *len)
{
	const char *end = memrchr(text, '\n', n), *before;

	*len = 0;
	if (end == NULL)
		return text;
	before = memrchr(text, '\n', (size_t)(end - text));
	text = before == NULL ? text : before + 1;
	*len = (size_t)(end - text);
	return text;
}

/* The holder's verdict: MW_OK, or MW_CONFLICT for MW_LOCAL_HELD (not recorded). */
static enum mw_code
judge(struct mw_ctx *ctx, const char *line, size_t n)
{
	if (n == 2 && memcmp(line, "ok", 2) == 0)
		return MW_OK;
	if (n == strlen(MW_LOCAL_HELD) && memcmp(line, MW_LOCAL_HELD, n) == 0)
		return MW_CONFLICT;
	if (n == 0)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "moltctl hold ended without a word");
	return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "%.*s", (int)n, line);
}

/* Whatever the holder says before is for nobody: its last line counts. */
static enum mw_code
hear(struct mw_ctx *ctx, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t len = 0, n_line;
	const char *line;
	char buf[1024];
	ssize_t n;

	for (;;) {
		n = poll(&pfd, 1, (int)sooner(mw_left(ctx->deadline), MW_LOCAL_LOOK));
		if (n == 0 && mw_stopping())
			return mw_local_stopping(ctx);
		if (n == 0 && mw_left(ctx->deadline) == 0)
			return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT, "the sandbox is still starting");
		if (n <= 0)
			continue;
		if (len == sizeof(buf))
			len = 0;
		n = read(fd, buf + len, sizeof(buf) - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0)
			len += (size_t)n;
		line = last_line(buf, len, &n_line);
		if (n <= 0 || (n_line == 2 && memcmp(line, "ok", 2) == 0))
			return judge(ctx, line, n_line);
	}
}

static enum mw_code
run_holder(struct mw_ctx *ctx, const char *user)
{
	const char *moltctl = getenv(PREFIX "MOLTCTL");
	char *argv[4] = { NULL };
	char **env = holder_env(ctx);
	enum mw_code code;
	int out;

	argv[0] = mw_arena_strdup(ctx->arena, moltctl != NULL && *moltctl != '\0' ? moltctl :
	    MW_BINDIR "/moltctl");
	argv[1] = mw_arena_strdup(ctx->arena, "hold");
	argv[2] = mw_arena_strdup(ctx->arena, user);
	if (env == NULL || argv[0] == NULL || argv[1] == NULL || argv[2] == NULL)
		return mw_ctx_nomem(ctx);
	if (!detach(argv, env, &out))
		return mw_ctx_fail(ctx, MW_SANDBOX_CAPACITY, "cannot start moltctl hold: %s",
		    strerror(errno));
	code = hear(ctx, out);
	(void)close(out);
	return code;
}

/* ---- stop ---- */

static pid_t
peer(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? cred.pid : -1;
}

/*
 * Kill the agent that listens: with it goes its process namespace.  A second
 * connection proves that the number still meant this agent when it was opened.
 */
static void
kill_agent(const struct mw_local *l, const char *user, int fd, int64_t deadline)
{
	pid_t pid = peer(fd);
	int agent = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1, again;

	if (agent < 0)
		return;
	again = mw_local_connect(l, user, deadline);
	if (again >= 0) {
		if (peer(again) == pid)
			(void)syscall(SYS_pidfd_send_signal, agent, SIGKILL, NULL, 0);
		(void)close(again);
	}
	(void)close(agent);
}

/* With the "start" lock held. */
static enum mw_code
end_it(const struct mw_local *l, struct mw_ctx *ctx, const char *user)
{
	int64_t grace = mw_now() + STOP_GRACE;
	int fd;

	for (;;) {
		fd = mw_local_connect(l, user, sooner(grace, ctx->deadline));
		if (fd >= 0) {
			mw_local_ask_stop(fd, sooner(grace, ctx->deadline));
			if (mw_left(grace) == 0)
				kill_agent(l, user, fd, ctx->deadline);
			(void)close(fd);
		}
		/* No agent, yet the lock is held: it is ending, or about to listen. */
		if (is_free(l, ctx, user, sooner(mw_now() + (fd >= 0 ? STOP_GRACE : NAP),
		    ctx->deadline)))
			return MW_OK;
		if (mw_left(ctx->deadline) == 0)
			return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT,
			    "the sandbox did not end in time");
	}
}

enum mw_code
mw_local_stop(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user)
{
	const struct mw_local *l = (const struct mw_local *)s;
	int dir = mw_local_run_dir(l, user), lock;
	enum mw_code code;

	if (dir < 0 && (errno == ENOENT || errno == ENOTDIR))
		return MW_OK;
	if (dir < 0)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "%s/.run: %s", l->path,
		    strerror(errno));
	(void)close(dir);
	code = take_start(l, ctx, user, &lock);
	if (code != MW_OK)
		return code;
	code = end_it(l, ctx, user);
	mw_lockfile_give(lock);
	return code;
}

/* ---- start ---- */

/* The user's directory is gone or was never there: what is left of an earlier one,
 * its instance marker above all, goes before the new one is made. */
static enum mw_code
make_root(const struct mw_local *l, struct mw_ctx *ctx, const char *user, int run)
{
	const char *root = mw_arena_printf(ctx->arena, "%s/%s", l->path, user);
	enum mw_code code;

	if (root == NULL)
		return mw_ctx_nomem(ctx);
	code = end_it(l, ctx, user);
	if (code != MW_OK)
		return code;
	if (!mw_local_wipe(run, "tmp") || !mw_local_wipe(run, "run") ||
	    !mw_local_wipe(run, "in") || mkdir(root, 0700) != 0)
		return mw_ctx_fail(ctx, errno == ENOSPC || errno == EDQUOT ? MW_STORAGE_FULL :
		    MW_SANDBOX_UNAVAILABLE, "cannot make %s: %s", root, strerror(errno));
	return MW_OK;
}

/*
 * With the "start" lock held.  A holder whose starter was killed may be about to have
 * its agent ready: then it is waited for.
 */
static enum mw_code
start_it(const struct mw_local *l, struct mw_ctx *ctx, const char *user)
{
	enum mw_code code;

	for (;;) {
		code = mw_local_ping(l, user, ctx->deadline);
		if (code == MW_OK)
			return MW_OK;
		if (mw_stopping())
			return mw_local_stopping(ctx);
		if (code != MW_SANDBOX_HIBERNATING && mw_left(ctx->deadline) == 0)
			return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
			    "the sandbox's agent does not answer");
		if (mw_left(ctx->deadline) == 0)
			return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT, "the sandbox is still starting");
		code = is_free(l, ctx, user, 0) ? run_holder(ctx, user) : MW_CONFLICT;
		if (code == MW_OK)
			break;
		if (code != MW_CONFLICT)
			return code;
		mw_sleep_ms(NAP);
	}
	code = mw_local_ping(l, user, ctx->deadline);
	return code == MW_OK ? code : mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
	    "the sandbox started and ended at once");
}

enum mw_code
mw_local_start(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user)
{
	const struct mw_local *l = (const struct mw_local *)s;
	enum mw_code code = mw_local_may_run(l, &ctx->err);
	int run, lock, root;

	if (code != MW_OK)
		return code;
	run = mw_local_make_run_dir(l, user);
	if (run < 0)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "cannot make %s/.run/%s: %s",
		    l->path, user, strerror(errno));
	code = take_start(l, ctx, user, &lock);
	if (code == MW_OK) {
		root = mw_local_user_dir(l, user);
		if (root < 0)
			code = errno == ENOENT ? make_root(l, ctx, user, run) :
			    mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "%s/%s: %s", l->path, user,
			    strerror(errno));
		else
			(void)close(root);
		if (code == MW_OK)
			code = start_it(l, ctx, user);
		mw_lockfile_give(lock);
	}
	(void)close(run);
	return code;
}
