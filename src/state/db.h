/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SQLite database below state.path, shared by processes: WAL, synced in full,
 * opened at first need, made by whoever comes first.  Its statements are a table
 * of the user's, prepared once per handle.  For state/ only.
 *
 * Threads take turns between enter and leave.  Never used across fork.
 */
#ifndef MW_STATE_DB_H
#define MW_STATE_DB_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/ctx.h"

#define MW_DB_STATEMENTS 32

struct mw_db_kind {
	const char *name;		/* "outbox": of the file, of the lock, in messages */
	const char *damaged;		/* what to know about a damaged one */
	const char *schema;		/* the last of it sets user_version */
	const char *late;		/* what came after that version, if it is not there; or NULL */
	int64_t version;
	const char *const *sql;		/* nsql statements */
	unsigned nsql;			/* at most MW_DB_STATEMENTS */
};

struct mw_db {
	const struct mw_db_kind *kind;
	char *path, *lock_path;		/* without symbolic links */
	pid_t pid;			/* of the process that opened it */
	pthread_mutex_t mutex;
	sqlite3 *handle;		/* NULL until first need */
	sqlite3_stmt *stmt[MW_DB_STATEMENTS];
};

/* Opens nothing yet.  On failure close is still due. */
enum mw_code mw_db_init(struct mw_db *d, const struct mw_db_kind *kind, const char *state_path,
    struct mw_err *err) MW_MUST;
void mw_db_close(struct mw_db *d);

/* Map an SQLite result. */
enum mw_code mw_db_fail(const struct mw_db *d, struct mw_ctx *ctx, int rc);

/* Have the database to ourselves (among threads), opened.  Pair with leave. */
enum mw_code mw_db_enter(struct mw_db *d, struct mw_ctx *ctx) MW_MUST;
void mw_db_leave(struct mw_db *d);

/*
 * The statement with its parameters bound, one letter each: t = const char *
 * (or NULL), i = int64_t, b = const void * and int (bytes).
 */
enum mw_code mw_db_bind(struct mw_db *d, struct mw_ctx *ctx, unsigned id,
    sqlite3_stmt **sp, const char *types, ...) MW_MUST;

/* *row: a row is there to read.  A statement without one is reset. */
enum mw_code mw_db_step(struct mw_db *d, struct mw_ctx *ctx, sqlite3_stmt *st,
    bool *row) MW_MUST;

/* Bind and step a statement that has no rows. */
enum mw_code mw_db_run(struct mw_db *d, struct mw_ctx *ctx, unsigned id,
    const char *types, ...) MW_MUST;

/* Run a statement without parameters whose rows are one text each.  Anything but MW_OK
 * from fn, which must not use the database, stops and is returned. */
enum mw_code mw_db_texts(struct mw_db *d, struct mw_ctx *ctx, unsigned id,
    enum mw_code (*fn)(void *arg, const char *text), void *arg) MW_MUST;

/* A text column in the arena; NULL for a NULL, and *good = false without memory. */
const char *mw_db_text(struct mw_arena *a, sqlite3_stmt *st, int col, bool *good);
/* A blob of exactly n bytes; another one leaves `out` as it is. */
void mw_db_blob(sqlite3_stmt *st, int col, unsigned char *out, size_t n);

#endif
