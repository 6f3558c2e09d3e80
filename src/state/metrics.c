/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of all processes: the mapped file, and adding to it. */
#include "state/metrics.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/lockfile.h"

static struct mw_metrics *now;		/* of this process: mapped, or its own */
static bool mapped;
static unsigned base[MW_M_COUNT + 1];	/* first cell of each row; the last: how many there are */
static struct mw_mapfile_kind kind = { .name = "metrics-v1", .size = sizeof(struct mw_metrics) };

unsigned
mw_edge_count(const int64_t *edges)
{
	unsigned n = 0;

	while (edges[n] != 0)
		n++;
	return n;
}

unsigned
mw_edge_of(const int64_t *edges, int64_t us)
{
	unsigned i = 0;

	while (edges[i] != 0 && us > edges[i])
		i++;
	return i;
}

unsigned
mw_metric_series(enum mw_metric m)
{
	const struct mw_metric_row *r = &mw_metric_rows[m];
	unsigned n = 1;

	for (unsigned i = 0; i < MW_LABELS; i++)
		n *= r->label[i] != NULL ? r->label[i]->n : 1;
	return n;
}

/* A histogram's: its buckets, +Inf, the sum in us. */
unsigned
mw_metric_width(enum mw_metric m)
{
	const struct mw_metric_row *r = &mw_metric_rows[m];

	if (r->type == MW_HISTOGRAM)
		return mw_edge_count(r->edges) + 2;
	return r->type == MW_COUNTER ? 1 : 0;
}

/* Where everything lies, and a number that is another one for any other table. */
static uint64_t
lay_out(void)
{
	const struct mw_metric_row *r;
	const struct mw_label *l;
	uint64_t sum = sizeof(struct mw_metrics);

	for (unsigned m = 0; m < MW_M_COUNT; m++) {
		r = &mw_metric_rows[m];
		base[m + 1] = base[m] + mw_metric_series(m) * mw_metric_width(m);
		sum = sum * 31 + mw_hash(r->name) + r->type;
		for (const int64_t *e = r->edges; e != NULL && *e != 0; e++)
			sum = sum * 31 + (uint64_t)*e;
		for (unsigned i = 0; i < MW_LABELS && r->type != MW_INFO_METRIC; i++) {
			l = r->label[i];
			for (unsigned w = 0; l != NULL && w < l->n; w++) {
				sum = sum * 31 + mw_hash(l->words[w]);
				if (l->words2 != NULL)
					sum = sum * 31 + mw_hash(l->words2[w]);
			}
		}
	}
	return sum;
}

static void
set_up(void *map)
{
	struct mw_metrics *s = map;

	atomic_store(&s->started, mw_wall());
	for (unsigned i = 0; i < MW_ALERTS; i++)
		atomic_store(&s->alerts[i].since, mw_wall());
}

enum mw_code
mw_metrics_open(const char *state_path, struct mw_err *err)
{
	struct mw_mapfile *m = NULL;
	enum mw_code code;

	mw_metrics_close();
	kind.magic = lay_out();
	kind.set_up = set_up;
	if (base[MW_M_COUNT] > MW_CELLS)
		return mw_fail(err, MW_INTERNAL_ERROR, "the table of metrics needs %u cells",
		    base[MW_M_COUNT]);
	code = mw_mapfile_open(state_path, &kind, &m, err);
	mapped = code == MW_OK;
	if (mapped)
		now = (struct mw_metrics *)m;
	else if ((now = calloc(1, sizeof(*now))) != NULL)
		set_up(now);
	return code;
}

void
mw_metrics_close(void)
{
	if (mapped)
		mw_mapfile_close((struct mw_mapfile *)now, &kind);
	else
		free(now);
	now = NULL;
	mapped = false;
}

struct mw_metrics *
mw_metrics_now(void)
{
	return now;
}

unsigned
mw_metric_used(void)
{
	return base[MW_M_COUNT];
}

static _Atomic uint64_t *
cells(enum mw_metric m, unsigned i)
{
	return &now->cell[base[m] + i * mw_metric_width(m)];
}

const _Atomic uint64_t *
mw_metric_cells(enum mw_metric m, unsigned i)
{
	return now != NULL ? cells(m, i) : NULL;
}

static unsigned
series(enum mw_metric m, unsigned a, unsigned b, unsigned c)
{
	const struct mw_metric_row *r = &mw_metric_rows[m];

	if (r->label[1] != NULL)
		a = a * r->label[1]->n + b;
	if (r->label[2] != NULL)
		a = a * r->label[2]->n + c;
	return a < mw_metric_series(m) ? a : 0;
}

void
mw_count(enum mw_metric m, unsigned a, unsigned b, unsigned c, uint64_t n)
{
	if (now != NULL && n > 0)
		(void)atomic_fetch_add_explicit(cells(m, series(m, a, b, c)), n,
		    memory_order_relaxed);
}

void
mw_observe(enum mw_metric m, unsigned a, unsigned b, unsigned c, int64_t us)
{
	const int64_t *edges = mw_metric_rows[m].edges;
	_Atomic uint64_t *cell;

	if (now == NULL)
		return;
	cell = cells(m, series(m, a, b, c));
	if (us < 0)
		us = 0;
	(void)atomic_fetch_add_explicit(&cell[mw_edge_of(edges, us)], 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&cell[mw_edge_count(edges) + 1], (uint64_t)us,
	    memory_order_relaxed);
}
