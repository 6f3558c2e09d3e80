/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An S3 server for measurements: objects in memory, one thread, no signatures
 * checked.  Takes any free port of 127.0.0.1 (or that of its argument), prints
 * it, and serves until a signal ends it.
 *
 *	GET HEAD PUT DELETE of /BUCKET/KEY, the whole object, keep-alive
 *	GET /__stats		"NAME NUMBER" per line, since the start
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS 4096		/* of the hash table; a power of two */
#define HEAD_MAX 16384		/* bytes of a request's head */
#define ANSWER_MAX 1024		/* bytes of an answer's head, or of a short answer */
#define OBJECT_MAX (INT64_C(1) << 30)
#define EVENTS 64
#define MD5_LEN 16

struct object {
	struct object *next;
	unsigned refs;		/* the table, and answers that are being sent */
	size_t size;
	char etag[2 * MD5_LEN + 1];
	char head[256];		/* of the answer to GET and HEAD */
	size_t head_len;
	char *data;
	char key[];
};

struct conn {
	int fd;
	uint32_t waits;		/* the events epoll knows of */
	bool last;		/* close after this answer */
	char in[HEAD_MAX];
	size_t used;
	struct object *put;	/* being received */
	size_t got;
	char text[ANSWER_MAX];	/* an answer of our own */
	struct iovec out[2];	/* what is left to send */
	struct object *sending;	/* that out[] points into, or NULL */
};

enum count { GET, HEAD, PUT, DELETE, MISSING, OTHER, CONNECTIONS, COUNTS };

static const char *const count_names[COUNTS] = {
	[GET] = "get", [HEAD] = "head", [PUT] = "put", [DELETE] = "delete",
	[MISSING] = "missing", [OTHER] = "other", [CONNECTIONS] = "connections",
};
static unsigned long long counts[COUNTS];
static struct object *table[BUCKETS];
static int ep;

static void
die(const char *what)
{
	(void)fprintf(stderr, "stub: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- objects ---- */

/* Where the pointer to `key` is, or would be. */
static struct object **
find(const char *key, size_t n)
{
	struct object **p;
	uint64_t h = 14695981039346656037u;	/* FNV-1a */
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)key[i]) * 1099511628211u;
	for (p = &table[h % BUCKETS]; *p != NULL; p = &(*p)->next) {
		if (strncmp((*p)->key, key, n) == 0 && (*p)->key[n] == '\0')
			break;
	}
	return p;
}

static void
release(struct object *o)
{
	if (o == NULL || --o->refs > 0)
		return;
	free(o->data);
	free(o);
}

static struct object *
object_new(const char *key, size_t n, size_t size)
{
	struct object *o = calloc(1, sizeof(*o) + n + 1);

	if (o == NULL || (o->data = malloc(size + 1)) == NULL)
		die("memory");
	memcpy(o->key, key, n);
	o->refs = 1;
	o->size = size;
	return o;
}

/* All bytes are there: digest, date, the answer's head. */
static void
object_seal(struct object *o)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	char date[40];
	time_t now = time(NULL);
	struct tm tm;
	size_t i;
	int n;

	if (EVP_Digest(o->data, o->size, md, NULL, EVP_md5(), NULL) != 1)
		die("MD5");
	for (i = 0; i < MD5_LEN; i++)
		(void)snprintf(o->etag + 2 * i, 3, "%02x", md[i]);
	if (gmtime_r(&now, &tm) == NULL ||
	    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
		die("date");
	n = snprintf(o->head, sizeof(o->head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n"
	    "Content-Type: application/octet-stream\r\nETag: \"%s\"\r\nLast-Modified: %s\r\n\r\n",
	    o->size, o->etag, date);
	if (n < 0 || (size_t)n >= sizeof(o->head))
		die("head");
	o->head_len = (size_t)n;
}

static void
object_store(struct object *o)
{
	struct object **p = find(o->key, strlen(o->key)), *old = *p;

	o->next = old != NULL ? old->next : NULL;
	*p = o;
	release(old);
}

/* ---- answers ---- */

static void
answer_object(struct conn *c, struct object *o, bool body)
{
	o->refs++;
	c->sending = o;
	c->out[0] = (struct iovec){ o->head, o->head_len };
	c->out[1] = (struct iovec){ o->data, body ? o->size : 0 };
}

/* Header lines end in CRLF each; a 204 has no length. */
static void
answer(struct conn *c, const char *status, const char *headers, const char *body)
{
	char length[48] = "";
	int n;

	if (body != NULL)
		(void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(body));
	n = snprintf(c->text, sizeof(c->text), "HTTP/1.1 %s\r\n%s%s%s\r\n%s", status, headers,
	    length, c->last ? "Connection: close\r\n" : "", body != NULL ? body : "");
	if (n < 0 || (size_t)n >= sizeof(c->text))
		die("answer");
	c->out[0] = (struct iovec){ c->text, (size_t)n };
	c->out[1].iov_len = 0;
}

static void
answer_missing(struct conn *c, bool body)
{
	counts[MISSING]++;
	answer(c, "404 Not Found", "Content-Type: application/xml\r\n", body ?
	    "<Error><Code>NoSuchKey</Code><Message>no such object</Message></Error>" : "");
}

static void
answer_stats(struct conn *c)
{
	char text[ANSWER_MAX / 2];
	size_t at = 0;
	int i;

	for (i = 0; i < COUNTS && at < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s %llu\n",
		    count_names[i], counts[i]);
	answer(c, "200 OK", "Content-Type: text/plain\r\n", text);
}

/* ---- requests ---- */

/* The value of `name` (with its colon) in a head of n bytes that ends in CRLF CRLF. */
static const char *
header(const char *head, size_t n, const char *name)
{
	const char *end = head + n - 2, *p = head;
	size_t len = strlen(name);

	while ((p = memmem(p, (size_t)(end - p), "\r\n", 2)) != NULL && p < end) {
		p += 2;
		if ((size_t)(end - p) > len && strncasecmp(p, name, len) == 0)
			return p + len + strspn(p + len, " ");
	}
	return NULL;
}

/* Content-Length, or -1. */
static int64_t
body_length(const char *head, size_t n)
{
	const char *v = header(head, n, "Content-Length:");
	int64_t len = 0;

	if (v == NULL || *v < '0' || *v > '9')
		return -1;
	for (; *v >= '0' && *v <= '9'; v++) {
		if (len > OBJECT_MAX)
			return -1;
		len = len * 10 + (*v - '0');
	}
	return *v == '\r' && len <= OBJECT_MAX ? len : -1;
}

static void
put_done(struct conn *c)
{
	char etag[64];

	object_seal(c->put);
	(void)snprintf(etag, sizeof(etag), "ETag: \"%s\"\r\n", c->put->etag);
	object_store(c->put);
	c->put = NULL;
	answer(c, "200 OK", etag, "");
}

static void
put_begin(struct conn *c, const char *head, size_t n, const char *key, size_t nkey)
{
	int64_t size = body_length(head, n);

	counts[PUT]++;
	if (size < 0) {
		c->last = true;
		answer(c, "411 Length Required", "", "");
		return;
	}
	c->put = object_new(key, nkey, (size_t)size);
	c->got = 0;
}

static void
remove_object(struct conn *c, const char *key, size_t n)
{
	struct object **p = find(key, n), *o = *p;

	counts[DELETE]++;
	if (o != NULL) {
		*p = o->next;
		release(o);
	}
	answer(c, "204 No Content", "", NULL);
}

static bool
is(const char *s, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(s, word, n) == 0;
}

static void
read_object(struct conn *c, bool body, const char *key, size_t n)
{
	struct object *o = *find(key, n);

	counts[body ? GET : HEAD]++;
	if (o != NULL)
		answer_object(c, o, body);
	else
		answer_missing(c, body);
}

/* One head of n bytes; what it asks for is put into out[], or a PUT begins. */
static void
request(struct conn *c, const char *head, size_t n)
{
	size_t method = strcspn(head, " \r"), key;
	const char *path = head + method + 1, *v = header(head, n, "Connection:");

	c->last = v != NULL && strncasecmp(v, "close", 5) == 0;
	key = strcspn(path, " ?\r");
	if (is(head, method, "GET") && is(path, key, "/__stats")) {
		answer_stats(c);
	} else if (is(head, method, "GET") || is(head, method, "HEAD")) {
		read_object(c, method == 3, path, key);
	} else if (is(head, method, "PUT")) {
		put_begin(c, head, n, path, key);
	} else if (is(head, method, "DELETE")) {
		remove_object(c, path, key);
	} else {
		counts[OTHER]++;
		c->last = true;
		answer(c, "405 Method Not Allowed", "", "");
	}
}

/* ---- connections ---- */

static void
conn_close(struct conn *c)
{
	(void)close(c->fd);
	release(c->put);
	release(c->sending);
	free(c);
}

static void
conn_wait(struct conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (c->waits != events && epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev) == -1)
		die("epoll_ctl");
	c->waits = events;
}

static bool
unsent(const struct conn *c)
{
	return c->out[0].iov_len > 0 || c->out[1].iov_len > 0;
}

/* Send out[] as far as it goes; false = the peer is gone. */
static bool
conn_send(struct conn *c)
{
	struct msghdr m = { .msg_iov = c->out, .msg_iovlen = 2 };
	size_t part;
	ssize_t n;
	int i;

	while (unsent(c)) {
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN;
		for (i = 0; i < 2; i++) {
			part = (size_t)n < c->out[i].iov_len ? (size_t)n : c->out[i].iov_len;
			c->out[i].iov_base = (char *)c->out[i].iov_base + part;
			c->out[i].iov_len -= part;
			n -= (ssize_t)part;
		}
	}
	release(c->sending);
	c->sending = NULL;
	return !c->last;
}

/* Forget the first n bytes of the buffer. */
static void
eat(struct conn *c, size_t n)
{
	c->used -= n;
	memmove(c->in, c->in + n, c->used);
	c->in[c->used] = '\0';
}

/* Bytes of a PUT's body that came along with its head. */
static void
put_buffered(struct conn *c)
{
	size_t n = c->put->size - c->got;

	if (n > c->used)
		n = c->used;
	memcpy(c->put->data + c->got, c->in, n);
	c->got += n;
	eat(c, n);
}

/* Work off what has been read; false = close. */
static bool
conn_work(struct conn *c)
{
	const char *end;
	size_t n;

	while (!unsent(c)) {
		if (c->put != NULL) {
			put_buffered(c);
			if (c->got < c->put->size)
				return true;
			put_done(c);
		} else {
			end = memmem(c->in, c->used, "\r\n\r\n", 4);
			if (end == NULL)
				return c->used < sizeof(c->in) - 1;
			n = (size_t)(end - c->in) + 4;
			request(c, c->in, n);
			eat(c, n);
		}
		if (!conn_send(c))
			return false;
	}
	return true;
}

static bool
conn_read(struct conn *c)
{
	bool body = c->put != NULL;
	char *to = body ? c->put->data + c->got : c->in + c->used;
	size_t room = body ? c->put->size - c->got : sizeof(c->in) - 1 - c->used;
	ssize_t n = recv(c->fd, to, room, 0);

	if (n == -1)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	if (body) {
		c->got += (size_t)n;
	} else {
		c->used += (size_t)n;
		c->in[c->used] = '\0';
	}
	return true;
}

/* While an answer is stuck nothing more is read. */
static void
conn_event(struct conn *c)
{
	bool good = unsent(c) ? conn_send(c) : conn_read(c);

	if (good && !unsent(c))
		good = conn_work(c);
	if (good)
		conn_wait(c, unsent(c) ? EPOLLOUT : EPOLLIN);
	else
		conn_close(c);
}

static void
conn_open(int listener)
{
	struct conn *c;
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;

	if (fd == -1)
		return;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		die("memory");
	c->fd = fd;
	c->waits = EPOLLIN;
	ev.data.ptr = c;
	counts[CONNECTIONS]++;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == -1 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
		conn_close(c);
}

static int
listen_on(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    bind(fd, (struct sockaddr *)&a, n) == -1 || listen(fd, 1024) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) == -1)
		die("listen");
	printf("%u\n", (unsigned)ntohs(a.sin_port));
	if (fflush(stdout) != 0)
		die("standard output");
	return fd;
}

static uint16_t
port_number(const char *s)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno != 0 || *s < '0' || *s > '9' || *end != '\0' || v > 65535) {
		errno = EINVAL;
		die(s);
	}
	return (uint16_t)v;
}

int
main(int argc, char **argv)
{
	struct epoll_event ev = { .events = EPOLLIN }, events[EVENTS];
	int listener = listen_on(argc > 1 ? port_number(argv[1]) : 0), n, i;

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || (ep = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) == -1)
		die("epoll");
	for (;;) {
		n = epoll_wait(ep, events, EVENTS, -1);
		if (n == -1 && errno != EINTR)
			die("epoll_wait");
		for (i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				conn_open(listener);
			else
				conn_event(events[i].data.ptr);
		}
	}
}
