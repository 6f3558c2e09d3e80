/* SPDX-License-Identifier: BSD-2-Clause */
/* GET of a directory. */
#include "files.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "ops/files/list.h"
#include "ops/files/params.h"
#include "state/metrics.h"
#include "app/responder.h"

static void
add_listed(struct mw_req *req, struct mw_buf *b, const struct mw_listed *e)
{
	static const char *const types[] = {
		[MW_FT_FILE] = "file", [MW_FT_DIR] = "directory",
		[MW_FT_SYMLINK] = "symlink", [MW_FT_OTHER] = "other",
	};
	const char *name = strrchr(e->path, '/');
	char mode[8];

	(void)mw_json_open(b, NULL, '{');
	(void)mw_json_add(b, "name", name != NULL ? name + 1 : e->path);
	(void)mw_json_add(b, "relativePath", e->path);
	(void)mw_json_add(b, "type", types[e->type]);
	(void)mw_json_add_known(b, "size", e->size);
	(void)mw_json_add(b, "modifiedAt", e->modified >= 0 ? mw_req_time(req, e->modified) : NULL);
	if (e->mode >= 0) {
		(void)snprintf(mode, sizeof(mode), "%04o", (unsigned)e->mode & 07777);
		(void)mw_json_add(b, "mode", mode);
	}
	if (e->etag != NULL)
		(void)mw_json_add(b, "etag", e->etag);
	(void)mw_json_close(b, '}');
}

static enum mw_code
send_listing(struct mw_req *req, const struct mw_listing *l)
{
	struct mw_buf b;
	size_t i;

	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	(void)mw_json_add(&b, "path", mw_file_shown(req, l->path));
	(void)mw_json_open(&b, "files", '[');
	for (i = 0; i < l->n; i++)
		add_listed(req, &b, &l->entry[i]);
	(void)mw_json_close(&b, ']');
	(void)mw_json_add_int(&b, "count", (int64_t)l->n);
	if (l->next != NULL)
		(void)mw_json_add(&b, "nextCursor", l->next);
	if (l->skipped > 0)
		(void)mw_json_add_int(&b, "skippedNames", (int64_t)l->skipped);
	(void)mw_json_add(&b, "source", l->from_source);
	req->source = l->from_source;
	return mw_res_object(req, 200, &b);
}

enum mw_code
mw_files_list(struct mw_req *req, const char *path)
{
	struct mw_listing l = { .user = req->user, .path = path, .limit = MW_LIST_MAX };
	const struct mw_pair *cursor = mw_req_query(req, "cursor");
	enum mw_code code;

	req->app->file_op = MW_FILE_LIST;
	if ((code = mw_query_source(req, &l.source)) != MW_OK ||
	    (code = mw_app_max_wake(req, &l.max_wake)) != MW_OK ||
	    (code = mw_req_query_bool(req, "recursive", &l.recursive)) != MW_OK ||
	    (code = mw_req_query_int(req, "limit", 1, MW_LIST_MAX, true, &l.limit)) != MW_OK)
		return code;
	l.cursor = cursor != NULL ? cursor->value : NULL;
	mw_app_deadline(req, l.max_wake, req->app->conf->sandbox.timeout);
	req->touched = true;
	if ((code = mw_list_files(req->app, &req->ctx, &l)) != MW_OK)
		return mw_file_failed(req, code, l.tried);
	return send_listing(req, &l);
}
