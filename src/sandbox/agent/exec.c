/* SPDX-License-Identifier: BSD-2-Clause */
/* One command of the agent: started, its output sent, its end told. */
#include "sandbox/agent/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE 20	/* ms that output may still come once the command has ended */

extern char **environ;

struct command {
	char **argv, **env;
	const char *cwd;	/* NULL = where we are */
	const void *input;	/* NULL = /dev/null */
	size_t input_len;
	uint32_t max[2];	/* bytes of stdout and stderr that the client takes */
};

struct stream {
	int fd;			/* -1 = ended */
	enum mw_ag_type type;
	uint32_t left;		/* bytes the client still takes */
	bool cut;
	int due;		/* bytes that were written before the command ended */
};

/* ---- frames ---- */

static bool
send_all(int fd, struct iovec *iov, int n)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	ssize_t sent;

	while (msg.msg_iovlen > 0) {
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return false;
		while (msg.msg_iovlen > 0 && (size_t)sent >= msg.msg_iov->iov_len) {
			sent -= (ssize_t)msg.msg_iov->iov_len;
			msg.msg_iov++;
			msg.msg_iovlen--;
		}
		if (msg.msg_iovlen > 0) {
			msg.msg_iov->iov_base = (char *)msg.msg_iov->iov_base + sent;
			msg.msg_iov->iov_len -= (size_t)sent;
		}
	}
	return true;
}

bool
mw_agent_send(int client, enum mw_ag_type type, const void *p, size_t n)
{
	unsigned char head[MW_AG_HEAD];
	struct iovec iov[2] = { { head, sizeof(head) }, { (void *)(uintptr_t)p, n } };

	if (client < 0)
		return false;
	mw_ag_head(head, type, (uint32_t)n);
	return send_all(client, iov, n > 0 ? 2 : 1);
}

void
mw_agent_failed(int client, enum mw_ag_stage stage, int e)
{
	unsigned char out[MW_AG_FAILED_SIZE];

	mw_ag_put32(out, stage);
	mw_ag_put32(out + 4, (uint32_t)e);
	(void)mw_agent_send(client, MW_AG_FAILED, out, sizeof(out));
}

/* ---- the request ---- */

/* The next NUL-ended string of [*p, end); NULL when there is none. */
static char *
string(unsigned char **p, const unsigned char *end)
{
	unsigned char *s = *p;
	unsigned char *nul = s < end ? memchr(s, '\0', (size_t)(end - s)) : NULL;

	if (nul == NULL)
		return NULL;
	*p = nul + 1;
	return (char *)s;
}

static char **
strings(unsigned char **p, const unsigned char *end, uint32_t n)
{
	char **v = calloc((size_t)n + 1, sizeof(*v));
	uint32_t i;

	for (i = 0; v != NULL && i < n; i++) {
		v[i] = string(p, end);
		if (v[i] == NULL)
			return NULL;
	}
	return v;
}

static bool
parse(unsigned char *req, size_t len, struct command *c)
{
	unsigned char *p = req + MW_AG_EXEC_FIXED;
	const unsigned char *end = req + len;
	uint32_t argc, envc, flags;

	if (len < MW_AG_EXEC_FIXED)
		return false;
	argc = mw_ag_get32(req);
	envc = mw_ag_get32(req + 4);
	c->max[0] = mw_ag_get32(req + 8);
	c->max[1] = mw_ag_get32(req + 12);
	flags = mw_ag_get32(req + 16);
	if (argc == 0 || argc > MW_AG_STRINGS_MAX || envc > MW_AG_STRINGS_MAX ||
	    (flags & ~(uint32_t)(MW_AG_HAS_CWD | MW_AG_HAS_INPUT)) != 0)
		return false;
	c->argv = strings(&p, end, argc);
	c->env = c->argv == NULL ? NULL : strings(&p, end, envc);
	if (c->env == NULL)
		return false;
	if ((flags & MW_AG_HAS_CWD) != 0) {
		c->cwd = string(&p, end);
		if (c->cwd == NULL)
			return false;
	}
	if ((flags & MW_AG_HAS_INPUT) != 0) {
		c->input = p;
		c->input_len = (size_t)(end - p);
		return true;
	}
	return p == end;
}

/* Do the two "NAME=value" name the same variable? */
static bool
same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

static bool
in_env(char *const *env, const char *entry)
{
	for (; *env != NULL; env++) {
		if (same_name(*env, entry))
			return true;
	}
	return false;
}

static bool
is_ours(const char *entry)
{
	return strncmp(entry, "MW_ROOT=", 8) == 0 || strncmp(entry, "MW_RUN_DIR=", 11) == 0;
}

/* The command's environment: what it asked for before what it would inherit, but
 * MW_ROOT and MW_RUN_DIR are always the sandbox's. */
static char **
merge_env(char *const *want)
{
	size_t n = 0, i;
	char **v;

	for (i = 0; want[i] != NULL; i++)
		n++;
	for (i = 0; environ[i] != NULL; i++)
		n++;
	v = calloc(n + 1, sizeof(*v));
	if (v == NULL)
		return NULL;
	n = 0;
	for (i = 0; want[i] != NULL; i++) {
		if (!is_ours(want[i]))
			v[n++] = want[i];
	}
	for (i = 0; environ[i] != NULL; i++) {
		if (is_ours(environ[i]) || !in_env(want, environ[i]))
			v[n++] = environ[i];
	}
	return v;
}

/* ---- the command ---- */

/* Standard input: a file in memory, so that nobody has to feed it. */
static int
open_input(const struct command *c)
{
	const char *p = c->input;
	size_t left = c->input_len;
	ssize_t n;
	int fd;

	if (c->input == NULL)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = memfd_create("stdin", MFD_CLOEXEC);
	while (fd >= 0 && left > 0) {
		n = write(fd, p, left);
		if (n <= 0) {
			(void)close(fd);
			return -1;
		}
		p += n;
		left -= (size_t)n;
	}
	if (fd >= 0 && lseek(fd, 0, SEEK_SET) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void
default_signals(void)
{
	sigset_t none;
	int i;

	for (i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the new process.  `report` takes a stage and an errno, and closes on exec. */
static _Noreturn void
become(const struct command *c, int in, int out, int err, int report)
{
	int why[2] = { MW_AG_AT_RESOURCES, 0 };

	default_signals();
	if (setsid() >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2) {
		why[0] = MW_AG_AT_CHDIR;
		if (c->cwd == NULL || chdir(c->cwd) == 0) {
			why[0] = MW_AG_AT_EXEC;
			environ = c->env;
			(void)execvp(c->argv[0], c->argv);
		}
	}
	why[1] = errno;
	(void)!write(report, why, sizeof(why));
	_exit(127);
}

/* Start it; out[] are the read ends.  False: it does not run, and the client knows. */
static bool
start(int client, const struct command *c, pid_t *pid, struct stream out[2])
{
	int o[2] = { -1, -1 }, e[2] = { -1, -1 }, r[2] = { -1, -1 }, why[2];
	int in = open_input(c);
	ssize_t n;

	*pid = -1;
	if (in >= 0 && pipe2(o, O_CLOEXEC) == 0 && pipe2(e, O_CLOEXEC) == 0 &&
	    pipe2(r, O_CLOEXEC) == 0)
		*pid = fork();
	if (*pid < 0) {
		mw_agent_failed(client, MW_AG_AT_RESOURCES, errno);
		return false;
	}
	if (*pid == 0)
		become(c, in, o[1], e[1], r[1]);
	(void)close(in);
	(void)close(o[1]);
	(void)close(e[1]);
	(void)close(r[1]);
	do {
		n = read(r[0], why, sizeof(why));
	} while (n < 0 && errno == EINTR);
	(void)close(r[0]);
	if (n == (ssize_t)sizeof(why)) {
		(void)waitpid(*pid, NULL, 0);
		mw_agent_failed(client, (enum mw_ag_stage)why[0], why[1]);
		return false;
	}
	out[0] = (struct stream){ .fd = o[0], .type = MW_AG_OUT, .left = c->max[0] };
	out[1] = (struct stream){ .fd = e[0], .type = MW_AG_ERR, .left = c->max[1] };
	return fcntl(o[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(e[0], F_SETFL, O_NONBLOCK) == 0;
}

/* ---- its output ---- */

/* Pass on what can be read now; a client that is gone becomes -1. */
static void
pump(struct stream *s, int *client)
{
	static unsigned char buf[MW_AG_PIECE];
	ssize_t n = read(s->fd, buf, sizeof(buf));
	uint32_t pass;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		(void)close(s->fd);
		s->fd = -1;
		return;
	}
	s->due -= (int)n;
	pass = (uint32_t)n < s->left ? (uint32_t)n : s->left;
	s->left -= pass;
	if (pass < (uint32_t)n)
		s->cut = true;
	if (pass > 0 && *client >= 0 && !mw_agent_send(*client, s->type, buf, pass)) {
		(void)close(*client);
		*client = -1;
	}
}

/* Wait for output, or for `end` (a pidfd, -1 = none) to be readable.  False on timeout. */
static bool
turn(struct stream s[2], int *client, int end, int timeout, bool *ended)
{
	struct pollfd pfd[3] = {
		{ .fd = s[0].fd, .events = POLLIN },
		{ .fd = s[1].fd, .events = POLLIN },
		{ .fd = end, .events = POLLIN },
	};
	int n = poll(pfd, 3, timeout), i;

	if (n < 0)
		return errno == EINTR;
	for (i = 0; i < 2; i++) {
		if (s[i].fd >= 0 && pfd[i].revents != 0)
			pump(&s[i], client);
	}
	*ended = end >= 0 && pfd[2].revents != 0;
	return n > 0;
}

static int64_t
now_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		return 0;
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * The command has ended.  All that it wrote is in the pipes by now; what it left
 * running may hold them open for ever, and gets a moment only.
 */
static void
drain(struct stream s[2], int *client)
{
	int64_t end = now_ms() + GRACE, left;
	bool ended;
	int i;

	for (i = 0; i < 2; i++) {
		s[i].due = 0;
		if (s[i].fd >= 0)
			(void)ioctl(s[i].fd, FIONREAD, &s[i].due);
	}
	while (s[0].fd >= 0 || s[1].fd >= 0) {
		left = end - now_ms();
		if (left < 0)
			left = 0;
		if (left == 0 && (s[0].fd < 0 || s[0].due <= 0) && (s[1].fd < 0 || s[1].due <= 0))
			return;
		if (!turn(s, client, -1, (int)left, &ended))
			return;
	}
}

static void
follow(int client, pid_t pid, struct stream s[2])
{
	unsigned char out[MW_AG_EXIT_SIZE];
	int end = (int)syscall(SYS_pidfd_open, pid, 0), status = 0, code;
	bool ended = false;

	while (end >= 0 && !ended)
		(void)turn(s, &client, end, -1, &ended);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	drain(s, &client);
	code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	mw_ag_put32(out, (uint32_t)code);
	mw_ag_put32(out + 4, (s[0].cut ? MW_AG_OUT_CUT : 0u) | (s[1].cut ? MW_AG_ERR_CUT : 0u));
	(void)mw_agent_send(client, MW_AG_EXIT, out, sizeof(out));
	if (client >= 0)
		(void)close(client);
	client = -1;
	while (s[0].fd >= 0 || s[1].fd >= 0)
		(void)turn(s, &client, -1, -1, &ended);
}

void
mw_agent_exec(int client, unsigned char *req, size_t len)
{
	struct command c = { .argv = NULL };
	struct stream s[2];
	pid_t pid;

	if (!parse(req, len, &c)) {
		mw_agent_failed(client, MW_AG_AT_REQUEST, EINVAL);
		return;
	}
	c.env = merge_env(c.env);
	if (c.env == NULL)
		mw_agent_failed(client, MW_AG_AT_RESOURCES, ENOMEM);
	else if (start(client, &c, &pid, s))
		follow(client, pid, s);
}
