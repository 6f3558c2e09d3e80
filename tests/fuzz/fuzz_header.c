/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What clients write into headers: the first byte picks which one the rest of
 * the input becomes.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/etag.h"
#include "base/range.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "../unit/mem.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static const char *const names[] = {
	"HTTP_RANGE=", "HTTP_IF_NONE_MATCH=", "HTTP_X_FORWARDED_FOR=", "CONTENT_TYPE=",
	"HTTP_ACCEPT=", "HTTP_AUTHORIZATION=", "HTTP_X_ADMIN_SECRET=", "HTTP_X_REQUEST_ID=",
	"CONTENT_LENGTH=", "REQUEST_METHOD=", "REMOTE_ADDR=",
};
#define COUNT (sizeof(names) / sizeof(names[0]))

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
begin(struct mw_req *req)
{
	static char all4[] = "0.0.0.0/0", all6[] = "::/0";
	static char *items[] = { all4, all6 };
	static const struct mw_list trusted = { items, 2 };
	unsigned char raw[16];

	req->max_body = 100;
	mw_req_resolve_address(req, &trusted);
	if (mw_req_header(req, "X-Forwarded-For") != NULL)
		must(strcmp(req->address, "192.0.2.1") == 0 ||
		    inet_pton(AF_INET, req->address, raw) == 1 ||
		    inet_pton(AF_INET6, req->address, raw) == 1);
}

/* Borrowed for one call: the fuzzers' value is as long as it says. */
static bool
authorised(struct mw_req *req, const char *s, size_t n)
{
	(void)req;
	must(n > 0 && strlen(s) == n);
	return s[0] == 'x';
}

static void
check_range(struct mw_req *req)
{
	const char *s = mw_req_header(req, "Range");
	struct mw_range r;

	if (s == NULL || !mw_range_parse(s, &r))
		return;
	must(r.from >= -1 && r.to >= -1 && (r.from >= 0 || r.to >= 0));
	must(r.from < 0 || r.to < 0 || r.from <= r.to);
}

static void
check_tags(struct mw_req *req)
{
	const char *s = mw_req_header(req, "If-None-Match");

	if (s == NULL)
		return;
	/* What matches strongly matches weakly; what is malformed is never "*". */
	if (mw_etag_in(s, "\"a\"", false))
		must(mw_etag_in(s, "\"a\"", true));
	must(!mw_etag_in(s, NULL, true));
	(void)mw_etag_list_valid(s);
	/* The list as a tag of its own. */
	if (mw_etag_in(s, s, false))
		must(mw_etag_list_valid(s));
}

static enum mw_code
handle(struct mw_req *req)
{
	enum mw_code code;
	char *body;
	size_t n;

	check_range(req);
	check_tags(req);
	(void)mw_req_is_json(req);
	(void)mw_req_accepts_bytes(req);
	if ((code = mw_req_body(req, 50, &body, &n)) != MW_OK)
		return code;
	must(n <= 50 && body[n] == '\0');
	mw_res_start(req, 200, "text/plain", 0);
	return MW_OK;
}

static const struct mw_route routes[] = {
	{ "/", MW_GET | MW_PUT, 0, handle },
	{ NULL, 0, 0, NULL }
};

static const struct mw_http http = {
	.name = "fuzz", .routes = routes, .authorised = authorised, .begin = begin
};

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static char var[64 + 8192];
	const char *params[] = { var, "REQUEST_URI=/", "REQUEST_METHOD=GET",
	    "REMOTE_ADDR=192.0.2.1", "HTTP_X_ADMIN_SECRET=x", NULL };
	struct mw_arena *arena;
	struct mw_mem m;
	size_t n;

	if (size == 0)
		return 0;
	n = strlen(names[data[0] % COUNT]);
	memcpy(var, names[data[0] % COUNT], n);
	if (--size > sizeof(var) - 64)
		size = sizeof(var) - 64;
	memcpy(var + n, data + 1, size);
	var[n + size] = '\0';
	/* A header of secrets stands alone: two of them are refused. */
	if (strncmp(var, "HTTP_X_ADMIN_SECRET=", 20) == 0 ||
	    strncmp(var, "HTTP_AUTHORIZATION=", 19) == 0)
		params[4] = NULL;
	must((arena = mw_arena_open(1024 * 1024)) != NULL);
	mw_mem_init(&m, params, (const char *)data, size + 1);
	m.step = 3;
	mw_http_one(&http, &m.io, arena);
	must(mw_mem_status(&m) >= 200 && !m.was_cut);
	must(mw_utf8_valid(m.out.data, m.out.len));
	mw_mem_free(&m);
	mw_arena_close(arena);
	return 0;
}
