/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists.  Awake: find and stat inside, names and numbers apart, so that no name can be
 * taken for anything else.  Asleep, or where the image has no find: an archive of the
 * directory, whose contents are skipped.
 */
#include "sandbox/engine/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "sandbox/engine/tar.h"

#define OUTPUT_MAX (64 << 20)	/* of find and stat */
#define ARCHIVE_MAX (INT64_C(256) << 20)	/* of a sleeping sandbox; above it is woken */
#define SEEN_MAX (16 << 20)	/* bytes of names kept for hard links */

/* ---- awake ---- */

/* The batch from *pp on. */
static enum mw_code
batch(const char **pp, const char *end, mw_entry_fn fn, void *arg)
{
	const char *name = *pp, *lines, *nul;
	struct mw_entry e = { .code = MW_OK };
	enum mw_code code = MW_OK;
	size_t n;

	for (lines = name; lines < end && *lines != '\0'; lines = nul + 1) {
		nul = memchr(lines, '\0', (size_t)(end - lines));
		if (nul == NULL || lines[0] != '.' || lines[1] != '/')
			return MW_SANDBOX_UNREACHABLE;
	}
	if (lines >= end || lines == name)
		return MW_SANDBOX_UNREACHABLE;
	lines++;
	for (; *name != '\0' && code == MW_OK; name += n + 1) {
		n = strlen(name);
		if (!mw_engine_stat_line(&lines, end, name, n, &e.st))
			continue;	/* removed meanwhile */
		e.path = name + 2;	/* "./" */
		code = fn(arg, &e);
	}
	*pp = lines;
	return code;
}

static enum mw_code
pass_on(const struct mw_buf *out, mw_entry_fn fn, void *arg)
{
	const char *p = out->len > 0 ? out->data : "", *end = p + out->len;
	enum mw_code code = MW_OK;

	while (p < end && code == MW_OK)
		code = batch(&p, end, fn, arg);
	return code;
}

/* Directories that may not be read, and what went away meanwhile, are left out; anything
 * else that find says makes the list a wrong one. */
static bool
only_unreadable(const struct mw_buf *err)
{
	const char *p = err->len > 0 ? err->data : "", *nl;

	for (; *p != '\0'; p = nl + 1) {
		nl = strchr(p, '\n');
		if (nl == NULL)
			return true;	/* cut at the cap */
		if (memmem(p, (size_t)(nl - p), "ermission denied", 16) == NULL &&
		    memmem(p, (size_t)(nl - p), "o such file", 11) == NULL)
			return false;
	}
	return true;
}

static enum mw_code
list_awake(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *path,
    bool recursive, mw_entry_fn fn, void *arg, bool *no_tools)
{
	const char *args[] = { e->base.allow_unproven ? "1" : "0", path, "2", "list",
	    recursive ? "999999" : "1", NULL };
	struct mw_exec_result r;
	enum mw_code code = mw_engine_script(e, ctx, user, path, args, OUTPUT_MAX, &r);
	bool complained = code == MW_OK && r.exit_code == MW_SCRIPT_COMPLAINED;

	*no_tools = code == MW_OK && r.exit_code == MW_SCRIPT_NO_TOOLS;
	if (complained && !only_unreadable(&r.err))
		code = mw_engine_script_code(e, ctx, user, path, &r);
	if (code == MW_OK && !*no_tools) {
		if (r.out_cut)
			code = mw_ctx_fail(ctx, MW_CONFLICT, "%s: too many entries", path);
		else
			code = pass_on(&r.out, fn, arg);
		if (code == MW_SANDBOX_UNREACHABLE)
			code = mw_ctx_fail(ctx, code, "%s: the list broke off", path);
	}
	mw_buf_free(&r.out);
	mw_buf_free(&r.err);
	return code;
}

/* ---- by archive ---- */

struct lister {
	struct mw_ctx *ctx;
	const char *path;
	bool recursive;
	mw_entry_fn fn;
	void *arg;
	enum mw_code code;
	struct mw_tar tar;
	struct mw_buf seen;	/* files so far: struct mw_stat, name, NUL */
	struct mw_buf name;	/* of the entry in hand */
};

/* A name as the engine writes it, without what it puts around it ("./a/"): "a". */
static bool
trim(struct lister *l, const char *name)
{
	size_t n;

	while (name[0] == '.' && name[1] == '/')
		name += 2;
	while (*name == '/')
		name++;
	n = strlen(name);
	while (n > 0 && name[n - 1] == '/')
		n--;
	if (n == 0 || (n == 1 && name[0] == '.'))
		return false;
	mw_buf_reset(&l->name);
	return mw_buf_add(&l->name, name, n);
}

/* What a second name of a file is: the first one. */
static void
as_first(const struct lister *l, const char *link, struct mw_stat *st)
{
	const char *p = l->seen.len > 0 ? l->seen.data : "", *end = p + l->seen.len;

	while (link[0] == '.' && link[1] == '/')
		link += 2;
	for (; p < end; p += sizeof(*st) + strlen(p + sizeof(*st)) + 1) {
		if (strcmp(p + sizeof(*st), link) == 0) {
			memcpy(st, p, sizeof(*st));
			return;
		}
	}
}

static bool
on_entry(void *arg, const struct mw_tar_entry *t)
{
	struct lister *l = arg;
	struct mw_entry e = { .st = t->st };

	if (!trim(l, t->name)) {
		if (l->name.failed)
			l->code = mw_ctx_nomem(l->ctx);
		return l->code == MW_OK;
	}
	if (t->hard)
		as_first(l, t->link, &e.st);
	else if (t->st.type == MW_FT_FILE && (!mw_buf_add(&l->seen, &t->st, sizeof(t->st)) ||
	    !mw_buf_add(&l->seen, l->name.data, l->name.len + 1))) {
		l->code = mw_ctx_fail(l->ctx, MW_CONFLICT, "%s: too many entries", l->path);
		return false;
	}
	if (!l->recursive && memchr(l->name.data, '/', l->name.len) != NULL)
		return true;
	e.path = l->name.data;
	l->code = l->fn(l->arg, &e);
	return l->code == MW_OK;
}

static bool
on_data(void *arg, const void *p, size_t n)
{
	struct lister *l = arg;

	return mw_tar_feed(&l->tar, p, n);
}

static bool
on_head(void *arg, int status)
{
	(void)arg;
	return status == 200;
}

static enum mw_code
archive(struct mw_engine *e, const char *user, const char *abs, struct lister *l)
{
	struct mw_net_req req = { .method = "GET", .body_fd = -1, .on_head = on_head,
	    .on_data = on_data, .max_response = ARCHIVE_MAX, .arg = l };
	char *dir = mw_arena_printf(l->ctx->arena, "%s/.", abs);
	struct mw_net_res res;
	enum mw_code code;

	if (dir == NULL)
		return mw_ctx_nomem(l->ctx);
	mw_engine_stream(e, l->ctx, mw_engine_archive(e, l->ctx, user, dir), &req, &res);
	if (l->code != MW_OK)
		return l->code;
	if (res.end == MW_NET_TOO_LARGE)
		return mw_ctx_fail(l->ctx, MW_SANDBOX_HIBERNATING,
		    "%s: too much to be listed in a sandbox that sleeps", l->path);
	if (l->tar.bad)
		return mw_ctx_fail(l->ctx, MW_SANDBOX_UNREACHABLE,
		    "%s: the engine's archive cannot be read", l->path);
	code = mw_engine_ended(e, l->ctx, &res);
	if (code != MW_OK)
		return code;
	if (res.status == 404)
		return mw_engine_missing(e, l->ctx, user, l->path);
	if (res.status != 200)
		return mw_engine_refused(e, l->ctx, user, l->path, res.status, "");
	return mw_tar_complete(&l->tar) ? MW_OK : mw_ctx_fail(l->ctx, MW_SANDBOX_UNREACHABLE,
	    "%s: the engine's archive broke off", l->path);
}

static enum mw_code
list_archive(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *path,
    bool recursive, mw_entry_fn fn, void *arg)
{
	struct lister l = { .ctx = ctx, .path = *path == '\0' ? "/" : path,
	    .recursive = recursive, .fn = fn, .arg = arg };
	struct mw_engine_place p;
	enum mw_code code = mw_engine_proven(e, ctx, user);

	if (code == MW_OK)
		code = mw_engine_resolve(e, ctx, user, path, true, &p);
	if (code != MW_OK)
		return code;
	if (!p.exists || p.below_file)
		return mw_engine_missing(e, ctx, user, path);
	if (p.st.type != MW_FT_DIR)
		return mw_ctx_fail(ctx, MW_CONFLICT, "%s: is not a directory", path);
	mw_buf_init(&l.seen, SEEN_MAX);
	mw_buf_init(&l.name, MW_TAR_NAME_MAX);
	l.tar = (struct mw_tar){ .on_entry = on_entry, .arg = &l };
	mw_tar_init(&l.tar);
	code = archive(e, user, p.abs, &l);
	mw_tar_free(&l.tar);
	mw_buf_free(&l.seen);
	mw_buf_free(&l.name);
	return code;
}

enum mw_code
mw_engine_list(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    bool recursive, mw_entry_fn fn, void *arg)
{
	struct mw_engine *e = (struct mw_engine *)s;
	struct mw_engine_state st;
	bool no_tools = false;
	enum mw_code code = mw_engine_inspect(e, ctx, user, &st);

	if (code != MW_OK)
		return code;
	if (!st.exists)
		return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND, "there is no such sandbox");
	if (st.running)
		code = list_awake(e, ctx, user, path, recursive, fn, arg, &no_tools);
	if (st.running && !no_tools)
		return code;
	code = list_archive(e, ctx, user, path, recursive, fn, arg);
	if (code == MW_NOT_SUPPORTED && !st.running) {
		mw_err_clear(&ctx->err);
		code = mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "the sandbox is asleep");
	}
	return code;
}
