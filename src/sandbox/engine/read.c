/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading by the engine's archive call, which works alike asleep and awake. */
#include "sandbox/engine/internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/range.h"
#include "sandbox/engine/tar.h"

#define MESSAGE_MAX 4096	/* bytes kept of a refusal */

struct reader {
	struct mw_engine *e;
	struct mw_ctx *ctx;
	const char *path;
	const struct mw_file_sink *sink;
	bool ranged;
	int64_t from, to;	/* wanted, then resolved */
	int64_t at;		/* of the file's bytes seen so far */
	struct mw_stat st;
	const char *target;	/* where a link at its end leads, NULL = it is none */
	enum mw_code code;	/* what ended it */
	bool in_file;		/* the tar's entry has begun */
	bool stopped;		/* all that was wanted came, or code says */
	struct mw_tar tar;
	char message[MESSAGE_MAX];
	size_t nmessage;
};

/* ---- the tar ---- */

static bool
on_entry(void *arg, const struct mw_tar_entry *t)
{
	struct reader *r = arg;

	if (r->in_file)
		return true;
	r->in_file = true;
	if (t->st.type == MW_FT_FILE && !t->hard && t->st.size == r->st.size)
		return true;
	/* Docker does not follow a link here; its header has said so, unless it was swapped. */
	r->code = mw_ctx_fail(r->ctx, MW_SANDBOX_UNAVAILABLE, "%s: changed while it was read",
	    r->path);
	return false;
}

static bool
on_content(void *arg, const void *data, size_t n)
{
	struct reader *r = arg;
	const char *p = data;
	int64_t skip, want;

	skip = r->from > r->at ? r->from - r->at : 0;
	r->at += (int64_t)n;
	if (skip >= (int64_t)n)
		return true;
	want = (int64_t)n - skip;
	if (r->at - 1 > r->to)
		want -= r->at - 1 - r->to;
	if (want > 0)
		r->code = r->sink->data(r->sink->arg, p + skip, (size_t)want);
	r->stopped = r->code != MW_OK || (r->at > r->to && r->at < r->st.size);
	return !r->stopped;
}

/* ---- the answer ---- */

/* The head says what it is before a byte of it comes. */
static bool
begin(struct reader *r)
{
	if (r->st.type != MW_FT_FILE) {
		r->code = mw_ctx_fail(r->ctx, MW_CONFLICT, "%s: %s",
		    *r->path == '\0' ? "/" : r->path,
		    r->st.type == MW_FT_DIR ? "is a directory" : "is not a regular file");
		return false;
	}
	if (!r->ranged) {
		r->from = 0;
		r->to = r->st.size - 1;
	} else if (!mw_range_resolve(r->st.size, &r->from, &r->to)) {
		r->code = mw_ctx_fail(r->ctx, MW_RANGE_NOT_SATISFIABLE, "%s has %lld bytes",
		    r->path, (long long)r->st.size);
		return false;
	}
	r->code = r->sink->begin(r->sink->arg, &r->st, r->from, r->to);
	return r->code == MW_OK;
}

static bool
on_head(void *arg, int status)
{
	struct reader *r = arg;
	const char *target;

	if (status != 200)
		return true;
	if (!mw_engine_stat_header(r->e, r->ctx, &r->st, &target)) {
		r->code = mw_ctx_fail(r->ctx, MW_SANDBOX_UNREACHABLE,
		    "%s: the engine's answer does not say what it is", r->path);
		return false;
	}
	if (r->st.type != MW_FT_SYMLINK)
		return begin(r);
	r->target = target;
	return false;
}

static bool
on_data(void *arg, const void *p, size_t n)
{
	struct reader *r = arg;

	if (r->st.type == MW_FT_FILE && r->target == NULL && r->st.size >= 0)
		return mw_tar_feed(&r->tar, p, n);
	if (n > sizeof(r->message) - 1 - r->nmessage)
		n = sizeof(r->message) - 1 - r->nmessage;
	memcpy(r->message + r->nmessage, p, n);
	r->nmessage += n;
	r->message[r->nmessage] = '\0';
	return true;
}

static enum mw_code
finish(struct reader *r, const char *user, const struct mw_net_res *res)
{
	char message[MW_ENGINE_MESSAGE];
	enum mw_code code;

	if (r->code != MW_OK || r->stopped || r->target != NULL)
		return r->code;
	code = mw_engine_ended(r->e, r->ctx, res);
	if (code != MW_OK)
		return code;
	mw_engine_message(r->message, r->nmessage, message);
	if (res->status == 404 || strstr(message, "ot a directory") != NULL)
		return mw_engine_missing(r->e, r->ctx, user, r->path);
	if (res->status != 200)
		return mw_engine_refused(r->e, r->ctx, user, r->path, res->status, message);
	if (!r->in_file || r->at != r->st.size || !mw_tar_complete(&r->tar))
		return mw_ctx_fail(r->ctx, MW_SANDBOX_UNREACHABLE,
		    "%s: the engine's answer broke off", r->path);
	return MW_OK;
}

/* GET of one place; a link there is named in r->target, and nothing came. */
static enum mw_code
get(struct reader *r, const char *user, const char *abs)
{
	struct mw_net_req req = { .method = "GET", .body_fd = -1, .on_head = on_head,
	    .on_data = on_data, .arg = r };
	struct mw_net_res res;
	enum mw_code code;

	r->st = (struct mw_stat){ .size = -1 };
	r->target = NULL;
	r->tar = (struct mw_tar){ .on_entry = on_entry, .on_content = on_content, .arg = r };
	mw_tar_init(&r->tar);
	mw_engine_stream(r->e, r->ctx, mw_engine_archive(r->e, r->ctx, user, abs), &req, &res);
	code = finish(r, user, &res);
	mw_tar_free(&r->tar);
	return code;
}

/* The part of `path` before its last segment; the segment itself in *name. */
static const char *
parent_of(struct mw_ctx *ctx, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');

	*name = slash == NULL ? path : slash + 1;
	return slash == NULL ? "" : mw_arena_dup(ctx->arena, path, (size_t)(slash - path));
}

/* The directories of the way are looked at; what stands at its end the GET itself says. */
static enum mw_code
read_at(struct reader *r, const char *user, const char *path)
{
	const char *name, *dir = parent_of(r->ctx, path, &name);
	struct mw_engine_place p = { .exists = true };
	const char *abs;
	enum mw_code code = MW_OK;

	if (dir == NULL)
		return mw_ctx_nomem(r->ctx);
	p.abs = r->e->root;
	if (*dir != '\0')
		code = mw_engine_resolve(r->e, r->ctx, user, dir, true, &p);
	if (code != MW_OK)
		return code;
	if (!p.exists || p.below_file)
		return mw_engine_missing(r->e, r->ctx, user, r->path);
	abs = *name == '\0' ? p.abs : mw_arena_printf(r->ctx->arena, "%s/%s", p.abs, name);
	if (abs != NULL && mw_engine_starred(r->e, abs))
		return mw_ctx_fail(r->ctx, MW_NOT_SUPPORTED, "%s: Podman takes '*' for a pattern",
		    r->path);
	return abs == NULL ? mw_ctx_nomem(r->ctx) : get(r, user, abs);
}

/* A link at the end is followed by looks, to its last one. */
static enum mw_code
read_link(struct reader *r, const char *user, const char *path)
{
	struct mw_engine_place p;
	enum mw_code code = mw_engine_resolve(r->e, r->ctx, user, path, true, &p);

	if (code != MW_OK)
		return code;
	if (!p.exists || p.below_file)
		return mw_engine_missing(r->e, r->ctx, user, path);
	code = get(r, user, p.abs);
	return code != MW_OK || r->target == NULL ? code : mw_ctx_fail(r->ctx, MW_SANDBOX_UNREACHABLE,
	    "%s: changed while it was read", path);
}

enum mw_code
mw_engine_read(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    bool ranged, int64_t from, int64_t to, const struct mw_file_sink *sink)
{
	struct reader *r = mw_arena_alloc(ctx->arena, sizeof(*r));
	struct mw_engine *e = (struct mw_engine *)s;
	enum mw_code code;

	if (r == NULL)
		return mw_ctx_nomem(ctx);
	*r = (struct reader){ .e = e, .ctx = ctx, .path = path, .sink = sink, .ranged = ranged,
	    .from = from, .to = to };
	code = mw_engine_proven(e, ctx, user);
	if (code == MW_OK)
		code = read_at(r, user, path);
	if (code == MW_OK && r->target != NULL)
		code = read_link(r, user, path);
	if (code != MW_NOT_SUPPORTED)
		return code;
	mw_err_clear(&ctx->err);
	return mw_engine_star_read(e, ctx, user, path, ranged, from, to, sink);
}

enum mw_code
mw_engine_stat(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    struct mw_stat *st)
{
	struct mw_engine *e = (struct mw_engine *)s;
	struct mw_engine_place p;
	enum mw_code code = mw_engine_proven(e, ctx, user);

	if (code == MW_OK)
		code = mw_engine_resolve(e, ctx, user, path, false, &p);
	if (code == MW_NOT_SUPPORTED) {
		mw_err_clear(&ctx->err);
		return mw_engine_star_stat(e, ctx, user, path, st);
	}
	if (code != MW_OK)
		return code;
	if (!p.exists || p.below_file)
		return mw_engine_missing(e, ctx, user, path);
	*st = p.st;
	return MW_OK;
}
