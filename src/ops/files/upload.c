/* SPDX-License-Identifier: BSD-2-Clause */
/* The body of a PUT into a spool file. */
#include "ops/files/upload.h"

#include <string.h>
#include <unistd.h>

#include "base/json.h"

#define PIECE (16 * 1024)

enum member { OTHER, CONTENT, ENCODING };

struct reader {
	struct mw_req *req;
	struct mw_spool *spool;
	enum member member;		/* whose value comes next */
	bool has_content, has_encoding;
	bool base64;
	char encoding[16];
	size_t encoding_len;
};

static enum mw_code
raw_body(struct mw_req *req, struct mw_spool *spool)
{
	char piece[PIECE];
	enum mw_code code;
	size_t n;

	do {
		if ((code = mw_req_read(req, piece, sizeof(piece), &n)) != MW_OK ||
		    (n > 0 && (code = mw_spool_add(spool, piece, n, &req->ctx.err)) != MW_OK))
			return code;
	} while (n > 0);
	return MW_OK;
}

/* ---- JSON ---- */

static enum mw_code
wrong_type(struct reader *r)
{
	if (r->member == CONTENT)
		return mw_ctx_fail(&r->req->ctx, MW_INVALID_ARGUMENT,
		    "content: expected a string");
	return mw_ctx_fail(&r->req->ctx, MW_INVALID_ARGUMENT,
	    "encoding: expected \"utf-8\" or \"base64\"");
}

static enum mw_code
key(struct reader *r, const char *text, size_t n)
{
	bool *seen = NULL;

	r->member = OTHER;
	if (n == 7 && memcmp(text, "content", 7) == 0) {
		r->member = CONTENT;
		seen = &r->has_content;
	} else if (n == 8 && memcmp(text, "encoding", 8) == 0) {
		r->member = ENCODING;
		seen = &r->has_encoding;
	}
	if (seen != NULL && *seen)
		return mw_ctx_fail(&r->req->ctx, MW_INVALID_ARGUMENT,
		    "%.*s: given twice", (int)n, text);
	if (seen != NULL)
		*seen = true;
	return MW_OK;
}

static enum mw_code
chunk(struct reader *r, const char *text, size_t n)
{
	if (r->member == CONTENT)
		return mw_spool_add(r->spool, text, n, &r->req->ctx.err);
	if (r->member == ENCODING) {
		if (n > sizeof(r->encoding) - 1 - r->encoding_len)
			return wrong_type(r);
		memcpy(r->encoding + r->encoding_len, text, n);
		r->encoding_len += n;
	}
	return MW_OK;
}

static enum mw_code
string_end(struct reader *r)
{
	if (r->member != ENCODING)
		return MW_OK;
	r->base64 = r->encoding_len == 6 && memcmp(r->encoding, "base64", 6) == 0;
	if (r->base64 || (r->encoding_len == 5 && memcmp(r->encoding, "utf-8", 5) == 0))
		return MW_OK;
	return wrong_type(r);
}

/* Only members of the top object matter; what lies deeper is unknown to us. */
static enum mw_code
event(void *arg, enum mw_json_event ev, const char *text, size_t n, unsigned depth)
{
	struct reader *r = arg;

	if (depth == 0 && ev != MW_JSON_OBJECT && ev != MW_JSON_OBJECT_END)
		return mw_ctx_fail(&r->req->ctx, MW_INVALID_ARGUMENT,
		    "body: expected a JSON object with the member content");
	if (depth != 1)
		return MW_OK;
	switch (ev) {
	case MW_JSON_KEY:
		return key(r, text, n);
	case MW_JSON_CHUNK:
		return chunk(r, text, n);
	case MW_JSON_STRING_END:
		return string_end(r);
	case MW_JSON_STRING:
	case MW_JSON_OBJECT_END:
	case MW_JSON_ARRAY_END:
		return MW_OK;
	default:
		return r->member == OTHER ? MW_OK : wrong_type(r);
	}
}

static enum mw_code
parse(struct reader *r)
{
	struct mw_req *req = r->req;
	struct mw_json json;
	char piece[PIECE];
	enum mw_code code;
	size_t n;

	mw_json_init(&json, event, r);
	do {
		if ((code = mw_req_read(req, piece, sizeof(piece), &n)) != MW_OK ||
		    (n > 0 && (code = mw_json_feed(&json, piece, n, &req->ctx.err)) != MW_OK))
			return code;
	} while (n > 0);
	if ((code = mw_json_finish(&json, &req->ctx.err)) != MW_OK)
		return code;
	if (!r->has_content)
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "content: missing; expected a string");
	return MW_OK;
}

/* `encoding` may come after `content`, so the letters are in the spool first. */
static enum mw_code
decode(struct mw_req *req, struct mw_spool *spool)
{
	struct mw_spool plain = { .fd = -1 };
	struct mw_base64 b64 = { .acc = 0 };
	unsigned char out[3 * (PIECE / 4 + 2)];
	char in[PIECE];
	int64_t at = 0;
	enum mw_code code;
	ssize_t got;
	long n;

	if ((code = mw_spool_begin(&plain, req->app->spool_dir, &req->ctx.err)) != MW_OK)
		return code;
	while ((got = pread(spool->fd, in, sizeof(in), at)) > 0 && code == MW_OK) {
		at += got;
		if ((n = mw_base64_decode(&b64, in, (size_t)got, out)) < 0)
			break;
		code = mw_spool_add(&plain, out, (size_t)n, &req->ctx.err);
	}
	if (code == MW_OK && got < 0)
		code = mw_ctx_fail(&req->ctx, MW_INTERNAL_ERROR, "the spooled body cannot be read");
	if (code == MW_OK && (got > 0 || !mw_base64_finish(&b64)))
		code = mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "content: expected base64 (RFC 4648, padded, no white space)");
	mw_spool_drop(spool);
	*spool = plain;
	return code;
}

static enum mw_code
json_body(struct mw_req *req, struct mw_spool *spool)
{
	struct reader r = { .req = req, .spool = spool };
	enum mw_code code;

	if ((code = parse(&r)) != MW_OK || !r.base64)
		return code;
	return decode(req, spool);
}

enum mw_code
mw_body_spool(struct mw_req *req, struct mw_spool *spool)
{
	enum mw_code code;

	if (req->length > req->max_body)
		return mw_ctx_fail(&req->ctx, MW_BODY_TOO_LARGE,
		    "The body has %lld bytes; at most %lld are taken (http.max_body)",
		    (long long)req->length, (long long)req->max_body);
	if ((code = mw_spool_begin(spool, req->app->spool_dir, &req->ctx.err)) != MW_OK)
		return code;
	code = mw_req_is_json(req) ? json_body(req, spool) : raw_body(req, spool);
	return code == MW_OK ? mw_spool_finish(spool, &req->ctx.err) : code;
}
