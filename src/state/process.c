/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of commands: claims, what was seen of them, lists. */
#include "state/process.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "state/process_db.h"

#define SLACK 20000	/* ms after its limit, then a job that nobody saw end has ended */

#define COLUMNS "id, user, key, digest, command, marker, state, exit_code, time_limit, created," \
    " started, ended, out_cut, err_cut, kept, out_size, err_size, tries, seq"
#define KEPT_GONE 2	/* in the column kept: it never will be */
#define NOT_OVER "(state < 2)"
#define OF_USER "(?1 IS NULL OR user = ?1)"

_Static_assert(MW_PROC_EXITED == 2, "the statements say so too");

static const char *const sql[] = {
	[MW_PDB_BEGIN] = "BEGIN IMMEDIATE",
	[MW_PDB_COMMIT] = "COMMIT",
	[MW_PDB_ROLLBACK] = "ROLLBACK",
	[MW_PDB_GET] = "SELECT " COLUMNS " FROM job WHERE user = ?1 AND id = ?2",
	[MW_PDB_BY_KEY] = "SELECT " COLUMNS " FROM job WHERE user = ?1 AND key = ?2",
	[MW_PDB_INSERT] = "INSERT INTO job(id, user, key, digest, command, marker, state, exit_code,"
	    " time_limit, created, tries) VALUES(?, ?, ?, ?, ?, ?, 0, -1, ?, ?, 1)",
	[MW_PDB_TRIED] = "UPDATE job SET tries = tries + 1 WHERE id = ?1",
	[MW_PDB_RUNNING_COUNT] = "SELECT count(*) FROM job WHERE user = ?1 AND " NOT_OVER
	    " AND created + time_limit > ?2",
	[MW_PDB_MOVE] = "UPDATE job SET marker = ?3 WHERE id = ?1 AND marker = ?2 AND tries = 1",
	[MW_PDB_SETTLE] = "UPDATE job SET tries = tries - 1 WHERE id = ?1 AND tries > 1",
	[MW_PDB_SEEN] = "UPDATE job SET state = ?2, exit_code = ?3, ended = ?5, out_cut = ?6,"
	    " err_cut = ?7, started = CASE started WHEN 0 THEN ?4 ELSE started END"
	    " WHERE id = ?1 AND " NOT_OVER,
	[MW_PDB_KEPT] = "UPDATE job SET kept = 1, out_size = ?2, err_size = ?3 WHERE id = ?1 AND kept = 0",
	[MW_PDB_GONE] = "UPDATE job SET kept = 2 WHERE id = ?1 AND kept = 0",
	[MW_PDB_LIST] = "SELECT " COLUMNS " FROM job WHERE user = ?1 ORDER BY seq DESC LIMIT ?3",
	/* kept = 0 is for the index. */
	[MW_PDB_RUNNING] = "SELECT " COLUMNS " FROM job WHERE " OF_USER " AND seq > ?2 AND kept = 0"
	    " AND " NOT_OVER " ORDER BY seq LIMIT ?3",
	[MW_PDB_UNKEPT] = "SELECT " COLUMNS " FROM job WHERE " OF_USER " AND seq > ?2 AND kept = 0"
	    " AND NOT " NOT_OVER " AND state <> 6 ORDER BY seq LIMIT ?3",
	[MW_PDB_EXPIRED] = "SELECT " COLUMNS " FROM job WHERE " OF_USER " AND seq > ?2"
	    " AND created + time_limit < ?4 ORDER BY seq LIMIT ?3",
	[MW_PDB_ABANDON] = "DELETE FROM job WHERE id = ?1 AND tries = 1 AND state = 0",
	[MW_PDB_REMOVE] = "DELETE FROM job WHERE id = ?1",
	[MW_PDB_USERS] = "SELECT DISTINCT user FROM job",
};

_Static_assert(sizeof(sql) / sizeof(sql[0]) == MW_PDB_COUNT, "every statement needs its text");
_Static_assert(MW_PROC_LOST == 6 && KEPT_GONE == 2, "the statements say so too");

static const char schema[] =
    "CREATE TABLE job("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL,"
    " key TEXT, digest BLOB NOT NULL, command TEXT NOT NULL, marker INTEGER NOT NULL,"
    " state INTEGER NOT NULL, exit_code INTEGER NOT NULL, time_limit INTEGER NOT NULL,"
    " created INTEGER NOT NULL, started INTEGER NOT NULL DEFAULT 0,"
    " ended INTEGER NOT NULL DEFAULT 0, out_cut INTEGER NOT NULL DEFAULT 0,"
    " err_cut INTEGER NOT NULL DEFAULT 0, kept INTEGER NOT NULL DEFAULT 0,"
    " out_size INTEGER NOT NULL DEFAULT 0, err_size INTEGER NOT NULL DEFAULT 0,"
    " tries INTEGER NOT NULL, UNIQUE(user, key));"
    "CREATE INDEX job_user ON job(user, seq);"
    "CREATE INDEX job_open ON job(user) WHERE kept = 0;"
    "PRAGMA user_version = 1;";

static const struct mw_db_kind kind = {
	.name = "jobs", .schema = schema, .version = 1, .sql = sql, .nsql = MW_PDB_COUNT,
	.damaged = "it knows which jobs ran: keep a copy, then move it",
};

enum mw_code
mw_process_db_open(const char *state_path, struct mw_process_db **jp, struct mw_err *err)
{
	struct mw_process_db *j = calloc(1, sizeof(*j));
	enum mw_code code;

	*jp = NULL;
	if (j == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	code = mw_db_init(&j->db, &kind, state_path, err);
	if (code == MW_OK)
		*jp = j;
	else
		mw_process_db_close(j);
	return code;
}

void
mw_process_db_close(struct mw_process_db *j)
{
	if (j == NULL)
		return;
	mw_db_close(&j->db);
	free(j);
}

bool
mw_process_over(enum mw_process_state state)
{
	return state >= MW_PROC_EXITED;
}

/* ---- one row ---- */

/* The columns come in the order of COLUMNS. */
enum mw_code
mw_process_read(struct mw_ctx *ctx, sqlite3_stmt *st, struct mw_arena *a, struct mw_process *r)
{
	bool good = true;

	memset(r, 0, sizeof(*r));
	r->id = mw_db_text(a, st, 0, &good);
	r->user = mw_db_text(a, st, 1, &good);
	r->key = mw_db_text(a, st, 2, &good);
	mw_db_blob(st, 3, r->digest, sizeof(r->digest));
	r->command = mw_db_text(a, st, 4, &good);
	r->marker = (uint64_t)sqlite3_column_int64(st, 5);
	r->state = (enum mw_process_state)sqlite3_column_int(st, 6);
	r->exit_code = sqlite3_column_int(st, 7);
	r->limit = sqlite3_column_int64(st, 8);
	r->created = sqlite3_column_int64(st, 9);
	r->started = sqlite3_column_int64(st, 10);
	r->ended = sqlite3_column_int64(st, 11);
	r->out_cut = sqlite3_column_int(st, 12) != 0;
	r->err_cut = sqlite3_column_int(st, 13) != 0;
	r->kept = sqlite3_column_int(st, 14) == 1;
	r->gone = sqlite3_column_int(st, 14) == KEPT_GONE;
	r->out_size = sqlite3_column_int64(st, 15);
	r->err_size = sqlite3_column_int64(st, 16);
	r->tries = (unsigned)sqlite3_column_int(st, 17);
	return good ? MW_OK : mw_ctx_nomem(ctx);
}

/* The one row of a bound statement. */
static enum mw_code
fetch(struct mw_process_db *j, struct mw_ctx *ctx, sqlite3_stmt *st, struct mw_process *row,
    bool *found)
{
	enum mw_code code = mw_db_step(&j->db, ctx, st, found);

	if (code != MW_OK || !*found)
		return code;
	code = mw_process_read(ctx, st, ctx->arena, row);
	(void)sqlite3_reset(st);
	return code;
}

static enum mw_code
not_found(struct mw_ctx *ctx, const char *id)
{
	return mw_ctx_fail(ctx, MW_PROCESS_NOT_FOUND,
	    "no process %.64s was ever started for this user, or it is too long ago", id);
}

static enum mw_code
get(struct mw_process_db *j, struct mw_ctx *ctx, const char *user, const char *id,
    struct mw_process *row)
{
	sqlite3_stmt *st;
	enum mw_code code;
	bool found;

	if ((code = mw_db_bind(&j->db, ctx, MW_PDB_GET, &st, "tt", user, id)) != MW_OK ||
	    (code = fetch(j, ctx, st, row, &found)) != MW_OK)
		return code;
	return found ? MW_OK : not_found(ctx, id);
}

enum mw_code
mw_process_get(struct mw_process_db *j, struct mw_ctx *ctx, const char *user, const char *id,
    struct mw_process *row)
{
	enum mw_code code;

	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	code = get(j, ctx, user, id, row);
	mw_db_leave(&j->db);
	return code;
}

static enum mw_code
by_key(struct mw_process_db *j, struct mw_ctx *ctx, const char *user, const char *key,
    struct mw_process *row, bool *found)
{
	sqlite3_stmt *st;
	enum mw_code code;

	*found = false;
	if ((code = mw_db_bind(&j->db, ctx, MW_PDB_BY_KEY, &st, "tt", user, key)) != MW_OK)
		return code;
	return fetch(j, ctx, st, row, found);
}

enum mw_code
mw_process_by_key(struct mw_process_db *j, struct mw_ctx *ctx, const char *user, const char *key,
    struct mw_process *row, bool *found)
{
	enum mw_code code;

	*found = false;
	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	code = by_key(j, ctx, user, key, row, found);
	mw_db_leave(&j->db);
	return code;
}

/* ---- claims ---- */

static enum mw_code
end(struct mw_process_db *j, struct mw_ctx *ctx, enum mw_code code)
{
	struct mw_ctx aside = { .deadline = 0 };

	if (code == MW_OK)
		code = mw_db_run(&j->db, ctx, MW_PDB_COMMIT, "");
	/* A full disk may have ended the transaction already. */
	if (code != MW_OK && sqlite3_get_autocommit(j->db.handle) == 0)
		(void)!mw_db_run(&j->db, &aside, MW_PDB_ROLLBACK, "");
	return code;
}

static enum mw_code
join(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row,
    const unsigned char digest[32])
{
	if (memcmp(row->digest, digest, sizeof(row->digest)) != 0)
		return mw_ctx_fail(ctx, MW_CONFLICT, "idempotencyKey: it was used for another "
		    "command, process %s; take another key", row->id);
	row->tries++;
	return mw_db_run(&j->db, ctx, MW_PDB_TRIED, "t", row->id);
}

static enum mw_code
count_running(struct mw_process_db *j, struct mw_ctx *ctx, const char *user, unsigned max)
{
	sqlite3_stmt *st;
	enum mw_code code;
	bool found;
	int64_t n;

	if ((code = mw_db_bind(&j->db, ctx, MW_PDB_RUNNING_COUNT, &st, "ti", user,
	    mw_wall() - SLACK)) != MW_OK ||
	    (code = mw_db_step(&j->db, ctx, st, &found)) != MW_OK)
		return code;
	n = found ? sqlite3_column_int64(st, 0) : 0;
	(void)sqlite3_reset(st);
	if (n >= (int64_t)max)
		return mw_ctx_fail(ctx, MW_TOO_MANY_REQUESTS,
		    "%s has %lld jobs running, exec.max_jobs allows %u; try again when one has ended",
		    user, (long long)n, max);
	return MW_OK;
}

static enum mw_code
claim(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row, unsigned max,
    bool *existing)
{
	struct mw_process old;
	enum mw_code code;

	if (row->key != NULL) {
		code = by_key(j, ctx, row->user, row->key, &old, existing);
		if (code == MW_OK && *existing && (code = join(j, ctx, &old, row->digest)) == MW_OK)
			*row = old;
		if (code != MW_OK || *existing)
			return code;
	}
	if ((code = count_running(j, ctx, row->user, max)) != MW_OK)
		return code;
	row->tries = 1;
	row->created = mw_wall();
	return mw_db_run(&j->db, ctx, MW_PDB_INSERT, "tttbtiii", row->id, row->user, row->key,
	    (const void *)row->digest, (int)sizeof(row->digest), row->command,
	    (int64_t)row->marker, row->limit, row->created);
}

enum mw_code
mw_process_claim(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row, unsigned max,
    bool *existing)
{
	enum mw_code code;

	*existing = false;
	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	/* A power cut may forget a job, but not the promise that a key stands for. */
	(void)sqlite3_exec(j->db.handle, row->key != NULL ? "PRAGMA synchronous = FULL" :
	    "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
	if ((code = mw_db_run(&j->db, ctx, MW_PDB_BEGIN, "")) == MW_OK)
		code = end(j, ctx, claim(j, ctx, row, max, existing));
	mw_db_leave(&j->db);
	return code;
}

static enum mw_code
move(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row, uint64_t to, bool *moved)
{
	enum mw_code code;

	code = mw_db_run(&j->db, ctx, MW_PDB_MOVE, "tii", row->id, (int64_t)row->marker, (int64_t)to);
	*moved = code == MW_OK && sqlite3_changes(j->db.handle) == 1;
	if (*moved)
		row->marker = to;
	else if (code == MW_OK)
		code = mw_db_run(&j->db, ctx, MW_PDB_SETTLE, "t", row->id);
	return code;
}

enum mw_code
mw_process_move(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row, uint64_t to,
    bool *moved)
{
	enum mw_code code;

	*moved = false;
	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_db_run(&j->db, ctx, MW_PDB_BEGIN, "")) == MW_OK)
		code = end(j, ctx, move(j, ctx, row, to, moved));
	mw_db_leave(&j->db);
	return code;
}

/* ---- what was seen ---- */

enum mw_code
mw_process_seen(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row)
{
	enum mw_code code;

	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	code = mw_db_run(&j->db, ctx, MW_PDB_SEEN, "tiiiiii", row->id, (int64_t)row->state,
	    (int64_t)row->exit_code, row->started, row->ended, (int64_t)row->out_cut,
	    (int64_t)row->err_cut);
	if (code == MW_OK)
		code = get(j, ctx, row->user, row->id, row);
	mw_db_leave(&j->db);
	return code;
}

enum mw_code
mw_process_kept(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row)
{
	enum mw_code code;

	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	code = mw_db_run(&j->db, ctx, MW_PDB_KEPT, "tii", row->id, row->out_size, row->err_size);
	if (code == MW_OK)
		code = get(j, ctx, row->user, row->id, row);
	mw_db_leave(&j->db);
	return code;
}

enum mw_code
mw_process_gone(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row)
{
	enum mw_code code;

	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	code = mw_db_run(&j->db, ctx, MW_PDB_GONE, "t", row->id);
	if (code == MW_OK)
		code = get(j, ctx, row->user, row->id, row);
	mw_db_leave(&j->db);
	return code;
}

enum mw_code
mw_process_abandon(struct mw_process_db *j, struct mw_ctx *ctx, const char *id)
{
	enum mw_code code;

	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_db_run(&j->db, ctx, MW_PDB_BEGIN, "")) == MW_OK) {
		code = mw_db_run(&j->db, ctx, MW_PDB_ABANDON, "t", id);
		if (code == MW_OK && sqlite3_changes(j->db.handle) == 0)
			code = mw_db_run(&j->db, ctx, MW_PDB_SETTLE, "t", id);
		code = end(j, ctx, code);
	}
	mw_db_leave(&j->db);
	return code;
}

enum mw_code
mw_process_remove(struct mw_process_db *j, struct mw_ctx *ctx, const char *id)
{
	enum mw_code code;

	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	code = mw_db_run(&j->db, ctx, MW_PDB_REMOVE, "t", id);
	mw_db_leave(&j->db);
	return code;
}
