/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last minutes.  A slice carries its number: the time it is of, by its length.  Who meets
 * an older one claims it, empties it, and writes the new number.  Who meets a claim does not
 * count there; one whose claimer was killed is claimed again at its next turn.
 */
#include "state/metrics.h"

#include "base/clock.h"

#define CLAIM (UINT64_C(1) << 63)

const char *const mw_latency_words[MW_LAT_COUNT] = {
	[MW_RESP_FILES] = "files", [MW_RESP_BATCH] = "batch", [MW_RESP_EXEC] = "exec",
	[MW_RESP_STATE] = "state", [MW_RESP_HEALTH] = "health", [MW_RESP_CONFIG] = "config",
	[MW_RESP_SYNC] = "sync", [MW_RESP_BULK] = "bulk", [MW_RESP_METRICS] = "metrics",
	[MW_RESP_DEBUG] = "debug", [MW_LAT_WAKE] = "wake", [MW_LAT_EXEC_JOB] = "exec_job",
	[MW_LAT_STORE] = "store", [MW_LAT_SANDBOX] = "sandbox", [MW_LAT_ACTIVE] = NULL,
};

struct window {
	struct mw_slice *slices;
	int64_t length;		/* ms */
	unsigned n;		/* of the window and the running one */
};

static struct window
window(bool lengthy)
{
	struct mw_metrics *m = mw_metrics_now();

	if (lengthy)
		return (struct window){ m->lengthy, MW_LONG_SLICE, 1800000 / MW_LONG_SLICE + 1 };
	return (struct window){ m->brief, MW_SHORT_SLICE, 300000 / MW_SHORT_SLICE + 1 };
}

static const int64_t *
edges_of(enum mw_latency l)
{
	return mw_metric_rows[l == MW_LAT_WAKE ? MW_M_WAKE_TIME : MW_M_REQUEST_TIME].edges;
}

static bool
is_lengthy(enum mw_sum s)
{
	return s == MW_SUM_WAKES || s == MW_SUM_WAKES_OK;
}

/* But for its number. */
static void
empty(struct mw_slice *s)
{
	for (unsigned l = 0; l < MW_LAT_COUNT; l++) {
		for (unsigned i = 0; i <= MW_BUCKETS_MAX; i++)
			atomic_store_explicit(&s->hist[l].count[i], 0, memory_order_relaxed);
		atomic_store_explicit(&s->hist[l].failed, 0, memory_order_relaxed);
	}
	for (unsigned i = 0; i < MW_SUM_COUNT; i++)
		atomic_store_explicit(&s->sum[i], 0, memory_order_relaxed);
}

/* The running slice, or NULL: somebody is emptying it. */
static struct mw_slice *
running(bool lengthy)
{
	struct window w = window(lengthy);
	uint64_t number = (uint64_t)(mw_now() / w.length) + 1, seen;
	struct mw_slice *s = &w.slices[number % w.n];

	seen = atomic_load(&s->number);
	if (seen == number)
		return s;
	if ((seen & ~CLAIM) >= number ||
	    !atomic_compare_exchange_strong(&s->number, &seen, number | CLAIM))
		return NULL;
	empty(s);
	atomic_store(&s->number, number);
	return s;
}

static void
observe(struct mw_hist *h, const int64_t *edges, int64_t us, bool failed)
{
	(void)atomic_fetch_add_explicit(&h->count[mw_edge_of(edges, us)], 1, memory_order_relaxed);
	if (failed)
		(void)atomic_fetch_add_explicit(&h->failed, 1, memory_order_relaxed);
}

void
mw_window_observe(enum mw_latency l, int64_t us, bool failed)
{
	struct mw_slice *s;

	if (mw_metrics_now() == NULL)
		return;
	observe(&mw_metrics_now()->start.hist[l], edges_of(l), us, failed);
	if ((s = running(l == MW_LAT_WAKE)) != NULL)
		observe(&s->hist[l], edges_of(l), us, failed);
}

void
mw_window_add(enum mw_sum sum, uint64_t n)
{
	struct mw_slice *s;

	if (mw_metrics_now() != NULL && (s = running(is_lengthy(sum))) != NULL)
		(void)atomic_fetch_add_explicit(&s->sum[sum], n, memory_order_relaxed);
}

/* Slice i, if it is of the window that ends now; else NULL. */
static const struct mw_slice *
within(const struct window *w, unsigned i)
{
	uint64_t number = (uint64_t)(mw_now() / w->length) + 1;
	uint64_t seen = atomic_load(&w->slices[i].number);

	return seen <= number && seen + w->n > number ? &w->slices[i] : NULL;
}

static void
add(struct mw_told *t, const struct mw_hist *h)
{
	uint64_t n;

	for (unsigned i = 0; i <= mw_edge_count(t->edges); i++) {
		n = atomic_load_explicit(&h->count[i], memory_order_relaxed);
		t->count[i] += n;
		t->total += n;
	}
	t->failed += atomic_load_explicit(&h->failed, memory_order_relaxed);
}

void
mw_window_told(enum mw_latency l, bool since_start, struct mw_told *t)
{
	const struct mw_slice *s;
	struct window w;

	*t = (struct mw_told){ .edges = edges_of(l) };
	if (mw_metrics_now() == NULL)
		return;
	if (since_start) {
		add(t, &mw_metrics_now()->start.hist[l]);
		return;
	}
	w = window(l == MW_LAT_WAKE);
	for (unsigned i = 0; i < w.n; i++) {
		if ((s = within(&w, i)) != NULL)
			add(t, &s->hist[l]);
	}
}

uint64_t
mw_window_sum(enum mw_sum sum)
{
	const struct mw_slice *s;
	struct window w;
	uint64_t n = 0;

	if (mw_metrics_now() == NULL)
		return 0;
	w = window(is_lengthy(sum));
	for (unsigned i = 0; i < w.n; i++) {
		if ((s = within(&w, i)) != NULL)
			n += atomic_load_explicit(&s->sum[sum], memory_order_relaxed);
	}
	return n;
}

unsigned
mw_window_seconds(enum mw_latency l)
{
	return l == MW_LAT_WAKE ? 1800 : 300;
}

double
mw_told_quantile(const struct mw_told *t, double q)
{
	double rank = q * (double)t->total, below = 0, low, high;
	unsigned i = 0, n = mw_edge_count(t->edges);

	if (t->total == 0)
		return -1;
	while (i < n && below + (double)t->count[i] < rank)
		below += (double)t->count[i++];
	if (i == n)
		return (double)t->edges[n - 1] / 1e6;
	low = i == 0 ? 0 : (double)t->edges[i - 1];
	high = (double)t->edges[i];
	if (t->count[i] == 0)
		return high / 1e6;
	return (low + (high - low) * (rank - below) / (double)t->count[i]) / 1e6;
}

bool
mw_window_turned(void)
{
	static int64_t last;
	int64_t number = mw_now() / MW_SHORT_SLICE;
	bool turned = last != 0 && number != last;

	last = number;
	return turned;
}
