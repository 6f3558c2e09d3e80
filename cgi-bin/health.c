/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * health.fcgi: is this gateway alive, and how are the parts it stands on?
 * Also the catch-all: whatever no other responder has is 403 or 404 here.
 */
#include <json.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "app/responder.h"
#include "ops/fleet/health.h"
#include "app/retry.h"

/* How long R2 may take to answer before it counts as down, ms. */
#define PING_TIMEOUT 5000

static enum mw_code
get_healthz(struct mw_req *req)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "status", json_object_new_string("ok"));
	return mw_res_json(req, 200, o);
}

/* {"ok","latencyMs","error"?}; one try, for a health page must not wait for backoffs. */
static struct json_object *
store_health(struct mw_req *req, bool *good)
{
	struct json_object *o = json_object_new_object();
	struct mw_store *store;
	int64_t began = mw_now(), deadline = req->ctx.deadline;

	if (mw_now() + PING_TIMEOUT < deadline)
		req->ctx.deadline = mw_now() + PING_TIMEOUT;
	*good = mw_app_store(req->app, &req->ctx, &store) == MW_OK;
	if (*good) {
		req->ctx.attempts++;
		req->ctx.counted = true;
		*good = store->ops->ping(store, &req->ctx) == MW_OK;
	}
	req->ctx.deadline = deadline;
	req->touched = true;
	json_object_object_add(o, "ok", json_object_new_boolean(*good));
	json_object_object_add(o, "latencyMs", json_object_new_int64(mw_now() - began));
	if (!*good)
		json_object_object_add(o, "error", json_object_new_string(req->ctx.err.msg));
	mw_err_clear(&req->ctx.err);
	return o;
}

static struct json_object *
outbox_health(struct mw_req *req, bool *good)
{
	struct json_object *o = json_object_new_object();
	struct mw_outbox_stat st = { .pending = 0 };
	int64_t age;

	if (mw_outbox_stat(req->app->outbox, &req->ctx, NULL, &st) != MW_OK) {
		*good = false;
		json_object_object_add(o, "error", json_object_new_string(req->ctx.err.msg));
		mw_err_clear(&req->ctx.err);
	}
	age = st.oldest > 0 ? (mw_wall() - st.oldest) / 1000 : 0;
	json_object_object_add(o, "pending", json_object_new_int64(st.pending));
	json_object_object_add(o, "parked", json_object_new_int64(st.parked));
	json_object_object_add(o, "oldestSeconds", json_object_new_int64(age > 0 ? age : 0));
	return o;
}

/* {"store": "closed"|"open"|"half-open", "openUsers": n} */
static struct json_object *
breakers_health(struct mw_req *req)
{
	static const char *const words[] = { [MW_BREAKER_CLOSED] = "closed",
	    [MW_BREAKER_OPEN] = "open", [MW_BREAKER_HALF_OPEN] = "half-open" };
	struct json_object *o = json_object_new_object();
	enum mw_breaker_state state = MW_BREAKER_CLOSED;
	struct mw_breaker b;
	int64_t wait;

	if (mw_retry_breaker(req->app, &req->ctx, MW_UP_STORE, &b))
		state = mw_breaker_state(&b, &wait);
	json_object_object_add(o, "store", json_object_new_string(words[state]));
	json_object_object_add(o, "openUsers",
	    json_object_new_int64(mw_breaker_users(req->app->shm)));
	return o;
}

static enum mw_code
get_health(struct mw_req *req)
{
	struct json_object *o = json_object_new_object(), *store, *outbox;
	bool good, queue_good = true;

	store = store_health(req, &good);
	outbox = outbox_health(req, &queue_good);
	json_object_object_add(o, "status",
	    json_object_new_string(good && queue_good ? "ok" : "degraded"));
	json_object_object_add(o, "version", json_object_new_string(MW_VERSION));
	json_object_object_add(o, "driver", json_object_new_string(req->app->conf->sandbox.driver));
	json_object_object_add(o, "store", store);
	json_object_object_add(o, "outbox", outbox);
	json_object_object_add(o, "breakers", breakers_health(req));
	json_object_object_add(o, "timestamp",
	    json_object_new_string(mw_req_time(req, mw_wall())));
	return mw_res_json(req, 200, o);
}

/* ---- GET users/{id}/health ---- */

static void
put_check(struct json_object *checks, struct json_object *timings, struct json_object *results,
    const char *name, const struct mw_check *c)
{
	char error[24];

	json_object_object_add(checks, name, json_object_new_boolean(c->good));
	json_object_object_add(timings, name, json_object_new_int64(c->ms));
	if (c->good)
		return;
	(void)snprintf(error, sizeof(error), "%sError", name);
	json_object_object_add(results, error, json_object_new_string(c->err.msg));
}

static void
put_results(struct mw_req *req, struct json_object *o, const struct mw_health *c)
{
	json_object_object_add(o, "gatewayProcess", json_object_new_boolean(c->gateway.good));
	json_object_object_add(o, "processCount",
	    c->processes >= 0 ? json_object_new_int(c->processes) : NULL);
	json_object_object_add(o, "workingDir",
	    c->working_dir != NULL ? json_object_new_string(c->working_dir) : NULL);
	json_object_object_add(o, "r2LastSync",
	    c->last_sync > 0 ? json_object_new_string(mw_req_time(req, c->last_sync)) : NULL);
	json_object_object_add(o, "hasConfig",
	    c->filesystem.good ? json_object_new_boolean(c->has_config) : NULL);
}

static enum mw_code
get_user_health(struct mw_req *req)
{
	struct json_object *o, *checks, *results, *timings;
	int64_t began = mw_now();
	struct mw_health c;
	enum mw_code code;
	bool good;

	req->touched = true;
	if ((code = mw_health(req->app, &req->ctx, req->user, &c)) != MW_OK)
		return code;
	good = c.sandbox.good && c.gateway.good && c.filesystem.good && c.r2.good;
	o = json_object_new_object();
	checks = json_object_new_object();
	results = json_object_new_object();
	timings = json_object_new_object();
	put_check(checks, timings, results, "sandbox", &c.sandbox);
	put_check(checks, timings, results, "gateway", &c.gateway);
	put_check(checks, timings, results, "filesystem", &c.filesystem);
	put_check(checks, timings, results, "r2", &c.r2);
	put_results(req, results, &c);
	json_object_object_add(o, "userId", json_object_new_string(req->user));
	json_object_object_add(o, "healthy", json_object_new_boolean(good));
	json_object_object_add(o, "checks", checks);
	json_object_object_add(o, "results", results);
	json_object_object_add(o, "timings", timings);
	json_object_object_add(o, "totalTimeMs", json_object_new_int64(mw_now() - began));
	json_object_object_add(o, "timestamp",
	    json_object_new_string(mw_req_time(req, mw_wall())));
	return mw_res_json(req, good ? 200 : 503, o);
}

static const struct mw_route routes[] = {
	{ "/healthz", MW_GET | MW_HEAD, MW_ROUTE_OPEN, get_healthz },
	{ "/api/super/health", MW_GET | MW_HEAD, 0, get_health },
	{ "/api/super/users/{user}/health", MW_GET | MW_HEAD, 0, get_user_health },
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("health", routes);
}
