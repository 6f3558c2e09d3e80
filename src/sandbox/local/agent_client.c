/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's client.  The agent lives among the user's own processes: what comes
 * from it is checked against the protocol and the caps, and each wait has an end.
 */
#include "sandbox/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"
#include "sandbox/agent/agent.h"

/* ---- bytes ---- */

/*
 * Wait for `events`.  MW_SANDBOX_TIMEOUT when the time is over, MW_SANDBOX_UNAVAILABLE
 * when this process is to end and nothing comes.
 */
static enum mw_code
wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		left = mw_left(deadline);
		n = poll(&pfd, 1, left > MW_LOCAL_LOOK ? MW_LOCAL_LOOK : (int)left);
		if (n > 0)
			return MW_OK;
		if (n < 0 && errno != EINTR)
			return MW_SANDBOX_UNREACHABLE;
		if (n == 0 && mw_left(deadline) == 0)
			return MW_SANDBOX_TIMEOUT;
		if (n == 0 && mw_stopping())
			return MW_SANDBOX_UNAVAILABLE;
	}
}

static enum mw_code
send_all(int fd, const void *buf, size_t len, int64_t deadline)
{
	const char *p = buf;
	enum mw_code code;
	ssize_t n;

	while (len > 0) {
		n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			code = wait_for(fd, POLLOUT, deadline);
			if (code != MW_OK)
				return code;
		} else if (n == 0 || errno != EINTR) {
			return MW_SANDBOX_UNREACHABLE;
		}
	}
	return MW_OK;
}

static enum mw_code
recv_all(int fd, void *buf, size_t len, int64_t deadline)
{
	char *p = buf;
	enum mw_code code;
	ssize_t n;

	while (len > 0) {
		/* Before each piece: one that trickles in for ever ends here. */
		code = wait_for(fd, POLLIN, deadline);
		if (code == MW_OK && mw_left(deadline) == 0)
			code = MW_SANDBOX_TIMEOUT;
		if (code != MW_OK)
			return code;
		n = recv(fd, p, len, MSG_DONTWAIT);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			return MW_SANDBOX_UNREACHABLE;
		}
	}
	return MW_OK;
}

static enum mw_code
send_request(int fd, enum mw_ag_type type, const void *p, size_t n, int64_t deadline)
{
	unsigned char head[MW_AG_HEAD];
	enum mw_code code;

	mw_ag_head(head, type, (uint32_t)n);
	code = send_all(fd, head, sizeof(head), deadline);
	return code == MW_OK ? send_all(fd, p, n, deadline) : code;
}

/* A whole answer of one frame of a known size. */
static enum mw_code
recv_answer(int fd, enum mw_ag_type type, unsigned char *p, size_t n, int64_t deadline)
{
	unsigned char head[MW_AG_HEAD];
	enum mw_code code = recv_all(fd, head, sizeof(head), deadline);

	if (code != MW_OK)
		return code;
	if (mw_ag_type(head) != (int)type || mw_ag_get32(head + 4) != n)
		return MW_SANDBOX_UNREACHABLE;
	return recv_all(fd, p, n, deadline);
}

/* ---- the connection ---- */

int
mw_local_connect(const struct mw_local *l, const char *user, int64_t deadline)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int dir = mw_local_run_dir(l, user), fd, e;
	int64_t left = mw_left(deadline);
	struct timeval tv;

	if (dir < 0)
		return -1;
	/* By descriptor: PATH may be longer than a socket's name can be. */
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/sock", dir);
	if (left < 1)
		left = 1;
	tv.tv_sec = (time_t)(left / 1000);
	tv.tv_usec = (suseconds_t)(left % 1000) * 1000;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* SO_SNDTIMEO bounds the wait for a place in a full backlog. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) != 0 ||
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0) {
		e = errno;
		if (fd >= 0)
			(void)close(fd);
		fd = -1;
		errno = e;
	}
	e = errno;
	(void)close(dir);
	errno = e;
	return fd;
}

static enum mw_code
ask(const struct mw_local *l, const char *user, enum mw_ag_type type, enum mw_ag_type answer,
    unsigned char *p, size_t n, int64_t deadline)
{
	int fd = mw_local_connect(l, user, deadline);
	enum mw_code code;

	if (fd < 0)
		return mw_local_of_connect(errno);
	code = send_request(fd, type, NULL, 0, deadline);
	if (code == MW_OK)
		code = recv_answer(fd, answer, p, n, deadline);
	(void)close(fd);
	return code == MW_OK ? code : MW_SANDBOX_UNREACHABLE;
}

enum mw_code
mw_local_ping(const struct mw_local *l, const char *user, int64_t deadline)
{
	return ask(l, user, MW_AG_PING, MW_AG_PONG, NULL, 0, deadline);
}

enum mw_code
mw_local_state(const struct mw_local *l, const char *user, int64_t deadline,
    struct mw_sandbox_status *st)
{
	unsigned char p[MW_AG_STATE_SIZE];
	enum mw_code code = ask(l, user, MW_AG_STATUS, MW_AG_STATE, p, sizeof(p), deadline);

	if (code != MW_OK)
		return code;
	st->processes = (int)(mw_ag_get32(p) & INT32_MAX);
	st->memory = (int64_t)(mw_ag_get64(p + 4) & INT64_MAX);
	st->started = (int64_t)(mw_ag_get64(p + 12) & INT64_MAX);
	return MW_OK;
}

void
mw_local_ask_stop(int fd, int64_t deadline)
{
	char c;

	if (send_request(fd, MW_AG_STOP, NULL, 0, deadline) != MW_OK)
		return;
	while (recv_all(fd, &c, 1, deadline) == MW_OK)
		;
}

/* ---- exec ---- */

static bool
add32(struct mw_buf *b, uint32_t v)
{
	unsigned char p[4];

	mw_ag_put32(p, v);
	return mw_buf_add(b, p, sizeof(p));
}

static uint32_t
count(const char *const *v)
{
	uint32_t n = 0;

	while (v != NULL && v[n] != NULL && n <= MW_AG_STRINGS_MAX)
		n++;
	return n;
}

static uint32_t
cap(const struct mw_buf *b)
{
	size_t room = b->max - b->len;

	return room > UINT32_MAX ? UINT32_MAX : (uint32_t)room;
}

static enum mw_code
build(struct mw_ctx *ctx, const struct mw_exec *x, const struct mw_exec_result *r,
    struct mw_buf *b)
{
	uint32_t argc = count(x->argv), envc = count(x->env), i;
	uint32_t flags = (x->cwd != NULL ? MW_AG_HAS_CWD : 0u) |
	    (x->input != NULL ? MW_AG_HAS_INPUT : 0u);

	if (argc == 0 || argc > MW_AG_STRINGS_MAX || envc > MW_AG_STRINGS_MAX)
		return mw_ctx_fail(ctx, MW_INVALID_ARGUMENT, "a command takes 1 to %d arguments, "
		    "and up to %d variables", MW_AG_STRINGS_MAX, MW_AG_STRINGS_MAX);
	(void)(add32(b, argc) && add32(b, envc) && add32(b, cap(&r->out)) &&
	    add32(b, cap(&r->err)) && add32(b, flags));
	for (i = 0; i < argc; i++)
		(void)mw_buf_add(b, x->argv[i], strlen(x->argv[i]) + 1);
	for (i = 0; i < envc; i++)
		(void)mw_buf_add(b, x->env[i], strlen(x->env[i]) + 1);
	if (x->cwd != NULL)
		(void)mw_buf_add(b, x->cwd, strlen(x->cwd) + 1);
	if (x->input != NULL)
		(void)mw_buf_add(b, x->input, x->input_len);
	return b->failed ? mw_ctx_fail(ctx, MW_BODY_TOO_LARGE,
	    "a command with its input takes at most %d bytes", MW_AG_REQUEST_MAX) : MW_OK;
}

enum mw_code
mw_local_stopping(struct mw_ctx *ctx)
{
	enum mw_code code = mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
	    "This process of the gateway is being stopped; try again");

	if (ctx->err.retry_after == 0)
		ctx->err.retry_after = 1;
	return code;
}

static enum mw_code
garbled(struct mw_ctx *ctx)
{
	return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
	    "the sandbox's agent answered something else than the protocol allows");
}

static enum mw_code
lost(struct mw_ctx *ctx, enum mw_code code)
{
	if (code == MW_SANDBOX_TIMEOUT)
		return mw_ctx_fail(ctx, code, "the sandbox did not answer in time; the command may run on");
	if (code == MW_SANDBOX_UNAVAILABLE)
		return mw_local_stopping(ctx);
	return mw_ctx_fail(ctx, code, "the connection to the sandbox was lost");
}

/* The agent says that it did not start the command. */
static enum mw_code
refused(struct mw_ctx *ctx, const struct mw_exec *x, const unsigned char *p)
{
	const char *why = strerror((int)(mw_ag_get32(p + 4) & 0xffff));
	enum mw_ag_stage stage = (enum mw_ag_stage)mw_ag_get32(p);
	enum mw_code code = mw_local_of_stage(stage);

	switch (stage) {
	case MW_AG_AT_CHDIR:
		return mw_ctx_fail(ctx, code, "working directory %s: %s",
		    x->cwd == NULL ? "" : x->cwd, why);
	case MW_AG_AT_EXEC:
		return mw_ctx_fail(ctx, code, "%s: %s", x->argv[0], why);
	case MW_AG_AT_RESOURCES:
		return mw_ctx_fail(ctx, code, "the sandbox cannot start a command: %s", why);
	default:
		return garbled(ctx);
	}
}

static enum mw_code
take_output(struct mw_ctx *ctx, int fd, struct mw_buf *b, uint32_t len, int64_t deadline)
{
	enum mw_code code;

	if (len == 0 || len > MW_AG_PIECE || len > cap(b))
		return garbled(ctx);
	if (!mw_buf_room(b, len))
		return mw_ctx_nomem(ctx);
	code = recv_all(fd, b->data + b->len, len, deadline);
	if (code != MW_OK)
		return lost(ctx, code);
	b->len += len;
	b->data[b->len] = '\0';
	return MW_OK;
}

static enum mw_code
take_end(struct mw_ctx *ctx, int fd, const struct mw_exec *x, int type, uint32_t len,
    struct mw_exec_result *r, int64_t deadline)
{
	unsigned char p[MW_AG_EXIT_SIZE];
	enum mw_code code;

	_Static_assert(MW_AG_EXIT_SIZE == MW_AG_FAILED_SIZE, "one buffer for both");
	if ((type != MW_AG_EXIT && type != MW_AG_FAILED) || len != sizeof(p))
		return garbled(ctx);
	code = recv_all(fd, p, sizeof(p), deadline);
	if (code != MW_OK)
		return lost(ctx, code);
	if (type == MW_AG_FAILED)
		return refused(ctx, x, p);
	if (mw_ag_get32(p) > 255)
		return garbled(ctx);
	r->exit_code = (int)mw_ag_get32(p);
	r->out_cut = (mw_ag_get32(p + 4) & MW_AG_OUT_CUT) != 0;
	r->err_cut = (mw_ag_get32(p + 4) & MW_AG_ERR_CUT) != 0;
	return MW_OK;
}

static enum mw_code
take_result(struct mw_ctx *ctx, int fd, const struct mw_exec *x, struct mw_exec_result *r,
    int64_t deadline)
{
	unsigned char head[MW_AG_HEAD];
	enum mw_code code;
	uint32_t len;
	int type;

	for (;;) {
		code = recv_all(fd, head, sizeof(head), deadline);
		if (code != MW_OK)
			return lost(ctx, code);
		type = mw_ag_type(head);
		len = mw_ag_get32(head + 4);
		if (type == MW_AG_OUT || type == MW_AG_ERR) {
			code = take_output(ctx, fd, type == MW_AG_OUT ? &r->out : &r->err, len,
			    deadline);
			if (code != MW_OK)
				return code;
			continue;
		}
		return take_end(ctx, fd, x, type, len, r, deadline);
	}
}

/* Nobody listens: is it asleep, or can it not be? */
static enum mw_code
nobody(const struct mw_local *l, struct mw_ctx *ctx, int e)
{
	enum mw_code code = mw_local_of_connect(e);

	if (code != MW_SANDBOX_HIBERNATING)
		return mw_ctx_fail(ctx, code, "the sandbox's agent cannot be reached: %s", strerror(e));
	code = mw_local_may_run(l, &ctx->err);
	return code != MW_OK ? code : mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "the sandbox is asleep");
}

enum mw_code
mw_local_exec(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const struct mw_exec *x, struct mw_exec_result *r)
{
	const struct mw_local *l = (const struct mw_local *)s;
	int64_t deadline = mw_now() + (x->timeout > 0 ? x->timeout : 0);
	int dir = mw_local_user_dir(l, user), fd;
	struct mw_buf req;
	enum mw_code code;

	if (deadline > ctx->deadline)
		deadline = ctx->deadline;
	if (dir < 0)
		return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND, "there is no such sandbox");
	(void)close(dir);
	mw_buf_init(&req, MW_AG_REQUEST_MAX);
	code = build(ctx, x, r, &req);
	if (code == MW_OK) {
		fd = mw_local_connect(l, user, deadline);
		if (fd < 0) {
			code = nobody(l, ctx, errno);
		} else {
			code = send_request(fd, MW_AG_EXEC, req.data, req.len, deadline);
			code = code == MW_OK ? take_result(ctx, fd, x, r, deadline) : lost(ctx, code);
			(void)close(fd);
		}
	}
	mw_buf_free(&req);
	return code;
}
