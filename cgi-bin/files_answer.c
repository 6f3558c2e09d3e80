/* SPDX-License-Identifier: BSD-2-Clause */
/* What the answers of the files routes have in common. */
#include "files.h"

#include "app/responder.h"
#include "ops/files/params.h"

const char *
mw_file_shown(struct mw_req *req, const char *path)
{
	const char *s = mw_arena_cat(req->ctx.arena, "/", path, (char *)NULL);

	return s != NULL ? s : path;
}

enum mw_code
mw_file_failed(struct mw_req *req, enum mw_code code, unsigned tried)
{
	if (code == MW_FILE_NOT_FOUND)
		mw_add_tried(&req->extra, tried);
	return code;
}
