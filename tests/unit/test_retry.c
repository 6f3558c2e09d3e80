/* SPDX-License-Identifier: BSD-2-Clause */
/* Attempts, their pauses, and what ends them: a scripted upstream, no real time. */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/stop.h"
#include "app/retry.h"
#include "app/longwait.h"
#include "tap.h"

static struct mw_conf conf;
static struct mw_store store = { .identity = "store" };
static struct mw_app app;
static struct mw_ctx ctx;

/* ---- chance and time ---- */

static uint32_t seed, drawn = UINT32_MAX;
static int64_t pauses[16];
static unsigned npauses;
static void (*during_pause)(void);

static uint32_t
same(void *arg)
{
	(void)arg;
	return drawn;
}

static uint32_t
seeded(void *arg)
{
	(void)arg;
	return seed = seed * 1664525u + 1013904223u;
}

static void
no_sleep(void *arg, int64_t ms)
{
	(void)arg;
	if (npauses < 16)
		pauses[npauses++] = ms;
	if (during_pause != NULL)
		during_pause();
}

/* ---- the upstream ---- */

struct step { enum mw_code code; unsigned retry_after; bool timed_out; };
static struct step script[16];
static unsigned nscript, ncalls;

static enum mw_code
upstream(void *arg)
{
	struct step s = ncalls < nscript ? script[ncalls] : (struct step){ .code = MW_OK };

	(void)arg;
	ncalls++;
	if (s.code == MW_OK)
		return MW_OK;
	ctx.err.retry_after = s.retry_after;
	ctx.err.timed_out = s.timed_out;
	return mw_ctx_fail(&ctx, s.code, "call %u", ncalls);
}

static void
plan(unsigned n, enum mw_code code)
{
	for (nscript = 0; nscript < n; nscript++)
		script[nscript] = (struct step){ .code = code };
	ncalls = npauses = 0;
}

static void
fresh(void)
{
	memset(app.shm, 0, sizeof(*app.shm));
	conf.retry.attempts = 3;
	conf.retry.base = 1000;
	conf.retry.store_base = 100;
	conf.retry.max = 5000;
	conf.retry.budget = 500;
	conf.breaker.failures = 1000;
	conf.breaker.open = 30000;
	app.conf = &conf;
	app.store = &store;
	app.name = "files";
	app.procs = 0;
	app.chance = (struct mw_chance){ .draw = same, .sleep = no_sleep };
	drawn = UINT32_MAX;
	during_pause = NULL;
}

static enum mw_code
run(enum mw_upstream up)
{
	mw_err_clear(&ctx.err);
	ctx.attempts = ctx.retries = 0;
	ctx.counted = false;
	ctx.user = "alice";
	if (ctx.deadline == 0)
		ctx.deadline = mw_now() + 60000;
	return mw_retry(&app, &ctx, up, upstream, NULL);
}

static void
test_attempts(void)
{
	ctx.deadline = 0;
	plan(2, MW_STORE_UNAVAILABLE);
	is_int(run(MW_UP_STORE), MW_OK, "two failures, then a success");
	ok(ncalls == 3 && ctx.attempts == 3 && ctx.retries == 2, "three calls, and it says so");
	ok(ctx.err.code == MW_OK, "no error is left");
	ok(npauses == 2 && pauses[0] == 100 && pauses[1] == 200, "the longest pauses: 100, 200 ms");
	plan(9, MW_STORE_UNAVAILABLE);
	is_int(run(MW_UP_STORE), MW_STORE_UNAVAILABLE, "it fails");
	ok(ncalls == 3 && ctx.attempts == 3, "after three");
	is_str(ctx.err.msg, "call 3", "with the last one's words");
	plan(9, MW_SANDBOX_TIMEOUT);
	(void)run(MW_UP_SANDBOX);
	ok(npauses == 2 && pauses[0] == 1000 && pauses[1] == 2000, "a sandbox: 1, 2 s");
	plan(9, MW_SANDBOX_UNREACHABLE);
	(void)run(MW_UP_SANDBOX);
	ok(npauses == 2 && pauses[0] == 100, "a plain network error: 100 ms");
	plan(9, MW_FILE_NOT_FOUND);
	is_int(run(MW_UP_STORE), MW_FILE_NOT_FOUND, "an answer is one");
	is_int(ncalls, 1, "and not asked for again");
	conf.retry.attempts = 1;
	plan(9, MW_STORE_UNAVAILABLE);
	(void)run(MW_UP_STORE);
	is_int(ncalls, 1, "retry.attempts = 1: no retries");
}

static void
test_jitter(void)
{
	unsigned i, n, low = 0, over = 0;
	int64_t ms;

	fresh();
	is_int(mw_backoff(&app, 1000, 0), 1000, "the most of the first");
	is_int(mw_backoff(&app, 1000, 2), 4000, "of the third");
	is_int(mw_backoff(&app, 1000, 40), 5000, "and never more than retry.max");
	drawn = 0;
	is_int(mw_backoff(&app, 1000, 2), 0, "the least is nothing: full jitter");
	app.chance.draw = seeded;
	for (i = 0, seed = 42; i < 1000; i++) {
		ms = mw_backoff(&app, 1000, 1);
		low += ms < 1000;
		over += ms < 0 || ms > 2000;
	}
	ok(over == 0 && low > 400 && low < 600, "even between them (%u of 1000 in the lower half)",
	    low);
	for (n = 0; n < 2; n++) {
		for (i = 0, seed = 7, ms = 0; i < 5; i++)
			ms = ms * 31 + mw_backoff(&app, 1000, i);
		pauses[n] = ms;
	}
	is_int(pauses[0], pauses[1], "the same seed, the same pauses");
	app.chance.draw = NULL;
	ms = mw_backoff(&app, 1000, 0);
	ok(ms >= 0 && ms <= 1000, "the system's chance");
}

static void
test_retry_after(void)
{
	fresh();
	plan(1, MW_STORE_UNAVAILABLE);
	script[0].retry_after = 3;
	is_int(run(MW_UP_STORE), MW_OK, "Retry-After that fits");
	ok(npauses == 1 && pauses[0] == 3000, "is waited out");
	plan(9, MW_STORE_UNAVAILABLE);
	script[0].retry_after = 3600;
	is_int(run(MW_UP_STORE), MW_STORE_UNAVAILABLE, "one that does not fit");
	ok(ncalls == 1 && npauses == 0 && ctx.err.retry_after == 3600, "is passed on, at once");
	ctx.deadline = mw_now() + 50;
	plan(9, MW_STORE_UNAVAILABLE);
	is_int(run(MW_UP_STORE), MW_STORE_UNAVAILABLE, "an attempt that could not begin in time");
	ok(ncalls == 1 && npauses == 0, "is not made, and not waited for");
	ctx.deadline = 1;
	plan(0, MW_OK);
	is_int(run(MW_UP_STORE), MW_DEADLINE_EXCEEDED, "no time left");
	ok(ncalls == 0 && ctx.attempts == 0, "no call");
	ctx.deadline = 0;
}

static void
test_budget(void)
{
	unsigned i;

	fresh();
	conf.retry.budget = 12;
	plan(16, MW_STORE_UNAVAILABLE);
	(void)run(MW_UP_STORE);
	is_int(ncalls, 3, "12 tokens: two retries at 5");
	plan(16, MW_STORE_UNAVAILABLE);
	(void)run(MW_UP_STORE);
	ok(ncalls == 1 && ctx.attempts == 1 && npauses == 0, "then none");
	for (i = 0; i < 3; i++) {
		plan(0, MW_OK);
		(void)run(MW_UP_STORE);
	}
	plan(16, MW_STORE_UNAVAILABLE);
	(void)run(MW_UP_STORE);
	is_int(ncalls, 2, "three successes, and one is there again");

	atomic_store(&app.shm->retries_spent, 0);
	plan(16, MW_STORE_UNAVAILABLE);
	for (i = 0; i < 16; i++)
		script[i].timed_out = true;
	(void)run(MW_UP_STORE);
	is_int(ncalls, 2, "after a timeout a retry costs 10");
	atomic_store(&app.shm->retries_spent, 0);
	plan(16, MW_SANDBOX_TIMEOUT);
	(void)run(MW_UP_SANDBOX);
	is_int(ncalls, 2, "a sandbox's too");
	conf.retry.budget = 0;
	plan(1, MW_STORE_UNAVAILABLE);
	is_int(run(MW_UP_STORE), MW_STORE_UNAVAILABLE, "no budget: no retries");
}

/* As if the time had passed for which it is open. */
static void
half_open(_Atomic uint64_t *word)
{
	atomic_store(word, UINT64_C(1) << 24 | (atomic_load(word) & 0xffffff));
}

static void
test_breaker(void)
{
	struct mw_breaker b;
	int64_t wait;

	fresh();
	conf.breaker.failures = 5;
	plan(16, MW_STORE_UNAVAILABLE);
	(void)run(MW_UP_STORE);
	is_int(ncalls, 3, "three failures");
	ncalls = npauses = 0;
	is_int(run(MW_UP_STORE), MW_STORE_UNAVAILABLE, "two more open the breaker");
	ok(ncalls == 2 && ctx.attempts == 2 && npauses == 1, "and a third is not made");
	ok(ctx.err.retry_after >= 29 && ctx.err.retry_after <= 30, "Retry-After is what is left");
	is_str(ctx.err.msg, "call 2", "the upstream's own words stay");
	ncalls = 0;
	is_int(run(MW_UP_STORE), MW_STORE_UNAVAILABLE, "open: refused");
	ok(ncalls == 0 && ctx.attempts == 0 && ctx.err.retry_after >= 29, "without a call");
	plan(0, MW_OK);
	is_int(run(MW_UP_SANDBOX), MW_OK, "the sandbox has its own");
	ctx.waking = true;
	is_int(run(MW_UP_STORE), MW_STORE_UNAVAILABLE, "a wake is no trial of the store");
	ctx.waking = false;
	ok(mw_retry_breaker(&app, &ctx, MW_UP_STORE, &b) &&
	    mw_breaker_state(&b, &wait) == MW_BREAKER_OPEN, "it is open");
	half_open(b.word);
	plan(16, MW_STORE_UNAVAILABLE);
	(void)run(MW_UP_STORE);
	ok(ncalls == 1 && ctx.err.retry_after >= 59, "half open: one trial, then twice the time");
	half_open(b.word);
	plan(0, MW_OK);
	is_int(run(MW_UP_STORE), MW_OK, "a good trial");
	is_int(mw_breaker_state(&b, &wait), MW_BREAKER_CLOSED, "closes it");
}

static void
test_user_breaker(void)
{
	static const enum mw_code harmless[] = { MW_SANDBOX_HIBERNATING, MW_SANDBOX_NOT_FOUND,
	    MW_FILE_NOT_FOUND, MW_PERMISSION_DENIED, MW_COMMAND_ERROR, MW_CONFLICT };
	unsigned i, refused = 0;

	fresh();
	conf.breaker.failures = 2;
	for (i = 0; i < 30; i++) {
		plan(1, harmless[i % 6]);
		(void)run(MW_UP_SANDBOX);
		refused += ncalls == 0;
	}
	is_int(refused, 0, "asleep, not there, refused: never counted");
	plan(16, MW_SANDBOX_UNREACHABLE);
	is_int(run(MW_UP_SANDBOX), MW_SANDBOX_UNREACHABLE, "unreachable twice");
	is_int(ncalls, 2, "opens it");
	plan(0, MW_OK);
	is_int(run(MW_UP_SANDBOX), MW_SANDBOX_UNAVAILABLE, "then it is unavailable");
	ok(ncalls == 0 && ctx.err.retry_after >= 29, "at once, with Retry-After");
	is_int(run(MW_UP_STORE), MW_OK, "the store is asked all the same");
	ctx.waking = true;
	is_int(run(MW_UP_SANDBOX), MW_OK, "a wake may be the trial, and closes it");
	ctx.waking = false;
	is_int(run(MW_UP_SANDBOX), MW_OK, "closed");
	ctx.user = NULL;
	is_int(mw_retry(&app, &ctx, MW_UP_SANDBOX, upstream, NULL), MW_OK,
	    "without a user there is none");
}

static void
test_waits(void)
{
	int a, b = -1, c;

	fresh();
	is_int(mw_wait_begin(&app, &ctx, &a), MW_OK, "an unknown pool: no limit");
	mw_wait_end(&app, a);
	app.procs = 1;
	is_int(mw_wait_begin(&app, &ctx, &a), MW_OK, "a pool of one: no limit");
	mw_wait_end(&app, a);
	is_int(mw_slot_count(app.shm, MW_SLOT_BUSY, "files"), 0, "and nothing is held");
	app.procs = 2;
	ok(mw_wait_begin(&app, &ctx, &a) == MW_OK && mw_wait_begin(&app, &ctx, &b) == MW_OK,
	    "one of two may wait, for as many things as it likes");
	is_int(mw_slot_count(app.shm, MW_SLOT_BUSY, "files"), 1, "it counts once");
	mw_wait_end(&app, a);
	is_int(mw_slot_count(app.shm, MW_SLOT_BUSY, "files"), 1, "until the last wait ends");
	mw_wait_end(&app, b);
	is_int(mw_slot_count(app.shm, MW_SLOT_BUSY, "files"), 0, "and then nothing");
	b = mw_slot_take(app.shm, MW_SLOT_BUSY, "files", 1);	/* as another process would */
	mw_err_clear(&ctx.err);
	is_int(mw_wait_begin(&app, &ctx, &c), MW_SANDBOX_UNAVAILABLE, "the last free one may not");
	is_int(ctx.err.retry_after, 1, "Retry-After 1");
	mw_wait_end(&app, c);
	plan(1, MW_STORE_UNAVAILABLE);
	script[0].retry_after = 7;
	is_int(run(MW_UP_STORE), MW_STORE_UNAVAILABLE, "nor wait out a long Retry-After");
	ok(ncalls == 1 && ctx.err.retry_after == 7, "which is passed on");
	app.name = "health";
	is_int(mw_wait_begin(&app, &ctx, &c), MW_OK, "another responder's pool is another");
	mw_wait_end(&app, c);
	mw_slot_give(app.shm, b);
}

static void
test_stop(void)
{
	int64_t began;

	fresh();
	during_pause = mw_stop;
	plan(16, MW_SANDBOX_TIMEOUT);
	is_int(run(MW_UP_SANDBOX), MW_SANDBOX_UNAVAILABLE, "told to end: 503");
	ok(ncalls == 1 && ctx.err.retry_after == 1, "without another attempt, Retry-After 1");
	plan(16, MW_STORE_UNAVAILABLE);
	is_int(run(MW_UP_STORE), MW_STORE_UNAVAILABLE, "the store likewise");
	app.chance.sleep = NULL;
	conf.retry.store_base = 60000;
	conf.retry.max = 60000;
	ctx.deadline = mw_now() + 120000;
	began = mw_now();
	plan(16, MW_STORE_UNAVAILABLE);
	(void)run(MW_UP_STORE);
	ok(ncalls == 1 && mw_now() - began < 20000, "a real backoff ends at once");
	plan(0, MW_OK);
	is_int(run(MW_UP_STORE), MW_OK, "what needs no wait is still done");
}

int
main(void)
{
	app.shm = mmap(NULL, sizeof(*app.shm), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (app.shm == MAP_FAILED)
		return 1;
	ctx.request_id = "test";
	fresh();
	test_attempts();
	test_jitter();
	test_retry_after();
	test_budget();
	test_breaker();
	test_user_breaker();
	test_waits();
	test_stop();
	return done();
}
