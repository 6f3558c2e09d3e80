/* SPDX-License-Identifier: BSD-2-Clause */
/* The body of bulk requests: what is taken from good ones, and what bad ones are told. */
#include <stdlib.h>

#include "ops/config/document.h"
#include "app/responder.h"
#include "ops/fleet/bulk.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_BODY (1 << 20)

static struct mw_ctx ctx;
static struct mw_conf conf;
static struct mw_fleet_request f;
static struct mw_fleet_in in;

/* Fed in pieces of `step` bytes. */
static enum mw_code
parse(enum mw_fleet_op op, const char *s, size_t n, size_t step)
{
	enum mw_code code = MW_OK;
	size_t at, len;

	mw_fleet_request_free(&f);
	mw_arena_reset(ctx.arena);
	mw_err_clear(&ctx.err);
	mw_fleet_in_init(&in, &f, op, &ctx, &conf, MAX_BODY);
	for (at = 0; at < n && code == MW_OK; at += len) {
		len = n - at < step ? n - at : step;
		code = mw_fleet_in_feed(&in, s + at, len);
	}
	if (code == MW_OK)
		code = mw_fleet_in_finish(&in);
	mw_fleet_in_free(&in);
	return code;
}

#define WAKE MW_FLEET_WAKE
#define RESTART MW_FLEET_RESTART
#define EXEC MW_FLEET_EXEC
#define SYNC MW_FLEET_SYNC
#define CONFIG MW_FLEET_CONFIG
#define U "{\"userIds\":[\"a\"]"

/* ---- bad ones ---- */

static const struct bad {
	enum mw_fleet_op op;
	const char *text;
	enum mw_code code;
	const char *says;		/* the text begins with it */
	int row;			/* -1 = none */
	const char *field;		/* NULL = not told apart */
} bads[] = {
	{ WAKE, "", MW_INVALID_JSON, "", -1, NULL },
	{ WAKE, U, MW_INVALID_JSON, "", -1, NULL },
	{ WAKE, "[\"a\"]", MW_INVALID_ARGUMENT, "body: ", -1, NULL },
	{ WAKE, "\"all\"", MW_INVALID_ARGUMENT, "body: ", -1, NULL },
	{ WAKE, "{}", MW_INVALID_ARGUMENT, "userIds: missing", -1, "userIds" },
	{ WAKE, "{\"userids\":\"all\"}", MW_INVALID_ARGUMENT, "userIds: missing", -1, "userIds" },
	{ WAKE, "{\"x\":{\"userIds\":\"all\"}}", MW_INVALID_ARGUMENT, "userIds: missing", -1, "userIds" },
	{ WAKE, "{\"x\":[[\"all\"]],\"y\":\"all\"}", MW_INVALID_ARGUMENT, "userIds: missing", -1, "userIds" },
	{ WAKE, "{\"userIds\":\"a\"}", MW_INVALID_ARGUMENT, "userIds: expected", -1, "userIds" },
	{ WAKE, "{\"userIds\":\"ALL\"}", MW_INVALID_ARGUMENT, "userIds: expected", -1, "userIds" },
	{ WAKE, "{\"userIds\":\"al\"}", MW_INVALID_ARGUMENT, "userIds: expected", -1, "userIds" },
	{ WAKE, "{\"userIds\":\"all\\u0000\"}", MW_INVALID_ARGUMENT, "userIds: expected", -1, "userIds" },
	{ WAKE, "{\"userIds\":\"all \"}", MW_INVALID_ARGUMENT, "userIds: expected", -1, "userIds" },
	{ WAKE, "{\"userIds\":\"\"}", MW_INVALID_ARGUMENT, "userIds: expected", -1, "userIds" },
	{ WAKE, "{\"userIds\":null}", MW_INVALID_ARGUMENT, "userIds: expected", -1, "userIds" },
	{ WAKE, "{\"userIds\":true}", MW_INVALID_ARGUMENT, "userIds: expected", -1, "userIds" },
	{ WAKE, "{\"userIds\":7}", MW_INVALID_ARGUMENT, "userIds: expected", -1, "userIds" },
	{ WAKE, "{\"userIds\":{}}", MW_INVALID_ARGUMENT, "userIds: expected", -1, "userIds" },
	{ WAKE, "{\"userIds\":[]}", MW_INVALID_ARGUMENT, "userIds: is empty", -1, "userIds" },
	{ WAKE, U ",\"userIds\":\"all\"}", MW_INVALID_ARGUMENT, "userIds: given twice", -1, "userIds" },
	{ WAKE, "{\"userIds\":[\"a\",7]}", MW_INVALID_ARGUMENT, "userIds[1]: expected", 1, "userIds" },
	{ WAKE, "{\"userIds\":[null]}", MW_INVALID_ARGUMENT, "userIds[0]: expected", 0, "userIds" },
	{ WAKE, "{\"userIds\":[\"a\",[\"b\"]]}", MW_INVALID_ARGUMENT, "userIds[1]: expected", 1, "userIds" },
	{ WAKE, "{\"userIds\":[{\"a\":\"b\"}]}", MW_INVALID_ARGUMENT, "userIds[0]: expected", 0, "userIds" },
	{ WAKE, "{\"userIds\":[\"\"]}", MW_INVALID_USER_ID, "userIds[0]: ", 0, "userIds" },
	{ WAKE, "{\"userIds\":[\"a\",\"b\",\"c/d\"]}", MW_INVALID_USER_ID, "userIds[2]: ", 2, "userIds" },
	{ WAKE, "{\"userIds\":[\"a..b\"]}", MW_INVALID_USER_ID, "userIds[0]: ", 0, "userIds" },
	{ WAKE, "{\"userIds\":[\"a\\u0000\"]}", MW_INVALID_USER_ID, "userIds[0]: ", 0, "userIds" },
	{ WAKE, "{\"userIds\":[\"\\u00e4\"]}", MW_INVALID_USER_ID, "userIds[0]: ", 0, "userIds" },
	{ WAKE, "{\"userIds\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}",
	    MW_INVALID_USER_ID, "userIds[0]: ", 0, "userIds" },
	{ WAKE, "{\"userIds\":[\"a\",\"b\",\"c\",\"b\"]}", MW_INVALID_ARGUMENT,
	    "userIds[3]: the same user as userIds[1]", 3, "userIds" },
	{ WAKE, U ",\"concurrency\":0}", MW_INVALID_ARGUMENT, "concurrency: expected", -1, "concurrency" },
	{ WAKE, U ",\"concurrency\":65}", MW_INVALID_ARGUMENT, "concurrency: expected", -1, "concurrency" },
	{ WAKE, U ",\"concurrency\":-1}", MW_INVALID_ARGUMENT, "concurrency: expected", -1, "concurrency" },
	{ WAKE, U ",\"concurrency\":8.0}", MW_INVALID_ARGUMENT, "concurrency: expected", -1, "concurrency" },
	{ WAKE, U ",\"concurrency\":\"8\"}", MW_INVALID_ARGUMENT, "concurrency: expected", -1, "concurrency" },
	{ WAKE, U ",\"concurrency\":[8]}", MW_INVALID_ARGUMENT, "concurrency: expected", -1, "concurrency" },
	{ WAKE, U ",\"concurrency\":null}", MW_INVALID_ARGUMENT, "concurrency: expected", -1, "concurrency" },
	{ WAKE, U ",\"concurrency\":99999999999999999999999}", MW_INVALID_ARGUMENT,
	    "concurrency: expected", -1, "concurrency" },
	{ WAKE, U ",\"maxWakeTime\":-1}", MW_INVALID_ARGUMENT, "maxWakeTime: expected", -1, "maxWakeTime" },
	{ WAKE, U ",\"maxWakeTime\":1.5}", MW_INVALID_ARGUMENT, "maxWakeTime: expected", -1, "maxWakeTime" },
	{ SYNC, U ",\"maxWakeTime\":\"1\"}", MW_INVALID_ARGUMENT, "maxWakeTime: expected", -1, "maxWakeTime" },
	{ WAKE, U ",\"wait\":0}", MW_INVALID_ARGUMENT, "wait: expected", -1, "wait" },
	{ WAKE, U ",\"wait\":true,\"wait\":true}", MW_INVALID_ARGUMENT, "wait: given twice", -1, "wait" },
	{ RESTART, U ",\"sync\":\"false\"}", MW_INVALID_ARGUMENT, "sync: expected", -1, "sync" },
	{ RESTART, U ",\"force\":1}", MW_INVALID_ARGUMENT, "force: expected", -1, "force" },
	{ SYNC, U ",\"direction\":\"up\"}", MW_INVALID_ARGUMENT, "direction: expected", -1, "direction" },
	{ SYNC, U ",\"direction\":\"all\"}", MW_INVALID_ARGUMENT, "direction: expected", -1, "direction" },
	{ SYNC, U ",\"direction\":true}", MW_INVALID_ARGUMENT, "direction: expected", -1, "direction" },
	{ SYNC, U ",\"delete\":{}}", MW_INVALID_ARGUMENT, "delete: expected", -1, "delete" },
	{ SYNC, U ",\"dryRun\":null}", MW_INVALID_ARGUMENT, "dryRun: expected", -1, "dryRun" },
	{ CONFIG, U "}", MW_INVALID_ARGUMENT, "patch: missing", -1, "patch" },
	{ CONFIG, U ",\"patch\":null}", MW_INVALID_ARGUMENT, "patch: expected", -1, "patch" },
	{ CONFIG, U ",\"patch\":[]}", MW_INVALID_ARGUMENT, "patch: expected", -1, "patch" },
	{ CONFIG, U ",\"patch\":\"{}\"}", MW_INVALID_ARGUMENT, "patch: expected", -1, "patch" },
	{ CONFIG, U ",\"patch\":{},\"patch\":{}}", MW_INVALID_ARGUMENT, "patch: given twice", -1, "patch" },
	{ EXEC, U "}", MW_INVALID_ARGUMENT, "command: missing", -1, NULL },
	{ EXEC, U ",\"command\":7}", MW_INVALID_ARGUMENT, "command: expected", -1, NULL },
	{ EXEC, U ",\"command\":\"\"}", MW_INVALID_ARGUMENT, "command: is empty", -1, NULL },
	{ EXEC, U ",\"command\":\"x\",\"maxWakeTime\":-1}", MW_INVALID_ARGUMENT, "maxWakeTime: expected", -1, NULL },
	{ EXEC, U ",\"command\":\"x\",\"env\":{\"1\":\"\"}}", MW_INVALID_ARGUMENT, "env: ", -1, NULL },
	{ EXEC, "{\"command\":\"x\"}", MW_INVALID_ARGUMENT, "userIds: missing", -1, "userIds" },
};

static void
test_bad(void)
{
	static const size_t steps[] = { SIZE_MAX, 1, 7 };
	const struct bad *t;
	enum mw_code code;
	size_t i, s;
	bool good;

	for (i = 0; i < COUNT(bads); i++) {
		t = &bads[i];
		for (good = true, s = 0; s < COUNT(steps); s++) {
			code = parse(t->op, t->text, strlen(t->text), steps[s]);
			good = good && code == t->code && ctx.err.code == t->code &&
			    strncmp(ctx.err.msg, t->says, strlen(t->says)) == 0 &&
			    in.row == t->row && (in.field == NULL) == (t->field == NULL) &&
			    (t->field == NULL || strcmp(in.field, t->field) == 0);
		}
		if (!ok(good, "%s %.70s", mw_fleet_words[t->op], t->text))
			printf("# %s: %s\n", mw_code_info(code)->name, ctx.err.msg);
	}
}

/* ---- good ones ---- */

static void
test_users(void)
{
	static const char *const text = "{\"x\":[1],\"concurrency\":64,\"userIds\":[\"b\",\"a.-_9\","
	    "\"\\u0041\"],\"y\":{\"userIds\":\"all\"}}";
	size_t step;

	for (step = 1; step < 20; step += 6) {
		is_int(parse(WAKE, text, strlen(text), step), MW_OK, "three users");
		ok(!f.all && f.n == 3 && strcmp(f.user[0], "b") == 0 &&
		    strcmp(f.user[1], "a.-_9") == 0 && strcmp(f.user[2], "A") == 0,
		    "in the order of the request");
		is_int(f.concurrency, 64, "as many at a time as is said");
	}
	is_int(parse(WAKE, "{\"userIds\":\"all\"}", 17, 3), MW_OK, "all");
	ok(f.all && f.n == 0, "all: only when it is said so");
	is_int(parse(WAKE, "{\"userIds\":[\"all\"]}", 19, 99), MW_OK, "a user named all");
	ok(!f.all && f.n == 1 && strcmp(f.user[0], "all") == 0, "a user named all is one user");
}

static void
test_many(size_t n, enum mw_code want)
{
	struct mw_buf b;
	size_t i;

	mw_buf_init(&b, 1 << 20);
	(void)mw_buf_adds(&b, "{\"userIds\":[");
	for (i = 0; i < n; i++)
		(void)mw_buf_addf(&b, "%s\"u%zu\"", i > 0 ? "," : "", i);
	(void)mw_buf_adds(&b, "]}");
	is_int(parse(WAKE, b.data, b.len, 4096), want, want == MW_OK ? "as many as may be" : "too many");
	if (want == MW_OK)
		ok(f.n == n && strcmp(f.user[n - 1], "u9999") == 0, "all of them are there");
	mw_buf_free(&b);
}

static void
test_defaults(void)
{
	conf.bulk.concurrency = 5;
	is_int(parse(WAKE, U "}", 17, 99), MW_OK, "nothing but a user");
	is_int(f.concurrency, 5, "bulk.concurrency at a time");
	is_int(f.max_wake, 1234, "wake.max_wait");
	ok(f.wait && f.sync && !f.force && !f.remove && !f.dry_run && f.direction == MW_BACKUP,
	    "the operations' own defaults");
}

static void
test_members(void)
{
	static const char wake[] = U ",\"wait\":false,\"maxWakeTime\":0,\"sync\":7,\"patch\":7}";
	static const char restart[] = U ",\"sync\":false,\"force\":true,\"maxWakeTime\":180001}";
	static const char sync[] = U ",\"direction\":\"restore\",\"delete\":true,\"dryRun\":true,"
	    "\"force\":true,\"maxWakeTime\":99999999999999999999}";

	is_int(parse(WAKE, wake, sizeof(wake) - 1, 5), MW_OK, "wake; others' members mean nothing");
	ok(!f.wait && f.max_wake == 0, "wake's members");
	is_int(parse(RESTART, restart, sizeof(restart) - 1, 5), MW_OK, "restart");
	ok(!f.sync && f.force && f.max_wake == MW_MAX_WAKE, "restart's members");
	is_int(parse(SYNC, sync, sizeof(sync) - 1, 5), MW_OK, "sync");
	ok(f.direction == MW_RESTORE && f.remove && f.dry_run && f.force &&
	    f.max_wake == MW_MAX_WAKE, "sync's members");
}

static void
test_exec(void)
{
	static const char text[] = "{\"command\":\"echo \\\"$A\\\"\",\"env\":{\"A\":\"x\",\"userIds\":\"y\"},"
	    "\"userIds\":[\"a\",\"b\"],\"timeout\":5000,\"maxWakeTime\":7,\"workingDir\":\"d\","
	    "\"stdin\":\"in\",\"stream\":true,\"requireGateway\":false,\"idempotencyKey\":\"k\","
	    "\"concurrency\":2}";
	size_t step;

	for (step = 1; step < 40; step += 13) {
		is_int(parse(EXEC, text, sizeof(text) - 1, step), MW_OK, "exec");
		ok(f.n == 2 && f.concurrency == 2 && f.exec.timeout == 5000 && f.exec.max_wake == 7 &&
		    f.exec.stream && !f.exec.gateway, "its users and numbers");
		ok(f.exec.command.len == 9 && memcmp(f.exec.command.data, "echo \"$A\"", 9) == 0 &&
		    f.exec.input.len == 2 && strcmp(f.exec.cwd, "d") == 0 &&
		    strcmp(f.exec.key, "k") == 0, "its texts");
		ok(strcmp(f.exec.env[0], "A=x") == 0 && strcmp(f.exec.env[1], "userIds=y") == 0 &&
		    f.exec.env[2] == NULL, "its environment");
	}
}

/* The patch byte for byte, wherever the pieces end. */
static void
test_patch(void)
{
	static const char patch[] = "{ \"a\": {\"b\":[1,{}]}, \"}\":\"\\\"}\xc3\xa4\" ,\"n\":null}";
	static const char head[] = "{\"patch\" : ", tail[] = " ,\"userIds\":[\"a\"], \"z\":{} }";
	char text[sizeof(head) + sizeof(patch) + sizeof(tail)];
	size_t n = (size_t)snprintf(text, sizeof(text), "%s%s%s", head, patch, tail), step;

	for (step = 1; step <= n; step++) {
		if (parse(CONFIG, text, n, step) != MW_OK || f.patch.len != sizeof(patch) - 1 ||
		    memcmp(f.patch.data, patch, f.patch.len) != 0)
			break;
	}
	ok(step > n, "a patch in pieces of any size");
	if (step <= n)
		printf("# pieces of %zu: %zu bytes: %s\n", step, f.patch.len, ctx.err.msg);
	is_int(parse(CONFIG, U ",\"patch\":{}}", 28, 9), MW_OK, "an empty patch");
	ok(f.patch.len == 2, "an empty patch is one");
}

static void
test_large_patch(void)
{
	size_t n = MW_DOCUMENT_MAX + 100, i;
	char *text = malloc(n);

	if (text == NULL)
		abort();
	(void)snprintf(text, n, U ",\"patch\":{\"x\":\"");
	for (i = strlen(text); i < n; i++)
		text[i] = 'y';
	is_int(parse(CONFIG, text, n, 16384), MW_BODY_TOO_LARGE, "a patch that is too large");
	is_str(in.field, "patch", "and which member that is");
	free(text);
}

int
main(void)
{
	ctx = (struct mw_ctx){ .arena = mw_arena_open(64 << 20), .request_id = "test" };
	conf.bulk.concurrency = 8;
	conf.wake.max_wait = 1234;
	conf.exec.default_timeout = 30000;
	conf.exec.max_timeout = 300000;
	test_bad();
	test_users();
	test_many(MW_FLEET_USERS_MAX, MW_OK);
	test_many(MW_FLEET_USERS_MAX + 1, MW_TOO_MANY_OPERATIONS);
	test_defaults();
	test_members();
	test_exec();
	test_patch();
	test_large_patch();
	mw_fleet_request_free(&f);
	mw_arena_close(ctx.arena);
	return done();
}
