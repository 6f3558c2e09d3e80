/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver of Docker and Podman: its handle and its tables of operations. */
#include "sandbox/engine/engine.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/str.h"
#include "sandbox/local/local.h"

#define USER "{user}"

/* "1g" in bytes; checked by conf. */
static int64_t
bytes(const char *v)
{
	size_t n = strspn(v, "0123456789");
	int64_t value = 0;

	if (!mw_str_uint(v, n, INT64_C(1) << 50, &value))
		return 0;
	switch (v[n]) {
	case 'k': case 'K':
		return value << 10;
	case 'm': case 'M':
		return value << 20;
	case 'g': case 'G':
		return value << 30 >> 30 == value ? value << 30 : INT64_MAX;
	default:
		return value;
	}
}

/* The engine also takes the beginning of a container's id for its name, and ids are hex
 * digits: a name must not be able to look like one. */
static bool
could_be_id(const char *name)
{
	const char *user = strstr(name, USER);
	const char *p;

	for (p = name; *p != '\0'; p++) {
		if (p == user)
			p += sizeof(USER) - 2;
		else if (strchr("0123456789abcdef", *p) == NULL)
			return false;
	}
	return true;
}

static char *
join(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b) + 1;
	char *out = malloc(n + m);

	if (out != NULL) {
		memcpy(out, a, n);
		memcpy(out + n, b, m);
	}
	return out;
}

static enum mw_code
set_up(struct mw_engine *e, const struct mw_conf *conf, struct mw_err *err)
{
	const char *socket = conf->sandbox.engine.socket;
	bool tcp = strncmp(socket, "tcp://", 6) == 0;

	if (could_be_id(conf->sandbox.name))
		return mw_fail(err, MW_INTERNAL_ERROR, "sandbox.name = \"%s\": the engine driver "
		    "needs a letter in it that is no hex digit, as in \"box-{user}\"",
		    conf->sandbox.name);
	e->origin = tcp ? join("http://", socket + 6) : strdup("http://engine");
	e->socket = tcp ? NULL : strdup(socket);
	e->name = strdup(conf->sandbox.name);
	e->root = strdup(conf->sandbox.root);
	e->run_dir = strdup(conf->sandbox.run_dir);
	e->image = strdup(conf->sandbox.engine.image);
	e->network = strdup(conf->sandbox.engine.network);
	e->create = conf->sandbox.engine.create;
	e->pause = strcmp(conf->sandbox.engine.sleep, "pause") == 0;
	e->base.flags = MW_SB_FILES_ASLEEP | MW_SB_CAN_STOP |
	    (e->create ? MW_SB_CAN_CREATE : 0) | (e->pause ? MW_SB_PAUSES : 0);
	e->memory = bytes(conf->sandbox.engine.memory);
	e->timeout = conf->sandbox.timeout;
	if (e->origin == NULL || (!tcp && e->socket == NULL) || e->name == NULL ||
	    e->root == NULL || e->run_dir == NULL || e->image == NULL || e->network == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	return mw_net_open(&e->net, err);
}

static void
engine_close(struct mw_sandbox *s)
{
	struct mw_engine *e = (struct mw_engine *)s;

	mw_net_close(e->net);
	mw_net_close(e->aside);
	mw_local_close(e->files);
	free(e->origin);
	free(e->socket);
	free(e->name);
	free(e->root);
	free(e->run_dir);
	free(e->image);
	free(e->network);
	free(e);
}

static const struct mw_sandbox_ops bound;

static enum mw_code
engine_open(const struct mw_conf *conf, struct mw_sandbox **sp, struct mw_err *err)
{
	struct mw_engine *e = calloc(1, sizeof(*e));
	enum mw_code code;

	*sp = NULL;
	if (e == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	e->base.ops = &mw_sandbox_engine;
	code = set_up(e, conf, err);
	if (code == MW_OK && *conf->sandbox.engine.files != '\0') {
		e->base.ops = &bound;
		code = mw_local_open_files(conf->sandbox.engine.files, conf, &e->files, err);
	}
	if (code != MW_OK)
		engine_close(&e->base);
	else
		*sp = &e->base;
	return code;
}

/* The user whose container has this name ("/openclaw-u1"); false = nobody's. */
static bool
user_of(const struct mw_engine *e, const char *name, char out[MW_USER_MAX + 1])
{
	const char *at = strstr(e->name, USER);
	size_t before = (size_t)(at - e->name), after = strlen(at) - (sizeof(USER) - 1), n;

	if (*name == '/')
		name++;
	n = strlen(name);
	if (n <= before + after || n - before - after > MW_USER_MAX ||
	    strncmp(name, e->name, before) != 0 ||
	    strcmp(name + n - after, at + sizeof(USER) - 1) != 0)
		return false;
	memcpy(out, name + before, n - before - after);
	out[n - before - after] = '\0';
	return mw_user_valid(out, strlen(out));
}

static enum mw_code
each_name(struct mw_engine *e, struct json_object *row, mw_user_fn fn, void *arg)
{
	struct json_object *names = NULL;
	char user[MW_USER_MAX + 1];
	enum mw_code code = MW_OK;
	size_t i;

	if (!json_object_is_type(row, json_type_object) ||
	    !json_object_object_get_ex(row, "Names", &names) ||
	    !json_object_is_type(names, json_type_array))
		return MW_OK;
	for (i = 0; i < json_object_array_length(names) && code == MW_OK; i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(names, i));

		if (name != NULL && user_of(e, name, user))
			code = fn(arg, user);
	}
	return code;
}

/* By their names, not by labels: containers that an operator made have none of ours. */
static enum mw_code
engine_enumerate(struct mw_sandbox *s, struct mw_ctx *ctx, mw_user_fn fn, void *arg)
{
	struct mw_engine *e = (struct mw_engine *)s;
	struct mw_engine_answer a;
	enum mw_code code = mw_engine_call(e, ctx, "GET", "/containers/json?all=1", NULL, &a);
	size_t i, n;

	if (code != MW_OK)
		return code;
	if (a.status != 200 || !json_object_is_type(a.json, json_type_array)) {
		json_object_put(a.json);
		return mw_ctx_fail(ctx, a.status == 200 ? MW_SANDBOX_UNREACHABLE :
		    mw_engine_code(a.status, a.message), "the engine cannot list its containers: "
		    "status %d %s", a.status, a.message);
	}
	n = json_object_array_length(a.json);
	for (i = 0; i < n && code == MW_OK; i++)
		code = each_name(e, json_object_array_get_idx(a.json, i), fn, arg);
	json_object_put(a.json);
	return code;
}

/* With sandbox.engine.files. */
static const struct mw_sandbox_ops bound = {
	.name = "engine",
	.input_max = 32 << 20,
	.open = engine_open,
	.close = engine_close,
	.enumerate = engine_enumerate,
	.status = mw_engine_status,
	.start = mw_engine_start,
	.stop = mw_engine_stop,
	.exec = mw_engine_exec,
	.read = mw_engine_bound_read,
	.write = mw_engine_bound_write,
	.remove = mw_engine_bound_remove,
	.stat = mw_engine_bound_stat,
	.list = mw_engine_bound_list,
};

const struct mw_sandbox_ops mw_sandbox_engine = {
	.name = "engine",
	.input_max = 32 << 20,
	.open = engine_open,
	.close = engine_close,
	.enumerate = engine_enumerate,
	.status = mw_engine_status,
	.start = mw_engine_start,
	.stop = mw_engine_stop,
	.exec = mw_engine_exec,
	.read = mw_engine_read,
	.write = mw_engine_write,
	.remove = mw_engine_remove,
	.stat = mw_engine_stat,
	.list = mw_engine_list,
};
