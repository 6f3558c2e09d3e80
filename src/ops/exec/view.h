/* SPDX-License-Identifier: BSD-2-Clause */
/* A command as it is now, with a piece of its output. */
#ifndef MW_OPS_EXEC_VIEW_H
#define MW_OPS_EXEC_VIEW_H

#include "app/app.h"

#define MW_EXEC_STEP 1800	/* ms of waiting in one call */
#define MW_EXEC_MEMORY (8 << 20)	/* bytes for one look, or for one of many jobs */

/* A job as it is now, and a piece of its output. */
struct mw_exec_view {
	struct mw_process row;
	int64_t duration;		/* ms; -1 = has not begun */
	int64_t out_at, err_at;		/* where out and err begin */
	struct mw_buf out, err;
};
void mw_exec_view_init(struct mw_exec_view *v);
void mw_exec_view_free(struct mw_exec_view *v);

/* What to have of the output, and how long to wait for something new, ms. */
struct mw_exec_ask {
	int64_t out_at, err_at;
	size_t max;
	int64_t wait;
};

/*
 * For listings of rows, as fn: each with a memory of its own in ctx, as nobody
 * knows how many there are.
 */
struct mw_exec_each {
	struct mw_ctx *ctx;
	mw_process_fn fn;
	void *arg;
};
enum mw_code mw_exec_each(void *each, const struct mw_process *row) MW_MUST;

#endif
