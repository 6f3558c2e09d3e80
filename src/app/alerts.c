/* SPDX-License-Identifier: BSD-2-Clause */
/* The alerts: their table, their values, and when they begin and end. */
#include "app/alerts.h"

#include <string.h>

#include "app/retry.h"
#include "base/clock.h"
#include "base/log.h"

#define HOLD 60000		/* ms past the alert value before it fires */
#define CALM 120000		/* ms on the good side of clear before it ends */
#define STALE 10000		/* ms; whoever looks has died */

const char *const mw_alert_words[] = { "ok", "warning", "firing", "no_data" };

enum { WAKE_P50, WAKE_P99, FILES, EXECS, RETRIES, AGE, PARKED, STORE, WAKES, EXEC_LATE,
	NOT_FOUND, ACTIVE };

const struct mw_alert_row mw_alert_rows[MW_ALERTS] = {
	[WAKE_P50] = { "wake_time_p50", "seconds", "Half of the wakes took more than %s s",
	    .target = 30, .alert = 60, .clear = 45, .window = 1800, .samples = 5 },
	[WAKE_P99] = { "wake_time_p99", "seconds", "One of a hundred wakes took more than %s s",
	    .target = 90, .alert = 120, .clear = 105, .window = 1800, .samples = 10 },
	[FILES] = { "file_success_rate", "ratio", "%s of the file operations succeeded",
	    .least = true, .target = .99, .alert = .95, .clear = .97, .window = 300, .samples = 20 },
	[EXECS] = { "exec_success_rate", "ratio", "%s of the requests for commands succeeded",
	    .least = true, .target = .98, .alert = .90, .clear = .94, .window = 300, .samples = 20 },
	[RETRIES] = { "retry_rate", "ratio", "%s of the requests repeated a call",
	    .target = .05, .alert = .20, .clear = .125, .window = 300, .samples = 20 },
	[AGE] = { "outbox_age", "seconds", "The oldest change waits for R2 since %s s",
	    .target = 60, .alert = 300, .clear = 180 },
	[PARKED] = { "outbox_parked", "rows", "%s changes were refused by R2 for good",
	    .target = 0, .alert = 0, .clear = 0, .at_once = true },
	[STORE] = { "store_breaker", "state", "R2's breaker is at %s (2 = open)",
	    .target = 0, .alert = 1, .clear = 0, .at_once = true },
	[WAKES] = { "wake_success_rate", "ratio", "%s of the wakes succeeded",
	    .least = true, .target = .99, .alert = .95, .clear = .97, .window = 1800, .samples = 20 },
	[EXEC_LATE] = { "exec_timeout_rate", "ratio", "%s of the commands ran out of time",
	    .target = .05, .alert = .10, .clear = .07, .window = 300, .samples = 20 },
	[NOT_FOUND] = { "file_not_found_rate", "ratio", "%s of the reads found no file",
	    .target = .01, .no_alert = true, .window = 300, .samples = 20 },
	[ACTIVE] = { "active_latency_p95", "seconds",
	    "One of twenty requests to awake users took more than %s s",
	    .target = 5, .alert = 10, .clear = 7, .window = 300, .samples = 20 },
};

/* ---- values ---- */

static struct mw_alert
quantile(enum mw_latency l, double q)
{
	struct mw_told t;
	struct mw_alert a = { .known = false };

	mw_window_told(l, false, &t);
	a.samples = t.total;
	a.known = t.total > 0;
	a.value = a.known ? mw_told_quantile(&t, q) : 0;
	return a;
}

/* part / all; with `rest` what is left to 1. */
static struct mw_alert
ratio(enum mw_sum part, enum mw_sum all, bool rest)
{
	uint64_t p = mw_window_sum(part), n = mw_window_sum(all);
	double v = n == 0 ? 0 : (double)(p < n ? p : n) / (double)n;

	return (struct mw_alert){ .known = n > 0, .samples = n, .value = rest ? 1 - v : v };
}

static void
look_outbox(struct mw_app *app, struct mw_ctx *ctx, struct mw_alert *age, struct mw_alert *parked)
{
	struct mw_outbox_stat st = { .pending = 0 };
	struct mw_aside aside;
	int64_t now = mw_wall();
	bool good;

	mw_ctx_aside_begin(ctx, mw_now() + 1000, &aside);
	good = mw_outbox_stat(app->outbox, ctx, NULL, &st) == MW_OK;
	mw_ctx_aside_end(ctx, &aside);
	*age = (struct mw_alert){ .known = good };
	*parked = (struct mw_alert){ .known = good, .value = (double)st.parked };
	if (st.oldest > 0 && now > st.oldest)
		age->value = (double)(now - st.oldest) / 1000;
}

static struct mw_alert
store_breaker(struct mw_app *app, const struct mw_ctx *ctx)
{
	static const double told[] = { [MW_BREAKER_CLOSED] = 0, [MW_BREAKER_HALF_OPEN] = 1,
	    [MW_BREAKER_OPEN] = 2 };
	struct mw_alert a = { .known = false };
	struct mw_breaker b;
	int64_t wait;

	if ((a.known = mw_retry_breaker(app, ctx, MW_UP_STORE, &b)))
		a.value = told[mw_breaker_state(&b, &wait)];
	return a;
}

static void
values(struct mw_app *app, struct mw_ctx *ctx, struct mw_alert *out)
{
	out[WAKE_P50] = quantile(MW_LAT_WAKE, .5);
	out[WAKE_P99] = quantile(MW_LAT_WAKE, .99);
	out[FILES] = ratio(MW_SUM_FILES_FAILED, MW_SUM_FILES, true);
	out[EXECS] = ratio(MW_SUM_EXECS_FAILED, MW_SUM_EXECS, true);
	out[RETRIES] = ratio(MW_SUM_CALLS_RETRIED, MW_SUM_CALLS, false);
	look_outbox(app, ctx, &out[AGE], &out[PARKED]);
	out[STORE] = store_breaker(app, ctx);
	out[WAKES] = ratio(MW_SUM_WAKES_OK, MW_SUM_WAKES, false);
	out[EXEC_LATE] = ratio(MW_SUM_EXECS_TIMED_OUT, MW_SUM_EXECS, false);
	out[NOT_FOUND] = ratio(MW_SUM_READS_NOT_FOUND, MW_SUM_READS, false);
	out[ACTIVE] = quantile(MW_LAT_ACTIVE, .95);
}

/* ---- states ---- */

static bool
past(const struct mw_alert_row *r, double value)
{
	return !r->no_alert && (r->least ? value < r->alert : value > r->alert);
}

/* A target of 0 is met by 0. */
static bool
met(const struct mw_alert_row *r, double value)
{
	if (r->least)
		return value > r->target;
	return r->target > 0 ? value < r->target : value <= 0;
}

static bool
clear(const struct mw_alert_row *r, double value)
{
	return r->least ? value >= r->clear : value <= r->clear;
}

/* Since when is it so?  Kept while it stays so. */
static int64_t
lasting(_Atomic int64_t *since, bool so, int64_t now)
{
	if (!so)
		atomic_store(since, 0);
	else if (atomic_load(since) == 0)
		atomic_store(since, now);
	return so ? now - atomic_load(since) : -1;
}

enum mw_alert_state
mw_alert_step(const struct mw_alert_row *r, struct mw_alert_kept *k, const struct mw_alert *a,
    int64_t now)
{
	bool firing = atomic_load(&k->state) == MW_ALERT_FIRING;
	bool enough = a->known && a->samples >= r->samples;
	/* One that fires goes on until its window is empty. */
	bool told = enough || (firing && r->window > 0 && a->samples > 0);
	int64_t bad = lasting(&k->bad_since, enough && past(r, a->value), now);
	int64_t good = lasting(&k->good_since, told && clear(r, a->value), now);

	if (!told)
		return firing && !a->known && r->window == 0 ? MW_ALERT_FIRING : MW_ALERT_NO_DATA;
	if (firing && good < CALM)
		return MW_ALERT_FIRING;
	if (bad >= (r->at_once ? 0 : HOLD))
		return MW_ALERT_FIRING;
	return met(r, a->value) ? MW_ALERT_OK : MW_ALERT_WARNING;
}

static void
step(unsigned i, struct mw_alert *a, struct mw_alert_kept *k)
{
	const struct mw_alert_row *r = &mw_alert_rows[i];
	enum mw_alert_state old = (enum mw_alert_state)atomic_load(&k->state);
	enum mw_alert_state new = mw_alert_step(r, k, a, mw_now());

	if (new == old)
		return;
	atomic_store(&k->state, (int32_t)new);
	atomic_store(&k->since, mw_wall());
	mw_log(new == MW_ALERT_FIRING ? MW_WARN : MW_INFO,
	    "[ALERT] name=%s from=%s to=%s value=%g", r->name, mw_alert_words[old],
	    mw_alert_words[new], a->value);
}

void
mw_alerts(struct mw_app *app, struct mw_ctx *ctx, struct mw_alert out[MW_ALERTS])
{
	struct mw_metrics *m = mw_metrics_now();
	int64_t busy, now = mw_now();
	bool mine;

	memset(out, 0, sizeof(*out) * MW_ALERTS);
	if (m == NULL)
		return;
	values(app, ctx, out);
	busy = atomic_load(&m->looking);
	mine = (busy == 0 || now - busy > STALE) &&
	    atomic_compare_exchange_strong(&m->looking, &busy, now);
	for (unsigned i = 0; i < MW_ALERTS; i++) {
		if (mine)
			step(i, &out[i], &m->alerts[i]);
		out[i].state = (enum mw_alert_state)atomic_load(&m->alerts[i].state);
		out[i].since = atomic_load(&m->alerts[i].since);
	}
	if (mine)
		atomic_store(&m->looking, 0);
}
