/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several threads at one request.  A store or sandbox handle is used by one thread
 * at a time, so each worker has a copy of the app with handles of its own; the first
 * is the calling thread and has the caller's.  Handles are kept, with their
 * connections, for the app's next workers; those of a worker's own workers are not.
 *
 *	struct mw_workers ws;
 *
 *	if ((code = mw_workers_open(app, ctx, n, &ws)) == MW_OK)
 *		mw_workers_run(&ws, "[BULK]", work, arg);
 *	mw_workers_close(&ws);
 *
 *	static void
 *	work(void *arg, struct mw_worker *w)
 *	{
 *		... take the next thing to do from arg, until there is none
 *		... mw_app_store(w->app, &w->ctx, &store), w->ctx.deadline, mw_arena_reset()
 *	}
 *
 * or mw_workers() for all of it, when nothing of a worker is needed afterwards.
 */
#ifndef MW_APP_WORKERS_H
#define MW_APP_WORKERS_H

#include <stddef.h>

#include "app/app.h"

#define MW_WORKERS_MAX MW_CONF_THREADS_MAX

struct mw_worker {
	size_t i;		/* 0 = the calling thread */
	struct mw_app *app;	/* a handle that cannot be opened fails what needs it: mw_app_store() */
	struct mw_ctx ctx;	/* user, deadline and request id of the caller's; arena and counts its own */
	struct mw_app own;	/* private: what app points to */
};

struct mw_workers {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_worker *w;	/* n of them */
	size_t n;
};

/* 1 to MW_WORKERS_MAX of them; what `n` is beyond is cut.  Close in any case. */
enum mw_code mw_workers_open(struct mw_app *app, struct mw_ctx *ctx, size_t n,
    struct mw_workers *ws) MW_MUST;

/*
 * Call fn(arg, w) once for each, side by side; returns when all have.  One whose
 * thread cannot be had is called by the calling thread after its own, so fn must not
 * wait for another to begin.  `tag` is for the log.
 */
void mw_workers_run(struct mw_workers *ws, const char *tag,
    void (*fn)(void *arg, struct mw_worker *w), void *arg);

/* Their calls are added to the ctx; what lies in their arenas is gone. */
void mw_workers_close(struct mw_workers *ws);

/* All three. */
enum mw_code mw_workers(struct mw_app *app, struct mw_ctx *ctx, size_t n, const char *tag,
    void (*fn)(void *arg, struct mw_worker *w), void *arg) MW_MUST;

/* Handles that no worker has now: the configuration changed, or the end. */
void mw_workers_forget(struct mw_app *app);

#endif
