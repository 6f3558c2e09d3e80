/* SPDX-License-Identifier: BSD-2-Clause */
/* Cloudflare's server in a container: what its API is told and says. */
#include "sandbox/remote/container.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sandbox/engine/engine.h"

#define FIELD "{user}"
#define WHAT "the container server"
#define SESSIONLESS "\"sessionId\":\"__DISABLE_SESSION__\""
#define UPLOAD_PIECE (3 << 20)		/* bytes; held in memory as base64 */
#define UPLOAD_BODY_MAX (UPLOAD_PIECE / 3 * 4 + 8192)
#define TEXT "message"			/* the member of a refusal that says why */
#define PING_TIMEOUT 5000
#define STALL_GRACE 5000

/* The template with each {user} filled in, and `tail`. */
static bool
url_of(const struct mw_remote *r, const char *user, const char *tail, struct mw_buf *b)
{
	const char *s = r->url, *field;

	while ((field = strstr(s, FIELD)) != NULL) {
		if (!mw_buf_add(b, s, (size_t)(field - s)) || !mw_buf_adds(b, user))
			return false;
		s = field + strlen(FIELD);
	}
	return mw_buf_adds(b, s) && mw_buf_adds(b, tail);
}

/*
 * In a host's name DNS takes "Bob" and "bob" for one, and "bob." too: two users would
 * meet in one container.  Only what it tells apart may be part of it.
 */
enum mw_code
mw_container_may_be(const struct mw_container *c, struct mw_ctx *ctx, const char *user)
{
	const char *url = c->remote.url;
	const char *host = strstr(url, "://"), *field = strstr(url, FIELD);
	size_t n = strlen(user);

	host = host != NULL ? host + 3 : url;
	if (field == NULL || field >= host + strcspn(host, "/?"))
		return MW_OK;
	if (strspn(user, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
	    user[0] != '-' && user[n - 1] != '-')
		return MW_OK;
	return mw_ctx_fail(ctx, MW_INVALID_USER_ID, "user id %s cannot be part of the host "
	    "name in sandbox.container.url: expected a-z, 0-9 and - within", user);
}

/* No Authorization, whatever there is: the server takes it for a session's name. */
static enum mw_code
request(struct mw_container *c, struct mw_ctx *ctx, const char *user, const char *tail,
    struct mw_net_req *q, struct mw_net_res *res)
{
	static const struct mw_net_header json = { "Content-Type", "application/json" };
	enum mw_code code = mw_container_may_be(c, ctx, user);
	struct mw_buf url;

	mw_buf_init(&url, 8192);
	if (code == MW_OK && !url_of(&c->remote, user, tail, &url))
		code = mw_ctx_nomem(ctx);
	q->url = url.data;
	q->headers = &json;
	q->nheaders = q->body != NULL ? 1 : 0;
	q->body_fd = -1;
	q->stall = q->timeout + STALL_GRACE;
	if (code == MW_OK)
		mw_net_call(c->remote.net, ctx, q, res);
	mw_buf_free(&url);
	return code;
}

static enum mw_code
refused(struct mw_ctx *ctx, const struct mw_remote_exchange *e)
{
	return mw_remote_refused(ctx, mw_remote_classify(mw_container_errors, e->status,
	    e->events.said.code, e->events.said.text), e, WHAT);
}

/* Nothing was sent: nobody is there, or not yet.  With an engine the container runs. */
static enum mw_code
lost(const struct mw_container *c, struct mw_ctx *ctx, const struct mw_net_res *res)
{
	if (res->end != MW_NET_NO_CONNECT || mw_left(ctx->deadline) == 0 || c->engine != NULL)
		return mw_remote_net_fail(ctx, res, WHAT);
	return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, WHAT " cannot be reached: %s", res->text);
}

/* ---- commands ---- */

/* In its directory "/": the default one need not be there. */
static bool
body_of(const struct mw_remote_run *run, struct mw_buf *b)
{
	struct mw_buf line;
	bool good;
	size_t i;

	mw_buf_init(&line, MW_REMOTE_LINE_MAX * 2);
	for (i = 0; run->argv[i] != NULL; i++)
		(void)((i == 0 || mw_buf_addc(&line, ' ')) && mw_remote_quote(&line, run->argv[i]));
	good = !line.failed && mw_buf_adds(b, "{\"command\":\"") &&
	    mw_json_escape(mw_buf_writer, b, line.data, line.len) &&
	    mw_buf_adds(b, "\",\"cwd\":\"/\"," SESSIONLESS "}");
	mw_buf_free(&line);
	return good;
}

/* What has come of a request. */
static enum mw_code
judge(const struct mw_container *c, struct mw_ctx *ctx, struct mw_remote_exchange *e,
    const struct mw_net_res *res)
{
	switch (mw_remote_exchange_end(e, res, TEXT)) {
	case MW_REMOTE_ENDED:
		return MW_OK;
	case MW_REMOTE_REFUSED:
		return refused(ctx, e);
	case MW_REMOTE_UNFINISHED:
		return mw_remote_unfinished(ctx, WHAT);
	default:
		return lost(c, ctx, res);
	}
}

struct running {
	struct mw_remote_exchange e;	/* first: the request's arg */
	struct mw_container *c;
	struct mw_ctx *ctx;
	const char *user;
	bool stuck;			/* paused while it ran: no end will come */
	unsigned mute;
};

static bool
on_idle(void *arg)
{
	struct running *g = arg;

	g->stuck = mw_engine_stuck((struct mw_engine *)g->c->engine, g->ctx, g->user, &g->mute);
	return !g->stuck;
}

static enum mw_code
container_run(struct mw_remote *r, struct mw_ctx *ctx, const char *user,
    struct mw_remote_run *run)
{
	struct mw_container *c = (struct mw_container *)r;
	struct mw_net_req q = { .method = "POST", .fresh = run->once,
	    .timeout = run->timeout > 0 ? run->timeout : 1 };
	struct running g = { .c = c, .ctx = ctx, .user = user };
	struct mw_net_res res;
	struct mw_buf body;
	enum mw_code code;

	if ((code = mw_container_gate(c, ctx, user)) != MW_OK)
		return code;
	mw_buf_init(&body, MW_REMOTE_LINE_MAX * 4);
	mw_remote_exchange_init(&g.e, &q, mw_container_event, run);
	q.on_idle = c->engine != NULL ? on_idle : NULL;
	if (!body_of(run, &body)) {
		code = mw_ctx_nomem(ctx);
	} else {
		q.body = body.data;
		q.body_size = (int64_t)body.len;
		mw_ctx_call(ctx);
		code = request(c, ctx, user, "/api/execute/stream", &q, &res);
	}
	if (g.stuck)
		code = mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
		    "the sandbox was paused while the command ran");
	else if (code == MW_OK)
		code = judge(c, ctx, &g.e, &res);
	run->exit_code = g.e.events.exit_code;
	mw_remote_exchange_free(&g.e);
	mw_buf_free(&body);
	return code;
}

/* ---- uploads ---- */

static enum mw_code
write_body(struct mw_ctx *ctx, struct mw_buf *b, const char *path, const void *p, int fd,
    int64_t at, int64_t size)
{
	enum mw_code code;

	if (!mw_buf_room(b, (size_t)(size + 2) / 3 * 4 + 8192) ||
	    !mw_buf_adds(b, "{\"path\":\"") ||
	    !mw_json_escape(mw_buf_writer, b, path, strlen(path)) ||
	    !mw_buf_adds(b, "\",\"encoding\":\"base64\"," SESSIONLESS ",\"content\":\""))
		return mw_ctx_nomem(ctx);
	code = mw_remote_encode(ctx, b, p, fd, at, size);
	return code == MW_OK && !mw_buf_adds(b, "\"}") ? mw_ctx_nomem(ctx) : code;
}

static enum mw_code
container_upload(struct mw_remote *r, struct mw_ctx *ctx, const char *user, const char *path,
    const void *p, int fd, int64_t at, int64_t size)
{
	struct mw_container *c = (struct mw_container *)r;
	struct mw_net_req q = { .method = "POST", .timeout = r->timeout };
	struct mw_remote_exchange e;
	struct mw_net_res res;
	struct mw_buf body;
	enum mw_code code;

	if ((code = mw_container_gate(c, ctx, user)) != MW_OK)
		return code;
	mw_buf_init(&body, UPLOAD_BODY_MAX);
	mw_remote_exchange_init(&e, &q, NULL, NULL);
	code = write_body(ctx, &body, path, p, fd, at, size);
	if (code == MW_OK) {
		q.body = body.data;
		q.body_size = (int64_t)body.len;
		mw_ctx_call(ctx);
		code = request(c, ctx, user, "/api/write", &q, &res);
	}
	if (code == MW_OK)
		code = judge(c, ctx, &e, &res);
	mw_remote_exchange_free(&e);
	mw_buf_free(&body);
	return code;
}

static const struct mw_remote_ops container_remote = {
	.run = container_run,
	.upload = container_upload,
	.piece = UPLOAD_PIECE,
};

/* ---- is it up? ---- */

enum mw_code
mw_container_ping(struct mw_container *c, struct mw_ctx *ctx, const char *user,
    enum mw_sandbox_state *state)
{
	struct mw_net_req q = { .method = "GET", .timeout = PING_TIMEOUT };
	struct mw_remote_exchange e;
	struct mw_net_res res;
	enum mw_code code;

	mw_remote_exchange_init(&e, &q, NULL, NULL);
	*state = MW_SB_RUNNING;
	mw_ctx_call(ctx);
	code = request(c, ctx, user, "/api/ping", &q, &res);
	if (code == MW_OK && res.end == MW_NET_NO_CONNECT)
		*state = MW_SB_ASLEEP;
	else if (code == MW_OK && res.end != MW_NET_DONE)
		code = mw_remote_net_fail(ctx, &res, WHAT);
	else if (code == MW_OK)
		code = judge(c, ctx, &e, &res);
	mw_remote_exchange_free(&e);
	return code;
}

/* ---- the table of operations ---- */

static void
container_close(struct mw_sandbox *s)
{
	mw_sandbox_close(((struct mw_container *)s)->engine);
	mw_remote_free((struct mw_remote *)s);
	free(s);
}

/* Its own directories of files are the engine driver's alone. */
static enum mw_code
open_engine(const struct mw_conf *conf, struct mw_container *c, struct mw_err *err)
{
	char none[] = "";
	struct mw_conf own = *conf;
	enum mw_code code;

	own.sandbox.engine.files = none;
	code = mw_sandbox_engine.open(&own, &c->engine, err);
	if (code == MW_OK)
		c->remote.base.flags = c->engine->flags & ~(unsigned)MW_SB_FILES_ASLEEP;
	return code;
}

static enum mw_code
container_open(const struct mw_conf *conf, struct mw_sandbox **sp, struct mw_err *err)
{
	const char *url = conf->sandbox.container.url;
	struct mw_container *c;
	enum mw_code code;

	*sp = NULL;
	if (strstr(url, FIELD) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "sandbox.container.url must hold " FIELD ": each user has a container");
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	code = mw_remote_init(&c->remote, &mw_sandbox_container, &container_remote, conf, url, err);
	if (code == MW_OK && conf->sandbox.container.engine)
		code = open_engine(conf, c, err);
	if (code != MW_OK) {
		container_close(&c->remote.base);
		return code;
	}
	*sp = &c->remote.base;
	return MW_OK;
}

const struct mw_sandbox_ops mw_sandbox_container = {
	.name = "container",
	.input_max = MW_REMOTE_INPUT_MAX,
	.open = container_open,
	.close = container_close,
	.enumerate = mw_container_enumerate,
	.status = mw_container_status,
	.start = mw_container_start,
	.stop = mw_container_stop,
	.exec = mw_remote_exec,
	.read = mw_remote_read,
	.write = mw_remote_write,
	.remove = mw_remote_remove,
	.stat = mw_remote_stat,
	.list = mw_remote_list,
};
