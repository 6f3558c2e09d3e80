/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing into the directory: a temporary file with its sidecar beside it, both
 * synced; then, under the key's lock, the conditions and two renames.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/etag.h"
#include "base/lockfile.h"
#include "base/str.h"
#include "store/dir.h"

#define FILE_MODE 0640
#define PLACE_TRIES 100		/* against directories removed meanwhile */

static enum mw_code
copy_piece(int from, int64_t *at, int64_t end, int to, EVP_MD_CTX *md5, struct mw_err *err)
{
	unsigned char piece[MW_DIR_PIECE];
	int64_t left = end - *at;
	ssize_t n;

	do {
		n = pread(from, piece, left < MW_DIR_PIECE ? (size_t)left : MW_DIR_PIECE, *at);
	} while (n == -1 && errno == EINTR);
	if (n <= 0)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "the content to store is shorter than announced");
	*at += n;
	if (EVP_DigestUpdate(md5, piece, (size_t)n) != 1)
		return mw_fail(err, MW_INTERNAL_ERROR, "MD5 is not to be had");
	return mw_write_all(to, piece, (size_t)n, err);
}

/* The content into `to`; its MD5 must be what the caller said. */
static enum mw_code
copy_in(struct mw_ctx *ctx, const char *key, const struct mw_put *put, int to)
{
	EVP_MD_CTX *md5 = EVP_MD_CTX_new();
	struct mw_err local = { 0 };
	enum mw_code code = MW_OK;
	unsigned char sum[16];
	int64_t at = 0;

	if (md5 == NULL || EVP_DigestInit_ex(md5, EVP_md5(), NULL) != 1)
		code = mw_fail(&local, MW_INTERNAL_ERROR, "MD5 is not to be had");
	while (code == MW_OK && at < put->size) {
		code = copy_piece(put->fd, &at, put->size, to, md5, &local);
		if (code == MW_OK && mw_left(ctx->deadline) == 0)
			code = mw_fail(&local, MW_STORE_UNAVAILABLE, "it took too long");
	}
	if (code == MW_OK && (EVP_DigestFinal_ex(md5, sum, NULL) != 1 ||
	    memcmp(sum, put->md5, sizeof(sum)) != 0))
		code = mw_fail(&local, MW_INTERNAL_ERROR, "its checksum is not the announced one");
	if (code == MW_OK && fsync(to) == -1)
		code = mw_dir_fail(&local, errno, "sync", key);
	EVP_MD_CTX_free(md5);
	if (code == MW_OK)
		return MW_OK;
	return mw_ctx_fail(ctx, code, "cannot store %s: %s", key, local.msg);
}

/* Under the key's lock: what is stored now against what the caller expects. */
static enum mw_code
conditions(struct mw_dir *d, struct mw_ctx *ctx, const char *key, const struct mw_put *put)
{
	struct mw_ctx now = *ctx;
	struct mw_dir_meta m;
	struct stat st;
	enum mw_code code;
	bool missing;
	int fd;

	if (put->if_match == NULL && !put->if_none_match)
		return MW_OK;
	mw_err_clear(&now.err);
	code = mw_dir_object(d, &now, key, &fd, &st, &m);
	missing = code == MW_FILE_NOT_FOUND;
	if (code != MW_OK && !missing)
		return mw_ctx_fail(ctx, code, "%s", now.err.msg);
	if (!missing)
		(void)close(fd);
	if (put->if_none_match && !missing)
		return mw_ctx_fail(ctx, MW_PRECONDITION_FAILED, "%s exists already", key);
	if (put->if_match != NULL && (missing || !mw_etag_in(put->if_match, m.etag, false)))
		return mw_ctx_fail(ctx, MW_PRECONDITION_FAILED, missing ?
		    "%s does not exist" : "%s is another version now", key);
	return MW_OK;
}

/* Rename the finished file into place; its directory may vanish while we look. */
static enum mw_code
place(struct mw_dir *d, struct mw_ctx *ctx, const char *key, const char *name)
{
	const char *leaf;
	int fd = -1, try, e = 0;

	for (try = 0; try < PLACE_TRIES; try++) {
		if ((fd = mw_dir_parent(d, key, true, &leaf)) != -1) {
			e = renameat(d->tmp, name, fd, leaf) == 0 && fsync(fd) == 0 ? 0 : errno;
			(void)close(fd);
		} else
			e = errno;
		if (e != ENOENT)
			break;
	}
	switch (e) {
	case 0:
		return MW_OK;
	case ENOTDIR:
	case ELOOP:
		return mw_ctx_fail(ctx, MW_CONFLICT, "%s: a part of this path is a file, "
		    "not a directory", key);
	case EISDIR:
	case ENOTEMPTY:
	case EEXIST:
		return mw_ctx_fail(ctx, MW_CONFLICT, "%s is a directory", key);
	default:
		return mw_dir_fail(&ctx->err, e, "store", key);
	}
}

/* From the finished temporary file to the object. */
static enum mw_code
publish(struct mw_dir *d, struct mw_ctx *ctx, const char *key, const struct mw_put *put,
    const char *name, const struct stat *st)
{
	char sidecar[MW_TMPNAME_LEN];
	struct mw_dir_meta m = { .mode = put->mode, .mtime = put->mtime };
	enum mw_code code;
	int lock;

	mw_dir_etag(put->md5, m.etag);
	if (put->content_type != NULL && strlen(put->content_type) <= MW_DIR_TYPE_MAX &&
	    mw_str_header_ok(put->content_type))
		memcpy(m.type, put->content_type, strlen(put->content_type) + 1);
	if ((code = mw_dir_meta_stage(d, key, st, &m, sidecar, &ctx->err)) != MW_OK)
		return code;
	if ((code = mw_dir_lock(d, ctx, key, &lock)) == MW_OK &&
	    (code = conditions(d, ctx, key, put)) == MW_OK)
		code = place(d, ctx, key, name);
	if (code == MW_OK)
		mw_dir_meta_commit(d, key, sidecar);
	else
		(void)unlinkat(d->tmp, sidecar, 0);
	mw_lockfile_give(lock);
	return code;
}

enum mw_code
mw_dir_put(struct mw_store *s, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, const char **etag)
{
	struct mw_dir *d = (struct mw_dir *)s;
	char name[MW_TMPNAME_LEN], text[35];
	struct mw_err local = { 0 };
	struct stat st;
	enum mw_code code;
	int fd;

	if ((code = mw_dir_key_check(key, &ctx->err)) != MW_OK ||
	    (code = mw_dir_enter(d, &ctx->err)) != MW_OK)
		return code;
	if (mw_tmpfile(d->tmp, FILE_MODE, name, &fd, &local) != MW_OK)
		return mw_dir_fail(&ctx->err, local.code == MW_STORAGE_FULL ? ENOSPC : errno,
		    "store", key);
	code = copy_in(ctx, key, put, fd);
	if (code == MW_OK && fstat(fd, &st) == -1)
		code = mw_dir_fail(&ctx->err, errno, "store", key);
	if (code == MW_OK)
		code = publish(d, ctx, key, put, name, &st);
	if (code != MW_OK)
		(void)unlinkat(d->tmp, name, 0);
	(void)close(fd);
	if (code != MW_OK)
		return code;
	mw_dir_etag(put->md5, text);
	if ((*etag = mw_arena_strdup(ctx->arena, text)) == NULL)
		return mw_ctx_nomem(ctx);
	return MW_OK;
}
