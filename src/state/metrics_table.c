/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of what is counted.  Every label value is a word that stands here. */
#include "state/metrics.h"

#include <string.h>

#define WORDS(name, ...) static const char *const name[] = { __VA_ARGS__ }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LABEL(id, shown) \
	static const struct mw_label id = { .name = shown, .words = id##_words, .n = COUNT(id##_words) }

/* The rows of the responders' route tables; tests/style.sh compares.  First of all "none",
 * once for each responder, in the order of enum mw_responder. */
#define ROUTES(X) \
	X("files", "none") X("batch", "none") X("exec", "none") X("state", "none") \
	X("health", "none") X("config", "none") X("sync", "none") X("bulk", "none") \
	X("metrics", "none") X("debug", "none") \
	X("files", "/api/super/users/{user}/files") \
	X("files", "/api/super/users/{user}/files/{path}") \
	X("batch", "/api/super/users/{user}/files/batch") \
	X("batch", "/api/super/users/{user}/files") \
	X("batch", "/api/super/users/{user}/files/{path}") \
	X("exec", "/api/super/users/{user}/exec") \
	X("exec", "/api/super/users/{user}/exec/{id}") \
	X("exec", "/api/super/users/{user}/exec/{id}/status") \
	X("exec", "/api/super/users/{user}/exec/{id}/stream") \
	X("state", "/api/super/users") \
	X("state", "/api/super/state/dashboard") \
	X("state", "/api/super/users/{user}/state") \
	X("state", "/api/super/users/{user}/wake") \
	X("state", "/api/super/users/{user}/restart") \
	X("state", "/api/super/users/{user}/sleep") \
	X("state", "/api/super/users/{user}/logs") \
	X("health", "/healthz") \
	X("health", "/api/super/health") \
	X("health", "/api/super/users/{user}/health") \
	X("config", "/api/super/users/{user}/config") \
	X("config", "/api/super/users/{user}/config/history") \
	X("config", "/api/super/users/{user}/config/history/{id}") \
	X("config", "/api/super/users/{user}/config/rollback") \
	X("config", "/api/super/users/{user}/config/reload") \
	X("sync", "/api/super/users/{user}/r2-status") \
	X("sync", "/api/super/users/{user}/sync") \
	X("bulk", "/api/super/bulk/wake") \
	X("bulk", "/api/super/bulk/restart") \
	X("bulk", "/api/super/bulk/exec") \
	X("bulk", "/api/super/bulk/sync") \
	X("bulk", "/api/super/bulk/config-patch") \
	X("metrics", "/metrics") \
	X("metrics", "/api/super/metrics") \
	X("metrics", "/api/super/alerts")

#define FIRST(a, b) a,
#define SECOND(a, b) b,
static const char *const route_responders[] = { ROUTES(FIRST) };
static const char *const route_patterns[] = { ROUTES(SECOND) };
static const struct mw_label route = { .name = "responder", .words = route_responders,
	.n = COUNT(route_responders), .name2 = "route", .words2 = route_patterns };

static const struct mw_label responder = { .name = "responder", .words = route_responders,
	.n = MW_RESP_COUNT };

WORDS(method_words, "GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "other");
LABEL(method, "method");
WORDS(status_words, "200", "202", "204", "206", "304", "400", "403", "404", "405", "409", "410",
    "412", "413", "415", "416", "422", "429", "499", "500", "501", "502", "503", "504", "507", "other");
LABEL(status, "code");
/* In the order of enum mw_code; a test compares. */
WORDS(error_words, "ok", "invalid_json", "invalid_path", "invalid_user_id", "invalid_argument",
    "too_many_operations", "forbidden", "not_found", "file_not_found", "process_not_found",
    "method_not_allowed", "conflict", "process_lost", "precondition_failed", "body_too_large",
    "file_too_large", "unsupported_media_type", "range_not_satisfiable", "too_many_requests",
    "command_error", "permission_denied", "not_supported", "storage_full", "deadline_exceeded",
    "internal_error", "store_error", "sandbox_not_found", "sandbox_hibernating",
    "sandbox_unreachable", "sandbox_unavailable", "gateway_failed", "wake_timeout",
    "sandbox_capacity", "store_unavailable", "command_timeout", "sandbox_timeout",
    "client_gone");
LABEL(error, "error");
_Static_assert(COUNT(error_words) == MW_CODE_COUNT, "a word for every code");
WORDS(cut_words, "client", "upstream", "deadline", "stopping");
LABEL(cut, "reason");
WORDS(retried_words, "false", "true");
LABEL(retried, "retried");
WORDS(auth_words, "missing", "wrong", "twice", "throttled");
LABEL(auth, "reason");
WORDS(via_words, "single", "batch");
LABEL(via, "via");
WORDS(via_single_words, "single");
LABEL(via_single, "via");
WORDS(file_op_words, "read", "list", "write", "delete", "exists");
LABEL(file_op, "op");
WORDS(file_end_words, "ok", "not_found", "refused", "failed", "cut", "client_gone");
LABEL(file_end, "outcome");
WORDS(wake_end_words, "ok", "failed", "timeout", "cancelled");
LABEL(wake_end, "outcome");
/* In the order of enum mw_phase of ops/ready/wake_result.h, whose first is none. */
WORDS(wake_phase_words, "ready", "sandbox_start", "restore", "gateway_start", "probe");
LABEL(wake_phase, "phase");
WORDS(order_words, "first", "again");
LABEL(order, "order");
WORDS(wait_words, "ready", "started", "restarted", "joined", "failed", "remembered", "rejected");
LABEL(wait, "result");
WORDS(exec_end_words, "ok", "refused", "failed");
LABEL(exec_end, "outcome");
WORDS(direction_words, "backup", "restore", "wake");
LABEL(direction, "direction");
WORDS(sync_end_words, "ok", "partial", "failed", "refused");
LABEL(sync_end, "outcome");
WORDS(upstream_words, "store", "sandbox");
LABEL(upstream, "upstream");
WORDS(call_end_words, "ok", "not_found", "refused", "asleep", "unavailable", "timeout");
LABEL(call_end, "outcome");
WORDS(again_words, "timeout", "unavailable", "throttled");
LABEL(again, "reason");
WORDS(denial_words, "attempts", "budget", "deadline", "breaker", "stopping");
LABEL(denial, "reason");
WORDS(queued_words, "write", "delete");
LABEL(queued, "op");
WORDS(drained_words, "sent", "failed", "parked");
LABEL(drained, "outcome");
WORDS(breaker_words, "closed", "open", "half_open");
LABEL(breaker, "state");
WORDS(row_state_words, "pending", "parked");
LABEL(row_state, "state");
WORDS(alert_words, "wake_time_p50", "wake_time_p99", "file_success_rate", "exec_success_rate",
    "retry_rate", "outbox_age", "outbox_parked", "store_breaker", "wake_success_rate",
    "exec_timeout_rate", "file_not_found_rate", "active_latency_p95");
LABEL(alert, "alert");
_Static_assert(COUNT(alert_words) == MW_ALERTS, "a word for every alert");
WORDS(alert_state_words, "ok", "warning", "firing", "no_data");
LABEL(alert_state, "state");
WORDS(version_words, MW_VERSION);
LABEL(version, "version");
WORDS(store_words, "s3", "dir");
LABEL(store, "store");
WORDS(sandbox_words, "local", "bridge", "container", "engine");
LABEL(sandbox, "sandbox");
WORDS(collector_words, "outbox");
LABEL(collector, "collector");

#define MS INT64_C(1000)
#define S INT64_C(1000000)
static const int64_t edges_h[] = { MS, 2500, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS,
	250 * MS, 500 * MS, S, 2500 * MS, 5 * S, 10 * S, 30 * S, 60 * S, 120 * S, 300 * S, 0 };
static const int64_t edges_w[] = { 100 * MS, 250 * MS, 500 * MS, S, 2500 * MS, 5 * S, 10 * S,
	20 * S, 30 * S, 45 * S, 60 * S, 90 * S, 120 * S, 180 * S, 0 };
static const int64_t edges_s[] = { 500 * MS, S, 2500 * MS, 5 * S, 10 * S, 30 * S, 60 * S,
	120 * S, 300 * S, 540 * S, 0 };

const struct mw_metric_row mw_metric_rows[MW_M_COUNT] = {
	[MW_M_REQUESTS] = { "http_requests_total", MW_COUNTER, true, NULL,
	    "Requests answered.", { &route, &method, &status }, NULL },
	[MW_M_ERRORS] = { "http_errors_total", MW_COUNTER, true, NULL,
	    "Error answers by error code.", { &responder, &error }, NULL },
	[MW_M_REQUEST_TIME] = { "http_request_duration_seconds", MW_HISTOGRAM, true, "seconds",
	    "Time from a request's arrival to the end of its answer.", { &route, &method }, edges_h },
	[MW_M_BODY_IN] = { "http_request_body_bytes_total", MW_COUNTER, false, "bytes",
	    "Bytes of bodies read.", { &responder }, NULL },
	[MW_M_BODY_OUT] = { "http_response_body_bytes_total", MW_COUNTER, false, "bytes",
	    "Bytes of bodies sent.", { &responder }, NULL },
	[MW_M_CUT] = { "http_responses_cut_total", MW_COUNTER, false, NULL,
	    "Answers that ended before their end.", { &responder, &cut }, NULL },
	[MW_M_UPSTREAM_REQUESTS] = { "http_upstream_requests_total", MW_COUNTER, false, NULL,
	    "Requests that asked R2 or a sandbox, and whether they repeated a call.",
	    { &responder, &retried }, NULL },
	[MW_M_AUTH_FAILURES] = { "auth_failures_total", MW_COUNTER, false, NULL,
	    "Requests refused before their handler.", { &auth }, NULL },
	[MW_M_FILE_OPS] = { "file_operations_total", MW_COUNTER, false, NULL,
	    "File operations by outcome.", { &via, &file_op, &file_end }, NULL },
	[MW_M_WAKE_TIME] = { "wake_duration_seconds", MW_HISTOGRAM, true, "seconds",
	    "Wakes by outcome and the phase they ended in.", { &wake_end, &wake_phase }, edges_w },
	[MW_M_PHASE_TIME] = { "wake_phase_duration_seconds", MW_HISTOGRAM, true, "seconds",
	    "Time of each completed phase of a wake.", { &wake_phase }, edges_w },
	[MW_M_WAKE_LEADERS] = { "wake_leaders_total", MW_COUNTER, false, NULL,
	    "Processes started to lead a wake.", { &order }, NULL },
	[MW_M_WAKE_REQUESTS] = { "wake_requests_total", MW_COUNTER, false, NULL,
	    "Requests that had to wait for a wake, by what became of it.", { &wait }, NULL },
	[MW_M_EXEC_REQUESTS] = { "exec_requests_total", MW_COUNTER, false, NULL,
	    "Requests to run a command.", { &via_single, &exec_end }, NULL },
	[MW_M_SYNC_TIME] = { "sync_duration_seconds", MW_HISTOGRAM, true, "seconds",
	    "Syncs; wake = a restore within a wake.", { &direction, &sync_end }, edges_s },
	[MW_M_CALL_TIME] = { "upstream_request_duration_seconds", MW_HISTOGRAM, true, "seconds",
	    "Calls to R2 and to sandboxes, repeats included.", { &upstream, &call_end }, edges_h },
	[MW_M_RETRIES] = { "upstream_retries_total", MW_COUNTER, false, NULL,
	    "Calls that were repeated.", { &upstream, &again }, NULL },
	[MW_M_DENIED] = { "upstream_retries_denied_total", MW_COUNTER, false, NULL,
	    "Failed calls that could not be repeated.", { &upstream, &denial }, NULL },
	[MW_M_OPENINGS] = { "breaker_openings_total", MW_COUNTER, false, NULL,
	    "Times a breaker opened.", { &upstream }, NULL },
	[MW_M_QUEUED] = { "writes_queued_total", MW_COUNTER, false, NULL,
	    "Acknowledged changes that wait for R2.", { &queued }, NULL },
	[MW_M_DRAINED] = { "outbox_drained_total", MW_COUNTER, false, NULL,
	    "Rows of the outbox that were tried.", { &drained }, NULL },
	[MW_M_POOL_REJECTIONS] = { "pool_rejections_total", MW_COUNTER, false, NULL,
	    "Requests answered 503 to keep one process free.", { &responder }, NULL },
	[MW_M_PROCESSES] = { "processes_started_total", MW_COUNTER, false, NULL,
	    "Responder processes started.", { &responder }, NULL },
	[MW_M_WAKES_RUNNING] = { "wakes_running", MW_GAUGE, false, NULL, "Wakes in hand.",
	    { NULL }, NULL },
	[MW_M_WAKE_WAITERS] = { "wake_waiters", MW_GAUGE, false, NULL,
	    "Requests waiting for a wake.", { NULL }, NULL },
	[MW_M_BUDGET] = { "retry_budget_tokens", MW_GAUGE, false, NULL, "Tokens left.",
	    { NULL }, NULL },
	[MW_M_BUDGET_LIMIT] = { "retry_budget_limit_tokens", MW_GAUGE, false, NULL,
	    "Tokens at most.", { NULL }, NULL },
	[MW_M_SANDBOX_BREAKERS] = { "sandbox_breakers_open", MW_GAUGE, false, NULL,
	    "Users whose sandbox's breaker is not closed.", { NULL }, NULL },
	[MW_M_STORE_BREAKER] = { "store_breaker_state", MW_GAUGE, false, NULL,
	    "The store's breaker.", { &breaker }, NULL },
	[MW_M_OUTBOX_ROWS] = { "outbox_rows", MW_GAUGE, false, NULL, "Rows of the outbox.",
	    { &row_state }, NULL },
	[MW_M_OUTBOX_SIZE] = { "outbox_size_bytes", MW_GAUGE, false, "bytes",
	    "Bytes of all rows.", { NULL }, NULL },
	[MW_M_OUTBOX_LIMIT] = { "outbox_limit_bytes", MW_GAUGE, false, "bytes", "Most bytes.",
	    { NULL }, NULL },
	[MW_M_OUTBOX_AGE] = { "outbox_oldest_age_seconds", MW_GAUGE, false, "seconds",
	    "Age of the oldest pending row, 0 = none.", { NULL }, NULL },
	[MW_M_ALERT_STATE] = { "alert_state", MW_GAUGE, false, NULL, "States of the alerts.",
	    { &alert, &alert_state }, NULL },
	[MW_M_BUILD] = { "build_info", MW_INFO_METRIC, false, NULL, "Version and drivers.",
	    { &version, &store, &sandbox }, NULL },
	[MW_M_START] = { "start_time_seconds", MW_GAUGE, false, "seconds",
	    "When these counters began.", { NULL }, NULL },
	[MW_M_SCRAPE_TIME] = { "scrape_duration_seconds", MW_GAUGE, false, "seconds",
	    "This answer's making.", { NULL }, NULL },
	[MW_M_COLLECTOR] = { "scrape_collector_success", MW_GAUGE, false, NULL,
	    "0 = its gauges are left out.", { &collector }, NULL },
};

static int
find(const char *const *words, unsigned n, const char *word)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(words[i], word) == 0)
			return (int)i;
	}
	return -1;
}

int
mw_metric_responder(const char *name)
{
	return find(route_responders, MW_RESP_COUNT, name);
}

unsigned
mw_metric_route(unsigned resp, const char *pattern)
{
	for (unsigned i = MW_RESP_COUNT; pattern != NULL && i < COUNT(route_patterns); i++) {
		if (strcmp(route_responders[i], route_responders[resp]) == 0 &&
		    strcmp(route_patterns[i], pattern) == 0)
			return i;
	}
	return resp;
}

unsigned
mw_metric_method(const char *name)
{
	int i = find(method_words, COUNT(method_words), name);

	return i < 0 ? COUNT(method_words) - 1 : (unsigned)i;
}

unsigned
mw_metric_status(int code)
{
	char word[4] = { (char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10),
	    (char)('0' + code % 10), '\0' };
	int i = find(status_words, COUNT(status_words), word);

	return i < 0 ? COUNT(status_words) - 1 : (unsigned)i;
}
