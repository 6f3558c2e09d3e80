/* SPDX-License-Identifier: BSD-2-Clause */
#include "http_fixture.h"

static const struct mw_route *taken;
static const char *path;

static enum mw_code
take(struct mw_req *req)
{
	taken = req->route;
	path = req->path;
	mw_res_start(req, 200, "text/plain", 0);
	return MW_OK;
}

static const struct mw_route routes[] = {
	/* 0 */ { "/api/users", MW_GET, 0, take },
	/* 1 */ { "/api/users/{user}/files", MW_GET | MW_PUT, 0, take },
	/* 2 */ { "/api/users/{user}/files/", MW_GET, 0, take },
	/* 3 */ { "/api/users/{user}/files/batch", MW_POST, 0, take },
	/* 4 */ { "/api/users/{user}/files/{path}", MW_GET | MW_HEAD | MW_PUT | MW_DELETE, 0, take },
	/* 5 */ { "/api/users/{user}/exec/{id}", MW_DELETE | MW_PATCH, 0, take },
	/* 6 */ { "/api/users/{user}/exec/{id}/status", MW_GET, 0, take },
	/* 7 */ { "/api/users/{user}/files/{path}", MW_POST, 0, take },
	{ NULL, 0, 0, NULL }
};

static const struct mw_http http = {
	.name = "test", .routes = routes, .authorised = right_secret
};

static void
test_match(void)
{
	static const struct {
		const char *method, *uri;
		int status, row;
	} t[] = {
		{ "GET", "/api/users", 200, 0 },
		{ "GET", "/api/users/", 404, -1 },
		{ "GET", "/api/user", 404, -1 },
		{ "GET", "/api/usersx", 404, -1 },
		{ "GET", "/api", 404, -1 },
		{ "GET", "/", 404, -1 },
		{ "GET", "/api/users/a/files", 200, 1 },
		{ "GET", "/api/users/a/files/", 200, 2 },
		{ "GET", "/api/users/a/files/batch", 200, 4 },
		{ "POST", "/api/users/a/files/batch", 200, 3 },
		{ "POST", "/api/users/a/files/%62atch", 200, 3 },
		{ "POST", "/api/users/a/files/batch/", 200, 7 },
		{ "POST", "/api/users/a/files/batchx", 200, 7 },
		{ "HEAD", "/api/users/a/files/x", 200, 4 },
		{ "HEAD", "/api/users/a/files", 405, -1 },
		{ "DELETE", "/api/users/a/exec/p1", 200, 5 },
		{ "GET", "/api/users/a/exec/p1/status", 200, 6 },
		{ "GET", "/api/users/a/exec/p1/status/", 404, -1 },
		{ "GET", "/api/users/a/exec/p1/statu", 404, -1 },
		{ "GET", "/api/users/a/exec", 404, -1 },
		{ "PUT", "/api/users/a/files/", 400, -1 },
		{ "get", "/api/users", 405, -1 },
		{ "FOO", "/api/users", 405, -1 },
		{ "FOO", "/nope", 404, -1 },
		{ "OPTIONS", "/api/users", 405, -1 },
	};
	struct call c;
	size_t i;
	int status;

	for (i = 0; i < COUNT(t); i++) {
		taken = NULL;
		status = call(&c, &http, t[i].method, t[i].uri);
		ok(status == t[i].status &&
		    taken == (t[i].row < 0 ? NULL : &routes[t[i].row]),
		    "%s %s is %d, row %d", t[i].method, t[i].uri, t[i].status, t[i].row);
		call_free(&c);
	}
}

static void
test_allow(void)
{
	static const struct {
		const char *method, *uri, *allow;
	} t[] = {
		{ "POST", "/api/users", "GET" },
		{ "GET", "/api/users/a/exec/p", "DELETE, PATCH" },
		{ "PATCH", "/api/users/a/files/x", "GET, HEAD, PUT, POST, DELETE" },
		{ "PATCH", "/api/users/a/files/batch", "GET, HEAD, PUT, POST, DELETE" },
		{ "DELETE", "/api/users/a/files", "GET, PUT" },
		/* The wrong method is told before the wrong user. */
		{ "DELETE", "/api/users/../files", "GET, PUT" },
	};
	struct call c;
	size_t i;

	for (i = 0; i < COUNT(t); i++) {
		is_int(call(&c, &http, t[i].method, t[i].uri), 405, t[i].uri);
		is_str(header(&c, "Allow"), t[i].allow, "Allow");
		is_str(member(&c, "code"), "method_not_allowed", "code");
		call_free(&c);
	}
	(void)call(&c, &http, "GET", "/nope");
	is_str(header(&c, "Allow"), "(none)", "no Allow on a 404");
	is_str(member(&c, "code"), "not_found", "not_found for it");
	call_free(&c);
}

int
main(void)
{
	test_match();
	test_allow();
	return done();
}
