/* SPDX-License-Identifier: BSD-2-Clause */
/* The directory store: its handle, opening it, and its table of operations. */
#include "store/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/range.h"
#include "http/http.h"

#define SWEEP_AGE 3600		/* s; a file being written is locked anyway */

static void
dir_close(struct mw_store *s)
{
	struct mw_dir *d = (struct mw_dir *)s;

	mw_dir_detach(d);
	free(d->path);
	free(d->lock_path);
	free(d->known_path);
	free(d);
}

static enum mw_code
dir_open(const struct mw_conf *conf, struct mw_store **sp, struct mw_err *err)
{
	struct mw_dir *d = calloc(1, sizeof(*d));
	enum mw_code code;

	*sp = NULL;
	if (d == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	d->store.ops = &mw_store_dir;
	d->timeout = conf->store.timeout;
	d->root = d->tmp = d->meta = -1;
	mw_store_identify(&d->store, "dir", conf->store.dir.path);
	if ((d->path = strdup(conf->store.dir.path)) == NULL ||
	    asprintf(&d->lock_path, "%s/" MW_DIR_AREA "/lock", d->path) == -1) {
		d->lock_path = NULL;
		dir_close(&d->store);
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	if (asprintf(&d->known_path, "%s/store-%016llx", conf->state.path,
	    (unsigned long long)mw_hash(d->path)) == -1) {
		d->known_path = NULL;
		dir_close(&d->store);
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	code = d->path[0] != '\0' ? mw_dir_attach(d, !mw_dir_known(d), err) :
	    mw_fail(err, MW_INTERNAL_ERROR, "store.dir.path is empty");
	/* A store that was there and is not mounted now may come back at any moment:
	 * every call looks for it. */
	if (code == MW_STORE_UNAVAILABLE && mw_dir_known(d)) {
		mw_err_clear(err);
		code = MW_OK;
	}
	if (code != MW_OK) {
		dir_close(&d->store);
		return code;
	}
	if (d->root != -1) {
		mw_dir_remember(d);
		(void)mw_tmpfile_sweep(d->tmp, SWEEP_AGE);
	}
	*sp = &d->store;
	return MW_OK;
}

enum mw_code
mw_dir_object(struct mw_dir *d, struct mw_ctx *ctx, const char *key, int *fd,
    struct stat *st, struct mw_dir_meta *m)
{
	enum mw_code code;

	*fd = mw_dir_open(d->root, key, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (*fd == -1 && !mw_dir_is_miss(errno))
		return mw_dir_fail(&ctx->err, errno, "open", key);
	if (*fd != -1 && fstat(*fd, st) == -1)
		code = mw_dir_fail(&ctx->err, errno, "examine", key);
	else if (*fd == -1 || !S_ISREG(st->st_mode))
		code = mw_ctx_fail(ctx, MW_FILE_NOT_FOUND, "the store has no %s", key);
	else
		code = mw_dir_meta_load(d, key, *fd, st, m, &ctx->err);
	if (code != MW_OK && *fd != -1) {
		(void)close(*fd);
		*fd = -1;
	}
	return code;
}

static enum mw_code
describe(struct mw_ctx *ctx, const struct stat *st, const struct mw_dir_meta *m,
    struct mw_object *obj)
{
	memset(obj, 0, sizeof(*obj));
	obj->size = st->st_size;
	obj->modified = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
	obj->mode = m->mode;
	obj->mtime = m->mtime;
	obj->etag = mw_arena_strdup(ctx->arena, m->etag);
	obj->etag_is_md5 = true;
	if (m->type[0] != '\0')
		obj->content_type = mw_arena_strdup(ctx->arena, m->type);
	if (obj->etag == NULL || (m->type[0] != '\0' && obj->content_type == NULL))
		return mw_ctx_nomem(ctx);
	return MW_OK;
}

/* What part is asked for, within the object; RFC 9110 14.1.2. */
static enum mw_code
range_set(struct mw_ctx *ctx, const char *key, const struct mw_get *opt,
    struct mw_object *obj)
{
	obj->from = opt->ranged ? opt->from : 0;
	obj->to = opt->ranged ? opt->to : obj->size - 1;
	if (!opt->ranged)
		return MW_OK;
	if (!mw_range_resolve(obj->size, &obj->from, &obj->to))
		return mw_ctx_fail(ctx, MW_RANGE_NOT_SATISFIABLE,
		    "%s has %lld bytes: no such range", key, (long long)obj->size);
	obj->partial = true;
	return MW_OK;
}

static enum mw_code
stream(struct mw_ctx *ctx, const char *key, int fd, const struct mw_object *obj,
    const struct mw_sink *sink)
{
	unsigned char piece[MW_DIR_PIECE];
	int64_t at = obj->from, left;
	enum mw_code code;
	ssize_t n;

	while (at <= obj->to) {
		left = obj->to - at + 1;
		n = pread(fd, piece, left < MW_DIR_PIECE ? (size_t)left : MW_DIR_PIECE, at);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return mw_dir_fail(&ctx->err, errno, "read", key);
		if (n == 0)
			return mw_ctx_fail(ctx, MW_STORE_UNAVAILABLE,
			    "%s became shorter while it was read", key);
		if (mw_left(ctx->deadline) == 0)
			return mw_ctx_fail(ctx, MW_STORE_UNAVAILABLE,
			    "reading %s took too long", key);
		if ((code = sink->data(sink->arg, piece, (size_t)n)) != MW_OK)
			return code;
		at += n;
	}
	return MW_OK;
}

static enum mw_code
get_open(struct mw_ctx *ctx, const char *key, int fd, const struct stat *st,
    const struct mw_dir_meta *m, const struct mw_get *opt,
    const struct mw_sink *sink, bool *not_modified)
{
	struct mw_object obj;
	enum mw_code code;

	if (opt->if_match != NULL && !mw_etag_in(opt->if_match, m->etag, false))
		return mw_ctx_fail(ctx, MW_PRECONDITION_FAILED,
		    "%s is another version now: %s", key, m->etag);
	if (opt->if_none_match != NULL && mw_etag_in(opt->if_none_match, m->etag, true)) {
		*not_modified = true;
		return opt->unmodified != NULL ? describe(ctx, st, m, opt->unmodified) : MW_OK;
	}
	if ((code = describe(ctx, st, m, &obj)) != MW_OK ||
	    (code = range_set(ctx, key, opt, &obj)) != MW_OK ||
	    (code = sink->begin(sink->arg, &obj)) != MW_OK)
		return code;
	return stream(ctx, key, fd, &obj, sink);
}

static enum mw_code
dir_get(struct mw_store *s, struct mw_ctx *ctx, const char *key,
    const struct mw_get *opt, const struct mw_sink *sink, bool *not_modified)
{
	struct mw_dir *d = (struct mw_dir *)s;
	struct mw_dir_meta m;
	struct stat st;
	enum mw_code code;
	int fd;

	*not_modified = false;
	if ((code = mw_dir_key_check(key, &ctx->err)) != MW_OK ||
	    (code = mw_dir_enter(d, &ctx->err)) != MW_OK ||
	    (code = mw_dir_object(d, ctx, key, &fd, &st, &m)) != MW_OK)
		return code;
	code = get_open(ctx, key, fd, &st, &m, opt, sink, not_modified);
	(void)close(fd);
	return code;
}

static enum mw_code
dir_head(struct mw_store *s, struct mw_ctx *ctx, const char *key, struct mw_object *obj)
{
	struct mw_dir *d = (struct mw_dir *)s;
	struct mw_dir_meta m;
	struct stat st;
	enum mw_code code;
	int fd;

	if ((code = mw_dir_key_check(key, &ctx->err)) != MW_OK ||
	    (code = mw_dir_enter(d, &ctx->err)) != MW_OK ||
	    (code = mw_dir_object(d, ctx, key, &fd, &st, &m)) != MW_OK)
		return code;
	(void)close(fd);
	return describe(ctx, &st, &m, obj);
}

enum mw_code
mw_dir_lock(struct mw_dir *d, struct mw_ctx *ctx, const char *key, int *lock)
{
	int64_t until = mw_now() + d->timeout;
	struct mw_err local = { 0 };

	if (mw_lockfile_take(d->lock_path, key,
	    until < ctx->deadline ? until : ctx->deadline, lock, &local) == MW_OK)
		return MW_OK;
	return mw_ctx_fail(ctx, MW_STORE_UNAVAILABLE, "%s", local.msg);
}

static enum mw_code
remove_locked(struct mw_dir *d, struct mw_ctx *ctx, const char *key)
{
	const char *leaf;
	struct stat st;
	int fd = mw_dir_parent(d, key, false, &leaf), e = errno;

	if (fd == -1)
		return mw_dir_is_miss(e) ? MW_OK : mw_dir_fail(&ctx->err, e, "remove", key);
	e = 0;
	/* The sidecar goes first: killed in between, we leave an object that lacks its
	 * mode and type, not a sidecar that nobody would ever find. */
	if (fstatat(fd, leaf, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		e = errno;
		if (mw_dir_is_miss(e))
			mw_dir_meta_remove(d, key);
	} else if (S_ISREG(st.st_mode)) {
		mw_dir_meta_remove(d, key);
		if (unlinkat(fd, leaf, 0) == -1 || fsync(fd) == -1)
			e = errno;
	}
	(void)close(fd);
	if (e != 0 && !mw_dir_is_miss(e))
		return mw_dir_fail(&ctx->err, e, "remove", key);
	mw_dir_prune(d, key);
	return MW_OK;
}

static enum mw_code
dir_remove(struct mw_store *s, struct mw_ctx *ctx, const char *key)
{
	struct mw_dir *d = (struct mw_dir *)s;
	enum mw_code code;
	int lock;

	if ((code = mw_dir_key_check(key, &ctx->err)) != MW_OK ||
	    (code = mw_dir_enter(d, &ctx->err)) != MW_OK ||
	    (code = mw_dir_lock(d, ctx, key, &lock)) != MW_OK)
		return code;
	code = remove_locked(d, ctx, key);
	mw_lockfile_give(lock);
	return code;
}

static enum mw_code
dir_ping(struct mw_store *s, struct mw_ctx *ctx)
{
	struct mw_dir *d = (struct mw_dir *)s;
	enum mw_code code = mw_dir_enter(d, &ctx->err);

	if (code != MW_OK)
		return code;
	if (faccessat(d->tmp, ".", W_OK | X_OK, AT_EACCESS) == -1)
		return mw_dir_fail(&ctx->err, errno, "write to", d->path);
	return MW_OK;
}

const struct mw_store_ops mw_store_dir = {
	.name = "dir",
	.key_max = MW_DIR_KEY_MAX,
	.open = dir_open,
	.close = dir_close,
	.get = dir_get,
	.head = dir_head,
	.put = mw_dir_put,
	.remove = dir_remove,
	.list = mw_dir_list,
	.ping = dir_ping,
};
