/* SPDX-License-Identifier: BSD-2-Clause */
/* moltctl drain: bring what waits in the outbox to the object store. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "app/app.h"
#include "ops/files/drain.h"
#include "ops/exec/tend.h"
#include "verbs.h"

#define LIMIT 86400000		/* ms; an operator may stop it at any time */
#define LIMIT_DETACHED 300000	/* ms; the next request starts another */
#define ARENA_MAX (1 << 20)

#define EXIT_LEFT 1
#define EXIT_PARKED 2

struct options {
	unsigned flags;
	bool detached;
};

static bool
parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "if-idle", no_argument, NULL, 'i' },
		{ "parked", no_argument, NULL, 'p' },
		{ "detached", no_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 }
	};
	int opt;

	*o = (struct options){ .flags = MW_DRAIN_NOW };
	optind = 1;
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			if (setenv("MOLTWORKER_CONFIG", optarg, 1) != 0)
				return false;
			break;
		case 'i':
			o->flags |= MW_DRAIN_IDLE;
			break;
		case 'p':
			o->flags |= MW_DRAIN_PARKED;
			break;
		case 'd':
			o->detached = true;
			o->flags = MW_DRAIN_IDLE;
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

/* Before anything is opened: what another user's process made would stay. */
static bool
may_run(struct mw_err *err)
{
	struct mw_conf *conf;
	bool good;

	if (mw_conf_load(NULL, &conf, err) != MW_OK)
		return false;
	good = mw_ctl_owner(conf, err);
	mw_conf_free(conf);
	return good;
}

static int
report(const struct mw_drain_result *r, unsigned results, unsigned swept)
{
	if (printf("%s%lld sent, %lld left, %lld parked, %u leftovers removed",
	    r->busy ? "another drain is at work; " : "", (long long)r->done,
	    (long long)r->left, (long long)r->parked, swept) < 0 ||
	    (results > 0 && printf(", %u results left in their sandboxes", results) < 0) ||
	    putchar('\n') == EOF || fflush(stdout) != 0)
		return 1;
	if (r->left > 0)
		return EXIT_LEFT;
	return r->parked > 0 ? EXIT_PARKED : 0;
}

int
mw_verb_drain(int argc, char **argv)
{
	struct mw_ctx ctx = { .request_id = "drain" };
	struct mw_drain_result result;
	struct options o;
	struct mw_app *app;
	unsigned results = 0, swept = 0;
	int status;

	if (!parse(argc, argv, &o))
		return mw_ctl_usage("drain");
	if ((!o.detached && !may_run(&ctx.err)) || mw_app_open("moltctl", &app, &ctx.err) != MW_OK)
		return mw_ctl_error("%s", ctx.err.msg);
	ctx.deadline = mw_now() + (o.detached ? LIMIT_DETACHED : LIMIT);
	if ((ctx.arena = mw_arena_open(ARENA_MAX)) == NULL) {
		status = mw_ctl_error("out of memory");
	} else if (mw_drain(app, &ctx, o.flags, &result) != MW_OK) {
		if (o.detached)
			mw_log(MW_ERROR, "[SYNC] drain: %s", ctx.err.msg);
		status = mw_ctl_error("%s", ctx.err.msg);
	} else {
		if (!result.busy)
			results = mw_exec_tend(app, &ctx, (o.flags & MW_DRAIN_IDLE) == 0);
		/* Opening the store has swept its own. */
		if (!o.detached)
			swept = mw_outbox_sweep(app->outbox);
		status = report(&result, results, swept);
	}
	mw_arena_close(ctx.arena);
	mw_app_close(app);
	return status;
}
