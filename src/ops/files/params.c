/* SPDX-License-Identifier: BSD-2-Clause */
/* Parameters and members that several routes of files have in common. */
#include "ops/files/params.h"

#include <string.h>

#include "base/json.h"

enum mw_source
mw_source_default(const struct mw_conf *conf)
{
	int n;

	for (n = 0; mw_source_words[n] != NULL; n++) {
		if (strcmp(mw_source_words[n], conf->read.default_source) == 0)
			return (enum mw_source)n;
	}
	return MW_SRC_AUTO;
}

enum mw_code
mw_query_source(struct mw_req *req, enum mw_source *source)
{
	int n = (int)mw_source_default(req->app->conf);
	enum mw_code code = mw_req_query_choice(req, "source", mw_source_words, &n);

	*source = (enum mw_source)n;
	return code;
}

enum mw_code
mw_header_conditions(struct mw_req *req, const char **if_match, const char **if_none_match)
{
	*if_match = mw_req_header(req, "If-Match");
	*if_none_match = mw_req_header(req, "If-None-Match");
	if (*if_match != NULL && !mw_etag_list_valid(*if_match))
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "If-Match: expected * or quoted entity tags");
	if (*if_none_match != NULL && !mw_etag_list_valid(*if_none_match))
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "If-None-Match: expected * or quoted entity tags");
	return MW_OK;
}

void
mw_add_r2_sync(struct mw_buf *b, const struct mw_write *w)
{
	(void)mw_json_open(b, "r2Sync", '{');
	(void)mw_json_add_bool(b, "success", w->r2_synced);
	(void)mw_json_add_bool(b, "queued", w->r2_queued);
	(void)mw_json_add(b, "error", w->r2_error);
	(void)mw_json_close(b, '}');
}

void
mw_add_tried(struct mw_buf *b, unsigned tried)
{
	(void)mw_json_open(b, "triedSources", '[');
	if (tried & MW_TRIED_R2)
		(void)mw_json_add(b, NULL, "r2");
	if (tried & MW_TRIED_CONTAINER)
		(void)mw_json_add(b, NULL, "container");
	(void)mw_json_close(b, ']');
}
