/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock of one user's path: whoever writes, deletes or drains it holds it,
 * so that a later write never loses to an earlier one.  A crash frees it.
 */
#ifndef MW_APP_PATHLOCK_H
#define MW_APP_PATHLOCK_H

#include "base/ctx.h"

struct mw_app;

/* The lock's name in the lock file, "path:USER/PATH"; arena, NULL = no memory. */
char *mw_path_lock_name(struct mw_arena *a, const char *user, const char *path);

/*
 * Wait for the lock of a canonical path until ctx->deadline.  *fd is the lock.
 * MW_DEADLINE_EXCEEDED when somebody else kept it.
 */
enum mw_code mw_path_lock(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    const char *path, int *fd) MW_MUST;

void mw_path_unlock(int fd);		/* accepts -1 */

#endif
