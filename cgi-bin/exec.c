/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec.fcgi: run commands in a user's sandbox, follow them, end them.
 * Each handler reads like its paragraph of the API manual.
 */
#include "exec.h"

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

#define MAX_WAIT 60000		/* ms that a status may be held */
#define LIST_MAX 200

/* ---- output as JSON ---- */

void
mw_exec_begin(struct mw_req *req, struct mw_buf *b, size_t contents)
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

bool
mw_exec_add_state(struct mw_req *req, struct mw_buf *b, const struct mw_process *row, int64_t duration)
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

bool
mw_exec_gone(void *arg)
{
	struct mw_req *req = arg;

	return req->io->gone != NULL && req->io->gone(req->io->t);
}

static enum mw_code
started(struct mw_req *req, const struct mw_exec_request *r, const struct mw_exec_view *v)
{
	struct mw_buf b;

	mw_exec_begin(req, &b, r->command.len);
	(void)(mw_json_add_text(&b, "command", r->command.data, r->command.len) &&
	    mw_json_add(&b, "status", "started") && mw_exec_add_started(&b, v));
	return mw_res_object(req, 200, &b);
}

static enum mw_code
finished(struct mw_req *req, const struct mw_exec_request *r, const struct mw_exec_view *v)
{
	struct mw_buf b;

	mw_exec_begin(req, &b, r->command.len + v->out.len + v->err.len);
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
	r.gone = mw_exec_gone;
	r.arg = req;
	if (code == MW_OK)
		code = run(req, &r);
	mw_exec_request_free(&r);
	return code;
}

/* ---- GET: status ---- */

enum mw_code
mw_exec_offsets(struct mw_req *req, struct mw_exec_ask *ask)
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

	mw_exec_begin(req, &b, out + err);
	(void)(mw_json_add(&b, "processId", v->row.id) && mw_json_add_bool(&b, "found", true) &&
	    mw_exec_add_state(req, &b, &v->row, v->duration) &&
	    mw_exec_add_stream(&b, "stdout", "stdoutEncoding", v->out.data, out, out_text) &&
	    mw_exec_add_stream(&b, "stderr", "stderrEncoding", v->err.data, err, err_text) &&
	    mw_json_add_bool(&b, "stdoutTruncated", v->row.out_cut) &&
	    mw_json_add_bool(&b, "stderrTruncated", v->row.err_cut) &&
	    mw_json_add_int(&b, "nextStdoutOffset", v->out_at + (int64_t)out) &&
	    mw_json_add_int(&b, "nextStderrOffset", v->err_at + (int64_t)err));
	return mw_res_object(req, 200, &b);
}

bool
mw_exec_news(const struct mw_exec_view *v)
{
	return mw_process_over(v->row.state) || v->out.len > 0 || v->err.len > 0;
}

/* One look of many; what v points to lives until the next one. */
enum mw_code
mw_exec_watch(struct mw_req *req, struct mw_scratch *s, const struct mw_exec_ask *ask,
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
		code = mw_exec_watch(req, s, ask, v);
		if (code != MW_OK || mw_exec_news(v) || mw_left(until) == 0 || mw_stopping())
			return code;
		if (mw_exec_gone(req))
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

	if ((code = mw_exec_offsets(req, &ask)) != MW_OK ||
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

	if ((code = mw_exec_offsets(req, &ask)) != MW_OK)
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
	    mw_exec_add_state(l->req, &l->b, row, duration) && mw_json_close(&l->b, '}'));
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
	mw_exec_begin(req, &l.b, (size_t)LIST_MAX * (MW_PROCESS_COMMAND_MAX + 100));
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
	{ EXEC "/{id}/stream", MW_GET | MW_HEAD, 0, mw_exec_stream },
	{ EXEC "/{id}", MW_DELETE, 0, delete_exec },
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("exec", routes);
}
