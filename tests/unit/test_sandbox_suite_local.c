/* SPDX-License-Identifier: BSD-2-Clause */
/* The local driver does what every driver must. */
#include "local_fixture.h"
#include "sandbox_suite.h"

static struct mw_sandbox *
open_local(void)
{
	struct mw_err err = { 0 };
	struct mw_sandbox *s;

	if (mw_sandbox_open(conf, &s, &err) != MW_OK)
		die(err.msg);
	return s;
}

/* Its directory is removed by hand. */
static void
replace_local(const char *user)
{
	int dir = open(in_top("sandboxes"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	fresh_ctx();
	if (sb->ops->stop(sb, &ctx, user) != MW_OK || dir < 0 || !mw_local_wipe(dir, user))
		die(user);
	(void)close(dir);
}

static const struct suite_driver local = {
	.open = open_local, .replace = replace_local, .grain = 1, .stat_grain = 1,
	.not_utf8 = true,
};

int
main(int argc, char *argv[])
{
	char path[512];

	set_up(argc, argv);
	if (!mw_bwrap_find(path, sizeof(path))) {
		ok(true, "# SKIP bubblewrap is not installed");
		return done();
	}
	suite(&local);
	fresh_ctx();
	(void)!sb->ops->stop(sb, &ctx, "suite");
	tear_down();
	return done();
}
