/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single files.  The tree belongs to the sandbox, which may change it at any
 * moment: every name is resolved by the kernel below the user's root, and what
 * is read or replaced is what was opened.
 */
#include "sandbox/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/path.h"
#include "base/range.h"
#include "base/tmpfile.h"

#define PIECE 65536

/* Close `fd` and keep the errno of what came before. */
static void
close_keep(int fd)
{
	int e = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = e;
}

static enum mw_code
not_a_file(struct mw_ctx *ctx, const char *path, mode_t mode)
{
	return mw_ctx_fail(ctx, MW_CONFLICT, "%s: %s", *path == '\0' ? "/" : path,
	    S_ISDIR(mode) ? "is a directory" : "is not a regular file");
}

/* The last segment; an empty one or a directory's own name is no file's. */
static bool
split(const char *path, char dir[MW_PATH_MAX + 1], const char **name)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);

	*name = slash == NULL ? path : slash + 1;
	if (n > MW_PATH_MAX || **name == '\0' || strcmp(*name, ".") == 0 ||
	    strcmp(*name, "..") == 0)
		return false;
	memcpy(dir, path, n);
	dir[n] = '\0';
	return true;
}

/* ---- read and stat ---- */

static enum mw_code
send_range(struct mw_ctx *ctx, int fd, const char *path, int64_t from, int64_t to,
    const struct mw_file_sink *sink)
{
	char buf[PIECE];
	enum mw_code code;
	size_t want;
	ssize_t n;

	while (from <= to) {
		if (mw_left(ctx->deadline) == 0)
			return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT, "%s: read took too long", path);
		want = to - from + 1 < PIECE ? (size_t)(to - from + 1) : PIECE;
		do {
			n = pread(fd, buf, want, from);
		} while (n < 0 && errno == EINTR);
		if (n < 0)
			return mw_local_errno(ctx, errno, path);
		if (n == 0)
			return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
			    "%s: got shorter while it was read", path);
		code = sink->data(sink->arg, buf, (size_t)n);
		if (code != MW_OK)
			return code;
		from += n;
	}
	return MW_OK;
}

static enum mw_code
read_open(struct mw_ctx *ctx, int fd, const char *path, bool ranged, int64_t from,
    int64_t to, const struct mw_file_sink *sink)
{
	struct stat sb;
	struct mw_stat st;
	enum mw_code code;

	if (fstat(fd, &sb) != 0)
		return mw_local_errno(ctx, errno, path);
	if (!S_ISREG(sb.st_mode))
		return not_a_file(ctx, path, sb.st_mode);
	if (!ranged) {
		from = 0;
		to = sb.st_size - 1;
	} else if (!mw_range_resolve(sb.st_size, &from, &to))
		return mw_ctx_fail(ctx, MW_RANGE_NOT_SATISFIABLE,
		    "%s has %lld bytes", path, (long long)sb.st_size);
	mw_local_stat_fill(&sb, &st);
	code = sink->begin(sink->arg, &st, from, to);
	return code != MW_OK ? code : send_range(ctx, fd, path, from, to, sink);
}

enum mw_code
mw_local_read(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    bool ranged, int64_t from, int64_t to, const struct mw_file_sink *sink)
{
	const struct mw_local *l = (const struct mw_local *)s;
	enum mw_code code;
	int root, fd;

	code = mw_local_files(l, ctx, user, &root);
	if (code != MW_OK)
		return code;
	fd = mw_local_openat(l, root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	close_keep(root);
	if (fd < 0 && errno == EAGAIN)
		return mw_ctx_fail(ctx, MW_CONFLICT, "%s: a program inside holds a lease on it", path);
	if (fd < 0)
		return mw_local_errno(ctx, errno, path);
	code = read_open(ctx, fd, path, ranged, from, to, sink);
	(void)close(fd);
	return code;
}

enum mw_code
mw_local_stat(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    struct mw_stat *st)
{
	const struct mw_local *l = (const struct mw_local *)s;
	enum mw_code code;
	struct stat sb;
	int root, fd;

	code = mw_local_files(l, ctx, user, &root);
	if (code != MW_OK)
		return code;
	fd = mw_local_openat(l, root, path, O_PATH | O_NOFOLLOW);
	close_keep(root);
	if (fd < 0)
		return mw_local_errno(ctx, errno, path);
	if (fstat(fd, &sb) != 0)
		code = mw_local_errno(ctx, errno, path);
	else
		mw_local_stat_fill(&sb, st);
	(void)close(fd);
	return code;
}

/* ---- remove ---- */

enum mw_code
mw_local_remove(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path)
{
	const struct mw_local *l = (const struct mw_local *)s;
	char dir[MW_PATH_MAX + 1];
	const char *name;
	enum mw_code code;
	int root, fd;

	code = mw_local_files(l, ctx, user, &root);
	if (code != MW_OK)
		return code;
	if (!split(path, dir, &name)) {
		(void)close(root);
		return mw_ctx_fail(ctx, MW_CONFLICT, "%s: is a directory", path);
	}
	fd = mw_local_openat(l, root, dir, O_PATH | O_DIRECTORY);
	close_keep(root);
	if (fd < 0)
		return mw_local_errno(ctx, errno, path);
	if (unlinkat(fd, name, 0) != 0)
		code = mw_local_errno(ctx, errno, path);
	(void)close(fd);
	return code;
}

/* ---- write ---- */

static enum mw_code
parent_errno(struct mw_ctx *ctx, int e, const char *dir)
{
	if (e == ENOTDIR || e == ENOENT || e == EEXIST)
		return mw_ctx_fail(ctx, MW_CONFLICT, "%s: is not a directory", dir);
	return mw_local_errno(ctx, e, dir);
}

/* Open the directory `dir` below the root, making what is missing of it. */
static enum mw_code
open_parents(const struct mw_local *l, struct mw_ctx *ctx, int root, char *dir, int *fdp)
{
	int fd = mw_local_openat(l, root, dir, O_PATH | O_DIRECTORY), up;
	char *p = dir, *slash;

	*fdp = fd;
	if (fd >= 0)
		return MW_OK;
	if (errno != ENOENT)
		return parent_errno(ctx, errno, dir);
	up = mw_local_openat_nolink(root, "", O_PATH | O_DIRECTORY);
	while (up >= 0) {
		slash = strchr(p, '/');
		if (slash != NULL)
			*slash = '\0';
		if (mkdirat(up, p, 0755) != 0 && errno != EEXIST) {
			close_keep(up);
			up = -1;
			break;
		}
		(void)close(up);
		up = mw_local_openat(l, root, dir, O_PATH | O_DIRECTORY);
		if (slash == NULL)
			break;
		*slash = '/';
		p = slash + 1;
	}
	*fdp = up;
	return up >= 0 ? MW_OK : parent_errno(ctx, errno, dir);
}

static enum mw_code
copy(struct mw_ctx *ctx, const char *path, int from, int64_t size, int to)
{
	char buf[PIECE];
	int64_t at = 0;
	enum mw_code code;
	ssize_t n;

	while (at < size) {
		if (mw_left(ctx->deadline) == 0)
			return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT, "%s: write took too long", path);
		n = pread(from, buf, size - at < PIECE ? (size_t)(size - at) : PIECE, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "%s: its spooled content is %s",
			    path, n < 0 ? strerror(errno) : "too short");
		code = mw_write_all(to, buf, (size_t)n, &ctx->err);
		if (code != MW_OK)
			return code;
		at += n;
	}
	return MW_OK;
}

/* What is to be replaced: nothing, a file (whose mode may be kept) or a link. */
static enum mw_code
target(struct mw_ctx *ctx, int dir, const char *name, const char *path, int *mode)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT)
			return mw_local_errno(ctx, errno, path);
	} else if (S_ISREG(st.st_mode)) {
		if (*mode < 0)
			*mode = (int)(st.st_mode & 0777);
	} else if (!S_ISLNK(st.st_mode)) {
		return not_a_file(ctx, path, st.st_mode);
	}
	if (*mode < 0)
		*mode = 0644;
	return MW_OK;
}

static enum mw_code
finish(struct mw_ctx *ctx, int fd, int mode, int64_t mtime, const char *path)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };

	if (fchmod(fd, (mode_t)mode & 0777) != 0)
		return mw_local_errno(ctx, errno, path);
	if (mtime < 0)
		return MW_OK;
	ts[1].tv_sec = (time_t)(mtime / 1000);
	ts[1].tv_nsec = (long)(mtime % 1000) * 1000000;
	return futimens(fd, ts) == 0 ? MW_OK : mw_local_errno(ctx, errno, path);
}

/* PATH/.run/USER/in, where unfinished files are out of the sandbox's sight. */
static int
open_in(const struct mw_local *l, const char *user)
{
	int run = mw_local_make_run_dir(l, user), in = -1;

	if (run < 0)
		return -1;
	if (mkdirat(run, "in", 0700) == 0 || errno == EEXIST)
		in = mw_local_openat_nolink(run, "in", O_RDONLY | O_DIRECTORY);
	close_keep(run);
	return in;
}

struct source { int fd; int64_t size; int mode; int64_t mtime; };

/* Write the content into `in` and move it to dir/name. */
static enum mw_code
put(struct mw_ctx *ctx, int in, int dir, const char *name, const char *path,
    const struct source *src)
{
	char tmp[MW_TMPNAME_LEN];
	int mode = src->mode, fd;
	enum mw_code code;

	code = target(ctx, dir, name, path, &mode);
	if (code != MW_OK)
		return code;
	/* What killed writers left; the directory is empty but for writes in hand. */
	(void)mw_tmpfile_sweep(in, MW_LOCAL_LEFTOVER);
	code = mw_tmpfile(in, 0600, tmp, &fd, &ctx->err);
	if (code != MW_OK)
		return code;
	code = copy(ctx, path, src->fd, src->size, fd);
	if (code == MW_OK)
		code = finish(ctx, fd, mode, src->mtime, path);
	if (code == MW_OK && renameat(in, tmp, dir, name) != 0)
		code = errno == ENOENT ? mw_ctx_fail(ctx, MW_CONFLICT,
		    "%s: its directory was removed", path) : mw_local_errno(ctx, errno, path);
	if (code != MW_OK)
		(void)unlinkat(in, tmp, 0);
	(void)close(fd);
	return code;
}

enum mw_code
mw_local_write(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    int fd, int64_t size, int mode, int64_t mtime)
{
	const struct mw_local *l = (const struct mw_local *)s;
	struct source src = { fd, size, mode, mtime };
	char parent[MW_PATH_MAX + 1];
	int root, dir = -1, in = -1;
	const char *name;
	enum mw_code code;

	code = mw_local_files(l, ctx, user, &root);
	if (code != MW_OK)
		return code;
	if (!split(path, parent, &name)) {
		code = mw_ctx_fail(ctx, MW_CONFLICT, "%s: is a directory", path);
		goto out;
	}
	code = open_parents(l, ctx, root, parent, &dir);
	if (code != MW_OK)
		goto out;
	in = open_in(l, user);
	if (in < 0) {
		code = mw_ctx_fail(ctx, errno == ENOSPC || errno == EDQUOT ? MW_STORAGE_FULL :
		    MW_SANDBOX_UNAVAILABLE, "%s/.run: %s", l->path, strerror(errno));
		goto out;
	}
	code = put(ctx, in, dir, name, path, &src);
out:
	if (in >= 0)
		(void)close(in);
	if (dir >= 0)
		(void)close(dir);
	(void)close(root);
	return code;
}
