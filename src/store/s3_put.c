/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing one object, and the conditions on writes as servers differ in them. */
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "store/s3.h"

#define DEFAULT_TYPE "application/octet-stream"

/* A value that every server signs as we do: no TAB, no space at an end or doubled. */
static bool
type_ok(const char *s)
{
	size_t n = s == NULL ? 0 : strlen(s);

	return n > 0 && n <= 255 && mw_str_header_ok(s) && strchr(s, '\t') == NULL &&
	    s[0] != ' ' && s[n - 1] != ' ' && strstr(s, "  ") == NULL;
}

bool
mw_s3_put_meta(struct mw_s3 *s, struct mw_s3_req *r, const struct mw_put *put)
{
	return mw_s3_header(r, "Content-Type",
	    type_ok(put->content_type) ? put->content_type : DEFAULT_TYPE) &&
	    (put->mode < 0 || mw_s3_header(r, "x-amz-meta-mode",
	    mw_arena_printf(s->scratch, "%04llo", (unsigned long long)put->mode & 07777))) &&
	    (put->mtime < 0 || mw_s3_header(r, "x-amz-meta-mtime",
	    mw_arena_printf(s->scratch, "%lld.%03lld", (long long)(put->mtime / 1000),
	    (long long)(put->mtime % 1000))));
}

static bool
to_buf(void *arg, const void *p, size_t n)
{
	return mw_buf_add(arg, p, n);
}

bool
mw_s3_put_hashes(struct mw_s3 *s, struct mw_s3_req *r, const unsigned char sha256[32],
    const unsigned char md5[16])
{
	char *hex = mw_arena_alloc(s->scratch, 65);
	const char *value = NULL;
	struct mw_buf b;

	mw_buf_init(&b, 64);
	if (mw_base64_write(to_buf, &b, md5, 16))
		value = mw_arena_dup(s->scratch, b.data, b.len);
	mw_buf_free(&b);
	if (hex == NULL || !mw_s3_header(r, "Content-MD5", value))
		return false;
	mw_str_hex(sha256, 32, hex);
	r->sha256 = hex;
	return true;
}

bool
mw_s3_etag_is_md5(struct mw_s3 *s, const char *etag)
{
	const char *kms = mw_net_header(s->net, "x-amz-server-side-encryption");

	return strlen(etag) == 34 && strspn(etag + 1, "0123456789abcdefABCDEF") == 32 &&
	    (kms == NULL || strncmp(kms, "aws:kms", 7) != 0) &&
	    mw_net_header(s->net, "x-amz-server-side-encryption-customer-algorithm") == NULL;
}

enum mw_code
mw_s3_put_etag(struct mw_s3 *s, struct mw_arena *a, const char *key,
    const unsigned char md5[16], const char **etag, struct mw_err *err)
{
	unsigned char stored[16];

	*etag = mw_s3_etag(a, mw_net_header(s->net, "ETag"));
	if (*etag == NULL)
		return mw_fail(err, MW_STORE_ERROR,
		    "the store's answer to a put has no ETag: is the endpoint an S3 server?");
	if (mw_s3_etag_is_md5(s, *etag) && mw_str_unhex(*etag + 1, 32, stored) &&
	    memcmp(stored, md5, sizeof(stored)) != 0)
		return mw_fail(err, MW_STORE_UNAVAILABLE,
		    "the store's checksum of %s is not ours", key);
	return MW_OK;
}

bool
mw_s3_put_conditions(struct mw_s3 *s, struct mw_s3_req *r, const struct mw_put *put,
    enum mw_s3_how how)
{
	const char *tag = put->if_match;
	size_t n = tag == NULL ? 0 : strlen(tag);

	if (how == MW_S3_PLAIN)
		return true;
	if (how == MW_S3_BARE && n >= 2 && tag[0] == '"')
		tag = mw_arena_dup(s->scratch, tag + 1, n - 2);
	return (put->if_match == NULL || mw_s3_header(r, "If-Match", tag)) &&
	    (!put->if_none_match || mw_s3_header(r, "If-None-Match", "*"));
}

enum mw_code
mw_s3_put_decide(struct mw_s3 *s, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, struct mw_err *err)
{
	struct mw_err local = { 0 };
	struct mw_object obj;
	enum mw_code code = mw_s3_head(s, ctx, key, &obj, &local);

	if (code != MW_OK && code != MW_FILE_NOT_FOUND) {
		if (err->code == MW_OK)
			*err = local;
		return code;
	}
	if (put->if_none_match && code == MW_OK)
		return mw_fail(err, MW_PRECONDITION_FAILED, "%s exists already", key);
	if (put->if_match != NULL && code != MW_OK)
		return mw_fail(err, MW_PRECONDITION_FAILED, "%s does not exist", key);
	if (put->if_match != NULL && strcmp(put->if_match, obj.etag) != 0)
		return mw_fail(err, MW_PRECONDITION_FAILED, "%s is another version now: %s",
		    key, obj.etag);
	return MW_OK;
}

static enum mw_code
guarded_by_head(struct mw_s3 *s, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, mw_s3_send send, void *arg, struct mw_err *err)
{
	enum mw_code code;

	mw_err_clear(err);
	code = mw_s3_put_decide(s, ctx, key, put, err);
	return code == MW_OK ? send(arg, MW_S3_PLAIN, err) : code;
}

enum mw_code
mw_s3_put_guarded(struct mw_s3 *s, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, mw_s3_send send, void *arg, struct mw_err *err)
{
	struct mw_err other = { 0 };
	enum mw_code code;

	if (put->if_match == NULL && !put->if_none_match)
		return send(arg, MW_S3_PLAIN, err);
	if (s->no_conditions)
		return guarded_by_head(s, ctx, key, put, send, arg, err);
	code = send(arg, MW_S3_QUOTED, err);
	if (code == MW_NOT_SUPPORTED) {
		s->no_conditions = true;
		return guarded_by_head(s, ctx, key, put, send, arg, err);
	}
	if (put->if_match == NULL)
		return code;
	/* If-Match on nothing is a 404 on some servers. */
	if (code == MW_FILE_NOT_FOUND) {
		mw_err_clear(err);
		return mw_fail(err, MW_PRECONDITION_FAILED, "%s does not exist", key);
	}
	if (code == MW_PRECONDITION_FAILED &&
	    mw_s3_put_decide(s, ctx, key, put, &other) == MW_OK) {
		mw_err_clear(err);
		code = send(arg, MW_S3_BARE, err);
	}
	return code;
}

struct single {
	struct mw_s3 *s;
	struct mw_ctx *ctx;
	const char *key;
	const struct mw_put *put;
	const char **etag;
};

static enum mw_code
send_single(void *arg, enum mw_s3_how how, struct mw_err *err)
{
	struct single *p = arg;
	struct mw_s3_req r = { .method = "PUT", .key = p->key, .fd = p->put->fd,
	    .size = p->put->size, .stream = true,
	    .once = p->put->if_match != NULL || p->put->if_none_match };
	enum mw_code code;

	if (!mw_s3_put_hashes(p->s, &r, p->put->sha256, p->put->md5) ||
	    !mw_s3_put_meta(p->s, &r, p->put) ||
	    !mw_s3_put_conditions(p->s, &r, p->put, how))
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	code = mw_s3_call(p->s, p->ctx, &r);
	if (code != MW_OK) {
		*err = r.err;
		return code;
	}
	return mw_s3_put_etag(p->s, p->ctx->arena, p->key, p->put->md5, p->etag, err);
}

enum mw_code
mw_s3_put(struct mw_store *st, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, const char **etag)
{
	struct mw_s3 *s = (struct mw_s3 *)st;
	struct single p = { s, ctx, key, put, etag };
	struct mw_err err = { 0 };
	enum mw_code code;

	*etag = NULL;
	if ((code = mw_key_check(key, MW_KEY_MAX, &ctx->err)) != MW_OK)
		return code;
	mw_s3_begin(s);
	if (put->size > MW_S3_ONE_MAX)
		code = mw_s3_multipart(s, ctx, key, put, etag, &err);
	else
		code = mw_s3_put_guarded(s, ctx, key, put, send_single, &p, &err);
	if (code != MW_OK && ctx->err.code == MW_OK)
		ctx->err = err;
	return code;
}
