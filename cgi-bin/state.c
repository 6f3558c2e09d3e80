/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.fcgi: who there is, how each one is, and waking, restarting and sleeping.
 * No GET here ever starts anything.
 */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "app/responder.h"
#include "ops/fleet/lifecycle.h"
#include "ops/wake/gateway.h"
#include "ops/ready/user_state.h"
#include "ops/fleet/users.h"
#include "ops/sync/answer.h"
#include "ops/ready/wake_result.h"
#include "app/names.h"

#define PAGE 100		/* users of a page that says nothing else */
#define DASHBOARD_MAX 10000	/* users on the dashboard */
#define STORE_TIME 3000		/* ms for R2 to say when the last sync was */
#define TAIL 200		/* lines of a log */
#define TAIL_MAX 10000
#define LINE_GUESS 200		/* bytes of a line, to know how many to fetch */
#define LOG_MIN 65536
#define LOG_MAX 1048576

/* ---- what several answers share ---- */

static const char *
time_or_null(struct mw_req *req, int64_t wall)
{
	return wall > 0 ? mw_req_time(req, wall) : NULL;
}

/* How the user is now; a failure to tell is an answer too. */
static enum mw_code
look(struct mw_req *req, struct mw_user_state *out)
{
	req->touched = true;
	return mw_user_state(req->app, &req->ctx, req->user, out);
}

static void
add_state(struct mw_buf *b, const struct mw_user_state *l)
{
	int64_t up = l->status.started > 0 ? (mw_wall() - l->status.started) / 1000 : -1;
	bool runs = l->state == MW_USER_ACTIVE || l->state == MW_USER_IDLE;

	(void)mw_json_add(b, "state", mw_activity_words[l->state]);
	(void)mw_json_add_known(b, "processCount", runs ? l->status.processes : 0);
	(void)mw_json_add_bool(b, "gatewayHealthy", l->healthy);
	(void)mw_json_add_known(b, "uptimeSeconds",
	    !runs ? -1 : up < 0 && l->status.started > 0 ? 0 : up);
	(void)mw_json_add_known(b, "memoryMB", runs && l->status.memory >= 0 ?
	    (l->status.memory + (1 << 20) - 1) >> 20 : -1);
	(void)mw_json_add_known(b, "latencyMs", l->latency);
	if (l->state == MW_USER_ERROR)
		(void)mw_json_add(b, "error", l->err.msg);
}

/* ---- GET users ---- */

/* A cursor is the last user, in hex: opaque, and safe in a URL. */
static enum mw_code
read_cursor(struct mw_req *req, const char **after)
{
	const struct mw_pair *q = mw_req_query(req, "cursor");
	char *user;

	*after = NULL;
	if (q == NULL)
		return MW_OK;
	user = mw_arena_alloc(req->ctx.arena, q->len / 2 + 1);
	if (user == NULL)
		return mw_ctx_nomem(&req->ctx);
	if (q->len % 2 != 0 || !mw_str_unhex(q->value, q->len, (unsigned char *)user) ||
	    !mw_user_valid(user, q->len / 2))
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "cursor: expected the nextCursor of an earlier answer");
	*after = user;
	return MW_OK;
}

/* That the list lacks somebody, and why. */
static void
add_gaps(struct mw_buf *b, const struct mw_users *u)
{
	size_t i;

	if (!u->partial)
		return;
	(void)mw_json_add_bool(b, "partial", true);
	(void)mw_json_open(b, "errors", '[');
	for (i = 0; i < MW_USERS_SOURCES; i++) {
		if (u->failed[i].code == MW_OK)
			continue;
		(void)mw_json_open(b, NULL, '{');
		(void)mw_json_add(b, "source", mw_users_source_words[i]);
		(void)mw_json_add(b, "code", mw_code_info(u->failed[i].code)->name);
		(void)mw_json_add(b, "error", u->failed[i].msg);
		(void)mw_json_close(b, '}');
	}
	(void)mw_json_close(b, ']');
}

static enum mw_code
get_users(struct mw_req *req)
{
	char cursor[2 * MW_USER_MAX + 1];
	struct mw_buf b;
	struct mw_users page;
	const char *after;
	int64_t limit = PAGE;
	enum mw_code code;
	size_t i;

	if ((code = read_cursor(req, &after)) != MW_OK ||
	    (code = mw_req_query_int(req, "limit", 1, MW_USERS_MAX, true, &limit)) != MW_OK)
		return code;
	req->touched = true;
	mw_app_deadline(req, 0, req->app->conf->store.timeout);
	if ((code = mw_users_page(req->app, &req->ctx, after, (size_t)limit, &page)) != MW_OK)
		return code;
	mw_res_open(&b);
	(void)mw_json_open(&b, "users", '[');
	for (i = 0; i < page.n; i++) {
		(void)mw_json_open(&b, NULL, '{');
		(void)mw_json_add(&b, "userId", page.id[i]);
		(void)mw_json_close(&b, '}');
	}
	(void)mw_json_close(&b, ']');
	(void)mw_json_add_int(&b, "count", (int64_t)page.n);
	if (page.more && page.n > 0) {
		mw_str_hex((const unsigned char *)page.id[page.n - 1],
		    strlen(page.id[page.n - 1]), cursor);
		(void)mw_json_add(&b, "nextCursor", cursor);
	}
	add_gaps(&b, &page);
	return mw_res_object(req, 200, &b);
}

/* ---- GET state/dashboard ---- */

static enum mw_code
get_dashboard(struct mw_req *req)
{
	int64_t began = mw_now(), counts[MW_USER_STATES] = { 0 };
	struct mw_user_state *looks;
	struct mw_users users;
	struct mw_buf b;
	enum mw_code code;
	size_t i;

	req->touched = true;
	mw_app_deadline(req, 0, req->app->conf->store.timeout);
	if ((code = mw_users_all(req->app, &req->ctx, DASHBOARD_MAX, &users)) != MW_OK)
		return code;
	looks = mw_arena_alloc(req->ctx.arena, (users.n + 1) * sizeof(*looks));
	if (looks == NULL)
		return mw_ctx_nomem(&req->ctx);
	req->ctx.deadline = mw_now() + req->app->conf->wake.health_timeout;
	if ((code = mw_user_states(req->app, &req->ctx, users.id, users.n, looks)) != MW_OK)
		return code;
	mw_res_open(&b);
	(void)mw_json_open(&b, "users", '[');
	for (i = 0; i < users.n; i++) {
		(void)mw_json_open(&b, NULL, '{');
		(void)mw_json_add(&b, "userId", users.id[i]);
		add_state(&b, &looks[i]);
		(void)mw_json_close(&b, '}');
		counts[looks[i].state]++;
	}
	(void)mw_json_close(&b, ']');
	(void)mw_json_open(&b, "summary", '{');
	(void)mw_json_add_int(&b, "total", (int64_t)users.n);
	for (i = 0; i < MW_USER_STATES; i++)
		(void)mw_json_add_int(&b, mw_activity_words[i], counts[i]);
	(void)mw_json_close(&b, '}');
	add_gaps(&b, &users);
	(void)mw_json_add_int(&b, "totalTimeMs", mw_now() - began);
	return mw_res_object(req, 200, &b);
}

/* ---- GET users/{id}/state ---- */

/* When .last-sync was written; 0 = never, or R2 does not say so in time. */
static int64_t
last_sync(struct mw_req *req)
{
	int64_t deadline = req->ctx.deadline;
	struct mw_object obj = { .modified = 0 };
	struct mw_store *store;
	const char *key = mw_store_key(req->app->conf, req->ctx.arena, req->user, MW_NAME_LAST_SYNC);

	if (key != NULL && mw_app_store(req->app, &req->ctx, &store) == MW_OK) {
		if (mw_now() + STORE_TIME < deadline)
			req->ctx.deadline = mw_now() + STORE_TIME;
		req->ctx.attempts++;
		req->ctx.counted = true;
		if (store->ops->head(store, &req->ctx, key, &obj) != MW_OK)
			obj.modified = 0;
	}
	req->ctx.deadline = deadline;
	mw_err_clear(&req->ctx.err);
	return obj.modified;
}

static enum mw_code
get_state(struct mw_req *req)
{
	struct mw_shm_user *row = mw_shm_user(req->app->shm, req->user);
	struct mw_user_state l;
	struct mw_buf b;
	enum mw_code code;

	if ((code = look(req, &l)) != MW_OK)
		return code;
	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	add_state(&b, &l);
	/* No driver says yet what runs inside. */
	(void)mw_json_add(&b, "version", NULL);
	(void)mw_json_add(&b, "lastActivity", time_or_null(req, atomic_load(&row->active)));
	(void)mw_json_add(&b, "lastSyncAt", time_or_null(req, last_sync(req)));
	mw_sync_add_missing(&b, req->app, &req->ctx, req->user);
	return mw_res_object(req, 200, &b);
}

/* ---- POST wake, restart, sleep ---- */

static enum mw_code
send_change(struct mw_req *req, int status, const struct mw_lifecycle *c)
{
	struct mw_buf b;

	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	(void)mw_json_add(&b, "previousState", mw_activity_words[c->before]);
	(void)mw_json_add(&b, "currentState", mw_activity_words[c->now]);
	(void)mw_json_add(&b, "action", c->action);
	(void)mw_json_add_int(&b, "waitedMs", c->waited);
	(void)mw_json_add_int(&b, "attempts", req->ctx.attempts);
	mw_sync_add_missing(&b, req->app, &req->ctx, req->user);
	if (c->failed.count > 0)
		mw_sync_add_failed(&b, req->ctx.arena, "failed", &c->failed);
	return mw_res_object(req, status, &b);
}

static enum mw_code
post_wake(struct mw_req *req)
{
	struct mw_lifecycle c = { .user = req->user, .wait = true };
	enum mw_code code;

	if ((code = mw_app_max_wake(req, &c.max_wake)) != MW_OK ||
	    (code = mw_req_query_bool(req, "wait", &c.wait)) != MW_OK)
		return code;
	mw_app_deadline(req, c.max_wake, 0);
	req->touched = true;
	code = mw_lifecycle_wake(req->app, &req->ctx, &c);
	return code != MW_OK ? code : send_change(req, c.wait ? 200 : 202, &c);
}

/* What comes before its sandbox is stopped. */
static enum mw_code
query_stop(struct mw_req *req, struct mw_lifecycle *c)
{
	enum mw_code code;

	c->sync = true;
	if ((code = mw_req_query_bool(req, "sync", &c->sync)) != MW_OK ||
	    (code = mw_req_query_bool(req, "delete", &c->remove)) != MW_OK)
		return code;
	return mw_req_query_bool(req, "force", &c->force);
}

static enum mw_code
post_sleep(struct mw_req *req)
{
	struct mw_lifecycle c = { .user = req->user };
	enum mw_code code;

	if ((code = query_stop(req, &c)) != MW_OK)
		return code;
	mw_app_deadline(req, 0, mw_lifecycle_time(req->app->conf, &c));
	req->touched = true;
	code = mw_lifecycle_sleep(req->app, &req->ctx, &c);
	return code != MW_OK ? code : send_change(req, 200, &c);
}

static enum mw_code
post_restart(struct mw_req *req)
{
	struct mw_lifecycle c = { .user = req->user };
	enum mw_code code;

	if ((code = mw_app_max_wake(req, &c.max_wake)) != MW_OK ||
	    (code = query_stop(req, &c)) != MW_OK)
		return code;
	mw_app_deadline(req, c.max_wake, mw_lifecycle_time(req->app->conf, &c));
	req->touched = true;
	code = mw_lifecycle_restart(req->app, &req->ctx, &c);
	return code != MW_OK ? code : send_change(req, 200, &c);
}

/* ---- GET users/{id}/logs ---- */

/* The last `tail` lines of the text. */
static const char *
last_lines(const char *text, int64_t tail)
{
	const char *s = text + strlen(text);

	if (s > text && s[-1] == '\n')
		s--;
	while (s > text && tail > 0) {
		if (s[-1] == '\n' && --tail == 0)
			break;
		s--;
	}
	return s;
}

static enum mw_code
get_logs(struct mw_req *req)
{
	int64_t tail = TAIL, bytes, count;
	struct mw_sandbox *sb;
	const char *text = "";
	struct mw_user_state l;
	struct mw_buf b, lines;
	enum mw_code code;

	if ((code = mw_req_query_int(req, "tail", 1, TAIL_MAX, true, &tail)) != MW_OK)
		return code;
	mw_app_deadline(req, 0, req->app->conf->sandbox.timeout);
	if ((code = look(req, &l)) != MW_OK || (code = mw_app_sandbox(req->app, &req->ctx, &sb)) != MW_OK)
		return code;
	if (l.state == MW_USER_ERROR) {
		req->ctx.err = l.err;
		return l.err.code;
	}
	if (l.probe.marker == 0)
		return mw_ctx_fail(&req->ctx, MW_SANDBOX_HIBERNATING,
		    "The sandbox of %s is hibernating: its gateway's log is inside; wake it first",
		    req->user);
	bytes = tail * LINE_GUESS;
	bytes = bytes < LOG_MIN ? LOG_MIN : bytes > LOG_MAX ? LOG_MAX : bytes;
	code = mw_gateway_log(req->app, &req->ctx, sb, req->user, &l.probe, (size_t)bytes, &text);
	if (code != MW_OK)
		return code;
	mw_buf_init(&lines, MW_RES_MAX);
	count = mw_add_lines(&lines, req->ctx.arena, last_lines(text, tail));
	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	(void)mw_json_add_int(&b, "count", count);
	(void)mw_json_open(&b, "lines", '[');
	(void)mw_json_add_all(&b, &lines);
	(void)mw_json_close(&b, ']');
	mw_buf_free(&lines);
	return mw_res_object(req, 200, &b);
}

static const struct mw_route routes[] = {
	{ "/api/super/users", MW_GET | MW_HEAD, 0, get_users },
	{ "/api/super/state/dashboard", MW_GET | MW_HEAD, 0, get_dashboard },
	{ "/api/super/users/{user}/state", MW_GET | MW_HEAD, 0, get_state },
	{ "/api/super/users/{user}/wake", MW_POST, 0, post_wake },
	{ "/api/super/users/{user}/restart", MW_POST, 0, post_restart },
	{ "/api/super/users/{user}/sleep", MW_POST, 0, post_sleep },
	{ "/api/super/users/{user}/logs", MW_GET | MW_HEAD, 0, get_logs },
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("state", routes);
}
