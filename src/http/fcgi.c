/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FastCGI, on libfcgi.  Small answers leave in libfcgi's own 8 KiB buffer
 * together with the end of the request: one write.  Larger ones go past it, in
 * records of 16 KiB, four at a time.
 */
#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/stop.h"
#include "http/internal.h"

#define SMALL_MAX 8144		/* bytes of an answer that fit libfcgi's buffer with all end records */
#define RECORD_HEAD 8
#define RECORD_MAX 16376	/* bytes of payload */
#define RECORDS 4		/* sent at once */
#define SOCKET_ROOM 16384	/* SO_SNDBUF; the kernel doubles it */
#define BODY_SILENCE 60		/* seconds without a byte of the body */
#define DRAIN_MS 3000		/* for a body that nobody read */

struct fcgi {
	FCGX_Request r;
	size_t small;		/* bytes in libfcgi's buffer */
	unsigned char *big;	/* records being filled, or NULL */
	size_t used;		/* bytes of whole ones */
	size_t payload;		/* in the one that begins there */
	bool reading;		/* the body was asked for */
	bool dead;		/* a write failed */
	bool cut;
	bool local;		/* the server comes over a Unix socket */
};

static int null_fd = -1;
static int wait_fd = -1;	/* epoll of the listening socket; -1 in a growing pool */

/*
 * Signals are installed with SA_RESTART, so that the request in hand never sees
 * an EINTR.  The wait for the next one, and the accept that is restarted, find
 * /dev/null in the place of what they wait for and fail at once; there is no moment
 * at which the signal could come too early to be noticed.
 */
static void
on_stop(int sig)
{
	int saved = errno;

	(void)sig;
	mw_stop();
	(void)dup2(null_fd, STDIN_FILENO);
	if (wait_fd != -1)
		(void)dup2(null_fd, wait_fd);
	mw_pool_wake();
	errno = saved;
}

/*
 * A process that is killed while it sleeps in accept may take a connection with it that
 * comes before it is dead, which on a busy machine is a while: the client would see its
 * end.  From a wait it takes nothing; so accept never sleeps.  One process is woken for a
 * connection, not all of the pool.
 */
static bool
wait_open(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int flags = fcntl(STDIN_FILENO, F_GETFL);

	if (flags == -1 || fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) == -1)
		return false;
	if (mw_pool_member())
		return true;	/* it waits in mw_pool_wait(): in a second epoll a wake-up would be lost */
	wait_fd = epoll_create1(EPOLL_CLOEXEC);
	return wait_fd != -1 && epoll_ctl(wait_fd, EPOLL_CTL_ADD, STDIN_FILENO, &ev) == 0;
}

static void
on_hup(int sig)
{
	(void)sig;
}

static bool
signals_install(void)
{
	struct sigaction sa;

	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd == -1 || !wait_open())
		return false;
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_stop;
	sa.sa_flags = SA_RESTART;
	if (sigaction(SIGTERM, &sa, NULL) == -1 || sigaction(SIGUSR1, &sa, NULL) == -1)
		return false;
	/* What a log rotation may send; the log follows its name by itself.  Not ignored:
	 * programs that are started would inherit that. */
	sa.sa_handler = on_hup;
	if (sigaction(SIGHUP, &sa, NULL) == -1)
		return false;
	sa.sa_handler = SIG_IGN;
	return sigaction(SIGPIPE, &sa, NULL) == 0;
}

static const char *
param(void *t, const char *name)
{
	struct fcgi *f = t;
	const char *s = FCGX_GetParam(name, f->r.envp);

	/* Caddy's word for a chunked body. */
	if (s != NULL && strcmp(s, "-1") == 0 && strcmp(name, "CONTENT_LENGTH") == 0)
		return NULL;
	return s;
}

static const char *
param_at(void *t, size_t i)
{
	struct fcgi *f = t;

	return f->r.envp[i];
}

/* libfcgi reads without a limit of time: the socket gets one. */
static void
silence_limit(struct fcgi *f, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	(void)setsockopt(f->r.ipcFd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

static long
body_read(void *t, void *p, size_t n)
{
	struct fcgi *f = t;
	int got;

	if (f->cut)
		return -1;
	if (!f->reading)
		silence_limit(f, BODY_SILENCE * 1000);
	f->reading = true;
	got = FCGX_GetStr(p, n > INT32_MAX ? INT32_MAX : (int)n, f->r.in);
	if (got > 0)
		return got;
	return FCGX_GetError(f->r.in) == 0 ? 0 : -1;
}

static bool
send_all(struct fcgi *f, const unsigned char *p, size_t n)
{
	ssize_t sent;

	while (n > 0 && !f->dead) {
		sent = write(f->r.ipcFd, p, n);
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		} else if (sent == 0 || errno != EINTR) {
			f->dead = true;
		}
	}
	return !f->dead;
}

/* FastCGI 1.0, 3.3: version, FCGI_STDOUT, request id, length, no padding. */
static void
record_end(struct fcgi *f)
{
	unsigned char *h = f->big + f->used;

	if (f->payload == 0)
		return;
	memset(h, 0, RECORD_HEAD);
	h[0] = 1;
	h[1] = 6;
	h[2] = (unsigned char)(f->r.requestId >> 8);
	h[3] = (unsigned char)f->r.requestId;
	h[4] = (unsigned char)(f->payload >> 8);
	h[5] = (unsigned char)f->payload;
	f->used += RECORD_HEAD + f->payload;
	f->payload = 0;
}

static bool
records_send(struct fcgi *f)
{
	size_t n;

	record_end(f);
	n = f->used;
	f->used = 0;
	return send_all(f, f->big, n);
}

static bool
big_write(struct fcgi *f, const unsigned char *p, size_t n)
{
	size_t room;

	while (n > 0) {
		room = RECORD_MAX - f->payload;
		if (room > n)
			room = n;
		memcpy(f->big + f->used + RECORD_HEAD + f->payload, p, room);
		f->payload += room;
		p += room;
		n -= room;
		if (f->payload < RECORD_MAX)
			break;
		record_end(f);
		if (f->used == RECORDS * (RECORD_HEAD + RECORD_MAX) && !records_send(f))
			return false;
	}
	return !f->dead;
}

/*
 * What libfcgi holds must leave before the first record of ours.  lighttpd reads what
 * the socket holds, up to 128 KiB; if whole records make more than 64 KiB that the
 * client has not taken yet, it writes them into a temporary file first.  So records
 * are small, and so is what the socket holds.
 */
static bool
big_open(struct fcgi *f)
{
	int room = SOCKET_ROOM;

	if (f->local)
		(void)setsockopt(f->r.ipcFd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	f->big = malloc(RECORDS * (RECORD_HEAD + RECORD_MAX));
	if (f->big == NULL || FCGX_FFlush(f->r.out) != 0)
		f->dead = true;
	return !f->dead;
}

static bool
body_write(void *t, const void *p, size_t n)
{
	struct fcgi *f = t;

	if (f->dead || f->cut)
		return false;
	if (f->big == NULL && n <= SMALL_MAX - f->small) {
		f->small += n;
		f->dead = FCGX_PutStr(p, (int)n, f->r.out) < 0;
		return !f->dead;
	}
	return (f->big != NULL || big_open(f)) && big_write(f, p, n);
}

static bool
body_flush(void *t)
{
	struct fcgi *f = t;

	if (f->dead || f->cut)
		return false;
	if (f->big != NULL)
		return records_send(f);
	f->small = 0;
	if (FCGX_FFlush(f->r.out) != 0)
		f->dead = true;
	return !f->dead;
}

static bool
gone(void *t)
{
	struct fcgi *f = t;
	struct pollfd p = { .fd = f->r.ipcFd, .events = POLLRDHUP };

	/* POLLIN would also be the unread end of the request's own body. */
	return f->dead || f->cut ||
	    (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
}

static void
cut(void *t)
{
	struct fcgi *f = t;

	f->cut = true;
}

/*
 * How to make a body look broken, as measured: FCGI_END_REQUEST, whatever its
 * status, is the end of a good body to nginx and Apache, and so is a closed
 * connection to nginx.  A record of no known version is an error to all of
 * them: with the head still unsent the client gets the server's 500 or 502,
 * later the connection is closed (which Apache needs a Content-Length for).
 */
static void
request_break(struct fcgi *f)
{
	static const unsigned char bad[RECORD_HEAD];

	(void)send_all(f, bad, sizeof(bad));
	FCGX_Free(&f->r, 1);
}

/*
 * mod_fcgid loses the answer when it cannot pass the whole body on, mod_proxy_fcgi does not
 * end it, and Caddy fails with it when only the record that ends the body is unread.
 */
static void
drain(struct fcgi *f)
{
	int64_t end = mw_now() + DRAIN_MS;
	char waste[16 * 1024];

	if (FCGX_HasSeenEOF(f->r.in) != 0 || FCGX_GetError(f->r.in) != 0)
		return;
	silence_limit(f, DRAIN_MS);
	while (FCGX_GetStr(waste, sizeof(waste), f->r.in) > 0 && mw_left(end) > 0)
		;
}

static void
request_end(struct fcgi *f)
{
	if (f->big != NULL && !f->dead)
		(void)records_send(f);
	free(f->big);
	f->big = NULL;
	if (!f->cut && !f->dead)
		drain(f);
	if (f->cut || f->dead) {
		request_break(f);
		return;
	}
	/* libfcgi would shut the connection down and wait until the server has
	 * closed it too.  That is for TCP, where bytes nobody read cost the answer;
	 * here they are read, or it is a Unix socket, where they cost nothing. */
	if (f->local)
		FCGX_Detach(&f->r);
	FCGX_Finish_r(&f->r);
}

static void
request_serve(const struct mw_http *http, struct fcgi *f, struct mw_arena *arena)
{
	struct mw_io io = {
		.param = param,
		.read = body_read,
		.write = body_write,
		.flush = body_flush,
		.gone = gone,
		.param_at = param_at,
		.t = f,
		.cut = cut,
	};

	f->small = f->used = f->payload = 0;
	f->reading = f->dead = f->cut = false;
	mw_http_one(http, &io, arena);
	request_end(f);
	mw_arena_reset(arena);
}

/* Wait for a connection.  False: *rc says why not, 0 = to end, or -errno. */
static bool
wait_for_one(int *rc)
{
	struct epoll_event ev;
	enum mw_pool_next next = MW_POOL_REQUEST;

	if (mw_pool_member())
		next = mw_pool_wait(STDIN_FILENO);
	else if (epoll_wait(wait_fd, &ev, 1, -1) < 0 && errno != EINTR)
		next = MW_POOL_ERROR;
	*rc = next == MW_POOL_ERROR ? -errno : 0;
	return next == MW_POOL_REQUEST && !mw_stopping();
}

/* The next request.  Else *rc says why not: 0 = to end, or -errno. */
static bool
request_next(struct fcgi *f, int *rc)
{
	do {
		/* The server may have kept its connection: then libfcgi reads there. */
		if (f->r.ipcFd < 0 && !wait_for_one(rc))
			return false;
		*rc = FCGX_Accept_r(&f->r);
	} while (*rc == -EAGAIN && !mw_stopping());	/* another process was faster */
	return *rc == 0;
}

static bool
is_local(int fd)
{
	socklen_t len = sizeof(int);
	int domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/*
 * libfcgi puts handlers in place here, and would keep a signal to itself that comes
 * before there are ours: a master of processes never heard of it.
 */
bool
mw_http_listening(void)
{
	static const int taken[] = { SIGTERM, SIGUSR1 };
	struct sigaction before[2];
	sigset_t set, mask;
	bool cgi;

	sigemptyset(&set);
	for (size_t i = 0; i < 2; i++) {
		sigaddset(&set, taken[i]);
		(void)sigaction(taken[i], NULL, &before[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &set, &mask);
	cgi = FCGX_IsCGI();
	for (size_t i = 0; i < 2; i++)
		(void)sigaction(taken[i], &before[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	return !cgi;
}

int
mw_fcgi_serve(const struct mw_http *http)
{
	struct mw_arena *arena = mw_arena_open(MW_ARENA_MAX);
	struct fcgi f;
	int rc = 0;

	memset(&f, 0, sizeof(f));
	/* FCGX_Init may set signal handlers of its own: ours come after it. */
	if (arena == NULL || FCGX_Init() != 0 || FCGX_InitRequest(&f.r, 0, 0) != 0 ||
	    !signals_install()) {
		mw_log(MW_ERROR, "cannot start to serve: %s", strerror(errno));
		mw_arena_close(arena);
		return 1;
	}
	f.local = is_local(STDIN_FILENO);
	while (!mw_stopping() && request_next(&f, &rc))
		request_serve(http, &f, arena);
	if (!mw_stopping() && rc != 0)
		mw_log(MW_ERROR, "cannot accept requests: %s", strerror(-rc));
	FCGX_Free(&f.r, 1);
	mw_arena_close(arena);
	return mw_stopping() || rc == 0 ? 0 : 1;
}
