/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads of a request, each with handles, an arena and a context of its own. */
#include "app/workers.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/threads.h"

#define ARENA ((size_t)64 << 20)	/* bytes of one worker, at most */

/* What is kept between requests, for worker i at [i]. */
struct mw_handles {
	struct mw_store *store;
	struct mw_sandbox *sandbox;
};

struct run {
	struct mw_workers *ws;
	void (*fn)(void *arg, struct mw_worker *w);
	void *arg;
};

static void
take_handles(struct mw_app *app, struct mw_worker *w)
{
	struct mw_handles *kept = app->handles != NULL ? &app->handles[w->i] : NULL;
	struct mw_app *own = w->app;

	own->store = kept != NULL ? kept->store : NULL;
	own->sandbox = kept != NULL ? kept->sandbox : NULL;
	if (kept != NULL)
		*kept = (struct mw_handles){ .store = NULL };
	mw_err_clear(&own->store_err);
	mw_err_clear(&own->sandbox_err);
	if (own->store == NULL && mw_store_open(own->conf, &own->store, &own->store_err) != MW_OK)
		own->store = NULL;
	/* By the app that keeps it: the handle points into it. */
	if (own->sandbox == NULL &&
	    mw_app_open_sandbox(app, &own->sandbox, &own->sandbox_err) != MW_OK)
		own->sandbox = NULL;
}

static void
give_handles(struct mw_app *app, struct mw_worker *w)
{
	if (app->handles != NULL) {
		app->handles[w->i] = (struct mw_handles){ .store = w->app->store,
		    .sandbox = w->app->sandbox };
	} else {
		mw_sandbox_close(w->app->sandbox);
		mw_store_close(w->app->store);
	}
}

enum mw_code
mw_workers_open(struct mw_app *app, struct mw_ctx *ctx, size_t n, struct mw_workers *ws)
{
	struct mw_worker *w;
	size_t i;

	*ws = (struct mw_workers){ .app = app, .ctx = ctx };
	n = n < 1 ? 1 : n < MW_WORKERS_MAX ? n : MW_WORKERS_MAX;
	if ((ws->w = calloc(n, sizeof(*ws->w))) == NULL || (n > 1 && !app->worker &&
	    app->handles == NULL &&
	    (app->handles = calloc(MW_WORKERS_MAX, sizeof(*app->handles))) == NULL))
		return mw_ctx_nomem(ctx);
	for (i = 0; i < n; i++) {
		w = &ws->w[i];
		w->i = i;
		w->ctx = (struct mw_ctx){ .request_id = ctx->request_id, .user = ctx->user,
		    .deadline = ctx->deadline, .arena = mw_arena_open(ARENA) };
		if (w->ctx.arena == NULL)
			return mw_ctx_nomem(ctx);
		w->own = *app;
		w->own.worker = true;
		w->own.handles = NULL;
		w->app = &w->own;
		if (i > 0)
			take_handles(app, w);
		ws->n++;
	}
	return MW_OK;
}

static void
one(void *arg, size_t i)
{
	const struct run *r = arg;

	r->fn(r->arg, &r->ws->w[i]);
}

void
mw_workers_run(struct mw_workers *ws, const char *tag, void (*fn)(void *arg, struct mw_worker *w),
    void *arg)
{
	struct run r = { .ws = ws, .fn = fn, .arg = arg };
	size_t had = mw_threads(ws->n, one, &r);

	if (had < ws->n)
		mw_log(MW_WARN, "%s only %zu of %zu threads could be started", tag, had, ws->n);
}

void
mw_workers_close(struct mw_workers *ws)
{
	struct mw_worker *w;

	while (ws->n > 0) {
		w = &ws->w[--ws->n];
		ws->ctx->attempts += w->ctx.attempts;
		ws->ctx->retries += w->ctx.retries;
		mw_arena_close(w->ctx.arena);
		if (w->i > 0)
			give_handles(ws->app, w);
	}
	free(ws->w);
	ws->w = NULL;
}

enum mw_code
mw_workers(struct mw_app *app, struct mw_ctx *ctx, size_t n, const char *tag,
    void (*fn)(void *arg, struct mw_worker *w), void *arg)
{
	struct mw_workers ws;
	enum mw_code code = mw_workers_open(app, ctx, n, &ws);

	if (code == MW_OK)
		mw_workers_run(&ws, tag, fn, arg);
	mw_workers_close(&ws);
	return code;
}

void
mw_workers_forget(struct mw_app *app)
{
	size_t i;

	for (i = 0; app->handles != NULL && i < MW_WORKERS_MAX; i++) {
		mw_sandbox_close(app->handles[i].sandbox);
		mw_store_close(app->handles[i].store);
	}
	free(app->handles);
	app->handles = NULL;
}
