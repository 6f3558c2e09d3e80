/* SPDX-License-Identifier: BSD-2-Clause */
/* Plain CGI (RFC 3875): one request in the environment, stdin and stdout. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stop.h"
#include "http/internal.h"

#define OUT_SIZE (16 * 1024)

struct cgi {
	int64_t left;		/* bytes of the body not read yet; INT64_MAX = up to the end */
	size_t used;
	bool dead;
	bool cut;
	char out[OUT_SIZE];
};

static const char *
param(void *t, const char *name)
{
	(void)t;
	return getenv(name);
}

static const char *
param_at(void *t, size_t i)
{
	(void)t;
	return environ[i];
}

static long
body_read(void *t, void *p, size_t n)
{
	struct cgi *c = t;
	ssize_t got;

	if ((uint64_t)c->left < n)
		n = (size_t)c->left;
	if (n == 0)
		return 0;
	do
		got = read(STDIN_FILENO, p, n);
	while (got == -1 && errno == EINTR);
	if (got > 0)
		c->left -= got;
	else
		c->left = 0;
	return got;
}

static bool
out_send(struct cgi *c, const char *p, size_t n)
{
	ssize_t sent;

	while (n > 0 && !c->dead) {
		sent = write(STDOUT_FILENO, p, n);
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		} else if (sent == 0 || errno != EINTR) {
			c->dead = true;
		}
	}
	return !c->dead;
}

static bool
out_flush(void *t)
{
	struct cgi *c = t;
	size_t n = c->used;

	c->used = 0;
	return !c->cut && out_send(c, c->out, n);
}

static bool
out_write(void *t, const void *p, size_t n)
{
	struct cgi *c = t;

	if (c->dead || c->cut)
		return false;
	if (n > sizeof(c->out) - c->used && !out_flush(c))
		return false;
	if (n > sizeof(c->out))
		return out_send(c, p, n);
	memcpy(c->out + c->used, p, n);
	c->used += n;
	return true;
}

static bool
gone(void *t)
{
	struct cgi *c = t;
	struct pollfd p = { .fd = STDOUT_FILENO };

	return c->dead || c->cut ||
	    (poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0);
}

static void
cut(void *t)
{
	struct cgi *c = t;

	/* Without a head the server answers 500 itself. */
	c->cut = true;
}

/* No Content-Length means no body (RFC 3875 4.1.2), but for a chunked one that the
 * server passes on as it comes. */
static int64_t
body_length(void)
{
	const char *s = getenv("CONTENT_LENGTH");

	if (s != NULL && *s != '\0')
		return INT64_MAX;
	s = getenv("HTTP_TRANSFER_ENCODING");
	return s != NULL && strcasecmp(s, "chunked") == 0 ? INT64_MAX : 0;
}

/*
 * The rest of a body that nobody read is not waited for.  Apache's mod_cgid writes it into a
 * Unix socket, from which it reads the answer: bytes left there would make that an error.
 */
static void
stop_reading(struct cgi *c)
{
	char waste[OUT_SIZE];

	if (c->left > 0 && shutdown(STDIN_FILENO, SHUT_RD) == 0) {
		while (body_read(c, waste, sizeof(waste)) > 0)
			;
	}
}

static void
on_stop(int sig)
{
	(void)sig;
	mw_stop();
}

/* TERM ends the request's waits, not its transfers; nobody else has to be told. */
static void
signals_install(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_stop;
	sa.sa_flags = SA_RESTART;
	(void)sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &sa, NULL);
}

int
mw_cgi_serve(const struct mw_http *http)
{
	struct mw_arena *arena = mw_arena_open(MW_ARENA_MAX);
	struct cgi c = { .left = body_length() };
	struct mw_io io = {
		.param = param,
		.read = body_read,
		.write = out_write,
		.flush = out_flush,
		.gone = gone,
		.param_at = param_at,
		.t = &c,
		.cut = cut,
	};
	bool sent;

	if (arena == NULL) {
		mw_log(MW_ERROR, "out of memory");
		return 1;
	}
	signals_install();
	mw_http_one(http, &io, arena);
	sent = out_flush(&c);
	stop_reading(&c);
	mw_arena_close(arena);
	return sent ? 0 : 1;
}
