/* SPDX-License-Identifier: BSD-2-Clause */
/* The lock of one path of a user. */
#include "app/pathlock.h"

#include "base/lockfile.h"
#include "app/app.h"

char *
mw_path_lock_name(struct mw_arena *a, const char *user, const char *path)
{
	return mw_arena_printf(a, "path:%s/%s", user, path);
}

enum mw_code
mw_path_lock(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    const char *path, int *fd)
{
	char *name;

	*fd = -1;
	if ((name = mw_path_lock_name(ctx->arena, user, path)) == NULL)
		return mw_ctx_nomem(ctx);
	return mw_lockfile_take(app->lock_path, name, ctx->deadline, fd, &ctx->err);
}

void
mw_path_unlock(int fd)
{
	mw_lockfile_give(fd);
}
