/* SPDX-License-Identifier: BSD-2-Clause */
/* The program that runs inside a local sandbox. */
#include "sandbox/agent/exec.h"

int
main(int argc, char *argv[])
{
	return mw_agent_main(argc, argv);
}
