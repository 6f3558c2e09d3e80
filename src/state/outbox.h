/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The outbox: writes and deletes that R2 still has to get.  SQLite (WAL,
 * synchronous=FULL) in state.path/outbox.db holds metadata, the spool the
 * bodies.  At most one row per user and path: a later write replaces an
 * earlier one.  Callers hold the path's lock (ops/pathlock) around put and done.
 * Calls from several threads take turns.  A handle is never used across fork.
 */
#ifndef MW_STATE_OUTBOX_H
#define MW_STATE_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "state/shm.h"
#include "state/spool.h"

struct mw_outbox;

/* shm may be NULL (moltctl without a mapping): then every look-up asks SQLite.
 * The database itself is opened at first need. */
enum mw_code mw_outbox_open(const char *state_path, struct mw_shm *shm, int64_t max_bytes,
    struct mw_outbox **op, struct mw_err *err) MW_MUST;
void mw_outbox_close(struct mw_outbox *o);	/* accepts NULL */
void mw_outbox_limit(struct mw_outbox *o, int64_t max_bytes);	/* a changed setting */

enum mw_outbox_op { MW_OUTBOX_PUT, MW_OUTBOX_DELETE };

struct mw_outbox_row {
	int64_t id;
	const char *user, *path, *store;	/* store: identity, see struct mw_store */
	enum mw_outbox_op op;
	const char *spool;		/* file name in the spool, NULL for a delete */
	int64_t size;
	unsigned char sha256[32], md5[16];
	const char *content_type;	/* or NULL */
	const char *if_match;		/* condition to repeat on the put, or NULL */
	bool if_none_match;		/* likewise: If-None-Match: * */
	int64_t mode, mtime;		/* -1 = unknown */
	int64_t created;		/* wall ms */
	unsigned tries;
	bool parked;
	const char *error;		/* of the last try, or NULL */
};

/* The pending row of a path: *row in the arena, or NULL.  Cheap when there is none. */
enum mw_code mw_outbox_find(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *path, const struct mw_outbox_row **row) MW_MUST;

/*
 * Pending rows of a user whose path begins with prefix ("" = all; "dir/" = below
 * dir), byte order of path.  *row is only valid during the call, which may use
 * the outbox itself.  Anything but MW_OK from fn stops and is returned.
 */
typedef enum mw_code (*mw_outbox_fn)(void *arg, const struct mw_outbox_row *row);
enum mw_code mw_outbox_each(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *prefix, mw_outbox_fn fn, void *arg) MW_MUST;

/*
 * Queue a write (spool not NULL; on success it belongs to the row) or a delete.
 * Durable when it returns: fsync(file), fsync(directory), commit.  Replaces the
 * path's row.  MW_STORAGE_FULL past max_bytes or on a full disk: nothing changed.
 * Name, size and hashes of the body are taken from the spool, not from the row.
 * A conditional write that replaces a row must carry on that row's conditions:
 * the store has not seen what its own condition named.
 */
enum mw_code mw_outbox_put(struct mw_outbox *o, struct mw_ctx *ctx,
    const struct mw_outbox_row *row, struct mw_spool *spool) MW_MUST;

/* What only one side has got. */
enum mw_mark {
	MW_MARK_NONE,
	MW_MARK_NEWER_SANDBOX,	/* written in the sandbox only */
	MW_MARK_NEWER_R2,	/* written in R2 only */
	MW_MARK_DELETED_R2,	/* deleted in R2 only: remove from the sandbox */
	MW_MARK_DELETED_SANDBOX	/* deleted in the sandbox only */
};

/* put, and in the same transaction the path's mark. */
enum mw_code mw_outbox_put_marked(struct mw_outbox *o, struct mw_ctx *ctx,
    const struct mw_outbox_row *row, struct mw_spool *spool, enum mw_mark mark) MW_MUST;

/* Take back what put_marked did, before anybody else saw the row: the row goes if
 * it is still there, and the mark is what it was. */
enum mw_code mw_outbox_undo(struct mw_outbox *o, struct mw_ctx *ctx,
    const struct mw_outbox_row *row, enum mw_mark mark) MW_MUST;

/* Would a write of `size` bytes fit under max_bytes?  A look, no promise. */
bool mw_outbox_room(struct mw_outbox *o, struct mw_ctx *ctx, int64_t size);

/* The row reached R2: remove it, if it is still this one (by id), and its body. */
enum mw_code mw_outbox_done(struct mw_outbox *o, struct mw_ctx *ctx, const struct mw_outbox_row *row) MW_MUST;

/* A try failed: count it; parked = R2 refused for good. */
enum mw_code mw_outbox_failed(struct mw_outbox *o, struct mw_ctx *ctx, int64_t id,
    bool parked, const char *error) MW_MUST;

/* The next row to try (not parked, id > after), oldest first: for the drainer. */
enum mw_code mw_outbox_next(struct mw_outbox *o, struct mw_ctx *ctx, int64_t after,
    const struct mw_outbox_row **row) MW_MUST;

/* Make every parked row wait for another try. */
enum mw_code mw_outbox_unpark(struct mw_outbox *o, struct mw_ctx *ctx) MW_MUST;

/* pending: not parked; bytes: of all bodies; oldest: of the pending, wall ms, 0 = none. */
struct mw_outbox_stat { int64_t pending, parked, bytes, oldest; };
/* user NULL = all. */
enum mw_code mw_outbox_stat(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    struct mw_outbox_stat *st) MW_MUST;

/* Everybody with a row or a mark.  fn must not use the outbox; anything but MW_OK from
 * it stops and is returned. */
enum mw_code mw_outbox_users(struct mw_outbox *o, struct mw_ctx *ctx,
    enum mw_code (*fn)(void *arg, const char *user), void *arg) MW_MUST;

/* Open the body of a row for reading; MW_FILE_NOT_FOUND if the row was drained meanwhile. */
enum mw_code mw_outbox_body(struct mw_outbox *o, struct mw_ctx *ctx,
    const struct mw_outbox_row *row, int *fd) MW_MUST;

/* Marks of one-sided writes, one for a path. */
enum mw_code mw_outbox_mark(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *path, enum mw_mark mark) MW_MUST;	/* NONE removes; durable */
enum mw_code mw_outbox_marked(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *path, enum mw_mark *mark) MW_MUST;
/* All marks of a user, byte order of path; path is only valid during the call,
 * which may use the outbox itself. */
typedef enum mw_code (*mw_mark_fn)(void *arg, const char *path, enum mw_mark mark);
enum mw_code mw_outbox_marks(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    mw_mark_fn fn, void *arg) MW_MUST;

/*
 * Paths that a restore has left behind: R2 has an object that could not be brought to the
 * sandbox.  Until it is brought, or a client writes or deletes the path, no sync touches it.
 */
struct mw_missing {
	const char *path, *error;
	enum mw_code code;
};
/* `run` names the restore that tells. */
enum mw_code mw_outbox_miss(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *run, const struct mw_missing *m) MW_MUST;
enum mw_code mw_outbox_found(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *path) MW_MUST;
/* This restore has been everywhere: what it did not tell of is not missing any more. */
enum mw_code mw_outbox_missing_end(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *run) MW_MUST;
/* *m: NULL = it is not missing; else in the arena. */
enum mw_code mw_outbox_missed(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *path, const struct mw_missing **m) MW_MUST;
/* Up to max of them after a path ("" = from the first), byte order; *count = of them all. */
enum mw_code mw_outbox_missing(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *after, struct mw_missing *rows, size_t max, size_t *n, int64_t *count) MW_MUST;

/* Remove spool files that no row names, that nobody holds and that are older
 * than a minute. */
unsigned mw_outbox_sweep(struct mw_outbox *o);

#endif
