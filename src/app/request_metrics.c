/* SPDX-License-Identifier: BSD-2-Clause */
/* What is counted of each request. */
#include "app/request_metrics.h"

#include <string.h>

#include "app/app.h"
#include "base/clock.h"
#include "base/stop.h"

#define EXEC "/api/super/users/{user}/exec"

enum mw_file_end
mw_file_end_of(enum mw_code code, bool cut)
{
	int status = mw_code_info(code)->status;

	if (code == MW_CLIENT_GONE)
		return MW_END_GONE;
	if (code == MW_OK)
		return MW_END_OK;
	if (cut)
		return MW_END_CUT;
	if (status == 404)
		return MW_END_NOT_FOUND;
	return (status >= 500 && status != 501) || status == 429 ? MW_END_FAILED : MW_END_REFUSED;
}

void
mw_file_count(enum mw_file_via via, enum mw_file_op op, enum mw_file_end end)
{
	mw_count(MW_M_FILE_OPS, via, op, end, 1);
	if (end == MW_END_GONE)
		return;
	mw_window_add(MW_SUM_FILES, 1);
	mw_window_add(MW_SUM_FILES_FAILED, end == MW_END_FAILED || end == MW_END_CUT);
	if (via == MW_VIA_SINGLE && op == MW_FILE_READ) {
		mw_window_add(MW_SUM_READS, 1);
		mw_window_add(MW_SUM_READS_NOT_FOUND, end == MW_END_NOT_FOUND);
	}
}

/* `commands`: the API did what it was asked, whatever the command did. */
static void
count_exec(enum mw_code code)
{
	int status = mw_code_info(code)->status;
	bool late = code == MW_COMMAND_TIMEOUT || code == MW_SANDBOX_TIMEOUT;
	unsigned end = 0;

	if (code == MW_CLIENT_GONE)
		return;
	if (code != MW_OK && code != MW_COMMAND_ERROR && code != MW_COMMAND_TIMEOUT)
		end = (status >= 500 && status != 501) || status == 429 ||
		    code == MW_PROCESS_LOST ? 2 : 1;
	mw_count(MW_M_EXEC_REQUESTS, 0, end, 0, 1);
	mw_window_add(MW_SUM_EXECS, 1);
	mw_window_add(MW_SUM_EXECS_FAILED, end == 2);
	mw_window_add(MW_SUM_EXECS_TIMED_OUT, late);
}

static void
count_cut(const struct mw_req *req, unsigned resp, enum mw_code code)
{
	enum mw_cut_why why = MW_CUT_UPSTREAM;

	if (code == MW_CLIENT_GONE || (req->io->gone != NULL && req->io->gone(req->io->t)))
		why = MW_CUT_CLIENT;
	else if (code == MW_DEADLINE_EXCEEDED)
		why = MW_CUT_DEADLINE;
	else if (mw_stopping())
		why = MW_CUT_STOPPING;
	mw_count(MW_M_CUT, resp, why, 0, 1);
}

/* A stream, or an answer that was asked to wait, is as long as its command. */
static bool
is_wait(const struct mw_req *req, const char *pattern)
{
	return strcmp(pattern, EXEC "/{id}/stream") == 0 ||
	    (strcmp(pattern, EXEC "/{id}/status") == 0 && mw_req_query(req, "wait") != NULL);
}

static void
count_window(const struct mw_req *req, unsigned resp, const char *pattern, int64_t us)
{
	bool failed = req->status >= 500 || req->status == 429;

	if (!is_wait(req, pattern))
		mw_window_observe((enum mw_latency)resp, us, failed);
	if (req->touched && req->user != NULL && !req->ctx.waited && !is_wait(req, pattern))
		mw_window_observe(MW_LAT_ACTIVE, us, failed);
	if (req->touched) {
		mw_window_add(MW_SUM_CALLS, 1);
		mw_window_add(MW_SUM_CALLS_RETRIED, req->ctx.retries > 0);
	}
}

void
mw_request_count(const struct mw_req *req)
{
	const char *pattern = req->route != NULL ? req->route->pattern : "";
	unsigned method = mw_metric_method(req->method_name != NULL ? req->method_name : "");
	enum mw_code code = req->code;
	int64_t us = (mw_now() - req->started) * 1000;
	int resp = mw_metric_responder(req->http->name);
	bool cut = req->head_sent && code != MW_OK && req->broken;
	unsigned route;

	if (resp < 0)
		return;
	route = mw_metric_route((unsigned)resp, pattern);
	mw_count(MW_M_REQUESTS, route, method,
	    mw_metric_status(req->head_sent ? req->status : 499), 1);
	if (code != MW_OK && code != MW_CLIENT_GONE)
		mw_count(MW_M_ERRORS, (unsigned)resp, code, 0, 1);
	mw_observe(MW_M_REQUEST_TIME, route, method, 0, us);
	mw_count(MW_M_BODY_IN, (unsigned)resp, 0, 0, (uint64_t)req->body_read);
	if (!req->bodiless)
		mw_count(MW_M_BODY_OUT, (unsigned)resp, 0, 0, (uint64_t)req->sent);
	if (cut)
		count_cut(req, (unsigned)resp, code);
	if (req->touched)
		mw_count(MW_M_UPSTREAM_REQUESTS, (unsigned)resp, req->ctx.retries > 0, 0, 1);
	if (req->app->file_op >= 0)
		mw_file_count(MW_VIA_SINGLE, (enum mw_file_op)req->app->file_op,
		    mw_file_end_of(code, cut));
	if (strcmp(pattern, EXEC) == 0 && req->method == MW_POST)
		count_exec(code);
	count_window(req, (unsigned)resp, pattern, us);
}
