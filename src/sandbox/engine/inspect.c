/* SPDX-License-Identifier: BSD-2-Clause */
/* What a container is, and why the engine refused something for it. */
#include "sandbox/engine/internal.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define LOOK_MAX 2000		/* ms of a look aside */

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

static const char *
bound_lacks(const struct mw_engine *e, const struct mw_engine_state *st)
{
	if (strcmp(mw_engine_mount(st, e->root), e->root) != 0)
		return "sandbox.engine.files is set, and nothing is mounted at sandbox.root";
	if (strcmp(mw_engine_mount(st, e->run_dir), e->run_dir) != 0)
		return "sandbox.engine.files is set, and nothing is mounted at sandbox.run_dir";
	return NULL;
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
		return bound_lacks(e, st);
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
