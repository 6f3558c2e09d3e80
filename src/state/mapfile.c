/* SPDX-License-Identifier: BSD-2-Clause */
/* Files below state.path that processes map together. */
#include "state/mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/tmpfile.h"

#define LOCK_WAIT 10000			/* ms for another process to make the file */

/* Not in every version of linux/magic.h. */
#define FUSE_MAGIC 0x65735546
#define CIFS_MAGIC 0xFF534D42
#define SMB2_MAGIC 0xFE534D42

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared atomics must be lock-free");
_Static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic int32_t) == 4,
    "atomics must have no lock beside them");

static bool
read_boot_id(char *out, size_t size)
{
	ssize_t n;
	int fd;

	memset(out, 0, size);
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, out, size - 1);
	(void)close(fd);
	return n > 0;
}

/* Locks, WAL and mappings do not work between hosts. */
static const char *
unsuitable(int dirfd)
{
	struct statfs fs;

	if (fstatfs(dirfd, &fs) < 0)
		return NULL;
	switch ((unsigned long)fs.f_type & 0xFFFFFFFF) {
	case NFS_SUPER_MAGIC:
		return "NFS";
	case FUSE_MAGIC:
		return "FUSE";
	case SMB_SUPER_MAGIC:
	case CIFS_MAGIC:
	case SMB2_MAGIC:
		return "SMB";
	default:
		return NULL;
	}
}

static enum mw_code
check_dir(const char *path, int dirfd, struct mw_err *err)
{
	const char *fs = unsuitable(dirfd);
	struct stat st;

	if (fs != NULL)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "state.path %s is on %s: it must be on a disk of this host", path, fs);
	if (fstat(dirfd, &st) < 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "state.path %s: %s", path, strerror(errno));
	/* What another user made here would lock the rightful one out. */
	if (st.st_uid != geteuid())
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "state.path %s belongs to uid %u, this is uid %u: run as that user",
		    path, (unsigned)st.st_uid, (unsigned)geteuid());
	if (faccessat(dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "state.path %s is not writable by uid %u: %s", path,
		    (unsigned)geteuid(), strerror(errno));
	return MW_OK;
}

static struct mw_mapfile *
map(int fd, const struct mw_mapfile_kind *k)
{
	void *p = mmap(NULL, k->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* The file as it is, or NULL if it is missing, another layout's or another boot's. */
static struct mw_mapfile *
map_existing(int dirfd, const struct mw_mapfile_kind *k, const char *boot_id)
{
	struct mw_mapfile *s = NULL;
	struct stat st;
	int fd;

	fd = openat(dirfd, k->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size == (off_t)k->size)
		s = map(fd, k);
	(void)close(fd);
	if (s != NULL && (atomic_load(&s->magic) != k->magic ||
	    memcmp(s->boot_id, boot_id, sizeof(s->boot_id)) != 0)) {
		mw_mapfile_close(s, k);
		s = NULL;
	}
	return s;
}

/* Complete before it has its name: nobody maps a file that is half made. */
static enum mw_code
make(int dirfd, const struct mw_mapfile_kind *k, const char *boot_id, struct mw_mapfile **sp,
    struct mw_err *err)
{
	char name[MW_TMPNAME_LEN];
	struct mw_mapfile *s = NULL;
	enum mw_code code;
	int fd, rc;

	(void)mw_tmpfile_sweep(dirfd, 60);
	if ((code = mw_tmpfile(dirfd, 0600, name, &fd, err)) != MW_OK)
		return code;
	if ((rc = posix_fallocate(fd, 0, (off_t)k->size)) == 0 && (s = map(fd, k)) == NULL)
		rc = errno;
	if (rc == 0) {
		memcpy(s->boot_id, boot_id, sizeof(s->boot_id));
		k->set_up(s);
		atomic_store(&s->magic, k->magic);
		if (renameat(dirfd, name, dirfd, k->name) == 0)
			*sp = s;
		else
			rc = errno;
	}
	if (rc != 0) {
		(void)unlinkat(dirfd, name, 0);
		mw_mapfile_close(s, k);
		code = mw_fail(err, MW_INTERNAL_ERROR, "the shared file %s cannot be made: %s",
		    k->name, strerror(rc));
	}
	(void)close(fd);
	return code;
}

/* One process makes the file, or two would each map a file of their own. */
static enum mw_code
make_locked(const char *path, int dirfd, const struct mw_mapfile_kind *k, const char *boot_id,
    struct mw_mapfile **sp, struct mw_err *err)
{
	enum mw_code code;
	char lock[4096];
	int fd;

	if ((size_t)snprintf(lock, sizeof(lock), "%s/locks", path) >= sizeof(lock))
		return mw_fail(err, MW_INTERNAL_ERROR, "state.path %s is too long", path);
	if ((code = mw_lockfile_take(lock, "shared", mw_now() + LOCK_WAIT, &fd, err)) != MW_OK)
		return code;
	if ((*sp = map_existing(dirfd, k, boot_id)) == NULL)
		code = make(dirfd, k, boot_id, sp, err);
	mw_lockfile_give(fd);
	return code;
}

enum mw_code
mw_mapfile_open(const char *state_path, const struct mw_mapfile_kind *k, struct mw_mapfile **sp,
    struct mw_err *err)
{
	char boot_id[sizeof((*sp)->boot_id)];
	enum mw_code code;
	int dirfd;

	*sp = NULL;
	if (!read_boot_id(boot_id, sizeof(boot_id)))
		return mw_fail(err, MW_INTERNAL_ERROR, "/proc/sys/kernel/random/boot_id: %s",
		    strerror(errno));
	dirfd = open(state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "state.path %s cannot be opened by uid %u: %s", state_path,
		    (unsigned)geteuid(), strerror(errno));
	code = check_dir(state_path, dirfd, err);
	if (code == MW_OK && (*sp = map_existing(dirfd, k, boot_id)) == NULL)
		code = make_locked(state_path, dirfd, k, boot_id, sp, err);
	(void)close(dirfd);
	return code;
}

void
mw_mapfile_close(struct mw_mapfile *s, const struct mw_mapfile_kind *k)
{
	if (s != NULL)
		(void)munmap(s, k->size);
}
