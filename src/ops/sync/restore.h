/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing a sandbox's files up to R2's after it was replaced by an empty one. */
#ifndef MW_OPS_SYNC_RESTORE_H
#define MW_OPS_SYNC_RESTORE_H

#include "app/app.h"

/*
 * Add every object of the user that is absent in the sandbox; overwrite
 * nothing.  A path with a pending row gets the pending content, or stays
 * absent if a delete is pending.  What is wrong with one path alone is logged,
 * marked as not restored and skipped, as wake.restore_failures says; any other failure
 * stops it.  Safe to repeat.  The caller has set
 * sb->allow_unproven.
 */
enum mw_code mw_restore(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user) MW_MUST;

/*
 * An instance that is filled, but for paths that its restore has left behind: they are tried
 * once more.  Paths that are still missing fail it only as wake.restore_failures says.
 */
enum mw_code mw_restore_missing(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user) MW_MUST;

#endif
