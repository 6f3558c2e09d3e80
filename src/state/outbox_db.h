/* SPDX-License-Identifier: BSD-2-Clause */
/* The outbox's database: for state/outbox*.c only. */
#ifndef MW_STATE_OUTBOX_DB_H
#define MW_STATE_OUTBOX_DB_H

#include <pthread.h>
#include <sqlite3.h>
#include <sys/types.h>

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
	MW_ODB_BUCKET_USED,
	MW_ODB_ANY_USED,
	MW_ODB_ANY_ROW,
	MW_ODB_ANY_WAITS,
	MW_ODB_TOTAL,
	MW_ODB_COUNT
};

struct mw_outbox {
	char *db_path, *lock_path;	/* without symbolic links */
	struct mw_shm *shm;		/* or NULL */
	int64_t max_bytes;
	int spool_dir;
	pid_t pid;			/* of the process that opened it */
	pthread_mutex_t mutex;
	sqlite3 *db;			/* NULL until first need */
	sqlite3_stmt *stmt[MW_ODB_COUNT];
};

/* The first opening: called by enter, with the opening lock held. */
enum mw_code mw_odb_open(struct mw_outbox *o, struct mw_ctx *ctx) MW_MUST;

/* Map an SQLite result. */
enum mw_code mw_odb_fail(struct mw_outbox *o, struct mw_ctx *ctx, int rc);

/* Counted against max_bytes for each row beside its body. */
#define MW_ODB_ROW_COST 4096

/* Have the database to ourselves (among threads), opened.  Pair with leave. */
enum mw_code mw_odb_enter(struct mw_outbox *o, struct mw_ctx *ctx) MW_MUST;
void mw_odb_leave(struct mw_outbox *o);

/*
 * The statement with its parameters bound, one letter each: t = const char *
 * (or NULL), i = int64_t, b = const void * and int (bytes).
 */
enum mw_code mw_odb_bind(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_odb_id id,
    sqlite3_stmt **sp, const char *types, ...) MW_MUST;

/* *row: a row is there to read.  A statement without one is reset. */
enum mw_code mw_odb_step(struct mw_outbox *o, struct mw_ctx *ctx, sqlite3_stmt *st,
    bool *row) MW_MUST;

/* Bind and step a statement that has no rows. */
enum mw_code mw_odb_run(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_odb_id id,
    const char *types, ...) MW_MUST;

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
