/* SPDX-License-Identifier: BSD-2-Clause */
/* The database of commands: for state/process*.c only. */
#ifndef MW_STATE_PROCESS_DB_H
#define MW_STATE_PROCESS_DB_H

#include "state/db.h"
#include "state/process.h"

/* Every statement there is; each is prepared once per handle. */
enum mw_pdb_statement {
	MW_PDB_BEGIN,
	MW_PDB_COMMIT,
	MW_PDB_ROLLBACK,
	MW_PDB_GET,
	MW_PDB_BY_KEY,
	MW_PDB_INSERT,
	MW_PDB_TRIED,
	MW_PDB_RUNNING_COUNT,
	MW_PDB_MOVE,
	MW_PDB_SETTLE,
	MW_PDB_SEEN,
	MW_PDB_KEPT,
	MW_PDB_GONE,
	MW_PDB_LIST,
	MW_PDB_RUNNING,
	MW_PDB_UNKEPT,
	MW_PDB_EXPIRED,
	MW_PDB_ABANDON,
	MW_PDB_REMOVE,
	MW_PDB_USERS,
	MW_PDB_COUNT
};

#define MW_PDB_SEQ 18	/* the column after those of a row */

struct mw_process_db {
	struct mw_db db;
};

/* The row that the statement stands at; its texts are in `a`. */
enum mw_code mw_process_read(struct mw_ctx *ctx, sqlite3_stmt *st, struct mw_arena *a,
    struct mw_process *row) MW_MUST;

#endif
