/* SPDX-License-Identifier: BSD-2-Clause */
/* Prometheus' text format 0.0.4 and OpenMetrics 1.0, from the table. */
#include <string.h>

#include "metrics.h"

void
mw_series_at(enum mw_metric m, unsigned i, unsigned at[MW_LABELS])
{
	const struct mw_metric_row *r = &mw_metric_rows[m];

	for (unsigned l = MW_LABELS; l-- > 0;) {
		at[l] = 0;
		if (r->label[l] == NULL)
			continue;
		at[l] = i % r->label[l]->n;
		i /= r->label[l]->n;
	}
}

bool
mw_series_shown(enum mw_metric m, unsigned i)
{
	const _Atomic uint64_t *cell = mw_metric_cells(m, i);
	const struct mw_metric_row *r = &mw_metric_rows[m];
	unsigned n = r->type == MW_HISTOGRAM ? mw_edge_count(r->edges) + 1 : 1;

	if (cell == NULL)
		return false;
	for (unsigned k = 0; k < n && r->from_first; k++) {
		if (atomic_load_explicit(&cell[k], memory_order_relaxed) != 0)
			return true;
	}
	return !r->from_first;
}

static void
add_label(struct mw_buf *b, char *sep, const char *name, const char *value)
{
	(void)mw_buf_addc(b, *sep);
	(void)mw_buf_cat(b, name, "=\"", value, "\"", (char *)NULL);
	*sep = ',';
}

/* NAME SUFFIX {labels} and a blank; le NULL = none. */
static void
begin(struct mw_buf *b, enum mw_metric m, const char *suffix, const unsigned at[MW_LABELS],
    const char *le)
{
	const struct mw_metric_row *r = &mw_metric_rows[m];
	const struct mw_label *l;
	char sep = '{';

	(void)mw_buf_cat(b, "moltworker_", r->name, suffix, (char *)NULL);
	for (unsigned i = 0; i < MW_LABELS; i++) {
		if ((l = r->label[i]) == NULL)
			continue;
		add_label(b, &sep, l->name, l->words[at[i]]);
		if (l->name2 != NULL)
			add_label(b, &sep, l->name2, l->words2[at[i]]);
	}
	if (le != NULL)
		add_label(b, &sep, "le", le);
	(void)mw_buf_adds(b, sep == ',' ? "} " : " ");
}

static void
histogram(struct mw_buf *b, enum mw_metric m, unsigned i, const unsigned at[MW_LABELS])
{
	const _Atomic uint64_t *cell = mw_metric_cells(m, i);
	const int64_t *edges = mw_metric_rows[m].edges;
	unsigned n = mw_edge_count(edges);
	struct mw_buf le;
	uint64_t sum = 0;

	mw_buf_init(&le, 64);
	for (unsigned k = 0; k <= n; k++) {
		sum += atomic_load_explicit(&cell[k], memory_order_relaxed);
		mw_buf_reset(&le);
		/* As OpenMetrics wants it: 1.0, not 1. */
		if (k == n)
			(void)mw_buf_adds(&le, "+Inf");
		else
			(void)mw_buf_addf(&le, edges[k] % 1000000 == 0 ? "%.1f" : "%g",
			    (double)edges[k] / 1e6);
		begin(b, m, "_bucket", at, le.failed ? "" : le.data);
		(void)mw_buf_addf(b, "%llu\n", (unsigned long long)sum);
	}
	mw_buf_free(&le);
	begin(b, m, "_sum", at, NULL);
	(void)mw_buf_addf(b, "%.6f\n",
	    (double)atomic_load_explicit(&cell[n + 1], memory_order_relaxed) / 1e6);
	begin(b, m, "_count", at, NULL);
	(void)mw_buf_addf(b, "%llu\n", (unsigned long long)sum);
}

/* HELP, TYPE, UNIT; once, before the first series. */
static void
head(struct mw_buf *b, const struct mw_metric_row *r, bool open)
{
	static const char *const types[] = { "counter", "histogram", "gauge", "gauge" };
	size_t n = strlen(r->name);

	if (open && r->type == MW_COUNTER)
		n -= strlen("_total");
	if (open && r->type == MW_INFO_METRIC)
		n -= strlen("_info");
	(void)mw_buf_addf(b, "# HELP moltworker_%.*s %s\n", (int)n, r->name, r->help);
	(void)mw_buf_addf(b, "# TYPE moltworker_%.*s %s\n", (int)n, r->name,
	    open && r->type == MW_INFO_METRIC ? "info" : types[r->type]);
	if (open && r->unit != NULL)
		(void)mw_buf_addf(b, "# UNIT moltworker_%.*s %s\n", (int)n, r->name, r->unit);
}

static void
counted(struct mw_buf *b, enum mw_metric m, bool open)
{
	const struct mw_metric_row *r = &mw_metric_rows[m];
	unsigned at[MW_LABELS];
	bool begun = false;

	for (unsigned i = 0; i < mw_metric_series(m); i++) {
		if (!mw_series_shown(m, i))
			continue;
		if (!begun)
			head(b, r, open);
		begun = true;
		mw_series_at(m, i, at);
		if (r->type == MW_HISTOGRAM) {
			histogram(b, m, i, at);
			continue;
		}
		begin(b, m, "", at, NULL);
		(void)mw_buf_addf(b, "%llu\n", (unsigned long long)
		    atomic_load_explicit(mw_metric_cells(m, i), memory_order_relaxed));
	}
}

static void
looked_up(struct mw_buf *b, enum mw_metric m, const struct mw_scrape *s, bool open)
{
	bool begun = false;

	for (unsigned i = 0; i < s->n; i++) {
		if (s->sample[i].m != m)
			continue;
		if (!begun)
			head(b, &mw_metric_rows[m], open);
		begun = true;
		begin(b, m, "", s->sample[i].at, NULL);
		(void)mw_buf_addf(b, "%.15g\n", s->sample[i].value);
	}
}

void
mw_metrics_text(struct mw_buf *b, const struct mw_scrape *s, bool open)
{
	for (unsigned m = 0; m < MW_M_COUNT; m++) {
		if (mw_metric_width((enum mw_metric)m) > 0)
			counted(b, (enum mw_metric)m, open);
		else
			looked_up(b, (enum mw_metric)m, s, open);
	}
	if (open)
		(void)mw_buf_adds(b, "# EOF\n");
}
