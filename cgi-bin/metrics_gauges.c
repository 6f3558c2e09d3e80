/* SPDX-License-Identifier: BSD-2-Clause */
/* What a scrape looks up itself. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>

#include "base/clock.h"
#include "metrics.h"
#include "app/retry.h"
#include "state/slot.h"

static void
add(struct mw_scrape *s, enum mw_metric m, unsigned a, unsigned b, double value)
{
	if (s->n < MW_SAMPLES)
		s->sample[s->n++] = (struct mw_sample){ .m = m, .at = { a, b }, .value = value };
}

static unsigned
word(const struct mw_label *l, const char *text)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (strcmp(l->words[i], text) == 0)
			return i;
	}
	return 0;
}

static void
look_outbox(struct mw_req *req, struct mw_scrape *s)
{
	struct mw_outbox_stat st = { .pending = 0 };
	struct mw_aside aside;
	int64_t now = mw_wall();
	bool good;

	mw_ctx_aside_begin(&req->ctx, mw_now() + 1000, &aside);
	good = mw_outbox_stat(req->app->outbox, &req->ctx, NULL, &st) == MW_OK;
	mw_ctx_aside_end(&req->ctx, &aside);
	add(s, MW_M_COLLECTOR, 0, 0, good);
	if (!good)
		return;
	add(s, MW_M_OUTBOX_ROWS, 0, 0, (double)st.pending);
	add(s, MW_M_OUTBOX_ROWS, 1, 0, (double)st.parked);
	add(s, MW_M_OUTBOX_SIZE, 0, 0, (double)st.bytes);
	add(s, MW_M_OUTBOX_LIMIT, 0, 0, (double)req->app->conf->outbox.max_bytes);
	add(s, MW_M_OUTBOX_AGE, 0, 0,
	    st.oldest > 0 && now > st.oldest ? (double)(now - st.oldest) / 1000 : 0);
}

/* A wake whose leader was killed is none. */
static bool
lives(int32_t pid)
{
	return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

static void
look_shared(struct mw_req *req, struct mw_scrape *s)
{
	struct mw_shm *shm = req->app->shm;
	int64_t budget = req->app->conf->retry.budget, wait;
	int64_t spent = atomic_load(&shm->retries_spent);
	enum mw_breaker_state state = MW_BREAKER_CLOSED;
	struct mw_breaker b;
	unsigned wakes = 0;

	for (unsigned i = 0; i < MW_SHM_USERS; i++)
		wakes += lives(atomic_load(&shm->users[i].wake_pid));
	add(s, MW_M_WAKES_RUNNING, 0, 0, wakes);
	add(s, MW_M_WAKE_WAITERS, 0, 0, mw_slot_count_kind(shm, MW_SLOT_WAITER));
	add(s, MW_M_BUDGET, 0, 0, (double)(spent < budget ? budget - spent : 0));
	add(s, MW_M_BUDGET_LIMIT, 0, 0, (double)budget);
	add(s, MW_M_SANDBOX_BREAKERS, 0, 0, mw_breaker_users(shm));
	if (mw_retry_breaker(req->app, &req->ctx, MW_UP_STORE, &b))
		state = mw_breaker_state(&b, &wait);
	for (unsigned i = MW_BREAKER_CLOSED; i <= MW_BREAKER_HALF_OPEN; i++)
		add(s, MW_M_STORE_BREAKER, i, 0, i == state);
}

void
mw_scrape(struct mw_req *req, struct mw_scrape *s)
{
	const struct mw_metric_row *build = &mw_metric_rows[MW_M_BUILD];
	const struct mw_conf *conf = req->app->conf;
	const struct mw_metrics *m = mw_metrics_now();

	s->n = 0;
	look_shared(req, s);
	look_outbox(req, s);
	mw_alerts(req->app, &req->ctx, s->alerts);
	for (unsigned i = 0; i < MW_ALERTS; i++) {
		for (unsigned st = 0; st <= MW_ALERT_NO_DATA; st++)
			add(s, MW_M_ALERT_STATE, i, st, s->alerts[i].state == st);
	}
	add(s, MW_M_BUILD, 0, word(build->label[1], conf->store.driver), 1);
	if (s->n > 0)
		s->sample[s->n - 1].at[2] = word(build->label[2], conf->sandbox.driver);
	add(s, MW_M_START, 0, 0, m != NULL ? (double)atomic_load(&m->started) / 1000 : 0);
}

void
mw_scrape_time(struct mw_scrape *s, int64_t began)
{
	add(s, MW_M_SCRAPE_TIME, 0, 0, (double)(mw_now_us() - began) / 1e6);
}
