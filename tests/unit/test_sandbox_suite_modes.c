/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine driver in its other modes, with a real Podman: sleeping by a pause.  What
 * every driver must do, of which only coming and going unless MW_LONG is set, and what is
 * the mode's own.
 */
#include "engine_fixture.h"
#include "sandbox_suite.h"

static void
run_suite(const struct suite_driver *driver)
{
	if (getenv("MW_LONG") != NULL)
		suite(driver);
	else
		suite_only_life(driver);
}

static enum mw_code
stop(bool ends)
{
	enum mw_code code;

	box_fresh(&box);
	box.sb->stop_ends = ends;
	code = box.sb->ops->stop(box.sb, &box.ctx, box.user);
	box.sb->stop_ends = false;
	return code;
}

/* ---- paused ---- */

static const struct suite_driver paused = {
	.open = open_engine, .replace = remove_by_hand, .grain = 1, .stat_grain = 1,
	.stride = 6,
};

static bool
engine_pauses(void)
{
	bool can;

	box_open(&box, "can");
	box_ready(&box);
	can = by_hand("POST", "/containers/mwt-can/pause") == 204;
	if (!can) {
		suite_code(stop(false), MW_SANDBOX_UNAVAILABLE, "a pause that cannot be had");
		ok(strstr(box.ctx.err.msg, "sandbox.engine.sleep") != NULL, "names the setting");
		state_is(MW_SB_RUNNING, "and changes nothing");
		suite_code(stop(true), MW_OK, "a restart's stop needs none");
		state_is(MW_SB_ASLEEP, "it sleeps");
	}
	box_close(&box);
	remove_by_hand("can");
	return can;
}

/* Its processes stay, until a restart. */
static void
pause_keeps(void)
{
	const char *argv[] = { "cat", NULL };
	struct mw_exec x = { .argv = argv, .input = "in", .input_len = 2 };
	char pid[32];
	struct ran ran;

	box_open(&box, "keeps");
	ok((box.sb->flags & MW_SB_PAUSES) != 0, "the handle says so");
	box_ready(&box);
	(void)snprintf(pid, sizeof(pid), "%s",
	    sh("sleep 3600 >/dev/null 2>&1 & echo $! >\"$MW_RUN_DIR/pid\"; echo $!"));
	ok(atoi(pid) > 0, "something runs");
	suite_code(stop(false), MW_OK, "stop");
	state_is(MW_SB_ASLEEP, "it sleeps");
	box_exec(&box, &x, 100, &ran);
	suite_code(ran.code, MW_SANDBOX_HIBERNATING, "a command with an input");
	ran_free(&ran);
	start();
	is_str(sh("kill -0 $(cat \"$MW_RUN_DIR/pid\") && cat \"$MW_RUN_DIR/pid\""), pid,
	    "what ran runs on");
	is_str(sh("cat \"$MW_RUN_DIR/instance\""), SUITE_MARK, "it is the same instance");
	suite_code(stop(true), MW_OK, "a restart's stop");
	state_is(MW_SB_ASLEEP, "it sleeps");
	start();
	is_str(sh("kill -0 $(cat \"$MW_RUN_DIR/pid\") 2>/dev/null || echo gone"), "gone\n",
	    "nothing of it ran on");
	is_str(sh("cat \"$MW_RUN_DIR/instance\""), SUITE_MARK, "but the disk stayed");
	suite_code(stop(false), MW_OK, "stop");
	suite_code(stop(true), MW_OK, "one that is paused is stopped too");
	suite_code(stop(false), MW_OK, "and one that is stopped sleeps");
	start();
	is_str(sh("echo runs"), "runs\n", "and starts");
	box_close(&box);
}

static void
test_paused(void)
{
	conf.sandbox.engine.sleep = (char *)(uintptr_t)"pause";
	drv = &paused;
	if (engine_pauses()) {
		run_suite(&paused);
		pause_keeps();
	} else
		ok(true, "a pause # SKIP this engine cannot pause (rootless, cgroup v1)");
	conf.sandbox.engine.sleep = (char *)(uintptr_t)"stop";
}

int
main(void)
{
	if (!engine_up())
		return 0;
	test_paused();
	engine_down();
	return done();
}
