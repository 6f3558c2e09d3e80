/* SPDX-License-Identifier: BSD-2-Clause */
/* How much waits in the outbox, whose it is, and how much more fits. */
#include <string.h>

#include "state/internal.h"

enum mw_code
mw_outbox_stat(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    struct mw_outbox_stat *out)
{
	enum mw_code code;
	sqlite3_stmt *st;
	bool found;

	memset(out, 0, sizeof(*out));
	if (user != NULL && mw_odb_clean(o, user))
		return MW_OK;
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	code = user == NULL ? mw_db_bind(&o->db, ctx, MW_ODB_STAT, &st, "") :
	    mw_db_bind(&o->db, ctx, MW_ODB_STAT_USER, &st, "t", user);
	if (code == MW_OK && (code = mw_db_step(&o->db, ctx, st, &found)) == MW_OK && found) {
		out->pending = sqlite3_column_int64(st, 0);
		out->parked = sqlite3_column_int64(st, 1);
		out->bytes = sqlite3_column_int64(st, 2);
		out->oldest = sqlite3_column_int64(st, 3);
	}
	mw_db_leave(&o->db);
	return code;
}

bool
mw_outbox_room(struct mw_outbox *o, struct mw_ctx *ctx, int64_t size)
{
	struct mw_ctx aside = { .deadline = ctx->deadline };
	int64_t room = o->max_bytes - MW_ODB_ROW_COST;
	sqlite3_stmt *st;
	bool found;

	if (size > room || (o->shm != NULL &&
	    atomic_load(&o->shm->queued) == atomic_load(&o->shm->emptied)))
		return size <= room;
	/* When the database does not answer, the put itself will say why. */
	if (mw_db_enter(&o->db, &aside) != MW_OK)
		return true;
	if (mw_db_bind(&o->db, &aside, MW_ODB_TOTAL, &st, "") == MW_OK &&
	    mw_db_step(&o->db, &aside, st, &found) == MW_OK && found) {
		room -= sqlite3_column_int64(st, 0);
		(void)sqlite3_reset(st);
		if (room == o->max_bytes - MW_ODB_ROW_COST)
			mw_odb_settle_queue(o);
	}
	mw_db_leave(&o->db);
	return size <= room;
}

enum mw_code
mw_outbox_users(struct mw_outbox *o, struct mw_ctx *ctx,
    enum mw_code (*fn)(void *arg, const char *user), void *arg)
{
	enum mw_code code;

	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	code = mw_db_texts(&o->db, ctx, MW_ODB_USERS, fn, arg);
	mw_db_leave(&o->db);
	return code;
}
