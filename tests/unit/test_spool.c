/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "state/spool.h"
#include "tap.h"

static char dir[] = "/tmp/mw-spool-XXXXXX";

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

struct hash_case {
	const char *what, *text;
	size_t times;			/* the text so often */
	const char *sha256, *md5;
};

/* The values of FIPS 180-2 and RFC 1321. */
static const struct hash_case cases[] = {
	{ "nothing", "", 1,
	  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	  "d41d8cd98f00b204e9800998ecf8427e" },
	{ "abc", "abc", 1,
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	  "900150983cd24fb0d6963f7d28e17f72" },
	{ "a million letters in pieces", "aaaaaaaaaa", 100000,
	  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
	  "7707d6ae4e027c70eea2a935c2296f21" },
};

static void
test_hashes(int spool)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_spool s;
	struct stat st;
	char hex[65];
	size_t i, n;
	bool good;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct hash_case *c = &cases[i];

		good = mw_spool_begin(&s, spool, &err) == MW_OK;
		for (n = 0; n < c->times && good; n++)
			good = mw_spool_add(&s, c->text, strlen(c->text), &err) == MW_OK;
		ok(good && mw_spool_finish(&s, &err) == MW_OK, "%s: spooled", c->what);
		is_int(s.size, (int64_t)(strlen(c->text) * c->times), "size");
		ok(fstat(s.fd, &st) == 0 && st.st_size == s.size, "as large on disk");
		mw_str_hex(s.sha256, 32, hex);
		is_str(hex, c->sha256, "SHA-256");
		mw_str_hex(s.md5, 16, hex);
		is_str(hex, c->md5, "MD5");
		mw_spool_drop(&s);
	}
}

static void
test_drop(int spool)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_spool s, none = { .fd = -1 };
	struct stat st;

	mw_spool_drop(&none);
	is_int(none.fd, -1, "dropping what was never begun does nothing");
	ok(mw_spool_begin(&s, spool, &err) == MW_OK &&
	    mw_spool_add(&s, "x", 1, &err) == MW_OK, "begin");
	ok(fstatat(spool, s.name, &st, 0) == 0 && (st.st_mode & 0777) == 0600,
	    "a file in the spool, for its owner only");
	mw_spool_drop(&s);
	ok(fstatat(spool, s.name, &st, 0) < 0 && errno == ENOENT, "a drop removes it");
	mw_spool_drop(&s);
	is_int(mw_spool_add(&s, "x", 1, &err), MW_INTERNAL_ERROR, "nothing can be added then");
	mw_err_clear(&err);
	ok(mw_spool_begin(&s, spool, &err) == MW_OK && mw_spool_finish(&s, &err) == MW_OK,
	    "an empty body");
	s.kept = true;
	mw_spool_drop(&s);
	ok(fstatat(spool, s.name, &st, 0) == 0, "a body that the outbox keeps stays");
}

static void
test_dir(void)
{
	struct mw_err err = { .code = MW_OK };
	int fd;

	is_int(mw_spool_dir("/nonexistent", &fd, &err), MW_INTERNAL_ERROR, "no state directory");
	ok(fd == -1 && strstr(err.msg, "/nonexistent") != NULL, "which is named");
}

/* A full disk, played by a device that always is. */
static void
test_full(void)
{
	struct mw_err err = { .code = MW_OK };
	static const char block[65536];
	enum mw_code code = MW_OK;
	struct mw_spool s;
	int full, n;

	if ((full = open("/dev/full", O_WRONLY | O_CLOEXEC)) < 0) {
		ok(true, "SKIP a full disk: no /dev/full");
		return;
	}
	s = (struct mw_spool){ .fd = -1 };
	if (mw_spool_dir(dir, &n, &err) != MW_OK || mw_spool_begin(&s, n, &err) != MW_OK) {
		ok(false, "begin");
		return;
	}
	ok(dup2(full, s.fd) == s.fd, "its disk is full now");
	code = mw_spool_add(&s, block, sizeof(block), &err);
	is_int(code, MW_STORAGE_FULL, "a full disk is storage_full");
	mw_spool_drop(&s);
	(void)close(n);
	(void)close(full);
}

int
main(void)
{
	struct mw_err err = { .code = MW_OK };
	int spool;

	if (mkdtemp(dir) == NULL || mw_spool_dir(dir, &spool, &err) != MW_OK)
		return 1;
	test_hashes(spool);
	test_drop(spool);
	test_dir();
	test_full();
	(void)close(spool);
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return done();
}
