/* SPDX-License-Identifier: BSD-2-Clause */
/* GET …/exec/{id}/stream: a command's output as server-sent events. */
#include "exec.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/stop.h"
#include "base/str.h"
#include "app/longwait.h"
#include "ops/exec/answer.h"

#define SSE_PIECE 65536		/* bytes of a stream in one event */
#define SSE_SILENCE 15000	/* ms, then a comment */
#define SSE_SLACK 120000	/* ms beyond a job's limit, then its stream ends in any case */

struct sse {
	struct mw_req *req;
	struct mw_exec_ask ask;		/* its offsets are what the client has */
	struct mw_scratch scratch;	/* of a look */
	int64_t spoken;			/* monotonic ms of the last byte sent */
};

/* "STDOUT-STDERR", the offsets behind the last event that arrived. */
static enum mw_code
last_event(struct mw_req *req, struct mw_exec_ask *ask)
{
	const char *id = mw_req_header(req, "Last-Event-ID");
	const char *dash = id != NULL ? strchr(id, '-') : NULL;

	if (id == NULL || *id == '\0')
		return MW_OK;
	if (dash != NULL && mw_str_uint(id, (size_t)(dash - id), OFFSET_MAX, &ask->out_at) &&
	    mw_str_uint(dash + 1, strlen(dash + 1), OFFSET_MAX, &ask->err_at))
		return MW_OK;
	return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
	    "Last-Event-ID: expected the id of an event of this stream, got \"%.60s\"", id);
}

static bool
say(struct sse *s, const char *p, size_t n)
{
	s->spoken = mw_now();
	return mw_res_write(s->req, p, n) && mw_res_flush(s->req);
}

static bool
say_event(struct sse *s, const char *event, struct mw_buf *data)
{
	struct mw_buf b;
	bool good;

	mw_buf_init(&b, data->len + 200);
	(void)(mw_buf_addf(&b, "event: %s\nid: %lld-%lld\ndata: ", event,
	    (long long)s->ask.out_at, (long long)s->ask.err_at) &&
	    mw_buf_add(&b, data->data, data->len) && mw_buf_adds(&b, "\n\n"));
	good = !data->failed && !b.failed && say(s, b.data, b.len);
	mw_buf_free(&b);
	return good;
}

/* A piece of one stream; *at moves behind it. */
static bool
say_piece(struct sse *s, const char *event, const struct mw_buf *piece, bool more, int64_t *at)
{
	struct mw_buf data;
	bool text, good;
	size_t n = mw_exec_usable(piece, piece->len, more, &text);

	if (n == 0)
		return true;
	*at += (int64_t)n;
	mw_buf_init(&data, 6 * n + 100);
	(void)(mw_json_open(&data, NULL, '{') &&
	    mw_exec_add_stream(&data, "data", "encoding", piece->data, n, text) &&
	    mw_json_close(&data, '}'));
	good = say_event(s, event, &data);
	mw_buf_free(&data);
	return good;
}

static bool
say_exit(struct sse *s, const struct mw_exec_view *v)
{
	struct mw_buf data;
	bool good;

	mw_exec_begin(s->req, &data, 0);
	(void)(mw_json_add(&data, "processId", v->row.id) &&
	    mw_exec_add_state(s->req, &data, &v->row, v->duration) && mw_json_close(&data, '}'));
	good = say_event(s, "exit", &data);
	mw_buf_free(&data);
	return good;
}

/* The head is out: what goes wrong now is an event. */
static bool
say_error(struct sse *s, enum mw_code code)
{
	struct mw_buf data;
	bool good;

	mw_exec_begin(s->req, &data, sizeof(s->req->ctx.err.msg));
	(void)(mw_json_add(&data, "code", mw_code_info(code)->name) &&
	    mw_json_add(&data, "error", s->req->ctx.err.msg) &&
	    mw_json_add_bool(&data, "retryable", mw_code_info(code)->retryable) &&
	    mw_json_close(&data, '}'));
	good = say_event(s, "error", &data);
	mw_buf_free(&data);
	return good;
}

/* True: all is said.  *left: nobody reads any more. */
static bool
say_all(struct sse *s, const struct mw_exec_view *v, bool *left)
{
	bool over = mw_process_over(v->row.state);
	bool more_out = v->out.len == s->ask.max, more_err = v->err.len == s->ask.max;

	*left = !say_piece(s, "stdout", &v->out, !over || more_out, &s->ask.out_at) ||
	    !say_piece(s, "stderr", &v->err, !over || more_err, &s->ask.err_at);
	if (*left || !over || more_out || more_err)
		return false;
	*left = !say_exit(s, v);
	return true;
}

static enum mw_code
follow(struct sse *s, struct mw_exec_view *v)
{
	struct mw_req *req = s->req;
	int64_t until = mw_now() + v->row.limit + SSE_SLACK;
	enum mw_code code = MW_OK;
	int64_t began;
	bool left;

	while (!say_all(s, v, &left)) {
		if (left || mw_exec_gone(req))
			return MW_CLIENT_GONE;
		if (mw_left(until) == 0 || mw_stopping())
			return MW_OK;	/* the client asks again, from here on */
		if (mw_now() - s->spoken >= SSE_SILENCE && !say(s, ": \n\n", 4))
			return MW_CLIENT_GONE;
		mw_app_deadline(req, 0, req->app->conf->sandbox.timeout);
		s->ask.wait = MW_EXEC_STEP;
		began = mw_now();
		code = mw_exec_watch(req, &s->scratch, &s->ask, v);
		if (code != MW_OK)
			return say_error(s, code) ? MW_OK : MW_CLIENT_GONE;
		(void)mw_wait_pace(began, mw_exec_news(v));
	}
	return left ? MW_CLIENT_GONE : MW_OK;
}

enum mw_code
mw_exec_stream(struct mw_req *req)
{
	struct sse s = { .req = req, .ask = { .max = SSE_PIECE }, .spoken = mw_now() };
	struct mw_exec_view v;
	enum mw_code code;
	int place;

	if ((code = mw_exec_offsets(req, &s.ask)) != MW_OK ||
	    (code = last_event(req, &s.ask)) != MW_OK ||
	    (code = mw_wait_begin(req->app, &req->ctx, &place)) != MW_OK)
		return code;
	if ((code = mw_scratch_open(&s.scratch, &req->ctx, MW_EXEC_MEMORY)) != MW_OK) {
		mw_wait_end(req->app, place);
		return code;
	}
	mw_app_deadline(req, 0, req->app->conf->sandbox.timeout);
	req->touched = true;
	mw_exec_view_init(&v);
	code = mw_exec_watch(req, &s.scratch, &s.ask, &v);
	if (code == MW_OK) {
		mw_res_header(req, "X-Accel-Buffering", "no");
		mw_res_start(req, 200, "text/event-stream", -1);
		code = req->method == MW_HEAD ? MW_OK : follow(&s, &v);
	}
	mw_exec_view_free(&v);
	mw_scratch_close(&s.scratch);
	mw_wait_end(req->app, place);
	return code;
}
