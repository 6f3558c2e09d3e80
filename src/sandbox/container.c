/* SPDX-License-Identifier: BSD-2-Clause */
#include "sandbox/container.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define FIELD "{user}"
#define WHAT "the container server"
#define SESSIONLESS "\"sessionId\":\"__DISABLE_SESSION__\""
#define UPLOAD_PIECE (3 << 20)		/* bytes; held in memory as base64 */
#define UPLOAD_BODY_MAX (UPLOAD_PIECE / 3 * 4 + 8192)
#define TEXT "message"			/* the member of a refusal that says why */
#define PING_PAUSE 200			/* ms between two looks at one that comes up */
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
static bool
may_be_host(const struct mw_remote *r, const char *user)
{
	const char *host = strstr(r->url, "://"), *field = strstr(r->url, FIELD);
	size_t n = strlen(user);

	host = host != NULL ? host + 3 : r->url;
	if (field == NULL || field >= host + strcspn(host, "/?"))
		return true;
	return strspn(user, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
	    user[0] != '-' && user[n - 1] != '-';
}

/* No Authorization, whatever there is: the server takes it for a session's name. */
static enum mw_code
request(struct mw_remote *r, struct mw_ctx *ctx, const char *user, const char *tail,
    struct mw_net_req *q, struct mw_net_res *res)
{
	static const struct mw_net_header json = { "Content-Type", "application/json" };
	enum mw_code code = MW_OK;
	struct mw_buf url;

	mw_buf_init(&url, 8192);
	if (!may_be_host(r, user))
		code = mw_ctx_fail(ctx, MW_INVALID_USER_ID, "user id %s cannot be part of the host "
		    "name in sandbox.container.url: expected a-z, 0-9 and - within", user);
	else if (!url_of(r, user, tail, &url))
		code = mw_ctx_nomem(ctx);
	q->url = url.data;
	q->headers = &json;
	q->nheaders = q->body != NULL ? 1 : 0;
	q->body_fd = -1;
	q->stall = q->timeout + STALL_GRACE;
	if (code == MW_OK)
		mw_net_call(r->net, ctx, q, res);
	mw_buf_free(&url);
	return code;
}

static enum mw_code
refused(struct mw_ctx *ctx, const struct mw_remote_exchange *e)
{
	return mw_remote_refused(ctx, mw_remote_classify(mw_container_errors, e->status,
	    e->events.said.code, e->events.said.text), e, WHAT);
}

/* Nothing was sent: nobody is there, or not yet. */
static enum mw_code
nobody(struct mw_ctx *ctx, const struct mw_net_res *res)
{
	return mw_ctx_fail(ctx, res->no_host ? MW_SANDBOX_NOT_FOUND : MW_SANDBOX_HIBERNATING,
	    WHAT " cannot be reached: %s", res->text);
}

static enum mw_code
lost(struct mw_ctx *ctx, const struct mw_net_res *res)
{
	return res->end == MW_NET_NO_CONNECT && mw_left(ctx->deadline) > 0 ? nobody(ctx, res) :
	    mw_remote_net_fail(ctx, res, WHAT);
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
judge(struct mw_ctx *ctx, struct mw_remote_exchange *e, const struct mw_net_res *res)
{
	switch (mw_remote_exchange_end(e, res, TEXT)) {
	case MW_REMOTE_ENDED:
		return MW_OK;
	case MW_REMOTE_REFUSED:
		return refused(ctx, e);
	case MW_REMOTE_UNFINISHED:
		return mw_remote_unfinished(ctx, WHAT);
	default:
		return lost(ctx, res);
	}
}

static enum mw_code
container_run(struct mw_remote *r, struct mw_ctx *ctx, const char *user,
    struct mw_remote_run *run)
{
	struct mw_net_req q = { .method = "POST", .fresh = run->once,
	    .timeout = run->timeout > 0 ? run->timeout : 1 };
	struct mw_remote_exchange e;
	struct mw_net_res res;
	struct mw_buf body;
	enum mw_code code;

	mw_buf_init(&body, MW_REMOTE_LINE_MAX * 4);
	mw_remote_exchange_init(&e, &q, mw_container_event, run);
	if (!body_of(run, &body)) {
		code = mw_ctx_nomem(ctx);
	} else {
		q.body = body.data;
		q.body_size = (int64_t)body.len;
		mw_ctx_call(ctx);
		code = request(r, ctx, user, "/api/execute/stream", &q, &res);
	}
	if (code == MW_OK)
		code = judge(ctx, &e, &res);
	run->exit_code = e.events.exit_code;
	mw_remote_exchange_free(&e);
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
	struct mw_net_req q = { .method = "POST", .timeout = r->timeout };
	struct mw_remote_exchange e;
	struct mw_net_res res;
	struct mw_buf body;
	enum mw_code code;

	mw_buf_init(&body, UPLOAD_BODY_MAX);
	mw_remote_exchange_init(&e, &q, NULL, NULL);
	code = write_body(ctx, &body, path, p, fd, at, size);
	if (code == MW_OK) {
		q.body = body.data;
		q.body_size = (int64_t)body.len;
		mw_ctx_call(ctx);
		code = request(r, ctx, user, "/api/write", &q, &res);
	}
	if (code == MW_OK)
		code = judge(ctx, &e, &res);
	mw_remote_exchange_free(&e);
	mw_buf_free(&body);
	return code;
}

static const struct mw_remote_ops container_remote = {
	.run = container_run,
	.upload = container_upload,
	.piece = UPLOAD_PIECE,
};

/* ---- the table of operations ---- */

static void
container_close(struct mw_sandbox *s)
{
	mw_remote_free((struct mw_remote *)s);
	free(s);
}

static enum mw_code
container_open(const struct mw_conf *conf, struct mw_sandbox **sp, struct mw_err *err)
{
	const char *url = conf->sandbox.container.url;
	struct mw_remote *r;
	enum mw_code code;

	*sp = NULL;
	if (strstr(url, FIELD) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "sandbox.container.url must hold " FIELD ": each user has a container");
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	code = mw_remote_init(r, &mw_sandbox_container, &container_remote, conf, url, err);
	if (code != MW_OK) {
		container_close(&r->base);
		return code;
	}
	*sp = &r->base;
	return MW_OK;
}

/* Is there anybody?  MW_OK with *state, or why that cannot be told. */
static enum mw_code
ping(struct mw_remote *r, struct mw_ctx *ctx, const char *user, enum mw_sandbox_state *state)
{
	struct mw_net_req q = { .method = "GET", .timeout = PING_TIMEOUT };
	struct mw_remote_exchange e;
	struct mw_net_res res;
	enum mw_code code;

	mw_remote_exchange_init(&e, &q, NULL, NULL);
	*state = MW_SB_RUNNING;
	mw_ctx_call(ctx);
	code = request(r, ctx, user, "/api/ping", &q, &res);
	if (code == MW_OK && res.end == MW_NET_NO_CONNECT)
		*state = res.no_host ? MW_SB_ABSENT : MW_SB_ASLEEP;
	else if (code == MW_OK && res.end != MW_NET_DONE)
		code = mw_remote_net_fail(ctx, &res, WHAT);
	else if (code == MW_OK)
		code = judge(ctx, &e, &res);
	mw_remote_exchange_free(&e);
	return code;
}

static enum mw_code
container_status(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    struct mw_sandbox_status *st)
{
	*st = (struct mw_sandbox_status){ .memory = -1, .processes = -1 };
	return ping((struct mw_remote *)s, ctx, user, &st->state);
}

/* It is somebody else's to start: we wait for it. */
static enum mw_code
container_start(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user)
{
	struct mw_remote *r = (struct mw_remote *)s;
	int64_t until = mw_now() + r->timeout;
	enum mw_sandbox_state state;
	enum mw_code code;

	for (;;) {
		if ((code = ping(r, ctx, user, &state)) != MW_OK)
			return code;
		if (state == MW_SB_RUNNING)
			return mw_remote_ping(r, ctx, user);
		if (state == MW_SB_ABSENT)
			return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND,
			    "there is no container of that name");
		if (mw_now() + PING_PAUSE > until || mw_left(ctx->deadline) <= PING_PAUSE)
			return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
			    "the container does not run, and this driver cannot start it");
		mw_sleep_ms(PING_PAUSE);
	}
}

static enum mw_code
container_stop(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user)
{
	(void)s;
	(void)user;
	return mw_ctx_fail(ctx, MW_NOT_SUPPORTED,
	    "sandbox.driver \"container\" cannot stop a container");
}

const struct mw_sandbox_ops mw_sandbox_container = {
	.name = "container",
	.input_max = MW_REMOTE_INPUT_MAX,
	.open = container_open,
	.close = container_close,
	.enumerate = mw_remote_enumerate,
	.status = container_status,
	.start = container_start,
	.stop = container_stop,
	.exec = mw_remote_exec,
	.read = mw_remote_read,
	.write = mw_remote_write,
	.remove = mw_remote_remove,
	.stat = mw_remote_stat,
	.list = mw_remote_list,
};
