/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * moltctl wake USER LEVEL LIMIT REQUEST-ID [insist]: lead a wake.  Started detached,
 * with the lock of this user's wake as descriptor MW_DETACH_FD, which is held until the
 * end.  insist: it is wanted by name, and may be the trial of an open breaker.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/stop.h"
#include "base/str.h"
#include "app/helper.h"
#include "ops/wake/lead.h"
#include "verbs.h"

#define ARENA_MAX (64 << 20)
#define LIMIT_MAX 86400000	/* ms */

static void
on_stop(int sig)
{
	(void)sig;
	mw_stop();
}

static bool
parse(char **argv, enum mw_level *level, int64_t *limit)
{
	int64_t v;

	if (!mw_user_valid(argv[1], strlen(argv[1])) ||
	    !mw_str_uint(argv[2], strlen(argv[2]), MW_LEVEL_GATEWAY, &v) ||
	    !mw_str_uint(argv[3], strlen(argv[3]), LIMIT_MAX, limit))
		return false;
	*level = (enum mw_level)v;
	return true;
}

int
mw_verb_wake(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_stop };
	struct mw_ctx ctx = { .deadline = 0 };
	enum mw_level level;
	struct mw_app *app;
	int64_t limit;
	int status = 1;

	/* What we start must not inherit the lock. */
	if ((argc != 5 && argc != 6) || !parse(argv, &level, &limit) ||
	    fcntl(MW_DETACH_FD, F_SETFD, FD_CLOEXEC) != 0)
		return mw_ctl_usage("wake");
	ctx.request_id = argv[4];
	ctx.user = argv[1];
	ctx.waking = argc == 6;
	if (sigaction(SIGTERM, &sa, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    mw_app_open("moltctl", &app, &ctx.err) != MW_OK)
		return mw_ctl_error("%s", ctx.err.msg);
	if ((ctx.arena = mw_arena_open(ARENA_MAX)) != NULL)
		status = mw_wake_lead(app, &ctx, argv[1], level, limit) == MW_OK ? 0 : 1;
	mw_arena_close(ctx.arena);
	mw_app_close(app);
	return status;
}
