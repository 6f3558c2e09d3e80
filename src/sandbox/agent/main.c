/* SPDX-License-Identifier: BSD-2-Clause */
#include "sandbox/agent/exec.h"

int
main(int argc, char *argv[])
{
	return mw_agent_main(argc, argv);
}
