/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a request says of its body.  A digest of it, or a checksum as S3 has them, is
 * compared before the handler has the body's end, so that nothing is changed by a body
 * that was damaged.  Headers that would make another file of it are refused.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/checksum.h"
#include "http/internal.h"

#define DIGESTS 16

struct mw_digests {
	size_t n;
	bool ended;
	struct digest {
		const char *header;
		struct mw_checksum sum;
		unsigned char want[MW_CHECKSUM_MAX];
	} one[DIGESTS];
};

/* The value is the sum in base64. */
static const struct {
	const char *header, *sum;
} plain[] = {
	{ "Content-MD5", "md5" },
	{ "x-amz-checksum-crc32", "crc32" },
	{ "x-amz-checksum-crc32c", "crc32c" },
	{ "x-amz-checksum-crc64nvme", "crc64nvme" },
	{ "x-amz-checksum-md5", "md5" },
	{ "x-amz-checksum-sha1", "sha1" },
	{ "x-amz-checksum-sha256", "sha256" },
	{ "x-amz-checksum-sha512", "sha512" },
};

/* RFC 9530's names of digests; others may be ignored. */
static const struct {
	const char *name, *sum;
} dictionary[] = {
	{ "sha-512", "sha512" }, { "sha-256", "sha256" }, { "sha", "sha1" }, { "md5", "md5" },
	{ "crc32c", "crc32c" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static enum mw_code
malformed(struct mw_req *req, const char *header, const char *expected)
{
	return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT, "%s: expected %s", header, expected);
}

static enum mw_code
add(struct mw_req *req, const char *header, const char *sum, const char *s, size_t n)
{
	unsigned char out[3 * (MW_CHECKSUM_MAX * 2 / 4 + 2)];
	struct mw_base64 b64 = { .acc = 0 };
	size_t size = mw_checksum_size(sum);
	struct digest *d;

	if (req->digests == NULL) {
		req->digests = mw_arena_alloc(req->ctx.arena, sizeof(*req->digests));
		if (req->digests == NULL)
			return mw_ctx_nomem(&req->ctx);
		memset(req->digests, 0, sizeof(*req->digests));
	}
	if (n > 2 * MW_CHECKSUM_MAX || mw_base64_decode(&b64, s, n, out) != (long)size ||
	    !mw_base64_finish(&b64))
		return malformed(req, header, "a sum of the right length, in base64");
	if (req->digests->n == DIGESTS)
		return malformed(req, header, "fewer sums of one body");
	d = &req->digests->one[req->digests->n++];
	d->header = header;
	memcpy(d->want, out, size);
	return mw_checksum_begin(&d->sum, sum) ? MW_OK : mw_ctx_nomem(&req->ctx);
}

/* "sha-256=:BASE64:, …": a dictionary of byte sequences (RFC 9530 2, RFC 8941 3.2). */
static enum mw_code
add_dictionary(struct mw_req *req, const char *header)
{
	const char *s = mw_req_header(req, header), *expected = "NAME=:BASE64:, ...";
	enum mw_code code = MW_OK;
	size_t i, name, n;

	for (; code == MW_OK && s != NULL && *s != '\0'; s += n + (s[n] == ',')) {
		s += strspn(s, " \t");
		name = strcspn(s, "=,");
		if (name == 0 || s[name] != '=' || s[name + 1] != ':')
			return malformed(req, header, expected);
		for (i = 0; i < COUNT(dictionary) && (strlen(dictionary[i].name) != name ||
		    memcmp(dictionary[i].name, s, name) != 0); i++)
			continue;
		s += name + 2;
		n = strcspn(s, ":");
		if (s[n] != ':')
			return malformed(req, header, expected);
		if (i < COUNT(dictionary))
			code = add(req, header, dictionary[i].sum, s, n);
		n += strcspn(s + n, ",");
	}
	return code;
}

/* ---- what is no whole body, or no file ---- */

/* Is every coding of the list "identity"? */
static bool
identity(const char *s)
{
	size_t n;

	for (;; s += n) {
		s += strspn(s, ", \t");
		n = strcspn(s, ", \t");
		if (n == 0)
			return true;
		if (n != 8 || strncasecmp(s, "identity", 8) != 0)
			return false;
	}
}

static enum mw_code
check_kind(struct mw_req *req)
{
	const char *coding = mw_req_header(req, "Content-Encoding");
	const char *type = mw_req_header(req, "Content-Type");

	/* RFC 9110 14.5: else the part would become the whole file. */
	if (mw_req_header(req, "Content-Range") != NULL)
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "Content-Range: a %s takes the whole, not a part; nothing was changed",
		    req->method_name);
	if (coding != NULL && !identity(coding))
		return mw_ctx_fail(&req->ctx, MW_UNSUPPORTED_MEDIA, "Content-Encoding: %.60s is not "
		    "taken, send the content as it is; nothing was changed", coding);
	if (type != NULL && strncasecmp(type + strspn(type, " \t"), "multipart/form-data", 19) == 0)
		return mw_ctx_fail(&req->ctx, MW_UNSUPPORTED_MEDIA, "multipart/form-data (curl -F) is "
		    "not taken, it would become part of the file; send the file alone: "
		    "curl -X %s --data-binary @FILE -H 'X-Admin-Secret: SECRET' URL",
		    req->method_name);
	return MW_OK;
}

enum mw_code
mw_digest_begin(struct mw_req *req)
{
	enum mw_code code = MW_OK;
	const char *value;
	size_t i;

	if ((req->method & (MW_PUT | MW_PATCH | MW_POST)) == 0)
		return MW_OK;
	if (req->method != MW_POST)
		code = check_kind(req);
	for (i = 0; i < COUNT(plain) && code == MW_OK; i++) {
		if ((value = mw_req_header(req, plain[i].header)) != NULL)
			code = add(req, plain[i].header, plain[i].sum, value, strlen(value));
	}
	if (code == MW_OK)
		code = add_dictionary(req, "Content-Digest");
	/* With no coding and no part, the same. */
	return code == MW_OK ? add_dictionary(req, "Repr-Digest") : code;
}

enum mw_code
mw_digest_add(struct mw_req *req, const void *p, size_t n)
{
	struct mw_digests *all = req->digests;
	size_t i;

	for (i = 0; all != NULL && i < all->n; i++) {
		if (!mw_checksum_add(&all->one[i].sum, p, n))
			return mw_ctx_nomem(&req->ctx);
	}
	return MW_OK;
}

enum mw_code
mw_digest_end(struct mw_req *req)
{
	struct mw_digests *all = req->digests;
	unsigned char got[MW_CHECKSUM_MAX];
	struct digest *d;

	if (all == NULL || all->ended)
		return MW_OK;
	all->ended = true;
	for (d = all->one; d < all->one + all->n; d++) {
		if (!mw_checksum_end(&d->sum, got))
			return mw_ctx_nomem(&req->ctx);
		if (memcmp(got, d->want, d->sum.size) != 0)
			return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT, "%s: the body has another "
			    "one, it was damaged on its way; nothing was changed", d->header);
	}
	return MW_OK;
}

void
mw_digest_free(struct mw_req *req)
{
	size_t i;

	for (i = 0; req->digests != NULL && i < req->digests->n; i++)
		mw_checksum_free(&req->digests->one[i].sum);
}
