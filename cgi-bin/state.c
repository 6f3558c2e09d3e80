/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.fcgi: who there is, how each one is, and waking, restarting and sleeping.
 * No GET here ever starts anything.
 */
#include <json.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/utf8.h"
#include "app/responder.h"
#include "ops/fleet/lifecycle.h"
#include "ops/wake/gateway.h"
#include "ops/ready/user_state.h"
#include "ops/fleet/users.h"

#define PAGE 100		/* users of a page that says nothing else */
#define DASHBOARD_MAX 10000	/* users on the dashboard */
#define STORE_TIME 3000		/* ms for R2 to say when the last sync was */
#define TAIL 200		/* lines of a log */
#define TAIL_MAX 10000
#define LINE_GUESS 200		/* bytes of a line, to know how many to fetch */
#define LOG_MIN 65536
#define LOG_MAX 1048576

/* ---- what several answers share ---- */

static void
put(struct json_object *o, const char *name, struct json_object *value)
{
	(void)json_object_object_add(o, name, value);
}

static void
put_text(struct json_object *o, const char *name, const char *text)
{
	put(o, name, text != NULL ? json_object_new_string(text) : NULL);
}

/* -1 = not known: null. */
static void
put_number(struct json_object *o, const char *name, int64_t v)
{
	put(o, name, v >= 0 ? json_object_new_int64(v) : NULL);
}

static const char *
time_or_null(struct mw_req *req, int64_t wall)
{
	return wall > 0 ? mw_req_time(req, wall) : NULL;
}

static enum mw_code
send(struct mw_req *req, int status, struct json_object *o)
{
	put_text(o, "timestamp", mw_req_time(req, mw_wall()));
	return mw_res_json(req, status, o);
}

/* How the user is now; a failure to tell is an answer too. */
static enum mw_code
look(struct mw_req *req, struct mw_user_state *out)
{
	req->touched = true;
	return mw_user_state_of(req->app, &req->ctx, req->user, out);
}

static void
put_state(struct json_object *o, const struct mw_user_state *l)
{
	int64_t up = l->status.started > 0 ? (mw_wall() - l->status.started) / 1000 : -1;
	bool runs = l->state == MW_USER_ACTIVE || l->state == MW_USER_IDLE;

	put_text(o, "state", mw_activity_words[l->state]);
	put_number(o, "processCount", runs ? l->status.processes : 0);
	put(o, "gatewayHealthy", json_object_new_boolean(l->healthy));
	put_number(o, "uptimeSeconds", !runs ? -1 : up < 0 && l->status.started > 0 ? 0 : up);
	put_number(o, "memoryMB", runs && l->status.memory >= 0 ?
	    (l->status.memory + (1 << 20) - 1) >> 20 : -1);
	put_number(o, "latencyMs", l->latency);
	if (l->state == MW_USER_ERROR)
		put_text(o, "error", l->err.msg);
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
put_gaps(struct json_object *o, const struct mw_users *u)
{
	struct json_object *list, *one;
	size_t i;

	if (!u->partial)
		return;
	list = json_object_new_array();
	for (i = 0; i < MW_USERS_SOURCES; i++) {
		if (u->failed[i].code == MW_OK)
			continue;
		one = json_object_new_object();
		put_text(one, "source", mw_users_source_words[i]);
		put_text(one, "code", mw_code_info(u->failed[i].code)->name);
		put_text(one, "error", u->failed[i].msg);
		json_object_array_add(list, one);
	}
	put(o, "partial", json_object_new_boolean(true));
	put(o, "errors", list);
}

static enum mw_code
get_users(struct mw_req *req)
{
	struct json_object *o, *list;
	char cursor[2 * MW_USER_MAX + 1];
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
	o = json_object_new_object();
	list = json_object_new_array();
	for (i = 0; i < page.n; i++) {
		struct json_object *one = json_object_new_object();

		put_text(one, "userId", page.id[i]);
		json_object_array_add(list, one);
	}
	put(o, "users", list);
	put_number(o, "count", (int64_t)page.n);
	if (page.more && page.n > 0) {
		mw_str_hex((const unsigned char *)page.id[page.n - 1],
		    strlen(page.id[page.n - 1]), cursor);
		put_text(o, "nextCursor", cursor);
	}
	put_gaps(o, &page);
	return send(req, 200, o);
}

/* ---- GET state/dashboard ---- */

static enum mw_code
get_dashboard(struct mw_req *req)
{
	int64_t began = mw_now(), counts[MW_USER_STATES] = { 0 };
	struct json_object *o, *list, *summary, *one;
	struct mw_user_state *looks;
	struct mw_users users;
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
	o = json_object_new_object();
	list = json_object_new_array();
	for (i = 0; i < users.n; i++) {
		one = json_object_new_object();
		put_text(one, "userId", users.id[i]);
		put_state(one, &looks[i]);
		json_object_array_add(list, one);
		counts[looks[i].state]++;
	}
	summary = json_object_new_object();
	put_number(summary, "total", (int64_t)users.n);
	for (i = 0; i < MW_USER_STATES; i++)
		put_number(summary, mw_activity_words[i], counts[i]);
	put(o, "users", list);
	put(o, "summary", summary);
	put_gaps(o, &users);
	put_number(o, "totalTimeMs", mw_now() - began);
	return send(req, 200, o);
}

/* ---- GET users/{id}/state ---- */

/* When .last-sync was written; 0 = never, or R2 does not say so in time. */
static int64_t
last_sync(struct mw_req *req)
{
	int64_t deadline = req->ctx.deadline;
	struct mw_object obj = { .modified = 0 };
	struct mw_store *store;
	const char *key = mw_store_key(req->app->conf, req->ctx.arena, req->user, ".last-sync");

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
	struct json_object *o;
	struct mw_user_state l;
	enum mw_code code;

	if ((code = look(req, &l)) != MW_OK)
		return code;
	o = json_object_new_object();
	put_text(o, "userId", req->user);
	put_state(o, &l);
	/* No driver says yet what runs inside. */
	put_text(o, "version", NULL);
	put_text(o, "lastActivity", time_or_null(req, atomic_load(&row->active)));
	put_text(o, "lastSyncAt", time_or_null(req, last_sync(req)));
	return send(req, 200, o);
}

/* ---- POST wake, restart, sleep ---- */

static enum mw_code
send_change(struct mw_req *req, int status, const struct mw_lifecycle *c)
{
	struct json_object *o = json_object_new_object();

	put_text(o, "userId", req->user);
	put_text(o, "previousState", mw_activity_words[c->before]);
	put_text(o, "currentState", mw_activity_words[c->now]);
	put_text(o, "action", c->action);
	put_number(o, "waitedMs", c->waited);
	put_number(o, "attempts", req->ctx.attempts);
	return send(req, status, o);
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
	if ((code = mw_req_query_bool(req, "sync", &c->sync)) != MW_OK)
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
static struct json_object *
last_lines(struct mw_req *req, const char *text, int64_t tail)
{
	struct json_object *list = json_object_new_array();
	const char *s = text + strlen(text), *end = s;
	char *line;
	size_t n;

	if (s > text && s[-1] == '\n')
		end = --s;
	while (s > text && tail > 0) {
		if (s[-1] == '\n' && --tail == 0)
			break;
		s--;
	}
	while (s < end) {
		n = strcspn(s, "\n");
		if ((line = mw_arena_dup(req->ctx.arena, s, n)) == NULL)
			break;
		mw_utf8_clean(line, n, '?');
		json_object_array_add(list, json_object_new_string_len(line, (int)n));
		s += n + 1;
	}
	return list;
}

static enum mw_code
get_logs(struct mw_req *req)
{
	struct json_object *o, *lines;
	int64_t tail = TAIL, bytes;
	struct mw_sandbox *sb;
	const char *text = "";
	struct mw_user_state l;
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
	o = json_object_new_object();
	lines = last_lines(req, text, tail);
	put_text(o, "userId", req->user);
	put_number(o, "count", (int64_t)json_object_array_length(lines));
	put(o, "lines", lines);
	return send(req, 200, o);
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
