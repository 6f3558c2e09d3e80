/* SPDX-License-Identifier: BSD-2-Clause */
/* The outbox's tables. */
#include "state/internal.h"

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
	[MW_ODB_MISS] = "INSERT INTO missing(user, path, bucket, run, code, error)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(user, path) DO UPDATE SET"
	    " run = excluded.run, code = excluded.code, error = excluded.error",
	[MW_ODB_FOUND] = "DELETE FROM missing WHERE user = ?1 AND path = ?2",
	[MW_ODB_MISSED] = "SELECT path, code, error FROM missing WHERE user = ?1 AND path = ?2",
	[MW_ODB_MISSING] = "SELECT path, code, error FROM missing WHERE user = ?1 AND path > ?2"
	    " ORDER BY path LIMIT ?3",
	[MW_ODB_MISSING_COUNT] = "SELECT count(*) FROM missing WHERE user = ?1",
	[MW_ODB_MISSING_OLD] = "DELETE FROM missing WHERE user = ?1 AND run <> ?2",
	[MW_ODB_BUCKET_USED] = "SELECT 1 FROM outbox WHERE bucket = ?1"
	    " UNION ALL SELECT 1 FROM mark WHERE bucket = ?1"
	    " UNION ALL SELECT 1 FROM missing WHERE bucket = ?1 LIMIT 1",
	[MW_ODB_ANY_USED] = "SELECT 1 FROM outbox UNION ALL SELECT 1 FROM mark"
	    " UNION ALL SELECT 1 FROM missing LIMIT 1",
	[MW_ODB_ANY_ROW] = "SELECT 1 FROM outbox LIMIT 1",
	[MW_ODB_TOTAL] = "SELECT cost FROM total",
	[MW_ODB_USERS] = "SELECT user FROM outbox UNION SELECT user FROM mark",
	[MW_ODB_ANY_WAITS] = "SELECT 1 FROM outbox WHERE parked = 0 LIMIT 1",
};

#define MISSING "CREATE TABLE IF NOT EXISTS missing(" \
    " user TEXT NOT NULL, path TEXT NOT NULL, bucket INTEGER NOT NULL, run TEXT NOT NULL," \
    " code TEXT NOT NULL, error TEXT NOT NULL, PRIMARY KEY(user, path)) WITHOUT ROWID;" \
    "CREATE INDEX IF NOT EXISTS missing_bucket ON missing(bucket);"

/* id is never given twice: it tells a row from the one that replaced it.  The
 * triggers keep the sum that max_bytes is compared with. */
static const char schema[] =
    "CREATE TABLE outbox("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, bucket INTEGER NOT NULL,"
    " user TEXT NOT NULL, path TEXT NOT NULL, store TEXT NOT NULL, op INTEGER NOT NULL,"
    " spool TEXT, size INTEGER NOT NULL, sha256 BLOB, md5 BLOB, content_type TEXT,"
    " if_match TEXT, if_none_match INTEGER NOT NULL, mode INTEGER NOT NULL,"
    " mtime INTEGER NOT NULL, created INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,"
    " parked INTEGER NOT NULL DEFAULT 0, error TEXT, UNIQUE(user, path));"
    "CREATE INDEX outbox_bucket ON outbox(bucket);"
    "CREATE INDEX outbox_spool ON outbox(spool);"
    "CREATE INDEX outbox_waits ON outbox(id) WHERE parked = 0;"
    "CREATE TABLE mark("
    " user TEXT NOT NULL, path TEXT NOT NULL, bucket INTEGER NOT NULL,"
    " mark INTEGER NOT NULL, PRIMARY KEY(user, path)) WITHOUT ROWID;"
    "CREATE INDEX mark_bucket ON mark(bucket);"
    "CREATE TABLE total(cost INTEGER NOT NULL);"
    "INSERT INTO total VALUES(0);"
    "CREATE TRIGGER outbox_added AFTER INSERT ON outbox BEGIN"
    " UPDATE total SET cost = cost + new.size + 4096; END;"
    "CREATE TRIGGER outbox_removed AFTER DELETE ON outbox BEGIN"
    " UPDATE total SET cost = cost - old.size - 4096; END;"
    MISSING
    "PRAGMA user_version = 1;";

_Static_assert(MW_ODB_ROW_COST == 4096, "the schema says so too");
_Static_assert(sizeof(sql) / sizeof(sql[0]) == MW_ODB_COUNT, "every statement needs its text");
_Static_assert(MW_ODB_COUNT <= MW_DB_STATEMENTS, "and its place");

const struct mw_db_kind mw_odb_kind = {
	.name = "outbox", .schema = schema, .late = MISSING, .version = 1, .sql = sql, .nsql = MW_ODB_COUNT,
	.damaged = "it holds unsaved writes: keep a copy, then mend or move it",
};

enum mw_code
mw_odb_begin(struct mw_outbox *o, struct mw_ctx *ctx, const char *user, bool queues)
{
	enum mw_code code = mw_db_run(&o->db, ctx, MW_ODB_BEGIN, "");

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
	if (sqlite3_get_autocommit(o->db.handle) == 0 &&
	    mw_db_run(&o->db, &aside, MW_ODB_ROLLBACK, "") != MW_OK)
		mw_log(MW_ERROR, "%s", aside.err.msg);
}

enum mw_code
mw_odb_end(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_code code)
{
	if (code == MW_OK)
		code = mw_db_run(&o->db, ctx, MW_ODB_COMMIT, "");
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

	if (mw_db_bind(&o->db, ctx, id, &st, types, bucket) != MW_OK ||
	    mw_db_step(&o->db, ctx, st, &row) != MW_OK)
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
	(void)sqlite3_busy_timeout(o->db.handle, 0);
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
	(void)sqlite3_busy_timeout(o->db.handle, 0);
	if (mw_odb_begin(o, &aside, NULL, false) != MW_OK)
		return;
	queued = atomic_load(&o->shm->queued);
	if (is_empty(o, &aside, MW_ODB_ANY_WAITS, "", 0))
		atomic_store(&o->shm->drained, queued);
	if (is_empty(o, &aside, MW_ODB_ANY_ROW, "", 0))
		atomic_store(&o->shm->emptied, queued);
	roll_back(o);
}
