/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing to a sandbox what was written to R2, or deleted there, while it slept. */
#ifndef MW_OPS_FILES_MARKS_H
#define MW_OPS_FILES_MARKS_H

#include "app/app.h"

/* Apply and clear the user's "newer in R2" and "deleted in R2" marks. */
enum mw_code mw_apply_marks(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user) MW_MUST;

/* Apply the mark of one path whose lock the caller holds. */
enum mw_code mw_apply_mark(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const char *path, enum mw_mark mark) MW_MUST;

#endif
