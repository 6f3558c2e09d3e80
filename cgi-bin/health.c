/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * health.fcgi: is this gateway alive, and how are the parts it stands on?
 * Also the catch-all: whatever no other responder has is 403 or 404 here.
 */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "app/responder.h"
#include "ops/fleet/health.h"
#include "ops/sync/answer.h"
#include "app/retry.h"

/* How long R2 may take to answer before it counts as down, ms. */
#define PING_TIMEOUT 5000

static enum mw_code
get_healthz(struct mw_req *req)
{
	static const char ok[] = "{\"status\":\"ok\"}\n";

	mw_res_start(req, 200, "application/json", (int64_t)sizeof(ok) - 1);
	return mw_res_write(req, ok, sizeof(ok) - 1) ? MW_OK : MW_CLIENT_GONE;
}

/* {"ok","latencyMs","error"?}; one try, for a health page must not wait for backoffs. */
static bool
add_store(struct mw_req *req, struct mw_buf *b)
{
	struct mw_store *store;
	int64_t began = mw_now(), deadline = req->ctx.deadline;
	bool good;

	if (mw_now() + PING_TIMEOUT < deadline)
		req->ctx.deadline = mw_now() + PING_TIMEOUT;
	good = mw_app_store(req->app, &req->ctx, &store) == MW_OK;
	if (good) {
		req->ctx.attempts++;
		req->ctx.counted = true;
		good = store->ops->ping(store, &req->ctx) == MW_OK;
	}
	req->ctx.deadline = deadline;
	req->touched = true;
	(void)mw_json_open(b, "store", '{');
	(void)mw_json_add_bool(b, "ok", good);
	(void)mw_json_add_int(b, "latencyMs", mw_now() - began);
	if (!good)
		(void)mw_json_add(b, "error", req->ctx.err.msg);
	(void)mw_json_close(b, '}');
	mw_err_clear(&req->ctx.err);
	return good;
}

static bool
add_outbox(struct mw_req *req, struct mw_buf *b)
{
	struct mw_outbox_stat st = { .pending = 0 };
	bool good = mw_outbox_stat(req->app->outbox, &req->ctx, NULL, &st) == MW_OK;
	int64_t age = st.oldest > 0 ? (mw_wall() - st.oldest) / 1000 : 0;

	(void)mw_json_open(b, "outbox", '{');
	if (!good)
		(void)mw_json_add(b, "error", req->ctx.err.msg);
	(void)mw_json_add_int(b, "pending", st.pending);
	(void)mw_json_add_int(b, "parked", st.parked);
	(void)mw_json_add_int(b, "oldestSeconds", age > 0 ? age : 0);
	(void)mw_json_close(b, '}');
	mw_err_clear(&req->ctx.err);
	return good;
}

/* {"store": "closed"|"open"|"half-open", "openUsers": n} */
static void
add_breakers(struct mw_req *req, struct mw_buf *b)
{
	static const char *const words[] = { [MW_BREAKER_CLOSED] = "closed",
	    [MW_BREAKER_OPEN] = "open", [MW_BREAKER_HALF_OPEN] = "half-open" };
	enum mw_breaker_state state = MW_BREAKER_CLOSED;
	struct mw_breaker breaker;
	int64_t wait;

	if (mw_retry_breaker(req->app, &req->ctx, MW_UP_STORE, &breaker))
		state = mw_breaker_state(&breaker, &wait);
	(void)mw_json_open(b, "breakers", '{');
	(void)mw_json_add(b, "store", words[state]);
	(void)mw_json_add_int(b, "openUsers", mw_breaker_users(req->app->shm));
	(void)mw_json_close(b, '}');
}

static enum mw_code
get_health(struct mw_req *req)
{
	struct mw_buf b, parts;
	bool store, outbox;

	mw_buf_init(&parts, MW_RES_MAX);
	store = add_store(req, &parts);
	outbox = add_outbox(req, &parts);
	add_breakers(req, &parts);
	mw_res_open(&b);
	(void)mw_json_add(&b, "status", store && outbox ? "ok" : "degraded");
	(void)mw_json_add(&b, "version", MW_VERSION);
	(void)mw_json_add(&b, "driver", req->app->conf->sandbox.driver);
	(void)mw_json_add_all(&b, &parts);
	mw_buf_free(&parts);
	return mw_res_object(req, 200, &b);
}

/* ---- GET users/{id}/health ---- */

struct named_check {
	const char *name, *error;
	const struct mw_check *check;
};

static void
add_results(struct mw_req *req, struct mw_buf *b, const struct mw_health *h,
    const struct named_check *each, size_t n)
{
	size_t i;

	(void)mw_json_open(b, "results", '{');
	for (i = 0; i < n; i++) {
		if (!each[i].check->good)
			(void)mw_json_add(b, each[i].error, each[i].check->err.msg);
	}
	(void)mw_json_add_bool(b, "gatewayProcess", h->gateway.good);
	(void)mw_json_add_known(b, "processCount", h->processes);
	(void)mw_json_add(b, "workingDir", h->working_dir);
	(void)mw_json_add(b, "r2LastSync",
	    h->last_sync > 0 ? mw_req_time(req, h->last_sync) : NULL);
	(void)mw_json_add_raw(b, "hasConfig",
	    !h->filesystem.good ? "null" : h->has_config ? "true" : "false");
	(void)mw_json_close(b, '}');
}

static enum mw_code
get_user_health(struct mw_req *req)
{
	struct mw_health h;
	const struct named_check each[] = {
		{ "sandbox", "sandboxError", &h.sandbox },
		{ "gateway", "gatewayError", &h.gateway },
		{ "filesystem", "filesystemError", &h.filesystem },
		{ "r2", "r2Error", &h.r2 },
	};
	const size_t n = sizeof(each) / sizeof(each[0]);
	int64_t began = mw_now();
	struct mw_buf b;
	enum mw_code code;
	bool good = true;
	size_t i;

	req->touched = true;
	if ((code = mw_health(req->app, &req->ctx, req->user, &h)) != MW_OK)
		return code;
	for (i = 0; i < n; i++)
		good = good && each[i].check->good;
	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	(void)mw_json_add_bool(&b, "healthy", good);
	(void)mw_json_open(&b, "checks", '{');
	for (i = 0; i < n; i++)
		(void)mw_json_add_bool(&b, each[i].name, each[i].check->good);
	(void)mw_json_close(&b, '}');
	add_results(req, &b, &h, each, n);
	(void)mw_json_open(&b, "timings", '{');
	for (i = 0; i < n; i++)
		(void)mw_json_add_int(&b, each[i].name, each[i].check->ms);
	(void)mw_json_close(&b, '}');
	(void)mw_json_add_int(&b, "totalTimeMs", mw_now() - began);
	mw_sync_add_missing(&b, req->app, &req->ctx, req->user);
	return mw_res_object(req, good ? 200 : 503, &b);
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
