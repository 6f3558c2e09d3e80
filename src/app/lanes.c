/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/lanes.h"

#include <stdlib.h>

enum mw_code
mw_lane_app(struct mw_app *app, struct mw_ctx *ctx, size_t i, struct mw_app **lane)
{
	struct mw_app *l, mine = *app;

	*lane = NULL;
	if (i >= MW_LANES_MAX)
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "too many threads");
	if (app->lanes == NULL &&
	    (app->lanes = calloc(MW_LANES_MAX, sizeof(*app->lanes))) == NULL)
		return mw_ctx_nomem(ctx);
	l = &app->lanes[i];
	mine.lanes = NULL;
	mine.store = l->store;
	mine.sandbox = l->sandbox;
	mw_err_clear(&mine.store_err);
	mw_err_clear(&mine.sandbox_err);
	if (mine.store == NULL &&
	    mw_store_open(app->conf, &mine.store, &mine.store_err) != MW_OK)
		mine.store = NULL;
	if (mine.sandbox == NULL &&
	    mw_app_open_sandbox(app, &mine.sandbox, &mine.sandbox_err) != MW_OK)
		mine.sandbox = NULL;
	*l = mine;
	*lane = l;
	return MW_OK;
}

void
mw_lanes_close(struct mw_app *app)
{
	size_t i;

	for (i = 0; app->lanes != NULL && i < MW_LANES_MAX; i++) {
		mw_sandbox_close(app->lanes[i].sandbox);
		mw_store_close(app->lanes[i].store);
	}
	free(app->lanes);
	app->lanes = NULL;
}
