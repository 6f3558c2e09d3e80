/* SPDX-License-Identifier: BSD-2-Clause */
/* GET of a directory. */
#include "files.h"

#include <json.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ops/files/list.h"
#include "ops/files/params.h"
#include "app/responder.h"

static struct json_object *
time_or_null(struct mw_req *req, int64_t ms)
{
	return ms >= 0 ? json_object_new_string(mw_req_time(req, ms)) : NULL;
}

static struct json_object *
listed(struct mw_req *req, const struct mw_listed *e)
{
	static const char *const types[] = {
		[MW_FT_FILE] = "file", [MW_FT_DIR] = "directory",
		[MW_FT_SYMLINK] = "symlink", [MW_FT_OTHER] = "other",
	};
	struct json_object *o = json_object_new_object();
	const char *name = strrchr(e->path, '/');
	char mode[8];

	json_object_object_add(o, "name",
	    json_object_new_string(name != NULL ? name + 1 : e->path));
	json_object_object_add(o, "relativePath", json_object_new_string(e->path));
	json_object_object_add(o, "type", json_object_new_string(types[e->type]));
	json_object_object_add(o, "size",
	    e->size >= 0 ? json_object_new_int64(e->size) : NULL);
	json_object_object_add(o, "modifiedAt", time_or_null(req, e->modified));
	if (e->mode >= 0) {
		(void)snprintf(mode, sizeof(mode), "%04o", (unsigned)e->mode & 07777);
		json_object_object_add(o, "mode", json_object_new_string(mode));
	}
	if (e->etag != NULL)
		json_object_object_add(o, "etag", json_object_new_string(e->etag));
	return o;
}

static enum mw_code
send_listing(struct mw_req *req, const struct mw_listing *l)
{
	struct json_object *o = json_object_new_object(), *files = json_object_new_array();
	size_t i;

	for (i = 0; i < l->n; i++)
		json_object_array_add(files, listed(req, &l->entry[i]));
	json_object_object_add(o, "userId", json_object_new_string(req->user));
	json_object_object_add(o, "path", json_object_new_string(mw_file_shown(req, l->path)));
	json_object_object_add(o, "files", files);
	json_object_object_add(o, "count", json_object_new_int64((int64_t)l->n));
	if (l->next != NULL)
		json_object_object_add(o, "nextCursor", json_object_new_string(l->next));
	if (l->skipped > 0)
		json_object_object_add(o, "skippedNames", json_object_new_int64((int64_t)l->skipped));
	json_object_object_add(o, "source", json_object_new_string(l->from_source));
	json_object_object_add(o, "timestamp", json_object_new_string(mw_req_time(req, mw_wall())));
	req->source = l->from_source;
	return mw_res_json(req, 200, o);
}

enum mw_code
mw_files_list(struct mw_req *req, const char *path)
{
	struct mw_listing l = { .user = req->user, .path = path, .limit = MW_LIST_MAX };
	const struct mw_pair *cursor = mw_req_query(req, "cursor");
	enum mw_code code;

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
