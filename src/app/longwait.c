/* SPDX-License-Identifier: BSD-2-Clause */
/* Long waits, of which a pool always leaves one process free. */
#include "app/longwait.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/pool.h"
#include "base/stop.h"
#include "state/metrics.h"
#include "state/slot.h"

/* What mw_wait_end is to know: there is something to end, or nothing. */
#define NONE (-1)
#define COUNTED 0

#define PACE 100	/* ms */
#define QUEUE 2000	/* ms for a place to become free */
#define LOOK 50		/* ms between two looks for one */

/* Of this process, which waits once, whatever its threads do. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned waits;		/* begun and not ended */
static int held;		/* the slot, if there are any */

/* Most processes that there may be of this responder; 0 = not known. */
static unsigned
most(const struct mw_app *app)
{
	return mw_pool_member() ? mw_pool_most() : app->procs;
}

static bool
enter(struct mw_app *app)
{
	bool in = true;

	(void)pthread_mutex_lock(&lock);
	if (waits == 0) {
		held = mw_slot_take(app->shm, MW_SLOT_BUSY, app->name, most(app) - 1);
		in = held >= 0;
	}
	if (in)
		waits++;
	(void)pthread_mutex_unlock(&lock);
	return in;
}

/*
 * The last free process waits for a place to become free only while nobody needs it:
 * not for a moment when a connection comes.
 */
static bool
queue(struct mw_app *app, const struct mw_ctx *ctx)
{
	int64_t end = mw_now() + QUEUE;

	while (mw_left(end) > 0 && mw_left(ctx->deadline) > 0 && !mw_pool_pending() &&
	    (ctx->gone == NULL || !ctx->gone(ctx->gone_arg)) && mw_nap(LOOK)) {
		if (enter(app))
			return true;
	}
	return false;
}

enum mw_code
mw_wait_begin(struct mw_app *app, struct mw_ctx *ctx, int *slot)
{
	enum mw_code code;
	int responder;

	*slot = NONE;
	if (most(app) < 2)
		return MW_OK;
	if (enter(app) || (mw_pool_member() && queue(app, ctx))) {
		*slot = COUNTED;
		return MW_OK;
	}
	if ((responder = mw_metric_responder(app->name)) >= 0)
		mw_count(MW_M_POOL_REJECTIONS, (unsigned)responder, 0, 0, 1);
	code = mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
	    "All but one of the %u processes of %s (pool.%s) wait for sandboxes, and that one "
	    "must stay free; try again", most(app), app->name, app->name);
	if (ctx->err.retry_after == 0)
		ctx->err.retry_after = 1;
	return code;
}

void
mw_wait_end(struct mw_app *app, int slot)
{
	if (slot == NONE)
		return;
	(void)pthread_mutex_lock(&lock);
	if (--waits == 0)
		mw_slot_give(app->shm, held);
	(void)pthread_mutex_unlock(&lock);
}

bool
mw_wait_pace(int64_t began, bool news)
{
	if (!news && mw_now() - began < PACE)
		return mw_nap(PACE);
	return !mw_stopping();
}
