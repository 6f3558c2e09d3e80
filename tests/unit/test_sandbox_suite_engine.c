/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine driver does what every driver must, with a real Podman. */
#include "engine_fixture.h"
#include "sandbox_suite.h"

static const struct suite_driver engine = {
	.open = open_engine, .replace = remove_by_hand, .grain = 1, .stat_grain = 1,
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
