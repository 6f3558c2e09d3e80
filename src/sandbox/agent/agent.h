/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol between the local driver and the agent inside a sandbox: one
 * connection to the agent's Unix socket carries one request.
 *
 * Everything is a frame: 'M' 'W' version type, the payload's length (u32), the
 * payload.  Numbers are big-endian.  Each side takes the frames below, in their
 * order and within their bounds, and nothing else.
 *
 *	PING	empty				-> PONG empty
 *	STATUS	empty				-> STATE
 *	STOP	empty				-> the connection ends with the sandbox
 *	EXEC	u32 argc, u32 envc, u32 out_max, u32 err_max, u32 flags,
 *		argc + envc strings and, if flagged, the directory, each with its NUL;
 *		if flagged, standard input up to the end of the payload
 *		-> (OUT | ERR)* EXIT, or FAILED
 *	STATE	u32 processes, u64 bytes resident, u64 Unix time of start in ms
 *	OUT ERR	1 to MW_AG_PIECE bytes; no more than out_max (err_max) in all
 *	EXIT	u32 exit status (128 + N: signal N), u32 flags
 *	FAILED	u32 enum mw_ag_stage, u32 errno: the command never ran
 */
#ifndef MW_SANDBOX_AGENT_AGENT_H
#define MW_SANDBOX_AGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MW_AG_VERSION 1
#define MW_AG_HEAD 8			/* bytes before a payload */
#define MW_AG_PIECE 65536
#define MW_AG_REQUEST_MAX (8 << 20)	/* bytes of a request's payload */
#define MW_AG_STRINGS_MAX 4096		/* of argv, and of the environment */

enum mw_ag_type {
	MW_AG_PING = 1, MW_AG_STATUS, MW_AG_STOP, MW_AG_EXEC,
	MW_AG_PONG = 65, MW_AG_STATE, MW_AG_OUT, MW_AG_ERR, MW_AG_EXIT, MW_AG_FAILED
};

enum mw_ag_exec_flags { MW_AG_HAS_CWD = 1, MW_AG_HAS_INPUT = 2 };
enum mw_ag_exit_flags { MW_AG_OUT_CUT = 1, MW_AG_ERR_CUT = 2 };
enum mw_ag_stage {
	MW_AG_AT_REQUEST = 1,	/* the request is malformed */
	MW_AG_AT_RESOURCES,	/* no process, pipe or memory for it, or too many at once */
	MW_AG_AT_CHDIR,
	MW_AG_AT_EXEC
};

#define MW_AG_EXEC_FIXED 20	/* bytes of the numbers of EXEC */
#define MW_AG_STATE_SIZE 20
#define MW_AG_EXIT_SIZE 8
#define MW_AG_FAILED_SIZE 8

/* Descriptors that the holder leaves to the agent. */
enum mw_ag_fd {
	MW_AG_FD_LISTEN = 3,	/* bound, not yet listening: connecting fails until we are up */
	MW_AG_FD_READY,		/* gets one byte, "R", and is closed */
	MW_AG_FD_LOCK,		/* kept open: the sandbox's lock lives as long as the agent */
	MW_AG_FD_HOLDER,	/* a pipe's end; at its end the holder is gone: end as by STOP */
	MW_AG_FD_FREE		/* and from here on nothing */
};

/* argv[1] of the agent: it is not run by hand. */
#define MW_AG_WORD "serve"

static inline void
mw_ag_put32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
}

static inline uint32_t
mw_ag_get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void
mw_ag_put64(unsigned char *p, uint64_t v)
{
	mw_ag_put32(p, (uint32_t)(v >> 32));
	mw_ag_put32(p + 4, (uint32_t)v);
}

static inline uint64_t
mw_ag_get64(const unsigned char *p)
{
	return (uint64_t)mw_ag_get32(p) << 32 | mw_ag_get32(p + 4);
}

static inline void
mw_ag_head(unsigned char p[MW_AG_HEAD], enum mw_ag_type type, uint32_t len)
{
	p[0] = 'M';
	p[1] = 'W';
	p[2] = MW_AG_VERSION;
	p[3] = (unsigned char)type;
	mw_ag_put32(p + 4, len);
}

/* The type of the frame that p begins, -1 if it is none of ours. */
static inline int
mw_ag_type(const unsigned char p[MW_AG_HEAD])
{
	return p[0] == 'M' && p[1] == 'W' && p[2] == MW_AG_VERSION ? p[3] : -1;
}

/* ---- agent_proc.c ---- */

#include <sys/types.h>

struct mw_proc {
	pid_t pid, parent;
	int64_t resident;	/* bytes */
};

#define MW_PROC_MAX 8192

/* The processes that descend from `top`, itself not counted, at most `max` of them. */
size_t mw_proc_tree(pid_t top, struct mw_proc *out, size_t max);

/*
 * Kill everything that descends from this process, which must be a child subreaper
 * or process 1, and reap it.
 */
void mw_proc_kill_all(void);

#endif
