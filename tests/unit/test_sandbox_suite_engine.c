/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine driver does what every driver must, with a real Podman. */
#include "engine_fixture.h"
#include "sandbox_suite.h"

/* Removed by hand. */
static void
replace(const char *user)
{
	char path[256];
	int status;

	(void)snprintf(path, sizeof(path), "/containers/mwt-%s?force=true&v=true", user);
	status = by_hand("DELETE", path);
	if (status != 204 && status != 200 && status != 404)
		printf("# DELETE %s: %d\n", path, status);
}

static const struct suite_driver engine = {
	.open = open_engine, .replace = replace, .grain = 1, .stat_grain = 1,
	.stride = 6,
};

int
main(void)
{
	if (!engine_up())
		return 0;
	suite(&engine);
	engine_down();
	return done();
}
