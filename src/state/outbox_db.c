/* SPDX-License-Identifier: BSD-2-Clause */
#include "state/outbox_db.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"

#define COLUMNS "id, user, path, store, op, spool, size, sha256, md5, content_type," \
    " if_match, if_none_match, mode, mtime, created, tries, parked, error"
#define STAT "SELECT coalesce(sum(parked = 0), 0), coalesce(sum(parked), 0)," \
    " coalesce(sum(size), 0), coalesce(min(CASE parked WHEN 0 THEN created END), 0)" \
    " FROM outbox"

static const char *const sql[] = {
	[MW_ODB_BEGIN] = "BEGIN IMMEDIATE",
	[MW_ODB_COMMIT] = "COMMIT",
	[MW_ODB_ROLLBACK] = "ROLLBACK",
	[MW_ODB_FIND] = "SELECT " COLUMNS " FROM outbox WHERE user = ?1 AND path = ?2",
	[MW_ODB_EACH] = "SELECT " COLUMNS " FROM outbox"
	    " WHERE user = ?1 AND path >= ?2 AND path > ?3 ORDER BY path LIMIT ?4",
	[MW_ODB_OLD] = "SELECT total.cost, outbox.size, outbox.spool FROM total"
	    " LEFT JOIN outbox ON user = ?1 AND path = ?2",
	[MW_ODB_DELETE] = "DELETE FROM outbox WHERE user = ?1 AND path = ?2",
	[MW_ODB_INSERT] = "INSERT INTO outbox(bucket, user, path, store, op, spool, size,"
	    " sha256, md5, content_type, if_match, if_none_match, mode, mtime, created)"
	    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[MW_ODB_DONE] = "DELETE FROM outbox WHERE id = ?1",
	[MW_ODB_FAILED] = "UPDATE outbox SET tries = tries + 1, parked = ?2, error = ?3"
	    " WHERE id = ?1",
	[MW_ODB_NEXT] = "SELECT " COLUMNS " FROM outbox WHERE parked = 0 AND id > ?1"
	    " ORDER BY id LIMIT 1",
	[MW_ODB_UNPARK] = "UPDATE outbox SET parked = 0, tries = 0 WHERE parked <> 0",
	[MW_ODB_STAT] = STAT,
	[MW_ODB_STAT_USER] = STAT " WHERE user = ?1",
	[MW_ODB_HAS_ID] = "SELECT 1 FROM outbox WHERE id = ?1",
	[MW_ODB_HAS_SPOOL] = "SELECT 1 FROM outbox WHERE spool = ?1",
	[MW_ODB_MARK] = "INSERT INTO mark(user, path, bucket, mark) VALUES(?1, ?2, ?3, ?4)"
	    " ON CONFLICT(user, path) DO UPDATE SET mark = excluded.mark",
	[MW_ODB_UNMARK] = "DELETE FROM mark WHERE user = ?1 AND path = ?2",
	[MW_ODB_MARKED] = "SELECT mark FROM mark WHERE user = ?1 AND path = ?2",
	[MW_ODB_MARKS] = "SELECT path, mark FROM mark WHERE user = ?1 AND path > ?2"
	    " ORDER BY path LIMIT ?3",
	[MW_ODB_BUCKET_USED] = "SELECT 1 FROM outbox WHERE bucket = ?1"
	    " UNION ALL SELECT 1 FROM mark WHERE bucket = ?1 LIMIT 1",
	[MW_ODB_ANY_USED] = "SELECT 1 FROM outbox UNION ALL SELECT 1 FROM mark LIMIT 1",
	[MW_ODB_ANY_ROW] = "SELECT 1 FROM outbox LIMIT 1",
	[MW_ODB_TOTAL] = "SELECT cost FROM total",
	[MW_ODB_ANY_WAITS] = "SELECT 1 FROM outbox WHERE parked = 0 LIMIT 1",
};

_Static_assert(sizeof(sql) / sizeof(sql[0]) == MW_ODB_COUNT, "every statement needs its text");

enum mw_code
mw_odb_fail(struct mw_outbox *o, struct mw_ctx *ctx, int rc)
{
	int e = o->db == NULL ? 0 : sqlite3_system_errno(o->db);

	switch (rc & 0xFF) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return mw_ctx_fail(ctx, MW_DEADLINE_EXCEEDED, "the outbox was busy for too long");
	case SQLITE_FULL:
		return mw_ctx_fail(ctx, MW_STORAGE_FULL, "no room on the disk of the outbox");
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "the outbox %s is damaged (%s); "
		    "it holds unsaved writes: keep a copy, then mend or move it",
		    o->db_path, sqlite3_errstr(rc));
	case SQLITE_IOERR:
		if (e == ENOSPC || e == EDQUOT)
			return mw_ctx_fail(ctx, MW_STORAGE_FULL,
			    "no room on the disk of the outbox");
		break;
	default:
		break;
	}
	return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "outbox %s: %s", o->db_path,
	    o->db == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(o->db));
}

enum mw_code
mw_odb_enter(struct mw_outbox *o, struct mw_ctx *ctx)
{
	enum mw_code code = MW_OK;
	int64_t left;
	int fd;

	if (o->pid != getpid())
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR,
		    "the outbox belongs to another process: open it after the fork");
	if (pthread_mutex_lock(&o->mutex) != 0)
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "the outbox cannot be locked");
	if (o->db == NULL) {
		code = mw_lockfile_take(o->lock_path, "outbox", ctx->deadline, &fd, &ctx->err);
		if (code == MW_OK) {
			code = mw_odb_open(o, ctx);
			mw_lockfile_give(fd);
		}
	} else {
		left = mw_left(ctx->deadline);
		(void)sqlite3_busy_timeout(o->db, left > INT32_MAX ? INT32_MAX : (int)left);
	}
	if (code != MW_OK)
		(void)pthread_mutex_unlock(&o->mutex);
	return code;
}

/* A statement left open would hold its view of the database, and the log's tail. */
void
mw_odb_leave(struct mw_outbox *o)
{
	unsigned i;

	for (i = 0; i < MW_ODB_COUNT; i++) {
		if (o->stmt[i] != NULL)
			(void)sqlite3_reset(o->stmt[i]);
	}
	(void)pthread_mutex_unlock(&o->mutex);
}

static int
bind_all(sqlite3_stmt *st, const char *types, va_list ap)
{
	const void *blob;
	int i, rc = SQLITE_OK;

	for (i = 1; *types != '\0' && rc == SQLITE_OK; types++, i++) {
		switch (*types) {
		case 't':
			rc = sqlite3_bind_text(st, i, va_arg(ap, const char *), -1,
			    SQLITE_TRANSIENT);
			break;
		case 'i':
			rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
			break;
		case 'b':
			blob = va_arg(ap, const void *);
			rc = sqlite3_bind_blob(st, i, blob, va_arg(ap, int), SQLITE_TRANSIENT);
			break;
		default:
			rc = SQLITE_MISUSE;
		}
	}
	return rc;
}

static enum mw_code
bind(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_odb_id id, const char *types,
    va_list ap)
{
	int rc = SQLITE_OK;

	if (o->stmt[id] == NULL)
		rc = sqlite3_prepare_v3(o->db, sql[id], -1, SQLITE_PREPARE_PERSISTENT,
		    &o->stmt[id], NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_reset(o->stmt[id]);
		rc = bind_all(o->stmt[id], types, ap);
	}
	return rc == SQLITE_OK ? MW_OK : mw_odb_fail(o, ctx, rc);
}

enum mw_code
mw_odb_bind(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_odb_id id,
    sqlite3_stmt **sp, const char *types, ...)
{
	enum mw_code code;
	va_list ap;

	va_start(ap, types);
	code = bind(o, ctx, id, types, ap);
	va_end(ap);
	*sp = o->stmt[id];
	return code;
}

enum mw_code
mw_odb_step(struct mw_outbox *o, struct mw_ctx *ctx, sqlite3_stmt *st, bool *row)
{
	enum mw_code code = MW_OK;
	int rc = sqlite3_step(st);

	*row = rc == SQLITE_ROW;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		code = mw_odb_fail(o, ctx, rc);
	if (rc != SQLITE_ROW)
		(void)sqlite3_reset(st);
	return code;
}

enum mw_code
mw_odb_run(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_odb_id id, const char *types, ...)
{
	enum mw_code code;
	va_list ap;
	bool row;

	va_start(ap, types);
	code = bind(o, ctx, id, types, ap);
	va_end(ap);
	return code != MW_OK ? code : mw_odb_step(o, ctx, o->stmt[id], &row);
}

enum mw_code
mw_odb_begin(struct mw_outbox *o, struct mw_ctx *ctx, const char *user, bool queues)
{
	enum mw_code code = mw_odb_run(o, ctx, MW_ODB_BEGIN, "");

	if (code != MW_OK || o->shm == NULL)
		return code;
	if (user != NULL)
		atomic_fetch_add(&o->shm->dirty[mw_shm_bucket(user)], 1);
	if (queues)
		atomic_fetch_add(&o->shm->queued, 1);
	return MW_OK;
}

static void
roll_back(struct mw_outbox *o)
{
	struct mw_ctx aside = { .deadline = 0 };

	/* A full disk may have ended the transaction already. */
	if (sqlite3_get_autocommit(o->db) == 0 &&
	    mw_odb_run(o, &aside, MW_ODB_ROLLBACK, "") != MW_OK)
		mw_log(MW_ERROR, "%s", aside.err.msg);
}

enum mw_code
mw_odb_end(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_code code)
{
	if (code == MW_OK)
		code = mw_odb_run(o, ctx, MW_ODB_COMMIT, "");
	if (code != MW_OK)
		roll_back(o);
	return code;
}

bool
mw_odb_clean(const struct mw_outbox *o, const char *user)
{
	unsigned b;

	if (o->shm == NULL)
		return false;
	b = mw_shm_bucket(user);
	return atomic_load(&o->shm->dirty[b]) == atomic_load(&o->shm->clean[b]);
}

static bool
is_empty(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_odb_id id, const char *types,
    int64_t bucket)
{
	sqlite3_stmt *st;
	bool row = true;

	if (mw_odb_bind(o, ctx, id, &st, types, bucket) != MW_OK ||
	    mw_odb_step(o, ctx, st, &row) != MW_OK)
		return false;
	(void)sqlite3_reset(st);
	return !row;
}

static void
settle_locked(struct mw_outbox *o, struct mw_ctx *aside, unsigned bucket)
{
	unsigned i, from = bucket, to = bucket + 1;

	if (is_empty(o, aside, MW_ODB_ANY_USED, "", 0)) {
		from = 0;
		to = MW_SHM_BUCKETS;
	} else if (!is_empty(o, aside, MW_ODB_BUCKET_USED, "i", bucket)) {
		return;
	}
	for (i = from; i < to; i++)
		atomic_store(&o->shm->clean[i], atomic_load(&o->shm->dirty[i]));
}

/* Both settle functions hold the write lock: no writer is between its raise and
 * its commit.  If somebody else has the lock, a later look-up will settle. */
void
mw_odb_settle(struct mw_outbox *o, const char *user)
{
	struct mw_ctx aside = { .deadline = 0 };
	unsigned bucket = mw_shm_bucket(user);

	if (o->shm == NULL || !is_empty(o, &aside, MW_ODB_BUCKET_USED, "i", bucket))
		return;
	(void)sqlite3_busy_timeout(o->db, 0);
	if (mw_odb_begin(o, &aside, NULL, false) != MW_OK)
		return;
	settle_locked(o, &aside, bucket);
	roll_back(o);
}

void
mw_odb_settle_queue(struct mw_outbox *o)
{
	struct mw_ctx aside = { .deadline = 0 };
	uint64_t queued;

	if (o->shm == NULL)
		return;
	(void)sqlite3_busy_timeout(o->db, 0);
	if (mw_odb_begin(o, &aside, NULL, false) != MW_OK)
		return;
	queued = atomic_load(&o->shm->queued);
	if (is_empty(o, &aside, MW_ODB_ANY_WAITS, "", 0))
		atomic_store(&o->shm->drained, queued);
	if (is_empty(o, &aside, MW_ODB_ANY_ROW, "", 0))
		atomic_store(&o->shm->emptied, queued);
	roll_back(o);
}
