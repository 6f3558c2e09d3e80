/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a path of the API leads in a container, asleep or awake.  The engine follows
 * links by itself, to anywhere in the container; so each step is looked at before it is
 * taken.  The tree belongs to the sandbox, which may change it between two looks: what
 * it gains is a byte of its own container, never one of anybody else's.
 */
#include "sandbox/engine/internal.h"

#include <json-c/json.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"

#define LINKS_MAX 40
#define HEADER_MAX 12288	/* bytes of a stat header */

/* Go's fs.FileMode. */
#define GO_DIR (1u << 31)
#define GO_SYMLINK (1u << 27)
#define GO_DEVICE (1u << 26)
#define GO_PIPE (1u << 25)
#define GO_SOCKET (1u << 24)
#define GO_IRREGULAR (1u << 19)

enum look { LOOK_NONE, LOOK_LINK, LOOK_LOOP, LOOK_OTHER };	/* OTHER: p->st says what */

struct walk {
	struct mw_engine *e;
	struct mw_ctx *ctx;
	const char *user, *path;
	char *abs;		/* where we are */
	const char *rest;	/* below it, "" = arrived */
	unsigned links;
};

/* ---- a look ---- */

static bool
from_json(struct mw_ctx *ctx, struct json_object *o, struct mw_stat *st, const char **target)
{
	uint32_t mode = (uint32_t)mw_engine_int(o, "mode");

	if (mw_engine_int(o, "size") < 0 || mw_engine_int(o, "mode") < 0)
		return false;
	st->type = (mode & GO_SYMLINK) != 0 ? MW_FT_SYMLINK : (mode & GO_DIR) != 0 ? MW_FT_DIR :
	    (mode & (GO_DEVICE | GO_PIPE | GO_SOCKET | GO_IRREGULAR)) != 0 ? MW_FT_OTHER :
	    MW_FT_FILE;
	st->size = mw_engine_int(o, "size");
	st->mtime = mw_engine_time(mw_engine_str(o, "mtime"));
	st->mode = (int)(mode & 0777);
	*target = mw_arena_strdup(ctx->arena, mw_engine_str(o, "linkTarget"));
	return *target != NULL;
}

bool
mw_engine_stat_header(struct mw_engine *e, struct mw_ctx *ctx, struct mw_stat *st,
    const char **target)
{
	const char *header = mw_net_header(e->net, "X-Docker-Container-Path-Stat");
	char letters[HEADER_MAX + 1];
	unsigned char text[HEADER_MAX + 8];
	struct mw_base64 b = { .count = 0 };
	struct json_object *o;
	bool good;
	size_t i;
	long n;

	if (header == NULL || strlen(header) > HEADER_MAX)
		return false;
	/* Docker writes base64 (RFC 4648 4), Podman base64url (5). */
	for (i = 0; header[i] != '\0'; i++)
		letters[i] = header[i] == '-' ? '+' : header[i] == '_' ? '/' : header[i];
	n = mw_base64_decode(&b, letters, i, text);
	if (n < 0 || !mw_base64_finish(&b))
		return false;
	text[n] = '\0';
	o = json_tokener_parse((const char *)text);
	good = o != NULL && from_json(ctx, o, st, target);
	json_object_put(o);
	return good;
}

/* A HEAD has no message: the same as a GET, which fails as well, has one. */
static enum mw_code
look_again(struct walk *w, const char *abs, enum look *what)
{
	struct mw_engine_answer a;
	enum mw_code code = mw_engine_call(w->e, w->ctx, "GET",
	    mw_engine_archive(w->e, w->ctx, w->user, abs), NULL, &a);

	if (code != MW_OK)
		return code;
	json_object_put(a.json);
	if (strstr(a.message, "too many levels of symbolic links") != NULL ||
	    strstr(a.message, "too many links") != NULL) {
		*what = LOOK_LOOP;
		return MW_OK;
	}
	/* It is said of a place below a file. */
	if (strstr(a.message, "ot a directory") != NULL)
		return MW_OK;
	return mw_engine_refused(w->e, w->ctx, w->user, w->path, a.status, a.message);
}

/* HEAD of a place.  A link to nothing is a 404 that describes it (Podman). */
static enum mw_code
look(struct walk *w, const char *abs, enum look *what, struct mw_stat *st, const char **target)
{
	struct mw_net_req req = { .method = "HEAD", .body_fd = -1 };
	struct mw_net_res res;
	enum mw_code code;

	*what = LOOK_NONE;
	if (mw_engine_starred(w->e, abs))
		return mw_ctx_fail(w->ctx, MW_NOT_SUPPORTED, "%s: Podman takes '*' for a pattern",
		    w->path);
	mw_engine_stream(w->e, w->ctx, mw_engine_archive(w->e, w->ctx, w->user, abs), &req, &res);
	code = mw_engine_ended(w->e, w->ctx, &res);
	if (code != MW_OK)
		return code;
	if ((res.status == 200 || res.status == 404) &&
	    mw_engine_stat_header(w->e, w->ctx, st, target)) {
		if (st->type == MW_FT_SYMLINK)
			*what = LOOK_LINK;
		else if (res.status == 200)
			*what = LOOK_OTHER;
		return MW_OK;
	}
	if (res.status == 404)
		return MW_OK;
	return look_again(w, abs, what);
}

/* ---- the marker ---- */

enum mw_code
mw_engine_proven(struct mw_engine *e, struct mw_ctx *ctx, const char *user)
{
	char *abs = mw_arena_printf(ctx->arena, "%s/instance", e->run_dir);
	struct walk w = { .e = e, .ctx = ctx, .user = user, .path = "instance" };
	struct mw_engine_state is;
	struct mw_stat st;
	const char *target;
	enum look what;
	enum mw_code code;

	if (abs == NULL)
		return mw_ctx_nomem(ctx);
	if (!e->base.allow_unproven) {
		code = look(&w, abs, &what, &st, &target);
		/* 16 hex digits, and perhaps a newline. */
		if (code != MW_OK || (what == LOOK_OTHER && st.type == MW_FT_FILE &&
		    (st.size == 16 || st.size == 17)))
			return code;
	}
	code = mw_engine_inspect(e, ctx, user, &is);
	if (code != MW_OK)
		return code;
	if (!is.exists)
		return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND, "there is no such sandbox");
	return e->base.allow_unproven ? MW_OK : mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING,
	    "the sandbox's files are not restored yet");
}

enum mw_code
mw_engine_missing(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *path)
{
	enum mw_code code = mw_engine_proven(e, ctx, user);

	return code != MW_OK ? code : mw_ctx_fail(ctx, MW_FILE_NOT_FOUND, "%s: No such file or directory",
	    *path == '\0' ? "/" : path);
}

/* ---- the way ---- */

/* What `target` is below the root; NULL if it is not. */
static const char *
below(const struct mw_engine *e, const char *target)
{
	size_t n = strlen(e->root);

	if (strncmp(target, e->root, n) != 0 || (target[n] != '/' && target[n] != '\0'))
		return NULL;
	for (target += n; *target == '/'; target++)
		;
	return target;
}

/* Begin again at the root with what the link stands for. */
static enum mw_code
follow_link(struct walk *w, const char *target, const char *rest)
{
	const char *tail = below(w->e, target);

	if (tail == NULL)
		return mw_ctx_fail(w->ctx, MW_PERMISSION_DENIED,
		    "%s: leads out of the user's root by a link", w->path);
	if (++w->links > LINKS_MAX)
		return mw_ctx_fail(w->ctx, MW_PERMISSION_DENIED, "%s: too many links", w->path);
	w->abs = mw_arena_strdup(w->ctx->arena, w->e->root);
	w->rest = mw_arena_printf(w->ctx->arena, "%s%s%s", tail,
	    *tail != '\0' && *rest != '\0' ? "/" : "", rest);
	return w->abs == NULL || w->rest == NULL ? mw_ctx_nomem(w->ctx) : MW_OK;
}

/* The next segment of the way.  *done: there is nothing more to look at. */
static enum mw_code
step(struct walk *w, bool follow, struct mw_engine_place *p, bool *done)
{
	size_t n = strcspn(w->rest, "/");
	const char *rest = w->rest + n + (w->rest[n] == '/'), *target = "";
	char *next = mw_arena_printf(w->ctx->arena, "%s/%.*s", w->abs, (int)n, w->rest);
	enum look what;
	enum mw_code code;

	*done = false;
	if (next == NULL)
		return mw_ctx_nomem(w->ctx);
	code = look(w, next, &what, &p->st, &target);
	if (code != MW_OK)
		return code;
	if (what == LOOK_LINK && (*rest != '\0' || follow))
		return follow_link(w, target, rest);
	if (what == LOOK_LOOP && (*rest != '\0' || follow))
		return mw_ctx_fail(w->ctx, MW_PERMISSION_DENIED, "%s: too many links", w->path);
	if (what == LOOK_LOOP)
		p->st = (struct mw_stat){ .type = MW_FT_SYMLINK, .mode = 0777 };
	p->exists = what != LOOK_NONE && *rest == '\0';
	p->below_file = what == LOOK_OTHER && *rest != '\0' && p->st.type != MW_FT_DIR;
	*done = *rest == '\0' || what == LOOK_NONE || p->below_file;
	p->parent = w->abs;
	p->abs = *done && *rest != '\0' ? mw_arena_printf(w->ctx->arena, "%s/%s", next, rest) : next;
	w->abs = next;
	w->rest = rest;
	return p->abs == NULL ? mw_ctx_nomem(w->ctx) : MW_OK;
}

enum mw_code
mw_engine_resolve(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *path,
    bool follow, struct mw_engine_place *p)
{
	struct walk w = { .e = e, .ctx = ctx, .user = user, .path = *path == '\0' ? "/" : path };
	const char *target;
	bool done = false;
	enum look what;
	enum mw_code code;

	*p = (struct mw_engine_place){ .exists = false };
	w.abs = mw_arena_strdup(ctx->arena, e->root);
	w.rest = mw_arena_strdup(ctx->arena, path);
	if (w.abs == NULL || w.rest == NULL)
		return mw_ctx_nomem(ctx);
	while (!done && *w.rest != '\0') {
		code = step(&w, follow, p, &done);
		if (code != MW_OK)
			return code;
	}
	if (done)
		return MW_OK;
	/* The root itself, or a link to it. */
	p->parent = p->abs = w.abs;
	code = look(&w, w.abs, &what, &p->st, &target);
	p->exists = what == LOOK_OTHER;
	return code;
}
