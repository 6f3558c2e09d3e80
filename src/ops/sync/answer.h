/* SPDX-License-Identifier: BSD-2-Clause */
/* What a sync has done, in a JSON answer. */
#ifndef MW_OPS_SYNC_ANSWER_H
#define MW_OPS_SYNC_ANSWER_H

#include "ops/sync/sync.h"

/* The members from syncId to verified. */
void mw_sync_add_result(struct mw_buf *b, struct mw_arena *arena, const struct mw_sync *s);

/* "NAME":[{"path","code","error"}], the first of them, and "NAMECount", how many. */
void mw_sync_add_failed(struct mw_buf *b, struct mw_arena *arena, const char *name,
    const struct mw_sync_notes *notes);

/* What restores have left behind: "restoreMissing", the first of it, and how many. */
void mw_sync_add_missing(struct mw_buf *b, struct mw_app *app, struct mw_ctx *ctx,
    const char *user);

#endif
