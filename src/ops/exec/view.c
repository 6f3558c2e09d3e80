/* SPDX-License-Identifier: BSD-2-Clause */
/* A command as it is shown, and the memory for many of them. */
#include "ops/exec/view.h"

#include <string.h>

void
mw_exec_view_init(struct mw_exec_view *v)
{
	memset(v, 0, sizeof(*v));
	v->duration = -1;
	mw_buf_init(&v->out, 0);
	mw_buf_init(&v->err, 0);
}

void
mw_exec_view_free(struct mw_exec_view *v)
{
	mw_buf_free(&v->out);
	mw_buf_free(&v->err);
}

enum mw_code
mw_exec_each(void *arg, const struct mw_process *row)
{
	struct mw_exec_each *e = arg;
	struct mw_scratch s;
	enum mw_code code;

	if ((code = mw_scratch_open(&s, e->ctx, MW_EXEC_MEMORY)) != MW_OK)
		return code;
	mw_scratch_enter(&s);
	code = e->fn(e->arg, row);
	mw_scratch_leave(&s);
	mw_scratch_close(&s);
	return code;
}
