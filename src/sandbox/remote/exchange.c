/* SPDX-License-Identifier: BSD-2-Clause */
/* One request and its answer: a status with a document, or the events of a command. */
#include <string.h>

#include "sandbox/remote/internal.h"

#define SAID_MAX 8192		/* bytes of a refusal that are read */

void
mw_remote_events_init(struct mw_remote_events *a, mw_sse_fn event,
    bool (*out)(void *arg, const void *p, size_t n), void *arg)
{
	memset(a, 0, sizeof(*a));
	mw_sse_init(&a->sse, event, a);
	a->out = out;
	a->arg = arg;
	a->exit_code = -1;
}

static bool
on_head(void *arg, int status)
{
	((struct mw_remote_exchange *)arg)->status = status;
	return true;
}

static bool
on_data(void *arg, const void *p, size_t n)
{
	struct mw_remote_exchange *e = arg;

	if (e->status == 200 && e->events.out != NULL)
		return mw_sse_feed(&e->events.sse, p, n);
	if (e->said.len + n <= SAID_MAX)
		(void)mw_buf_add(&e->said, p, n);
	return true;
}

void
mw_remote_exchange_init(struct mw_remote_exchange *e, struct mw_net_req *q, mw_sse_fn event,
    const struct mw_remote_run *run)
{
	memset(e, 0, sizeof(*e));
	mw_buf_init(&e->said, SAID_MAX);
	mw_remote_events_init(&e->events, event, run == NULL ? NULL : run->out,
	    run == NULL ? NULL : run->arg);
	q->max_response = run == NULL ? SAID_MAX * 16 : MW_REMOTE_ANSWER_MAX;
	q->on_head = on_head;
	q->on_data = on_data;
	q->arg = e;
}

void
mw_remote_exchange_free(struct mw_remote_exchange *e)
{
	mw_sse_free(&e->events.sse);
	mw_buf_free(&e->said);
}

/* What a refusal's document says. */
static enum mw_remote_end
refused(struct mw_remote_exchange *e, const struct mw_net_res *res, const char *text)
{
	e->status = res->status;
	mw_remote_said(e->said.data, e->said.len, "code", text, &e->events.said);
	return MW_REMOTE_REFUSED;
}

enum mw_remote_end
mw_remote_exchange_end(struct mw_remote_exchange *e, const struct mw_net_res *res,
    const char *text)
{
	bool come = res->end == MW_NET_DONE || res->status >= 400;

	if (e->events.out == NULL)
		return !come ? MW_REMOTE_LOST : res->status >= 200 && res->status <= 299 ?
		    MW_REMOTE_ENDED : refused(e, res, text);
	if (e->events.stopped)
		return MW_REMOTE_ENDED;
	if (res->status != 0 && res->status != 200 && come)
		return refused(e, res, text);
	if (e->events.failed)
		return MW_REMOTE_REFUSED;
	if (e->events.ended)
		return MW_REMOTE_ENDED;
	return res->end == MW_NET_DONE || res->end == MW_NET_STOPPED ? MW_REMOTE_UNFINISHED :
	    MW_REMOTE_LOST;
}

enum mw_code
mw_remote_refused(struct mw_ctx *ctx, const struct mw_remote_error *row,
    const struct mw_remote_exchange *e, const char *what)
{
	return mw_ctx_fail(ctx, row->code, "%s answered %d %.40s: %.120s%s%s%s", what, e->status,
	    e->events.said.code, e->events.said.text, row->hint != NULL ? " (" : "",
	    row->hint != NULL ? row->hint : "", row->hint != NULL ? ")" : "");
}

enum mw_code
mw_remote_unfinished(struct mw_ctx *ctx, const char *what)
{
	return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
	    "%s ended its answer without saying how the command ended", what);
}
