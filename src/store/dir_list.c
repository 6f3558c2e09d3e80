/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listing in the byte order of whole keys, as S3 has it: in its directory a
 * subdirectory sorts as its name with the '/'.  One directory's names are held
 * at a time per level.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/dir.h"

struct names {
	char **v;			/* directories end in '/' */
	size_t n, cap;
};

struct walk {
	struct mw_dir *d;
	struct mw_ctx *ctx;
	const struct mw_list_req *req;
	mw_list_fn fn;
	void *arg;
	int64_t given;			/* rows handed out */
	bool more, stop;
	char key[MW_DIR_KEY_MAX + 1];
};

static void
names_free(struct names *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	memset(l, 0, sizeof(*l));
}

static bool
names_add(struct names *l, const char *name, bool directory)
{
	size_t n = strlen(name), cap = l->cap == 0 ? 64 : l->cap * 2;
	char **v, *copy;

	if (l->n == l->cap) {
		if ((v = reallocarray(l->v, cap, sizeof(*v))) == NULL)
			return false;
		l->v = v;
		l->cap = cap;
	}
	if ((copy = malloc(n + 2)) == NULL)
		return false;
	memcpy(copy, name, n);
	copy[n] = directory ? '/' : '\0';
	copy[n + 1] = '\0';
	l->v[l->n++] = copy;
	return true;
}

/* DT_REG, DT_DIR, or something else, which is no object. */
static unsigned char
type_of(DIR *dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type;
	if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return DT_UNKNOWN;
	return S_ISREG(st.st_mode) ? DT_REG : S_ISDIR(st.st_mode) ? DT_DIR : DT_UNKNOWN;
}

static enum mw_code
collect(struct walk *w, DIR *dir, size_t at, const char *begin, struct names *l)
{
	const struct dirent *e;
	unsigned char type;

	for (;;) {
		errno = 0;
		if ((e = readdir(dir)) == NULL)
			return errno == 0 ? MW_OK :
			    mw_dir_fail(&w->ctx->err, errno, "list", w->key);
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    strncmp(e->d_name, begin, strlen(begin)) != 0 ||
		    (at == 0 && strcmp(e->d_name, MW_DIR_AREA) == 0))
			continue;
		type = type_of(dir, e);
		if ((type == DT_REG || type == DT_DIR) &&
		    !names_add(l, e->d_name, type == DT_DIR))
			return mw_ctx_nomem(w->ctx);
	}
}

/* The names in the directory w->key[0..at) that begin with `begin`. */
static enum mw_code
names_read(struct walk *w, size_t at, const char *begin, struct names *l)
{
	char path[MW_DIR_KEY_MAX + 1] = ".";
	enum mw_code code;
	DIR *dir;
	int fd;

	if (at > 0) {
		memcpy(path, w->key, at - 1);
		path[at - 1] = '\0';
	}
	fd = mw_dir_open(w->d->root, path, O_RDONLY | O_DIRECTORY);
	if (fd == -1)
		return mw_dir_is_miss(errno) ? MW_OK :
		    mw_dir_fail(&w->ctx->err, errno, "list", path);
	if ((dir = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return mw_ctx_nomem(w->ctx);
	}
	code = collect(w, dir, at, begin, l);
	(void)closedir(dir);
	return code;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* w->key[0..at) + name; 0 if that can be no key. */
static size_t
key_join(struct walk *w, size_t at, const char *name)
{
	struct mw_err ignored = { 0 };
	size_t n = strlen(name);

	if (n > MW_DIR_KEY_MAX - at)
		return 0;
	memcpy(w->key + at, name, n + 1);
	return mw_key_check(w->key, MW_DIR_KEY_MAX, &ignored) == MW_OK ? at + n : 0;
}

/* Hand a row out, or note that there is one too many. */
static enum mw_code
emit(struct walk *w, const struct mw_list_row *row)
{
	if (w->given == w->req->max) {
		w->more = w->stop = true;
		return MW_OK;
	}
	w->given++;
	return w->fn(w->arg, row);
}

static enum mw_code
emit_object(struct walk *w)
{
	struct mw_list_row row = { .key = w->key };
	struct mw_dir_meta m;
	enum mw_code code;
	struct stat st;
	int fd;

	fd = mw_dir_open(w->d->root, w->key, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)			/* gone meanwhile */
		return mw_dir_is_miss(errno) ? MW_OK :
		    mw_dir_fail(&w->ctx->err, errno, "open", w->key);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return MW_OK;
	}
	code = mw_dir_meta_load(w->d, w->key, fd, &st, &m, &w->ctx->err);
	(void)close(fd);
	if (code != MW_OK)
		return code;
	row.size = st.st_size;
	row.modified = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	row.etag = m.etag;
	return emit(w, &row);
}

/* Is there any object below w->key[0..at)?  S3 knows no empty directory. */
static enum mw_code
has_object(struct walk *w, size_t at, bool *has)
{
	struct names l = { 0 };
	enum mw_code code = names_read(w, at, "", &l);
	size_t i, n;

	for (i = 0; i < l.n && code == MW_OK && !*has; i++) {
		n = key_join(w, at, l.v[i]);
		*has = n > 0 && w->key[n - 1] != '/';
	}
	for (i = 0; i < l.n && code == MW_OK && !*has; i++) {
		n = key_join(w, at, l.v[i]);
		if (n > 0 && w->key[n - 1] == '/')
			code = has_object(w, n, has);
	}
	names_free(&l);
	return code;
}

static enum mw_code
emit_group(struct walk *w, size_t n)
{
	struct mw_list_row row = { .key = w->key, .group = true };
	enum mw_code code;
	bool has = false;

	code = has_object(w, n, &has);
	w->key[n] = '\0';
	return code == MW_OK && has ? emit(w, &row) : code;
}

static enum mw_code level(struct walk *w, size_t at, const char *begin);

/* One name of the directory w->key[0..at), which may be passed already. */
static enum mw_code
visit(struct walk *w, size_t at, const char *name)
{
	const char *after = w->req->after;
	size_t n = key_join(w, at, name);
	bool directory, passed;

	if (n == 0)
		return MW_OK;
	directory = w->key[n - 1] == '/';
	passed = after != NULL && strcmp(w->key, after) <= 0;
	/* A directory may hold what comes after though it sorts before. */
	if (directory && w->req->recursive)
		return passed && strncmp(after, w->key, n) != 0 ? MW_OK : level(w, n, "");
	if (passed)
		return MW_OK;
	return directory ? emit_group(w, n) : emit_object(w);
}

static enum mw_code
level(struct walk *w, size_t at, const char *begin)
{
	struct names l = { 0 };
	enum mw_code code = names_read(w, at, begin, &l);
	size_t i;

	if (l.n > 1)
		qsort(l.v, l.n, sizeof(*l.v), compare);
	for (i = 0; i < l.n && code == MW_OK && !w->stop; i++) {
		if (mw_left(w->ctx->deadline) == 0)
			code = mw_ctx_fail(w->ctx, MW_STORE_UNAVAILABLE,
			    "listing %s took too long", w->req->prefix);
		else
			code = visit(w, at, l.v[i]);
	}
	names_free(&l);
	return code;
}

/* Can this be the directory part of a key?  "a/b/", or "". */
static bool
directory_ok(struct walk *w, size_t at)
{
	struct mw_err ignored = { 0 };
	bool good;

	if (at == 0)
		return true;
	w->key[at - 1] = '\0';
	good = mw_dir_key_check(w->key, &ignored) == MW_OK;
	w->key[at - 1] = '/';
	return good;
}

enum mw_code
mw_dir_list(struct mw_store *s, struct mw_ctx *ctx, const struct mw_list_req *req,
    mw_list_fn fn, void *arg, bool *more)
{
	struct walk w = { .d = (struct mw_dir *)s, .ctx = ctx, .req = req,
	    .fn = fn, .arg = arg };
	const char *slash = strrchr(req->prefix, '/');
	size_t at = slash == NULL ? 0 : (size_t)(slash - req->prefix) + 1;
	enum mw_code code;

	*more = false;
	if ((code = mw_dir_enter(w.d, &ctx->err)) != MW_OK)
		return code;
	if (at > MW_DIR_KEY_MAX)
		return MW_OK;
	memcpy(w.key, req->prefix, at);
	w.key[at] = '\0';
	if (!directory_ok(&w, at))
		return MW_OK;
	code = level(&w, at, req->prefix + at);
	*more = w.more;
	return code;
}
