/* SPDX-License-Identifier: BSD-2-Clause */
/* Sidecars of the directory store: ETag, type, mode and mtime of a file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/lockfile.h"
#include "base/str.h"
#include "store/dir.h"

#define HEAD "moltworker-store 1\n"
#define SIDECAR_MAX 4096		/* key, type and four numbers */
#define NAME_LEN (2 + 1 + 62 + 1)	/* "ab/cdef..." and NUL */

_Static_assert(SIDECAR_MAX > MW_DIR_KEY_MAX + MW_DIR_TYPE_MAX + 256, "a sidecar fits");

void
mw_dir_etag(const unsigned char md5[16], char etag[35])
{
	etag[0] = '"';
	mw_str_hex(md5, 16, etag + 1);
	etag[33] = '"';
	etag[34] = '\0';
}

/* The sidecar's name: a hash, because a key that was a file may become a
 * directory, and a name has limits that a key has not. */
static void
sidecar_name(const char *key, char out[NAME_LEN])
{
	unsigned char md[32];
	char hex[65];

	SHA256((const unsigned char *)key, strlen(key), md);
	mw_str_hex(md, sizeof(md), hex);
	(void)snprintf(out, NAME_LEN, "%.2s/%s", hex, hex + 2);
}

static int64_t
mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* The next line must begin with `name`; its rest is *value, ended with NUL. */
static bool
field(char **p, const char *name, char **value)
{
	size_t n = strlen(name);
	char *end = strchr(*p, '\n');

	if (end == NULL || strncmp(*p, name, n) != 0)
		return false;
	*end = '\0';
	*value = *p + n;
	*p = end + 1;
	return true;
}

static bool
number(char **p, const char *name, int64_t *out)
{
	char *v;

	return field(p, name, &v) &&
	    mw_str_int(v, strlen(v), INT64_MIN, INT64_MAX, out);
}

static bool
parse(char *text, const char *key, const struct stat *st, struct mw_dir_meta *m)
{
	char *p = text + sizeof(HEAD) - 1, *md5, *type, *name;
	unsigned char raw[16];
	int64_t ino, size, mtime;

	if (strncmp(text, HEAD, sizeof(HEAD) - 1) != 0 ||
	    !number(&p, "inode ", &ino) || !number(&p, "size ", &size) ||
	    !number(&p, "written ", &mtime) || !field(&p, "md5 ", &md5) ||
	    !number(&p, "mode ", &m->mode) || !number(&p, "mtime ", &m->mtime) ||
	    !field(&p, "type ", &type) || !field(&p, "key ", &name))
		return false;
	if (ino != (int64_t)st->st_ino || size != (int64_t)st->st_size ||
	    mtime != mtime_ns(st) || strcmp(name, key) != 0 ||
	    strlen(md5) != 32 || !mw_str_unhex(md5, 32, raw) ||
	    strlen(type) > MW_DIR_TYPE_MAX)
		return false;
	mw_dir_etag(raw, m->etag);
	memcpy(m->type, type, strlen(type) + 1);
	return true;
}

/* The sidecar, if it describes this very file. */
static bool
sidecar_read(struct mw_dir *d, const char *key, const struct stat *st,
    struct mw_dir_meta *m)
{
	char name[NAME_LEN], text[SIDECAR_MAX + 1];
	ssize_t n;
	int fd;

	sidecar_name(key, name);
	fd = mw_dir_open(d->meta, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return false;
	n = read(fd, text, SIDECAR_MAX);
	(void)close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return strlen(text) == (size_t)n && parse(text, key, st, m);
}

enum mw_code
mw_dir_meta_stage(struct mw_dir *d, const char *key, const struct stat *st,
    const struct mw_dir_meta *m, char name[MW_TMPNAME_LEN], struct mw_err *err)
{
	struct mw_err local = { 0 };
	struct mw_buf b;
	enum mw_code code = MW_OK;
	int fd;

	if (mw_tmpfile(d->tmp, 0640, name, &fd, &local) != MW_OK)
		return mw_dir_fail(err, local.code == MW_STORAGE_FULL ? ENOSPC : errno,
		    "write the sidecar of", key);
	mw_buf_init(&b, SIDECAR_MAX);
	mw_buf_addf(&b, HEAD "inode %" PRIu64 "\nsize %" PRId64 "\nwritten %" PRId64
	    "\nmd5 %.32s\nmode %" PRId64 "\nmtime %" PRId64 "\ntype %s\nkey %s\n",
	    (uint64_t)st->st_ino, (int64_t)st->st_size, mtime_ns(st), m->etag + 1,
	    m->mode, m->mtime, m->type, key);
	if (b.failed || mw_write_all(fd, b.data, b.len, &local) != MW_OK ||
	    fdatasync(fd) == -1) {
		code = mw_dir_fail(err, b.failed ? ENOMEM : errno, "write the sidecar of", key);
		(void)unlinkat(d->tmp, name, 0);
	}
	mw_buf_free(&b);
	(void)close(fd);
	return code;
}

void
mw_dir_meta_commit(struct mw_dir *d, const char *key, const char *name)
{
	char to[NAME_LEN], dir[3];

	sidecar_name(key, to);
	memcpy(dir, to, 2);
	dir[2] = '\0';
	if (renameat(d->tmp, name, d->meta, to) == 0)
		return;
	if (errno == ENOENT && (mkdirat(d->meta, dir, 0750) == 0 || errno == EEXIST) &&
	    renameat(d->tmp, name, d->meta, to) == 0)
		return;
	/* The object is whole without it; only mode and type are lost. */
	(void)unlinkat(d->tmp, name, 0);
}

void
mw_dir_meta_remove(struct mw_dir *d, const char *key)
{
	char name[NAME_LEN];

	sidecar_name(key, name);
	(void)unlinkat(d->meta, name, 0);
}

static bool
md5_of(int fd, int64_t size, unsigned char out[16])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char piece[MW_DIR_PIECE];
	int64_t at = 0;
	ssize_t n = 0;
	bool good;

	good = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1;
	while (good && at < size) {
		n = pread(fd, piece, sizeof(piece), at);
		if (n == -1 && errno == EINTR)
			continue;
		good = n > 0 && EVP_DigestUpdate(ctx, piece, (size_t)n) == 1;
		at += n;
	}
	good = good && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

/* Write the sidecar anew, unless somebody is changing the object right now or
 * it has been replaced since it was opened. */
static void
repair(struct mw_dir *d, const char *key, const struct stat *st,
    const struct mw_dir_meta *m)
{
	struct mw_err ignored = { 0 };
	char name[MW_TMPNAME_LEN];
	struct stat now;
	int lock, fd;

	if (mw_lockfile_take(d->lock_path, key, 0, &lock, &ignored) != MW_OK)
		return;
	fd = mw_dir_open(d->root, key, O_PATH);
	if (fd != -1 && fstat(fd, &now) == 0 && now.st_ino == st->st_ino &&
	    now.st_size == st->st_size && mtime_ns(&now) == mtime_ns(st) &&
	    mw_dir_meta_stage(d, key, st, m, name, &ignored) == MW_OK)
		mw_dir_meta_commit(d, key, name);
	if (fd != -1)
		(void)close(fd);
	mw_lockfile_give(lock);
}

enum mw_code
mw_dir_meta_load(struct mw_dir *d, const char *key, int fd, const struct stat *st,
    struct mw_dir_meta *m, struct mw_err *err)
{
	unsigned char md5[16];

	if (sidecar_read(d, key, st, m))
		return MW_OK;
	memset(m, 0, sizeof(*m));
	m->mode = m->mtime = -1;
	if (!md5_of(fd, st->st_size, md5))
		return mw_fail(err, MW_STORE_UNAVAILABLE,
		    "%s changed or failed while it was read", key);
	mw_dir_etag(md5, m->etag);
	repair(d, key, st, m);
	return MW_OK;
}
