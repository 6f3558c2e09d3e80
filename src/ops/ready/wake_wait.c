/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for a wake, and starting the process that leads it. */
#include "ops/ready/wake_wait.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "base/stop.h"
#include "state/metrics.h"
#include "app/helper.h"
#include "ops/ready/quiesce.h"
#include "app/longwait.h"
#include "state/slot.h"

#define FIRST_NAP 1		/* ms between two looks at the row */
#define LONGEST_NAP 20
#define LOCK_LOOK 100		/* ms between two looks at the lock: a helper may be killed */
#define UNWAITED_MAX 64		/* wakes in hand, beyond which none is begun for who does not wait */
#define GRACE 1000		/* ms for a wake that ends with us to say how */
#define STOP_WAIT 5000		/* ms for helpers to end when told to */
#define HELPERS_MAX 5		/* started for one request; more of them end the same way */

struct flight {
	struct mw_app *app;
	struct mw_ctx *ctx;
	const char *user;
	enum mw_level level;
	struct mw_shm_user *row;
	int64_t began, deadline;
	uint32_t gen, sandbox_gen;	/* of the row when we last looked */
	unsigned helpers;		/* started from here */
	bool led;			/* the wake in hand is of our making */
	bool closed;			/* it is being stopped: no wake begins */
	bool done;
	enum mw_code code;		/* when done */
	uint64_t marker;
};

/* ---- a helper ---- */

static enum mw_code
start_helper(struct flight *f, int64_t limit, int lock)
{
	char level[4], ms[24];
	const char *args[] = { "wake", f->user, level, ms, f->ctx->request_id,
	    f->ctx->waking ? "insist" : NULL, NULL };

	(void)snprintf(level, sizeof(level), "%d", (int)f->level);
	(void)snprintf(ms, sizeof(ms), "%lld", (long long)limit);
	/* A helper has no standard error: without a log file its lines are ours. */
	if (f->app->conf->log.file[0] == '\0')
		mw_log(MW_INFO, "[WAKE] Attempt %u/%d userId=%s requestId=%s", f->helpers + 1,
		    HELPERS_MAX, f->user, f->ctx->request_id);
	f->helpers++;
	return mw_detach_with(args, lock, &f->ctx->err);
}

/* The wake's own time: what its starter would wait, and never less than the default,
 * for others may join who say nothing. */
static int64_t
limit_of(const struct flight *f)
{
	int64_t own = f->deadline - f->began;

	return own > f->app->conf->wake.max_wait ? own : f->app->conf->wake.max_wait;
}

/* The lock of its wake.  While the sandbox is being stopped nobody gets it but who
 * stops it: whatever were started would be stopped, too. */
static enum mw_code
try_lock(struct flight *f, int *lock)
{
	char name[MW_USER_MAX + 8];
	struct mw_err err = { .code = MW_OK };
	enum mw_code code;

	(void)snprintf(name, sizeof(name), "wake:%s", f->user);
	code = mw_lockfile_take(f->app->lock_path, name, 0, lock, &err);
	f->closed = code == MW_OK && mw_quiesce_closed(f->app, f->user);
	if (f->closed) {
		mw_lockfile_give(*lock);
		*lock = -1;
		return MW_DEADLINE_EXCEEDED;
	}
	if (code != MW_OK && code != MW_DEADLINE_EXCEEDED)
		f->ctx->err = err;
	return code;
}

/* ---- what became of it ---- */

static void
finish(struct flight *f, enum mw_code code)
{
	if (code == MW_OK && f->marker == 0)
		f->marker = atomic_load(&f->row->marker);
	f->done = true;
	f->code = code;
}

/* A failure that was for a request with less time, or of the gateway when only the
 * sandbox is wanted, is not ours. */
static bool
concerns(const struct flight *f, const struct mw_wake_result *o)
{
	return o->level <= f->level && (o->limit == 0 || o->limit >= f->deadline - f->began);
}

static void
failed(struct flight *f, enum mw_code code)
{
	struct mw_wake_result o;

	if (!mw_wake_result_load(f->app, f->ctx, f->user, &o) || o.code != code || o.gen != f->gen)
		o = (struct mw_wake_result){ .code = code, .level = MW_LEVEL_SANDBOX,
		    .text = "The wake failed; its record is lost" };
	if (!concerns(f, &o))
		return;
	if (f->app->conf->log.file[0] == '\0' && f->led)
		mw_log(MW_WARN, "[WAKE] userId=%s failed in phase %s (%s): %s", f->user,
		    mw_phase_words[o.phase], mw_code_info(o.code)->name, o.text);
	finish(f, mw_wake_result_fail(f->ctx, &o));
}

/* Has something been told since we last looked? */
static void
look(struct flight *f)
{
	uint32_t gen = atomic_load(&f->row->wake_gen);
	enum mw_code code;

	/* Who leads waits for the end, for the number of calls. */
	if (f->level == MW_LEVEL_SANDBOX && !f->led &&
	    atomic_load(&f->row->sandbox_gen) != f->sandbox_gen) {
		finish(f, MW_OK);
		return;
	}
	if (gen == f->gen)
		return;
	f->gen = gen;
	if (f->led)
		f->ctx->attempts += atomic_load(&f->row->wake_attempts);
	code = (enum mw_code)atomic_load(&f->row->wake_code);
	if (code != MW_OK)
		failed(f, code);
	else if (atomic_load(&f->row->wake_level) >= (int32_t)f->level)
		finish(f, MW_OK);
}

/* A helper of ours has ended and the row says nothing: the table of users is full,
 * or it was killed.  Ask the sandbox itself. */
static void
ask(struct flight *f)
{
	bool gateway = f->level == MW_LEVEL_GATEWAY;
	struct mw_probe p;

	if (mw_ask(f->app, f->ctx, f->user, gateway, &p) == MW_OK && p.marker != 0 &&
	    (p.gateway || !gateway)) {
		f->marker = p.marker;
		finish(f, MW_OK);
	}
	mw_err_clear(&f->ctx->err);
}

/* Nobody leads: see first whether the last leader was done in between. */
static enum mw_code
lead(struct flight *f, int lock)
{
	enum mw_code code = MW_OK;

	look(f);
	if (!f->done && f->helpers > 0)
		ask(f);
	if (!f->done && f->helpers == HELPERS_MAX)
		code = mw_ctx_fail(f->ctx, MW_INTERNAL_ERROR,
		    "moltctl wake ended %d times without a result", HELPERS_MAX);
	else if (!f->done)
		code = start_helper(f, limit_of(f), lock);
	f->led = f->helpers > 0;
	mw_lockfile_give(lock);
	return code;
}

/* Is our time over?  Where the wake's is at the same moment, it may say why. */
static bool
too_late(const struct flight *f)
{
	int64_t until = atomic_load(&f->row->wake_until), end = f->deadline;

	if (until > end - GRACE && until < end + GRACE)
		end = until + GRACE;
	return mw_left(end < f->ctx->deadline ? end : f->ctx->deadline) == 0;
}

/* Our time is over; the wake goes on. */
static enum mw_code
gave_up(struct flight *f)
{
	struct mw_wake_result o = { .code = MW_OK };
	int32_t phase = atomic_load(&f->row->wake_phase);
	int64_t ms = f->deadline - f->began;
	char within[40] = "in time";

	/* Its progress so far, if it has written some down. */
	if (!mw_wake_result_load(f->app, f->ctx, f->user, &o) || o.gen != f->gen + 1)
		o.log = NULL;
	o.code = MW_WAKE_TIMEOUT;
	o.retry_after = 0;
	o.phase = phase > MW_PHASE_NONE && phase < MW_PHASE_COUNT ? (enum mw_phase)phase :
	    MW_PHASE_SANDBOX_START;
	/* The question before may have taken all of a short time. */
	if (ms > 0)
		(void)snprintf(within, sizeof(within), "within %lld ms", (long long)ms);
	(void)snprintf(o.text, sizeof(o.text), "Wake timeout: %s was not ready %s; %s%s: try again, "
	    "or allow it more with maxWakeTime", f->user, within, f->closed ?
	    "it is being put to sleep or restarted" : "its wake goes on, in phase ",
	    f->closed ? "" : mw_phase_words[o.phase]);
	return mw_wake_result_fail(f->ctx, &o);
}

static enum mw_code
stopped(struct flight *f)
{
	f->ctx->err.retry_after = 1;
	return mw_ctx_fail(f->ctx, MW_SANDBOX_UNAVAILABLE,
	    "This process of the gateway is being stopped; try again");
}

static struct flight
flight(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level)
{
	struct flight f = { .app = app, .ctx = ctx, .user = user, .level = level,
	    .row = mw_shm_user(app->shm, user), .began = mw_now() };

	f.gen = atomic_load(&f.row->wake_gen);
	f.sandbox_gen = atomic_load(&f.row->sandbox_gen);
	return f;
}

static enum mw_code
wait_for(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t deadline, bool *led, uint64_t *marker)
{
	struct flight f = flight(app, ctx, user, level);
	int64_t nap = FIRST_NAP, lock_look = 0, now;
	enum mw_code code;
	int lock;

	f.deadline = deadline;
	for (;;) {
		look(&f);
		now = mw_now();
		if (!f.done && now >= lock_look) {
			lock_look = now + LOCK_LOOK;
			code = try_lock(&f, &lock);
			if (code == MW_OK)
				code = lead(&f, lock);
			if (code != MW_OK && code != MW_DEADLINE_EXCEEDED)
				return code;
		}
		*led = f.led;
		*marker = f.marker;
		if (f.done)
			return f.code;
		if (mw_stopping())
			return stopped(&f);
		if (ctx->gone != NULL && ctx->gone(ctx->gone_arg))
			return mw_ctx_fail(ctx, MW_CLIENT_GONE, "the client is gone; the wake goes on");
		if (mw_left(deadline) == 0 && too_late(&f))
			return gave_up(&f);
		mw_sleep_ms(nap);
		nap = nap * 2 < LONGEST_NAP ? nap * 2 : LONGEST_NAP;
	}
}

static unsigned
wakes_in_hand(const struct mw_shm *shm)
{
	unsigned i, n = 0;

	for (i = 0; i < MW_SHM_USERS; i++)
		n += atomic_load(&shm->users[i].wake_pid) != 0;
	return n;
}

/* We may not wait.  When the client comes again, its user may be ready all the same. */
static void
begin_unwaited(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level)
{
	struct mw_aside aside;
	bool led;

	if (wakes_in_hand(app->shm) >= UNWAITED_MAX)
		return;
	mw_ctx_aside_begin(ctx, ctx->deadline, &aside);
	if (mw_wake_spawn(app, ctx, user, level, app->conf->wake.max_wait, &led) != MW_OK)
		mw_log(MW_WARN, "[WAKE] userId=%s: %s", user, ctx->err.msg);
	mw_ctx_aside_end(ctx, &aside);
}

static void
count_waiter(enum mw_code code, int slot, bool led)
{
	enum mw_wake_answer what = MW_WAIT_FAILED;

	if (slot < 0)
		what = MW_WAIT_REJECTED;
	else if (code == MW_OK)
		what = led ? MW_WAIT_STARTED : MW_WAIT_JOINED;
	mw_count(MW_M_WAKE_REQUESTS, what, 0, 0, 1);
}

enum mw_code
mw_wake_wait(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t deadline, bool *led, uint64_t *marker)
{
	unsigned max = (unsigned)app->conf->wake.max_waiters;
	enum mw_code code;
	int busy, slot;

	*led = false;
	ctx->waited = true;
	if ((code = mw_wait_begin(app, ctx, &busy)) != MW_OK) {
		begin_unwaited(app, ctx, user, level);
		return code;
	}
	slot = mw_slot_take(app->shm, MW_SLOT_WAITER, user, max);
	if (slot < 0) {
		ctx->err.retry_after = 1;
		code = mw_ctx_fail(ctx, MW_TOO_MANY_REQUESTS,
		    "%u requests wait for the wake of %s already; try again", max, user);
	} else {
		code = wait_for(app, ctx, user, level, deadline, led, marker);
	}
	count_waiter(code, slot, *led);
	mw_slot_give(app->shm, slot);
	mw_wait_end(app, busy);
	return code;
}

enum mw_code
mw_wake_spawn(struct mw_app *app, struct mw_ctx *ctx, const char *user, enum mw_level level,
    int64_t limit, bool *led)
{
	struct flight f = flight(app, ctx, user, level);
	enum mw_code code;
	int lock;

	f.deadline = f.began + limit;
	*led = false;
	code = try_lock(&f, &lock);
	if (f.closed) {
		ctx->err.retry_after = 1;
		return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
		    "The sandbox of %s is being put to sleep or restarted; try again", user);
	}
	if (code == MW_DEADLINE_EXCEEDED)
		return MW_OK;
	if (code != MW_OK)
		return mw_ctx_fail(ctx, code, "the lock of wakes cannot be taken");
	code = start_helper(&f, limit_of(&f), lock);
	mw_lockfile_give(lock);
	*led = code == MW_OK;
	return code;
}

/* ---- the end of all ---- */

/* Is this process a leader of wakes? */
static bool
leads(pid_t pid)
{
	char path[40], text[512];
	const char *word, *name;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	name = strrchr(text, '/') != NULL ? strrchr(text, '/') + 1 : text;
	word = text + strlen(text) + 1;
	return word < text + n && strcmp(name, "moltctl") == 0 && strcmp(word, "wake") == 0;
}

/* Its number may mean another process by now: what is looked at is what gets the signal. */
static bool
signal_leader(pid_t pid, int sig)
{
	int fd = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	bool there = fd >= 0 && leads(pid) && syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) == 0;

	if (fd >= 0)
		(void)close(fd);
	return there;
}

/* How many leaders there were to get the signal; 0 = none, only count them. */
static unsigned
signal_wakes(struct mw_shm *shm, int sig)
{
	unsigned i, n = 0;

	for (i = 0; i < MW_SHM_USERS; i++)
		n += signal_leader((pid_t)atomic_load(&shm->users[i].wake_pid), sig);
	return n;
}

void
mw_wakes_stop(struct mw_shm *shm)
{
	int64_t end = mw_now() + STOP_WAIT;
	unsigned left = signal_wakes(shm, SIGTERM);

	while (left > 0 && mw_left(end) > 0) {
		mw_sleep_ms(LONGEST_NAP);
		left = signal_wakes(shm, 0);
	}
}
