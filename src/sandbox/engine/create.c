/* SPDX-License-Identifier: BSD-2-Clause */
/* Making a user's container: as little right as a shell needs, and no more. */
#include "sandbox/engine/internal.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define WHOSE_MAX 24		/* "UID:GID" */
#define PIDS_MAX 1024		/* processes and threads of one sandbox */

/* Adds value (taken over) to the object; false if one of them is NULL. */
static bool
add(struct json_object *o, const char *name, struct json_object *value)
{
	if (o != NULL && value != NULL && json_object_object_add(o, name, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool
add_list(struct json_object *o, const char *name, const char *only)
{
	struct json_object *list = json_object_new_array();
	struct json_object *s = json_object_new_string(only);

	if (list == NULL || s == NULL || json_object_array_add(list, s) != 0) {
		json_object_put(list);
		json_object_put(s);
		return false;
	}
	return add(o, name, list);
}

/*
 * Init reaps what commands leave behind: without it a zombie would look like a job that
 * still runs.  A restart policy would wake what the gateway has put to sleep.
 */
static struct json_object *
host_config(const struct mw_engine *e, struct mw_ctx *ctx, const char *user)
{
	struct json_object *h = json_object_new_object();
	bool good = add_list(h, "SecurityOpt", "no-new-privileges") &&
	    add_list(h, "CapDrop", "ALL") &&
	    add(h, "PidsLimit", json_object_new_int64(PIDS_MAX)) &&
	    add(h, "Init", json_object_new_boolean(true));

	if (good && e->memory > 0)
		good = add(h, "Memory", json_object_new_int64(e->memory)) &&
		    add(h, "MemorySwap", json_object_new_int64(e->memory));
	if (good && *e->network != '\0')
		good = add(h, "NetworkMode", json_object_new_string(e->network));
	if (good && e->files != NULL)
		good = add(h, "Mounts", mw_engine_bound_mounts(e, ctx, user));
	if (good)
		return h;
	json_object_put(h);
	return NULL;
}

/*
 * Who its commands run as: the image's user; with files in directories of this host, who
 * we are, as the engine calls that.  A rootless engine's root is the engine's own user.
 */
static enum mw_code
whose(struct mw_engine *e, struct mw_ctx *ctx, char out[WHOSE_MAX])
{
	struct mw_engine_answer a;
	struct json_object *options = NULL;
	enum mw_code code;
	bool rootless;
	size_t i, n;

	out[0] = '\0';
	if (e->files == NULL)
		return MW_OK;
	code = mw_engine_call(e, ctx, "GET", "/info", NULL, &a);
	if (code != MW_OK)
		return code;
	rootless = mw_engine_bool(a.json, "Rootless");
	n = json_object_is_type(a.json, json_type_object) &&
	    json_object_object_get_ex(a.json, "SecurityOptions", &options) &&
	    json_object_is_type(options, json_type_array) ? json_object_array_length(options) : 0;
	for (i = 0; i < n; i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(options, i));

		rootless = rootless || (s != NULL && strcmp(s, "name=rootless") == 0);
	}
	json_object_put(a.json);
	if (a.status != 200)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
		    "the engine cannot say what it is: status %d %s", a.status, a.message);
	(void)snprintf(out, WHOSE_MAX, "%u:%u", rootless ? 0 : (unsigned)geteuid(),
	    rootless ? 0 : (unsigned)getegid());
	return MW_OK;
}

static struct json_object *
request(const struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *whose)
{
	struct json_object *o = json_object_new_object(), *labels = json_object_new_object();
	bool good = add(labels, MW_ENGINE_USER_LABEL, json_object_new_string(user));

	good = add(o, "Labels", labels) && good;
	if (good && *whose != '\0')
		good = add(o, "User", json_object_new_string(whose));
	if (good && add(o, "Image", json_object_new_string(e->image)) &&
	    add(o, "HostConfig", host_config(e, ctx, user)))
		return o;
	json_object_put(o);
	return NULL;
}

static char *
create_path(struct mw_engine *e, struct mw_ctx *ctx, const char *user)
{
	const char *name = mw_engine_path(e, ctx, user, "%s", "");

	return name == NULL ? NULL : mw_arena_printf(ctx->arena, "/containers/create?name=%s",
	    name + sizeof("/containers/") - 1);
}

enum mw_code
mw_engine_create(struct mw_engine *e, struct mw_ctx *ctx, const char *user)
{
	struct json_object *o;
	struct mw_engine_answer a;
	struct mw_engine_state st;
	char who[WHOSE_MAX];
	enum mw_code code = whose(e, ctx, who);

	if (code != MW_OK)
		return code;
	if ((o = request(e, ctx, user, who)) == NULL)
		return mw_ctx_nomem(ctx);
	code = mw_engine_call(e, ctx, "POST", create_path(e, ctx, user), o, &a);
	json_object_put(o);
	if (code != MW_OK)
		return code;
	json_object_put(a.json);
	if (a.status == 201)
		return MW_OK;
	/* The name is taken: 409, or 500.  Somebody was faster, and it is there. */
	code = mw_engine_inspect(e, ctx, user, &st);
	if (code != MW_OK || st.exists)
		return code;
	if (strstr(a.message, "already in use") != NULL) {
		/* Taken, and not there yet: somebody is just making it. */
		mw_sleep_ms(MW_ENGINE_NAP);
		return MW_OK;
	}
	code = mw_engine_code(a.status, a.message);
	if (a.status == 404)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "sandbox.engine.image = \"%s\": "
		    "the engine does not have it: pull or build it first (%s)", e->image, a.message);
	return mw_ctx_fail(ctx, code == MW_SANDBOX_UNREACHABLE || code == MW_PERMISSION_DENIED ||
	    code == MW_CONFLICT || code == MW_INTERNAL_ERROR ? MW_SANDBOX_UNAVAILABLE : code,
	    "the engine cannot create the sandbox: status %d %s", a.status, a.message);
}
