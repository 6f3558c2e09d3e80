/* SPDX-License-Identifier: BSD-2-Clause */
/* One request from its first byte to its last, and the choice of transport. */

#include "http/internal.h"

/* The order is the contract: nothing of the request is judged before the secret. */
static enum mw_code
answer(struct mw_req *req)
{
	enum mw_code code;

	mw_request_split(req);
	if ((code = mw_auth_check(req)) != MW_OK ||
	    (code = mw_request_parse(req)) != MW_OK ||
	    (code = mw_route_find(req)) != MW_OK)
		return code;
	/* Before the handler touches an upstream for a body it cannot have. */
	if (req->length > req->max_body)
		return mw_ctx_fail(&req->ctx, MW_BODY_TOO_LARGE,
		    "the body has %lld bytes, more than the allowed %lld",
		    (long long)req->length, (long long)req->max_body);
	if ((code = mw_digest_begin(req)) != MW_OK)
		return code;
	return req->route->handle(req);
}

/* Did the whole announced body go out?  A body of unknown length ends when the handler says so. */
static bool
complete(const struct mw_req *req, enum mw_code code)
{
	if (req->broken)
		return false;
	if (req->bodiless)
		return true;
	return req->announced >= 0 ? req->sent == req->announced : code == MW_OK;
}

static void
finish(struct mw_req *req, enum mw_code code)
{
	if (!req->head_sent && code == MW_OK)
		code = mw_ctx_fail(&req->ctx, MW_INTERNAL_ERROR, "the handler gave no answer");
	if (!req->head_sent && !req->broken) {
		mw_res_error(req, code);
	} else if (!complete(req, code)) {
		if (code == MW_OK)
			code = MW_INTERNAL_ERROR;
		mw_http_abort(req);
	}
	if (req->code == MW_OK)
		req->code = code;
}

void
mw_http_one(const struct mw_http *http, struct mw_io *io, struct mw_arena *arena)
{
	struct mw_req req;

	mw_request_init(&req, http, io, arena);
	if (http->begin != NULL)
		http->begin(&req);
	finish(&req, answer(&req));
	if (http->end != NULL)
		http->end(&req);
	mw_digest_free(&req);
	mw_buf_free(&req.head);
	mw_buf_free(&req.extra);
}

int
mw_http_serve(const struct mw_http *http)
{
	return mw_http_listening() ? mw_fcgi_serve(http) : mw_cgi_serve(http);
}
