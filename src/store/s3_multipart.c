/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects above 64 MiB, in parts of one size.  The object appears with the last
 * step; a failure before it drops the parts.  What a killed process leaves is
 * dropped by the server (R2: after 7 days).
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "store/s3.h"

#define PART_DEFAULT (INT64_C(16) << 20)
#define PART_STEP (INT64_C(1) << 20)
#define PARTS_MAX 10000
#define LIST_MAX ((size_t)4 << 20)	/* bytes of the list of parts */
#define PIECE 65536

struct upload {
	struct mw_s3 *s;
	struct mw_ctx *ctx;
	const char *key;
	const struct mw_put *put;
	const char *id;			/* encoded for a query; outlives scratch memory */
	struct mw_buf parts;		/* body of the last step */
	const char **etag;
};

int64_t
mw_s3_part_size(int64_t size)
{
	int64_t least = size / PARTS_MAX + (size % PARTS_MAX != 0);

	if (least <= PART_DEFAULT)
		return PART_DEFAULT;
	return (least + PART_STEP - 1) / PART_STEP * PART_STEP;
}

static enum mw_code
initiate(struct upload *u, struct mw_err *err)
{
	struct mw_s3_req r = { .method = "POST", .key = u->key, .query = "uploads=" };
	enum mw_code code;

	mw_s3_begin(u->s);
	if (!mw_s3_put_meta(u->s, &r, u->put))
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	if ((code = mw_s3_call(u->s, u->ctx, &r)) != MW_OK) {
		*err = r.err;
		return code;
	}
	if (r.doc.root != MW_S3_INITIATE || r.doc.upload_id == NULL || r.doc.upload_id[0] == '\0')
		return mw_fail(err, MW_STORE_ERROR, "the store began no upload for %s", u->key);
	u->id = mw_sigv4_encode(u->ctx->arena, r.doc.upload_id, strlen(r.doc.upload_id), false);
	return u->id != NULL ? MW_OK : mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
}

/* SHA-256 and MD5 of one part. */
static enum mw_code
hash_part(const struct mw_put *put, int64_t at, int64_t end, unsigned char sha[32],
    unsigned char md5[16], struct mw_err *err)
{
	EVP_MD_CTX *a = EVP_MD_CTX_new(), *b = EVP_MD_CTX_new();
	unsigned char piece[PIECE];
	bool good, whole = true;
	ssize_t n;

	good = a != NULL && b != NULL && EVP_DigestInit_ex(a, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestInit_ex(b, EVP_md5(), NULL) == 1;
	while (good && at < end) {
		n = pread(put->fd, piece, end - at < PIECE ? (size_t)(end - at) : PIECE, at);
		if (n == -1 && errno == EINTR)
			continue;
		whole = n > 0;
		good = whole && EVP_DigestUpdate(a, piece, (size_t)n) == 1 &&
		    EVP_DigestUpdate(b, piece, (size_t)n) == 1;
		at += n;
	}
	good = good && EVP_DigestFinal_ex(a, sha, NULL) == 1 &&
	    EVP_DigestFinal_ex(b, md5, NULL) == 1;
	EVP_MD_CTX_free(a);
	EVP_MD_CTX_free(b);
	if (good)
		return MW_OK;
	return mw_fail(err, MW_INTERNAL_ERROR, whole ? "a part cannot be hashed" :
	    "the content to store is shorter than announced");
}

/* An ETag in XML: its quotes may stay, markup may not. */
static bool
add_part(struct upload *u, int number, const char *etag)
{
	return strpbrk(etag, "<>&") == NULL &&
	    mw_buf_addf(&u->parts, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>",
	    number, etag);
}

static enum mw_code
part(struct upload *u, int number, int64_t at, int64_t end, struct mw_err *err)
{
	struct mw_s3_req r = { .method = "PUT", .key = u->key, .fd = u->put->fd,
	    .offset = at, .size = end - at, .stream = true };
	unsigned char sha[32], md5[16];
	const char *etag;
	enum mw_code code;

	mw_s3_begin(u->s);
	if ((code = hash_part(u->put, at, end, sha, md5, err)) != MW_OK)
		return code;
	r.query = mw_arena_printf(u->s->scratch, "partNumber=%d&uploadId=%s", number, u->id);
	if (r.query == NULL || !mw_s3_put_hashes(u->s, &r, sha, md5))
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	if ((code = mw_s3_call(u->s, u->ctx, &r)) != MW_OK) {
		*err = r.err;
		return code;
	}
	code = mw_s3_put_etag(u->s, u->s->scratch, u->key, md5, &etag, err);
	if (code == MW_OK && !add_part(u, number, etag))
		code = mw_fail(err, MW_STORE_ERROR, "the store's ETag of a part is unusable");
	return code;
}

static enum mw_code
all_parts(struct upload *u, struct mw_err *err)
{
	int64_t size = u->put->size, step = mw_s3_part_size(size), at, end;
	enum mw_code code = MW_OK;
	int number = 1;

	mw_buf_adds(&u->parts, "<CompleteMultipartUpload "
	    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (at = 0; at < size && code == MW_OK; at = end) {
		end = size - at < step ? size : at + step;
		code = part(u, number++, at, end, err);
	}
	mw_buf_adds(&u->parts, "</CompleteMultipartUpload>");
	return code;
}

/* radosgw leaves the ETag of the answer to a conditional last step empty. */
static enum mw_code
ask_etag(struct upload *u, struct mw_err *err)
{
	struct mw_object obj;
	enum mw_code code = mw_s3_head(u->s, u->ctx, u->key, &obj, err);

	if (code != MW_OK)
		return code;
	if (obj.size != u->put->size)
		return mw_fail(err, MW_STORE_UNAVAILABLE, "the store has %lld bytes of %s, "
		    "not %lld", (long long)obj.size, u->key, (long long)u->put->size);
	*u->etag = obj.etag;
	return MW_OK;
}

/* The last step.  200 alone says nothing: the body may hold an error, which
 * mw_s3_call sees. */
static enum mw_code
send_complete(void *arg, enum mw_s3_how how, struct mw_err *err)
{
	struct upload *u = arg;
	struct mw_s3_req r = { .method = "POST", .key = u->key, .body = u->parts.data,
	    .size = (int64_t)u->parts.len, .stream = true };
	unsigned char sha[32], md5[16];
	enum mw_code code;

	mw_s3_begin(u->s);
	if (u->parts.failed)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	SHA256((const unsigned char *)u->parts.data, u->parts.len, sha);
	if (EVP_Digest(u->parts.data, u->parts.len, md5, NULL, EVP_md5(), NULL) != 1)
		return mw_fail(err, MW_INTERNAL_ERROR, "MD5 is not to be had");
	r.query = mw_arena_printf(u->s->scratch, "uploadId=%s", u->id);
	if (r.query == NULL || !mw_s3_put_hashes(u->s, &r, sha, md5) ||
	    !mw_s3_header(&r, "Content-Type", "application/xml") ||
	    !mw_s3_put_conditions(u->s, &r, u->put, how))
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	if ((code = mw_s3_call(u->s, u->ctx, &r)) != MW_OK) {
		*err = r.err;
		return code;
	}
	if (r.doc.root != MW_S3_COMPLETE)
		return mw_fail(err, MW_STORE_UNAVAILABLE,
		    "the store did not say that %s is complete", u->key);
	*u->etag = mw_s3_etag(u->ctx->arena, r.doc.etag);
	return *u->etag != NULL ? MW_OK : ask_etag(u, err);
}

static void
drop(struct upload *u)
{
	struct mw_s3_req r = { .method = "DELETE", .key = u->key };

	mw_s3_begin(u->s);
	r.query = mw_arena_printf(u->s->scratch, "uploadId=%s", u->id);
	if (r.query != NULL && mw_s3_call(u->s, u->ctx, &r) != MW_OK)
		mw_err_clear(&r.err);	/* the server drops it in its own time */
}

enum mw_code
mw_s3_multipart(struct mw_s3 *s, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, const char **etag, struct mw_err *err)
{
	struct upload u = { .s = s, .ctx = ctx, .key = key, .put = put, .etag = etag };
	enum mw_code code;

	/* Refused later anyway, but then everything would have been sent. */
	if ((put->if_match != NULL || put->if_none_match) &&
	    (code = mw_s3_put_decide(s, ctx, key, put, err)) != MW_OK)
		return code;
	mw_buf_init(&u.parts, LIST_MAX);
	if ((code = initiate(&u, err)) == MW_OK) {
		code = all_parts(&u, err);
		if (code == MW_OK)
			code = mw_s3_put_guarded(s, ctx, key, put, send_complete, &u, err);
		if (code != MW_OK)
			drop(&u);
	}
	mw_buf_free(&u.parts);
	return code;
}
