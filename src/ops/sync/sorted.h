/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sorted sequence of compact rows: listings of any length in little memory.
 * Rows are added in any order; what does not fit into a few MiB goes to an unnamed
 * file as sorted runs, which are merged when the rows are read.
 */
#ifndef MW_OPS_SYNC_SORTED_H
#define MW_OPS_SYNC_SORTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sandbox/sandbox.h"

/* A file, directory or symbolic link of a user, in one of the places. */
struct mw_row {
	const char *path;		/* canonical, not "" */
	const char *tag;		/* a file's ETag in R2, a link's target, "" = none; never NULL */
	int64_t size, mtime;		/* bytes; wall ms */
	int mode;			/* permission bits, -1 = not known */
	enum mw_file_type type;
	unsigned char act;		/* enum mw_act of ops/sync/plan.h */
	/* of a plan */
	bool r2_as_was;			/* the manifest is about this very object */
	int64_t r2_size;		/* the object's size */
	int64_t set_mtime;		/* the manifest's mtime, if r2_as_was */
	bool racy;			/* written so lately that its mtime proves nothing */
	bool has_md5;
	unsigned char md5[16];
};

#define MW_SORTED_MEMORY (2 << 20)	/* bytes held before a run is written */

struct mw_sorted;

/* Runs go to an unnamed file in `dirfd`.  memory: as MW_SORTED_MEMORY.  NULL: out of memory. */
struct mw_sorted *mw_sorted_open(int dirfd, size_t memory);
void mw_sorted_close(struct mw_sorted *r);		/* accepts NULL */

/* Forget all rows; they can be added again. */
void mw_sorted_reset(struct mw_sorted *r);

/* Copies the row.  MW_STORAGE_FULL when the disk is. */
enum mw_code mw_sorted_add(struct mw_sorted *r, const struct mw_row *row, struct mw_err *err) MW_MUST;

/* No row comes any more: read from the first, in byte order of path.  May be called again. */
enum mw_code mw_sorted_rewind(struct mw_sorted *r, struct mw_err *err) MW_MUST;

/* The next row, *row = NULL after the last.  Valid until the next call.  Of rows
 * with one path all are given, in any order. */
enum mw_code mw_sorted_next(struct mw_sorted *r, const struct mw_row **row, struct mw_err *err) MW_MUST;

size_t mw_sorted_count(const struct mw_sorted *r);

#endif
