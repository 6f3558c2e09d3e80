/* SPDX-License-Identifier: BSD-2-Clause */
/* The container driver does what every driver must; see remote_fixture.h. */
#include "remote_fixture.h"
#include "sandbox_suite.h"
#include "remote_more.h"

/* With a real server, whose container is not ours to end, all that is in it goes. */
static void
replace_container(const char *user)
{
	char json[64];

	(void)snprintf(json, sizeof(json), "{\"user\":\"%s\"}", user);
	if (peer > 0)
		control("replace", json);
	else
		(void)sh("cd \"$MW_ROOT\" && find . -mindepth 1 -delete; rm -rf \"$MW_RUN_DIR\"");
}

static const struct suite_driver container = {
	.open = open_remote, .replace = replace_container, .grain = 1, .stat_grain = 1,
	.not_utf8 = true, .stride = 6, .before = MW_SB_RUNNING, .unlisted = true,
};

int
main(void)
{
	if (!set_up("container"))
		return done();
	suite(&container);
	remote_more();
	tear_down();
	return done();
}
