/* SPDX-License-Identifier: BSD-2-Clause */
/* The body of POST bulk/…: whom, how many at a time, and the operation's own members. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/str.h"
#include "ops/config/document.h"
#include "ops/fleet/bulk.h"
#include "app/responder.h"

const char *const mw_fleet_words[] = { "wake", "restart", "exec", "sync", "config-patch", NULL };

enum member {
	OTHER, USER_IDS, CONCURRENCY, MAX_WAKE_TIME, WAIT, SYNC, FORCE, DIRECTION, DELETE, DRY_RUN,
	PATCH, MEMBERS
};

#define OP(o) (1u << MW_FLEET_##o)
#define EVERY (OP(WAKE) | OP(RESTART) | OP(EXEC) | OP(SYNC) | OP(CONFIG))

/* exec's other members are ops/exec/request.c's. */
static const struct {
	const char *name, *expected;
	unsigned ops;
} members[MEMBERS] = {
	[OTHER] = { "", "", 0 },
	[USER_IDS] = { "userIds", "an array of user ids, or \"all\"", EVERY },
	[CONCURRENCY] = { "concurrency", "an integer from 1 to 64", EVERY },
	[MAX_WAKE_TIME] = { "maxWakeTime", "an integer from 0 to 180000, milliseconds",
	    EVERY & ~OP(EXEC) },
	[WAIT] = { "wait", "true or false", OP(WAKE) },
	[SYNC] = { "sync", "true or false", OP(RESTART) },
	[FORCE] = { "force", "true or false", OP(RESTART) | OP(SYNC) | OP(CONFIG) },
	[DIRECTION] = { "direction", "\"backup\" or \"restore\"", OP(SYNC) },
	[DELETE] = { "delete", "true or false", OP(SYNC) },
	[DRY_RUN] = { "dryRun", "true or false", OP(SYNC) },
	[PATCH] = { "patch", "an object (RFC 7396)", OP(CONFIG) },
};
_Static_assert(MW_FLEET_CONCURRENCY_MAX == 64, "the text says so");
_Static_assert(MW_FLEET_CONCURRENCY_MAX <= MW_WORKERS_MAX, "each needs a worker");
_Static_assert(MW_MAX_WAKE == 180000, "the text says so");

/* ---- failures ---- */

static enum mw_code
wrong(struct mw_fleet_in *in, const char *how)
{
	in->field = members[in->member].name;
	return mw_ctx_fail(in->ctx, MW_INVALID_ARGUMENT, "%s: %sexpected %s", in->field, how,
	    members[in->member].expected);
}

static enum mw_code
bad_row(struct mw_fleet_in *in, size_t i, enum mw_code code, const char *what)
{
	in->row = (int64_t)i;
	in->field = members[USER_IDS].name;
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
		in->field = members[USER_IDS].name;
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

/* ---- other members ---- */

static enum mw_code
take_number(struct mw_fleet_in *in, const char *s, size_t n)
{
	int64_t v;

	if (in->member == CONCURRENCY) {
		if (!mw_str_int(s, n, 1, MW_FLEET_CONCURRENCY_MAX, &v))
			return wrong(in, "");
		in->f->concurrency = v;
		return MW_OK;
	}
	if (in->member != MAX_WAKE_TIME || !mw_str_digits(s, n))
		return wrong(in, "");
	/* Above the maximum, or more digits than fit: the maximum. */
	in->f->max_wake = mw_str_int(s, n, 0, MW_MAX_WAKE, &v) ? v : MW_MAX_WAKE;
	return MW_OK;
}

static enum mw_code
take_bool(struct mw_fleet_in *in, bool v)
{
	struct mw_fleet_request *f = in->f;

	switch (in->member) {
	case WAIT:
		f->wait = v;
		return MW_OK;
	case SYNC:
		f->sync = v;
		return MW_OK;
	case FORCE:
		f->force = v;
		return MW_OK;
	case DELETE:
		f->remove = v;
		return MW_OK;
	case DRY_RUN:
		f->dry_run = v;
		return MW_OK;
	default:
		return wrong(in, "");
	}
}

static enum mw_code
string_end(struct mw_fleet_in *in)
{
	int i;

	in->text[in->len] = '\0';
	if (in->member == USER_IDS && in->len == 3 && strcmp(in->text, "all") == 0) {
		in->f->all = true;
		return MW_OK;
	}
	for (i = 0; in->member == DIRECTION && mw_direction_words[i] != NULL; i++) {
		if (strlen(mw_direction_words[i]) == in->len &&
		    strcmp(mw_direction_words[i], in->text) == 0) {
			in->f->direction = (enum mw_direction)i;
			return MW_OK;
		}
	}
	return wrong(in, "");
}

static enum mw_code
value(struct mw_fleet_in *in, enum mw_json_event ev, const char *s, size_t n)
{
	unsigned m = in->member;

	switch (ev) {
	case MW_JSON_STRING:
		in->len = 0;
		return m == USER_IDS || m == DIRECTION ? MW_OK : wrong(in, "");
	case MW_JSON_CHUNK:
		return user_event(in, ev, s, n);
	case MW_JSON_STRING_END:
		return string_end(in);
	case MW_JSON_ARRAY:
		in->in_users = m == USER_IDS;
		return m == USER_IDS ? MW_OK : wrong(in, "");
	case MW_JSON_ARRAY_END:
		in->in_users = false;
		return MW_OK;
	case MW_JSON_OBJECT:
		in->patch_from = in->json.offset;
		return m == PATCH ? MW_OK : wrong(in, "");
	case MW_JSON_OBJECT_END:
		in->patch_to = in->json.offset + 1;
		return MW_OK;
	case MW_JSON_NUMBER:
		return take_number(in, s, n);
	case MW_JSON_TRUE:
	case MW_JSON_FALSE:
		return take_bool(in, ev == MW_JSON_TRUE);
	default:
		return wrong(in, "");
	}
}

static enum mw_code
key(struct mw_fleet_in *in, const char *s, size_t n)
{
	unsigned m;

	in->member = OTHER;
	for (m = 1; m < MEMBERS; m++) {
		if ((members[m].ops & 1u << in->f->op) != 0 && strlen(members[m].name) == n &&
		    memcmp(members[m].name, s, n) == 0)
			in->member = m;
	}
	if (in->member != OTHER && (in->seen & 1u << in->member) != 0)
		return wrong(in, "given twice; ");
	in->seen |= 1u << in->member;
	return MW_OK;
}

/* ---- the query ---- */

/* What stands there is not done: who asks so for a dry run would get a wet one. */
enum mw_code
mw_fleet_in_query(struct mw_fleet_in *in, const char *name)
{
	bool known = in->f->op == MW_FLEET_EXEC && mw_exec_in_knows(name);
	unsigned m;

	for (m = 1; m < MEMBERS; m++)
		known = known || ((members[m].ops & 1u << in->f->op) != 0 &&
		    strcmp(members[m].name, name) == 0);
	if (!known)
		return MW_OK;
	in->field = name;
	return mw_ctx_fail(in->ctx, MW_INVALID_ARGUMENT,
	    "%s: it is in the query, expected in the body", name);
}

/* ---- the document ---- */

static enum mw_code
own_event(struct mw_fleet_in *in, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	if (depth == 0)
		return ev == MW_JSON_OBJECT || ev == MW_JSON_OBJECT_END ? MW_OK :
		    mw_ctx_fail(in->ctx, MW_INVALID_ARGUMENT,
		    "body: expected a JSON object with the member userIds");
	if (depth == 2 && in->in_users)
		return user_event(in, ev, s, n);
	if (depth != 1)
		return MW_OK;
	if (ev == MW_JSON_KEY)
		return key(in, s, n);
	return in->member == OTHER ? MW_OK : value(in, ev, s, n);
}

/* Each of the two ignores what is the other's. */
static enum mw_code
event(void *arg, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	struct mw_fleet_in *in = arg;
	enum mw_code code = own_event(in, ev, s, n, depth);

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
	in->field = members[PATCH].name;
	return mw_ctx_fail(in->ctx, MW_BODY_TOO_LARGE, "patch: larger than %d bytes",
	    MW_DOCUMENT_MAX);
}

void
mw_fleet_in_init(struct mw_fleet_in *in, struct mw_fleet_request *f, enum mw_fleet_op op,
    struct mw_ctx *ctx, const struct mw_conf *conf, size_t max)
{
	int64_t concurrency = conf->bulk.concurrency;

	memset(in, 0, sizeof(*in));
	memset(f, 0, sizeof(*f));
	in->f = f;
	in->ctx = ctx;
	in->row = in->patch_from = in->patch_to = -1;
	f->op = op;
	f->concurrency = concurrency < MW_FLEET_CONCURRENCY_MAX ? concurrency :
	    MW_FLEET_CONCURRENCY_MAX;
	f->max_wake = conf->wake.max_wait;
	f->wait = f->sync = true;
	mw_buf_init(&f->patch, MW_DOCUMENT_MAX);
	mw_json_init(&in->json, event, in);
	mw_exec_in_init(&in->exec, ctx, conf, max, &f->exec);
}

enum mw_code
mw_fleet_in_feed(struct mw_fleet_in *in, const char *p, size_t n)
{
	int64_t at = in->json.offset;
	enum mw_code code;

	if ((code = mw_json_feed(&in->json, p, n, &in->ctx->err)) != MW_OK)
		return code;
	return keep_patch(in, at, p, n);
}

enum mw_code
mw_fleet_in_finish(struct mw_fleet_in *in)
{
	struct mw_fleet_request *f = in->f;
	enum mw_code code;

	if ((code = mw_json_finish(&in->json, &in->ctx->err)) != MW_OK)
		return code;
	in->member = USER_IDS;
	if ((in->seen & 1u << USER_IDS) == 0)
		return wrong(in, "missing; ");
	if (!f->all && f->n == 0)
		return wrong(in, "is empty; ");
	in->member = PATCH;
	if (f->op == MW_FLEET_CONFIG && in->patch_from < 0)
		return wrong(in, "missing; ");
	if (f->op == MW_FLEET_EXEC && (code = mw_exec_in_finish(&in->exec)) != MW_OK)
		return code;
	return f->all ? MW_OK : check_twice(in);
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
