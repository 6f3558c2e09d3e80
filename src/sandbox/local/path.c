/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names below a directory that somebody else writes to.  Nothing here trusts a
 * name twice: what was opened is what is used.
 */
#include "sandbox/local/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"

#define MARKER_LEN 16		/* bytes of an instance marker */
#define LINKS_MAX 40		/* as the kernel's own limit */
#define RACES_MAX 64		/* EAGAIN: something was renamed while a ".." was resolved */

static int
openat_how(int dir, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	unsigned races = 0;
	long fd;

	do {
		fd = syscall(SYS_openat2, dir, *path == '\0' ? "." : path, &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || (errno == EAGAIN && races++ < RACES_MAX)));
	return (int)fd;
}

int
mw_local_openat_nolink(int dir, const char *path, int flags)
{
	return openat_how(dir, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/*
 * If path[0..n) is a symbolic link to a place in the user's root by its name as
 * seen inside, make `path` the path that it stands for.
 */
static bool
follow_inside(const struct mw_local *l, int root, char *path, size_t n)
{
	char prefix[MW_PATH_MAX + 1], target[MW_PATH_MAX + 1], rest[MW_PATH_MAX + 1];
	size_t len = strlen(l->root);
	const char *tail;
	ssize_t got;
	int fd, w;

	memcpy(prefix, path, n);
	prefix[n] = '\0';
	memcpy(rest, path + n, strlen(path + n) + 1);
	fd = openat_how(root, prefix, O_PATH | O_NOFOLLOW, RESOLVE_IN_ROOT);
	if (fd < 0)
		return false;
	got = readlinkat(fd, "", target, sizeof(target) - 1);
	(void)close(fd);
	if (got <= 0 || (size_t)got >= sizeof(target) - 1)
		return false;
	target[got] = '\0';
	if (strncmp(target, l->root, len) != 0 || (target[len] != '/' && target[len] != '\0'))
		return false;
	for (tail = target + len; *tail == '/'; tail++)
		;
	w = snprintf(path, MW_PATH_MAX + 1, "%s%s", tail, *tail == '\0' && *rest == '/' ?
	    rest + 1 : rest);
	return w >= 0 && w <= MW_PATH_MAX;
}

/* Rewrite the first such link of `path`.  False when there is none. */
static bool
rewrite(const struct mw_local *l, int root, char *path, bool final)
{
	size_t n = 0, total = strlen(path);

	while (n < total) {
		n += strcspn(path + n, "/");
		if (n == total && !final)
			return false;
		if (n > 0 && follow_inside(l, root, path, n))
			return true;
		while (path[n] == '/')
			n++;
	}
	return false;
}

int
mw_local_openat(const struct mw_local *l, int root, const char *path, int flags)
{
	int fd = openat_how(root, path, flags, RESOLVE_IN_ROOT), i, e = errno;
	char buf[MW_PATH_MAX + 1];

	if (fd >= 0 || l->plain || (e != ENOENT && e != ENOTDIR) || strlen(path) > MW_PATH_MAX)
		return fd;
	/* An absolute link is taken from the user's root by the kernel, which is right
	 * unless it goes by the root's own name inside. */
	memcpy(buf, path, strlen(path) + 1);
	for (i = 0; i < LINKS_MAX && rewrite(l, root, buf, (flags & O_NOFOLLOW) == 0); i++) {
		fd = openat_how(root, buf, flags, RESOLVE_IN_ROOT);
		if (fd >= 0 || (errno != ENOENT && errno != ENOTDIR))
			return fd;
	}
	errno = i == LINKS_MAX ? ELOOP : e;
	return -1;
}

/* A directory PATH/[.run/]USER[/BELOW]. */
static int
open_dir(const struct mw_local *l, const char *sub, const char *user, const char *below, int flags)
{
	int top = open(l->path, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1, e = ENAMETOOLONG, n;
	char name[8 + MW_USER_MAX + MW_PATH_MAX];

	if (top < 0)
		return -1;
	n = snprintf(name, sizeof(name), "%s%s%s", sub, user, below);
	if (n > 0 && (size_t)n < sizeof(name)) {
		fd = mw_local_openat_nolink(top, name, flags | O_DIRECTORY);
		e = errno;
	}
	(void)close(top);
	errno = e;
	return fd;
}

int
mw_local_user_dir(const struct mw_local *l, const char *user)
{
	return open_dir(l, "", user, l->below, O_PATH);
}

int
mw_local_run_dir(const struct mw_local *l, const char *user)
{
	return open_dir(l, ".run/", user, "", O_RDONLY);
}

int
mw_local_make_run_dir(const struct mw_local *l, const char *user)
{
	int top, fd = -1, e;
	char name[8 + MW_USER_MAX];

	if (mkdir(l->path, 0700) != 0 && errno != EEXIST)
		return -1;
	top = open(l->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return -1;
	(void)snprintf(name, sizeof(name), ".run/%s", user);
	if ((mkdirat(top, ".run", 0700) == 0 || errno == EEXIST) &&
	    (mkdirat(top, name, 0700) == 0 || errno == EEXIST))
		fd = mw_local_openat_nolink(top, name, O_RDONLY | O_DIRECTORY);
	e = errno;
	(void)close(top);
	errno = e;
	return fd;
}

/* 16 lower-case hex digits, and perhaps a newline. */
static bool
is_marker(int fd)
{
	char text[MARKER_LEN + 2];
	ssize_t n = read(fd, text, sizeof(text));

	if (n == MARKER_LEN + 1 && text[MARKER_LEN] == '\n')
		n--;
	text[n == MARKER_LEN ? MARKER_LEN : 0] = '\0';
	return n == MARKER_LEN && strspn(text, "0123456789abcdef") == MARKER_LEN;
}

/* 1 = the marker is there, 0 = it is not, -1 = errno. */
static int
proven(const struct mw_local *l, const char *user)
{
	int dir = mw_local_run_dir(l, user), fd, code, e;
	char name[MW_PATH_MAX + 16];
	struct stat st;

	if (dir < 0)
		return errno == ENOENT ? 0 : -1;
	code = snprintf(name, sizeof(name), "%s/instance", l->run_tail);
	fd = code < 0 || (size_t)code >= sizeof(name) ? -1 :
	    mw_local_openat_nolink(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	e = errno;
	(void)close(dir);
	if (fd < 0)
		return e == EMFILE || e == ENFILE || e == ENOMEM ? (errno = e, -1) : 0;
	code = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_marker(fd);
	(void)close(fd);
	return code;
}

enum mw_code
mw_local_files(const struct mw_local *l, struct mw_ctx *ctx, const char *user, int *fd)
{
	int dir = mw_local_user_dir(l, user), is = 1;

	*fd = -1;
	if (dir < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND, "there is no such sandbox");
	if (dir >= 0 && !l->base.allow_unproven)
		is = proven(l, user);
	if (dir < 0 || is < 0) {
		(void)mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "%s: %s", l->path, strerror(errno));
		if (dir >= 0)
			(void)close(dir);
		return MW_SANDBOX_UNAVAILABLE;
	}
	if (is == 0) {
		(void)close(dir);
		return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING,
		    "the sandbox's files are not restored yet");
	}
	*fd = dir;
	return MW_OK;
}

enum mw_code
mw_local_errno(struct mw_ctx *ctx, int e, const char *path)
{
	return mw_ctx_fail(ctx, mw_local_of_errno(e), "%s: %s", *path == '\0' ? "/" : path, strerror(e));
}

/* Moving or emptying a directory takes write permission on it.  If that cannot
 * be had, the step it is for fails and says so. */
static void
open_up(int dir, const char *name)
{
	if (fchmodat(dir, name, 0700, 0) < 0)
		mw_log(MW_DEBUG, "chmod of %s: %s", name, strerror(errno));
}

/*
 * Empty the directory `sub` in `top`: its directories move up into `top`, so that
 * no tree is too deep, whoever made it.
 */
static bool
empty_into(int top, const char *sub, unsigned *serial)
{
	int fd = openat(top, sub, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char name[24];
	struct dirent *de;
	bool good = true;

	if (dir == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	while (good && (de = readdir(dir)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, de->d_name, 0) == 0)
			continue;
		if (errno != EISDIR && errno != EPERM) {
			good = false;
			break;
		}
		open_up(fd, de->d_name);
		do {
			(void)snprintf(name, sizeof(name), ".wipe%u", (*serial)++);
			good = renameat(fd, de->d_name, top, name) == 0;
		} while (!good && (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR));
	}
	(void)closedir(dir);
	return good;
}

/* One pass over `top`.  False when something stays that cannot go; *left = entries met. */
static bool
wipe_pass(int top, unsigned *serial, unsigned *left)
{
	int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	bool good = true;

	*left = 0;
	if (dir == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	while (good && (de = readdir(dir)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		(*left)++;
		if (unlinkat(top, de->d_name, 0) == 0)
			continue;
		if (errno != EISDIR && errno != EPERM) {
			good = false;
			break;
		}
		open_up(top, de->d_name);
		good = empty_into(top, de->d_name, serial) &&
		    (unlinkat(top, de->d_name, AT_REMOVEDIR) == 0 || errno == ENOTEMPTY);
	}
	(void)closedir(dir);
	return good;
}

bool
mw_local_wipe(int dir, const char *name)
{
	int top = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), e;
	unsigned serial = 0, left = 1;
	bool good = true;

	if (top >= 0) {
		(void)close(top);
		open_up(dir, name);
		top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (top < 0)
		return errno == ENOENT || ((errno == ENOTDIR || errno == ELOOP) &&
		    unlinkat(dir, name, 0) == 0);
	while (good && left > 0)
		good = wipe_pass(top, &serial, &left);
	e = errno;
	(void)close(top);
	errno = e;
	return good && unlinkat(dir, name, AT_REMOVEDIR) == 0;
}

bool
mw_local_empty(int fd, const char *keep)
{
	size_t n = strcspn(keep, "/");
	DIR *dir = fdopendir(fd);
	struct dirent *de;
	bool good = true;
	int below;

	if (dir == NULL) {
		(void)close(fd);
		return false;
	}
	while ((de = readdir(dir)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 ||
		    (strlen(de->d_name) == n && memcmp(de->d_name, keep, n) == 0))
			continue;
		good = mw_local_wipe(fd, de->d_name) && good;
	}
	if (keep[n] == '/') {
		char first[NAME_MAX + 1] = "";

		if (n < sizeof(first))
			memcpy(first, keep, n);
		below = openat(fd, first, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		good = below < 0 ? mw_local_wipe(fd, first) && good :
		    mw_local_empty(below, keep + n + 1) && good;
	}
	(void)closedir(dir);
	return good;
}
