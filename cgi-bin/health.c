/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * health.fcgi: is this gateway alive, and how are the parts it stands on?
 * Also the catch-all: whatever no other responder has is 403 or 404 here.
 */
#include <json.h>
#include <string.h>

#include "base/clock.h"
#include "ops/app.h"
#include "ops/retry.h"

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

static const struct mw_route routes[] = {
	{ "/healthz", MW_GET | MW_HEAD, MW_ROUTE_OPEN, get_healthz },
	{ "/api/super/health", MW_GET | MW_HEAD, 0, get_health },
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("health", routes);
}
