/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing and removing.  Awake: a script moves the uploaded file into its place, seen and
 * resolved by the sandbox's own kernel.  Asleep: see upload.c.
 */
#include "sandbox/engine/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"

static enum mw_code
change(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *path,
    const char *const *args)
{
	struct mw_exec_result r;
	enum mw_code code = mw_engine_script(e, ctx, user, path, args, 1, &r);

	mw_buf_free(&r.out);
	mw_buf_free(&r.err);
	return code;
}

/* "a/b/c" is "a/b" and "c"; false for what cannot be a file's path. */
static bool
split(struct mw_ctx *ctx, const char *path, const char **dir, const char **name)
{
	const char *slash = strrchr(path, '/');

	*name = slash == NULL ? path : slash + 1;
	*dir = slash == NULL ? "" : mw_arena_dup(ctx->arena, path, (size_t)(slash - path));
	return *dir != NULL && **name != '\0' && strcmp(*name, ".") != 0 && strcmp(*name, "..") != 0;
}

static enum mw_code
is_dir(struct mw_ctx *ctx, const char *path)
{
	return mw_ctx_fail(ctx, MW_CONFLICT, "%s: is a directory", *path == '\0' ? "/" : path);
}

static enum mw_code
write_awake(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *path,
    const struct mw_engine_state *st, struct mw_engine_source *src)
{
	const char *args[] = { e->base.allow_unproven ? "1" : "0", NULL, "1", "put", NULL,
	    NULL, NULL, NULL, NULL };
	char mode[8] = "", before[24], *abs;
	enum mw_code code;

	if (!split(ctx, path, &args[1], &args[4]))
		return is_dir(ctx, path);
	if (src->mode >= 0)
		(void)snprintf(mode, sizeof(mode), "%o", (unsigned)src->mode & 0777);
	src->mode = 0600;
	(void)snprintf(before, sizeof(before), "%lld",
	    (long long)(mw_wall() / 1000 - MW_ENGINE_LEFTOVER));
	code = mw_engine_upload(e, ctx, user, st, src, NULL, &abs);
	if (code != MW_OK)
		return code;
	args[5] = abs;
	args[6] = mode;
	args[7] = before;
	return change(e, ctx, user, path, args);
}

static enum mw_code
write_asleep(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *path,
    const struct mw_engine_state *st, struct mw_engine_source *src)
{
	struct mw_engine_place p;
	const char *dir, *name;
	char *abs;
	enum mw_code code;

	if (!split(ctx, path, &dir, &name))
		return is_dir(ctx, path);
	code = mw_engine_proven(e, ctx, user);
	if (code == MW_OK)
		code = mw_engine_resolve(e, ctx, user, path, false, &p);
	if (code == MW_NOT_SUPPORTED) {
		mw_err_clear(&ctx->err);
		return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "the sandbox is asleep");
	}
	if (code != MW_OK)
		return code;
	if (p.below_file || (p.exists && p.st.type != MW_FT_FILE && p.st.type != MW_FT_SYMLINK))
		return mw_ctx_fail(ctx, MW_CONFLICT, "%s: a file is where a directory would have to "
		    "be, or the reverse", path);
	if (src->mode < 0)
		src->mode = p.exists && p.st.type == MW_FT_FILE ? p.st.mode : 0644;
	src->mode &= 0777;
	return mw_engine_upload(e, ctx, user, st, src, &p, &abs);
}

enum mw_code
mw_engine_write(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    int fd, int64_t size, int mode, int64_t mtime)
{
	struct mw_engine *e = (struct mw_engine *)s;
	struct mw_engine_source src = { .fd = fd, .size = size, .mode = mode,
	    .mtime = mtime >= 0 ? mtime : mw_wall() };
	struct mw_engine_state st;
	enum mw_code code = mw_engine_inspect(e, ctx, user, &st);

	if (code != MW_OK)
		return code;
	if (!st.exists)
		return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND, "there is no such sandbox");
	return st.running ? write_awake(e, ctx, user, path, &st, &src) :
	    write_asleep(e, ctx, user, path, &st, &src);
}

/* The engine has no call for it: asleep, the sandbox has to be woken. */
enum mw_code
mw_engine_remove(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path)
{
	struct mw_engine *e = (struct mw_engine *)s;
	const char *args[] = { s->allow_unproven ? "1" : "0", NULL, "0", "remove", NULL,
	    NULL };

	if (!split(ctx, path, &args[1], &args[4]))
		return is_dir(ctx, path);
	return change(e, ctx, user, path, args);
}
