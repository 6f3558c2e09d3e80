/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's parts. */
#ifndef MW_SANDBOX_AGENT_EXEC_H
#define MW_SANDBOX_AGENT_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/agent/agent.h"

/* ---- agent.c ---- */

/* main() of the agent. */
int mw_agent_main(int argc, char *argv[]);

/* ---- exec.c ---- */

/* One frame to the client.  False when the client is gone. */
bool mw_agent_send(int client, enum mw_ag_type type, const void *p, size_t n);

void mw_agent_failed(int client, enum mw_ag_stage stage, int e);

/*
 * Run the command of the request req[0..len) (writable, one byte of room behind
 * it), send what it says and how it ended, and close `client`.  Returns when
 * nobody has the command's output open any more: a process that it left running
 * shall not die of writing to it.
 */
void mw_agent_exec(int client, unsigned char *req, size_t len);

#endif
