/* SPDX-License-Identifier: BSD-2-Clause */
/* The container driver: commands, uploads, and its table of operations. */
#include "sandbox/remote/container.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sandbox/engine/engine.h"

#define SESSIONLESS "\"sessionId\":\"__DISABLE_SESSION__\""
#define UPLOAD_PIECE (3 << 20)		/* bytes; held in memory as base64 */
#define UPLOAD_BODY_MAX (UPLOAD_PIECE / 3 * 4 + 8192)

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
		code = mw_container_request(c, ctx, user, "/api/execute/stream", &q, &res);
	}
	if (g.stuck)
		code = mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
		    "the sandbox was paused while the command ran");
	else if (code == MW_OK)
		code = mw_container_judge(c, ctx, &g.e, &res);
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
		code = mw_container_request(c, ctx, user, "/api/write", &q, &res);
	}
	if (code == MW_OK)
		code = mw_container_judge(c, ctx, &e, &res);
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
	if (strstr(url, MW_CONTAINER_USER) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "sandbox.container.url must hold " MW_CONTAINER_USER ": each user has a container");
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
