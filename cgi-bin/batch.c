/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * batch.fcgi: many operations on a user's files in one request.  It serves the
 * files routes too, since a file may be named "batch".
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "files.h"
#include "ops/files/batch.h"
#include "ops/files/params.h"
#include "app/responder.h"

#define PIECE (16 * 1024)
#define TIMED_MAX 10		/* operations whose time limits add up */

/* ---- the request ---- */

/* Which row and member were bad, for programs. */
static enum mw_code
bad_request(struct mw_req *req, const struct mw_batch_in *in, enum mw_code code)
{
	if (in->row < 0)
		return code;
	(void)mw_json_open(&req->extra, "details", '{');
	(void)mw_json_add_int(&req->extra, "index", in->row);
	if (in->field != NULL)
		(void)mw_json_add(&req->extra, "field", in->field);
	(void)mw_json_close(&req->extra, '}');
	return code;
}

static enum mw_code
read_request(struct mw_req *req, struct mw_batch *b)
{
	struct mw_app *app = req->app;
	struct mw_batch_in in;
	char piece[PIECE];
	enum mw_code code;
	size_t n;

	mw_batch_in_init(&in, b, req->ctx.arena, &req->ctx.err, app->spool_dir,
	    app->conf->batch.max_operations, mw_source_default(app->conf));
	do {
		if ((code = mw_req_read(req, piece, sizeof(piece), &n)) != MW_OK ||
		    (n > 0 && (code = mw_batch_in_feed(&in, piece, n)) != MW_OK))
			return bad_request(req, &in, code);
	} while (n > 0);
	return bad_request(req, &in, mw_batch_in_finish(&in));
}

/* ---- the answer ---- */

/* Written twice: first to count, then to send.  Contents are never held escaped. */
struct out {
	struct mw_req *req;
	bool counting;
	bool failed;
	int64_t length;
};

static void
put(struct out *o, const char *p, size_t n)
{
	o->length += (int64_t)n;
	if (!o->counting && !o->failed)
		o->failed = !mw_res_write(o->req, p, n);
}

static void
add(struct out *o, const char *s)
{
	put(o, s, strlen(s));
}

static void
put_escaped(struct out *o, const char *s, size_t n)
{
	if (o->counting)
		o->length += (int64_t)mw_json_escaped(s, n);
	else if (!o->failed)
		o->failed = !mw_json_escape(mw_res_writer, o->req, s, n);
}

static void
put_base64(struct out *o, const char *s, size_t n)
{
	if (o->counting)
		o->length += (int64_t)((n + 2) / 3 * 4);
	else if (!o->failed)
		o->failed = !mw_base64_write(mw_res_writer, o->req, s, n);
}

static void
text(struct out *o, const char *name, const char *value)
{
	add(o, ",\"");
	add(o, name);
	add(o, "\":\"");
	put_escaped(o, value, strlen(value));
	add(o, "\"");
}

static void
truth(struct out *o, const char *name, bool value)
{
	add(o, ",\"");
	add(o, name);
	add(o, value ? "\":true" : "\":false");
}

static void
number(struct out *o, const char *name, int64_t value)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%lld", (long long)value);
	add(o, ",\"");
	add(o, name);
	add(o, "\":");
	add(o, digits);
}

static void
read_members(struct out *o, const struct mw_batch_op *op)
{
	char message[96];

	text(o, "source", op->from);
	if (op->too_large) {
		number(o, "size", op->size);
		(void)snprintf(message, sizeof(message),
		    "The file has more than %lld bytes: read it alone, with raw=1",
		    (long long)o->req->app->conf->read.max_json);
		text(o, "message", message);
		return;
	}
	add(o, ",\"content\":\"");
	if (op->binary)
		put_base64(o, op->content, (size_t)op->size);
	else
		put_escaped(o, op->content, (size_t)op->size);
	add(o, "\"");
	text(o, "encoding", op->binary ? "base64" : "utf-8");
	number(o, "size", op->size);
	truth(o, "isBinary", op->binary);
}

static void
write_members(struct out *o, const struct mw_batch_op *op)
{
	const struct mw_write *w = &op->written;

	if (op->kind == MW_BATCH_WRITE)
		number(o, "bytesWritten", op->size);
	else
		truth(o, "existed", w->existed);
	add(o, w->r2_synced ? ",\"r2Sync\":{\"success\":true" : ",\"r2Sync\":{\"success\":false");
	truth(o, "queued", w->r2_queued);
	if (w->r2_error != NULL)
		text(o, "error", w->r2_error);
	else
		add(o, ",\"error\":null");
	add(o, "}");
}

static void
success(struct out *o, const struct mw_batch_op *op)
{
	switch (op->kind) {
	case MW_BATCH_READ:
		read_members(o, op);
		break;
	case MW_BATCH_EXISTS:
		truth(o, "exists", op->exists);
		if (op->exists) {
			text(o, "source", op->from);
			number(o, "size", op->size);
		}
		break;
	default:
		write_members(o, op);
		break;
	}
}

static void
result(struct out *o, const struct mw_batch *b, const struct mw_batch_op *op)
{
	const struct mw_code_info *info = mw_code_info(op->code);
	char why[96];

	add(o, "{\"op\":\"");
	add(o, mw_batch_words[op->kind]);
	add(o, "\",\"path\":\"");
	put_escaped(o, op->sent, op->sent_len);
	add(o, "\"");
	truth(o, "success", op->ran && op->code == MW_OK);
	if (op->skipped) {
		number(o, "status", 424);
		truth(o, "skipped", true);
		(void)snprintf(why, sizeof(why),
		    "Not run: operations[%zu] failed, and stopOnError is set", b->stopped_by);
		text(o, "error", why);
	} else if (op->code == MW_OK) {
		number(o, "status", 200);
		success(o, op);
	} else {
		number(o, "status", info->status);
		text(o, "error", op->error != NULL ? op->error : info->name);
		text(o, "code", info->name);
		text(o, "errorType", info->type);
	}
	add(o, "}");
}

/* ran: completed; ran without a failure: succeeded; all others: failed. */
static void
count(const struct mw_batch *b, int64_t *completed, int64_t *succeeded)
{
	size_t i;

	*completed = *succeeded = 0;
	for (i = 0; i < b->n; i++) {
		*completed += b->op[i].ran;
		*succeeded += b->op[i].ran && b->op[i].code == MW_OK;
	}
}

static void
answer(struct out *o, const struct mw_batch *b, int64_t ms, const char *now)
{
	int64_t completed, succeeded;
	size_t i;

	count(b, &completed, &succeeded);
	add(o, "{\"userId\":\"");
	add(o, b->user);
	add(o, "\"");
	number(o, "completed", completed);
	number(o, "succeeded", succeeded);
	number(o, "failed", (int64_t)b->n - succeeded);
	add(o, ",\"results\":[");
	for (i = 0; i < b->n; i++) {
		if (i > 0)
			add(o, ",");
		result(o, b, &b->op[i]);
	}
	add(o, "]");
	truth(o, "parallel", b->parallel);
	number(o, "durationMs", ms);
	text(o, "timestamp", now);
	add(o, "}\n");
}

static enum mw_code
send_answer(struct mw_req *req, const struct mw_batch *b)
{
	struct out o = { .req = req, .counting = true };
	const char *now = mw_req_time(req, mw_wall());
	int64_t ms = mw_now() - req->started;

	answer(&o, b, ms, now);
	mw_res_start(req, 200, "application/json", o.length);
	o.counting = false;
	answer(&o, b, ms, now);
	return o.failed ? MW_CLIENT_GONE : MW_OK;
}

static enum mw_code
post_batch(struct mw_req *req)
{
	struct mw_batch b;
	enum mw_code code;
	size_t timed;

	mw_batch_init(&b);
	b.user = req->user;
	if ((code = mw_app_max_wake(req, &b.max_wake)) == MW_OK &&
	    (code = read_request(req, &b)) == MW_OK) {
		timed = b.n < TIMED_MAX ? b.n : TIMED_MAX;
		mw_app_deadline(req, b.max_wake,
		    req->app->conf->sandbox.timeout * (int64_t)timed);
		req->touched = true;
		if ((code = mw_batch_run(req->app, &req->ctx, &b)) == MW_OK)
			code = send_answer(req, &b);
	}
	mw_batch_free(&b);
	return code;
}

static const struct mw_route routes[] = {
	{ MW_FILES "/batch", MW_POST, 0, post_batch },
	MW_FILES_ROWS,
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("batch", routes);
}
