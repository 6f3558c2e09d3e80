/* SPDX-License-Identifier: BSD-2-Clause */
/* Spool files: contents on their way, hashed as they are written. */
#include "state/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct hashes {
	EVP_MD_CTX *sha256, *md5;
};

static void
hashes_free(struct hashes *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->sha256);
	EVP_MD_CTX_free(h->md5);
	free(h);
}

static struct hashes *
hashes_new(void)
{
	struct hashes *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->sha256 = EVP_MD_CTX_new();
	h->md5 = EVP_MD_CTX_new();
	if (h->sha256 == NULL || h->md5 == NULL ||
	    EVP_DigestInit_ex(h->sha256, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestInit_ex(h->md5, EVP_md5(), NULL) != 1) {
		hashes_free(h);
		return NULL;
	}
	return h;
}

enum mw_code
mw_spool_dir(const char *state_path, int *dirfd, struct mw_err *err)
{
	int state, saved;

	*dirfd = -1;
	state = open(state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state < 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "state.path %s: %s", state_path,
		    strerror(errno));
	if (mkdirat(state, "spool", 0700) == 0 || errno == EEXIST)
		*dirfd = openat(state, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	saved = errno;
	(void)close(state);
	if (*dirfd < 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s/spool: %s", state_path,
		    strerror(saved));
	return MW_OK;
}

enum mw_code
mw_spool_begin(struct mw_spool *s, int dirfd, struct mw_err *err)
{
	enum mw_code code;

	memset(s, 0, sizeof(*s));
	s->dirfd = dirfd;
	s->fd = -1;
	if ((s->hash = hashes_new()) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "spool: SHA-256 and MD5 are not at hand");
	if ((code = mw_tmpfile(dirfd, 0600, s->name, &s->fd, err)) != MW_OK) {
		s->fd = -1;
		mw_spool_drop(s);
	}
	return code;
}

enum mw_code
mw_spool_add(struct mw_spool *s, const void *p, size_t n, struct mw_err *err)
{
	struct hashes *h = s->hash;
	enum mw_code code;

	if (h == NULL || s->fd < 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "spool: not open for writing");
	if ((code = mw_write_all(s->fd, p, n, err)) != MW_OK)
		return code;
	if (EVP_DigestUpdate(h->sha256, p, n) != 1 || EVP_DigestUpdate(h->md5, p, n) != 1)
		return mw_fail(err, MW_INTERNAL_ERROR, "spool: hashing failed");
	s->size += (int64_t)n;
	return MW_OK;
}

enum mw_code
mw_spool_finish(struct mw_spool *s, struct mw_err *err)
{
	struct hashes *h = s->hash;
	bool good;

	if (h == NULL || s->fd < 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "spool: not open for writing");
	good = EVP_DigestFinal_ex(h->sha256, s->sha256, NULL) == 1 &&
	    EVP_DigestFinal_ex(h->md5, s->md5, NULL) == 1;
	hashes_free(h);
	s->hash = NULL;
	if (!good)
		return mw_fail(err, MW_INTERNAL_ERROR, "spool: hashing failed");
	return MW_OK;
}

void
mw_spool_drop(struct mw_spool *s)
{
	hashes_free(s->hash);
	s->hash = NULL;
	/* Unlinked before the lock goes with the descriptor. */
	if (s->fd >= 0) {
		if (!s->kept)
			(void)unlinkat(s->dirfd, s->name, 0);
		(void)close(s->fd);
	}
	s->fd = -1;
}
