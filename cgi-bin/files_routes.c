/* SPDX-License-Identifier: BSD-2-Clause */
/* The files routes: which file is meant, in the path or in the query. */
#include "files.h"

#include "app/responder.h"
#include "ops/files/read.h"

/* The path in the query; "" (the root) if none was sent and `dir` allows it. */
static enum mw_code
query_path(struct mw_req *req, unsigned flags, const char **path)
{
	const struct mw_pair *p = mw_req_query(req, "path");
	char *out = mw_arena_alloc(req->ctx.arena, MW_PATH_MAX + 1);
	enum mw_code code;

	*path = out;
	if (out == NULL)
		return mw_ctx_nomem(&req->ctx);
	code = mw_path_parse(p != NULL ? p->value : "", p != NULL ? p->len : 0, flags, out,
	    &req->ctx.err);
	if (code == MW_OK)
		req->path = out;	/* for errors and the log */
	return code;
}

enum mw_code
mw_files_get_query(struct mw_req *req)
{
	const char *path;
	enum mw_code code;
	bool raw = false, content = false;

	if ((code = query_path(req, MW_PATH_DIR, &path)) != MW_OK ||
	    (code = mw_req_query_bool(req, "raw", &raw)) != MW_OK ||
	    (code = mw_req_query_bool(req, "content", &content)) != MW_OK)
		return code;
	if ((raw || content) && path[0] == '\0')
		return mw_ctx_fail(&req->ctx, MW_INVALID_PATH, "path: expected the name of a file");
	return raw || content ? mw_files_read(req, path, raw) : mw_files_list(req, path);
}

enum mw_code
mw_files_get(struct mw_req *req)
{
	if (req->path[0] == '\0')
		return mw_files_get_query(req);
	return mw_files_read(req, req->path, mw_req_accepts_bytes(req));
}

enum mw_code
mw_files_put(struct mw_req *req)
{
	const char *path = req->path;
	enum mw_code code;

	if ((path == NULL || path[0] == '\0') &&
	    (code = query_path(req, MW_PATH_WRITE, &path)) != MW_OK)
		return code;
	return mw_files_write(req, path);
}

enum mw_code
mw_files_delete(struct mw_req *req)
{
	const char *path = req->path;
	enum mw_code code;

	if ((path == NULL || path[0] == '\0') && (code = query_path(req, 0, &path)) != MW_OK)
		return code;
	return mw_files_remove(req, path);
}
