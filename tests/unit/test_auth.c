/* SPDX-License-Identifier: BSD-2-Clause */
#include "http_fixture.h"

static struct {
	int asked, refused, handled;
	bool many, exempt;
	const char *exempt_pattern;
} did;

static bool
authorised(struct mw_req *req, const char *s, size_t n)
{
	did.asked++;
	return right_secret(req, s, n);
}

static bool
refused(struct mw_req *req)
{
	(void)req;
	did.refused++;
	return did.many;
}

static bool
exempt(struct mw_req *req)
{
	did.exempt_pattern = req->route->pattern;
	return did.exempt;
}

static enum mw_code
handle(struct mw_req *req)
{
	did.handled++;
	mw_res_start(req, 200, "text/plain", 0);
	return MW_OK;
}

static const struct mw_route routes[] = {
	{ "/healthz", MW_GET | MW_HEAD, MW_ROUTE_OPEN, handle },
	{ "/u/{user}/f/{path}", MW_GET, 0, handle },
	{ "/w/{path}", MW_PUT, 0, handle },
	{ NULL, 0, 0, NULL }
};

static struct mw_http http = {
	.name = "test", .routes = routes, .authorised = authorised, .refused = refused
};

static int
ask(struct call *c, const char *method, const char *uri, const char *const *extra)
{
	call_init(c, method, uri, extra, NULL, 0);
	mw_http_one(&http, &c->m.io, c->arena);
	return mw_mem_status(&c->m);
}

static void
test_secrets(void)
{
	static const struct {
		const char *extra[4];
		bool in, asked;
	} t[] = {
		{ { "HTTP_X_ADMIN_SECRET=right" }, true, true },
		{ { "HTTP_AUTHORIZATION=Bearer right" }, true, true },
		{ { "HTTP_AUTHORIZATION=bEARER right" }, true, true },
		{ { "HTTP_AUTHORIZATION=Bearer   right" }, true, true },
		{ { "HTTP_X_ADMIN_SECRET=right", "HTTP_AUTHORIZATION=Bearer wrong" }, true, true },
		{ { "HTTP_X_ADMIN_SECRET=right", "HTTP_AUTHORIZATION=Basic cmlnaHQ=" }, true, true },
		{ { NULL }, false, false },
		{ { "HTTP_X_ADMIN_SECRET=" }, false, false },
		{ { "HTTP_X_ADMIN_SECRET=", "HTTP_AUTHORIZATION=Bearer right" }, false, false },
		{ { "HTTP_X_ADMIN_SECRET=wrong" }, false, true },
		{ { "HTTP_X_ADMIN_SECRET=wrong", "HTTP_AUTHORIZATION=Bearer right" }, false, true },
		{ { "HTTP_X_ADMIN_SECRET=rightright" }, false, true },
		{ { "HTTP_X_ADMIN_SECRET=righ" }, false, true },
		{ { "HTTP_X_ADMIN_SECRET= right" }, false, true },
		{ { "HTTP_X_ADMIN_SECRET=right, right" }, false, true },
		{ { "HTTP_X_ADMIN_SECRET=right", "HTTP_X_ADMIN_SECRET=right" }, false, false },
		{ { "HTTP_X_ADMIN_SECRET=wrong", "HTTP_X_ADMIN_SECRET=right" }, false, false },
		{ { "HTTP_AUTHORIZATION=Bearer right", "HTTP_AUTHORIZATION=Bearer right" }, false, false },
		{ { "HTTP_AUTHORIZATION=Bearer" }, false, false },
		{ { "HTTP_AUTHORIZATION=Bearer " }, false, false },
		{ { "HTTP_AUTHORIZATION=Bearerright" }, false, false },
		{ { "HTTP_AUTHORIZATION=right" }, false, false },
		{ { "HTTP_AUTHORIZATION=Basic right" }, false, false },
		{ { "X_ADMIN_SECRET=right" }, false, false },
		{ { "HTTP_X_ADMIN_SECRET_2=right" }, false, false },
	};
	struct call c;
	size_t i;
	int status;

	for (i = 0; i < COUNT(t); i++) {
		memset(&did, 0, sizeof(did));
		status = ask(&c, "GET", "/u/a/f/x", t[i].extra);
		ok(status == (t[i].in ? 200 : 403) && did.handled == t[i].in &&
		    did.refused == !t[i].in && (did.asked > 0) == t[i].asked,
		    "%s %s", t[i].in ? "let in:" : "kept out:",
		    t[i].extra[0] != NULL ? t[i].extra[0] : "no secret");
		call_free(&c);
	}
}

/* Nothing of a request is told apart without the secret. */
static void
test_before_all(void)
{
	static const struct {
		const char *method, *uri, *var;
	} t[] = {
		{ "GET", "/nope", "X=" }, { "DELETE", "/u/a/f/x", "X=" }, { "FOO", "/healthz/", "X=" },
		{ "GET", "/u/../f/x", "X=" }, { "GET", "/%zz", "X=" }, { "GET", "", "X=" },
		{ "GET", "*", "X=" }, { "GET", "/?a=%zz", "X=" }, { "PUT", "/w/x", "CONTENT_LENGTH=abc" },
		{ "PUT", "/w/x", "CONTENT_LENGTH=99999999999" }, { "GET", "/%68ealthz", "X=" },
		{ "GET", "//healthz", "X=" }, { "GET", "/healthz/x", "X=" }, { "GET", "/Healthz", "X=" },
		{ "GET", "/u/a/f/%2e%2e", "HTTP_X_ADMIN_SECRET=wrong" },
	};
	const char *extra[2] = { NULL, NULL };
	struct call c;
	size_t i;
	int status;

	for (i = 0; i < COUNT(t); i++) {
		memset(&did, 0, sizeof(did));
		extra[0] = t[i].var;
		status = ask(&c, t[i].method, t[i].uri, extra);
		ok(status == 403 && did.handled == 0 &&
		    strcmp(member(&c, "code"), "forbidden") == 0 &&
		    strcmp(member(&c, "error"), "Super admin access required") == 0 &&
		    strcmp(member(&c, "hint"), "Provide X-Admin-Secret header") == 0,
		    "%s '%s' %s", t[i].method, t[i].uri, t[i].var);
		call_free(&c);
	}
}

static void
test_open(void)
{
	struct call c;

	memset(&did, 0, sizeof(did));
	is_int(ask(&c, "GET", "/healthz", NULL), 200, "an open route needs no secret");
	is_int(did.refused, 0, "and nobody was refused");
	call_free(&c);
	is_int(ask(&c, "GET", "/healthz?a=b", NULL), 200, "also with a query");
	call_free(&c);
	is_int(ask(&c, "GET", "http://h/healthz", NULL), 200, "also in absolute form");
	call_free(&c);
	is_int(ask(&c, "POST", "/healthz", NULL), 405, "another method there is a 405");
	is_str(header(&c, "Allow"), "GET, HEAD", "with the ones allowed");
	call_free(&c);
	http.exempt = exempt;
	is_int(ask(&c, "GET", "/healthz", NULL), 403, "exempt may close it");
	is_str(did.exempt_pattern, "/healthz", "and knows which row is meant");
	is_int(did.refused, 1, "which counts as refused");
	call_free(&c);
	did.exempt = true;
	is_int(ask(&c, "GET", "/healthz", NULL), 200, "exempt may open it");
	call_free(&c);
	is_int(ask(&c, "GET", "/u/a/f/x", NULL), 403, "but no other row");
	call_free(&c);
	http.exempt = NULL;
}

static void
test_refused(void)
{
	static const char *const right[] = { SECRET, NULL };
	struct call c;

	memset(&did, 0, sizeof(did));
	did.many = true;
	is_int(ask(&c, "GET", "/u/a/f/x", NULL), 429, "too many wrong secrets");
	is_str(header(&c, "Retry-After"), "60", "come back in a minute");
	is_str(member(&c, "code"), "too_many_requests", "code");
	is_str(member(&c, "retryable"), "true", "retryable");
	is_str(member(&c, "hint"), "(none)", "no hint");
	call_free(&c);
	is_int(ask(&c, "GET", "/u/a/f/x", right), 200, "the right one is let in all the same");
	call_free(&c);
	http.authorised = NULL;
	did.many = false;
	is_int(ask(&c, "GET", "/u/a/f/x", right), 403, "without a judge no secret is right");
	call_free(&c);
	http.authorised = authorised;
}

static void
test_silent(void)
{
	static const char *const wrong[] = { "HTTP_X_ADMIN_SECRET=Zm9vYmFy", NULL };
	struct call c;

	memset(&did, 0, sizeof(did));
	(void)ask(&c, "GET", "/u/a/f/x", wrong);
	ok(strstr(c.m.out.data, "Zm9v") == NULL && strstr(c.m.out.data, "right") == NULL,
	    "the answer tells nothing of any secret");
	ok(strstr(mw_mem_body(&c.m), "userId") == NULL, "nor what was asked for");
	call_free(&c);
}

int
main(void)
{
	test_secrets();
	test_before_all();
	test_open();
	test_refused();
	test_silent();
	return done();
}
