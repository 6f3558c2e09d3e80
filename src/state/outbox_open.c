/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and opening the outbox's database. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/outbox_db.h"

#define SCHEMA_VERSION 1

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
    "PRAGMA user_version = 1;";

_Static_assert(MW_ODB_ROW_COST == 4096 && SCHEMA_VERSION == 1, "the schema says so too");

/* SQLite would make the file readable for all.  Only a missing file is opened:
 * to close one that a connection of this process uses would drop its locks. */
static enum mw_code
make_file(struct mw_outbox *o, struct mw_ctx *ctx)
{
	int fd = open(o->db_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		(void)close(fd);
	else if (errno == ENOSPC || errno == EDQUOT)
		return mw_ctx_fail(ctx, MW_STORAGE_FULL, "no room on the disk of the outbox");
	else if (errno != EEXIST)
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "outbox %s cannot be made: %s",
		    o->db_path, strerror(errno));
	return MW_OK;
}

static int
get_int(sqlite3 *db, const char *text, int64_t *out)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, text, -1, &st, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* Called with the opening lock held, so no other process makes the schema. */
static int
set_up(sqlite3 *db, int64_t *version)
{
	int rc;

	rc = sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	    "PRAGMA cache_size = -256; PRAGMA trusted_schema = OFF;"
	    "PRAGMA secure_delete = OFF", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = get_int(db, "PRAGMA user_version", version);
	if (rc != SQLITE_OK || *version != 0)
		return rc;
	rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_exec(db, schema, NULL, NULL, NULL)) == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	*version = SCHEMA_VERSION;
	return rc;
}

/* The file's name must be on disk before a row in it can be called durable. */
static bool
sync_dir_of(const char *path)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	bool good;
	int fd;

	if (slash == NULL || (size_t)(slash - path) >= sizeof(dir))
		return false;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	fd = open(dir[0] == '\0' ? "/" : dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	good = fsync(fd) == 0;
	(void)close(fd);
	return good;
}

enum mw_code
mw_odb_open(struct mw_outbox *o, struct mw_ctx *ctx)
{
	enum mw_code code;
	int64_t version = 0, left = mw_left(ctx->deadline);
	int rc;

	if ((code = make_file(o, ctx)) != MW_OK)
		return code;
	rc = sqlite3_open_v2(o->db_path, &o->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_extended_result_codes(o->db, 1);
		(void)sqlite3_busy_timeout(o->db, left > INT32_MAX ? INT32_MAX : (int)left);
		rc = set_up(o->db, &version);
	}
	if (rc != SQLITE_OK)
		code = mw_odb_fail(o, ctx, rc);
	else if (version != SCHEMA_VERSION)
		code = mw_ctx_fail(ctx, MW_INTERNAL_ERROR,
		    "outbox %s is of version %lld, this program knows %d", o->db_path,
		    (long long)version, SCHEMA_VERSION);
	else if (!sync_dir_of(o->db_path))
		code = mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "outbox %s: directory not synced: %s",
		    o->db_path, strerror(errno));
	if (code != MW_OK) {
		(void)sqlite3_close(o->db);
		o->db = NULL;
	}
	return code;
}
