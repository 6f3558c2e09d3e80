/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns of many users in several threads, without any upstream: how many at a time,
 * a line for each, and what ends it all early.  ThreadSanitizer looks at this.
 */
#include "local_fixture.h"

#include <json.h>
#include <stdatomic.h>

#include "base/json.h"
#include "base/stop.h"
#include "ops/fleet/bulk.h"

#define USERS 40

static struct mw_app *app;
static const char *names[USERS];

static struct world {
	_Atomic unsigned running, most, begun;
	unsigned together;		/* a turn ends only when so many have run at a time */
	unsigned leave_after, stop_after;	/* lines; 0 = never */
	bool fail;			/* every third user */
	unsigned lines;			/* said; no lock: say is called by one at a time */
	unsigned good, bad, not_run, wrong;
	bool seen[USERS];
	const char *code;		/* of the last line without success */
} w;

static size_t
number(const char *user)
{
	return strtoul(user + 1, NULL, 10);
}

static enum mw_code
turn(void *arg, struct mw_fleet_turn *t)
{
	struct world *x = arg;
	unsigned now = atomic_fetch_add(&x->running, 1) + 1, most = atomic_load(&x->most);
	int64_t until = mw_now() + 20000;

	(void)atomic_fetch_add(&x->begun, 1);
	while (now > most && !atomic_compare_exchange_weak(&x->most, &most, now))
		continue;
	while (atomic_load(&x->most) < x->together && mw_left(until) > 0)
		mw_sleep_ms(1);
	mw_sleep_ms(1);
	(void)atomic_fetch_sub(&x->running, 1);
	(void)mw_json_add(&t->more, "name", t->user);
	t->ctx->attempts = 2;
	t->ctx->retries = 1;
	if (!x->fail || number(t->user) % 3 != 0)
		return MW_OK;
	t->ctx->err.details = mw_arena_printf(t->ctx->arena, "{\"of\":\"%s\"}", t->user);
	return mw_ctx_fail(t->ctx, MW_SANDBOX_UNREACHABLE, "\"%s\" is not\nthere", t->user);
}

static const char *
text_of(struct json_object *o, const char *member)
{
	struct json_object *v;

	return json_object_object_get_ex(o, member, &v) ? json_object_get_string(v) : "";
}

/* Is it one whole line about the user it names, who had none yet? */
static bool
check_line(struct world *x, struct json_object *o, const char *line, size_t n)
{
	const char *user = text_of(o, "userId");
	bool good = strcmp(text_of(o, "success"), "true") == 0;
	bool ran = strcmp(text_of(o, "notRun"), "true") != 0;

	if (o == NULL || user[0] != 'u' || number(user) >= USERS || x->seen[number(user)] ||
	    memchr(line, '\n', n) != line + n - 1)
		return false;
	x->seen[number(user)] = true;
	x->good += good;
	x->not_run += !ran;
	x->bad += !good && ran;
	if (!good) {
		for (size_t i = 0; i < MW_CODE_COUNT; i++) {
			if (strcmp(mw_code_info((enum mw_code)i)->name, text_of(o, "code")) == 0)
				x->code = mw_code_info((enum mw_code)i)->name;
		}
	}
	return !ran || (strcmp(text_of(o, "name"), user) == 0 &&
	    strcmp(text_of(o, "attempts"), "2") == 0 &&
	    (good || strstr(text_of(o, "details"), user) != NULL));
}

static bool
say(void *arg, const char *line, size_t n)
{
	struct world *x = arg;
	struct json_object *o = json_tokener_parse(line);

	x->wrong += !check_line(x, o, line, n);
	json_object_put(o);
	x->lines++;
	if (x->lines == x->stop_after)
		mw_stop();
	return x->leave_after == 0 || x->lines < x->leave_after;
}

static bool
gone(void *arg)
{
	(void)arg;
	return false;
}

static struct mw_fleet
run(size_t n, size_t concurrency, int64_t time)
{
	struct mw_fleet f = { .what = "test", .user = names, .n = n, .concurrency = concurrency,
	    .turn = turn, .say = say, .gone = gone, .arg = &w };

	fresh_ctx();
	ctx.deadline = mw_now() + time;
	is_int(mw_fleet_run(app, &ctx, &f), MW_OK, "it runs");
	is_int(w.wrong, 0, "every line is right");
	is_int(w.running, 0, "nothing runs on");
	return f;
}

static void
test_bound(unsigned concurrency)
{
	struct mw_fleet f;

	w = (struct world){ .together = concurrency };
	f = run(USERS, concurrency, 60000);
	is_int(w.most, concurrency, "as many at a time as is said, and no more");
	ok(w.lines == USERS && f.succeeded == USERS && f.failed == 0 && f.skipped == 0 && !f.left,
	    "each has a line");
	ok(ctx.attempts == 2 * USERS && ctx.retries == USERS, "their calls are counted");
}

static void
test_failures(void)
{
	struct mw_fleet f;

	w = (struct world){ .fail = true };
	f = run(USERS, 8, 60000);
	ok(w.lines == USERS && w.bad == 14 && w.good == USERS - 14, "failures are theirs alone");
	ok(f.failed == w.bad && f.succeeded == w.good, "and are counted");
	is_str(w.code, "sandbox_unreachable", "the failure's own code");
}

static void
test_few(void)
{
	w = (struct world){ .together = 2 };
	(void)run(2, 64, 60000);
	is_int(w.most, 2, "no more threads than users");
	w = (struct world){ .together = 0 };
	(void)run(0, 8, 60000);
	is_int(w.lines, 0, "nobody: no line");
}

static void
test_late(void)
{
	struct mw_fleet f;

	w = (struct world){ .together = 0 };
	f = run(USERS, 4, 500);
	ok(w.begun == 0 && w.not_run == USERS && f.skipped == USERS, "no time left: none begins");
	is_str(w.code, "deadline_exceeded", "and each is told so");
}

static void
test_left(void)
{
	struct mw_fleet f;

	w = (struct world){ .leave_after = 5 };
	f = run(USERS, 4, 60000);
	ok(f.left, "nobody reads any more");
	ok(w.begun >= 5 && w.begun < 5 + 4, "and nothing begins after that: %u", w.begun);
}

/* Last: the process stays told. */
static void
test_stop(void)
{
	struct mw_fleet f;

	w = (struct world){ .stop_after = 3 };
	f = run(USERS, 4, 60000);
	ok(w.begun >= 3 && w.begun <= 3 + 4, "told to end: nothing begins: %u", w.begun);
	ok(w.lines == USERS && f.skipped == USERS - w.begun && w.not_run == f.skipped,
	    "and each has a line");
	is_str(w.code, "sandbox_unavailable", "that says so");
}

int
main(int argc, char *argv[])
{
	struct mw_err err = { .code = MW_OK };
	size_t i;

	set_up(argc, argv);
	reopen("none");
	for (i = 0; i < USERS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "u%zu", i);
		names[i] = keep(name);
	}
	if (mw_app_open("bulk", &app, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	test_bound(1);
	test_bound(3);
	test_bound(16);
	test_failures();
	test_few();
	test_late();
	test_left();
	test_stop();
	mw_app_close(app);
	tear_down();
	return done();
}
