/* SPDX-License-Identifier: BSD-2-Clause */
/* Parameters and members that several routes have in common. */
#ifndef MW_OPS_FILES_PARAMS_H
#define MW_OPS_FILES_PARAMS_H

#include "app/app.h"
#include "ops/files/read.h"
#include "ops/files/write.h"

/* source; not sent: read.default_source. */
enum mw_code mw_query_source(struct mw_req *req, enum mw_source *source) MW_MUST;

/* read.default_source. */
enum mw_source mw_source_default(const struct mw_conf *conf);

/* If-Match and If-None-Match: NULL when not sent, MW_INVALID_ARGUMENT when malformed. */
enum mw_code mw_header_conditions(struct mw_req *req, const char **if_match,
    const char **if_none_match) MW_MUST;

/* "r2Sync": what became of R2's side of a write or delete. */
void mw_add_r2_sync(struct mw_buf *b, const struct mw_write *w);

/* "triedSources": where a missing file was looked for (enum mw_tried). */
void mw_add_tried(struct mw_buf *b, unsigned tried);

#endif
