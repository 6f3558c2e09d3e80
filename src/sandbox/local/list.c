/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listing a tree that its owner may change meanwhile.  The directories still to be
 * read are kept as names, so a deep tree costs neither stack nor descriptors.
 */
#include "sandbox/local/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/path.h"

#define PENDING_MAX (64 << 20)	/* bytes of names of directories still to be read */
#define CHECK_EVERY 256		/* entries between two looks at the deadline */

struct walk {
	struct mw_ctx *ctx;
	const char *path;	/* of the directory that is listed, for messages */
	int base;		/* the same, open */
	bool recursive;
	bool untold;		/* of the directory in hand: the rest cannot be told */
	mw_entry_fn fn;
	void *arg;
	struct mw_buf pending;	/* relative names, each followed by NUL: a stack */
	char name[MW_PATH_MAX + 1 + 256 + 1];	/* of the entry in hand, relative to base */
};

void
mw_local_stat_fill(const struct stat *sb, struct mw_stat *st)
{
	st->type = S_ISREG(sb->st_mode) ? MW_FT_FILE : S_ISDIR(sb->st_mode) ? MW_FT_DIR :
	    S_ISLNK(sb->st_mode) ? MW_FT_SYMLINK : MW_FT_OTHER;
	st->size = sb->st_size;
	st->mtime = (int64_t)sb->st_mtim.tv_sec * 1000 + sb->st_mtim.tv_nsec / 1000000;
	st->mode = (int)(sb->st_mode & 07777);
}

/*
 * The directory in hand, the first n bytes of w->name with its '/', cannot be listed, or not
 * to its end: that is its own trouble, unless the process lacks something, or all is asked for.
 */
static enum mw_code
untold(struct walk *w, int e, size_t n)
{
	struct mw_entry dir = { .path = w->name, .st = { .type = MW_FT_DIR } };
	struct mw_err err = { .code = MW_OK };

	w->name[n > 0 && w->name[n - 1] == '/' ? n - 1 : n] = '\0';
	if (!w->recursive || n == 0 || e == EMFILE || e == ENFILE || e == ENOMEM)
		return mw_local_errno(w->ctx, e, n == 0 ? w->path : w->name);
	dir.code = e == EAGAIN ? MW_CONFLICT : mw_local_of_errno(e);
	dir.error = err.msg;
	(void)mw_fail(&err, dir.code, "%.150s: cannot be listed: %s", w->name, strerror(e));
	w->untold = true;
	return w->fn(w->arg, &dir);
}

/* One entry of `dir`, whose own name is the first `n` bytes of w->name. */
static enum mw_code
visit(struct walk *w, int dir, size_t n, const char *entry)
{
	size_t len = strlen(entry);
	bool skip = false;
	struct mw_entry e = { .path = w->name, .skip = &skip };
	struct stat sb;
	enum mw_code code;

	if (len > 255)
		return MW_OK;
	memcpy(w->name + n, entry, len + 1);
	if (fstatat(dir, entry, &sb, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? MW_OK : untold(w, errno, n);
	mw_local_stat_fill(&sb, &e.st);
	code = w->fn(w->arg, &e);
	/* What lies below a longer name cannot be named by anyone. */
	if (code != MW_OK || skip || !w->recursive || !S_ISDIR(sb.st_mode) ||
	    n + len > MW_PATH_MAX)
		return code;
	if (!mw_buf_add(&w->pending, w->name, n + len + 1))
		return mw_ctx_fail(w->ctx, MW_CONFLICT, "%s: too many directories", w->path);
	return MW_OK;
}

/* All of the directory w->name (n bytes; 0 = the base). */
static enum mw_code
read_dir(struct walk *w, DIR *dir, size_t n)
{
	enum mw_code code = MW_OK;
	unsigned count = 0;
	struct dirent *de;

	if (n > 0)
		w->name[n++] = '/';
	w->untold = false;
	while (code == MW_OK && !w->untold) {
		if (count++ % CHECK_EVERY == 0 && mw_left(w->ctx->deadline) == 0)
			return mw_ctx_fail(w->ctx, MW_SANDBOX_TIMEOUT, "%s: listing took too long",
			    w->path);
		errno = 0;
		de = readdir(dir);
		if (de == NULL)
			return errno == 0 || errno == ENOENT ? MW_OK : untold(w, errno, n);
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			code = visit(w, dirfd(dir), n, de->d_name);
	}
	return code;
}

static enum mw_code
list_one(struct walk *w, size_t n)
{
	int fd = mw_local_openat_nolink(w->base, w->name, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	enum mw_code code;

	if (dir == NULL) {
		code = MW_OK;
		/* Removed or swapped since it was met: it is not there any more. */
		if (fd >= 0 || (errno != ENOENT && errno != ENOTDIR && errno != ELOOP))
			code = untold(w, errno, n);
		if (fd >= 0)
			(void)close(fd);
		return code;
	}
	code = read_dir(w, dir, n);
	(void)closedir(dir);
	return code;
}

/* Take the last pending name into w->name.  Its length, 0 = none is left. */
static size_t
pop(struct walk *w)
{
	size_t end, start;

	if (w->pending.len == 0)
		return 0;
	end = w->pending.len - 1;
	for (start = end; start > 0 && w->pending.data[start - 1] != '\0'; start--)
		;
	memcpy(w->name, w->pending.data + start, end - start + 1);
	w->pending.len = start;
	return end - start;
}

static enum mw_code
walk(struct walk *w)
{
	enum mw_code code;
	size_t n = 0;

	w->name[0] = '\0';
	do {
		code = list_one(w, n);
		n = code == MW_OK ? pop(w) : 0;
	} while (n > 0);
	return code;
}

static enum mw_code
open_base(const struct mw_local *l, struct mw_ctx *ctx, int root, const char *path, int *fd)
{
	struct stat sb;
	enum mw_code code;

	*fd = mw_local_openat(l, root, path, O_PATH);
	if (*fd < 0)
		return mw_local_errno(ctx, errno, path);
	if (fstat(*fd, &sb) != 0)
		code = mw_local_errno(ctx, errno, path);
	else if (!S_ISDIR(sb.st_mode))
		code = mw_ctx_fail(ctx, MW_CONFLICT, "%s: is not a directory", path);
	else
		return MW_OK;
	(void)close(*fd);
	*fd = -1;
	return code;
}

enum mw_code
mw_local_list(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    bool recursive, mw_entry_fn fn, void *arg)
{
	const struct mw_local *l = (const struct mw_local *)s;
	struct walk *w;
	enum mw_code code;
	int root;

	code = mw_local_files(l, ctx, user, &root);
	if (code != MW_OK)
		return code;
	w = calloc(1, sizeof(*w));
	if (w == NULL) {
		(void)close(root);
		return mw_ctx_nomem(ctx);
	}
	*w = (struct walk){ .ctx = ctx, .path = *path == '\0' ? "/" : path,
	    .recursive = recursive, .fn = fn, .arg = arg };
	mw_buf_init(&w->pending, PENDING_MAX);
	code = open_base(l, ctx, root, path, &w->base);
	(void)close(root);
	if (code == MW_OK) {
		code = walk(w);
		(void)close(w->base);
	}
	mw_buf_free(&w->pending);
	free(w);
	return code;
}
