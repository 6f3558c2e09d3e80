/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is counted: one table (metrics_table.c) of names, types, labels and their words.  The
 * counters of all processes of a host lie in state.path/metrics-v1, mapped, C11 atomics only;
 * they outlive every process, and begin anew with the host or another table.  Counting takes
 * indices, takes no lock and cannot fail; before mw_metrics_open() it counts nothing.
 */
#ifndef MW_STATE_METRICS_H
#define MW_STATE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "state/mapfile.h"

/* The order is the table's, and that of every answer. */
enum mw_metric {
	MW_M_REQUESTS, MW_M_ERRORS, MW_M_REQUEST_TIME, MW_M_BODY_IN, MW_M_BODY_OUT, MW_M_CUT,
	MW_M_UPSTREAM_REQUESTS, MW_M_AUTH_FAILURES, MW_M_FILE_OPS,
	MW_M_WAKE_TIME, MW_M_PHASE_TIME, MW_M_WAKE_LEADERS, MW_M_WAKE_REQUESTS,
	MW_M_EXEC_REQUESTS, MW_M_SYNC_TIME, MW_M_CALL_TIME, MW_M_RETRIES, MW_M_DENIED, MW_M_OPENINGS,
	MW_M_QUEUED, MW_M_DRAINED, MW_M_POOL_REJECTIONS, MW_M_PROCESSES,
	/* gauges: looked up by a scrape, kept nowhere */
	MW_M_WAKES_RUNNING, MW_M_WAKE_WAITERS, MW_M_BUDGET, MW_M_BUDGET_LIMIT,
	MW_M_SANDBOX_BREAKERS, MW_M_STORE_BREAKER, MW_M_OUTBOX_ROWS, MW_M_OUTBOX_SIZE,
	MW_M_OUTBOX_LIMIT, MW_M_OUTBOX_AGE, MW_M_ALERT_STATE, MW_M_BUILD, MW_M_START,
	MW_M_SCRAPE_TIME, MW_M_COLLECTOR,
	MW_M_COUNT
};

enum mw_metric_type { MW_COUNTER, MW_HISTOGRAM, MW_GAUGE, MW_INFO_METRIC };

/* Its words; with name2, each of them stands for two labels. */
struct mw_label {
	const char *name, *const *words;
	unsigned n;
	const char *name2, *const *words2;
};

#define MW_LABELS 3
#define MW_BUCKETS_MAX 17	/* finite ones */

struct mw_metric_row {
	const char *name;		/* without "moltworker_" */
	enum mw_metric_type type;
	bool from_first;		/* a series is shown from its first count on */
	const char *unit;		/* or NULL */
	const char *help;
	const struct mw_label *label[MW_LABELS];
	const int64_t *edges;		/* of a histogram: us, upwards, ending in 0 */
};

extern const struct mw_metric_row mw_metric_rows[MW_M_COUNT];

/* Words that are counted by index. */
enum mw_responder { MW_RESP_FILES, MW_RESP_BATCH, MW_RESP_EXEC, MW_RESP_STATE, MW_RESP_HEALTH,
	MW_RESP_CONFIG, MW_RESP_SYNC, MW_RESP_BULK, MW_RESP_METRICS, MW_RESP_DEBUG, MW_RESP_COUNT };
enum mw_auth_failure { MW_AUTH_MISSING, MW_AUTH_WRONG, MW_AUTH_TWICE, MW_AUTH_THROTTLED };
enum mw_file_via { MW_VIA_SINGLE, MW_VIA_BATCH };
enum mw_file_op { MW_FILE_READ, MW_FILE_LIST, MW_FILE_WRITE, MW_FILE_DELETE, MW_FILE_EXISTS };
enum mw_file_end { MW_END_OK, MW_END_NOT_FOUND, MW_END_REFUSED, MW_END_FAILED, MW_END_CUT,
	MW_END_GONE };
enum mw_wake_end { MW_WAKE_OK, MW_WAKE_FAILED, MW_WAKE_TIMED_OUT, MW_WAKE_CANCELLED };
enum mw_wake_answer { MW_WAIT_READY, MW_WAIT_STARTED, MW_WAIT_RESTARTED, MW_WAIT_JOINED,
	MW_WAIT_FAILED, MW_WAIT_REMEMBERED, MW_WAIT_REJECTED };
enum mw_denial { MW_NO_ATTEMPTS, MW_NO_BUDGET, MW_NO_TIME, MW_NO_BREAKER, MW_NO_STOPPING };
enum mw_cut_why { MW_CUT_CLIENT, MW_CUT_UPSTREAM, MW_CUT_DEADLINE, MW_CUT_STOPPING };
enum mw_drained { MW_DRAINED_SENT, MW_DRAINED_FAILED, MW_DRAINED_PARKED };

/* -1 = no such responder. */
int mw_metric_responder(const char *name);
/* The word for a route's pattern (NULL = none), a method's and a status's. */
unsigned mw_metric_route(unsigned responder, const char *pattern);
unsigned mw_metric_method(const char *method);
unsigned mw_metric_status(int status);

/* ---- windows: the last minutes, in slices ---- */

/* What latencies are told of: one for each responder, and these. */
enum mw_latency { MW_LAT_WAKE = MW_RESP_COUNT, MW_LAT_EXEC_JOB, MW_LAT_STORE, MW_LAT_SANDBOX,
	MW_LAT_ACTIVE, MW_LAT_COUNT };
extern const char *const mw_latency_words[MW_LAT_COUNT];

/* What alerts are made of. */
enum mw_sum { MW_SUM_FILES, MW_SUM_FILES_FAILED, MW_SUM_READS, MW_SUM_READS_NOT_FOUND,
	MW_SUM_EXECS, MW_SUM_EXECS_FAILED, MW_SUM_EXECS_TIMED_OUT, MW_SUM_CALLS,
	MW_SUM_CALLS_RETRIED, MW_SUM_WAKES, MW_SUM_WAKES_OK, MW_SUM_COUNT };

struct mw_hist {
	_Atomic uint64_t count[MW_BUCKETS_MAX + 1];	/* the last is what no edge holds */
	_Atomic uint64_t failed;
};

struct mw_slice {
	_Atomic uint64_t number;	/* monotonic time / length, + 1; see metrics_window.c */
	struct mw_hist hist[MW_LAT_COUNT];
	_Atomic uint64_t sum[MW_SUM_COUNT];
};

#define MW_SLICES 31
#define MW_SHORT_SLICE 15000	/* ms; 300 s of these, */
#define MW_LONG_SLICE 60000	/* and 1800 s of these, for wakes */

/* As read: the counts of a time. */
struct mw_told {
	uint64_t count[MW_BUCKETS_MAX + 1], total, failed;
	const int64_t *edges;
};

void mw_window_observe(enum mw_latency l, int64_t us, bool failed);
void mw_window_add(enum mw_sum s, uint64_t n);
/* What l has had in its window (300 s; wakes: 1800 s), or since the start. */
void mw_window_told(enum mw_latency l, bool since_start, struct mw_told *t);
uint64_t mw_window_sum(enum mw_sum s);
unsigned mw_window_seconds(enum mw_latency l);
/* The q-th quantile in seconds, as histogram_quantile() tells it; < 0 = of nothing. */
double mw_told_quantile(const struct mw_told *t, double q);
/* Has a slice begun since the last call, in this process's eyes? */
bool mw_window_turned(void);

/* ---- alerts: what is kept of them between two looks, see app/alerts.h ---- */

#define MW_ALERTS 12

struct mw_alert_kept {
	_Atomic int32_t state;		/* enum mw_alert_state */
	_Atomic int64_t since;		/* wall ms */
	_Atomic int64_t bad_since, good_since;	/* monotonic ms, 0 = it is not */
};

/* ---- the mapped file ---- */

#define MW_CELLS 32768		/* words of all series of the table; a test holds it */

struct mw_metrics {
	struct mw_mapfile head;
	_Atomic int64_t started;	/* wall ms */
	_Atomic int64_t looking;	/* monotonic ms: somebody evaluates the alerts */
	struct mw_alert_kept alerts[MW_ALERTS];
	struct mw_slice start, brief[MW_SLICES], lengthy[MW_SLICES];
	_Atomic uint64_t cell[MW_CELLS];
};

/*
 * Map the file.  If it cannot be had, this process counts for itself alone: a failure to
 * be logged, not one to end by.
 */
enum mw_code mw_metrics_open(const char *state_path, struct mw_err *err) MW_MUST;
void mw_metrics_close(void);
struct mw_metrics *mw_metrics_now(void);	/* NULL before open */

void mw_count(enum mw_metric m, unsigned a, unsigned b, unsigned c, uint64_t n);
void mw_observe(enum mw_metric m, unsigned a, unsigned b, unsigned c, int64_t us);

/* Series of m, words of each, and the first of series i; NULL when nothing is mapped. */
unsigned mw_metric_series(enum mw_metric m);
unsigned mw_metric_width(enum mw_metric m);
const _Atomic uint64_t *mw_metric_cells(enum mw_metric m, unsigned i);
unsigned mw_metric_used(void);		/* words of all */
unsigned mw_edge_count(const int64_t *edges);
unsigned mw_edge_of(const int64_t *edges, int64_t us);	/* number of the bucket */

#endif
