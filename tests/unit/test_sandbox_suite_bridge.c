/* SPDX-License-Identifier: BSD-2-Clause */
/* The bridge driver does what every driver must; see remote_fixture.h for against what. */
#include "remote_fixture.h"
#include "sandbox_suite.h"
#include "remote_more.h"

/* It has been evicted, and nobody told us. */
static void
replace_bridge(const char *user)
{
	struct mw_sandbox *s = open_remote();

	box_fresh(&box);
	if (s->ops->stop(s, &box.ctx, user) != MW_OK)
		die(box.ctx.err.msg);
	is_told(NULL, user, true);
	mw_sandbox_close(s);
}

static const struct suite_driver bridge = {
	.open = open_remote, .replace = replace_bridge, .grain = 1, .stat_grain = 1,
	.not_utf8 = true, .stride = 6, .before = MW_SB_ASLEEP, .unlisted = true, .one_start = true,
};

int
main(void)
{
	if (!set_up("bridge"))
		return done();
	suite(&bridge);
	remote_more();
	tear_down();
	return done();
}
