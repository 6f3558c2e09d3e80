/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server in a thread that speaks canned bytes: one step per request, in order,
 * over kept connections.  It notes what it was asked.
 */
#ifndef MW_TESTS_CANNED_H
#define MW_TESTS_CANNED_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "tap.h"

#define CANNED_UNASKED "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"

enum canned_end {
	CANNED_KEEP,		/* the connection stays open */
	CANNED_CLOSE,		/* it is closed after the answer */
	CANNED_RESET,		/* it is reset after the answer */
	CANNED_STALL,		/* nothing more comes, and it stays open */
	CANNED_LATE		/* when the client says so, an answer nobody has asked for */
};

struct canned_step {
	const char *answer;	/* NULL = nothing */
	enum canned_end end;
};

struct canned {
	int listener, stop[2], port;
	pthread_t thread;
	const struct canned_step *steps;
	size_t nsteps;
	atomic_int late;	/* CANNED_LATE: 1 = send it, 2 = it is sent */
	/* what happened; look after canned_stop */
	struct mw_buf requests[32];	/* heads and bodies */
	size_t nrequests, nconnections;
};

/* Bytes of a whole request at the start of b, 0 = not all there yet. */
static size_t
canned_whole(const struct mw_buf *b)
{
	const char *end = b->len == 0 ? NULL : memmem(b->data, b->len, "\r\n\r\n", 4), *p;
	int64_t n = 0;
	size_t head;

	if (end == NULL)
		return 0;
	head = (size_t)(end - b->data) + 4;
	p = memmem(b->data, head, "\r\nContent-Length: ", 18);
	if (p != NULL && !mw_str_uint(p + 18, strcspn(p + 18, "\r"), 1 << 30, &n))
		abort();
	return b->len >= head + (size_t)n ? head + (size_t)n : 0;
}

static void
canned_hang_up(int *fd, bool reset)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (*fd != -1 && reset)
		(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

/* Answer one request; the connection may be gone afterwards. */
static void
canned_answer(struct canned *c, int *fd, struct mw_buf *in, size_t n)
{
	const struct canned_step *step;
	size_t left, off = 0;
	ssize_t w;

	if (c->nrequests < 32) {
		mw_buf_init(&c->requests[c->nrequests], 1 << 26);
		mw_buf_add(&c->requests[c->nrequests], in->data, n);
	}
	mw_buf_reset(in);
	if (c->nrequests++ >= c->nsteps) {
		canned_hang_up(fd, false);
		return;
	}
	step = &c->steps[c->nrequests - 1];
	for (left = step->answer == NULL ? 0 : strlen(step->answer); left > 0; left -= (size_t)w) {
		w = send(*fd, step->answer + off, left, MSG_NOSIGNAL);
		if (w <= 0)
			break;
		off += (size_t)w;
	}
	if (step->end == CANNED_LATE) {
		while (atomic_load(&c->late) != 1)
			(void)sched_yield();
		if (send(*fd, CANNED_UNASKED, sizeof(CANNED_UNASKED) - 1, MSG_NOSIGNAL) < 0)
			abort();
		atomic_store(&c->late, 2);
	}
	if (step->end == CANNED_CLOSE || step->end == CANNED_RESET)
		canned_hang_up(fd, step->end == CANNED_RESET);
}

static void *
canned_run(void *arg)
{
	struct canned *c = arg;
	struct pollfd p[3];
	struct mw_buf in;
	static __thread char piece[65536];
	int fd = -1, next;
	size_t n;
	ssize_t got;

	mw_buf_init(&in, 1 << 26);
	for (;;) {
		p[0] = (struct pollfd){ .fd = c->stop[0], .events = POLLIN };
		p[1] = (struct pollfd){ .fd = c->listener, .events = POLLIN };
		p[2] = (struct pollfd){ .fd = fd, .events = POLLIN };
		if (poll(p, 3, -1) == -1 || p[0].revents != 0)
			break;
		if (p[1].revents != 0 && (next = accept(c->listener, NULL, NULL)) != -1) {
			canned_hang_up(&fd, false);
			mw_buf_reset(&in);
			fd = next;
			c->nconnections++;
			continue;
		}
		if (p[2].revents == 0)
			continue;
		got = recv(fd, piece, sizeof(piece), 0);
		if (got <= 0)
			canned_hang_up(&fd, false);
		else if (mw_buf_add(&in, piece, (size_t)got) && (n = canned_whole(&in)) > 0)
			canned_answer(c, &fd, &in, n);
	}
	canned_hang_up(&fd, false);
	mw_buf_free(&in);
	return NULL;
}

/* unix_path NULL = on 127.0.0.1, any free port. */
static void
canned_start_at(struct canned *c, const struct canned_step *steps, size_t n,
    const char *unix_path)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(in);
	int rc;

	memset(c, 0, sizeof(*c));
	c->steps = steps;
	c->nsteps = n;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->listener = socket(unix_path == NULL ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (unix_path != NULL) {
		(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", unix_path);
		rc = bind(c->listener, (struct sockaddr *)&un, sizeof(un));
	} else
		rc = bind(c->listener, (struct sockaddr *)&in, sizeof(in));
	if (c->listener == -1 || rc == -1 || listen(c->listener, 16) == -1 ||
	    (unix_path == NULL && getsockname(c->listener, (struct sockaddr *)&in, &len) == -1) ||
	    pipe(c->stop) == -1 || pthread_create(&c->thread, NULL, canned_run, c) != 0)
		abort();
	c->port = ntohs(in.sin_port);
}

__attribute__((unused)) static void
canned_start(struct canned *c, const struct canned_step *steps, size_t n)
{
	canned_start_at(c, steps, n, NULL);
}

static void
canned_stop(struct canned *c)
{
	if (write(c->stop[1], "x", 1) != 1 || pthread_join(c->thread, NULL) != 0)
		abort();
	(void)close(c->stop[0]);
	(void)close(c->stop[1]);
	(void)close(c->listener);
}

/* Free what canned_stop has left to be looked at. */
static void
canned_done(struct canned *c)
{
	size_t i;

	for (i = 0; i < c->nrequests && i < 32; i++)
		mw_buf_free(&c->requests[i]);
}

/* Does request i hold this text? */
__attribute__((unused)) static bool
canned_saw(const struct canned *c, size_t i, const char *text)
{
	return i < c->nrequests && c->requests[i].data != NULL &&
	    memmem(c->requests[i].data, c->requests[i].len, text, strlen(text)) != NULL;
}

#endif
