/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hot path: reads of the store.  libcurl makes the connection, TLS included,
 * and carries the bytes; the request and the reading of the answer are ours.
 * curl_easy_perform takes 111,000 instructions for a small object, this 16,000.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "net/answer.h"
#include "net/internal.h"

#define ORIGIN_MAX 300
#define IDLE_MAX 100000	/* ms; who was silent for so long may have gone without a word */

struct mw_direct {
	CURL *curl;			/* its connection, NULL = none */
	curl_socket_t fd;
	char origin[ORIGIN_MAX];	/* "https://host:port" of the connection */
	int64_t used;			/* monotonic ms of the last call */
	struct mw_answer answer;
	char in[MW_NET_BUFFER];
};

#define TOO_LARGE "the answer is larger than allowed"

/* One call in hand. */
struct call {
	struct mw_net *net;
	struct mw_direct *d;
	const char *text;		/* why it failed */
};

static bool
on_line(void *arg, const char *p, size_t n)
{
	return mw_net_head_line(arg, p, n);
}

static bool
on_data(void *arg, const char *p, size_t n)
{
	return mw_net_data(arg, p, n);
}

static void
hang_up(struct mw_direct *d)
{
	if (d->curl != NULL)
		curl_easy_cleanup(d->curl);
	d->curl = NULL;
}

void
mw_direct_close(struct mw_net *n)
{
	if (n->direct == NULL)
		return;
	hang_up(n->direct);
	free(n->direct);
	n->direct = NULL;
}

/* ---- the connection ---- */

static CURLcode
connect_to(struct call *c, const struct mw_net_req *req)
{
	struct mw_direct *d = c->d;
	int64_t left = mw_left(c->net->until);
	CURLcode rc;

	if (left == 0)		/* to libcurl that is no limit */
		return CURLE_OPERATION_TIMEDOUT;
	if ((d->curl = curl_easy_init()) == NULL)
		return CURLE_OUT_OF_MEMORY;
	if ((rc = mw_net_set_connection(c->net, d->curl)) == CURLE_OK &&
	    (rc = mw_net_set_target(c->net, d->curl, req, left)) == CURLE_OK &&
	    (rc = curl_easy_setopt(d->curl, CURLOPT_CONNECT_ONLY, 1L)) == CURLE_OK &&
	    (rc = curl_easy_perform(d->curl)) == CURLE_OK)
		rc = curl_easy_getinfo(d->curl, CURLINFO_ACTIVESOCKET, &d->fd);
	return rc;
}

/* Wait until bytes can come or go. */
static enum mw_net_end
wait_for(struct call *c, short events)
{
	struct mw_net *n = c->net;
	struct pollfd p = { .fd = c->d->fd, .events = events };
	int64_t now = mw_now(), stall = n->last_move + n->stall;
	int64_t until = stall < n->until ? stall : n->until;
	int rc = until > now ? poll(&p, 1, (int)(until - now)) : 0;

	if (rc > 0 || (rc == -1 && errno == EINTR))
		return MW_NET_DONE;
	n->stalled = rc == 0 && stall < n->until;
	c->text = rc == -1 ? "poll failed" : MW_NET_LATE;
	return rc == -1 ? MW_NET_CUT : MW_NET_TIMEOUT;
}

/* ---- one exchange ---- */

static enum mw_net_end
send_request(struct call *c)
{
	const struct mw_buf *out = &c->net->out;
	enum mw_net_end end = MW_NET_DONE;
	size_t at = 0, n;
	CURLcode rc;

	while (at < out->len && end == MW_NET_DONE) {
		rc = curl_easy_send(c->d->curl, out->data + at, out->len - at, &n);
		if (rc == CURLE_OK) {
			at += n;
		} else if (rc == CURLE_AGAIN) {
			end = wait_for(c, POLLOUT);
		} else {
			c->text = "the connection ended before the request was sent";
			return MW_NET_CUT;
		}
	}
	return end;
}

static enum mw_net_end
answer_end(struct call *c)
{
	const struct mw_net *n = c->net;

	switch (c->d->answer.state) {
	case MW_ANSWER_DONE:
		/* Two readers of one head: they must have read the same. */
		if (n->head_done && n->status == c->d->answer.status)
			return MW_NET_DONE;
		break;
	case MW_ANSWER_STOPPED:
		c->text = n->late ? MW_NET_LATE : n->too_large ? TOO_LARGE : "";
		return n->late ? MW_NET_TIMEOUT : n->too_large ? MW_NET_TOO_LARGE : MW_NET_STOPPED;
	case MW_ANSWER_TOO_LONG:
		c->text = TOO_LARGE;
		return MW_NET_TOO_LARGE;
	default:
		break;
	}
	c->text = "the answer is not HTTP/1";
	return MW_NET_BAD;
}

static enum mw_net_end
receive(struct call *c)
{
	struct mw_direct *d = c->d;
	enum mw_net_end end = wait_for(c, POLLIN);
	size_t n;
	CURLcode rc;

	while (end == MW_NET_DONE && !mw_answer_over(&d->answer)) {
		rc = curl_easy_recv(d->curl, d->in, sizeof(d->in), &n);
		if (rc == CURLE_AGAIN) {
			end = wait_for(c, POLLIN);
		} else if (rc != CURLE_OK || n == 0) {
			if (rc != CURLE_OK || !mw_answer_eof(&d->answer)) {
				c->text = "the connection ended in the answer";
				return MW_NET_CUT;
			}
		} else if (mw_answer_feed(&d->answer, d->in, n) < n) {
			d->answer.keep = false;	/* more than an answer */
		}
	}
	return end == MW_NET_DONE ? answer_end(c) : end;
}

/* Did a kept connection turn out to be dead?  Then nothing of a final answer has come. */
static bool
was_dead(const struct call *c, enum mw_net_end end)
{
	return end == MW_NET_CUT && c->d->answer.state == MW_ANSWER_HEAD &&
	    c->d->answer.status == 0 && c->d->answer.nkept == 0;
}

static enum mw_net_end
exchange(struct call *c, bool head_only)
{
	enum mw_net_end end;

	mw_answer_begin(&c->d->answer, head_only);
	if ((end = send_request(c)) == MW_NET_DONE)
		end = receive(c);
	return end;
}

/* ---- the whole ---- */

/* Request line and headers (RFC 9112 3); Host is the first of those that are given. */
static bool
build(struct mw_net *n, const struct mw_net_req *req, const char *path, const char *request_id)
{
	const struct mw_net_header *h;
	struct mw_buf *b = &n->out;
	size_t i;

	/* What libcurl would look at; on a kept connection it does not see the URL. */
	if (!mw_str_header_ok(path) || strpbrk(path, " \t#") != NULL)
		return false;
	mw_buf_reset(b);
	mw_buf_cat(b, req->method, " ", path, " HTTP/1.1\r\n", (char *)NULL);
	for (i = 0; i < req->nheaders; i++) {
		h = &req->headers[i];
		if (!mw_str_header_ok(h->name) || !mw_str_header_ok(h->value))
			return false;
		mw_buf_cat(b, h->name, ": ", h->value, "\r\n", (char *)NULL);
	}
	return mw_str_header_ok(request_id) && mw_buf_cat(b, "User-Agent: " MW_NET_AGENT
	    "\r\nX-Request-Id: ", request_id, "\r\n\r\n", (char *)NULL);
}

static struct mw_direct *
direct_of(struct mw_net *n)
{
	if (n->direct == NULL && (n->direct = calloc(1, sizeof(*n->direct))) != NULL) {
		n->direct->answer.line = on_line;
		n->direct->answer.data = on_data;
		n->direct->answer.arg = n;
	}
	return n->direct;
}

/*
 * Can the connection of the last call serve this one?  It says nothing while nobody has
 * asked: an end, and bytes that came after an answer, or in TLS with it, are not for us.
 */
static bool
usable(struct mw_direct *d, const char *origin, size_t norigin)
{
	size_t n;

	return d->curl != NULL && mw_now() - d->used < IDLE_MAX && strlen(d->origin) == norigin &&
	    memcmp(d->origin, origin, norigin) == 0 &&
	    curl_easy_recv(d->curl, d->in, 1, &n) == CURLE_AGAIN;
}

/* Is a connection to there at hand, or can one be made?  *kept: it has served before. */
static enum mw_net_end
connected(struct call *c, const struct mw_net_req *req, size_t norigin, bool *kept)
{
	struct mw_direct *d = c->d;
	CURLcode rc;

	if ((*kept = usable(d, req->url, norigin)))
		return MW_NET_DONE;
	hang_up(d);
	if ((rc = connect_to(c, req)) != CURLE_OK) {
		hang_up(d);
		c->text = c->net->text[0] != '\0' ? c->net->text : curl_easy_strerror(rc);
		return mw_net_end_of(rc, true);
	}
	memcpy(d->origin, req->url, norigin);
	d->origin[norigin] = '\0';
	c->net->last_move = mw_now();
	return MW_NET_DONE;
}

static size_t
origin_length(const char *url)
{
	const char *host = strstr(url, "://");

	return host == NULL ? 0 : (size_t)(host + 3 - url) + strcspn(host + 3, "/");
}

bool
mw_direct_can(const struct mw_net_req *req)
{
	size_t n = origin_length(req->url);

	return req->direct && (strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0) &&
	    req->body_size == 0 && !req->fresh && req->unix_socket == NULL && req->on_idle == NULL &&
	    n > 0 && n < ORIGIN_MAX && req->url[n] == '/';
}

enum mw_net_end
mw_direct_call(struct mw_net *n, const struct mw_net_req *req, const char *request_id,
    const char **text)
{
	struct call c = { .net = n, .d = direct_of(n), .text = "" };
	size_t norigin = origin_length(req->url);
	enum mw_net_end end;
	bool kept;

	*text = "a request that cannot be sent";
	if (c.d == NULL || !build(n, req, req->url + norigin, request_id))
		return MW_NET_BAD;
	do {
		if ((end = connected(&c, req, norigin, &kept)) != MW_NET_DONE)
			break;
		end = exchange(&c, strcmp(req->method, "HEAD") == 0);
		if (end != MW_NET_DONE || !c.d->answer.keep)
			hang_up(c.d);
		c.d->used = mw_now();
	} while (kept && was_dead(&c, end));
	*text = end == MW_NET_DONE ? "" : c.text;
	return end;
}
