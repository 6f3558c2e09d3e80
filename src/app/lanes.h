/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handles for threads.  A store or sandbox handle is used by one thread at a
 * time, so each further thread of a request works with a copy of the app that
 * has its own.  They are kept, with their connections, for the next request.
 */
#ifndef MW_APP_LANES_H
#define MW_APP_LANES_H

#include <stddef.h>

#include "app/app.h"

#define MW_LANES_MAX 64		/* beside the app itself */

/*
 * The app of further thread number i (0...), with everything else as `app` has it
 * now; good until the end of the request.  Called by the request's own thread,
 * before the threads are started.  A store or sandbox that cannot be opened fails
 * only what needs it, as in the app itself.
 */
enum mw_code mw_lane_app(struct mw_app *app, struct mw_ctx *ctx, size_t i,
    struct mw_app **lane) MW_MUST;

/* The configuration changed, or the end. */
void mw_lanes_close(struct mw_app *app);

#endif
