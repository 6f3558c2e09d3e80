/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * REQUEST_URI, query and routes.  Whatever comes in: an answer with a status
 * goes out, and no captured name can leave its place.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "../unit/mem.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
check_path(const char *path)
{
	const char *s;
	size_t n;

	must(strlen(path) <= MW_PATH_MAX && mw_utf8_valid(path, strlen(path)));
	if (*path == '\0')
		return;
	for (s = path;; s += n + 1) {
		n = strcspn(s, "/");
		must(n > 0 && n <= MW_SEGMENT_MAX);
		must(!(n == 1 && s[0] == '.') && !(n == 2 && s[0] == '.' && s[1] == '.'));
		if (s[n] == '\0')
			return;
	}
}

static enum mw_code
handle(struct mw_req *req)
{
	const struct mw_pair *pair;
	int64_t number = 1;
	bool flag = false;
	size_t i;

	if (req->user != NULL)
		must(mw_user_valid(req->user, strlen(req->user)));
	if (req->id != NULL)
		must(req->id[0] != '\0');
	if (req->path != NULL)
		check_path(req->path);
	must(req->nquery <= MW_QUERY_MAX);
	for (i = 0; i < req->nquery; i++) {
		pair = &req->query[i];
		must(strlen(pair->value) == pair->len);
		must(mw_req_query(req, pair->name) != NULL);
		if (mw_req_query_int(req, pair->name, 0, 1000, true, &number) == MW_OK)
			must(number >= 0 && number <= 1000);
		if (mw_req_query_bool(req, pair->name, &flag) != MW_OK)
			mw_err_clear(&req->ctx.err);
	}
	mw_err_clear(&req->ctx.err);
	mw_res_start(req, 200, "text/plain", 0);
	return MW_OK;
}

static bool
anyone(struct mw_req *req, const char *s, size_t n)
{
	(void)req;
	(void)s;
	return n > 0;
}

static const struct mw_route routes[] = {
	{ "/healthz", MW_GET, MW_ROUTE_OPEN, handle },
	{ "/u/{user}/files", MW_GET, 0, handle },
	{ "/u/{user}/files/{path}", MW_GET, 0, handle },
	{ "/u/{user}/dir/{path}", MW_GET, MW_ROUTE_DIR, handle },
	{ "/u/{user}/write/{path}", MW_GET, MW_ROUTE_WRITE_PATH, handle },
	{ "/u/{user}/exec/{id}/status", MW_GET, 0, handle },
	{ NULL, 0, 0, NULL }
};

static const struct mw_http http = {
	.name = "fuzz", .routes = routes, .authorised = anyone
};

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static char uri[16 + 12000] = "REQUEST_URI=";
	const char *params[] = { uri, "REQUEST_METHOD=GET", "HTTP_X_ADMIN_SECRET=x", NULL };
	struct mw_arena *arena = mw_arena_open(1024 * 1024);
	struct mw_mem m;
	int status;

	if (size > sizeof(uri) - 16)
		size = sizeof(uri) - 16;
	memcpy(uri + 12, data, size);
	uri[12 + size] = '\0';
	must(arena != NULL);
	mw_mem_init(&m, params, NULL, 0);
	mw_http_one(&http, &m.io, arena);
	status = mw_mem_status(&m);
	must(status == 200 || status == 400 || status == 404);
	must(!m.was_cut && mw_utf8_valid(m.out.data, m.out.len));
	mw_mem_free(&m);
	mw_arena_close(arena);
	return 0;
}
