/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys as paths of the directory store, and its failures as our codes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/dir.h"

#define SEGMENT_MAX 255
#define OPEN_TRIES 16
#define DIR_MODE 0750
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

int
mw_dir_open(int at, const char *path, int flags)
{
	struct open_how how;
	long fd;
	int try;

	memset(&how, 0, sizeof(how));
	how.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW);
	how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
	for (try = 0; try < OPEN_TRIES; try++) {
		fd = syscall(SYS_openat2, at, path, &how, sizeof(how));
		/* EAGAIN: a rename went on meanwhile. */
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			return (int)fd;
	}
	return -1;
}

/* The one table from an errno to our codes, besides "no such object" below. */
static const struct { int value; enum mw_code code; } failures[] = {
	{ ENOSPC, MW_STORAGE_FULL },
	{ EDQUOT, MW_STORAGE_FULL },
	{ EACCES, MW_STORE_ERROR },
	{ EPERM, MW_STORE_ERROR },
	{ ENOSYS, MW_STORE_ERROR },
	{ 0, MW_STORE_UNAVAILABLE },	/* all others: EIO, EROFS after an error, EMFILE: may pass */
};

bool
mw_dir_is_miss(int e)
{
	return e == ENOENT || e == ENOTDIR || e == ELOOP || e == ENXIO ||
	    e == ENAMETOOLONG;
}

enum mw_code
mw_dir_of_errno(int e)
{
	size_t i;

	for (i = 0; failures[i].value != 0 && failures[i].value != e; i++)
		continue;
	return failures[i].code;
}

enum mw_code
mw_dir_fail(struct mw_err *err, int e, const char *what, const char *key)
{
	return mw_fail(err, mw_dir_of_errno(e), "the store cannot %s %s: %s", what, key,
	    strerror(e));
}

static bool
segment_ok(const char *s, size_t n)
{
	return n > 0 && n <= SEGMENT_MAX && !(n == 1 && s[0] == '.') &&
	    !(n == 2 && s[0] == '.' && s[1] == '.');
}

enum mw_code
mw_dir_key_check(const char *key, struct mw_err *err)
{
	const size_t area = sizeof(MW_DIR_AREA) - 1;
	enum mw_code code = mw_key_check(key, MW_DIR_KEY_MAX, err);
	const char *p = key;
	size_t n;

	if (code != MW_OK)
		return code;
	if (strncmp(key, MW_DIR_AREA, area) == 0 && (key[area] == '\0' || key[area] == '/'))
		return mw_fail(err, MW_INVALID_PATH, "the store keeps %s for itself",
		    MW_DIR_AREA);
	for (;; p += n + 1) {
		n = strcspn(p, "/");
		if (!segment_ok(p, n))
			return mw_fail(err, MW_INVALID_PATH, "the key '%s' has an empty, "
			    "too long, '.' or '..' segment, which a directory cannot hold",
			    key);
		if (p[n] == '\0')
			return MW_OK;
	}
}

/* One directory of our area. */
static int
area_open(int at, const char *name, bool make)
{
	if (make && mkdirat(at, name, DIR_MODE) == -1 && errno != EEXIST)
		return -1;
	return mw_dir_open(at, name, DIR_FLAGS);
}

static enum mw_code
attach_area(struct mw_dir *d, bool fresh, struct mw_err *err)
{
	int area = area_open(d->root, MW_DIR_AREA, fresh);
	enum mw_code code = MW_OK;

	if (area == -1 && errno == ENOENT)
		return mw_fail(err, MW_STORE_UNAVAILABLE, "%.100s holds no store any more: is it "
		    "mounted?  If it is to begin anew, empty, remove %.100s", d->path,
		    d->known_path);
	if (area == -1)
		return mw_dir_fail(err, errno, "open its area in", d->path);
	d->tmp = area_open(area, "tmp", true);
	d->meta = d->tmp == -1 ? -1 : area_open(area, "meta", true);
	if (d->meta == -1 || faccessat(d->tmp, ".", W_OK | X_OK, AT_EACCESS) == -1 ||
	    faccessat(d->root, ".", W_OK | X_OK, AT_EACCESS) == -1)
		code = mw_dir_fail(err, errno, "write to", d->path);
	(void)close(area);
	return code;
}

enum mw_code
mw_dir_attach(struct mw_dir *d, bool fresh, struct mw_err *err)
{
	enum mw_code code;
	struct stat st;

	if (fresh && mkdir(d->path, DIR_MODE) == -1 && errno != EEXIST)
		return mw_dir_fail(err, errno, "make its directory", d->path);
	d->root = open(d->path, DIR_FLAGS);
	if (d->root == -1 || fstat(d->root, &st) == -1) {
		code = mw_dir_fail(err, errno, "open its directory", d->path);
		mw_dir_detach(d);
		return code;
	}
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	code = attach_area(d, fresh, err);
	if (code != MW_OK)
		mw_dir_detach(d);
	return code;
}

bool
mw_dir_known(const struct mw_dir *d)
{
	return access(d->known_path, F_OK) == 0;
}

/* Without a state directory there is nothing to remember it in: a test, or a
 * program that looks at the store alone. */
void
mw_dir_remember(const struct mw_dir *d)
{
	int fd = open(d->known_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct mw_err ignored = { 0 };

	if (fd == -1)
		return;
	if (mw_write_all(fd, d->path, strlen(d->path), &ignored) == MW_OK)
		(void)fsync(fd);
	(void)close(fd);
}

static void
close_fd(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

void
mw_dir_detach(struct mw_dir *d)
{
	close_fd(&d->root);
	close_fd(&d->tmp);
	close_fd(&d->meta);
}

enum mw_code
mw_dir_enter(struct mw_dir *d, struct mw_err *err)
{
	struct stat st;

	if (stat(d->path, &st) == -1)
		return mw_dir_fail(err, errno, "find its directory", d->path);
	if (d->root != -1 && st.st_dev == d->dev && st.st_ino == d->ino)
		return MW_OK;
	mw_dir_detach(d);
	return mw_dir_attach(d, false, err);
}

static void
close_keep_errno(int fd)
{
	int e = errno;

	(void)close(fd);
	errno = e;
}

/* A directory that is there already may be younger than its last sync: whoever
 * made it syncs it before it acknowledges anything in it. */
static bool
step_make(int fd, const char *name)
{
	if (mkdirat(fd, name, DIR_MODE) == 0)
		return fsync(fd) == 0;
	return errno == EEXIST;
}

/* Walk down to the directory of `key`, making what is missing; durable. */
static int
parent_make(struct mw_dir *d, const char *key, const char *leaf)
{
	char seg[SEGMENT_MAX + 1];
	int fd = mw_dir_open(d->root, ".", DIR_FLAGS), next;
	const char *p;
	size_t n;

	for (p = key; fd != -1 && p < leaf; p += n + 1) {
		n = strcspn(p, "/");
		memcpy(seg, p, n);
		seg[n] = '\0';
		next = step_make(fd, seg) ? mw_dir_open(fd, seg, DIR_FLAGS) : -1;
		close_keep_errno(fd);
		fd = next;
	}
	return fd;
}

int
mw_dir_parent(struct mw_dir *d, const char *key, bool make, const char **leaf)
{
	const char *slash = strrchr(key, '/');
	char dir[MW_DIR_KEY_MAX + 1] = ".";
	int fd;

	*leaf = slash == NULL ? key : slash + 1;
	if (slash != NULL) {
		memcpy(dir, key, (size_t)(slash - key));
		dir[slash - key] = '\0';
	}
	fd = mw_dir_open(d->root, dir, DIR_FLAGS);
	if (fd == -1 && errno == ENOENT && make)
		fd = parent_make(d, key, *leaf);
	return fd;
}

void
mw_dir_prune(struct mw_dir *d, const char *key)
{
	char dir[MW_DIR_KEY_MAX + 1];
	const char *leaf;
	char *slash;
	int fd, code;

	memcpy(dir, key, strlen(key) + 1);
	while ((slash = strrchr(dir, '/')) != NULL) {
		*slash = '\0';
		fd = mw_dir_parent(d, dir, false, &leaf);
		if (fd == -1)
			return;
		code = unlinkat(fd, leaf, AT_REMOVEDIR);
		(void)close(fd);
		if (code == -1)
			return;
	}
}
