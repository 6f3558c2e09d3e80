/* SPDX-License-Identifier: BSD-2-Clause */
/* The same as JSON, with quantiles. */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "metrics.h"

static void
add_double(struct mw_buf *b, const char *name, double v)
{
	struct mw_buf text;

	mw_buf_init(&text, 64);
	(void)mw_buf_addf(&text, "%.15g", v);
	(void)mw_json_add_raw(b, name, text.failed ? "null" : text.data);
	mw_buf_free(&text);
}

/* Milliseconds with at most three decimals; null of nothing. */
static void
add_quantile(struct mw_buf *b, const char *name, const struct mw_told *t, double q)
{
	double v = mw_told_quantile(t, q);

	if (v < 0)
		(void)mw_json_add_raw(b, name, "null");
	else
		add_double(b, name, (double)(int64_t)(v * 1e6 + .5) / 1e3);
}

static void
add_told(struct mw_buf *b, const char *name, enum mw_latency l, bool since_start)
{
	const struct mw_metrics *m = mw_metrics_now();
	double seconds = mw_window_seconds(l);
	struct mw_told t;

	mw_window_told(l, since_start, &t);
	if (since_start && m != NULL)
		seconds = (double)((mw_wall() - atomic_load(&m->started)) / 1000);
	(void)mw_json_open(b, name, '{');
	add_double(b, "seconds", seconds);
	(void)mw_json_add_int(b, "count", (int64_t)t.total);
	(void)mw_json_add_int(b, "failed", (int64_t)t.failed);
	add_double(b, "perSecond", seconds < 1 ? (double)t.total :
	    (double)(int64_t)((double)t.total / seconds * 1000 + .5) / 1000);
	add_quantile(b, "p50Ms", &t, .5);
	add_quantile(b, "p95Ms", &t, .95);
	add_quantile(b, "p99Ms", &t, .99);
	(void)mw_json_close(b, '}');
}

static void
add_latency(struct mw_buf *b)
{
	(void)mw_json_open(b, "latency", '{');
	for (unsigned l = 0; l < MW_LAT_COUNT; l++) {
		if (mw_latency_words[l] == NULL)
			continue;
		(void)mw_json_open(b, mw_latency_words[l], '{');
		add_told(b, "window", (enum mw_latency)l, false);
		add_told(b, "sinceStart", (enum mw_latency)l, true);
		(void)mw_json_close(b, '}');
	}
	(void)mw_json_close(b, '}');
}

static void
add_labels(struct mw_buf *b, enum mw_metric m, const unsigned at[MW_LABELS])
{
	const struct mw_label *l;

	(void)mw_json_open(b, "labels", '{');
	for (unsigned i = 0; i < MW_LABELS; i++) {
		if ((l = mw_metric_rows[m].label[i]) == NULL)
			continue;
		(void)mw_json_add(b, l->name, l->words[at[i]]);
		if (l->name2 != NULL)
			(void)mw_json_add(b, l->name2, l->words2[at[i]]);
	}
	(void)mw_json_close(b, '}');
}

static void
add_buckets(struct mw_buf *b, const int64_t *edges, const _Atomic uint64_t *cell)
{
	unsigned n = mw_edge_count(edges);
	uint64_t sum = 0, count[MW_BUCKETS_MAX + 1];

	for (unsigned k = 0; k <= n; k++)
		count[k] = sum += atomic_load_explicit(&cell[k], memory_order_relaxed);
	(void)mw_json_add_int(b, "count", (int64_t)sum);
	add_double(b, "sum",
	    (double)atomic_load_explicit(&cell[n + 1], memory_order_relaxed) / 1e6);
	(void)mw_json_open(b, "buckets", '[');
	for (unsigned k = 0; k <= n; k++) {
		(void)mw_json_open(b, NULL, '{');
		if (k == n)
			(void)mw_json_add_raw(b, "le", "null");
		else
			add_double(b, "le", (double)edges[k] / 1e6);
		(void)mw_json_add_int(b, "count", (int64_t)count[k]);
		(void)mw_json_close(b, '}');
	}
	(void)mw_json_close(b, ']');
}

static void
add_series(struct mw_buf *b, enum mw_metric m, const struct mw_scrape *s)
{
	const _Atomic uint64_t *cell;
	unsigned at[MW_LABELS];

	for (unsigned i = 0; mw_metric_width(m) > 0 && i < mw_metric_series(m); i++) {
		if (!mw_series_shown(m, i))
			continue;
		cell = mw_metric_cells(m, i);
		mw_series_at(m, i, at);
		(void)mw_json_open(b, NULL, '{');
		add_labels(b, m, at);
		if (mw_metric_rows[m].type == MW_HISTOGRAM)
			add_buckets(b, mw_metric_rows[m].edges, cell);
		else
			(void)mw_json_add_int(b, "value",
			    (int64_t)atomic_load_explicit(cell, memory_order_relaxed));
		(void)mw_json_close(b, '}');
	}
	for (unsigned i = 0; i < s->n; i++) {
		if (s->sample[i].m != m)
			continue;
		(void)mw_json_open(b, NULL, '{');
		add_labels(b, m, s->sample[i].at);
		add_double(b, "value", s->sample[i].value);
		(void)mw_json_close(b, '}');
	}
}

void
mw_metrics_json(struct mw_req *req, struct mw_buf *b, const struct mw_scrape *s,
    const char *prefix)
{
	static const char *const types[] = { "counter", "histogram", "gauge", "info" };
	const struct mw_metric_row *r;
	const char *name;

	add_latency(b);
	(void)mw_json_open(b, "families", '[');
	for (unsigned m = 0; m < MW_M_COUNT; m++) {
		r = &mw_metric_rows[m];
		name = mw_arena_printf(req->ctx.arena, "moltworker_%s", r->name);
		if (name == NULL || strncmp(name, prefix, strlen(prefix)) != 0)
			continue;
		(void)mw_json_open(b, NULL, '{');
		(void)mw_json_add(b, "name", name);
		(void)mw_json_add(b, "type", types[r->type]);
		(void)mw_json_add(b, "unit", r->unit);
		(void)mw_json_add(b, "help", r->help);
		(void)mw_json_open(b, "series", '[');
		add_series(b, (enum mw_metric)m, s);
		(void)mw_json_close(b, ']');
		(void)mw_json_close(b, '}');
	}
	(void)mw_json_close(b, ']');
}
