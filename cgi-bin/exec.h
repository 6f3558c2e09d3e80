/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of exec.fcgi share. */
#ifndef MW_CGI_EXEC_H
#define MW_CGI_EXEC_H

#include "app/responder.h"
#include "ops/exec/exec.h"
#include "ops/exec/look.h"
#include "ops/exec/view.h"

#define EXEC "/api/super/users/{user}/exec"
#define OFFSET_MAX (INT64_C(1) << 50)

/* Begin an answer about the user's command; `contents` bytes of output may be in it. */
void mw_exec_begin(struct mw_req *req, struct mw_buf *b, size_t contents);

/* Its status, exit code and times. */
bool mw_exec_add_state(struct mw_req *req, struct mw_buf *b, const struct mw_process *row,
    int64_t duration);

/* Has the client of this request (a struct mw_req) hung up? */
bool mw_exec_gone(void *req);

/* The offsets in the query. */
enum mw_code mw_exec_offsets(struct mw_req *req, struct mw_exec_ask *ask) MW_MUST;

/* One look of many; what v points to lives until the next one. */
enum mw_code mw_exec_watch(struct mw_req *req, struct mw_scratch *s,
    const struct mw_exec_ask *ask, struct mw_exec_view *v) MW_MUST;

/* Has a look shown anything new? */
bool mw_exec_news(const struct mw_exec_view *v);

enum mw_code mw_exec_stream(struct mw_req *req) MW_MUST;

#endif
