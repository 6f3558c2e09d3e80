/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls over libcurl: one handle, its callbacks, and how a call ended. */
#include "net/internal.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

#define HEADERS_OUT_BYTES 65536
#define CONNECT_MS 10000		/* longest wait for a connection */
#define STALL_MS 30000
#define IDLE_MS 2000
#define IDLE_CONNECTIONS 4L

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_rc;

static void
global_init(void)
{
	global_rc = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* libcurl calls this once per line of a head, and for trailers. */
static size_t
on_header(char *p, size_t size, size_t count, void *arg)
{
	size_t all = size * count;

	return mw_net_head_line(arg, p, all) ? all : 0;
}

static size_t
on_write(char *p, size_t size, size_t count, void *arg)
{
	size_t all = size * count;

	return mw_net_data(arg, p, all) ? all : 0;
}

static size_t
on_read(char *p, size_t size, size_t count, void *arg)
{
	struct mw_net *n = arg;
	const struct mw_net_req *req = n->req;
	int64_t left = req->body_size - n->sent;
	size_t want = size * count;
	ssize_t got;

	if ((int64_t)want > left)
		want = (size_t)left;
	if (want == 0)
		return 0;
	if (req->body != NULL) {
		memcpy(p, (const char *)req->body + n->sent, want);
		got = (ssize_t)want;
	} else if (req->body_read != NULL) {
		got = (ssize_t)req->body_read(req->arg, n->sent, p, want);
	} else {
		do {
			got = pread(req->body_fd, p, want, req->body_offset + n->sent);
		} while (got == -1 && errno == EINTR);
	}
	if (got <= 0) {
		n->body_failed = true;
		return CURL_READFUNC_ABORT;
	}
	n->sent += got;
	return (size_t)got;
}

/* libcurl sends a body again when a kept connection turns out to be dead. */
static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct mw_net *n = arg;

	if (origin != SEEK_SET || offset < 0 || offset > n->req->body_size)
		return CURL_SEEKFUNC_FAIL;
	n->sent = offset;
	return CURL_SEEKFUNC_OK;
}

static int
on_progress(void *arg, curl_off_t dtotal, curl_off_t dnow, curl_off_t utotal,
    curl_off_t unow)
{
	struct mw_net *n = arg;
	int64_t now = mw_now();

	(void)dtotal;
	(void)utotal;
	if (dnow + unow != n->last_count) {
		n->last_count = dnow + unow;
		n->last_move = now;
		n->idle = now + IDLE_MS;
	} else if (now - n->last_move >= n->stall) {
		n->stalled = true;
		return 1;
	} else if (n->req->on_idle != NULL && now >= n->idle) {
		n->stopped = !n->req->on_idle(n->req->arg);
		n->idle = mw_now() + IDLE_MS;
	}
	return n->stopped;
}

#define SET(o, v) do { if (rc == CURLE_OK) rc = curl_easy_setopt(c, o, v); } while (0)

CURLcode
mw_net_set_connection(struct mw_net *n, CURL *c)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_ERRORBUFFER, n->text);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_BUFFERSIZE, (long)MW_NET_BUFFER);
	return rc;
}

/* What no request changes. */
static CURLcode
set_constant(struct mw_net *n)
{
	CURL *c = n->curl;
	CURLcode rc = mw_net_set_connection(n, c);

	SET(CURLOPT_MAXCONNECTS, IDLE_CONNECTIONS);
	SET(CURLOPT_USERAGENT, MW_NET_AGENT);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, n);
	SET(CURLOPT_WRITEFUNCTION, on_write);
	SET(CURLOPT_WRITEDATA, n);
	SET(CURLOPT_READFUNCTION, on_read);
	SET(CURLOPT_READDATA, n);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_SEEKDATA, n);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, n);
	SET(CURLOPT_NOPROGRESS, 0L);
	return rc;
}

enum mw_code
mw_net_open(struct mw_net **np, struct mw_err *err)
{
	struct mw_net *n;
	CURLcode rc;

	*np = NULL;
	(void)pthread_once(&global_once, global_init);
	if (global_rc != CURLE_OK)
		return mw_fail(err, MW_INTERNAL_ERROR, "libcurl: %s",
		    curl_easy_strerror(global_rc));
	if ((n = calloc(1, sizeof(*n))) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	mw_buf_init(&n->out, HEADERS_OUT_BYTES);
	memcpy(n->no_expect, "Expect:", 8);
	n->default_ca = curl_version_info(CURLVERSION_NOW)->cainfo;
	if ((n->curl = curl_easy_init()) == NULL) {
		mw_net_close(n);
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	if ((rc = set_constant(n)) != CURLE_OK) {
		mw_net_close(n);
		return mw_fail(err, MW_INTERNAL_ERROR, "libcurl: %s",
		    curl_easy_strerror(rc));
	}
	*np = n;
	return MW_OK;
}

void
mw_net_close(struct mw_net *n)
{
	if (n == NULL)
		return;
	mw_direct_close(n);
	if (n->curl != NULL)
		curl_easy_cleanup(n->curl);
	mw_buf_free(&n->out);
	free(n);
}

/*
 * The request's headers as a list over one buffer, so that no header costs an
 * allocation.  An empty "Expect:" takes libcurl's own header away.
 */
static bool
build_headers(struct mw_net *n, const struct mw_net_req *req, const char *request_id)
{
	struct curl_slist *last = &n->nodes[1];
	size_t at[HEADERS_OUT], i;
	const struct mw_net_header *h;

	if (req->nheaders > HEADERS_OUT)
		return false;
	mw_buf_reset(&n->out);
	for (i = 0; i < req->nheaders; i++) {
		h = &req->headers[i];
		if (!mw_str_header_ok(h->name) || !mw_str_header_ok(h->value))
			return false;
		at[i] = n->out.len;
		mw_buf_adds(&n->out, h->name);
		/* "Name;" is how libcurl wants a header without a value. */
		mw_buf_adds(&n->out, h->value[0] == '\0' ? ";" : ": ");
		mw_buf_adds(&n->out, h->value);
		if (!mw_buf_add(&n->out, "", 1))
			return false;
	}
	(void)snprintf(n->request_id, sizeof(n->request_id), "X-Request-Id: %s", request_id);
	if (!mw_str_header_ok(n->request_id))
		return false;
	n->nodes[0] = (struct curl_slist){ .data = n->no_expect, .next = last };
	*last = (struct curl_slist){ .data = n->request_id };
	for (i = 0; i < req->nheaders; i++) {
		last->next = &n->nodes[i + 2];
		last = last->next;
		*last = (struct curl_slist){ .data = n->out.data + at[i] };
	}
	return true;
}

/* Method and body.  HTTPGET first: it undoes what the last call has set. */
static CURLcode
set_method(struct mw_net *n, const struct mw_net_req *req)
{
	const char *m = req->method;
	bool body = req->body_size > 0 || strcmp(m, "PUT") == 0 ||
	    strcmp(m, "POST") == 0 || strcmp(m, "PATCH") == 0;
	CURL *c = n->curl;
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_HTTPGET, 1L);
	if (strcmp(m, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
		m = NULL;
	} else if (body) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body_size);
	}
	SET(CURLOPT_CUSTOMREQUEST, m);
	return rc;
}

CURLcode
mw_net_set_target(struct mw_net *n, CURL *c, const struct mw_net_req *req, int64_t limit)
{
	bool own_ca = req->ca_file != NULL && req->ca_file[0] != '\0';
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_URL, req->url);
	SET(CURLOPT_CAINFO, own_ca ? req->ca_file : n->default_ca);
	SET(CURLOPT_TIMEOUT_MS, (long)limit);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(limit < CONNECT_MS ? limit : CONNECT_MS));
	return rc;
}

static CURLcode
set_call(struct mw_net *n, const struct mw_net_req *req, int64_t limit)
{
	CURL *c = n->curl;
	CURLcode rc = set_method(n, req);

	SET(CURLOPT_HTTPHEADER, &n->nodes[0]);
	SET(CURLOPT_UNIX_SOCKET_PATH, req->unix_socket);
	SET(CURLOPT_FRESH_CONNECT, req->fresh ? 1L : 0L);
	if (rc == CURLE_OK)
		rc = mw_net_set_target(n, c, req, limit);
	return rc;
}

static bool
nothing_sent(struct mw_net *n)
{
	curl_off_t before = 0;

	return curl_easy_getinfo(n->curl, CURLINFO_PRETRANSFER_TIME_T, &before) ==
	    CURLE_OK && before == 0;
}

static enum mw_net_end
classify(struct mw_net *n, CURLcode rc)
{
	if (n->stopped)
		return MW_NET_STOPPED;
	if (n->too_large)
		return MW_NET_TOO_LARGE;
	if (n->late)
		return MW_NET_TIMEOUT;
	if (n->body_failed)
		return MW_NET_BAD;
	if (rc == CURLE_OK)
		return n->head_done ? MW_NET_DONE : MW_NET_CUT;
	return mw_net_end_of(rc, nothing_sent(n));
}

static const char *
end_text(struct mw_net *n, CURLcode rc)
{
	if (rc == CURLE_OK)
		return n->head_done ? "" : "the answer ended in its head";
	if (n->too_large)
		return "the answer is larger than allowed";
	if (n->body_failed)
		return "the body to send is shorter than announced";
	if (n->late)
		return MW_NET_LATE;
	if (n->stalled)
		return "no byte came or went for too long";
	return n->text[0] != '\0' ? n->text : curl_easy_strerror(rc);
}

static void
call_begin(struct mw_net *n, const struct mw_net_req *req, struct mw_net_res *res)
{
	memset(res, 0, sizeof(*res));
	n->req = req;
	n->res = res;
	n->text[0] = '\0';
	n->in_len = n->nindex = 0;
	n->sent = n->last_count = 0;
	n->status = 0;
	n->head_done = n->body_failed = false;
	n->stopped = n->too_large = n->stalled = n->late = false;
	n->stall = req->stall > 0 ? req->stall : STALL_MS;
	n->last_move = mw_now();
	n->idle = n->last_move + IDLE_MS;
}

static void
call_end(struct mw_net *n, enum mw_net_end end, const char *text)
{
	n->res->end = end;
	(void)snprintf(n->res->text, sizeof(n->res->text), "%.*s",
	    (int)sizeof(n->res->text) - 1, text);
	n->req = NULL;
	n->res = NULL;
}

void
mw_net_call(struct mw_net *n, struct mw_ctx *ctx, const struct mw_net_req *req,
    struct mw_net_res *res)
{
	int64_t limit = mw_left(ctx->deadline);
	enum mw_net_end end;
	const char *text;
	CURLcode rc;

	call_begin(n, req, res);
	if (req->timeout > 0 && req->timeout < limit)
		limit = req->timeout;
	if (limit > INT_MAX)
		limit = INT_MAX;
	if (limit <= 0) {
		call_end(n, MW_NET_NO_CONNECT, "no time left for the call");
		return;
	}
	n->until = n->last_move + limit;
	if (mw_direct_can(req)) {
		end = mw_direct_call(n, req, ctx->request_id, &text);
		call_end(n, end, n->stalled ? end_text(n, CURLE_OPERATION_TIMEDOUT) : text);
		return;
	}
	if ((req->body_size > 0 && req->body == NULL && req->body_read == NULL &&
	    req->body_fd < 0) ||
	    req->body_size < 0 || !build_headers(n, req, ctx->request_id)) {
		call_end(n, MW_NET_BAD, "a request that cannot be sent");
		return;
	}
	if ((rc = set_call(n, req, limit)) != CURLE_OK) {
		call_end(n, MW_NET_BAD, curl_easy_strerror(rc));
		return;
	}
	rc = curl_easy_perform(n->curl);
	call_end(n, classify(n, rc), end_text(n, rc));
}

const char *
mw_net_header(struct mw_net *n, const char *name)
{
	size_t i;

	for (i = 0; i < n->nindex; i++) {
		if (strcasecmp(n->in + n->index[i].name, name) == 0)
			return n->in + n->index[i].value;
	}
	return NULL;
}
