/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers of a request: nobody shares a handle, and handles are kept for the next request. */
#include "local_fixture.h"

#include "app/workers.h"

#define MOST 6

static struct mw_app *app;

static struct seen {
	_Atomic unsigned calls;
	struct mw_sandbox *sb[MOST];
	struct mw_store *store[MOST];
	struct mw_arena *arena[MOST];
	bool nested, inner_apart;
} seen, inner;

static void
look(void *arg, struct mw_worker *w)
{
	struct seen *s = arg;

	(void)atomic_fetch_add(&s->calls, 1);
	w->ctx.attempts = 2;
	w->ctx.retries = 1;
	if (mw_app_sandbox(w->app, &w->ctx, &s->sb[w->i]) != MW_OK ||
	    mw_app_store(w->app, &w->ctx, &s->store[w->i]) != MW_OK)
		return;
	s->arena[w->i] = w->ctx.arena;
	/* The first has the request's own handles: its workers must not get its siblings'. */
	if (s->nested && w->i == 0) {
		inner = (struct seen){ .calls = 0 };
		s->inner_apart = mw_workers(w->app, &w->ctx, 3, "[TEST]", look, &inner) == MW_OK &&
		    inner.sb[0] == s->sb[0] && w->app->handles == NULL;
	}
}

static bool
all_apart(void *const *p, size_t n)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < i; k++) {
			if (p[i] == p[k])
				return false;
		}
	}
	return n == 0 || p[n - 1] != NULL;
}

static void
run(size_t n)
{
	fresh_ctx();
	seen = (struct seen){ .nested = seen.nested };
	is_int(mw_workers(app, &ctx, n, "[TEST]", look, &seen), MW_OK, "they work");
}

static void
test_apart(void)
{
	struct seen before;

	run(MOST);
	is_int(seen.calls, MOST, "each is called once");
	ok(ctx.attempts == 2 * MOST && ctx.retries == MOST, "their calls are counted");
	ok(all_apart((void *const *)seen.sb, MOST) && all_apart((void *const *)seen.store, MOST) &&
	    all_apart((void *const *)seen.arena, MOST), "handles and arenas of their own");
	ok(seen.sb[0] == app->sandbox && seen.store[0] == app->store,
	    "the calling thread has the app's");
	before = seen;
	run(MOST);
	ok(memcmp(before.sb, seen.sb, sizeof(seen.sb)) == 0 &&
	    memcmp(before.store, seen.store, sizeof(seen.store)) == 0, "kept for the next");
}

static void
test_nested(void)
{
	size_t i, k;
	bool apart = true;

	seen.nested = true;
	run(MOST);
	ok(seen.inner_apart, "a worker may have workers, whose handles are not kept");
	for (i = 1; i < 3; i++) {
		for (k = 0; k < MOST; k++)
			apart = apart && inner.sb[i] != seen.sb[k] && inner.store[i] != seen.store[k];
	}
	ok(apart && inner.calls == 3, "and are none of its siblings'");
	is_int(ctx.attempts, 2 * MOST + 2 * 3, "the calls of all are counted");
}

static void
test_bounds(void)
{
	struct mw_workers ws;

	fresh_ctx();
	is_int(mw_workers_open(app, &ctx, 1000, &ws), MW_OK, "more than there may be");
	is_int((int64_t)ws.n, MW_WORKERS_MAX, "is cut");
	mw_workers_close(&ws);
	is_int(mw_workers_open(app, &ctx, 0, &ws), MW_OK, "none");
	is_int((int64_t)ws.n, 1, "is one: the calling thread");
	mw_workers_close(&ws);
}

int
main(int argc, char *argv[])
{
	struct mw_err err = { .code = MW_OK };

	set_up(argc, argv);
	reopen("none");
	if (mw_app_open("files", &app, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	test_apart();
	test_nested();
	test_bounds();
	mw_app_close(app);
	tear_down();
	return done();
}
