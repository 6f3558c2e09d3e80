/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks between processes: an open-file-description lock on one byte of a lock
 * file, at a 63-bit hash of a name.  A crash frees it.  Each taker opens a
 * descriptor of its own (O_CLOEXEC), so threads exclude each other too.
 */
#ifndef MW_BASE_LOCKFILE_H
#define MW_BASE_LOCKFILE_H

#include <stdint.h>

#include "base/err.h"

/*
 * Take the lock `name` in the file `path` (created 0600), waiting until
 * `deadline` (monotonic ms; 0 = do not wait).  *fd is the lock: close it to
 * give the lock back.  MW_DEADLINE_EXCEEDED when somebody else kept it;
 * MW_SANDBOX_UNAVAILABLE when this process was told to end meanwhile;
 * MW_INTERNAL_ERROR when the file cannot be used.
 */
enum mw_code mw_lockfile_take(const char *path, const char *name,
    int64_t deadline, int *fd, struct mw_err *err) MW_MUST;

/* The same, together with any number of others that share it; who takes it keeps
 * all of these out, and they it. */
enum mw_code mw_lockfile_share(const char *path, const char *name,
    int64_t deadline, int *fd, struct mw_err *err) MW_MUST;

void mw_lockfile_give(int fd);		/* accepts -1 */

/* FNV-1a, 64 bits, of a NUL-terminated name. */
uint64_t mw_hash(const char *s);

#endif
