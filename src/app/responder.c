/* SPDX-License-Identifier: BSD-2-Clause */
/* main() of a responder: one process or a pool, and the hooks that plug the app into http/. */
#include "app/responder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/str.h"
#include "base/supervise.h"
#include "net/net.h"
#include "app/helper.h"
#include "app/alerts.h"
#include "app/request_log.h"
#include "app/request_metrics.h"

/* The longest a request may take beside its own time limit and its wake. */
#define DEADLINE_SLACK 10000

#define WAIT 1000	/* ms; how often a pool looks at the configuration */

static void
begin(struct mw_req *req)
{
	struct mw_app *a = req->app;

	mw_app_refresh(a);
	a->file_op = -1;
	req->max_body = a->conf->http.max_body;
	mw_req_resolve_address(req, &a->conf->http.trusted_proxies);
	req->ctx.deadline = req->started + a->conf->wake.max_wait + a->conf->sandbox.timeout +
	    DEADLINE_SLACK;
}

static bool
authorised(struct mw_req *req, const char *secret, size_t n)
{
	struct mw_app *a = req->app;
	unsigned char digest[32];
	bool first, second;

	if (n == 0 || !mw_sha256(secret, n, "", 0, digest))
		return false;
	first = mw_str_equal_ct(digest, a->digest[0], sizeof(digest));
	second = mw_str_equal_ct(digest, a->digest[1], sizeof(digest));
	return (first && a->has_first) || (second && a->has_second);
}

/* Why is the secret not right? */
static enum mw_auth_failure
refusal(const struct mw_req *req)
{
	if (mw_req_twice(req, "X-Admin-Secret") || mw_req_twice(req, "Authorization"))
		return MW_AUTH_TWICE;
	return mw_req_header(req, "X-Admin-Secret") == NULL &&
	    mw_req_header(req, "Authorization") == NULL ? MW_AUTH_MISSING : MW_AUTH_WRONG;
}

/* The one route without a secret that is not open to all. */
static bool
exempt(struct mw_req *req)
{
	return strcmp(req->route->pattern, "/metrics") != 0 ||
	    mw_conf_addr_in(&req->app->conf->metrics.allow, req->address);
}

static bool
refused(struct mw_req *req)
{
	bool first, over;

	over = mw_shm_refused(req->app->shm, req->address, &first);
	mw_count(MW_M_AUTH_FAILURES, over ? MW_AUTH_THROTTLED : refusal(req), 0, 0, 1);
	if (first)
		mw_log(MW_WARN, "too many wrong secrets from %s: further ones get 429 for a while",
		    req->address);
	return over;
}

/* The next request must not wait for us: what is left to do is another process's. */
static void
end(struct mw_req *req)
{
	struct mw_alert alerts[MW_ALERTS];

	mw_request_log(req);
	mw_request_count(req);
	if (mw_window_turned())
		mw_alerts(req->app, &req->ctx, alerts);
	mw_drain_kick(req->app);
}

struct responder {
	const char *name;
	const struct mw_route *routes;
	unsigned procs;		/* of a pool that another master keeps, 0 = not known */
};

/* What the settings say of a responder's pool. */
static const char *
pool_words(const struct mw_conf *c, const char *name)
{
	const struct { const char *name, *own, *all; } rows[] = {
		{ "files", c->pool.files, c->pool.procs },
		{ "exec", c->pool.exec, c->pool.procs },
		{ "state", c->pool.state, c->pool.procs },
		{ "batch", c->pool.batch, c->pool.procs },
		{ "config", c->pool.config, c->pool.procs },
		{ "sync", c->pool.sync, c->pool.procs },
		{ "bulk", c->pool.bulk, c->pool.small },
		{ "health", c->pool.health, c->pool.small },
		{ "metrics", c->pool.metrics, c->pool.small },
		{ "debug", c->pool.debug, c->pool.small },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].own[0] != '\0' ? rows[i].own : rows[i].all;
	}
	return c->pool.small;
}

static int
serve(void *arg)
{
	const struct responder *r = arg;
	struct mw_err err = { .code = MW_OK };
	struct mw_app *a;
	struct mw_http http = {
		.name = r->name, .routes = r->routes, .begin = begin,
		.authorised = authorised, .refused = refused, .exempt = exempt, .end = end,
	};
	int status, responder;

	if (mw_app_open(r->name, &a, &err) != MW_OK) {
		(void)fprintf(stderr, "%s.fcgi: %s\n", r->name, err.msg);
		return 1;
	}
	http.app = a;
	if ((responder = mw_metric_responder(r->name)) >= 0)
		mw_count(MW_M_PROCESSES, (unsigned)responder, 0, 0, 1);
	a->procs = r->procs;
	status = mw_http_serve(&http);
	mw_app_close(a);
	return status;
}

/* What every process would load and set up for itself. */
static void
warm_up(void)
{
	struct mw_err err = { .code = MW_OK };
	unsigned char digest[32];
	struct mw_net *net;

	(void)!mw_sha256("", 0, "", 0, digest);
	if (mw_net_open(&net, &err) == MW_OK)
		mw_net_close(net);
}

/* `words`: of the command line, which go before the settings; NULL = none. */
static void
limit_pool(struct mw_pool *pool, const char *name, const char *words, struct mw_conf_watch *watch)
{
	const struct mw_conf *conf = mw_conf_watch_get(watch);
	unsigned min, max;

	if ((words != NULL && mw_pool_range(words, &min, &max)) ||
	    mw_pool_range(pool_words(conf, name), &min, &max))
		mw_pool_limits(pool, min, max, conf->pool.idle);
}

static int
serve_pool(struct responder *r, const char *words)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_conf_watch *watch;
	struct mw_supervisor sup;

	(void)mw_log_open(r->name, "", MW_INFO, false);
	if (mw_conf_watch_open(NULL, &watch, &err) != MW_OK) {
		(void)fprintf(stderr, "%s.fcgi: %s\n", r->name, err.msg);
		return 1;
	}
	warm_up();
	if (mw_sup_init(&sup, environ, &err) != MW_OK ||
	    mw_sup_add_pool(&sup, r->name, serve, r, STDIN_FILENO, &err) != MW_OK) {
		(void)fprintf(stderr, "%s.fcgi: %s\n", r->name, err.msg);
		return 1;
	}
	do
		limit_pool(sup.services[0].pool, r->name, words, watch);
	while (mw_sup_step(&sup, WAIT));
	mw_sup_stop(&sup);
	mw_sup_free(&sup);
	mw_conf_watch_close(watch);
	return 0;
}

/* A number of processes in the environment; 0 = none. */
static unsigned
count_of(const char *variable, int64_t max)
{
	const char *s = getenv(variable);
	int64_t n;

	return s != NULL && mw_str_uint(s, strlen(s), max, &n) ? (unsigned)n : 0;
}

int
mw_app_main(const char *name, const struct mw_route *routes)
{
	struct responder r = { .name = name, .routes = routes };
	const char *words = getenv("MOLTWORKER_PROCS");
	unsigned min, max;

	/* Plain CGI may inherit the variables from the server's environment. */
	if (!mw_http_listening())
		return serve(&r);
	if (words != NULL && strcmp(words, "auto") == 0)
		return serve_pool(&r, NULL);
	if (words != NULL && mw_pool_range(words, &min, &max))
		return serve_pool(&r, words);
	r.procs = count_of("MOLTWORKER_POOL", INT32_MAX);
	return serve(&r);
}

void
mw_app_deadline(struct mw_req *req, int64_t max_wake, int64_t own)
{
	req->ctx.deadline = mw_now() + max_wake + own + DEADLINE_SLACK;
}

void
mw_app_limit(struct mw_ctx *ctx, int64_t max_wake, int64_t own)
{
	int64_t deadline = mw_now() + max_wake + own + DEADLINE_SLACK;

	if (deadline < ctx->deadline)
		ctx->deadline = deadline;
}

enum mw_code
mw_app_max_wake(struct mw_req *req, int64_t *max_wake)
{
	*max_wake = req->app->conf->wake.max_wait;
	return mw_req_query_int(req, "maxWakeTime", 0, MW_MAX_WAKE, true, max_wake);
}
