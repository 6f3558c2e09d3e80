/* SPDX-License-Identifier: BSD-2-Clause */
/* Locks on single bytes of one file, by the hash of a name. */
#include "base/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"

#define FIRST_NAP 1		/* ms */
#define LONGEST_NAP 20

uint64_t
mw_hash(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h;
}

/* 0, or an errno. */
static int
try_lock(int fd, off_t byte, short type)
{
	struct flock l;

	memset(&l, 0, sizeof(l));		/* l_pid must be 0 */
	l.l_type = type;
	l.l_whence = SEEK_SET;
	l.l_start = byte;
	l.l_len = 1;
	return fcntl(fd, F_OFD_SETLK, &l) == 0 ? 0 : errno;
}

/* The kernel has no timed wait for these locks, so ask again and again. */
static int
wait_lock(int fd, off_t byte, short type, int64_t deadline)
{
	int64_t nap = FIRST_NAP, left;
	int e;

	for (;;) {
		e = try_lock(fd, byte, type);
		if (e == EINTR)
			continue;
		if (e != EAGAIN && e != EACCES)
			return e;
		left = mw_left(deadline);
		if (left == 0)
			return EAGAIN;
		if (mw_stopping())
			return ECANCELED;
		mw_sleep_ms(nap < left ? nap : left);
		nap = nap * 2 < LONGEST_NAP ? nap * 2 : LONGEST_NAP;
	}
}

static enum mw_code
take(const char *path, const char *name, short type, int64_t deadline, int *fd,
    struct mw_err *err)
{
	int f, e;

	*fd = -1;
	f = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (f < 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "cannot open the lock file %s: %s",
		    path, strerror(errno));
	e = wait_lock(f, (off_t)(mw_hash(name) >> 1), type, deadline);
	if (e == 0) {
		*fd = f;
		return MW_OK;
	}
	(void)close(f);
	if (e == ECANCELED) {
		if (err != NULL && err->code == MW_OK)
			err->retry_after = 1;
		return mw_fail(err, MW_SANDBOX_UNAVAILABLE,
		    "This process of the gateway is being stopped; try again");
	}
	if (e == EAGAIN)
		return mw_fail(err, MW_DEADLINE_EXCEEDED,
		    "another request kept the lock '%s' for too long", name);
	return mw_fail(err, MW_INTERNAL_ERROR, "cannot lock in %s: %s", path, strerror(e));
}

enum mw_code
mw_lockfile_take(const char *path, const char *name, int64_t deadline, int *fd,
    struct mw_err *err)
{
	return take(path, name, F_WRLCK, deadline, fd, err);
}

enum mw_code
mw_lockfile_share(const char *path, const char *name, int64_t deadline, int *fd,
    struct mw_err *err)
{
	return take(path, name, F_RDLCK, deadline, fd, err);
}

void
mw_lockfile_give(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}
