/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the container server: their URL, and what their ends mean. */
#include "sandbox/remote/container.h"

#include <string.h>

#include "base/clock.h"

#define WHAT "the container server"
#define TEXT "message"			/* the member of a refusal that says why */
#define PING_TIMEOUT 5000
#define STALL_GRACE 5000

/* The template with each {user} filled in, and `tail`. */
static bool
url_of(const struct mw_remote *r, const char *user, const char *tail, struct mw_buf *b)
{
	const char *s = r->url, *field;

	while ((field = strstr(s, MW_CONTAINER_USER)) != NULL) {
		if (!mw_buf_add(b, s, (size_t)(field - s)) || !mw_buf_adds(b, user))
			return false;
		s = field + strlen(MW_CONTAINER_USER);
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
	const char *host = strstr(url, "://"), *field = strstr(url, MW_CONTAINER_USER);
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
enum mw_code
mw_container_request(struct mw_container *c, struct mw_ctx *ctx, const char *user, const char *tail,
    struct mw_net_req *q, struct mw_net_res *res)
{
	static const struct mw_net_header json = { "Content-Type", "application/json" };
	enum mw_code code = mw_container_may_be(c, ctx, user);
	struct mw_buf url;

	mw_ctx_call(ctx);
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

enum mw_code
mw_container_judge(const struct mw_container *c, struct mw_ctx *ctx, struct mw_remote_exchange *e,
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
	code = mw_container_request(c, ctx, user, "/api/ping", &q, &res);
	if (code == MW_OK && res.end == MW_NET_NO_CONNECT)
		*state = MW_SB_ASLEEP;
	else if (code == MW_OK && res.end != MW_NET_DONE)
		code = mw_remote_net_fail(ctx, &res, WHAT);
	else if (code == MW_OK)
		code = mw_container_judge(c, ctx, &e, &res);
	mw_remote_exchange_free(&e);
	return code;
}
