/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulk.fcgi: one operation for many users, a line of JSON about each as it ends.
 * Each turn reads like the operation's own paragraph of the API manual.
 */
#include <string.h>

#include "base/clock.h"
#include "ops/fleet/lifecycle.h"
#include "ops/config/document.h"
#include "ops/exec/answer.h"
#include "ops/exec/exec.h"
#include "ops/fleet/bulk.h"
#include "ops/fleet/bulk_request.h"
#include "ops/sync/answer.h"
#include "ops/fleet/users.h"
#include "app/longwait.h"
#include "app/responder.h"
#include "ops/files/params.h"

#define PIECE (16 * 1024)

struct bulk {
	struct mw_req *req;
	struct mw_fleet_request f;
	struct mw_fleet run;
};

/* ---- one user's turn ---- */

static enum mw_code
change_members(struct mw_fleet_turn *t, const struct mw_lifecycle *c)
{
	(void)(mw_json_add(&t->more, "previousState", mw_activity_words[c->before]) &&
	    mw_json_add(&t->more, "currentState", mw_activity_words[c->now]) &&
	    mw_json_add(&t->more, "action", c->action) &&
	    mw_json_add_int(&t->more, "waitedMs", c->waited));
	return MW_OK;
}

static enum mw_code
wake(void *arg, struct mw_fleet_turn *t)
{
	const struct mw_fleet_request *f = &((struct bulk *)arg)->f;
	struct mw_lifecycle c = { .user = t->user, .max_wake = f->max_wake, .wait = f->wait };
	enum mw_code code;

	mw_app_limit(t->ctx, c.max_wake, 0);
	t->status = c.wait ? 200 : 202;
	code = mw_lifecycle_wake(t->app, t->ctx, &c);
	return code == MW_OK ? change_members(t, &c) : code;
}

static enum mw_code
restart(void *arg, struct mw_fleet_turn *t)
{
	const struct mw_fleet_request *f = &((struct bulk *)arg)->f;
	struct mw_lifecycle c = { .user = t->user, .max_wake = f->max_wake, .sync = f->sync,
	    .remove = f->remove, .force = f->force };
	enum mw_code code;

	mw_app_limit(t->ctx, c.max_wake, mw_lifecycle_time(t->app->conf, &c));
	code = mw_lifecycle_restart(t->app, t->ctx, &c);
	return code == MW_OK ? change_members(t, &c) : code;
}

static bool
client_gone(void *arg)
{
	return mw_fleet_gone(arg);
}

/* A key of the request's is one of its own for each user. */
static enum mw_code
exec(void *arg, struct mw_fleet_turn *t)
{
	struct bulk *b = arg;
	struct mw_exec_request r = b->f.exec;
	size_t max = (size_t)t->app->conf->exec.max_output;
	struct mw_exec_view v;
	enum mw_code code;

	if (r.key != NULL && (r.key = mw_arena_printf(t->ctx->arena, "bulk:%s", r.key)) == NULL)
		return mw_ctx_nomem(t->ctx);
	r.user = t->user;
	r.gone = client_gone;
	r.arg = &b->run;
	mw_app_limit(t->ctx, r.max_wake, r.timeout);
	mw_exec_view_init(&v);
	code = mw_exec_run(t->app, t->ctx, &r, max, &v);
	if (code == MW_OK && r.stream)
		(void)mw_exec_add_started(&t->more, &v);
	else if (code == MW_OK || code == MW_COMMAND_TIMEOUT)
		(void)mw_exec_add_result(&t->more, &v, max);
	if (code == MW_COMMAND_TIMEOUT)
		(void)mw_json_add_bool(&t->more, "partial", true);
	mw_exec_view_free(&v);
	return code;
}

/* With paths that failed it has not succeeded, though it went on to its end. */
static enum mw_code
sync_user(void *arg, struct mw_fleet_turn *t)
{
	const struct mw_fleet_request *f = &((struct bulk *)arg)->f;
	struct mw_sync s = { .user = t->user, .direction = f->direction, .remove = f->remove,
	    .dry_run = f->dry_run, .force = f->force, .max_wake = f->max_wake };
	enum mw_code code;

	mw_app_limit(t->ctx, s.max_wake, t->app->conf->sync.timeout);
	if ((code = mw_sync(t->app, t->ctx, &s)) != MW_OK)
		return code;
	mw_sync_add_result(&t->more, t->ctx->arena, &s);
	if (s.failed.count == 0)
		return MW_OK;
	return mw_ctx_fail(t->ctx, s.failed.first->code, "The sync failed for %lld files, the "
	    "first is /%.100s", (long long)s.failed.count, s.failed.first->path);
}

static enum mw_code
patch_config(void *arg, struct mw_fleet_turn *t)
{
	const struct mw_fleet_request *f = &((struct bulk *)arg)->f;
	struct mw_document d = { .user = t->user, .max_wake = f->max_wake, .force = f->force };
	char modified[MW_RFC3339_LEN];
	enum mw_code code;

	mw_app_limit(t->ctx, d.max_wake, t->app->conf->sandbox.timeout);
	code = mw_document_patch(t->app, t->ctx, &d, f->patch.data, f->patch.len);
	if (code != MW_OK)
		return code;
	mw_rfc3339(d.modified, modified);
	(void)(mw_json_add(&t->more, "path", d.path) && mw_json_add(&t->more, "etag", d.etag) &&
	    mw_json_add(&t->more, "source", d.from) &&
	    mw_json_add(&t->more, "lastModified", d.modified > 0 ? modified : NULL) &&
	    mw_json_add_bool(&t->more, "saved", d.saved) &&
	    mw_json_add_bool(&t->more, "applied", d.applied));
	mw_add_r2_sync(&t->more, &d.written);
	return MW_OK;
}

static enum mw_code (*const turns[])(void *, struct mw_fleet_turn *) = {
	[MW_FLEET_WAKE] = wake, [MW_FLEET_RESTART] = restart, [MW_FLEET_EXEC] = exec,
	[MW_FLEET_SYNC] = sync_user, [MW_FLEET_CONFIG] = patch_config,
};

/* ---- the request ---- */

/* Which row and member were bad, for programs. */
static enum mw_code
bad_request(struct mw_req *req, const struct mw_fleet_in *in, enum mw_code code)
{
	if (code == MW_OK || in->field == NULL)
		return code;
	(void)mw_json_open(&req->extra, "details", '{');
	if (in->row >= 0)
		(void)mw_json_add_int(&req->extra, "index", in->row);
	(void)mw_json_add(&req->extra, "field", in->field);
	(void)mw_json_close(&req->extra, '}');
	return code;
}

static enum mw_code
read_all(struct mw_req *req, struct mw_fleet_in *in)
{
	char piece[PIECE];
	enum mw_code code;
	size_t n;

	for (n = 0; n < req->nquery; n++) {
		if ((code = mw_fleet_in_query(in, req->query[n].name)) != MW_OK)
			return code;
	}
	do {
		if ((code = mw_req_read(req, piece, sizeof(piece), &n)) != MW_OK ||
		    (n > 0 && (code = mw_fleet_in_feed(in, piece, n)) != MW_OK))
			return code;
	} while (n > 0);
	return mw_fleet_in_finish(in);
}

static enum mw_code
read_request(struct bulk *b, enum mw_fleet_op op)
{
	struct mw_req *req = b->req;
	struct mw_fleet_in in;
	enum mw_code code;

	mw_fleet_in_init(&in, &b->f, op, &req->ctx, req->app->conf, (size_t)req->max_body);
	code = bad_request(req, &in, read_all(req, &in));
	mw_fleet_in_free(&in);
	return code;
}

/* Who "all" are: whoever is there now.  Some of them are not all. */
static enum mw_code
everybody(struct bulk *b)
{
	struct mw_req *req = b->req;
	struct mw_users users;
	enum mw_code code;
	size_t i;

	req->touched = true;
	if ((code = mw_users_all(req->app, &req->ctx, MW_FLEET_USERS_MAX, &users)) != MW_OK)
		return code;
	for (i = 0; i < MW_USERS_SOURCES; i++) {
		if (users.failed[i].code != MW_OK)
			return mw_ctx_fail(&req->ctx, users.failed[i].code, "userIds: \"all\" are not "
			    "known, nothing was done: %.200s", users.failed[i].msg);
	}
	b->f.user = users.id;
	b->f.n = users.n;
	if (users.more)
		code = mw_ctx_fail(&req->ctx, MW_TOO_MANY_OPERATIONS, "userIds: \"all\" are more than "
		    "%d; name them in several requests", MW_FLEET_USERS_MAX);
	return code;
}

/* ---- the answer ---- */

static bool
say(void *arg, const char *line, size_t n)
{
	const struct bulk *b = arg;

	return mw_res_write(b->req, line, n) && mw_res_flush(b->req);
}

static bool
gone(void *arg)
{
	const struct bulk *b = arg;
	const struct mw_io *io = b->req->io;

	return b->req->broken || (io->gone != NULL && io->gone(io->t));
}

/* The last line says that there is no more. */
static enum mw_code
summary(struct bulk *b)
{
	struct mw_req *req = b->req;
	const struct mw_fleet *r = &b->run;
	struct mw_buf line;
	bool sent;

	mw_buf_init(&line, 1024);
	(void)(mw_json_open(&line, NULL, '{') && mw_json_add_bool(&line, "summary", true) &&
	    mw_json_add(&line, "operation", r->what) &&
	    mw_json_add_int(&line, "total", (int64_t)r->n) &&
	    mw_json_add_int(&line, "succeeded", (int64_t)r->succeeded) &&
	    mw_json_add_int(&line, "failed", (int64_t)r->failed) &&
	    mw_json_add_int(&line, "skipped", (int64_t)r->skipped) &&
	    mw_json_add_int(&line, "durationMs", mw_now() - req->started) &&
	    mw_json_add(&line, "requestId", req->ctx.request_id) &&
	    mw_json_add(&line, "timestamp", mw_req_time(req, mw_wall())) &&
	    mw_buf_adds(&line, "}\n"));
	if (line.failed)
		return mw_ctx_nomem(&req->ctx);
	sent = say(b, line.data, line.len);
	mw_buf_free(&line);
	return sent ? MW_OK : MW_CLIENT_GONE;
}

static enum mw_code
stream(struct bulk *b)
{
	struct mw_req *req = b->req;
	enum mw_code code;
	int place;

	b->run = (struct mw_fleet){ .what = mw_fleet_words[b->f.op], .user = b->f.user,
	    .n = b->f.n, .concurrency = (size_t)b->f.concurrency, .turn = turns[b->f.op],
	    .say = say, .gone = gone, .arg = b };
	if ((code = mw_wait_begin(req->app, &req->ctx, &place)) != MW_OK)
		return code;
	mw_res_header(req, "X-Accel-Buffering", "no");
	mw_res_start(req, 200, "application/x-ndjson", -1);
	if (!mw_res_flush(req))
		code = MW_CLIENT_GONE;
	else
		code = mw_fleet_run(req->app, &req->ctx, &b->run);
	mw_wait_end(req->app, place);
	if (code == MW_OK)
		code = b->run.left ? MW_CLIENT_GONE : summary(b);
	return code;
}

static enum mw_code
bulk(struct mw_req *req, enum mw_fleet_op op)
{
	struct bulk b = { .req = req };
	enum mw_code code = read_request(&b, op);

	req->ctx.deadline = mw_now() + req->app->conf->bulk.timeout;
	if (code == MW_OK && b.f.all)
		code = everybody(&b);
	if (code == MW_OK)
		code = stream(&b);
	mw_fleet_request_free(&b.f);
	return code;
}

static enum mw_code
post_wake(struct mw_req *req)
{
	return bulk(req, MW_FLEET_WAKE);
}

static enum mw_code
post_restart(struct mw_req *req)
{
	return bulk(req, MW_FLEET_RESTART);
}

static enum mw_code
post_exec(struct mw_req *req)
{
	return bulk(req, MW_FLEET_EXEC);
}

static enum mw_code
post_sync(struct mw_req *req)
{
	return bulk(req, MW_FLEET_SYNC);
}

static enum mw_code
post_config(struct mw_req *req)
{
	return bulk(req, MW_FLEET_CONFIG);
}

#define BULK "/api/super/bulk/"

static const struct mw_route routes[] = {
	{ BULK "wake", MW_POST, 0, post_wake },
	{ BULK "restart", MW_POST, 0, post_restart },
	{ BULK "exec", MW_POST, 0, post_exec },
	{ BULK "sync", MW_POST, 0, post_sync },
	{ BULK "config-patch", MW_POST, 0, post_config },
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("bulk", routes);
}
