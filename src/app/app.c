/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/str.h"
#include "base/supervise.h"
#include "net/net.h"
#include "ops/files/drain.h"
#include "app/lanes.h"
#include "app/request_log.h"

/* The longest a request may take beside its own time limit and its wake. */
#define DEADLINE_SLACK 10000

#define WAIT 60000	/* ms; how often a pool looks round unasked */

static void
open_log(const char *name, const struct mw_conf *conf)
{
	enum mw_log_level level = MW_INFO;

	(void)mw_log_level(conf->log.level, &level);
	if (!mw_log_open(name, conf->log.file, level, strcmp(conf->log.format, "json") == 0))
		mw_log(MW_ERROR, "log.file %s cannot be opened: %s",
		    conf->log.file, strerror(errno));
}

/* ---- who is awake, as the drivers tell and ask ---- */

static bool
awake_known(void *arg, const char *user, int64_t ttl)
{
	int64_t at = atomic_load(&mw_shm_user(arg, user)->answered);

	return at != 0 && mw_now() - at < ttl;
}

static void
awake_told(void *arg, const char *user, bool awake)
{
	atomic_store(&mw_shm_user(arg, user)->answered, awake ? mw_now() : 0);
}

enum mw_code
mw_app_open_sandbox(const struct mw_app *a, struct mw_sandbox **sp, struct mw_err *err)
{
	enum mw_code code = mw_sandbox_open(a->conf, sp, err);

	if (code == MW_OK)
		(*sp)->awake = &a->awake;
	return code;
}

/* The state directory: its last component is made, the rest must be there. */
static enum mw_code
make_state(struct mw_app *a, struct mw_err *err)
{
	const char *path = a->conf->state.path;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "state.path %s cannot be made: %s", path, strerror(errno));
	a->state_path = strdup(path);
	if (asprintf(&a->lock_path, "%s/locks", path) < 0)
		a->lock_path = NULL;
	if (a->state_path == NULL || a->lock_path == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	return MW_OK;
}

/* Without digests nobody is let in. */
static void
digest_secrets(struct mw_app *a, const struct mw_secret *s)
{
	a->has_first = mw_sha256(s->line[0], strlen(s->line[0]), "", 0, a->digest[0]);
	a->has_second = s->line[1][0] != '\0' &&
	    mw_sha256(s->line[1], strlen(s->line[1]), "", 0, a->digest[1]);
}

enum mw_code
mw_app_open(const char *name, struct mw_app **ap, struct mw_err *err)
{
	enum mw_code code;
	struct mw_app *a;

	*ap = NULL;
	if ((a = calloc(1, sizeof(*a))) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	a->name = name;
	a->spool_dir = -1;
	if ((code = mw_conf_watch_open(NULL, &a->watch, err)) != MW_OK)
		goto out;
	a->conf = mw_conf_watch_get(a->watch);
	open_log(name, a->conf);
	if ((code = mw_secret_watch_open(a->conf->auth.secret_file, &a->secret, err)) != MW_OK ||
	    (code = make_state(a, err)) != MW_OK ||
	    (code = mw_shm_open(a->state_path, &a->shm, err)) != MW_OK ||
	    (code = mw_spool_dir(a->state_path, &a->spool_dir, err)) != MW_OK ||
	    (code = mw_outbox_open(a->state_path, a->shm, a->conf->outbox.max_bytes,
	    &a->outbox, err)) != MW_OK ||
	    (code = mw_process_db_open(a->state_path, &a->processes, err)) != MW_OK)
		goto out;
	digest_secrets(a, mw_secret_watch_get(a->secret, &a->secret_gen));
	a->awake = (struct mw_awake){ .known = awake_known, .told = awake_told, .arg = a->shm };
	if (mw_store_open(a->conf, &a->store, &a->store_err) != MW_OK)
		mw_log(MW_ERROR, "store: %s", a->store_err.msg);
	if (mw_app_open_sandbox(a, &a->sandbox, &a->sandbox_err) != MW_OK)
		mw_log(MW_ERROR, "sandbox: %s", a->sandbox_err.msg);
	*ap = a;
	return MW_OK;
out:
	mw_app_close(a);
	return code;
}

void
mw_app_close(struct mw_app *a)
{
	if (a == NULL)
		return;
	mw_lanes_close(a);
	mw_sandbox_close(a->sandbox);
	mw_store_close(a->store);
	mw_process_db_close(a->processes);
	mw_outbox_close(a->outbox);
	if (a->spool_dir >= 0)
		(void)close(a->spool_dir);
	mw_shm_close(a->shm);
	mw_secret_watch_close(a->secret);
	mw_conf_watch_close(a->watch);
	free(a->lock_path);
	free(a->state_path);
	free(a);
}

enum mw_code
mw_app_store(struct mw_app *a, struct mw_ctx *ctx, struct mw_store **s)
{
	if ((*s = a->store) == NULL)
		return mw_ctx_fail(ctx, a->store_err.code, "%s", a->store_err.msg);
	return MW_OK;
}

enum mw_code
mw_app_sandbox(struct mw_app *a, struct mw_ctx *ctx, struct mw_sandbox **s)
{
	if ((*s = a->sandbox) == NULL)
		return mw_ctx_fail(ctx, a->sandbox_err.code, "%s", a->sandbox_err.msg);
	return MW_OK;
}

/* A changed configuration: what was opened by the old one is opened anew. */
static void
reopen(struct mw_app *a)
{
	open_log(a->name, a->conf);
	mw_outbox_limit(a->outbox, a->conf->outbox.max_bytes);
	mw_secret_watch_close(a->secret);
	mw_lanes_close(a);
	mw_sandbox_close(a->sandbox);
	mw_store_close(a->store);
	a->secret = NULL;
	a->sandbox = NULL;
	a->store = NULL;
	mw_err_clear(&a->store_err);
	mw_err_clear(&a->sandbox_err);
	if (mw_store_open(a->conf, &a->store, &a->store_err) != MW_OK)
		mw_log(MW_ERROR, "store: %s", a->store_err.msg);
	if (mw_app_open_sandbox(a, &a->sandbox, &a->sandbox_err) != MW_OK)
		mw_log(MW_ERROR, "sandbox: %s", a->sandbox_err.msg);
}

/* A store or sandbox that could not be opened may be mended meanwhile. */
static void
retry_open(struct mw_app *a)
{
	struct mw_err err;

	mw_err_clear(&err);
	if (a->store == NULL && mw_store_open(a->conf, &a->store, &err) != MW_OK)
		a->store_err = err;
	mw_err_clear(&err);
	if (a->sandbox == NULL && mw_app_open_sandbox(a, &a->sandbox, &err) != MW_OK)
		a->sandbox_err = err;
}

static void
begin(struct mw_req *req)
{
	struct mw_app *a = req->app;
	const struct mw_conf *conf = mw_conf_watch_get(a->watch);
	const struct mw_secret *secret;
	struct mw_err err;
	unsigned gen;

	if (conf != a->conf) {
		a->conf = conf;
		reopen(a);
	} else {
		retry_open(a);
	}
	if (a->secret == NULL) {
		mw_err_clear(&err);
		if (mw_secret_watch_open(conf->auth.secret_file, &a->secret, &err) != MW_OK)
			mw_log(MW_ERROR, "auth.secret_file: %s; the last good secret stays", err.msg);
		else
			a->secret_gen = 0;
	}
	if (a->secret != NULL) {
		secret = mw_secret_watch_get(a->secret, &gen);
		if (gen != a->secret_gen) {
			digest_secrets(a, secret);
			a->secret_gen = gen;
		}
	}
	req->max_body = conf->http.max_body;
	mw_req_resolve_address(req, &conf->http.trusted_proxies);
	req->ctx.deadline = req->started + conf->wake.max_wait + conf->sandbox.timeout +
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

static bool
refused(struct mw_req *req)
{
	bool first, over;

	over = mw_shm_refused(req->app->shm, req->address, &first);
	if (first)
		mw_log(MW_WARN, "too many wrong secrets from %s: further ones get 429 for a while",
		    req->address);
	return over;
}

/* The next request must not wait for us: what is left to do is another process's. */
static void
end(struct mw_req *req)
{
	mw_request_log(req);
	mw_drain_kick(req->app);
}

struct responder {
	const char *name;
	const struct mw_route *routes;
	unsigned procs;		/* of the pool, 0 = not known */
};

static int
serve(void *arg)
{
	const struct responder *r = arg;
	struct mw_err err = { .code = MW_OK };
	struct mw_app *a;
	struct mw_http http = {
		.name = r->name, .routes = r->routes, .begin = begin,
		.authorised = authorised, .refused = refused, .end = end,
	};
	int status;

	if (mw_app_open(r->name, &a, &err) != MW_OK) {
		(void)fprintf(stderr, "%s.fcgi: %s\n", r->name, err.msg);
		return 1;
	}
	http.app = a;
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

static int
serve_pool(struct responder *r)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_supervisor sup;

	(void)mw_log_open(r->name, "", MW_INFO, false);
	warm_up();
	if (mw_sup_init(&sup, environ, &err) != MW_OK ||
	    mw_sup_add_run(&sup, r->name, serve, r, STDIN_FILENO, r->procs, &err) != MW_OK) {
		(void)fprintf(stderr, "%s.fcgi: %s\n", r->name, err.msg);
		return 1;
	}
	while (mw_sup_step(&sup, WAIT))
		continue;
	mw_sup_stop(&sup);
	mw_sup_free(&sup);
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

	/* Plain CGI may inherit the variables from the server's environment. */
	if (!mw_http_listening())
		return serve(&r);
	if ((r.procs = count_of("MOLTWORKER_PROCS", MW_SERVICE_PROCS_MAX)) > 0)
		return serve_pool(&r);
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
