/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Temporary files with a name, to be renamed into place.  Their maker holds a
 * lock on them, so that what a killed process left can be told from a file in
 * use, and swept.
 */
#ifndef MW_BASE_TMPFILE_H
#define MW_BASE_TMPFILE_H

#include <stddef.h>

#include "base/err.h"

#define MW_TMPNAME_LEN 40

/*
 * Create DIR/NAME (mode `mode`, O_EXCL, O_CLOEXEC, locked); name gets the file's name
 * within the directory `dirfd`.  MW_STORAGE_FULL on ENOSPC/EDQUOT,
 * MW_INTERNAL_ERROR otherwise; *fd is open for reading and writing.  The lock is
 * the open description's: rename the file into place before closing *fd.
 */
enum mw_code mw_tmpfile(int dirfd, int mode, char name[MW_TMPNAME_LEN], int *fd,
    struct mw_err *err) MW_MUST;

/* Remove the temporary files in `dirfd` that are older than `age_s` seconds and
 * that nobody holds.  Returns how many were removed. */
unsigned mw_tmpfile_sweep(int dirfd, unsigned age_s);

/* All of p[0..n) to fd at its position; errno mapped as above. */
enum mw_code mw_write_all(int fd, const void *p, size_t n, struct mw_err *err) MW_MUST;

#endif
