/* SPDX-License-Identifier: BSD-2-Clause */
/* The body of POST bulk/…: whom, how many at a time, and the operation's own members. */
#include "ops/fleet/bulk_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/responder.h"
#include "base/path.h"
#include "ops/config/document.h"
#include "app/responder.h"

const char *const mw_fleet_words[] = { "wake", "restart", "exec", "sync", "config-patch", NULL };

/* ---- failures ---- */

static enum mw_code
bad_row(struct mw_fleet_in *in, size_t i, enum mw_code code, const char *what)
{
	in->row = (int64_t)i;
	in->fields.failed = "userIds";
	return mw_ctx_fail(in->ctx, code, "userIds[%zu]: %s", i, what);
}

/* ---- users ---- */

static enum mw_code
add_user(struct mw_fleet_in *in)
{
	struct mw_fleet_request *f = in->f;
	size_t room = in->room == 0 ? 64 : in->room * 2;
	const char **grown;

	if (!mw_user_valid(in->text, in->len))
		return bad_row(in, f->n, MW_INVALID_USER_ID, "not a user id: letters, digits and "
		    "\"._-\", at most 80, the first a letter or digit, no \"..\"");
	if (f->n == in->room) {
		if ((grown = mw_arena_alloc(in->ctx->arena, room * sizeof(*grown))) == NULL)
			return mw_ctx_nomem(in->ctx);
		if (f->n > 0)
			memcpy(grown, f->user, f->n * sizeof(*grown));
		f->user = grown;
		in->room = room;
	}
	f->user[f->n] = mw_arena_dup(in->ctx->arena, in->text, in->len);
	if (f->user[f->n] == NULL)
		return mw_ctx_nomem(in->ctx);
	f->n++;
	return MW_OK;
}

static enum mw_code
user_event(struct mw_fleet_in *in, enum mw_json_event ev, const char *s, size_t n)
{
	switch (ev) {
	case MW_JSON_STRING:
		in->len = 0;
		if (in->f->n < MW_FLEET_USERS_MAX)
			return MW_OK;
		in->fields.failed = "userIds";
		return mw_ctx_fail(in->ctx, MW_TOO_MANY_OPERATIONS,
		    "userIds: more than %d; send several requests", MW_FLEET_USERS_MAX);
	case MW_JSON_CHUNK:
		/* One byte more than the longest is kept, and is too long. */
		if (n > sizeof(in->text) - 1 - in->len)
			n = sizeof(in->text) - 1 - in->len;
		memcpy(in->text + in->len, s, n);
		in->len += n;
		return MW_OK;
	case MW_JSON_STRING_END:
		return add_user(in);
	default:
		return bad_row(in, in->f->n, MW_INVALID_ARGUMENT, "expected a string");
	}
}

struct named {
	const char *user;
	size_t i;
};

static int
by_user(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->user, y->user);

	return order != 0 ? order : x->i < y->i ? -1 : 1;
}

/* Nobody twice: two turns of one user at a time would get into each other's way. */
static enum mw_code
check_twice(struct mw_fleet_in *in)
{
	struct mw_fleet_request *f = in->f;
	struct named *named = mw_arena_alloc(in->ctx->arena, (f->n + 1) * sizeof(*named));
	char what[64];
	size_t i;

	if (named == NULL)
		return mw_ctx_nomem(in->ctx);
	for (i = 0; i < f->n; i++)
		named[i] = (struct named){ .user = f->user[i], .i = i };
	qsort(named, f->n, sizeof(*named), by_user);
	for (i = 1; i < f->n; i++) {
		if (strcmp(named[i - 1].user, named[i].user) != 0)
			continue;
		(void)snprintf(what, sizeof(what), "the same user as userIds[%zu]", named[i - 1].i);
		return bad_row(in, named[i].i, MW_INVALID_ARGUMENT, what);
	}
	return MW_OK;
}

/* ---- members ---- */

/* An array of ids, or "all". */
static enum mw_code
take_users(struct mw_fields *f, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	struct mw_fleet_in *in = f->arg;

	if (depth > 0)
		return depth == 1 ? user_event(in, ev, s, n) : MW_OK;
	switch (ev) {
	case MW_JSON_STRING:
	case MW_JSON_CHUNK:
		return user_event(in, ev, s, n);
	case MW_JSON_STRING_END:
		in->f->all = in->len == 3 && memcmp(in->text, "all", 3) == 0;
		return in->f->all ? MW_OK : mw_fields_wrong(f, f->field, "");
	case MW_JSON_ARRAY:
	case MW_JSON_ARRAY_END:
		return MW_OK;
	default:
		return mw_fields_wrong(f, f->field, "");
	}
}

/* Where it lies in the body: keep_patch() takes it as it was sent. */
static enum mw_code
take_patch(struct mw_fields *f, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	struct mw_fleet_in *in = f->arg;

	(void)s;
	(void)n;
	if (depth == 0 && ev == MW_JSON_OBJECT)
		in->patch_from = in->json.offset;
	else if (depth == 0 && ev == MW_JSON_OBJECT_END)
		in->patch_to = in->json.offset + 1;
	else if (depth == 0)
		return mw_fields_wrong(f, f->field, "");
	return MW_OK;
}

#define AT(member) offsetof(struct mw_fleet_request, member)
#define OP(o) (1u << MW_FLEET_##o)
#define FLAG(text, member, ops) { .name = (text), .expected = "true or false", \
	    .kind = MW_FIELD_BOOL, .at = AT(member), .uses = (ops) }

enum { USER_IDS, PATCH };

/* exec's other members are ops/exec/request.c's. */
static const struct mw_field members[] = {
	[USER_IDS] = { .name = "userIds", .expected = "an array of user ids, or \"all\"",
	    .kind = MW_FIELD_OWN, .event = take_users },
	[PATCH] = { .name = "patch", .expected = "an object (RFC 7396)", .kind = MW_FIELD_OWN,
	    .event = take_patch, .uses = OP(CONFIG) },
	{ .name = "concurrency", .expected = "an integer from 1 to 64", .kind = MW_FIELD_INT,
	    .at = AT(concurrency), .min = 1, .max = MW_WORKERS_MAX },
	{ .name = "maxWakeTime", .expected = MW_EXPECTED_MAX_WAKE, .kind = MW_FIELD_INT,
	    .at = AT(max_wake), .max = MW_MAX_WAKE, .cap = true, .uses = ~OP(EXEC) },
	FLAG("wait", wait, OP(WAKE)),
	FLAG("sync", sync, OP(RESTART)),
	FLAG("force", force, OP(RESTART) | OP(SYNC) | OP(CONFIG)),
	{ .name = "direction", .expected = "\"backup\" or \"restore\"", .kind = MW_FIELD_WORD,
	    .at = AT(direction), .words = mw_direction_words, .uses = OP(SYNC) },
	FLAG("delete", remove, OP(RESTART) | OP(SYNC)),
	FLAG("dryRun", dry_run, OP(SYNC)),
	{ .name = NULL }
};
_Static_assert(MW_WORKERS_MAX == 64, "the text says so");

/* ---- the query ---- */

/* What stands there is not done: who asks so for a dry run would get a wet one. */
enum mw_code
mw_fleet_in_query(struct mw_fleet_in *in, const char *name)
{
	bool known = mw_field_find(members, in->fields.use, name, strlen(name)) != NULL ||
	    (in->f->op == MW_FLEET_EXEC && mw_exec_in_knows(name));

	if (!known)
		return MW_OK;
	in->field = name;
	return mw_ctx_fail(in->ctx, MW_INVALID_ARGUMENT,
	    "%s: it is in the query, expected in the body", name);
}

/* ---- the document ---- */

/* Each of the two ignores what is the other's. */
static enum mw_code
event(void *arg, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	struct mw_fleet_in *in = arg;
	enum mw_code code = mw_fields_event(&in->fields, ev, s, n, depth);

	if (code == MW_OK && in->f->op == MW_FLEET_EXEC)
		code = mw_exec_in_event(&in->exec, ev, s, n, depth);
	return code;
}

/* What of the piece at `at` belongs to the patch. */
static enum mw_code
keep_patch(struct mw_fleet_in *in, int64_t at, const char *p, size_t n)
{
	int64_t from = in->patch_from - at, to = (int64_t)n;

	if (in->patch_from < 0)
		return MW_OK;
	if (from < 0)
		from = 0;
	if (in->patch_to >= 0 && in->patch_to - at < to)
		to = in->patch_to - at;
	if (from >= to || mw_buf_add(&in->f->patch, p + from, (size_t)(to - from)))
		return MW_OK;
	in->fields.failed = members[PATCH].name;
	return mw_ctx_fail(in->ctx, MW_BODY_TOO_LARGE, "patch: larger than %d bytes",
	    MW_DOCUMENT_MAX);
}

void
mw_fleet_in_init(struct mw_fleet_in *in, struct mw_fleet_request *f, enum mw_fleet_op op,
    struct mw_ctx *ctx, const struct mw_conf *conf, size_t max)
{
	memset(in, 0, sizeof(*in));
	memset(f, 0, sizeof(*f));
	in->f = f;
	in->ctx = ctx;
	in->row = in->patch_from = in->patch_to = -1;
	f->op = op;
	f->concurrency = conf->bulk.concurrency;
	f->max_wake = conf->wake.max_wait;
	f->wait = f->sync = true;
	mw_buf_init(&f->patch, MW_DOCUMENT_MAX);
	mw_fields_init(&in->fields, members, f, &ctx->err);
	in->fields.arg = in;
	in->fields.use = 1u << op;
	mw_json_init(&in->json, event, in);
	mw_exec_in_init(&in->exec, ctx, conf, max, &f->exec);
}

enum mw_code
mw_fleet_in_feed(struct mw_fleet_in *in, const char *p, size_t n)
{
	int64_t at = in->json.offset;
	enum mw_code code;

	if ((code = mw_json_feed(&in->json, p, n, &in->ctx->err)) == MW_OK)
		code = keep_patch(in, at, p, n);
	in->field = in->fields.failed;
	return code;
}

static enum mw_code
check_whole(struct mw_fleet_in *in)
{
	struct mw_fleet_request *f = in->f;
	enum mw_code code;

	if ((code = mw_fields_need(&in->fields, &members[USER_IDS])) != MW_OK)
		return code;
	if (!f->all && f->n == 0)
		return mw_fields_wrong(&in->fields, &members[USER_IDS], "is empty; ");
	if (f->op == MW_FLEET_CONFIG &&
	    (code = mw_fields_need(&in->fields, &members[PATCH])) != MW_OK)
		return code;
	if (f->op == MW_FLEET_EXEC && (code = mw_exec_in_finish(&in->exec)) != MW_OK)
		return code;
	return f->all ? MW_OK : check_twice(in);
}

enum mw_code
mw_fleet_in_finish(struct mw_fleet_in *in)
{
	enum mw_code code;

	if ((code = mw_json_finish(&in->json, &in->ctx->err)) == MW_OK)
		code = check_whole(in);
	in->field = in->fields.failed;
	return code;
}

void
mw_fleet_in_free(struct mw_fleet_in *in)
{
	mw_exec_in_free(&in->exec);
}

void
mw_fleet_request_free(struct mw_fleet_request *f)
{
	mw_exec_request_free(&f->exec);
	mw_buf_free(&f->patch);
}
