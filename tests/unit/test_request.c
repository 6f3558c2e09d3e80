/* SPDX-License-Identifier: BSD-2-Clause */
#include "http_fixture.h"

#include "conf/conf.h"

/* What the handler saw; borrowed from the arena of the call. */
static struct {
	int calls;
	const char *user, *path, *id, *uri, *address;
	const struct mw_pair *query;
	size_t nquery;
	bool json, bytes;
	char request_id[80];
} seen;

static struct mw_list trusted;

static void
begin(struct mw_req *req)
{
	mw_req_resolve_address(req, &trusted);
}

static enum mw_code
look(struct mw_req *req)
{
	seen.calls++;
	seen.user = req->user;
	seen.path = req->path;
	seen.id = req->id;
	seen.uri = req->uri;
	seen.address = req->address;
	seen.query = req->query;
	seen.nquery = req->nquery;
	seen.json = mw_req_is_json(req);
	seen.bytes = mw_req_accepts_bytes(req);
	snprintf(seen.request_id, sizeof(seen.request_id), "%s", req->ctx.request_id);
	mw_res_start(req, 200, "text/plain", 0);
	return MW_OK;
}

static enum mw_code
typed(struct mw_req *req)
{
	static const char *const words[] = { "auto", "r2", "container", NULL };
	int64_t n = 7, m = 7;
	bool b = true;
	int w = 9;
	enum mw_code code;

	if ((code = mw_req_query_int(req, "n", 0, 100, false, &n)) != MW_OK ||
	    (code = mw_req_query_int(req, "m", -5, 100, true, &m)) != MW_OK ||
	    (code = mw_req_query_bool(req, "b", &b)) != MW_OK ||
	    (code = mw_req_query_choice(req, "w", words, &w)) != MW_OK)
		return code;
	mw_res_headerf(req, "X-Got", "%lld %lld %d %d", (long long)n, (long long)m, b, w);
	mw_res_start(req, 200, "text/plain", 0);
	return MW_OK;
}

static const struct mw_route routes[] = {
	{ "/u/{user}/f/{path}", MW_GET | MW_PUT, 0, look },
	{ "/u/{user}/d/{path}", MW_GET, MW_ROUTE_DIR, look },
	{ "/u/{user}/w/{path}", MW_PUT, MW_ROUTE_WRITE_PATH, look },
	{ "/u/{user}/e/{id}/status", MW_GET, 0, look },
	{ "/q", MW_GET, 0, look },
	{ "/typed", MW_GET, 0, typed },
	{ "/", MW_GET, 0, look },
	{ NULL, 0, 0, NULL }
};

static const struct mw_http http = {
	.name = "test", .routes = routes, .authorised = right_secret, .begin = begin
};

static void
test_path(void)
{
	static const struct {
		const char *uri;
		int status;
		const char *want;	/* the path, or the code */
	} t[] = {
		{ "/u/a/f/x", 200, "x" },
		{ "/u/a/f/x/y", 200, "x/y" },
		{ "/u/a/f//x///y/", 200, "x/y" },
		{ "/u/a/f/./x/./y/.", 200, "x/y" },
		{ "/u/a/f/a%2Fb%2fc", 200, "a/b/c" },
		{ "/u/a/f/a%20b", 200, "a b" },
		{ "/u/a/f/a+b", 200, "a+b" },
		{ "/u/a/f/a%2Bb", 200, "a+b" },
		{ "/u/a/f/%23%3F", 200, "#?" },
		{ "/u/a/f/a#b", 200, "a#b" },
		{ "/u/a/f/%C3%A4", 200, "\xc3\xa4" },
		{ "/u/a/f/%2525", 200, "%25" },
		{ "/u/a/f/x?path=y", 200, "x" },
		{ "/u/a/f/x?", 200, "x" },
		{ "/u/a/f/...", 200, "..." },
		{ "http://host/u/a/f/x", 200, "x" },
		{ "https://h:1/u/a/f/x?y=http://z/", 200, "x" },
		{ "/%75/a/%66/x", 200, "x" },
		{ "/u/a/d/", 200, "" },
		{ "/u/a/d/.", 200, "" },
		{ "/u/a/w/e%CC%81", 405, "method_not_allowed" },
		{ "/u/a/f/", 400, "invalid_path" },
		{ "/u/a/f/..", 400, "invalid_path" },
		{ "/u/a/f/x/../y", 400, "invalid_path" },
		{ "/u/a/f/%2e%2e/x", 400, "invalid_path" },
		{ "/u/a/f/..%2fx", 400, "invalid_path" },
		{ "/u/a/f/x%2f..%2f..%2fb", 400, "invalid_path" },
		{ "/u/a/f/x%00", 400, "invalid_path" },
		{ "/u/a/f/x%0a", 400, "invalid_path" },
		{ "/u/a/f/%ff", 400, "invalid_path" },
		{ "/u/a/f/%c0%ae%c0%ae/x", 400, "invalid_path" },
		{ "/u/a/f/x%", 400, "invalid_path" },
		{ "/u/a/f/x%4", 400, "invalid_path" },
		{ "/u/a/f/x%zz", 400, "invalid_path" },
		{ "/%zz", 400, "invalid_path" },
		{ "/u/a/f/.last-sync", 400, "invalid_path" },
		{ "/u/a/f/.moltworker%2fjobs", 400, "invalid_path" },
		{ "/u//f/x", 400, "invalid_user_id" },
		{ "/u/../f/x", 400, "invalid_user_id" },
		{ "/u/%2e%2e/f/x", 400, "invalid_user_id" },
		{ "/u/a..b/f/x", 400, "invalid_user_id" },
		{ "/u/a%2fb/f/x", 400, "invalid_user_id" },
		{ "/u/a%00/f/x", 400, "invalid_user_id" },
		{ "/u/.a/f/x", 400, "invalid_user_id" },
		{ "/u/a%20b/f/x", 400, "invalid_user_id" },
		{ "//u/a/f/x", 404, "not_found" },
		{ "/u/a//f/x", 404, "not_found" },
		{ "/u/a/f", 404, "not_found" },
		{ "/U/a/f/x", 404, "not_found" },
		{ "/u%2fa/f/x", 404, "not_found" },
		{ "/u/a/../a/f/x", 404, "not_found" },
		{ "", 400, "invalid_argument" },
		{ "*", 400, "invalid_argument" },
		{ "u/a/f/x", 400, "invalid_argument" },
	};
	struct call c;
	size_t i;
	int status;

	for (i = 0; i < COUNT(t); i++) {
		memset(&seen, 0, sizeof(seen));
		status = call(&c, &http, "GET", t[i].uri);
		ok(status == t[i].status && seen.calls == (status == 200) &&
		    strcmp(status == 200 ? seen.path : member(&c, "code"), t[i].want) == 0,
		    "GET '%s' is %d %s", t[i].uri, t[i].status, t[i].want);
		call_free(&c);
	}
}

static void
test_segments(void)
{
	struct call c;

	is_int(call(&c, &http, "GET", "/u/al.i-c_e/e/p%20%c3%a4/status"), 200, "{id} matches");
	is_str(seen.id, "p \xc3\xa4", "{id} is decoded");
	is_str(seen.user, "al.i-c_e", "{user} with it");
	call_free(&c);
	is_int(call(&c, &http, "GET", "/u/a/e//status"), 404, "an empty {id} is no route");
	call_free(&c);
	is_int(call(&c, &http, "GET", "/u/a/e/p%00/status"), 400, "a NUL in {id}");
	call_free(&c);
	is_int(call(&c, &http, "PUT", "/u/a/w/e%CC%81"), 400, "a written name must be NFC");
	is_str(member(&c, "code"), "invalid_path", "invalid_path for it");
	call_free(&c);
	is_int(call(&c, &http, "PUT", "/u/a/f/e%CC%81"), 200, "a read one need not");
	call_free(&c);
	is_int(call(&c, &http, "GET", "http://host"), 200, "no path after the authority is /");
	call_free(&c);
	is_int(call(&c, &http, "GET", "http://host?a=b"), 200, "also before a query");
	is_int((int64_t)seen.nquery, 1, "which is still read");
	call_free(&c);
}

static void
test_long(void)
{
	static char uri[MW_URI_MAX + 2];
	struct call c;

	memset(uri, 'a', sizeof(uri) - 1);
	memcpy(uri, "/q?", 3);
	is_int(call(&c, &http, "GET", uri), 400, "a URI of 8193 bytes is refused");
	is_str(member(&c, "code"), "invalid_argument", "as a bad argument");
	ok(strstr(member(&c, "error"), "URI") != NULL, "that names the URI");
	call_free(&c);
	uri[MW_URI_MAX] = '\0';
	is_int(call(&c, &http, "GET", uri), 200, "8192 bytes are not too many");
	call_free(&c);
}

static void
test_missing_uri(void)
{
	static const char *const params[] = {
		"REQUEST_METHOD=GET", "SCRIPT_NAME=/q", "PATH_INFO=", SECRET, NULL
	};
	struct call c;

	call_init(&c, "GET", "/", NULL, NULL, 0);
	c.m.params = params;
	mw_http_one(&http, &c.m.io, c.arena);
	is_int(mw_mem_status(&c.m), 400, "without REQUEST_URI nothing is guessed");
	call_free(&c);
	c.m.params = NULL;
}

static void
test_query(void)
{
	static const struct {
		const char *query, *name, *want;	/* NULL: not sent */
	} t[] = {
		{ "a=b", "a", "b" }, { "a=b&a=c", "a", "b" }, { "a", "a", "" },
		{ "a=", "a", "" }, { "a=b=c", "a", "b=c" }, { "a=b+c", "a", "b c" },
		{ "a=b%2Bc", "a", "b+c" }, { "a=b%20c", "a", "b c" }, { "%61=b", "a", "b" },
		{ "a+b=c", "a b", "c" }, { "&&a=b&", "a", "b" }, { "=x&a=b", "a", "b" },
		{ "A=b", "a", NULL }, { "", "a", NULL }, { "ab=c", "a", NULL },
		{ "a=?", "a", "?" }, { "a=%3d%26", "a", "=&" }, { "a=%2525", "a", "%25" },
		{ "a=/x/../y", "a", "/x/../y" }, { "a=#b", "a", "#b" },
		{ "a=%zz", "a", "\x7f" }, { "a=%", "a", "\x7f" }, { "a=%00", "a", "\x7f" },
		{ "%zz=1&a=b", "a", "b" }, { "b=%zz&a=c", "a", "c" },
	};
	const struct mw_pair *pair;
	struct mw_req req;
	struct call c;
	char uri[200];
	size_t i;

	for (i = 0; i < COUNT(t); i++) {
		snprintf(uri, sizeof(uri), "/q?%s", t[i].query);
		memset(&seen, 0, sizeof(seen));
		(void)call(&c, &http, "GET", uri);
		memset(&req, 0, sizeof(req));
		req.query = (struct mw_pair *)(uintptr_t)seen.query;
		req.nquery = seen.nquery;
		pair = mw_req_query(&req, t[i].name);
		ok(seen.calls == 1 && (pair == NULL ? t[i].want == NULL : t[i].want != NULL &&
		    strcmp(pair->value, t[i].want) == 0 && pair->len == strlen(t[i].want)),
		    "query '%s': %s", t[i].query, t[i].want != NULL ? "there" : "not there");
		call_free(&c);
	}
}

static void
test_many(void)
{
	char uri[600] = "/q?";
	struct call c;
	int i;

	for (i = 0; i < MW_QUERY_MAX; i++)
		strncat(uri, "a=b&", sizeof(uri) - strlen(uri) - 1);
	is_int(call(&c, &http, "GET", uri), 200, "64 parameters");
	is_int((int64_t)seen.nquery, 64, "are all there");
	call_free(&c);
	strncat(uri, "a=b", sizeof(uri) - strlen(uri) - 1);
	is_int(call(&c, &http, "GET", uri), 400, "65 are too many");
	call_free(&c);
}

static void
test_typed(void)
{
	static const struct {
		const char *query;
		const char *want;	/* what was got, or a word of the error */
		int status;
	} t[] = {
		{ "", "7 7 1 9", 200 },
		{ "n=0&m=-5&b=false&w=auto", "0 -5 0 0", 200 },
		{ "n=100&m=100&b=1&w=container", "100 100 1 2", 200 },
		{ "m=101", "7 100 1 9", 200 },
		{ "m=99999999999999999999", "7 100 1 9", 200 },
		{ "n=101", "n: expected an integer from 0 to 100", 400 },
		{ "n=-1", "n: ", 400 }, { "n=", "n: ", 400 }, { "n=abc", "n: ", 400 },
		{ "n=1e3", "n: ", 400 }, { "n=+1", "n: ", 400 }, { "n=%zz", "n: ", 400 },
		{ "m=-6", "m: ", 400 }, { "m=NaN", "m: ", 400 }, { "m=1.5", "m: ", 400 },
		{ "m=-99999999999999999999", "m: ", 400 },
		{ "b=maybe", "b: expected true or false", 400 }, { "b=", "b: ", 400 },
		{ "w=R2", "w: expected one of auto r2 container", 400 }, { "w=", "w: ", 400 },
		{ "unknown=%zz&n=1", "1 7 1 9", 200 },
	};
	struct call c;
	char uri[200];
	size_t i;
	int status;

	for (i = 0; i < COUNT(t); i++) {
		snprintf(uri, sizeof(uri), "/typed?%s", t[i].query);
		status = call(&c, &http, "GET", uri);
		ok(status == t[i].status && (status == 200 ?
		    strcmp(header(&c, "X-Got"), t[i].want) == 0 :
		    strncmp(member(&c, "error"), t[i].want, strlen(t[i].want)) == 0),
		    "typed query '%s'", t[i].query);
		call_free(&c);
	}
}

/* One request with one more variable. */
static int
with(struct call *c, const char *variable)
{
	const char *extra[] = { SECRET, variable, NULL };

	memset(&seen, 0, sizeof(seen));
	call_init(c, "GET", "/q", extra, NULL, 0);
	mw_http_one(&http, &c->m.io, c->arena);
	return mw_mem_status(&c->m);
}

static void
test_request_id(void)
{
	static const struct {
		const char *sent;
		bool kept;
	} t[] = {
		{ "abc", true }, { "A.b_c-9", true },
		{ "0123456789012345678901234567890123456789012345678901234567890123", true },
		{ "01234567890123456789012345678901234567890123456789012345678901234", false },
		{ "", false }, { "a b", false }, { "a\nb", false }, { "a/b", false }, { "\xc3\xa4", false },
	};
	struct call c;
	char var[200];
	size_t i;

	for (i = 0; i < COUNT(t); i++) {
		snprintf(var, sizeof(var), "HTTP_X_REQUEST_ID=%s", t[i].sent);
		(void)with(&c, var);
		ok((strcmp(seen.request_id, t[i].sent) == 0) == t[i].kept &&
		    strcmp(header(&c, "X-Request-Id"), seen.request_id) == 0 &&
		    (t[i].kept || strlen(seen.request_id) == 32),
		    "request id %zu is %s", i, t[i].kept ? "kept" : "made");
		call_free(&c);
	}
}

static void
test_types(void)
{
	static const struct {
		const char *var;
		bool json, bytes;
	} t[] = {
		{ "X=", false, false },
		{ "CONTENT_TYPE=application/json", true, false },
		{ "CONTENT_TYPE=Application/JSON; charset=utf-8", true, false },
		{ "CONTENT_TYPE=application/merge-patch+json", true, false },
		{ "CONTENT_TYPE=application/json;x", true, false },
		{ "CONTENT_TYPE=application/jsonx", false, false },
		{ "CONTENT_TYPE=text/json", false, false },
		{ "CONTENT_TYPE=+json", false, false },
		{ "CONTENT_TYPE=", false, false },
		{ "CONTENT_TYPE=text/plain; a=application/json", false, false },
		{ "HTTP_ACCEPT=application/octet-stream", false, true },
		{ "HTTP_ACCEPT=text/html, Application/Octet-Stream;q=0.5", false, true },
		{ "HTTP_ACCEPT=application/octet-stream;q=0", false, false },
		{ "HTTP_ACCEPT=application/octet-stream; q=0.000, */*", false, false },
		{ "HTTP_ACCEPT=application/octet-stream;q=0.001", false, true },
		{ "HTTP_ACCEPT=*/*", false, false },
		{ "HTTP_ACCEPT=application/octet-streams", false, false },
		{ "HTTP_ACCEPT=", false, false },
	};
	struct call c;
	size_t i;

	for (i = 0; i < COUNT(t); i++) {
		(void)with(&c, t[i].var);
		ok(seen.calls == 1 && seen.json == t[i].json && seen.bytes == t[i].bytes,
		    "%s", t[i].var);
		call_free(&c);
	}
}

static void
test_address(void)
{
	static const struct {
		const char *remote, *forwarded, *second, *want;
	} t[] = {
		{ "192.0.2.1", "198.51.100.1", NULL, "192.0.2.1" },
		{ "10.0.0.1", NULL, NULL, "10.0.0.1" },
		{ "10.0.0.1", "198.51.100.1", NULL, "198.51.100.1" },
		{ "10.0.0.1", "203.0.113.9, 198.51.100.1", NULL, "198.51.100.1" },
		{ "10.0.0.1", "203.0.113.9, 198.51.100.1 , 10.0.0.2", NULL, "198.51.100.1" },
		{ "10.0.0.1", "203.0.113.9", "198.51.100.1", "198.51.100.1" },
		{ "10.0.0.1", "10.0.0.7", "10.0.0.8", "10.0.0.7" },
		{ "10.0.0.1", "evil, 10.0.0.2", NULL, "10.0.0.2" },
		{ "10.0.0.1", "", NULL, "10.0.0.1" },
		{ "10.0.0.1", ",", NULL, "10.0.0.1" },
		{ "10.0.0.1", "198.51.100.1:8080", NULL, "198.51.100.1" },
		{ "10.0.0.1", "[2001:db8::1]:80", NULL, "2001:db8::1" },
		{ "10.0.0.1", "2001:db8::1", NULL, "2001:db8::1" },
		{ "10.0.0.1", "[2001:db8::1", NULL, "10.0.0.1" },
		{ "", NULL, NULL, "-" },
	};
	static char range[] = "10.0.0.0/8";
	static char *items[] = { range };
	const char *extra[5];
	char remote[80], first[120], second[120];
	struct call c;
	size_t i, n;

	trusted = (struct mw_list){ items, 1 };
	for (i = 0; i < COUNT(t); i++) {
		n = 0;
		snprintf(remote, sizeof(remote), "REMOTE_ADDR=%s", t[i].remote);
		extra[n++] = SECRET;
		extra[n++] = remote;
		if (t[i].forwarded != NULL) {
			snprintf(first, sizeof(first), "HTTP_X_FORWARDED_FOR=%s", t[i].forwarded);
			extra[n++] = first;
		}
		if (t[i].second != NULL) {
			snprintf(second, sizeof(second), "HTTP_X_FORWARDED_FOR=%s", t[i].second);
			extra[n++] = second;
		}
		extra[n] = NULL;
		seen.address = NULL;
		call_init(&c, "GET", "/q", extra, NULL, 0);
		mw_http_one(&http, &c.m.io, c.arena);
		is_str(seen.address, t[i].want, t[i].forwarded != NULL ? t[i].forwarded : "no header");
		call_free(&c);
	}
	trusted.n = 0;
}

int
main(void)
{
	test_path();
	test_segments();
	test_long();
	test_missing_uri();
	test_query();
	test_many();
	test_typed();
	test_request_id();
	test_types();
	test_address();
	return done();
}
