/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP to upstreams: what is sent, what comes back, and every way a call can end. */
#include <sys/mman.h>

#include "base/clock.h"
#include "canned.h"
#include "net/net.h"

#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct mw_net *net;
static struct mw_ctx ctx;
static struct canned srv;
static char url[256];
static bool direct;		/* without libcurl's HTTP */

struct answer {
	struct mw_buf body;
	int heads, status;
	bool stop_head, stop_data, slow;
};

static bool
on_head(void *arg, int status)
{
	struct answer *a = arg;

	a->heads++;
	a->status = status;
	return !a->stop_head;
}

static bool
on_data(void *arg, const void *p, size_t n)
{
	struct answer *a = arg;

	if (a->slow)
		mw_sleep_ms(50);
	return mw_buf_add(&a->body, p, n) && !a->stop_data;
}

static struct mw_net_req
request(const char *method, const char *path, struct answer *a)
{
	struct mw_net_req q = { .method = method, .url = url, .body_fd = -1,
	    .timeout = 20000, .max_response = 1 << 20, .direct = direct, .on_head = on_head,
	    .on_data = on_data, .arg = a };

	memset(a, 0, sizeof(*a));
	mw_buf_init(&a->body, 1 << 22);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", srv.port, path);
	ctx.deadline = mw_now() + 60000;
	return q;
}

#define START(...) do { \
	static const struct canned_step steps_[] = { __VA_ARGS__ }; \
	canned_start(&srv, steps_, sizeof(steps_) / sizeof(steps_[0])); \
} while (0)

static const char *
end_name(enum mw_net_end e)
{
	static const char *const names[] = { "done", "stopped", "no connect", "cut",
	    "timeout", "too large", "bad" };

	return names[e];
}

static void
ended(const struct mw_net_res *res, enum mw_net_end want, const char *what)
{
	is_str(end_name(res->end), end_name(want), what);
	if (res->end != want)
		printf("# status %d, %s\n", res->status, res->text);
}

/* One GET against one step. */
static void
one(const char *answer, enum canned_end how, enum mw_net_end want, int status,
    const char *body, const char *what)
{
	struct canned_step step = { answer, how };
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;

	canned_start(&srv, &step, 1);
	q = request("GET", "/x", &a);
	q.stall = 300;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, want, what);
	is_int(res.status, status, what);
	if (body != NULL)
		is_str(a.body.data == NULL ? "" : a.body.data, body, what);
	ok((want == MW_NET_DONE) == (res.text[0] == '\0'), "%s: only a failure has a text", what);
	canned_stop(&srv);
	canned_done(&srv);
	mw_buf_free(&a.body);
}

static void
test_answers(void)
{
	static char many[20000], big[40000];
	size_t i, n;

	one("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", CANNED_KEEP, MW_NET_DONE,
	    200, "hello", "a body with a length");
	one("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", CANNED_KEEP, MW_NET_DONE,
	    404, "", "a failure is an answer");
	one("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
	    CANNED_KEEP, MW_NET_DONE, 200, "abcde", "chunks");
	one("HTTP/1.1 200 OK\r\n\r\nuntil the end", CANNED_CLOSE, MW_NET_DONE, 200,
	    "until the end", "a body that ends with the connection");
	one("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", CANNED_KEEP, MW_NET_DONE,
	    304, "", "304 has no body");
	one("HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
	    CANNED_KEEP, MW_NET_DONE, 200, "x", "100 is not the answer");
	one("HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", CANNED_KEEP,
	    MW_NET_DONE, 302, "", "a redirect is not followed");
	one("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", CANNED_CLOSE, MW_NET_CUT,
	    200, "hel", "cut in the body");
	one("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", CANNED_RESET, MW_NET_CUT,
	    200, NULL, "reset before the body");
	one("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", CANNED_CLOSE,
	    MW_NET_CUT, 200, "abc", "cut between chunks");
	one("HTTP/1.1 200 OK\r\nContent-Le", CANNED_CLOSE, MW_NET_CUT, 0, "", "cut in the head");
	one(NULL, CANNED_CLOSE, MW_NET_CUT, 0, "", "nothing but an end");
	one(NULL, CANNED_RESET, MW_NET_CUT, 0, "", "nothing but a reset");
	one("SSH-2.0-OpenSSH_9.2\r\n", CANNED_CLOSE, MW_NET_BAD, 0, NULL, "not HTTP");
	one(NULL, CANNED_STALL, MW_NET_TIMEOUT, 0, "", "no answer");
	one("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", CANNED_STALL, MW_NET_TIMEOUT,
	    200, "hel", "a stall in the body");

	n = (size_t)snprintf(many, sizeof(many), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
	for (i = 0; i < 64; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "X-%zu: y\r\n", i);
	(void)snprintf(many + n, sizeof(many) - n, "\r\n");
	one(many, CANNED_KEEP, MW_NET_TOO_LARGE, 0, "", "65 headers");
	n = (size_t)snprintf(big, sizeof(big), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Big: ");
	memset(big + n, 'x', 16384);
	(void)snprintf(big + n + 16384, sizeof(big) - n - 16384, "\r\n\r\n");
	one(big, CANNED_KEEP, MW_NET_TOO_LARGE, 0, "", "a header of 16 KiB");
}

static void
test_headers(void)
{
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;

	START({ "HTTP/1.1 200 OK\r\nETag:   \"abc\" \r\nX-Empty:\r\nContent-Length: 2\r\n\r\nok",
	    CANNED_KEEP }, { OK2, CANNED_KEEP });
	q = request("GET", "/", &a);
	mw_net_call(net, &ctx, &q, &res);
	is_str(mw_net_header(net, "etag"), "\"abc\"", "a header, any case, trimmed");
	is_str(mw_net_header(net, "X-Empty"), "", "an empty one");
	is_str(mw_net_header(net, "X-None"), NULL, "one that is not there");
	is_int(res.received, 2, "bytes received");
	mw_buf_free(&a.body);
	q = request("GET", "/", &a);
	mw_net_call(net, &ctx, &q, &res);
	is_str(mw_net_header(net, "ETag"), NULL, "headers of the last answer are gone");
	is_int(a.heads, 1, "one head");
	mw_buf_free(&a.body);
	canned_stop(&srv);
	is_int((int64_t)srv.nconnections, 1, "one connection for both");
	canned_done(&srv);
	q = request("GET", "/", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_NO_CONNECT, "no answer at all");
	is_str(mw_net_header(net, "Content-Length"), NULL, "has no header of the one before");
}

static void
test_sent(void)
{
	static const struct mw_net_header headers[] = { { "X-One", "1" }, { "X-Two", "a b" },
	    { "X-None", "" } };
	static char big[3 << 20];
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;
	int fd = memfd_create("body", MFD_CLOEXEC);

	if (fd == -1 || write(fd, "0123456789", 10) != 10)
		abort();
	START({ OK2, CANNED_KEEP }, { OK2, CANNED_KEEP }, { OK2, CANNED_KEEP },
	    { OK2, CANNED_KEEP }, { OK2, CANNED_KEEP },
	    { "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", CANNED_KEEP }, { OK2, CANNED_KEEP });
	q = request("GET", "/a/../b//c/./d?x=%2B&y=z", &a);
	q.headers = headers;
	q.nheaders = 3;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "GET with headers");
	mw_buf_free(&a.body);

	q = request("PUT", "/fd", &a);
	q.body_fd = fd;
	q.body_offset = 3;
	q.body_size = 5;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "PUT from a descriptor");
	mw_buf_free(&a.body);

	memset(big, 'b', sizeof(big));
	q = request("PUT", "/big", &a);
	q.body = big;
	q.body_size = sizeof(big);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "PUT of 3 MiB from memory");
	ok(canned_saw(&srv, srv.nrequests - 1, "PUT /big ") &&
	    !canned_saw(&srv, srv.nrequests - 1, "\r\nExpect:"), "without a wait for 100 Continue");
	mw_buf_free(&a.body);

	q = request("POST", "/empty", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "POST of nothing");
	mw_buf_free(&a.body);
	q = request("DELETE", "/gone", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "DELETE");
	mw_buf_free(&a.body);
	q = request("HEAD", "/head", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "HEAD does not wait for a body");
	is_str(mw_net_header(net, "Content-Length"), "99", "but knows its length");
	mw_buf_free(&a.body);
	q = request("GET", "/after", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "GET after them");
	is_str(a.body.data, "ok", "with its body");
	mw_buf_free(&a.body);
	canned_stop(&srv);

	is_int((int64_t)srv.nconnections, 1, "one connection for all");
	ok(canned_saw(&srv, 0, "GET /a/../b//c/./d?x=%2B&y=z HTTP/1.1\r\n"), "the path as given");
	ok(canned_saw(&srv, 0, "X-One: 1\r\nX-Two: a b\r\nX-None:\r\n"), "the headers as given");
	ok(!canned_saw(&srv, 0, "Content-Length"), "GET has no body");
	ok(canned_saw(&srv, 1, "PUT /fd HTTP/1.1\r\n") && canned_saw(&srv, 1, "\r\n\r\n34567") &&
	    canned_saw(&srv, 1, "Content-Length: 5\r\n"), "the asked part of the file");
	ok(canned_saw(&srv, 2, "Content-Length: 3145728\r\n") && !canned_saw(&srv, 2, "Expect"),
	    "no Expect header");
	ok(canned_saw(&srv, 3, "POST /empty HTTP/1.1\r\n") &&
	    canned_saw(&srv, 3, "Content-Length: 0\r\n"), "POST of nothing says so");
	ok(canned_saw(&srv, 4, "DELETE /gone HTTP/1.1\r\n"), "DELETE");
	ok(canned_saw(&srv, 5, "HEAD /head HTTP/1.1\r\n"), "HEAD");
	ok(canned_saw(&srv, 6, "GET /after HTTP/1.1\r\n") && !canned_saw(&srv, 6, "Content-Length") &&
	    !canned_saw(&srv, 6, "X-One"), "nothing of an earlier call is left");
	canned_done(&srv);
	(void)close(fd);
}

/* A kept connection that died: nothing was answered, so libcurl sends again. */
static void
test_dead_connection(void)
{
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;
	int fd = memfd_create("body", MFD_CLOEXEC);

	if (fd == -1 || write(fd, "0123456789", 10) != 10)
		abort();
	START({ OK2, CANNED_KEEP }, { NULL, CANNED_CLOSE }, { OK2, CANNED_KEEP });
	q = request("GET", "/", &a);
	mw_net_call(net, &ctx, &q, &res);
	mw_buf_free(&a.body);
	q = request("PUT", "/", &a);
	q.body_fd = fd;
	q.body_size = 10;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "PUT over a connection that dies");
	mw_buf_free(&a.body);
	canned_stop(&srv);
	is_int((int64_t)srv.nrequests, 3, "sent twice");
	ok(canned_saw(&srv, 2, "\r\n\r\n0123456789"), "with the whole body");
	canned_done(&srv);
	(void)close(fd);
}

/* What a direct call sends, and how it deals with a kept connection. */
static void
test_direct(void)
{
	static const struct mw_net_header headers[] = { { "Host", "store" }, { "X-Two", "a b" } };
	static const struct { const char *method, *answer; enum canned_end how; size_t connections; } rows[] = {
		{ "GET", OK2, CANNED_KEEP, 1 },
		{ "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", CANNED_KEEP, 1 },
		{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nok", CANNED_KEEP, 1 },
		{ "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", CANNED_KEEP, 2 },
		{ "GET", "HTTP/1.1 204 No Content\r\n\r\n", CANNED_KEEP, 3 },
		{ "GET", NULL, CANNED_CLOSE, 3 },	/* dead: sent again */
		{ "GET", OK2, CANNED_KEEP, 4 },
		{ "GET", NULL, CANNED_RESET, 4 },
		{ "GET", OK2 "more", CANNED_KEEP, 5 },	/* more than an answer */
		{ "GET", OK2, CANNED_KEEP, 6 },
	};
	struct canned_step steps[sizeof(rows) / sizeof(rows[0])];
	size_t i, n = sizeof(rows) / sizeof(rows[0]);
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;

	for (i = 0; i < n; i++)
		steps[i] = (struct canned_step){ rows[i].answer, rows[i].how };
	canned_start(&srv, steps, n);
	for (i = 0; i < n; i++) {
		if (rows[i].answer == NULL)
			i++;		/* this call sees that one's end, and the next answer */
		q = request(rows[i].method, "/a/../b//c?x=%2B", &a);
		q.headers = headers;
		q.nheaders = 2;
		mw_net_call(net, &ctx, &q, &res);
		ended(&res, MW_NET_DONE, rows[i].answer);
		is_int((int64_t)srv.nconnections, (int64_t)rows[i].connections, "connections so far");
		mw_buf_free(&a.body);
	}
	canned_stop(&srv);
	is_int((int64_t)srv.nrequests, (int64_t)n, "each step had its request");
	ok(canned_saw(&srv, 0, "GET /a/../b//c?x=%2B HTTP/1.1\r\n") &&
	    canned_saw(&srv, 0, "\r\nHost: store\r\nX-Two: a b\r\n") &&
	    canned_saw(&srv, 0, "\r\nX-Request-Id: test\r\n"), "the request as given");
	canned_done(&srv);
}

/* A connection that dies once may be an old one; a new one that dies is a failure. */
static void
test_direct_dead(void)
{
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;

	START({ OK2, CANNED_KEEP }, { NULL, CANNED_CLOSE }, { NULL, CANNED_CLOSE }, { OK2, CANNED_KEEP });
	q = request("GET", "/", &a);
	mw_net_call(net, &ctx, &q, &res);
	mw_buf_free(&a.body);
	q = request("GET", "/", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_CUT, "dead twice");
	is_int(a.heads, 0, "without an answer");
	canned_stop(&srv);
	is_int((int64_t)srv.nrequests, 3, "sent twice");
	canned_done(&srv);
}

/* What comes after an answer, even as another one, is nobody's; and no URL splits a request. */
static void
test_direct_desync(void)
{
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;

	START({ "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", CANNED_LATE },
	    { OK2, CANNED_KEEP }, { "HTTP/1.1 503 No\r\nHTTP/1.1 404 x: y\r\n\r\n", CANNED_CLOSE });
	q = request("HEAD", "/", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "HEAD");
	atomic_store(&srv.late, 1);
	while (atomic_load(&srv.late) != 2)
		(void)sched_yield();
	q = request("GET", "/", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "GET after it");
	is_str(a.body.data, "ok", "has its own answer");
	mw_buf_free(&a.body);
	q = request("GET", "/x\r\nX-More:1", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_BAD, "a URL with a line end");
	q = request("GET", "/", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_BAD, "two status lines in one head");
	mw_buf_free(&a.body);
	canned_stop(&srv);
	is_int((int64_t)srv.nrequests, 3, "nothing else was sent");
	canned_done(&srv);
}

static void
test_stops(void)
{
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;

	START({ OK2, CANNED_KEEP }, { OK2, CANNED_KEEP }, { OK2, CANNED_KEEP },
	    { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n123456", CANNED_KEEP },
	    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", CANNED_KEEP });
	q = request("GET", "/", &a);
	a.stop_head = true;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_STOPPED, "stopped at the head");
	is_int(res.status, 200, "its status is known");
	mw_buf_free(&a.body);
	q = request("GET", "/", &a);
	a.stop_data = true;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_STOPPED, "stopped in the body");
	mw_buf_free(&a.body);
	q = request("GET", "/", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "the next call");
	mw_buf_free(&a.body);
	q = request("GET", "/", &a);
	q.max_response = 5;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_TOO_LARGE, "one byte too many");
	mw_buf_free(&a.body);
	q = request("GET", "/", &a);
	q.max_response = 5;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "as many as allowed");
	mw_buf_free(&a.body);
	canned_stop(&srv);
	canned_done(&srv);
}

/* Nothing of these may reach the server. */
static void
test_not_sent(void)
{
	static const struct mw_net_header split = { "X", "a\r\nY: b" };
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;

	START({ OK2, CANNED_KEEP });
	q = request("GET", "/", &a);
	q.headers = &split;
	q.nheaders = 1;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_BAD, "a header with a line end");
	q = request("PUT", "/", &a);
	q.body_size = 5;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_BAD, "a size without a body");
	q = request("GET", "/", &a);
	ctx.deadline = mw_now();
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_NO_CONNECT, "no time left");
	q = request("GET", "/", &a);
	q.url = "file:///etc/passwd";
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_BAD, "another scheme");
	is_int(res.received, 0, "and nothing was read");
	q.url = "http://127.0.0.1:1/";
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_NO_CONNECT, "nobody listens");
	q.url = "http://name.invalid/";
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_NO_CONNECT, "a name that is none");
	ok(res.text[0] != '\0', "with a text: %s", res.text);
	canned_stop(&srv);
	is_int((int64_t)srv.nrequests, 0, "no request arrived");
	canned_done(&srv);
}

static void
test_short_body(void)
{
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;
	int fd = memfd_create("body", MFD_CLOEXEC);

	if (fd == -1 || write(fd, "0123456789", 10) != 10)
		abort();
	START({ OK2, CANNED_KEEP });
	q = request("PUT", "/", &a);
	q.body_fd = fd;
	q.body_size = 20;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_BAD, "a file shorter than announced");
	canned_stop(&srv);
	is_int((int64_t)srv.nrequests, 0, "never a whole request");
	canned_done(&srv);
	(void)close(fd);
}

static void
test_deadline(void)
{
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;
	int64_t start = mw_now();

	START({ NULL, CANNED_STALL }, { NULL, CANNED_STALL });
	q = request("GET", "/", &a);
	ctx.deadline = mw_now() + 200;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_TIMEOUT, "the deadline");
	q = request("GET", "/", &a);
	q.timeout = 200;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_TIMEOUT, "the call's own limit");
	ok(mw_now() - start < 20000, "in time");
	canned_stop(&srv);
	canned_done(&srv);
}

/* There are always bytes to read, and it takes long to read them all. */
static void
test_deadline_in_a_flood(void)
{
	static char big[(1 << 20) + 100];
	struct canned_step step = { big, CANNED_KEEP };
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;
	int n = snprintf(big, sizeof(big), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 1 << 20);

	memset(big + n, 'x', 1 << 20);
	canned_start(&srv, &step, 1);
	q = request("GET", "/", &a);
	q.timeout = 200;
	a.slow = true;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_TIMEOUT, "the limit in a flood");
	ok(res.received > 0 && res.received < 1 << 20, "before all of it came");
	mw_buf_free(&a.body);
	canned_stop(&srv);
	canned_done(&srv);
}

static void
test_unix_socket(void)
{
	static const struct canned_step step = { OK2, CANNED_KEEP };
	char dir[] = "/tmp/mw-test-net.XXXXXX", path[64];
	struct mw_net_res res;
	struct mw_net_req q;
	struct answer a;

	if (mkdtemp(dir) == NULL)
		abort();
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	canned_start_at(&srv, &step, 1, path);
	q = request("GET", "/", &a);
	q.url = "http://engine/v1/info";
	q.unix_socket = path;
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "over a Unix socket");
	mw_buf_free(&a.body);
	canned_stop(&srv);
	ok(canned_saw(&srv, 0, "GET /v1/info HTTP/1.1\r\nHost: engine\r\n"), "the request");
	canned_done(&srv);
	ok(unlink(path) == 0 && rmdir(dir) == 0, "cleaned up");

	START({ OK2, CANNED_KEEP });
	q = request("GET", "/tcp", &a);
	mw_net_call(net, &ctx, &q, &res);
	ended(&res, MW_NET_DONE, "and over TCP again");
	mw_buf_free(&a.body);
	canned_stop(&srv);
	canned_done(&srv);
}

int
main(void)
{
	struct mw_err err = { 0 };

	/* What a web server may have in its environment: not for us. */
	if (setenv("http_proxy", "http://127.0.0.1:1", 1) == -1 ||
	    setenv("ALL_PROXY", "http://127.0.0.1:1", 1) == -1)
		return 1;
	ctx.arena = mw_arena_open(1 << 20);
	ctx.request_id = "test";
	if (ctx.arena == NULL || mw_net_open(&net, &err) != MW_OK)
		return 1;
	test_answers();
	test_headers();
	test_sent();
	test_dead_connection();
	test_stops();
	test_not_sent();
	test_short_body();
	test_deadline();
	test_deadline_in_a_flood();
	test_unix_socket();
	direct = true;
	test_answers();
	test_headers();
	test_direct();
	test_direct_dead();
	test_direct_desync();
	test_stops();
	test_not_sent();
	test_deadline();
	test_deadline_in_a_flood();
	mw_net_close(net);
	mw_arena_close(ctx.arena);
	return done();
}
