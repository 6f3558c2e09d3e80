/* SPDX-License-Identifier: BSD-2-Clause */
/* What a sleep and a restart ask of the driver: a stand-in for the local one's stop. */
#include "local_fixture.h"

#include "ops/fleet/lifecycle.h"

static struct mw_app *app;
static struct { unsigned stops, ends; } told;

static enum mw_code
note_stop(struct mw_sandbox *s, struct mw_ctx *c, const char *user)
{
	(void)c;
	(void)user;
	told.stops++;
	told.ends += s->stop_ends;
	return MW_OK;
}

static enum mw_code
say_asleep(struct mw_sandbox *s, struct mw_ctx *c, const char *user, struct mw_sandbox_status *st)
{
	(void)s;
	(void)c;
	(void)user;
	*st = (struct mw_sandbox_status){ .state = MW_SB_ASLEEP, .memory = -1, .processes = -1 };
	return MW_OK;
}

static enum mw_code
fail_start(struct mw_sandbox *s, struct mw_ctx *c, const char *user)
{
	(void)s;
	(void)user;
	return mw_ctx_fail(c, MW_SANDBOX_UNAVAILABLE, "not here");
}

static void
change(enum mw_code (*fn)(struct mw_app *, struct mw_ctx *, struct mw_lifecycle *))
{
	struct mw_lifecycle c = { .user = "u", .max_wake = 1 };

	fresh_ctx();
	told.stops = told.ends = 0;
	(void)!fn(app, &ctx, &c);
	mw_err_clear(&ctx.err);
}

/* Where a sandbox sleeps with its processes kept, a restart is told apart, also of one
 * that sleeps. */
static void
test_ends(unsigned flags)
{
	app->sandbox->flags = flags;
	change(mw_lifecycle_sleep);
	ok(told.stops > 0 && told.ends == 0, "a sleep stops, and may keep processes");
	ok(!app->sandbox->stop_ends, "the handle is as it was");
	change(mw_lifecycle_restart);
	ok(told.stops > 0 && told.ends == told.stops, "a restart ends them, whenever it stops");
	ok(!app->sandbox->stop_ends, "the handle is as it was");
}

int
main(int argc, char *argv[])
{
	struct mw_err err = { .code = MW_OK };
	struct mw_sandbox_ops ops;

	set_up(argc, argv);
	reopen("none");
	if (mw_app_open("state", &app, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	ops = *app->sandbox->ops;
	ops.stop = note_stop;
	ops.status = say_asleep;
	ops.start = fail_start;
	app->sandbox->ops = &ops;
	test_ends(MW_SB_FILES_ASLEEP | MW_SB_CAN_STOP | MW_SB_PAUSES);
	test_ends(MW_SB_CAN_STOP | MW_SB_PAUSES);
	app->sandbox->flags = MW_SB_CAN_STOP | MW_SB_GUESSES;
	change(mw_lifecycle_sleep);
	is_int(told.stops, 0, "one that only seems asleep is left alone");
	app->sandbox->ops = &mw_sandbox_local;
	mw_app_close(app);
	tear_down();
	return done();
}
