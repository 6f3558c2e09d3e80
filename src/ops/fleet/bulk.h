/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One operation for many users (api: Fleet): each by itself, several at a time,
 * a line about each as it ends.
 */
#ifndef MW_OPS_FLEET_BULK_H
#define MW_OPS_FLEET_BULK_H

#include <pthread.h>

#include "app/app.h"
#include "base/buf.h"

/* One user's turn, in a thread with an app, an arena and a context of its own. */
struct mw_fleet_turn {
	struct mw_app *app;
	struct mw_ctx *ctx;		/* deadline: the whole run's, may be brought nearer */
	const char *user;
	int status;			/* of a success, 200 unless told otherwise */
	struct mw_buf more;		/* further members of its line, each after a comma */
};

struct mw_fleet {
	const char *what;		/* for the log */
	const char *const *user;
	size_t n, concurrency;
	/* In several threads at once.  Its failure, ctx->err, goes into the user's line. */
	enum mw_code (*turn)(void *arg, struct mw_fleet_turn *t);
	/* These two one at a time.  False, or gone: nobody reads any more. */
	bool (*say)(void *arg, const char *line, size_t n);
	bool (*gone)(void *arg);
	void *arg;

	/* results */
	size_t succeeded, failed, skipped;	/* users whose line was made */
	bool left;				/* nobody reads any more: the rest were not begun */
	pthread_mutex_t mutex;			/* private */
	size_t next;
};

/*
 * Every user's turn, at most `concurrency` at a time.  Each has a line, made and said
 * as its turn ends: {"userId","success","status",...members,"error"?,"code"?,
 * "errorType"?,"retryable"?,"retryAfter"?,"details"?,"notRun"?,"attempts","durationMs",
 * "timestamp"}.  Those whom ctx->deadline leaves no time are "notRun":true with
 * MW_DEADLINE_EXCEEDED; once this process is told to end, with
 * MW_SANDBOX_UNAVAILABLE.  When nobody reads any more, no turn begins.  Fails
 * only for what concerns the whole, before the first turn.
 */
enum mw_code mw_fleet_run(struct mw_app *app, struct mw_ctx *ctx, struct mw_fleet *f) MW_MUST;

/* Ask f->gone, from within a turn. */
bool mw_fleet_gone(struct mw_fleet *f);

#endif
