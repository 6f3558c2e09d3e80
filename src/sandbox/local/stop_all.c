/* SPDX-License-Identifier: BSD-2-Clause */
/* All local sandboxes of an installation stopped, also those whose user's root is gone. */
#include "sandbox/local/local.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"

#define ARENA_MAX (1 << 20)
#define STOP_TIME 30000		/* ms for each of them */

/* One user's, if anything of it runs. */
static enum mw_code
stop_one(struct mw_local *l, const char *user, mw_stopped_fn fn, void *arg)
{
	struct mw_ctx ctx = { .deadline = mw_now() + STOP_TIME, .request_id = "stop-all" };
	enum mw_code code;

	ctx.arena = mw_arena_open(ARENA_MAX);
	if (ctx.arena == NULL)
		return mw_ctx_nomem(&ctx);
	if (mw_local_held(l, &ctx, user)) {
		code = mw_local_stop(&l->base, &ctx, user);
		fn(arg, user, code == MW_OK ? NULL : ctx.err.msg);
	}
	mw_arena_close(ctx.arena);
	return MW_OK;
}

static enum mw_code
stop_each(struct mw_local *l, mw_stopped_fn fn, void *arg, struct mw_err *err)
{
	char runs[MW_PATH_MAX];
	enum mw_code code = MW_OK;
	struct dirent *de;
	DIR *dir;
	int n = snprintf(runs, sizeof(runs), "%s/.run", l->path);

	if (n < 0 || (size_t)n >= sizeof(runs))
		return mw_fail(err, MW_INTERNAL_ERROR, "sandbox.local.path is too long");
	dir = opendir(runs);
	if (dir == NULL && errno == ENOENT)
		return MW_OK;
	if (dir == NULL)
		return mw_fail(err, MW_SANDBOX_UNAVAILABLE, "%s: %s", runs, strerror(errno));
	while (code == MW_OK) {
		errno = 0;
		de = readdir(dir);
		if (de == NULL && errno != 0)
			code = mw_fail(err, MW_SANDBOX_UNAVAILABLE, "%s: %s", runs, strerror(errno));
		if (de == NULL)
			break;
		if (mw_user_valid(de->d_name, strlen(de->d_name)))
			code = stop_one(l, de->d_name, fn, arg);
	}
	(void)closedir(dir);
	if (code == MW_INTERNAL_ERROR && err->msg[0] == '\0')
		return mw_fail(err, code, "out of memory");
	return code;
}

enum mw_code
mw_local_stop_all(const struct mw_conf *conf, mw_stopped_fn fn, void *arg, struct mw_err *err)
{
	struct mw_local *l;
	enum mw_code code = mw_local_open(conf, &l, err);

	if (code != MW_OK)
		return code;
	code = stop_each(l, fn, arg, err);
	mw_local_close(l);
	return code;
}
