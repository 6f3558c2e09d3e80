/* SPDX-License-Identifier: BSD-2-Clause */
/* Long waits, of which a pool always leaves one process free. */
#include "app/longwait.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/stop.h"
#include "state/slot.h"

/* What mw_wait_end is to know: there is something to end, or nothing. */
#define NONE (-1)
#define COUNTED 0

#define PACE 100	/* ms */

/* Of this process, which waits once, whatever its threads do. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned waits;		/* begun and not ended */
static int held;		/* the slot, if there are any */

static bool
enter(struct mw_app *app)
{
	bool in = true;

	(void)pthread_mutex_lock(&lock);
	if (waits == 0) {
		held = mw_slot_take(app->shm, MW_SLOT_BUSY, app->name, app->procs - 1);
		in = held >= 0;
	}
	if (in)
		waits++;
	(void)pthread_mutex_unlock(&lock);
	return in;
}

enum mw_code
mw_wait_begin(struct mw_app *app, struct mw_ctx *ctx, int *slot)
{
	enum mw_code code;

	*slot = NONE;
	if (app->procs < 2)
		return MW_OK;
	if (enter(app)) {
		*slot = COUNTED;
		return MW_OK;
	}
	code = mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
	    "All but one of the %u processes of %s wait for sandboxes, and that one must stay "
	    "free; try again", app->procs, app->name);
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
