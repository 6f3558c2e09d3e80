/* SPDX-License-Identifier: BSD-2-Clause */
/* Making a container run or not, and what its status is. */
#include "sandbox/engine/internal.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define BUSY_LOOKS 20		/* before a pause, at commands that may be just beginning, */
#define BUSY_NAP 50		/* ms between two of them */
#define STOP_GRACE 5		/* s for its processes to end before they are killed */

/* ---- status ---- */

/* Memory and processes; unknown where the engine cannot count (rootless, cgroup v1). */
static void
take_stats(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    struct mw_sandbox_status *st)
{
	struct mw_err before = ctx->err;
	struct mw_engine_answer a;
	int64_t n;

	if (mw_engine_call(e, ctx, "GET", mw_engine_path(e, ctx, user,
	    "/stats?stream=false&one-shot=true"), NULL, &a) != MW_OK) {
		ctx->err = before;
		return;
	}
	n = mw_engine_int(mw_engine_obj(a.json, "memory_stats"), "usage");
	if (a.status == 200 && n > 0)
		st->memory = n;
	n = mw_engine_int(mw_engine_obj(a.json, "pids_stats"), "current");
	if (a.status == 200 && n > 0 && n <= INT32_MAX)
		st->processes = (int)n;
	json_object_put(a.json);
}

enum mw_code
mw_engine_status(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    struct mw_sandbox_status *st)
{
	struct mw_engine *e = (struct mw_engine *)s;
	struct mw_engine_state is;
	enum mw_code code = mw_engine_inspect(e, ctx, user, &is);

	*st = (struct mw_sandbox_status){ .state = MW_SB_ABSENT, .memory = -1, .processes = -1 };
	if (code != MW_OK || !is.exists)
		return code;
	st->state = is.running ? MW_SB_RUNNING : MW_SB_ASLEEP;
	if (!is.running)
		return MW_OK;
	st->started = is.started;
	take_stats(e, ctx, user, st);
	return MW_OK;
}

/* ---- start and stop ---- */

/* POST /containers/NAME/VERB; the answer's status in *status. */
static enum mw_code
order(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *verb,
    struct mw_engine_answer *a)
{
	enum mw_code code = mw_engine_call(e, ctx, "POST", mw_engine_path(e, ctx, user, "/%s", verb),
	    NULL, a);

	if (code == MW_OK)
		json_object_put(a->json);
	a->json = NULL;
	return code;
}

static enum mw_code
ended_at_once(struct mw_ctx *ctx, const struct mw_engine_state *st)
{
	return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "the sandbox started and ended at once "
	    "(exit %lld): its image's own command must keep running", (long long)st->exit_code);
}

/* A refusal that the state does not explain. */
static enum mw_code
cannot(struct mw_ctx *ctx, const char *what, const struct mw_engine_answer *a)
{
	enum mw_code code = mw_engine_code(a->status, a->message);

	return mw_ctx_fail(ctx, code == MW_STORAGE_FULL || code == MW_SANDBOX_CAPACITY ? code :
	    MW_SANDBOX_UNAVAILABLE, "the engine cannot %s the sandbox: status %d %s", what,
	    a->status, a->message);
}

static enum mw_code
too_long(struct mw_ctx *ctx, const char *what)
{
	return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT, "the sandbox did not %s in time", what);
}

/* A row of steps towards a state, each after a look at what it is now. */
struct steps {
	struct mw_engine_answer last;	/* to what was ordered last */
	int64_t nap;			/* of mw_engine_await() */
	unsigned busy;			/* looks at commands that run */
	bool done;
};

/* One step towards running.  A start that is refused while a stop is under way is tried again. */
static enum mw_code
start_step(struct mw_engine *e, struct mw_ctx *ctx, const char *user, struct steps *s)
{
	struct mw_engine_state st;
	enum mw_code code = mw_engine_inspect(e, ctx, user, &st);

	s->done = code == MW_OK && st.running && st.misplaced == NULL;
	if (code != MW_OK || s->done)
		return code;
	if (st.misplaced != NULL)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "%s: see doc/install.md, Docker "
		    "and Podman", st.misplaced);
	if (!st.exists && !e->create)
		return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND, "there is no such sandbox, and "
		    "sandbox.engine.create = false");
	if (e->files != NULL && (code = mw_engine_bound_make(e, ctx, user)) != MW_OK)
		return code;
	if (!st.exists)
		return mw_engine_create(e, ctx, user);
	if (st.leaving) {
		s->last.status = 0;
		(void)mw_engine_await(e, ctx, user, &s->nap);
		return MW_OK;
	}
	if (s->last.status == 204 && !st.paused)
		return ended_at_once(ctx, &st);
	if (s->last.status >= 400)
		return cannot(ctx, "start", &s->last);
	return order(e, ctx, user, st.paused ? "unpause" : "start", &s->last);
}

enum mw_code
mw_engine_start(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user)
{
	struct mw_engine *e = (struct mw_engine *)s;
	struct steps steps = { .done = false };
	enum mw_code code;

	while (!steps.done) {
		if (mw_left(ctx->deadline) == 0)
			return too_long(ctx, "start");
		code = start_step(e, ctx, user, &steps);
		if (code != MW_OK)
			return code;
	}
	return MW_OK;
}

/* One step towards sleep.  A stop that is refused is tried again; a pause is not, for an
 * engine that cannot pause never will. */
static enum mw_code
stop_step(struct mw_engine *e, struct mw_ctx *ctx, const char *user, bool pause, struct steps *s)
{
	struct mw_engine_state st;
	char verb[32] = "pause";
	enum mw_code code = mw_engine_inspect(e, ctx, user, &st);

	s->done = code == MW_OK && (!st.exists ||
	    (!st.running && !st.leaving && (pause || !st.paused)));
	if (code != MW_OK || s->done)
		return code;
	if (mw_left(ctx->deadline) == 0)
		return too_long(ctx, "end");
	if (pause && st.running && s->last.status >= 400)
		return cannot(ctx, "pause (sandbox.engine.sleep)", &s->last);
	if (st.leaving || s->last.status >= 400)
		(void)mw_engine_await(e, ctx, user, &s->nap);
	/* Docker never has another word on a container that is paused just when a command is
	 * being begun in it.  One that was begun long ago does not matter. */
	if (pause && st.running && st.commands > 0 && !e->podman && s->busy++ < BUSY_LOOKS) {
		mw_sleep_ms(BUSY_NAP);
		return MW_OK;
	}
	if (!pause || st.leaving)
		(void)snprintf(verb, sizeof(verb), "stop?t=%d", STOP_GRACE);
	/* Podman does not stop what is paused. */
	return order(e, ctx, user, st.paused ? "unpause" : verb, &s->last);
}

enum mw_code
mw_engine_stop(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user)
{
	struct mw_engine *e = (struct mw_engine *)s;
	struct steps steps = { .done = false };
	enum mw_code code = MW_OK;

	while (code == MW_OK && !steps.done)
		code = stop_step(e, ctx, user, e->pause && !s->stop_ends, &steps);
	return code;
}
