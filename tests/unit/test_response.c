/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/json.h"
#include "http_fixture.h"

#include "base/log.h"
#include "base/utf8.h"

/* What the handler is to do in the next call. */
static enum mw_code (*step)(struct mw_req *req);
static struct {
	int ended, status;
	enum mw_code code;
	int64_t sent;
} end;
static enum mw_code fail_with;

static enum mw_code
handle(struct mw_req *req)
{
	return step(req);
}

static void
at_end(struct mw_req *req)
{
	end.ended++;
	end.status = req->status;
	end.code = req->code;
	end.sent = req->sent;
}

static const struct mw_route routes[] = {
	{ "/u/{user}/{path}", MW_GET | MW_HEAD, 0, handle },
	{ NULL, 0, 0, NULL }
};

static const struct mw_http http = {
	.name = "test", .routes = routes, .authorised = right_secret, .end = at_end
};

static int
run(struct call *c, const char *method, enum mw_code (*fn)(struct mw_req *))
{
	step = fn;
	memset(&end, 0, sizeof(end));
	return call(c, &http, method, "/u/al/a/b");
}

static enum mw_code
hello(struct mw_req *req)
{
	struct mw_buf b;

	mw_res_open(&b);
	(void)mw_json_add(&b, "a", "x/\xc3\xa4\"\n");
	return mw_res_object(req, 202, &b);
}

static void
test_json(void)
{
	static const char begins[] = "{\"a\":\"x/\xc3\xa4\\\"\\n\",\"timestamp\":\"20";
	const size_t want = sizeof(begins) - 1 + strlen("26-01-02T03:04:05.678Z\"}\n");
	struct call c;
	char n[20];

	snprintf(n, sizeof(n), "%zu", want);
	is_int(run(&c, "GET", hello), 202, "status");
	ok(strncmp(mw_mem_body(&c.m), begins, sizeof(begins) - 1) == 0 &&
	    strlen(mw_mem_body(&c.m)) == want, "body");
	is_str(header(&c, "Status"), "202 Accepted", "reason");
	is_str(header(&c, "Content-Type"), "application/json", "type");
	is_str(header(&c, "Content-Length"), n, "length");
	is_str(header(&c, "Cache-Control"), "no-store", "cache");
	is_str(header(&c, "X-Content-Type-Options"), "nosniff", "nosniff");
	ok(strlen(header(&c, "X-Request-Id")) == 32, "request id");
	is_str(header(&c, "X-Attempts"), "(none)", "no attempts when nothing was asked");
	is_str(header(&c, "Retry-After"), "(none)", "no Retry-After");
	ok(end.ended == 1 && end.status == 202 && end.code == MW_OK &&
	    end.sent == (int64_t)want, "the end hook sees it");
	call_free(&c);
	is_int(run(&c, "HEAD", hello), 202, "HEAD: status");
	is_str(mw_mem_body(&c.m), "", "HEAD: no body");
	is_str(header(&c, "Content-Length"), n, "HEAD: the length of what GET sends");
	ok(!c.m.was_cut, "HEAD is whole");
	call_free(&c);
}

static enum mw_code
fail(struct mw_req *req)
{
	(void)req;
	return fail_with;
}

/* Every row of the contract's table. */
static void
test_every_code(void)
{
	const struct mw_code_info *info;
	struct call c;
	bool wait;
	int i, status;

	for (i = MW_OK + 1; i < MW_CLIENT_GONE; i++) {
		fail_with = (enum mw_code)i;
		info = mw_code_info(fail_with);
		wait = info->status == 503 || info->status == 429;
		status = run(&c, "GET", fail);
		ok(status == info->status && strcmp(member(&c, "code"), info->name) == 0,
		    "%s is %d", info->name, info->status);
		ok(strcmp(member(&c, "errorType"), info->type) == 0 &&
		    strcmp(member(&c, "retryable"), info->retryable ? "true" : "false") == 0 &&
		    strcmp(member(&c, "attempts"), "0") == 0 &&
		    strcmp(member(&c, "error"), info->name) == 0 &&
		    strcmp(member(&c, "userId"), "al") == 0 &&
		    strcmp(member(&c, "path"), "/a/b") == 0 &&
		    strcmp(member(&c, "hint"), "(none)") == 0, "%s: its body", info->name);
		ok((strcmp(header(&c, "Retry-After"), "(none)") != 0) == wait,
		    "%s: Retry-After %s", info->name, wait ? "sent" : "not sent");
		ok(strcmp(header(&c, "X-Request-Id"), member(&c, "requestId")) == 0 &&
		    strlen(member(&c, "timestamp")) == 24 && member(&c, "timestamp")[23] == 'Z' &&
		    strcmp(header(&c, "Cache-Control"), "no-store") == 0, "%s: common parts", info->name);
		ok(end.code == fail_with && end.status == info->status && !c.m.was_cut,
		    "%s: in the log", info->name);
		call_free(&c);
	}
}

static enum mw_code
detailed(struct mw_req *req)
{
	(void)mw_json_add_raw(&req->extra, "triedSources", "[\"r2\"]");
	req->touched = true;
	req->ctx.attempts = 3;
	req->ctx.err.retry_after = 17;
	(void)mw_ctx_fail(&req->ctx, MW_STORE_UNAVAILABLE, "R2 said \x01\xff\xc3\xa4\xc3");
	return MW_SANDBOX_UNREACHABLE;
}

static void
test_details(void)
{
	struct call c;

	is_int(run(&c, "GET", detailed), 503, "the first failure wins");
	is_str(member(&c, "code"), "store_unavailable", "its code");
	is_str(member(&c, "error"), "R2 said   \xc3\xa4 ", "its text, made UTF-8");
	is_str(member(&c, "attempts"), "3", "attempts");
	is_str(header(&c, "X-Attempts"), "3", "X-Attempts");
	is_str(header(&c, "Retry-After"), "17", "the upstream's own Retry-After");
	is_str(member(&c, "triedSources"), "[ \"r2\" ]", "the handler's own members");
	is_int(end.code, MW_STORE_UNAVAILABLE, "in the log");
	call_free(&c);
}

/* A message of 255 bytes that is cut inside a character. */
static enum mw_code
long_message(struct mw_req *req)
{
	char text[400] = "x";

	while (strlen(text) < 300)
		strncat(text, "\xe2\x82\xac", sizeof(text) - strlen(text) - 1);
	return mw_ctx_fail(&req->ctx, MW_CONFLICT, "%s", text);
}

static void
test_utf8(void)
{
	struct call c;
	const char *s;

	is_int(run(&c, "GET", long_message), 409, "a message that was cut");
	s = mw_mem_body(&c.m);
	ok(mw_utf8_valid(s, strlen(s)), "is valid UTF-8 in the answer");
	call_free(&c);
}

static enum mw_code
headers(struct mw_req *req)
{
	mw_res_header(req, "X-Good", "a\tb");
	mw_res_header(req, "X-Split", "a\r\nX-Evil: 1");
	mw_res_header(req, "X-Line", "a\nb");
	mw_res_headerf(req, "X-Number", "%d", 42);
	mw_res_headerf(req, "X-Long", "%2000d", 1);
	mw_res_start(req, 200, "text/x\r\nX-Evil: 2", 0);
	mw_res_header(req, "X-Late", "1");
	mw_res_start(req, 500, "text/plain", 9);
	return MW_OK;
}

static void
test_headers(void)
{
	struct call c;

	is_int(run(&c, "GET", headers), 200, "the first head counts");
	is_str(header(&c, "X-Good"), "a\tb", "a good header");
	is_str(header(&c, "X-Number"), "42", "a formatted one");
	is_str(header(&c, "X-Split"), "(none)", "CR LF drops it");
	is_str(header(&c, "X-Line"), "(none)", "so does LF");
	is_str(header(&c, "X-Long"), "(none)", "and too much length");
	is_str(header(&c, "X-Late"), "(none)", "too late is too late");
	is_str(header(&c, "X-Evil"), "(none)", "nothing was smuggled in");
	is_str(header(&c, "Content-Type"), "application/octet-stream", "a bad type is bytes");
	call_free(&c);
}

static enum mw_code
not_modified(struct mw_req *req)
{
	mw_res_header(req, "ETag", "\"a\"");
	mw_res_start(req, 304, "text/plain", 5);
	(void)mw_res_write(req, "hello", 5);
	return MW_OK;
}

static enum mw_code
own_retry(struct mw_req *req)
{
	struct mw_buf b;

	mw_res_header(req, "Retry-After", "9");
	mw_res_open(&b);
	return mw_res_object(req, 503, &b);
}

static enum mw_code
no_retry(struct mw_req *req)
{
	struct mw_buf b;

	mw_res_open(&b);
	return mw_res_object(req, 503, &b);
}

static void
test_special(void)
{
	struct call c;

	is_int(run(&c, "GET", not_modified), 304, "304");
	is_str(mw_mem_body(&c.m), "", "has no body");
	is_str(header(&c, "Content-Length"), "(none)", "nor a length");
	ok(!c.m.was_cut, "and is whole");
	call_free(&c);
	is_int(run(&c, "GET", own_retry), 503, "a 503 that is no error");
	ok(strstr(c.m.out.data, "Retry-After: 9\r\n") != NULL &&
	    strstr(c.m.out.data, "Retry-After: 5") == NULL, "keeps its Retry-After");
	call_free(&c);
	(void)run(&c, "GET", no_retry);
	is_str(header(&c, "Retry-After"), "5", "or gets one");
	call_free(&c);
}

static enum mw_code
silent(struct mw_req *req)
{
	(void)req;
	return MW_OK;
}

static enum mw_code
too_short(struct mw_req *req)
{
	mw_res_start(req, 200, "text/plain", 10);
	return mw_res_write(req, "hello", 5) ? MW_OK : MW_CLIENT_GONE;
}

static enum mw_code
too_long(struct mw_req *req)
{
	mw_res_start(req, 200, "text/plain", 3);
	return mw_res_write(req, "hello", 5) ? MW_OK : MW_CLIENT_GONE;
}

static enum mw_code
died(struct mw_req *req)
{
	mw_res_start(req, 200, "text/plain", -1);
	(void)mw_res_write(req, "hello", 5);
	return mw_ctx_fail(&req->ctx, MW_STORE_UNAVAILABLE, "upstream died");
}

static enum mw_code
stream(struct mw_req *req)
{
	mw_res_start(req, 200, "text/plain", -1);
	return mw_res_writer(req, "hello", 5) && mw_res_flush(req) ? MW_OK : MW_CLIENT_GONE;
}

static enum mw_code
told_itself(struct mw_req *req)
{
	mw_res_error(req, MW_CONFLICT);
	return MW_CONFLICT;
}

static enum mw_code
gone(struct mw_req *req)
{
	(void)req;
	return MW_CLIENT_GONE;
}

/* Which answers are broken off, and how they are logged. */
static void
test_cut(void)
{
	static const struct {
		const char *name;
		enum mw_code (*fn)(struct mw_req *);
		int status;		/* 0: no head */
		bool cut;
		enum mw_code code;
	} t[] = {
		{ "a handler without an answer", silent, 500, false, MW_INTERNAL_ERROR },
		{ "less than announced", too_short, 200, true, MW_INTERNAL_ERROR },
		{ "more than announced", too_long, 200, true, MW_INTERNAL_ERROR },
		{ "an upstream that dies", died, 200, true, MW_STORE_UNAVAILABLE },
		{ "a stream", stream, 200, false, MW_OK },
		{ "an error that was answered", told_itself, 409, false, MW_CONFLICT },
		{ "a client that left", gone, 0, true, MW_CLIENT_GONE },
	};
	struct call c;
	size_t i;

	for (i = 0; i < COUNT(t); i++) {
		is_int(run(&c, "GET", t[i].fn), t[i].status, t[i].name);
		ok(c.m.was_cut == t[i].cut && end.ended == 1, "%s is %scut", t[i].name,
		    t[i].cut ? "" : "not ");
		is_int(end.code, t[i].code, "and logged as what it is");
		call_free(&c);
	}
	is_int(run(&c, "HEAD", too_short), 200, "HEAD of less than announced");
	ok(!c.m.was_cut, "HEAD is never short");
	call_free(&c);
}

/* The client leaves at any byte. */
static void
test_broken(void)
{
	static const char *const extra[] = { SECRET, NULL };
	struct call c;
	size_t i;
	bool good = true;

	step = hello;
	for (i = 1; i < 240; i++) {
		call_init(&c, "GET", "/u/al/a/b", extra, NULL, 0);
		c.m.write_max = i;
		memset(&end, 0, sizeof(end));
		mw_http_one(&http, &c.m.io, c.arena);
		good = good && end.ended == 1 && (end.code == MW_OK) == (c.m.was_cut == false) &&
		    (end.code == MW_OK || end.code == MW_CLIENT_GONE);
		call_free(&c);
	}
	ok(good, "a client that leaves at any byte is noticed");
}

int
main(void)
{
	(void)mw_log_open("test", "", MW_ERROR, false);
	test_json();
	test_every_code();
	test_details();
	test_utf8();
	test_headers();
	test_special();
	test_cut();
	test_broken();
	return done();
}
