/* SPDX-License-Identifier: BSD-2-Clause */
/* What is known of readiness, how it is asked for, and how a wake's end is told. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "ops/ready/wake_result.h"
#include "tap.h"

static struct mw_app app;
static struct mw_conf conf;
static struct mw_ctx ctx;
static struct mw_shm_user *row;

/* ---- a driver whose files cannot be had asleep ---- */

static const char *says;	/* what the sandbox answers to a probe */
static enum mw_code exec_code;
static unsigned execs;

static enum mw_code
fake_exec(struct mw_sandbox *s, struct mw_ctx *c, const char *user, const struct mw_exec *x,
    struct mw_exec_result *r)
{
	(void)s;
	(void)user;
	(void)x;
	execs++;
	if (exec_code != MW_OK)
		return mw_ctx_fail(c, exec_code, "as the test wants it");
	r->exit_code = 0;
	(void)mw_buf_adds(&r->out, says);
	return MW_OK;
}

static const struct mw_sandbox_ops fake_ops = { .name = "fake", .exec = fake_exec };
static struct mw_sandbox fake = { .ops = &fake_ops };

static void
set_up(char *dir)
{
	struct mw_err err = { .code = MW_OK };
	static char empty[] = "", name[] = "test";

	if (mkdtemp(dir) == NULL || mw_shm_open(dir, &app.shm, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	conf.gateway.start = conf.gateway.probe = conf.log.file = empty;
	conf.wake.health_timeout = 1000;
	conf.wake.ready_ttl = 30000;
	conf.wake.poll_min = 100;
	conf.wake.poll_max = 2000;
	conf.wake.max_waiters = 4;
	conf.retry.attempts = 1;
	conf.breaker.failures = 5;
	app.name = name;
	app.conf = &conf;
	app.sandbox = &fake;
	app.state_path = dir;
	ctx.arena = mw_arena_open(1 << 20);
	ctx.deadline = mw_now() + 60000;
	ctx.request_id = "test";
	row = mw_shm_user(app.shm, "u");
}

/* ---- the probe's answer ---- */

static void
test_answers(void)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t marker;
		bool gateway, passed;
		unsigned generation;
	} rows[] = {
		{ "marker -\n", true, 0, false, true, 0 },
		{ "marker 0123456789abcdef\n", true, UINT64_C(0x0123456789abcdef), false, false, 0 },
		{ "marker 00000000000000ff\ngeneration 3\ngateway up\npassed 3\n", true, 255, true, true, 3 },
		{ "marker 00000000000000ff\ngeneration 3\ngateway down\npassed 2\n", true, 255, false, false, 3 },
		{ "marker 00000000000000ff\ngeneration 0\ngateway down\n", true, 255, false, false, 0 },
		{ "marker 00000000000000ff\ngateway up\n", true, 255, true, false, 0 },
		{ "", false, 0, false, false, 0 },
		{ "marker", false, 0, false, false, 0 },
		{ "marker 0123456789abcdef", false, 0, false, false, 0 },
		{ "marker 0123456789abcde\n", false, 0, false, false, 0 },
		{ "marker 0123456789abcdeg\n", false, 0, false, false, 0 },
		{ "marker 0000000000000000\n", false, 0, false, false, 0 },
		{ "gateway up\n", false, 0, false, false, 0 },
		{ "marker -\nrubbish\n", false, 0, false, false, 0 },
		{ "marker -\ngateway up", false, 0, false, false, 0 },
		{ "marker 00000000000000ff\ngeneration -1\n", false, 0, false, false, 0 },
		{ "marker 00000000000000ff\ngeneration 999999999\n", false, 0, false, false, 0 },
		{ "marker 00000000000000ff\npassed x\n", false, 0, false, false, 0 },
	};
	struct mw_probe p;
	size_t i;
	bool good;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		good = mw_probe_parse(rows[i].text, strlen(rows[i].text), &p);
		if (rows[i].good && i > 0)
			good = good && p.marker == rows[i].marker && p.gateway == rows[i].gateway &&
			    p.passed == rows[i].passed && p.generation == rows[i].generation;
		ok(good == rows[i].good, "answer %zu", i);
	}
}

static void
test_naps(void)
{
	is_int(mw_probe_nap(&conf, 0), 100, "the first look comes soon");
	is_int(mw_probe_nap(&conf, 2500), 100, "... and so on");
	is_int(mw_probe_nap(&conf, 25000), 1000, "4 % of the time waited");
	is_int(mw_probe_nap(&conf, 100000), 2000, "no longer than that");
}

/* ---- how a wake ended ---- */

static void
test_outcome(void)
{
	struct mw_wake_result o = { .gen = 7, .code = MW_GATEWAY_FAILED, .level = MW_LEVEL_GATEWAY,
	    .phase = MW_PHASE_GATEWAY_START, .limit = 6000, .retry_after = 3,
	    .text = "it ended", .log = "one\ntwo\x1b[0m\n" }, got;
	static const char *const bad[] = { "", "1 2 1 1 0 0", "1 2 1 1 0 0\n", "1 2 1 1 0\nx\n",
	    "1 2 9 1 0 0\nx\n", "1 999 1 1 0 0\nx\n", "-1 2 1 1 0 0\nx\n", "1 2 1 1 0 0 \nx\n" };
	struct mw_buf b;
	size_t i;

	mw_buf_init(&b, 4096);
	ok(mw_wake_result_write(&o, &b) && mw_wake_result_read(ctx.arena, b.data, b.len, &got), "there and back");
	ok(got.gen == 7 && got.code == o.code && got.level == o.level && got.phase == o.phase &&
	    got.limit == 6000 && got.retry_after == 3, "the numbers");
	is_str(got.text, o.text, "the text");
	is_str(got.log, o.log, "the log");
	mw_buf_free(&b);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!mw_wake_result_read(ctx.arena, bad[i], strlen(bad[i]), &got), "refused %zu", i);
	is_int(mw_wake_result_fail(&ctx, &o), MW_GATEWAY_FAILED, "as a failure");
	is_str(ctx.err.details, "{\"phase\":\"gateway_start\",\"log\":[\"one\",\"two?[0m\"]}", "details");
	is_int(ctx.err.retry_after, 3, "Retry-After");
	mw_err_clear(&ctx.err);
	ok(!mw_wake_result_load(&app, &ctx, "u", &got), "no file yet");
	mw_wake_result_save(&app, "u", &o);
	ok(mw_wake_result_load(&app, &ctx, "u", &got) && got.gen == 7, "saved and loaded");
	mw_wake_result_forget(&app, "u");
	ok(!mw_wake_result_load(&app, &ctx, "u", &got), "forgotten");
}

static void
test_remembered(void)
{
	struct mw_wake_result o = { .gen = 1, .code = MW_WAKE_TIMEOUT, .level = MW_LEVEL_SANDBOX,
	    .phase = MW_PHASE_RESTORE, .limit = 5000, .text = "too slow" };
	uint64_t marker;

	mw_not_ready(&app, "u");
	mw_wake_result_save(&app, "u", &o);
	atomic_store(&row->failed_until, mw_now() + 9000);
	atomic_store(&row->failed_limit, 5000);
	execs = 0;
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_SANDBOX, 5000, &marker), MW_WAKE_TIMEOUT, "the same failure");
	is_str(ctx.err.msg, "too slow", "... in the same words");
	ok(execs == 0 && ctx.err.retry_after >= 8 && ctx.err.retry_after <= 9, "... at once, with the time left");
	mw_err_clear(&ctx.err);
	says = "marker 00000000000000aa\n";
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_SANDBOX, 6000, &marker), MW_OK, "who waits longer is not told");
	mw_not_ready(&app, "u");
	atomic_store(&row->failed_limit, 0);
	atomic_store(&row->failed_level, MW_LEVEL_GATEWAY);
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_SANDBOX, 5000, &marker), MW_OK, "nor who needs no gateway");
	atomic_store(&row->failed_until, 0);
	mw_wake_result_forget(&app, "u");
}

/* ---- what is known ---- */

static void
test_known(void)
{
	uint64_t marker;

	mw_not_ready(&app, "u");
	ok(!mw_known_awake(&app, "u"), "nothing is known");
	says = "marker 00000000000000aa\n";
	execs = 0;
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_SANDBOX, 0, &marker), MW_OK, "it says that it is ready");
	ok(execs == 1 && marker == 0xaa && mw_known_awake(&app, "u"), "one call, and it is known");
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_SANDBOX, 0, &marker), MW_OK, "again");
	ok(execs == 1 && marker == 0xaa, "... without a call");
	mw_not_ready(&app, "u");
	ok(!mw_known_awake(&app, "u"), "forgotten");
	says = "marker -\n";
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_SANDBOX, 0, &marker), MW_SANDBOX_HIBERNATING, "a fresh one is not ready");
	mw_err_clear(&ctx.err);
	exec_code = MW_SANDBOX_NOT_FOUND;
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_SANDBOX, 0, &marker), MW_SANDBOX_NOT_FOUND,
	    "one that a wake cannot make does not exist");
	exec_code = MW_OK;
	mw_err_clear(&ctx.err);
}

static void
test_gateway_known(void)
{
	static char start[] = "gateway", none[] = "";
	uint64_t marker;

	conf.gateway.start = start;
	says = "marker 00000000000000aa\ngeneration 1\ngateway up\npassed 1\n";
	mw_not_ready(&app, "u");
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_GATEWAY, 0, &marker), MW_OK, "the gateway passes");
	execs = 0;
	mw_still_ready(&app, "u", 0xaa);
	mw_seen_ready(&app, "u", &(struct mw_probe){ .marker = 0xaa });
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_GATEWAY, 0, &marker), MW_OK, "known");
	is_int(execs, 0, "... without a call");
	mw_still_ready(&app, "u", 0xbb);
	ok(atomic_load(&row->gateway_until) == 0, "another instance's gateway is not known");
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_GATEWAY, 0, &marker), MW_OK, "asked again");
	is_int(execs, 1, "... by one call");
	atomic_store(&row->gateway_probed, mw_now() - conf.wake.ready_ttl);
	mw_still_ready(&app, "u", marker);
	ok(atomic_load(&row->gateway_until) <= mw_now(), "successes do not stand in for its probe for ever");
	says = "marker 00000000000000aa\ngeneration 1\ngateway down\n";
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_GATEWAY, 0, &marker), MW_SANDBOX_HIBERNATING, "it is down");
	mw_err_clear(&ctx.err);
	is_int(mw_ready(&app, &ctx, "u", MW_LEVEL_SANDBOX, 0, &marker), MW_OK, "its sandbox is not");
	conf.gateway.start = none;
}

/* ---- "no such file" ---- */

static unsigned calls;
static const char *next_says;

static enum mw_code
absent(void *arg, struct mw_sandbox *sb)
{
	(void)arg;
	(void)sb;
	calls++;
	if (next_says != NULL)
		says = next_says;
	return mw_ctx_fail(&ctx, MW_FILE_NOT_FOUND, "no such file");
}

static void
test_absence(void)
{
	mw_not_ready(&app, "u");
	says = "marker 00000000000000aa\n";
	execs = calls = 0;
	is_int(mw_in_sandbox(&app, &ctx, "u", 0, absent, NULL), MW_FILE_NOT_FOUND, "absent");
	ok(calls == 1 && execs == 2, "... proven by a probe after it");
	is_str(ctx.err.msg, "no such file", "... in its own words");
	mw_err_clear(&ctx.err);
	next_says = "marker 00000000000000bb\n";
	is_int(mw_in_sandbox(&app, &ctx, "u", 0, absent, NULL), MW_SANDBOX_HIBERNATING,
	    "said by an instance that was replaced: no answer");
	mw_err_clear(&ctx.err);
	says = next_says = "marker -\n";
	is_int(mw_in_sandbox(&app, &ctx, "u", 0, absent, NULL), MW_SANDBOX_HIBERNATING,
	    "an instance without marker is not even asked");
	mw_err_clear(&ctx.err);
}

int
main(void)
{
	char dir[] = "/tmp/mw-wake.XXXXXX", path[64];

	set_up(dir);
	test_answers();
	test_naps();
	test_outcome();
	test_remembered();
	test_known();
	test_gateway_known();
	test_absence();
	mw_arena_close(ctx.arena);
	mw_shm_close(app.shm);
	(void)snprintf(path, sizeof(path), "exec rm -rf %s", dir);
	if (system(path) != 0)
		perror(path);
	return done();
}
