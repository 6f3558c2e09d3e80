/* SPDX-License-Identifier: BSD-2-Clause */
/* The outbox's database: for state/outbox*.c only. */
#ifndef MW_STATE_INTERNAL_H
#define MW_STATE_INTERNAL_H

#include "state/db.h"
#include "state/outbox.h"

/* Every statement there is; each is prepared once per handle. */
enum mw_odb_id {
	MW_ODB_BEGIN,
	MW_ODB_COMMIT,
	MW_ODB_ROLLBACK,
	MW_ODB_FIND,
	MW_ODB_EACH,
	MW_ODB_OLD,
	MW_ODB_DELETE,
	MW_ODB_INSERT,
	MW_ODB_DONE,
	MW_ODB_FAILED,
	MW_ODB_NEXT,
	MW_ODB_UNPARK,
	MW_ODB_STAT,
	MW_ODB_STAT_USER,
	MW_ODB_HAS_ID,
	MW_ODB_HAS_SPOOL,
	MW_ODB_MARK,
	MW_ODB_UNMARK,
	MW_ODB_MARKED,
	MW_ODB_MARKS,
	MW_ODB_MISS,
	MW_ODB_FOUND,
	MW_ODB_MISSED,
	MW_ODB_MISSING,
	MW_ODB_MISSING_COUNT,
	MW_ODB_MISSING_OLD,
	MW_ODB_BUCKET_USED,
	MW_ODB_ANY_USED,
	MW_ODB_ANY_ROW,
	MW_ODB_ANY_WAITS,
	MW_ODB_TOTAL,
	MW_ODB_USERS,
	MW_ODB_COUNT
};

struct mw_outbox {
	struct mw_db db;
	struct mw_shm *shm;		/* or NULL */
	int64_t max_bytes;
	int spool_dir;
};

extern const struct mw_db_kind mw_odb_kind;

/* Counted against max_bytes for each row beside its body. */
#define MW_ODB_ROW_COST 4096

/*
 * A write transaction that changes the bucket of `user` (NULL = none): its dirty
 * mark is raised inside, so that whoever holds the write lock and finds a bucket
 * empty knows that nobody is about to fill it.  end commits if code is MW_OK,
 * else rolls back, and returns the outcome.
 */
enum mw_code mw_odb_begin(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    bool queues) MW_MUST;
enum mw_code mw_odb_end(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_code code) MW_MUST;

/* True if the mapping says that the user has no row and no mark. */
bool mw_odb_clean(const struct mw_outbox *o, const char *user);

/* A look-up of the user's found nothing: note it if the whole bucket is empty. */
void mw_odb_settle(struct mw_outbox *o, const char *user);

/* No row to try was found: note it if that is still so, and if there is none at all. */
void mw_odb_settle_queue(struct mw_outbox *o);

#endif
