/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec.fcgi: run commands in a user's sandbox, follow them, end them.
 * Each handler reads like its paragraph of the API manual.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/stop.h"
#include "base/str.h"
#include "base/utf8.h"
#include "ops/exec/answer.h"
#include "ops/exec/exec.h"
#include "ops/exec/look.h"
#include "app/longwait.h"
#include "app/responder.h"

#define EXEC "/api/super/users/{user}/exec"
#define MAX_WAIT 60000		/* ms that a status may be held */
#define OFFSET_MAX (INT64_C(1) << 50)
#define SSE_PIECE 65536		/* bytes of a stream in one event */
#define SSE_SILENCE 15000	/* ms, then a comment */
#define SSE_SLACK 120000	/* ms beyond a job's limit, then its stream ends in any case */
#define LIST_MAX 200

/* ---- output as JSON ---- */

static void
json_begin(struct mw_req *req, struct mw_buf *b, size_t contents)
{
	/* The longest escape of a byte is six. */
	mw_buf_init(b, 6 * contents + 65536);
	(void)mw_json_open(b, NULL, '{');
	(void)mw_json_add(b, "userId", req->user);
}

static const char *
status_word(const struct mw_process *row)
{
	switch (row->state) {
	case MW_PROC_CLAIMED:
	case MW_PROC_RUNNING:
		return "running";
	case MW_PROC_EXITED:
		return row->exit_code == 0 ? "completed" : "failed";
	case MW_PROC_KILLED:
		return "killed";
	case MW_PROC_TIMEOUT:
		return "timeout";
	case MW_PROC_LOST:
		return "lost";
	default:
		return "failed";
	}
}

static bool
add_state(struct mw_req *req, struct mw_buf *b, const struct mw_process *row, int64_t duration)
{
	bool over = mw_process_over(row->state);

	(void)mw_json_add(b, "status", status_word(row));
	(void)mw_json_add_bool(b, "running", !over);
	if (over && row->state != MW_PROC_LOST)
		(void)mw_json_add_int(b, "exitCode", mw_exec_exit_code(row));
	else
		(void)mw_json_add(b, "exitCode", NULL);
	(void)mw_json_add(b, "startedAt", row->started > 0 ? mw_req_time(req, row->started) : NULL);
	(void)mw_json_add(b, "endedAt",
	    over && row->ended > 0 ? mw_req_time(req, row->ended) : NULL);
	return mw_json_add_int(b, "duration", duration > 0 ? duration : 0);
}

/* ---- POST: run ---- */

static bool
gone(void *arg)
{
	struct mw_req *req = arg;

	return req->io->gone != NULL && req->io->gone(req->io->t);
}

static enum mw_code
started(struct mw_req *req, const struct mw_exec_request *r, const struct mw_exec_view *v)
{
	struct mw_buf b;

	json_begin(req, &b, r->command.len);
	(void)(mw_json_add_text(&b, "command", r->command.data, r->command.len) &&
	    mw_json_add(&b, "status", "started") && mw_exec_add_started(&b, v));
	return mw_res_object(req, 200, &b);
}

static enum mw_code
finished(struct mw_req *req, const struct mw_exec_request *r, const struct mw_exec_view *v)
{
	struct mw_buf b;

	json_begin(req, &b, r->command.len + v->out.len + v->err.len);
	(void)(mw_json_add_text(&b, "command", r->command.data, r->command.len) &&
	    mw_exec_add_result(&b, v, (size_t)req->app->conf->exec.max_output));
	return mw_res_object(req, 200, &b);
}

static void
add_stream(struct mw_req *req, const char *name, const char *encoding, const struct mw_buf *s,
    bool dropped)
{
	bool text, cut;
	size_t n = mw_exec_fitting(s, (size_t)req->app->conf->exec.max_output, dropped, &text, &cut);

	(void)mw_exec_add_stream(&req->extra, name, encoding, s->data, n, text);
}

/* An error about a command names it, and one about its time shows what it had printed. */
static enum mw_code
failed(struct mw_req *req, const struct mw_exec_request *r, const struct mw_exec_view *v,
    enum mw_code code)
{
	struct mw_buf *extra = &req->extra;
	size_t n = r->command.len;

	if (n > MW_PROCESS_COMMAND_MAX)
		n = mw_utf8_span(r->command.data, MW_PROCESS_COMMAND_MAX);
	(void)mw_json_add_text(extra, "command", r->command.data, n);
	if (code != MW_COMMAND_TIMEOUT)
		return code;
	add_stream(req, "stdout", "stdoutEncoding", &v->out, v->row.out_cut);
	add_stream(req, "stderr", "stderrEncoding", &v->err, v->row.err_cut);
	(void)mw_json_add_int(extra, "exitCode", -1);
	(void)mw_json_add_bool(extra, "partial", true);
	(void)mw_json_add_int(extra, "duration", v->duration > 0 ? v->duration : 0);
	return code;
}

static enum mw_code
run(struct mw_req *req, const struct mw_exec_request *r)
{
	struct mw_exec_view v;
	enum mw_code code;
	int place = -1;

	mw_exec_view_init(&v);
	mw_app_deadline(req, r->max_wake, r->timeout);
	if (!r->stream)
		code = mw_wait_begin(req->app, &req->ctx, &place);
	else
		code = MW_OK;
	if (code == MW_OK) {
		req->touched = true;
		req->source = "container";
		code = mw_exec_run(req->app, &req->ctx, r, (size_t)req->app->conf->exec.max_output, &v);
	}
	mw_wait_end(req->app, place);
	if (code == MW_OK)
		code = r->stream ? started(req, r, &v) : finished(req, r, &v);
	else
		code = failed(req, r, &v, code);
	mw_exec_view_free(&v);
	return code;
}

static enum mw_code
post_exec(struct mw_req *req)
{
	struct mw_exec_request r;
	enum mw_code code;

	code = mw_exec_read(req, &r);
	r.gone = gone;
	r.arg = req;
	if (code == MW_OK)
		code = run(req, &r);
	mw_exec_request_free(&r);
	return code;
}

/* ---- GET: status ---- */

static enum mw_code
query_offsets(struct mw_req *req, struct mw_exec_ask *ask)
{
	enum mw_code code;

	code = mw_req_query_int(req, "stdoutOffset", 0, OFFSET_MAX, false, &ask->out_at);
	if (code == MW_OK)
		code = mw_req_query_int(req, "stderrOffset", 0, OFFSET_MAX, false, &ask->err_at);
	return code;
}

static enum mw_code
send_status(struct mw_req *req, const struct mw_exec_view *v, size_t max)
{
	bool running = !mw_process_over(v->row.state), out_text, err_text;
	size_t out = mw_exec_usable(&v->out, v->out.len, running || v->out.len == max, &out_text);
	size_t err = mw_exec_usable(&v->err, v->err.len, running || v->err.len == max, &err_text);
	struct mw_buf b;

	json_begin(req, &b, out + err);
	(void)(mw_json_add(&b, "processId", v->row.id) && mw_json_add_bool(&b, "found", true) &&
	    add_state(req, &b, &v->row, v->duration) &&
	    mw_exec_add_stream(&b, "stdout", "stdoutEncoding", v->out.data, out, out_text) &&
	    mw_exec_add_stream(&b, "stderr", "stderrEncoding", v->err.data, err, err_text) &&
	    mw_json_add_bool(&b, "stdoutTruncated", v->row.out_cut) &&
	    mw_json_add_bool(&b, "stderrTruncated", v->row.err_cut) &&
	    mw_json_add_int(&b, "nextStdoutOffset", v->out_at + (int64_t)out) &&
	    mw_json_add_int(&b, "nextStderrOffset", v->err_at + (int64_t)err));
	return mw_res_object(req, 200, &b);
}

static bool
any_news(const struct mw_exec_view *v)
{
	return mw_process_over(v->row.state) || v->out.len > 0 || v->err.len > 0;
}

/* One look of many; what v points to lives until the next one. */
static enum mw_code
look(struct mw_req *req, struct mw_scratch *s, const struct mw_exec_ask *ask,
    struct mw_exec_view *v)
{
	enum mw_code code;

	mw_scratch_enter(s);
	code = mw_exec_look(req->app, &req->ctx, req->user, req->id, ask, v);
	mw_scratch_leave(s);
	return code;
}

/* Look until something is new, the time is over, or nobody wants to know any more. */
static enum mw_code
hold(struct mw_req *req, struct mw_scratch *s, struct mw_exec_ask *ask, int64_t until,
    struct mw_exec_view *v)
{
	enum mw_code code;
	int64_t began;

	for (;;) {
		began = mw_now();
		ask->wait = mw_left(until);
		code = look(req, s, ask, v);
		if (code != MW_OK || any_news(v) || mw_left(until) == 0 || mw_stopping())
			return code;
		if (gone(req))
			return mw_ctx_fail(&req->ctx, MW_CLIENT_GONE, "the client is gone");
		(void)mw_wait_pace(began, false);
	}
}

static enum mw_code
get_status(struct mw_req *req)
{
	struct mw_exec_ask ask = { .max = (size_t)req->app->conf->exec.max_output };
	struct mw_scratch scratch;
	struct mw_exec_view v;
	enum mw_code code;
	int64_t wait = 0;
	int place = -1;

	if ((code = query_offsets(req, &ask)) != MW_OK ||
	    (code = mw_req_query_int(req, "wait", 0, MAX_WAIT, true, &wait)) != MW_OK ||
	    (code = mw_scratch_open(&scratch, &req->ctx, MW_EXEC_MEMORY)) != MW_OK)
		return code;
	mw_app_deadline(req, 0, wait + req->app->conf->sandbox.timeout);
	/* The last free process of the pool does not wait. */
	if (wait > 0 && mw_wait_begin(req->app, &req->ctx, &place) != MW_OK) {
		mw_err_clear(&req->ctx.err);
		wait = 0;
	}
	req->touched = true;
	mw_exec_view_init(&v);
	code = hold(req, &scratch, &ask, mw_now() + wait, &v);
	mw_wait_end(req->app, place);
	if (code == MW_OK)
		code = send_status(req, &v, ask.max);
	mw_exec_view_free(&v);
	mw_scratch_close(&scratch);
	return code;
}

/* ---- DELETE: kill ---- */

static enum mw_code
delete_exec(struct mw_req *req)
{
	struct mw_exec_ask ask = { .max = (size_t)req->app->conf->exec.max_output };
	struct mw_exec_view v;
	enum mw_code code;

	if ((code = query_offsets(req, &ask)) != MW_OK)
		return code;
	mw_app_deadline(req, 0, req->app->conf->sandbox.timeout);
	req->touched = true;
	mw_exec_view_init(&v);
	code = mw_exec_kill(req->app, &req->ctx, req->user, req->id, &ask, &v);
	if (code == MW_OK)
		code = send_status(req, &v, ask.max);
	mw_exec_view_free(&v);
	return code;
}

/* ---- GET: stream ---- */

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

	json_begin(s->req, &data, 0);
	(void)(mw_json_add(&data, "processId", v->row.id) &&
	    add_state(s->req, &data, &v->row, v->duration) && mw_json_close(&data, '}'));
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

	json_begin(s->req, &data, sizeof(s->req->ctx.err.msg));
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
		if (left || gone(req))
			return MW_CLIENT_GONE;
		if (mw_left(until) == 0 || mw_stopping())
			return MW_OK;	/* the client asks again, from here on */
		if (mw_now() - s->spoken >= SSE_SILENCE && !say(s, ": \n\n", 4))
			return MW_CLIENT_GONE;
		mw_app_deadline(req, 0, req->app->conf->sandbox.timeout);
		s->ask.wait = MW_EXEC_STEP;
		began = mw_now();
		code = look(req, &s->scratch, &s->ask, v);
		if (code != MW_OK)
			return say_error(s, code) ? MW_OK : MW_CLIENT_GONE;
		(void)mw_wait_pace(began, any_news(v));
	}
	return left ? MW_CLIENT_GONE : MW_OK;
}

static enum mw_code
get_stream(struct mw_req *req)
{
	struct sse s = { .req = req, .ask = { .max = SSE_PIECE }, .spoken = mw_now() };
	struct mw_exec_view v;
	enum mw_code code;
	int place;

	if ((code = query_offsets(req, &s.ask)) != MW_OK ||
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
	code = look(req, &s.scratch, &s.ask, &v);
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

/* ---- GET: list ---- */

struct list {
	struct mw_req *req;
	struct mw_buf b;
	unsigned n;
};

static enum mw_code
list_one(void *arg, const struct mw_process *row)
{
	struct list *l = arg;
	int64_t duration = row->started == 0 ? 0 :
	    (mw_process_over(row->state) ? row->ended : mw_wall()) - row->started;

	l->n++;
	(void)(mw_json_open(&l->b, NULL, '{') && mw_json_add(&l->b, "processId", row->id) &&
	    mw_json_add(&l->b, "command", row->command) &&
	    add_state(l->req, &l->b, row, duration) && mw_json_close(&l->b, '}'));
	return l->b.failed ? mw_ctx_nomem(&l->req->ctx) : MW_OK;
}

static enum mw_code
get_list(struct mw_req *req)
{
	struct list l = { .req = req };
	enum mw_code code;

	mw_app_deadline(req, 0, req->app->conf->sandbox.timeout);
	req->touched = true;
	/* As far as the sandbox can be asked; what was seen last is an answer too. */
	if (mw_exec_refresh(req->app, &req->ctx, req->user) != MW_OK)
		mw_err_clear(&req->ctx.err);
	json_begin(req, &l.b, (size_t)LIST_MAX * (MW_PROCESS_COMMAND_MAX + 100));
	(void)mw_json_open(&l.b, "processes", '[');
	code = mw_process_list(req->app->processes, &req->ctx, req->user, LIST_MAX, list_one, &l);
	if (code == MW_OK) {
		(void)(mw_json_close(&l.b, ']') && mw_json_add_int(&l.b, "count", l.n));
		code = mw_res_object(req, 200, &l.b);
	}
	mw_buf_free(&l.b);
	return code;
}

static const struct mw_route routes[] = {
	{ EXEC, MW_POST, 0, post_exec },
	{ EXEC, MW_GET | MW_HEAD, 0, get_list },
	{ EXEC "/{id}/status", MW_GET | MW_HEAD, 0, get_status },
	{ EXEC "/{id}/stream", MW_GET | MW_HEAD, 0, get_stream },
	{ EXEC "/{id}", MW_DELETE, 0, delete_exec },
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("exec", routes);
}
