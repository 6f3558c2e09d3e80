/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files with a '*' on their way.  Podman's archive calls take a path for a pattern, and a
 * '*' cannot be quoted in it: these files are read by a command, which needs the sandbox
 * awake.  Docker has no such names.
 */
#include "sandbox/engine/internal.h"

#include <string.h>

#include "base/range.h"

#define STAR_MAX (64 << 20)	/* bytes of such a file; it is held in memory */

static enum mw_code
run(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *path,
    const char *verb, size_t max, struct mw_exec_result *r)
{
	const char *slash = strrchr(path, '/');
	const char *dir = slash == NULL ? "" : mw_arena_dup(ctx->arena, path,
	    (size_t)(slash - path));
	const char *args[] = { e->base.allow_unproven ? "1" : "0", dir, "0", verb,
	    slash == NULL ? path : slash + 1, NULL };

	*r = (struct mw_exec_result){ .exit_code = -1 };
	return dir == NULL ? mw_ctx_nomem(ctx) :
	    mw_engine_script(e, ctx, user, path, args, max, r);
}

static enum mw_code
pass_on(struct mw_ctx *ctx, const char *path, const struct mw_exec_result *r, bool ranged,
    int64_t from, int64_t to, const struct mw_file_sink *sink)
{
	const char *p = r->out.len > 0 ? r->out.data : "", *end = p + r->out.len;
	struct mw_stat st;
	enum mw_code code;

	if (!mw_engine_stat_line(&p, end, "", 0, &st) || (!r->out_cut && end - p != st.size))
		return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE, "%s: changed while it was read",
		    path);
	if (r->out_cut)
		return mw_ctx_fail(ctx, MW_FILE_TOO_LARGE, "%s: Podman cannot read a file of more "
		    "than %d bytes with a '*' in its path", path, STAR_MAX);
	if (!ranged) {
		from = 0;
		to = st.size - 1;
	} else if (!mw_range_resolve(st.size, &from, &to)) {
		return mw_ctx_fail(ctx, MW_RANGE_NOT_SATISFIABLE, "%s has %lld bytes", path,
		    (long long)st.size);
	}
	code = sink->begin(sink->arg, &st, from, to);
	return code != MW_OK || to < from ? code : sink->data(sink->arg, p + from,
	    (size_t)(to - from + 1));
}

enum mw_code
mw_engine_star_read(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, bool ranged, int64_t from, int64_t to, const struct mw_file_sink *sink)
{
	struct mw_exec_result r;
	enum mw_code code = run(e, ctx, user, path, "read", STAR_MAX, &r);

	if (code == MW_OK)
		code = pass_on(ctx, path, &r, ranged, from, to, sink);
	mw_buf_free(&r.out);
	mw_buf_free(&r.err);
	return code;
}

enum mw_code
mw_engine_star_stat(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, struct mw_stat *st)
{
	struct mw_exec_result r;
	enum mw_code code = run(e, ctx, user, path, "stat", 256, &r);
	const char *p = r.out.len > 0 ? r.out.data : "";

	if (code == MW_OK && !mw_engine_stat_line(&p, p + r.out.len, "", 0, st))
		code = mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE, "%s: cannot be looked at", path);
	mw_buf_free(&r.out);
	mw_buf_free(&r.err);
	return code;
}
