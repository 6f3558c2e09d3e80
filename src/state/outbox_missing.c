/* SPDX-License-Identifier: BSD-2-Clause */
/* What restores have left behind, beside the outbox's rows. */
#include <string.h>

#include "state/internal.h"

enum mw_code
mw_outbox_miss(struct mw_outbox *o, struct mw_ctx *ctx, const char *user, const char *run,
    const struct mw_missing *m)
{
	enum mw_code code;

	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_odb_begin(o, ctx, user, false)) == MW_OK) {
		code = mw_db_run(&o->db, ctx, MW_ODB_MISS, "ttittt", user, m->path,
		    (int64_t)mw_shm_bucket(user), run, mw_code_info(m->code)->name, m->error);
		code = mw_odb_end(o, ctx, code);
	}
	mw_db_leave(&o->db);
	return code;
}

static enum mw_code
forget(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_odb_id id, const char *user,
    const char *what)
{
	enum mw_code code;

	if (mw_odb_clean(o, user))
		return MW_OK;
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	code = mw_db_run(&o->db, ctx, id, "tt", user, what);
	mw_db_leave(&o->db);
	return code;
}

enum mw_code
mw_outbox_found(struct mw_outbox *o, struct mw_ctx *ctx, const char *user, const char *path)
{
	return forget(o, ctx, MW_ODB_FOUND, user, path);
}

enum mw_code
mw_outbox_missing_end(struct mw_outbox *o, struct mw_ctx *ctx, const char *user, const char *run)
{
	return forget(o, ctx, MW_ODB_MISSING_OLD, user, run);
}

/* Codes are kept by name: their numbers may change with the program. */
static enum mw_code
named(const char *name)
{
	unsigned i;

	for (i = MW_OK + 1; i < MW_CODE_COUNT; i++) {
		if (name != NULL && strcmp(mw_code_info((enum mw_code)i)->name, name) == 0)
			return (enum mw_code)i;
	}
	return MW_STORE_ERROR;
}

static enum mw_code
take(struct mw_ctx *ctx, sqlite3_stmt *st, struct mw_missing *m)
{
	bool good = true;

	m->path = mw_db_text(ctx->arena, st, 0, &good);
	m->code = named((const char *)sqlite3_column_text(st, 1));
	m->error = mw_db_text(ctx->arena, st, 2, &good);
	return good ? MW_OK : mw_ctx_nomem(ctx);
}

enum mw_code
mw_outbox_missed(struct mw_outbox *o, struct mw_ctx *ctx, const char *user, const char *path,
    const struct mw_missing **m)
{
	struct mw_missing *row;
	sqlite3_stmt *st;
	enum mw_code code;
	bool found = false;

	*m = NULL;
	if (mw_odb_clean(o, user))
		return MW_OK;
	if ((row = mw_arena_alloc(ctx->arena, sizeof(*row))) == NULL)
		return mw_ctx_nomem(ctx);
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_db_bind(&o->db, ctx, MW_ODB_MISSED, &st, "tt", user, path)) == MW_OK &&
	    (code = mw_db_step(&o->db, ctx, st, &found)) == MW_OK && found &&
	    (code = take(ctx, st, row)) == MW_OK)
		*m = row;
	mw_db_leave(&o->db);
	return code;
}

enum mw_code
mw_outbox_missing(struct mw_outbox *o, struct mw_ctx *ctx, const char *user, const char *after,
    struct mw_missing *rows, size_t max, size_t *n, int64_t *count)
{
	sqlite3_stmt *st;
	enum mw_code code;
	bool found = false;

	*n = 0;
	*count = 0;
	if (mw_odb_clean(o, user))
		return MW_OK;
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_db_bind(&o->db, ctx, MW_ODB_MISSING_COUNT, &st, "t", user)) == MW_OK &&
	    (code = mw_db_step(&o->db, ctx, st, &found)) == MW_OK && found)
		*count = sqlite3_column_int64(st, 0);
	if (code == MW_OK && *count > 0)
		code = mw_db_bind(&o->db, ctx, MW_ODB_MISSING, &st, "tti", user, after, (int64_t)max);
	while (code == MW_OK && *count > 0 && *n < max &&
	    (code = mw_db_step(&o->db, ctx, st, &found)) == MW_OK && found)
		code = take(ctx, st, &rows[(*n)++]);
	mw_db_leave(&o->db);
	return code;
}
