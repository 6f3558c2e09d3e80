/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/fleet/health.h"

#include <string.h>

#include "base/clock.h"
#include "base/threads.h"
#include "ops/ready/probe.h"

#define THREAD_ARENA (1 << 20)
#define CHECKS 4
#define ANSWER_MAX 8192		/* bytes that the filesystem's check may say */

struct check {
	const struct mw_app *app;
	const struct mw_conf *conf;
	const char *user;
	struct mw_ctx ctx;		/* with an arena of its own */
	struct mw_check *out;
	struct mw_health *all;		/* each check writes members of its own */
	struct mw_sandbox *sb;
	struct mw_store *store;
	enum mw_code (*fn)(struct check *c);
	char dir[ANSWER_MAX + 1];
};

/* Says where we are, and whether a configuration document is there: MW_CONFIG has a path a line. */
static const char filesystem_script[] =
    "cd \"$MW_ROOT\" && [ -r . ] && [ -w . ] && [ -x . ] || exit 1\n"
    "set -f; has=no; IFS='\n'\n"
    "for f in $MW_CONFIG; do [ ! -f \"$f\" ] || has=yes; done\n"
    "echo $has\n"
    "pwd\n";

static void
count_call(struct check *c)
{
	c->ctx.attempts++;
	c->ctx.counted = true;
}

static enum mw_code
open_sandbox(struct check *c)
{
	return mw_app_open_sandbox(c->app, &c->sb, &c->ctx.err);
}

static enum mw_code
check_sandbox(struct check *c)
{
	struct mw_sandbox_status st;
	enum mw_code code;

	if ((code = open_sandbox(c)) != MW_OK)
		return code;
	count_call(c);
	if ((code = c->sb->ops->status(c->sb, &c->ctx, c->user, &st)) != MW_OK)
		return code;
	c->all->processes = st.state == MW_SB_RUNNING ? st.processes : 0;
	if (st.state == MW_SB_RUNNING)
		return MW_OK;
	return mw_ctx_fail(&c->ctx, MW_SANDBOX_HIBERNATING, "the sandbox is %s",
	    st.state == MW_SB_ABSENT ? "not there" :
	    st.state == MW_SB_STARTING ? "starting" : "hibernating");
}

static enum mw_code
check_gateway(struct check *c)
{
	const struct mw_probe_ask ask = { .gateway = true };
	struct mw_probe p;
	enum mw_code code;

	if ((code = open_sandbox(c)) != MW_OK)
		return code;
	count_call(c);
	if ((code = mw_probe_run(c->conf, &c->ctx, c->sb, c->user, &ask, &p)) != MW_OK)
		return code;
	if (p.marker == 0)
		return mw_ctx_fail(&c->ctx, MW_SANDBOX_HIBERNATING,
		    "the sandbox is a fresh one: wake it to restore its files");
	if (p.gateway || !mw_has_gateway(c->conf))
		return MW_OK;
	return mw_ctx_fail(&c->ctx, MW_GATEWAY_FAILED, "the gateway does not pass its probe");
}

static const char *
config_paths(struct check *c)
{
	const struct mw_list *paths = &c->conf->gateway.config_path;
	const char *all = "MW_CONFIG=";
	size_t i;

	for (i = 0; i < paths->n && all != NULL; i++)
		all = mw_arena_printf(c->ctx.arena, "%s%s\n", all, paths->item[i]);
	return all;
}

static enum mw_code
check_filesystem(struct check *c)
{
	const char *env[] = { NULL, NULL }, *nl;
	struct mw_buf buf;
	enum mw_code code;

	if ((env[0] = config_paths(c)) == NULL)
		return mw_ctx_nomem(&c->ctx);
	if ((code = open_sandbox(c)) != MW_OK)
		return code;
	mw_buf_init(&buf, ANSWER_MAX);
	count_call(c);
	code = mw_run_script(&c->ctx, c->sb, c->user, filesystem_script, env,
	    c->conf->wake.health_timeout, &buf);
	nl = code == MW_OK && buf.len > 0 ? memchr(buf.data, '\n', buf.len) : NULL;
	if (code == MW_OK && nl == NULL)
		code = mw_ctx_fail(&c->ctx, MW_SANDBOX_UNAVAILABLE, "no answer from its shell");
	if (code == MW_OK) {
		c->all->has_config = strncmp(buf.data, "yes\n", 4) == 0;
		memcpy(c->dir, nl + 1, strcspn(nl + 1, "\n"));
	}
	mw_buf_free(&buf);
	return code;
}

static enum mw_code
check_r2(struct check *c)
{
	const char *key = mw_store_key(c->conf, c->ctx.arena, c->user, ".last-sync");
	struct mw_object obj;
	enum mw_code code;

	if (key == NULL)
		return mw_ctx_nomem(&c->ctx);
	if ((code = mw_store_open(c->conf, &c->store, &c->ctx.err)) != MW_OK)
		return code;
	count_call(c);
	code = c->store->ops->head(c->store, &c->ctx, key, &obj);
	if (code == MW_OK)
		c->all->last_sync = obj.modified;
	/* Never synced: the store has answered. */
	return code == MW_FILE_NOT_FOUND ? MW_OK : code;
}

static void
run(void *arg, size_t i)
{
	struct check *c = (struct check *)arg + i;
	int64_t began = mw_now();

	c->out->good = c->fn(c) == MW_OK;
	c->out->ms = mw_now() - began;
	if (!c->out->good)
		c->out->err = c->ctx.err;
	/* Of the arena that goes now. */
	c->out->err.details = NULL;
	mw_sandbox_close(c->sb);
	mw_store_close(c->store);
}

static bool
set_up(struct check *c, struct mw_app *app, const struct mw_ctx *ctx, const char *user,
    struct mw_health *out)
{
	int64_t limit = mw_now() + app->conf->wake.health_timeout;

	memset(c, 0, sizeof(*c));
	c->app = app;
	c->conf = app->conf;
	c->user = user;
	c->all = out;
	c->ctx.request_id = ctx->request_id;
	c->ctx.user = user;
	c->ctx.deadline = limit < ctx->deadline ? limit : ctx->deadline;
	c->ctx.arena = mw_arena_open(THREAD_ARENA);
	return c->ctx.arena != NULL;
}

enum mw_code
mw_health(struct mw_app *app, struct mw_ctx *ctx, const char *user, struct mw_health *out)
{
	enum mw_code (*const fns[CHECKS])(struct check *) = {
		check_sandbox, check_gateway, check_filesystem, check_r2
	};
	struct mw_check *const outs[CHECKS] = {
		&out->sandbox, &out->gateway, &out->filesystem, &out->r2
	};
	struct check *c = mw_arena_alloc(ctx->arena, CHECKS * sizeof(*c));
	bool memory = c != NULL;
	size_t i;

	memset(out, 0, sizeof(*out));
	out->processes = -1;
	for (i = 0; i < CHECKS && c != NULL; i++) {
		memory = set_up(&c[i], app, ctx, user, out) && memory;
		c[i].fn = fns[i];
		c[i].out = outs[i];
	}
	if (memory)
		(void)mw_threads(CHECKS, run, c);
	for (i = 0; i < CHECKS && c != NULL; i++) {
		ctx->attempts += c[i].ctx.attempts;
		if (c[i].dir[0] != '\0')
			out->working_dir = c[i].dir;
		mw_arena_close(c[i].ctx.arena);
	}
	return memory ? MW_OK : mw_ctx_nomem(ctx);
}
