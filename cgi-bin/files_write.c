/* SPDX-License-Identifier: BSD-2-Clause */
/* PUT and DELETE of a file. */
#include "files.h"

#include "base/mime.h"
#include "base/json.h"
#include "ops/files/upload.h"
#include "ops/files/params.h"
#include "state/metrics.h"
#include "app/responder.h"

static enum mw_code
write_params(struct mw_req *req, struct mw_write *w)
{
	enum mw_code code;
	bool skip = false;
	int target = MW_TARGET_BOTH;

	if ((code = mw_app_max_wake(req, &w->max_wake)) != MW_OK ||
	    (code = mw_req_query_choice(req, "target", mw_target_words, &target)) != MW_OK ||
	    (code = mw_req_query_bool(req, "skipR2", &skip)) != MW_OK)
		return code;
	if (skip && target == MW_TARGET_R2)
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "skipR2: it contradicts target=r2");
	w->target = skip ? MW_TARGET_CONTAINER : (enum mw_target)target;
	return mw_header_conditions(req, &w->if_match, &w->if_none_match);
}

static enum mw_code
put_answer(struct mw_req *req, const struct mw_write *w, int64_t size)
{
	struct mw_buf b;

	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	(void)mw_json_add(&b, "path", mw_file_shown(req, w->path));
	(void)mw_json_add_bool(&b, "success", true);
	(void)mw_json_add_int(&b, "bytesWritten", size);
	(void)mw_json_add(&b, "mimeType", mw_path_mime(w->path));
	if (w->etag != NULL)
		(void)mw_json_add(&b, "etag", w->etag);
	mw_add_r2_sync(&b, w);
	return mw_res_object(req, 200, &b);
}

enum mw_code
mw_files_write(struct mw_req *req, const char *path)
{
	struct mw_write w = { .user = req->user, .path = path };
	struct mw_spool body = { .fd = -1 };
	enum mw_code code;

	req->app->file_op = MW_FILE_WRITE;
	if ((code = write_params(req, &w)) != MW_OK)
		return code;
	if ((code = mw_body_spool(req, &body)) == MW_OK) {
		mw_app_deadline(req, w.max_wake, MW_TRANSFER_TIME);
		req->touched = true;
		if ((code = mw_write_file(req->app, &req->ctx, &w, &body)) == MW_OK)
			code = put_answer(req, &w, body.size);
	}
	mw_spool_drop(&body);
	return code;
}

enum mw_code
mw_files_remove(struct mw_req *req, const char *path)
{
	struct mw_write w = { .user = req->user, .path = path };
	struct mw_buf b;
	enum mw_code code;

	req->app->file_op = MW_FILE_DELETE;
	if ((code = write_params(req, &w)) != MW_OK)
		return code;
	mw_app_deadline(req, w.max_wake, req->app->conf->sandbox.timeout);
	req->touched = true;
	if ((code = mw_delete_file(req->app, &req->ctx, &w)) != MW_OK)
		return mw_file_failed(req, code, w.tried);
	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	(void)mw_json_add(&b, "path", mw_file_shown(req, path));
	(void)mw_json_add_bool(&b, "success", true);
	(void)mw_json_add_bool(&b, "existed", w.existed);
	mw_add_r2_sync(&b, &w);
	return mw_res_object(req, 200, &b);
}
