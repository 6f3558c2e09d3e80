/* SPDX-License-Identifier: BSD-2-Clause */
/* The deep health of one user. */
#include "ops/fleet/health.h"

#include <string.h>

#include "app/names.h"
#include "app/script.h"
#include "app/workers.h"
#include "base/clock.h"
#include "ops/ready/probe.h"
#include "app/names.h"

#define CHECKS 4
#define ANSWER_MAX 8192		/* bytes that the filesystem's check may say */

struct check {
	struct mw_app *app;		/* its worker's */
	struct mw_ctx *ctx;
	const char *user;
	struct mw_check *out;
	struct mw_health *all;		/* each check writes members of its own */
	char dir[ANSWER_MAX + 1];
};

/* Says where we are, and whether a configuration document is there: MW_CONFIG has a path a line. */
static const char filesystem_script[] =
    "cd \"$MW_ROOT\" && [ -r . ] && [ -w . ] && [ -x . ] || exit 1\n"
    "set -f; has=no; IFS='\n'\n"
    "for f in $MW_CONFIG; do [ ! -f \"$f\" ] || has=yes; done\n"
    "echo $has\n"
    "pwd\n";

static enum mw_code
check_sandbox(struct check *c)
{
	struct mw_sandbox_status st;
	struct mw_sandbox *sb;
	enum mw_code code;

	if ((code = mw_app_sandbox(c->app, c->ctx, &sb)) != MW_OK)
		return code;
	mw_ctx_count(c->ctx);
	if ((code = sb->ops->status(sb, c->ctx, c->user, &st)) != MW_OK)
		return code;
	c->all->processes = st.state == MW_SB_RUNNING ? st.processes : 0;
	if (st.state == MW_SB_RUNNING)
		return MW_OK;
	return mw_ctx_fail(c->ctx, MW_SANDBOX_HIBERNATING, "the sandbox is %s",
	    st.state == MW_SB_ABSENT ? "not there" :
	    st.state == MW_SB_STARTING ? "starting" : "hibernating");
}

static enum mw_code
check_gateway(struct check *c)
{
	struct mw_probe p;
	enum mw_code code;

	if ((code = mw_ask(c->app, c->ctx, c->user, true, &p)) != MW_OK)
		return code;
	if (p.marker == 0)
		return mw_ctx_fail(c->ctx, MW_SANDBOX_HIBERNATING,
		    "the sandbox is a fresh one: wake it to restore its files");
	if (p.gateway || !mw_has_gateway(c->app->conf))
		return MW_OK;
	return mw_ctx_fail(c->ctx, MW_GATEWAY_FAILED, "the gateway does not pass its probe");
}

static const char *
config_paths(struct check *c)
{
	const struct mw_list *paths = &c->app->conf->gateway.config_path;
	const char *all = "MW_CONFIG=";
	size_t i;

	for (i = 0; i < paths->n && all != NULL; i++)
		all = mw_arena_printf(c->ctx->arena, "%s%s\n", all, paths->item[i]);
	return all;
}

static enum mw_code
check_filesystem(struct check *c)
{
	const char *env[] = { NULL, NULL }, *nl;
	struct mw_sandbox *sb;
	struct mw_buf buf;
	enum mw_code code;

	if ((env[0] = config_paths(c)) == NULL)
		return mw_ctx_nomem(c->ctx);
	if ((code = mw_app_sandbox(c->app, c->ctx, &sb)) != MW_OK)
		return code;
	mw_buf_init(&buf, ANSWER_MAX);
	mw_ctx_count(c->ctx);
	code = mw_run_script(c->ctx, sb, c->user, NULL, filesystem_script, env,
	    c->app->conf->wake.health_timeout, &buf);
	nl = code == MW_OK && buf.len > 0 ? memchr(buf.data, '\n', buf.len) : NULL;
	if (code == MW_OK && nl == NULL)
		code = mw_ctx_fail(c->ctx, MW_SANDBOX_UNAVAILABLE, "no answer from its shell");
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
	const char *key = mw_store_key(c->app->conf, c->ctx->arena, c->user, MW_NAME_LAST_SYNC);
	struct mw_store *store;
	struct mw_object obj;
	enum mw_code code;

	if (key == NULL)
		return mw_ctx_nomem(c->ctx);
	if ((code = mw_app_store(c->app, c->ctx, &store)) != MW_OK)
		return code;
	mw_ctx_count(c->ctx);
	code = store->ops->head(store, c->ctx, key, &obj);
	if (code == MW_OK)
		c->all->last_sync = obj.modified;
	/* Never synced: the store has answered. */
	return code == MW_FILE_NOT_FOUND ? MW_OK : code;
}

static enum mw_code (*const checks[CHECKS])(struct check *) = {
	check_sandbox, check_gateway, check_filesystem, check_r2
};

static void
run(void *arg, struct mw_worker *w)
{
	struct check *all = arg, *c = &all[w->i];
	int64_t began = mw_now();

	c->app = w->app;
	c->ctx = &w->ctx;
	c->out->good = checks[w->i](c) == MW_OK;
	c->out->ms = mw_now() - began;
	if (!c->out->good)
		c->out->err = w->ctx.err;
	/* Of the arena that goes now. */
	c->out->err.details = NULL;
}

enum mw_code
mw_health(struct mw_app *app, struct mw_ctx *ctx, const char *user, struct mw_health *out)
{
	struct mw_check *const outs[CHECKS] = {
		&out->sandbox, &out->gateway, &out->filesystem, &out->r2
	};
	struct check *c = mw_arena_alloc(ctx->arena, CHECKS * sizeof(*c));
	struct mw_aside aside;
	enum mw_code code;
	size_t i;

	memset(out, 0, sizeof(*out));
	out->processes = -1;
	if (c == NULL)
		return mw_ctx_nomem(ctx);
	for (i = 0; i < CHECKS; i++)
		c[i] = (struct check){ .user = user, .out = outs[i], .all = out };
	mw_ctx_aside_begin(ctx, mw_now() + app->conf->wake.health_timeout, &aside);
	code = mw_workers(app, ctx, CHECKS, "[HEALTH]", run, c);
	mw_ctx_aside_end(ctx, &aside);
	for (i = 0; i < CHECKS; i++) {
		if (c[i].dir[0] != '\0')
			out->working_dir = c[i].dir;
	}
	return code == MW_OK ? MW_OK : mw_ctx_nomem(ctx);
}
