/* SPDX-License-Identifier: BSD-2-Clause */
/* What a container is, and making it run or not. */
#include "sandbox/engine/engine.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define LOOK_MAX 2000		/* ms of a look aside */
#define BUSY_LOOKS 20		/* before a pause, at commands that may be just beginning, */
#define BUSY_NAP 50		/* ms between two of them */
#define STOP_GRACE 5		/* s for its processes to end before they are killed */

/* ---- inspect ---- */

static bool
covers(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	return strncmp(dir, path, n) == 0 && (path[n] == '/' || path[n] == '\0' ||
	    (n > 0 && dir[n - 1] == '/'));
}

const char *
mw_engine_mount(const struct mw_engine_state *st, const char *path)
{
	const char *best = "/", *const *m;

	for (m = st->mounts; m != NULL && *m != NULL; m++) {
		if (covers(*m, path) && strlen(*m) > strlen(best))
			best = *m;
	}
	return best;
}

/* A mount is noted; one of memory with a '!' before it, which covers nothing then. */
static bool
note(struct mw_ctx *ctx, const char **list, size_t *n, const char *dir, bool ram)
{
	if (*dir != '/')
		return true;
	list[*n] = mw_arena_printf(ctx->arena, "%s%s", ram ? "!" : "", dir);
	return list[(*n)++] != NULL;
}

static bool
take_mounts(struct mw_ctx *ctx, struct json_object *inspect, const char ***list)
{
	struct json_object *mounts = NULL, *m;
	struct json_object *ram = mw_engine_obj(mw_engine_obj(inspect, "HostConfig"), "Tmpfs");
	size_t i, count, n = 0;

	if (!json_object_object_get_ex(inspect, "Mounts", &mounts) ||
	    !json_object_is_type(mounts, json_type_array))
		mounts = NULL;
	count = mounts == NULL ? 0 : json_object_array_length(mounts);
	*list = mw_arena_alloc(ctx->arena, (count + 1 + (ram == NULL ? 0 :
	    (size_t)json_object_object_length(ram))) * sizeof(**list));
	if (*list == NULL)
		return false;
	for (i = 0; i < count; i++) {
		m = json_object_array_get_idx(mounts, i);
		if (!note(ctx, *list, &n, mw_engine_str(m, "Destination"),
		    strcmp(mw_engine_str(m, "Type"), "tmpfs") == 0))
			return false;
	}
	if (ram != NULL) {
		json_object_object_foreach(ram, dir, options) {
			(void)options;
			if (!note(ctx, *list, &n, dir, true))
				return false;
		}
	}
	return true;
}

/* Is `path` on a mount of memory? */
static bool
in_memory(const struct mw_engine_state *st, const char *path)
{
	const char *best = mw_engine_mount(st, path), *const *m;

	for (m = st->mounts; *m != NULL; m++) {
		if (**m == '!' && covers(*m + 1, path) && strlen(*m + 1) > strlen(best))
			return true;
	}
	return false;
}

/*
 * The marker must not outlive the files that it vouches for: it may lie on a mount only
 * if the files lie there too.  Memory is no place for either: files would be lost at each
 * stop, and the engine's archive calls do not see it.
 */
static const char *
misplaced(const struct mw_engine *e, const struct mw_engine_state *st)
{
	const char *run = mw_engine_mount(st, e->run_dir);

	if (e->files != NULL)
		return mw_engine_bound_lacks(e, st);
	if (in_memory(st, e->root))
		return "sandbox.root lies on a tmpfs";
	if (in_memory(st, e->run_dir))
		return "sandbox.run_dir lies on a tmpfs";
	if (strcmp(run, "/") != 0 && strcmp(run, mw_engine_mount(st, e->root)) != 0)
		return "sandbox.run_dir lies on a volume that sandbox.root does not lie on";
	return NULL;
}

static enum mw_code
take_state(struct mw_engine *e, struct mw_ctx *ctx, struct json_object *inspect,
    struct mw_engine_state *st)
{
	struct json_object *s = mw_engine_obj(inspect, "State"), *execs = NULL;
	const char *word = mw_engine_str(s, "Status");

	st->exists = true;
	st->paused = mw_engine_bool(s, "Paused") || strcmp(word, "paused") == 0;
	st->running = mw_engine_bool(s, "Running") && !st->paused &&
	    !mw_engine_bool(s, "Restarting");
	st->leaving = strcmp(word, "stopping") == 0 || strcmp(word, "removing") == 0 ||
	    strcmp(word, "restarting") == 0;
	st->started = mw_engine_time(mw_engine_str(s, "StartedAt"));
	st->exit_code = mw_engine_int(s, "ExitCode");
	if (json_object_object_get_ex(inspect, "ExecIDs", &execs) &&
	    json_object_is_type(execs, json_type_array))
		st->commands = json_object_array_length(execs);
	if (!take_mounts(ctx, inspect, &st->mounts))
		return mw_ctx_nomem(ctx);
	st->misplaced = misplaced(e, st);
	(void)snprintf(st->owner, sizeof(st->owner), "%.80s %s", mw_engine_str(inspect, "Image"),
	    mw_engine_str(mw_engine_obj(inspect, "Config"), "User"));
	return MW_OK;
}

enum mw_code
mw_engine_inspect(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    struct mw_engine_state *st)
{
	struct mw_engine_answer a;
	enum mw_code code;

	*st = (struct mw_engine_state){ .exit_code = -1 };
	code = mw_engine_call(e, ctx, "GET", mw_engine_path(e, ctx, user, "/json"), NULL, &a);
	if (code != MW_OK)
		return code;
	if (a.status == 200 && mw_engine_obj(a.json, "State") != NULL)
		code = take_state(e, ctx, a.json, st);
	else if (a.status != 404)
		code = mw_ctx_fail(ctx, a.status == 200 ? MW_SANDBOX_UNREACHABLE :
		    mw_engine_code(a.status, a.message), "the engine cannot say what the sandbox "
		    "is: status %d %s", a.status, a.message);
	json_object_put(a.json);
	return code;
}

bool
mw_engine_stuck(struct mw_engine *e, struct mw_ctx *ctx, const char *user, unsigned *mute)
{
	struct mw_err before = ctx->err;
	int64_t deadline = ctx->deadline, soon = mw_now() + LOOK_MAX;
	struct mw_net *busy = e->net;
	struct mw_engine_state st = { .paused = false };
	enum mw_code code = MW_OK;

	if (e->aside == NULL && mw_net_open(&e->aside, &ctx->err) != MW_OK) {
		ctx->err = before;
		return false;
	}
	e->net = e->aside;
	if (soon < deadline)
		ctx->deadline = soon;
	code = mw_engine_inspect(e, ctx, user, &st);
	ctx->deadline = deadline;
	e->net = busy;
	ctx->err = before;
	*mute = code == MW_SANDBOX_TIMEOUT ? *mute + 1 : 0;
	return st.paused || *mute >= 2;
}

enum mw_code
mw_engine_refused(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *what,
    int status, const char *message)
{
	struct mw_engine_state st;
	enum mw_code code = mw_engine_inspect(e, ctx, user, &st);

	if (code != MW_OK)
		return code;
	if (!st.exists)
		return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND, "there is no such sandbox");
	if (st.paused && (status == 409 || status >= 500))
		return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "the sandbox is asleep: it is paused");
	if (!st.running && (status == 409 || status >= 500))
		return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "the sandbox is asleep: its own "
		    "command ended with status %lld", (long long)st.exit_code);
	return mw_ctx_fail(ctx, mw_engine_code(status, message), "%s: %s",
	    what, *message != '\0' ? message : "the engine refused it");
}

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
