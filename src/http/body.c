/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The request's body.  CONTENT_LENGTH is absent when a server streams a chunked
 * request: then the body ends where the stream ends.
 */
#include <string.h>

#include "http/internal.h"

static enum mw_code
too_large(struct mw_req *req, int64_t max)
{
	return mw_ctx_fail(&req->ctx, MW_BODY_TOO_LARGE,
	    "the body is larger than %lld bytes", (long long)max);
}

enum mw_code
mw_req_read(struct mw_req *req, void *p, size_t cap, size_t *n)
{
	enum mw_code code;
	long got;

	*n = 0;
	if (req->length > req->max_body)
		return too_large(req, req->max_body);
	if (req->length >= 0 && (uint64_t)(req->length - req->body_read) < cap)
		cap = (size_t)(req->length - req->body_read);
	if (cap == 0)
		return mw_digest_end(req);
	got = req->io->read(req->io->t, p, cap);
	if (got < 0)
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "the body broke off after %lld bytes", (long long)req->body_read);
	if (got == 0 && req->length >= 0)
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "the body ended after %lld of %lld bytes",
		    (long long)req->body_read, (long long)req->length);
	req->body_read += got;
	if (req->body_read > req->max_body)
		return too_large(req, req->max_body);
	*n = (size_t)got;
	if ((code = mw_digest_add(req, p, (size_t)got)) == MW_OK &&
	    (got == 0 || req->body_read == req->length))
		code = mw_digest_end(req);
	return code;
}

/* Of known length: straight into its place. */
static enum mw_code
body_sized(struct mw_req *req, char **body, size_t *n)
{
	size_t want = (size_t)req->length, used = 0, got;
	enum mw_code code;
	char *p = mw_arena_alloc(req->ctx.arena, want + 1);

	if (p == NULL)
		return mw_ctx_nomem(&req->ctx);
	do {	/* also of nothing, for the sake of its sum */
		if ((code = mw_req_read(req, p + used, want - used, &got)) != MW_OK)
			return code;
		used += got;
	} while (used < want);
	*body = p;
	*n = used;
	return MW_OK;
}

static enum mw_code
body_grow(struct mw_req *req, size_t max, struct mw_buf *b)
{
	char piece[8192];
	enum mw_code code;
	size_t got;

	for (;;) {
		if ((code = mw_req_read(req, piece, sizeof(piece), &got)) != MW_OK || got == 0)
			return code;
		if (got > max - b->len)
			return too_large(req, (int64_t)max);
		if (!mw_buf_add(b, piece, got))
			return mw_ctx_nomem(&req->ctx);
	}
}

enum mw_code
mw_req_body(struct mw_req *req, size_t max, char **body, size_t *n)
{
	enum mw_code code;
	struct mw_buf b;

	*body = NULL;
	*n = 0;
	if ((uint64_t)req->max_body < max)
		max = (size_t)req->max_body;
	if (req->length >= 0 && (uint64_t)req->length > max)
		return too_large(req, (int64_t)max);
	if (req->length >= 0)
		return body_sized(req, body, n);
	mw_buf_init(&b, max);
	code = body_grow(req, max, &b);
	if (code == MW_OK) {
		*n = b.len;
		*body = mw_arena_dup(req->ctx.arena, b.len > 0 ? b.data : "", b.len);
		if (*body == NULL)
			code = mw_ctx_nomem(&req->ctx);
	}
	mw_buf_free(&b);
	return code;
}
