/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files in directories of this host, which are mounted into the containers: the user's root,
 * and sandbox.run_dir with the marker that vouches for it.  Laid out as the local driver's,
 * whose code reads and writes them; no call to the engine, asleep or awake.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lockfile.h"
#include "base/tmpfile.h"
#include "sandbox/engine/internal.h"
#include "sandbox/local/local.h"

static enum mw_code
cannot(const struct mw_engine *e, struct mw_ctx *ctx, const char *user)
{
	return mw_ctx_fail(ctx, errno == ENOSPC || errno == EDQUOT ? MW_STORAGE_FULL :
	    MW_SANDBOX_UNAVAILABLE, "sandbox.engine.files: the directories of %s below %s: %s",
	    user, e->files->path, strerror(errno));
}

/* ---- making them ---- */

/* PATH/USER/BELOW, from PATH on. */
static bool
make_root(const struct mw_local *l, struct mw_ctx *ctx, const char *user)
{
	char *path = mw_arena_printf(ctx->arena, "%s/%s%s", l->path, user, l->below);
	char *p = path == NULL ? NULL : path + strlen(l->path) + 1;
	bool good = p != NULL;

	for (; good && (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		good = mkdir(path, 0700) == 0 || errno == EEXIST;
	}
	return good && (mkdir(path, 0700) == 0 || errno == EEXIST);
}

static bool
make(const struct mw_local *l, struct mw_ctx *ctx, const char *user, int run)
{
	int root = mw_local_user_dir(l, user);

	if (root >= 0)
		(void)close(root);
	else if (errno != ENOENT || !mw_local_wipe(run, "run") || !mw_local_wipe(run, "in") ||
	    !make_root(l, ctx, user))
		return false;
	return mkdirat(run, "run", 0700) == 0 || errno == EEXIST;
}

enum mw_code
mw_engine_bound_make(struct mw_engine *e, struct mw_ctx *ctx, const char *user)
{
	const char *name = mw_arena_printf(ctx->arena, "%s/.run/%s/lock", e->files->path, user);
	int run = mw_local_make_run_dir(e->files, user), lock;
	enum mw_code code;

	if (run < 0)
		return cannot(e, ctx, user);
	code = name == NULL ? mw_ctx_nomem(ctx) :
	    mw_lockfile_take(name, "start", ctx->deadline, &lock, &ctx->err);
	if (code == MW_OK) {
		if (!make(e->files, ctx, user, run))
			code = cannot(e, ctx, user);
		mw_lockfile_give(lock);
	}
	(void)close(run);
	return code;
}

/* ---- mounts ---- */

static bool
add_mount(struct json_object *list, const char *source, const char *target)
{
	struct json_object *m = json_object_new_object();

	if (m == NULL || json_object_array_add(list, m) != 0) {
		json_object_put(m);
		return false;
	}
	return json_object_object_add(m, "Type", json_object_new_string("bind")) == 0 &&
	    json_object_object_add(m, "Source", json_object_new_string(source)) == 0 &&
	    json_object_object_add(m, "Target", json_object_new_string(target)) == 0;
}

struct json_object *
mw_engine_bound_mounts(const struct mw_engine *e, struct mw_ctx *ctx, const char *user)
{
	const struct mw_local *l = e->files;
	const char *root = mw_arena_printf(ctx->arena, "%s/%s%s", l->path, user, l->below);
	const char *run = mw_arena_printf(ctx->arena, "%s/.run/%s/run", l->path, user);
	struct json_object *list = json_object_new_array();

	if (list != NULL && root != NULL && run != NULL && add_mount(list, root, e->root) &&
	    add_mount(list, run, e->run_dir))
		return list;
	json_object_put(list);
	return NULL;
}

/* ---- a command's input ---- */

/* The directory of inputs.  It lies in the sandbox's reach: no link is followed. */
static int
open_in(const struct mw_local *l, const char *user)
{
	int run = mw_local_run_dir(l, user), in = -1, e;

	if (run < 0)
		return -1;
	in = mw_local_openat_nolink(run, "run/in", O_RDONLY | O_DIRECTORY);
	if (in < 0 && errno == ENOENT && mkdirat(run, "run/in", 0700) == 0)
		in = mw_local_openat_nolink(run, "run/in", O_RDONLY | O_DIRECTORY);
	e = errno;
	(void)close(run);
	errno = e;
	return in;
}

enum mw_code
mw_engine_bound_input(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const struct mw_exec *x, char **abs)
{
	int in = open_in(e->files, user), fd;
	char name[MW_TMPNAME_LEN];
	enum mw_code code;

	if (in < 0)
		return errno == ENOENT ? mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND,
		    "there is no such sandbox") : cannot(e, ctx, user);
	(void)mw_tmpfile_sweep(in, MW_ENGINE_LEFTOVER);
	code = mw_tmpfile(in, 0600, name, &fd, &ctx->err);
	if (code == MW_OK) {
		code = mw_write_all(fd, x->input, x->input_len, &ctx->err);
		*abs = mw_arena_printf(ctx->arena, "%s/in/%s", e->run_dir, name);
		if (code == MW_OK && *abs == NULL)
			code = mw_ctx_nomem(ctx);
		if (code != MW_OK)
			(void)unlinkat(in, name, 0);
		(void)close(fd);
	}
	(void)close(in);
	return code;
}

void
mw_engine_bound_drop(const struct mw_engine *e, const char *user, const char *abs)
{
	int in = open_in(e->files, user);

	if (in < 0)
		return;
	(void)unlinkat(in, strrchr(abs, '/') + 1, 0);
	(void)close(in);
}

/* ---- the local driver's operations ---- */

static struct mw_sandbox *
files_of(struct mw_sandbox *s)
{
	struct mw_local *l = ((struct mw_engine *)s)->files;

	l->base.allow_unproven = s->allow_unproven;
	return &l->base;
}

/* Not there, or not proven: is it because the container has its files elsewhere? */
static enum mw_code
explain(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, enum mw_code code)
{
	struct mw_err before = ctx->err;
	struct mw_engine_state st;

	if (code != MW_SANDBOX_HIBERNATING && code != MW_SANDBOX_NOT_FOUND)
		return code;
	mw_err_clear(&ctx->err);
	if (mw_engine_inspect((struct mw_engine *)s, ctx, user, &st) == MW_OK && st.exists &&
	    st.misplaced != NULL)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "%s: see doc/install.md, Docker "
		    "and Podman", st.misplaced);
	ctx->err = before;
	return code;
}

enum mw_code
mw_engine_bound_read(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, bool ranged, int64_t from, int64_t to, const struct mw_file_sink *sink)
{
	return explain(s, ctx, user, mw_local_read(files_of(s), ctx, user, path, ranged, from, to,
	    sink));
}

enum mw_code
mw_engine_bound_stat(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, struct mw_stat *st)
{
	return explain(s, ctx, user, mw_local_stat(files_of(s), ctx, user, path, st));
}

enum mw_code
mw_engine_bound_write(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, int fd, int64_t size, int mode, int64_t mtime)
{
	return explain(s, ctx, user, mw_local_write(files_of(s), ctx, user, path, fd, size, mode,
	    mtime));
}

enum mw_code
mw_engine_bound_remove(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path)
{
	return explain(s, ctx, user, mw_local_remove(files_of(s), ctx, user, path));
}

enum mw_code
mw_engine_bound_list(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, bool recursive, mw_entry_fn fn, void *arg)
{
	return explain(s, ctx, user, mw_local_list(files_of(s), ctx, user, path, recursive, fn,
	    arg));
}
