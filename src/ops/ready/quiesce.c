/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two locks for each user.  "change:USER" is shared by those inside and taken by who
 * closes.  "stop:USER" is the way in: shared for a moment by who enters, and taken
 * first by who closes, so that newcomers without end cannot keep it open.
 */
#include "ops/ready/quiesce.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "app/longwait.h"

#define FORCED_WAIT 5000	/* ms for those inside, when they are not cared for */

struct names { char stop[MW_USER_MAX + 8], change[MW_USER_MAX + 8]; };

static struct names
names_of(const char *user)
{
	struct names n;

	(void)snprintf(n.stop, sizeof(n.stop), "stop:%s", user);
	(void)snprintf(n.change, sizeof(n.change), "change:%s", user);
	return n;
}

static enum mw_code
being_stopped(struct mw_ctx *ctx, const char *user)
{
	mw_err_clear(&ctx->err);
	ctx->err.retry_after = 1;
	return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
	    "The sandbox of %s is being put to sleep or restarted; try again", user);
}

static enum mw_code
way_in(struct mw_app *app, struct mw_ctx *ctx, const struct names *n, int *turn)
{
	enum mw_code code = mw_lockfile_share(app->lock_path, n->stop, 0, turn, &ctx->err);
	int slot;

	if (code != MW_DEADLINE_EXCEEDED)
		return code;
	mw_err_clear(&ctx->err);
	if ((code = mw_wait_begin(app, ctx, &slot)) != MW_OK)
		return code;
	code = mw_lockfile_share(app->lock_path, n->stop, ctx->deadline, turn, &ctx->err);
	mw_wait_end(app, slot);
	return code;
}

enum mw_code
mw_quiesce_enter(struct mw_app *app, struct mw_ctx *ctx, const char *user, int *inside)
{
	struct names n = names_of(user);
	enum mw_code code;
	int turn;

	*inside = -1;
	if ((code = way_in(app, ctx, &n, &turn)) == MW_OK)
		code = mw_lockfile_share(app->lock_path, n.change, ctx->deadline, inside, &ctx->err);
	mw_lockfile_give(turn);
	return code == MW_DEADLINE_EXCEEDED ? being_stopped(ctx, user) : code;
}

void
mw_quiesce_leave(struct mw_app *app, const char *user, int inside)
{
	(void)atomic_fetch_add(mw_shm_changes(app->shm, user), 1);
	mw_lockfile_give(inside);
}

uint32_t
mw_quiesce_changes(struct mw_app *app, const char *user)
{
	return atomic_load(mw_shm_changes(app->shm, user));
}

/* Those inside have not left in time. */
static enum mw_code
hangs(struct mw_ctx *ctx, const char *user, bool force)
{
	mw_err_clear(&ctx->err);
	if (force) {
		mw_log(MW_WARN, "[WAKE] userId=%s is stopped although something in it is at work",
		    user);
		return MW_OK;
	}
	ctx->err.retry_after = 1;
	return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "A write or the start of a command in the "
	    "sandbox of %s does not come to its end: it was not stopped; try again, or stop it all "
	    "the same with force=true", user);
}

enum mw_code
mw_quiesce_close(struct mw_app *app, struct mw_ctx *ctx, const char *user, bool force,
    struct mw_quiesce *g)
{
	struct names n = names_of(user);
	enum mw_code code;
	int64_t until;

	g->empty = -1;
	code = mw_lockfile_take(app->lock_path, n.stop, ctx->deadline, &g->turn, &ctx->err);
	if (code != MW_OK)
		return code == MW_DEADLINE_EXCEEDED ? being_stopped(ctx, user) : code;
	until = mw_now() + (force ? FORCED_WAIT : app->conf->sandbox.timeout);
	if (until > ctx->deadline)
		until = ctx->deadline;
	code = mw_lockfile_take(app->lock_path, n.change, until, &g->empty, &ctx->err);
	if (code == MW_DEADLINE_EXCEEDED)
		code = hangs(ctx, user, force);
	if (code != MW_OK)
		mw_quiesce_open(g);
	return code;
}

void
mw_quiesce_open(struct mw_quiesce *g)
{
	mw_lockfile_give(g->empty);
	mw_lockfile_give(g->turn);
	g->turn = g->empty = -1;
}

bool
mw_quiesce_closed(struct mw_app *app, const char *user)
{
	struct names n = names_of(user);
	int turn;

	if (mw_lockfile_share(app->lock_path, n.stop, 0, &turn, NULL) == MW_DEADLINE_EXCEEDED)
		return true;
	mw_lockfile_give(turn);
	return false;
}
