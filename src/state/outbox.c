/* SPDX-License-Identifier: BSD-2-Clause */
/* The outbox: acknowledged writes and deletes that the store has not got. */
#include "state/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/path.h"
#include "state/internal.h"

#define PAGE 64			/* rows fetched at a time by each */
#define PAGE_MEMORY (1 << 20)

enum mw_code
mw_outbox_open(const char *state_path, struct mw_shm *shm, int64_t max_bytes,
    struct mw_outbox **op, struct mw_err *err)
{
	struct mw_outbox *o = calloc(1, sizeof(*o));
	enum mw_code code;

	*op = NULL;
	if (o == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	o->shm = shm;
	o->max_bytes = max_bytes;
	o->spool_dir = -1;
	code = mw_db_init(&o->db, &mw_odb_kind, state_path, err);
	if (code == MW_OK)
		code = mw_spool_dir(state_path, &o->spool_dir, err);
	if (code == MW_OK)
		*op = o;
	else
		mw_outbox_close(o);
	return code;
}

void
mw_outbox_limit(struct mw_outbox *o, int64_t max_bytes)
{
	o->max_bytes = max_bytes;
}

void
mw_outbox_close(struct mw_outbox *o)
{
	if (o == NULL)
		return;
	mw_db_close(&o->db);
	if (o->spool_dir >= 0)
		(void)close(o->spool_dir);
	free(o);
}

/* ---- rows ---- */

/* The columns come in the order of COLUMNS in outbox_db.c. */
static struct mw_outbox_row *
read_row(sqlite3_stmt *st, struct mw_arena *a)
{
	struct mw_outbox_row *r = mw_arena_alloc(a, sizeof(*r));
	bool good = true;

	if (r == NULL)
		return NULL;
	r->id = sqlite3_column_int64(st, 0);
	r->user = mw_db_text(a, st, 1, &good);
	r->path = mw_db_text(a, st, 2, &good);
	r->store = mw_db_text(a, st, 3, &good);
	r->op = sqlite3_column_int(st, 4) == MW_OUTBOX_DELETE ?
	    MW_OUTBOX_DELETE : MW_OUTBOX_PUT;
	r->spool = mw_db_text(a, st, 5, &good);
	r->size = sqlite3_column_int64(st, 6);
	mw_db_blob(st, 7, r->sha256, sizeof(r->sha256));
	mw_db_blob(st, 8, r->md5, sizeof(r->md5));
	r->content_type = mw_db_text(a, st, 9, &good);
	r->if_match = mw_db_text(a, st, 10, &good);
	r->if_none_match = sqlite3_column_int(st, 11) != 0;
	r->mode = sqlite3_column_int64(st, 12);
	r->mtime = sqlite3_column_int64(st, 13);
	r->created = sqlite3_column_int64(st, 14);
	r->tries = (unsigned)sqlite3_column_int(st, 15);
	r->parked = sqlite3_column_int(st, 16) != 0;
	r->error = mw_db_text(a, st, 17, &good);
	return good ? r : NULL;
}

/* The row that a bound statement finds, or NULL. */
static enum mw_code
fetch(struct mw_outbox *o, struct mw_ctx *ctx, sqlite3_stmt *st,
    const struct mw_outbox_row **row)
{
	enum mw_code code;
	bool found;

	if ((code = mw_db_step(&o->db, ctx, st, &found)) != MW_OK || !found)
		return code;
	if ((*row = read_row(st, ctx->arena)) == NULL)
		return mw_ctx_nomem(ctx);
	return MW_OK;
}

enum mw_code
mw_outbox_find(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *path, const struct mw_outbox_row **row)
{
	enum mw_code code;
	sqlite3_stmt *st;

	*row = NULL;
	if (mw_odb_clean(o, user))
		return MW_OK;
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_db_bind(&o->db, ctx, MW_ODB_FIND, &st, "tt", user, path)) == MW_OK)
		code = fetch(o, ctx, st, row);
	if (code == MW_OK && *row == NULL)
		mw_odb_settle(o, user);
	mw_db_leave(&o->db);
	return code;
}

enum mw_code
mw_outbox_next(struct mw_outbox *o, struct mw_ctx *ctx, int64_t after,
    const struct mw_outbox_row **row)
{
	enum mw_code code;
	sqlite3_stmt *st;

	*row = NULL;
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_db_bind(&o->db, ctx, MW_ODB_NEXT, &st, "i", after)) == MW_OK)
		code = fetch(o, ctx, st, row);
	if (code == MW_OK && *row == NULL && after == 0)
		mw_odb_settle_queue(o);
	mw_db_leave(&o->db);
	return code;
}

/* The next rows after a path, into the arena a. */
static enum mw_code
fetch_page(struct mw_outbox *o, struct mw_ctx *ctx, struct mw_arena *a, const char *user,
    const char *prefix, const char *after, const struct mw_outbox_row **rows, size_t *n)
{
	enum mw_code code;
	sqlite3_stmt *st;
	bool found;

	*n = 0;
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	code = mw_db_bind(&o->db, ctx, MW_ODB_EACH, &st, "ttti", user, prefix, after,
	    (int64_t)PAGE);
	while (code == MW_OK && *n < PAGE) {
		if ((code = mw_db_step(&o->db, ctx, st, &found)) != MW_OK || !found)
			break;
		if ((rows[*n] = read_row(st, a)) == NULL)
			code = mw_ctx_nomem(ctx);
		else
			(*n)++;
	}
	if (code == MW_OK && *n == 0)
		mw_odb_settle(o, user);
	mw_db_leave(&o->db);
	return code;
}

/* No statement is open while fn runs, which may therefore use the outbox. */
enum mw_code
mw_outbox_each(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *prefix, mw_outbox_fn fn, void *arg)
{
	const struct mw_outbox_row *rows[PAGE];
	char after[MW_PATH_MAX + 1] = "";
	enum mw_code code = MW_OK;
	struct mw_arena *a;
	size_t i, n = PAGE, len = strlen(prefix);

	if (mw_odb_clean(o, user))
		return MW_OK;
	if ((a = mw_arena_open(PAGE_MEMORY)) == NULL)
		return mw_ctx_nomem(ctx);
	while (code == MW_OK && n == PAGE) {
		mw_arena_reset(a);
		code = fetch_page(o, ctx, a, user, prefix, after, rows, &n);
		for (i = 0; i < n && code == MW_OK; i++) {
			if (strncmp(rows[i]->path, prefix, len) != 0) {
				n = 0;		/* past the last of them */
				break;
			}
			(void)snprintf(after, sizeof(after), "%s", rows[i]->path);
			code = fn(arg, rows[i]);
		}
	}
	mw_arena_close(a);
	return code;
}

/* ---- changes ---- */

/* Contents before the row that names them. */
static enum mw_code
sync_body(struct mw_ctx *ctx, const struct mw_spool *spool)
{
	int e;

	if (fsync(spool->fd) == 0 && fsync(spool->dirfd) == 0)
		return MW_OK;
	e = errno;
	return mw_ctx_fail(ctx, e == ENOSPC || e == EDQUOT ? MW_STORAGE_FULL :
	    MW_INTERNAL_ERROR, "spool: fsync: %s", strerror(e));
}

/* Room for the new row in place of the old one, whose body is named to be removed. */
static enum mw_code
check_room(struct mw_outbox *o, struct mw_ctx *ctx, const struct mw_outbox_row *row,
    int64_t size, char old_spool[MW_TMPNAME_LEN])
{
	enum mw_code code;
	sqlite3_stmt *st;
	const char *name;
	int64_t cost;
	bool found;

	if ((code = mw_db_bind(&o->db, ctx, MW_ODB_OLD, &st, "tt", row->user, row->path)) != MW_OK ||
	    (code = mw_db_step(&o->db, ctx, st, &found)) != MW_OK)
		return code;
	if (!found)
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "outbox: its sum is missing");
	cost = sqlite3_column_int64(st, 0);
	if (sqlite3_column_type(st, 1) != SQLITE_NULL)
		cost -= sqlite3_column_int64(st, 1) + MW_ODB_ROW_COST;
	if ((name = (const char *)sqlite3_column_text(st, 2)) != NULL)
		(void)snprintf(old_spool, MW_TMPNAME_LEN, "%s", name);
	(void)sqlite3_reset(st);
	if (size > o->max_bytes - MW_ODB_ROW_COST || cost > o->max_bytes - MW_ODB_ROW_COST - size)
		return mw_ctx_fail(ctx, MW_STORAGE_FULL,
		    "the outbox is full (outbox.max_bytes = %lld): the store takes no writes",
		    (long long)o->max_bytes);
	return MW_OK;
}

static enum mw_code
insert(struct mw_outbox *o, struct mw_ctx *ctx, const struct mw_outbox_row *row,
    const struct mw_spool *spool)
{
	int64_t created = row->created > 0 ? row->created : mw_wall();
	enum mw_code code;

	code = mw_db_run(&o->db, ctx, MW_ODB_DELETE, "tt", row->user, row->path);
	if (code != MW_OK)
		return code;
	return mw_db_run(&o->db, ctx, MW_ODB_INSERT, "itttitibbttiiii",
	    (int64_t)mw_shm_bucket(row->user), row->user, row->path,
	    row->store == NULL ? "" : row->store,
	    (int64_t)(spool == NULL ? MW_OUTBOX_DELETE : MW_OUTBOX_PUT),
	    spool == NULL ? NULL : spool->name, spool == NULL ? INT64_C(0) : spool->size,
	    spool == NULL ? NULL : (const void *)spool->sha256, (int)sizeof(row->sha256),
	    spool == NULL ? NULL : (const void *)spool->md5, (int)sizeof(row->md5),
	    row->content_type, row->if_match, (int64_t)row->if_none_match, row->mode,
	    row->mtime, created);
}

static enum mw_code
set_mark(struct mw_outbox *o, struct mw_ctx *ctx, const struct mw_outbox_row *row,
    enum mw_mark mark)
{
	if (mark == MW_MARK_NONE)
		return mw_db_run(&o->db, ctx, MW_ODB_UNMARK, "tt", row->user, row->path);
	return mw_db_run(&o->db, ctx, MW_ODB_MARK, "ttii", row->user, row->path,
	    (int64_t)mw_shm_bucket(row->user), (int64_t)mark);
}

/* mark NULL: it stays as it is. */
static enum mw_code
put(struct mw_outbox *o, struct mw_ctx *ctx, const struct mw_outbox_row *row,
    struct mw_spool *spool, const enum mw_mark *mark)
{
	char old_spool[MW_TMPNAME_LEN] = "";
	enum mw_code code;

	if (strlen(row->path) > MW_PATH_MAX)
		return mw_ctx_fail(ctx, MW_INVALID_PATH, "the path is too long for the outbox");
	if (spool != NULL && (code = sync_body(ctx, spool)) != MW_OK)
		return code;
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_odb_begin(o, ctx, row->user, true)) == MW_OK) {
		code = check_room(o, ctx, row, spool == NULL ? 0 : spool->size, old_spool);
		if (code == MW_OK)
			code = insert(o, ctx, row, spool);
		/* What a client writes or deletes by name is not the restore's any more. */
		if (code == MW_OK)
			code = mw_db_run(&o->db, ctx, MW_ODB_FOUND, "tt", row->user, row->path);
		if (code == MW_OK && mark != NULL)
			code = set_mark(o, ctx, row, *mark);
		code = mw_odb_end(o, ctx, code);
	}
	mw_db_leave(&o->db);
	if (code != MW_OK)
		return code;
	if (spool != NULL)
		spool->kept = true;
	if (old_spool[0] != '\0')
		(void)unlinkat(o->spool_dir, old_spool, 0);
	return MW_OK;
}

enum mw_code
mw_outbox_put(struct mw_outbox *o, struct mw_ctx *ctx, const struct mw_outbox_row *row,
    struct mw_spool *spool)
{
	return put(o, ctx, row, spool, NULL);
}

enum mw_code
mw_outbox_put_marked(struct mw_outbox *o, struct mw_ctx *ctx, const struct mw_outbox_row *row,
    struct mw_spool *spool, enum mw_mark mark)
{
	return put(o, ctx, row, spool, &mark);
}

enum mw_code
mw_outbox_undo(struct mw_outbox *o, struct mw_ctx *ctx, const struct mw_outbox_row *row,
    enum mw_mark mark)
{
	enum mw_code code;

	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_odb_begin(o, ctx, row->user, false)) == MW_OK) {
		if ((code = mw_db_run(&o->db, ctx, MW_ODB_DONE, "i", row->id)) == MW_OK)
			code = set_mark(o, ctx, row, mark);
		code = mw_odb_end(o, ctx, code);
	}
	mw_db_leave(&o->db);
	if (code == MW_OK && row->spool != NULL)
		(void)unlinkat(o->spool_dir, row->spool, 0);
	return code;
}

enum mw_code
mw_outbox_done(struct mw_outbox *o, struct mw_ctx *ctx, const struct mw_outbox_row *row)
{
	enum mw_code code;
	bool removed = false;

	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_db_run(&o->db, ctx, MW_ODB_DONE, "i", row->id)) == MW_OK)
		removed = sqlite3_changes(o->db.handle) == 1;
	mw_db_leave(&o->db);
	if (removed && row->spool != NULL)
		(void)unlinkat(o->spool_dir, row->spool, 0);
	return code;
}

enum mw_code
mw_outbox_failed(struct mw_outbox *o, struct mw_ctx *ctx, int64_t id, bool parked,
    const char *error)
{
	enum mw_code code;

	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	code = mw_db_run(&o->db, ctx, MW_ODB_FAILED, "iit", id, (int64_t)parked, error);
	mw_db_leave(&o->db);
	return code;
}

enum mw_code
mw_outbox_unpark(struct mw_outbox *o, struct mw_ctx *ctx)
{
	enum mw_code code;

	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_odb_begin(o, ctx, NULL, true)) == MW_OK)
		code = mw_odb_end(o, ctx, mw_db_run(&o->db, ctx, MW_ODB_UNPARK, ""));
	mw_db_leave(&o->db);
	return code;
}
