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

/* How our scripts end. */
enum {
	SAYS_UNPROVEN = 20, SAYS_CONFLICT, SAYS_OUTSIDE, SAYS_MISSING, SAYS_FAILED
};

/*
 * $1 "1": unproven ones too; $2 the directory below the root; $3 "1": make it, "2": it is
 * what is asked for.  Afterwards the working directory is it, by no link that leads out.
 */
const char mw_engine_walk[] =
    "if [ \"$1\" != 1 ]; then\n"
    "	m=; [ -f \"$MW_RUN_DIR/instance\" ] && read -r m <\"$MW_RUN_DIR/instance\"\n"
    "	case $m in *[!0-9a-f]*) exit 20 ;; ???????????????" "?) ;; *) exit 20 ;; esac\n"
    "fi\n"
    "[ -d \"$MW_ROOT\" ] || mkdir -p \"$MW_ROOT\" || exit 24\n"
    "cd -P \"$MW_ROOT\" || exit 24\n"
    "top=$PWD; at=\n"
    "set -f; IFS=/\n"
    "for c in $2; do\n"
    "	at=$at/$c\n"
    "	if [ ! -d \"./$c\" ]; then\n"
    "		[ \"$3\" = 2 ] && [ \"$at\" = \"/$2\" ] && [ -e \"./$c\" ] && exit 21\n"
    "		[ \"$3\" = 1 ] || exit 23\n"
    "		[ -L \"./$c\" ] || [ -e \"./$c\" ] && exit 21\n"
    "		mkdir \"./$c\" || [ -d \"./$c\" ] || exit 24\n"
    "	fi\n"
    "	cd -P \"./$c\" || exit 24\n"
    "	case $PWD in \"$top\"|\"$top\"/*) ;; *) exit 22 ;; esac\n"
    "done\n"
    "set +f; unset IFS\n";

/* $4 name, $5 the uploaded file, $6 its mode or "" = keep, $7: uploads before it are swept. */
static const char put_script[] =
    "trap 'rm -f \"$5\"' EXIT\n"
    "for f in \"$MW_RUN_DIR\"/in/w*-*; do\n"
    "	t=${f##*/w}; t=${t%%-*}\n"
    "	case $t in ''|*[!0-9]*) ;; *) [ \"$t\" -gt \"$7\" ] || rm -f \"$f\" ;; esac\n"
    "done\n"
    "m=$6\n"
    "if [ ! -L \"./$4\" ] && [ -e \"./$4\" ]; then\n"
    "	[ -f \"./$4\" ] || exit 21\n"
    "	[ -n \"$m\" ] || m=$(printf %o $((0$(stat -c %a \"./$4\") & 0777)))\n"
    "fi\n"
    "chmod \"${m:-644}\" \"$5\" || exit 24\n"
    "if [ -L \"./$4\" ]; then rm -f \"./$4\" || exit 24; fi\n"
    "if [ \"$(stat -c %d \"$5\")\" = \"$(stat -c %d .)\" ]; then\n"
    "	mv -f \"$5\" \"./$4\" || exit 24\n"
    "else\n"
    "	n=.${5##*/}\n"
    "	cp -p \"$5\" \"./$n\" && mv -f \"./$n\" \"./$4\" || { rm -f \"./$n\"; exit 24; }\n"
    "fi\n";

static const char rm_script[] =
    "[ -L \"./$4\" ] || [ -e \"./$4\" ] || exit 23\n"
    "[ -d \"./$4\" ] && [ ! -L \"./$4\" ] && exit 21\n"
    "rm -f \"./$4\" || exit 24\n";

enum mw_code
mw_engine_script_code(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, const struct mw_exec_result *r)
{
	const char *text = r->err.len > 0 ? r->err.data : "";
	const char *what = *path == '\0' ? "/" : path;
	enum mw_code code;

	switch (r->exit_code) {
	case 0:
		return MW_OK;
	case SAYS_UNPROVEN:
		return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING,
		    "the sandbox's files are not restored yet");
	case SAYS_CONFLICT:
		return mw_ctx_fail(ctx, MW_CONFLICT, "%s: a file is where a directory would have to "
		    "be, or the reverse", what);
	case SAYS_OUTSIDE:
		return mw_ctx_fail(ctx, MW_PERMISSION_DENIED,
		    "%s: leads out of the user's root by a link", what);
	case SAYS_MISSING:
		return mw_engine_missing(e, ctx, user, path);
	default:
		code = mw_engine_code(500, text);
		return mw_ctx_fail(ctx, code == MW_SANDBOX_HIBERNATING ? MW_SANDBOX_UNREACHABLE : code,
		    "%s: the sandbox could not do it (%d): %.150s", what, r->exit_code, text);
	}
}

/* One of the scripts above, after the walk. */
static enum mw_code
run(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *path,
    const char *script, const char *const *args)
{
	struct mw_exec_result r = { .exit_code = -1 };
	char *whole = mw_arena_printf(ctx->arena, "%s%s", mw_engine_walk, script);
	enum mw_code code;

	if (whole == NULL)
		return mw_ctx_nomem(ctx);
	mw_buf_init(&r.out, 1);
	mw_buf_init(&r.err, 2048);
	code = mw_engine_script(e, ctx, user, whole, args, &r);
	if (code == MW_OK)
		code = mw_engine_script_code(e, ctx, user, path, &r);
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
	const char *args[] = { e->base.allow_unproven ? "1" : "0", NULL, "1", NULL, NULL, NULL,
	    NULL, NULL };
	char mode[8] = "", before[24], *abs;
	enum mw_code code;

	if (!split(ctx, path, &args[1], &args[3]))
		return is_dir(ctx, path);
	if (src->mode >= 0)
		(void)snprintf(mode, sizeof(mode), "%o", (unsigned)src->mode & 0777);
	src->mode = 0600;
	(void)snprintf(before, sizeof(before), "%lld",
	    (long long)(mw_wall() / 1000 - MW_ENGINE_LEFTOVER));
	code = mw_engine_upload(e, ctx, user, st, src, NULL, &abs);
	if (code != MW_OK)
		return code;
	args[4] = abs;
	args[5] = mode;
	args[6] = before;
	return run(e, ctx, user, path, put_script, args);
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
	const char *args[] = { s->allow_unproven ? "1" : "0", NULL, "0", NULL, NULL };

	if (!split(ctx, path, &args[1], &args[3]))
		return is_dir(ctx, path);
	return run(e, ctx, user, path, rm_script, args);
}
