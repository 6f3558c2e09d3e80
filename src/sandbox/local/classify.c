/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table from what goes wrong with a local sandbox to our codes.  In each
 * list the first row that holds the value counts; the last one holds all.
 */
#include <errno.h>

#include "sandbox/agent/agent.h"
#include "sandbox/local/local.h"

#define ANY (-1)

struct row {
	int value;
	enum mw_code code;
};

/* File operations below the user's root. */
static const struct row files[] = {
	{ ENOENT, MW_FILE_NOT_FOUND },
	{ ENOTDIR, MW_FILE_NOT_FOUND },
	{ EACCES, MW_PERMISSION_DENIED },
	{ EPERM, MW_PERMISSION_DENIED },
	{ EROFS, MW_PERMISSION_DENIED },
	{ ELOOP, MW_PERMISSION_DENIED },
	{ EXDEV, MW_PERMISSION_DENIED },	/* it leads out of the root */
	{ EISDIR, MW_CONFLICT },
	{ EEXIST, MW_CONFLICT },
	{ ENOTEMPTY, MW_CONFLICT },
	{ ENXIO, MW_CONFLICT },			/* a FIFO or a socket */
	{ ENODEV, MW_CONFLICT },
	{ ETXTBSY, MW_CONFLICT },
	{ ENAMETOOLONG, MW_INVALID_PATH },
	{ EINVAL, MW_INVALID_PATH },
	{ ENOSPC, MW_STORAGE_FULL },
	{ EDQUOT, MW_STORAGE_FULL },
	{ EAGAIN, MW_SANDBOX_UNREACHABLE },	/* the tree is being renamed all the time */
	{ ANY, MW_INTERNAL_ERROR },
};

/* Connecting to the agent's socket. */
static const struct row connects[] = {
	{ ENOENT, MW_SANDBOX_HIBERNATING },
	{ ECONNREFUSED, MW_SANDBOX_HIBERNATING },
	{ ENOTDIR, MW_SANDBOX_HIBERNATING },
	{ EAGAIN, MW_SANDBOX_TIMEOUT },		/* its backlog stayed full */
	{ ANY, MW_SANDBOX_UNREACHABLE },
};

/* Where the agent stopped on the way to the command. */
static const struct row stages[] = {
	{ MW_AG_AT_CHDIR, MW_COMMAND_ERROR },
	{ MW_AG_AT_EXEC, MW_COMMAND_ERROR },
	{ MW_AG_AT_RESOURCES, MW_SANDBOX_CAPACITY },
	{ ANY, MW_SANDBOX_UNREACHABLE },	/* not of the protocol */
};

static enum mw_code
find(const struct row *r, int value)
{
	while (r->value != value && r->value != ANY)
		r++;
	return r->code;
}

enum mw_code
mw_local_of_errno(int e)
{
	return find(files, e);
}

enum mw_code
mw_local_of_connect(int e)
{
	return find(connects, e);
}

enum mw_code
mw_local_of_stage(unsigned stage)
{
	return find(stages, stage > INT16_MAX ? ANY : (int)stage);
}
