/* SPDX-License-Identifier: BSD-2-Clause */
/* Temporary files that are renamed when they are complete, and the sweeping of old ones. */
#include "base/tmpfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

#define RANDOM_BYTES 16
#define NAME_LEN (1 + 2 * RANDOM_BYTES)		/* "t" and hex */
#define TRIES 16

_Static_assert(NAME_LEN < MW_TMPNAME_LEN, "a name and its NUL fit");

static enum mw_code
fail_errno(struct mw_err *err, const char *what, int e)
{
	enum mw_code code = e == ENOSPC || e == EDQUOT ?
	    MW_STORAGE_FULL : MW_INTERNAL_ERROR;

	return mw_fail(err, code, "%s: %s", what, strerror(e));
}

/*
 * Lock a file just made.  False if a sweeper was faster: it holds the lock, or
 * has removed the name in between.
 */
static bool
claim(int fd)
{
	struct stat st;

	return flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    fstat(fd, &st) == 0 && st.st_nlink > 0;
}

enum mw_code
mw_tmpfile(int dirfd, int mode, char name[MW_TMPNAME_LEN], int *fd, struct mw_err *err)
{
	int f, try;

	*fd = -1;
	for (try = 0; try < TRIES; try++) {
		name[0] = 't';
		mw_str_random_hex(name + 1, RANDOM_BYTES);
		f = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC |
		    O_NOFOLLOW, mode);
		if (f < 0 && errno != EEXIST && errno != EINTR)
			return fail_errno(err, "cannot make a temporary file", errno);
		if (f < 0)
			continue;
		if (claim(f)) {
			*fd = f;
			return MW_OK;
		}
		(void)unlinkat(dirfd, name, 0);
		(void)close(f);
	}
	return mw_fail(err, MW_INTERNAL_ERROR,
	    "cannot make a temporary file: %d names were taken or not lockable", TRIES);
}

static bool
is_ours(const char *name)
{
	return strlen(name) == NAME_LEN && name[0] == 't' &&
	    strspn(name + 1, "0123456789abcdef") == NAME_LEN - 1;
}

/*
 * True if the file was left behind and is gone now.  Names are random and never
 * used twice, so a file renamed into place meanwhile is not hit: its old name
 * no longer exists.
 */
static bool
sweep_one(int dirfd, const char *name, time_t before)
{
	struct stat st;
	bool gone;
	int fd;

	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	gone = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_mtime < before && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    unlinkat(dirfd, name, 0) == 0;
	(void)close(fd);
	return gone;
}

unsigned
mw_tmpfile_sweep(int dirfd, unsigned age_s)
{
	time_t before = time(NULL) - (time_t)age_s;
	const struct dirent *e;
	unsigned removed = 0;
	DIR *dir;
	int fd;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (dir == NULL) {
		(void)close(fd);
		return 0;
	}
	while ((e = readdir(dir)) != NULL) {
		if (is_ours(e->d_name) && sweep_one(dirfd, e->d_name, before))
			removed++;
	}
	(void)closedir(dir);
	return removed;
}

enum mw_code
mw_write_all(int fd, const void *p, size_t n, struct mw_err *err)
{
	const char *s = p;
	ssize_t w;

	while (n > 0) {
		w = write(fd, s, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return fail_errno(err, "write", errno);
		s += w;
		n -= (size_t)w;
	}
	return MW_OK;
}
