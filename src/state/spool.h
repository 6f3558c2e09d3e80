/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A body on disk: written once while it is hashed, then read by the sandbox
 * write, the R2 put and the outbox.  Files live in state.path/spool.
 */
#ifndef MW_STATE_SPOOL_H
#define MW_STATE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/tmpfile.h"

struct mw_spool {
	int dirfd;			/* of the spool directory, borrowed */
	int fd;				/* -1 = none */
	char name[MW_TMPNAME_LEN];
	int64_t size;
	unsigned char sha256[32], md5[16];	/* valid after finish */
	void *hash;			/* private */
	bool kept;			/* belongs to an outbox row: drop does not remove it */
};

/* Open state.path/spool (made if need be): a descriptor to hand to begin. */
enum mw_code mw_spool_dir(const char *state_path, int *dirfd, struct mw_err *err) MW_MUST;

/* MW_STORAGE_FULL when the disk is. */
enum mw_code mw_spool_begin(struct mw_spool *s, int dirfd, struct mw_err *err) MW_MUST;
enum mw_code mw_spool_add(struct mw_spool *s, const void *p, size_t n, struct mw_err *err) MW_MUST;
enum mw_code mw_spool_finish(struct mw_spool *s, struct mw_err *err) MW_MUST;

/* Close it, and remove the file unless the outbox keeps it.  Accepts a zeroed struct with fd -1. */
void mw_spool_drop(struct mw_spool *s);

#endif
