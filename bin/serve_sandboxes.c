/* SPDX-License-Identifier: BSD-2-Clause */
/* The local sandboxes that a private instance started, to be stopped with it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "ops/ready/wake_wait.h"
#include "sandbox/sandbox.h"
#include "serve.h"

#define ARENA_MAX (16 * 1024 * 1024)
#define STOP_TIME 30000		/* ms for all of them */

struct session {
	struct mw_sandbox *sb;
	struct mw_ctx ctx;
	struct mw_running *found;
};

static bool
session_open(const struct mw_conf *conf, struct session *x)
{
	struct mw_err err = { 0 };

	*x = (struct session){ .ctx = { .deadline = mw_now() + STOP_TIME, .request_id = "serve" } };
	if (strcmp(conf->sandbox.driver, "local") != 0)
		return false;
	x->ctx.arena = mw_arena_open(ARENA_MAX);
	if (x->ctx.arena != NULL && mw_sandbox_open(conf, &x->sb, &err) == MW_OK)
		return true;
	mw_log(MW_WARN, "sandboxes are not looked after: %s", err.msg);
	mw_arena_close(x->ctx.arena);
	return false;
}

static void
session_close(struct session *x)
{
	mw_sandbox_close(x->sb);
	mw_arena_close(x->ctx.arena);
}

static bool
holds(const struct mw_running *r, const char *user)
{
	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->user[i], user) == 0)
			return true;
	}
	return false;
}

static enum mw_code
take(void *arg, const char *user)
{
	struct session *x = arg;
	struct mw_running *r = x->found;
	struct mw_sandbox_status st;
	char **grown;

	if (x->sb->ops->status(x->sb, &x->ctx, user, &st) != MW_OK) {
		mw_err_clear(&x->ctx.err);
		return MW_OK;
	}
	if (st.state != MW_SB_RUNNING && st.state != MW_SB_STARTING)
		return MW_OK;
	grown = realloc(r->user, (r->n + 1) * sizeof(*grown));
	if (grown == NULL)
		return mw_ctx_nomem(&x->ctx);
	r->user = grown;
	r->user[r->n] = strdup(user);
	if (r->user[r->n] == NULL)
		return mw_ctx_nomem(&x->ctx);
	r->n++;
	return MW_OK;
}

static void
enumerate(struct session *x, struct mw_running *r)
{
	x->found = r;
	if (x->sb->ops->enumerate(x->sb, &x->ctx, take, x) != MW_OK)
		mw_log(MW_WARN, "cannot list the sandboxes: %s", x->ctx.err.msg);
	mw_err_clear(&x->ctx.err);
}

void
mw_running_get(const struct mw_conf *conf, struct mw_running *r)
{
	struct session x;

	*r = (struct mw_running){ 0 };
	if (!session_open(conf, &x))
		return;
	enumerate(&x, r);
	session_close(&x);
}

/* A wake that goes on would start one again. */
static void
stop_wakes(const struct mw_conf *conf)
{
	struct mw_err err = { 0 };
	struct mw_shm *shm = NULL;

	if (mw_shm_open(conf->state.path, &shm, &err) == MW_OK)
		mw_wakes_stop(shm);
	else
		mw_log(MW_WARN, "wakes are not ended: %s", err.msg);
	mw_shm_close(shm);
}

void
mw_running_stop(const struct mw_conf *conf, const struct mw_running *before)
{
	struct mw_running now = { 0 };
	struct session x;

	stop_wakes(conf);
	if (!session_open(conf, &x))
		return;
	enumerate(&x, &now);
	for (size_t i = 0; i < now.n; i++) {
		if (holds(before, now.user[i]))
			continue;
		if (x.sb->ops->stop(x.sb, &x.ctx, now.user[i]) != MW_OK)
			mw_log(MW_WARN, "cannot stop the sandbox of %s: %s", now.user[i], x.ctx.err.msg);
		mw_err_clear(&x.ctx.err);
	}
	mw_running_free(&now);
	session_close(&x);
}

void
mw_running_free(struct mw_running *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->user[i]);
	free(r->user);
	*r = (struct mw_running){ 0 };
}
