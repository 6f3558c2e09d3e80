/* SPDX-License-Identifier: BSD-2-Clause */
/* The answers of metrics.fcgi: one look, three formats. */
#ifndef MW_CGI_METRICS_H
#define MW_CGI_METRICS_H

#include "base/buf.h"
#include "app/alerts.h"

#define MW_SAMPLES 96

/* A gauge's value. */
struct mw_sample {
	enum mw_metric m;
	unsigned at[MW_LABELS];		/* its labels' words */
	double value;
};

struct mw_scrape {
	struct mw_sample sample[MW_SAMPLES];
	unsigned n;
	struct mw_alert alerts[MW_ALERTS];
};

/* Look at what is kept nowhere.  `began`: us, when this answer was begun. */
void mw_scrape(struct mw_req *req, struct mw_scrape *s);
void mw_scrape_time(struct mw_scrape *s, int64_t began);

/* Series i of a row, by the words of its labels. */
void mw_series_at(enum mw_metric m, unsigned i, unsigned at[MW_LABELS]);
/* Is there anything to show of it? */
bool mw_series_shown(enum mw_metric m, unsigned i);

void mw_metrics_text(struct mw_buf *b, const struct mw_scrape *s, bool open);
/* Members of an answer: "latency", "families" of names that begin with `prefix`. */
void mw_metrics_json(struct mw_req *req, struct mw_buf *b, const struct mw_scrape *s,
    const char *prefix);

#endif
