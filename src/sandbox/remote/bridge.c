/* SPDX-License-Identifier: BSD-2-Clause */
/* Cloudflare's bridge: what its API is told and says. */
#include "sandbox/remote/bridge.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define ROOT "/workspace"		/* the bridge takes files nowhere else */
#define WHAT "the sandbox bridge"
#define UPLOAD_PIECE (8 << 20)		/* bytes; from 12 MiB on its transport breaks */
#define TEXT "error"			/* the member of a refusal that says why */
#define GRACE 5000			/* ms that a command has longer than we wait */
#define SURELY_AWAKE 60000		/* ms after an answer, whatever awake_ttl: no wake would
					 * come to its end if what it woke counted as asleep */

void
mw_bridge_id(const char *user, char out[MW_BRIDGE_ID_MAX + 1])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned bits = 0, value = 0;
	size_t n = 0;

	for (; *user != '\0'; user++) {
		value = (value << 8 | (unsigned char)*user) & 0xffff;
		for (bits += 8; bits >= 5 && n < MW_BRIDGE_ID_MAX; bits -= 5)
			out[n++] = letters[value >> (bits - 5) & 31];
	}
	if (bits > 0 && n < MW_BRIDGE_ID_MAX)
		out[n++] = letters[value << (5 - bits) & 31];
	out[n] = '\0';
}

/* ---- who is awake ---- */

static void
told(struct mw_bridge *b, const char *user, bool awake)
{
	const struct mw_awake *a = b->remote.base.awake;

	if (a != NULL)
		a->told(a->arg, user, awake);
}

static bool
known_awake(struct mw_bridge *b, const char *user, int64_t ttl)
{
	const struct mw_awake *a = b->remote.base.awake;

	return a != NULL && a->known(a->arg, user, ttl);
}

/* Asking would start it, and what started would be empty. */
static enum mw_code
gate(struct mw_bridge *b, struct mw_ctx *ctx, const char *user)
{
	if (b->starting ||
	    known_awake(b, user, b->awake_ttl > SURELY_AWAKE ? b->awake_ttl : SURELY_AWAKE))
		return MW_OK;
	return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "the sandbox is not known to be awake");
}

/* ---- one request ---- */

static enum mw_code
refused(struct mw_bridge *b, struct mw_ctx *ctx, const char *user,
    const struct mw_remote_exchange *e)
{
	const struct mw_remote_said *said = &e->events.said;
	const struct mw_remote_error *row = mw_remote_classify(mw_bridge_errors, e->status,
	    said->code, said->text);
	const char *after = mw_net_header(b->remote.net, "Retry-After");
	int64_t seconds;

	b->pool_failed = strcmp(said->code, "pool_error") == 0;
	if (row->code != MW_FILE_TOO_LARGE)
		told(b, user, false);
	(void)mw_remote_refused(ctx, row, e, WHAT);
	if (after != NULL && mw_str_uint(after, strlen(after), 86400, &seconds))
		ctx->err.retry_after = (unsigned)seconds;
	return row->code;
}

/* What has come of a request. */
static enum mw_code
judge(struct mw_bridge *b, struct mw_ctx *ctx, const char *user, struct mw_remote_exchange *e,
    const struct mw_net_res *res)
{
	switch (mw_remote_exchange_end(e, res, TEXT)) {
	case MW_REMOTE_ENDED:
		if (!e->events.stopped)
			told(b, user, true);
		return MW_OK;
	case MW_REMOTE_REFUSED:
		return refused(b, ctx, user, e);
	case MW_REMOTE_UNFINISHED:
		return mw_remote_unfinished(ctx, WHAT);
	default:
		return mw_remote_net_fail(ctx, res, WHAT);
	}
}

/* METHOD URL/v1/sandbox/ID TAIL, whatever comes of it. */
static enum mw_code
request(struct mw_bridge *b, struct mw_ctx *ctx, const char *user, const char *tail,
    struct mw_net_req *q, struct mw_net_res *res)
{
	struct mw_net_header h[2] = { { "Content-Type", "application/json" } };
	char id[MW_BRIDGE_ID_MAX + 1];
	struct mw_buf url, auth;
	enum mw_code code = MW_OK;

	mw_bridge_id(user, id);
	mw_buf_init(&url, 16384);
	mw_buf_init(&auth, 2048);
	if (q->body == NULL)
		h[0].value = "application/octet-stream";
	q->headers = h;
	q->nheaders = 1;
	if (b->token != NULL) {
		(void)mw_buf_addf(&auth, "Bearer %s", mw_secret_watch_get(b->token, NULL)->line[0]);
		h[q->nheaders].name = "Authorization";
		h[q->nheaders++].value = auth.data;
	}
	if (!mw_buf_addf(&url, "%s/v1/sandbox/%s%s", b->remote.url, id, tail) || auth.failed)
		code = mw_ctx_nomem(ctx);
	q->url = url.data;
	q->stall = q->timeout + GRACE;
	if (code == MW_OK) {
		mw_ctx_call(ctx);
		mw_net_call(b->remote.net, ctx, q, res);
	}
	if (auth.data != NULL)
		explicit_bzero(auth.data, auth.cap);
	mw_buf_free(&auth);
	mw_buf_free(&url);
	return code;
}

/* A request whose answer is a status. */
static enum mw_code
simple(struct mw_bridge *b, struct mw_ctx *ctx, const char *user, const char *tail,
    struct mw_net_req *q)
{
	struct mw_remote_exchange e;
	struct mw_net_res res;
	enum mw_code code;

	mw_remote_exchange_init(&e, q, NULL, NULL);
	code = request(b, ctx, user, tail, q, &res);
	if (code == MW_OK)
		code = judge(b, ctx, user, &e, &res);
	mw_remote_exchange_free(&e);
	return code;
}

/* ---- exec ---- */

/* No cwd, no session: the script sees to the one, the other is not to be trusted. */
static bool
body_of(const struct mw_remote_run *run, struct mw_buf *b)
{
	size_t i;

	(void)mw_buf_adds(b, "{\"argv\":[");
	for (i = 0; run->argv[i] != NULL; i++)
		(void)(mw_buf_adds(b, i == 0 ? "\"" : ",\"") &&
		    mw_json_escape(mw_buf_writer, b, run->argv[i], strlen(run->argv[i])) &&
		    mw_buf_addc(b, '"'));
	return mw_buf_addf(b, "],\"timeout_ms\":%lld}", (long long)run->timeout + GRACE);
}

static enum mw_code
bridge_run(struct mw_remote *r, struct mw_ctx *ctx, const char *user,
    struct mw_remote_run *run)
{
	struct mw_bridge *b = (struct mw_bridge *)r;
	struct mw_net_req q = { .method = "POST", .body_fd = -1, .fresh = run->once,
	    .timeout = run->timeout > 0 ? run->timeout : 1 };
	struct mw_remote_exchange e;
	struct mw_net_res res;
	struct mw_buf body;
	enum mw_code code;

	if ((code = gate(b, ctx, user)) != MW_OK)
		return code;
	mw_buf_init(&body, MW_REMOTE_LINE_MAX * 4);
	mw_remote_exchange_init(&e, &q, mw_bridge_event, run);
	if (!body_of(run, &body)) {
		code = mw_ctx_nomem(ctx);
	} else {
		q.body = body.data;
		q.body_size = (int64_t)body.len;
		code = request(b, ctx, user, "/exec", &q, &res);
	}
	if (code == MW_OK)
		code = judge(b, ctx, user, &e, &res);
	run->exit_code = e.events.exit_code;
	mw_remote_exchange_free(&e);
	mw_buf_free(&body);
	return code;
}

/* The name is ours, but for the root's. */
static enum mw_code
bridge_upload(struct mw_remote *r, struct mw_ctx *ctx, const char *user, const char *path,
    const void *p, int fd, int64_t at, int64_t size)
{
	struct mw_bridge *b = (struct mw_bridge *)r;
	struct mw_net_req q = { .method = "PUT", .body = p, .body_fd = fd,
	    .body_offset = at, .body_size = size, .timeout = r->timeout };
	struct mw_buf tail;
	enum mw_code code;

	if ((code = gate(b, ctx, user)) != MW_OK)
		return code;
	mw_buf_init(&tail, 8192);
	if (mw_buf_adds(&tail, "/file") && mw_str_pct_encode(&tail, path, strlen(path), "/$&+,:;=@"))
		code = simple(b, ctx, user, tail.data, &q);
	else
		code = mw_ctx_nomem(ctx);
	mw_buf_free(&tail);
	return code;
}

static const struct mw_remote_ops bridge_remote = {
	.run = bridge_run,
	.upload = bridge_upload,
	.piece = UPLOAD_PIECE,
	.only_root = true,
};

/* ---- the table of operations ---- */

static void
bridge_close(struct mw_sandbox *s)
{
	struct mw_bridge *b = (struct mw_bridge *)s;

	mw_secret_watch_close(b->token);
	mw_remote_free(&b->remote);
	free(b);
}

static enum mw_code
check(const struct mw_conf *conf, struct mw_err *err)
{
	const char *root = conf->sandbox.root;

	if (conf->sandbox.bridge.url[0] == '\0')
		return mw_fail(err, MW_INTERNAL_ERROR, "sandbox.bridge.url must be set");
	if (strcmp(root, ROOT) != 0 && strncmp(root, ROOT "/", sizeof(ROOT)) != 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "sandbox.root must be " ROOT
		    " or below: the bridge takes files nowhere else");
	/* A percent sign cannot be had in the bridge's file paths. */
	if (strpbrk(root, "#?%") != NULL)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "sandbox.root: the bridge has no files in a directory named with #, ? or %%");
	return MW_OK;
}

static enum mw_code
bridge_open(const struct mw_conf *conf, struct mw_sandbox **sp, struct mw_err *err)
{
	const char *token = conf->sandbox.bridge.token_file;
	struct mw_bridge *b;
	enum mw_code code;

	*sp = NULL;
	if ((code = check(conf, err)) != MW_OK)
		return code;
	if ((b = calloc(1, sizeof(*b))) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	b->remote.base.flags = MW_SB_CAN_STOP | MW_SB_CAN_CREATE | MW_SB_GUESSES;
	b->awake_ttl = conf->sandbox.bridge.awake_ttl;
	code = mw_remote_init(&b->remote, &mw_sandbox_bridge, &bridge_remote, conf,
	    conf->sandbox.bridge.url, err);
	if (code == MW_OK && token[0] != '\0')
		code = mw_secret_watch_open(token, &b->token, err);
	if (code != MW_OK) {
		bridge_close(&b->remote.base);
		return code;
	}
	*sp = &b->remote.base;
	return MW_OK;
}

/* Without a question: that would start it, or keep it from ever falling asleep. */
static enum mw_code
bridge_status(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    struct mw_sandbox_status *st)
{
	struct mw_bridge *b = (struct mw_bridge *)s;

	(void)ctx;
	*st = (struct mw_sandbox_status){ .memory = -1, .processes = -1,
	    .state = known_awake(b, user, b->awake_ttl) ? MW_SB_RUNNING : MW_SB_ASLEEP };
	return MW_OK;
}

static enum mw_code
bridge_start(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user)
{
	struct mw_bridge *b = (struct mw_bridge *)s;
	enum mw_code code;

	b->starting = true;
	b->pool_failed = false;
	code = mw_remote_ping(&b->remote, ctx, user);
	b->starting = false;
	/* Nothing ran, so elsewhere this is no lost answer; a start is worth another try. */
	if (code == MW_SANDBOX_UNAVAILABLE && b->pool_failed)
		code = ctx->err.code = MW_SANDBOX_UNREACHABLE;
	return code;
}

/* Not asked whether it runs: only this makes sure that it does not. */
static enum mw_code
bridge_stop(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user)
{
	struct mw_bridge *b = (struct mw_bridge *)s;
	struct mw_net_req q = { .method = "DELETE", .body_fd = -1,
	    .timeout = b->remote.timeout };
	enum mw_code code = simple(b, ctx, user, "", &q);

	if (code == MW_OK)
		told(b, user, false);
	return code;
}

const struct mw_sandbox_ops mw_sandbox_bridge = {
	.name = "bridge",
	.input_max = MW_REMOTE_INPUT_MAX,
	.open = bridge_open,
	.close = bridge_close,
	.enumerate = mw_remote_enumerate,
	.status = bridge_status,
	.start = bridge_start,
	.stop = bridge_stop,
	.exec = mw_remote_exec,
	.read = mw_remote_read,
	.write = mw_remote_write,
	.remove = mw_remote_remove,
	.stat = mw_remote_stat,
	.list = mw_remote_list,
};
