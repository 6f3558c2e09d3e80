/* SPDX-License-Identifier: BSD-2-Clause */
/* Marks of one-sided writes, beside the outbox's rows. */
#include <stdio.h>
#include <string.h>

#include "base/path.h"
#include "state/internal.h"

#define PAGE 64			/* marks fetched at a time */

enum mw_code
mw_outbox_mark(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *path, enum mw_mark mark)
{
	enum mw_code code;

	if (strlen(path) > MW_PATH_MAX)
		return mw_ctx_fail(ctx, MW_INVALID_PATH, "the path is too long for a mark");
	if (mark == MW_MARK_NONE && mw_odb_clean(o, user))
		return MW_OK;
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if (mark == MW_MARK_NONE) {
		/* Both sides have the same: it is not missing, either. */
		code = mw_db_run(&o->db, ctx, MW_ODB_UNMARK, "tt", user, path);
		if (code == MW_OK)
			code = mw_db_run(&o->db, ctx, MW_ODB_FOUND, "tt", user, path);
	} else if ((code = mw_odb_begin(o, ctx, user, false)) == MW_OK) {
		code = mw_db_run(&o->db, ctx, MW_ODB_MARK, "ttii", user, path,
		    (int64_t)mw_shm_bucket(user), (int64_t)mark);
		code = mw_odb_end(o, ctx, code);
	}
	mw_db_leave(&o->db);
	return code;
}

enum mw_code
mw_outbox_marked(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    const char *path, enum mw_mark *mark)
{
	enum mw_code code;
	sqlite3_stmt *st;
	bool found = false;

	*mark = MW_MARK_NONE;
	if (mw_odb_clean(o, user))
		return MW_OK;
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	if ((code = mw_db_bind(&o->db, ctx, MW_ODB_MARKED, &st, "tt", user, path)) == MW_OK &&
	    (code = mw_db_step(&o->db, ctx, st, &found)) == MW_OK && found)
		*mark = (enum mw_mark)sqlite3_column_int(st, 0);
	if (code == MW_OK && !found)
		mw_odb_settle(o, user);
	mw_db_leave(&o->db);
	return code;
}

struct page {
	size_t n;
	struct {
		char path[MW_PATH_MAX + 1];
		enum mw_mark mark;
	} row[PAGE];
};

static enum mw_code
fetch_page(struct mw_outbox *o, struct mw_ctx *ctx, const char *user, const char *after,
    struct page *p)
{
	enum mw_code code;
	sqlite3_stmt *st;
	bool found;

	p->n = 0;
	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	code = mw_db_bind(&o->db, ctx, MW_ODB_MARKS, &st, "tti", user, after, (int64_t)PAGE);
	while (code == MW_OK && p->n < PAGE) {
		if ((code = mw_db_step(&o->db, ctx, st, &found)) != MW_OK || !found)
			break;
		(void)snprintf(p->row[p->n].path, sizeof(p->row[p->n].path), "%s",
		    (const char *)sqlite3_column_text(st, 0));
		p->row[p->n++].mark = (enum mw_mark)sqlite3_column_int(st, 1);
	}
	if (code == MW_OK && p->n == 0)
		mw_odb_settle(o, user);
	mw_db_leave(&o->db);
	return code;
}

/* No statement is open while fn runs, which may therefore use the outbox. */
enum mw_code
mw_outbox_marks(struct mw_outbox *o, struct mw_ctx *ctx, const char *user,
    mw_mark_fn fn, void *arg)
{
	enum mw_code code = MW_OK;
	struct page page = { .n = PAGE };
	char after[MW_PATH_MAX + 1] = "";
	size_t i;

	if (mw_odb_clean(o, user))
		return MW_OK;
	while (code == MW_OK && page.n == PAGE) {
		if ((code = fetch_page(o, ctx, user, after, &page)) != MW_OK)
			break;
		if (page.n > 0)
			(void)snprintf(after, sizeof(after), "%s", page.row[page.n - 1].path);
		for (i = 0; i < page.n && code == MW_OK; i++)
			code = fn(arg, page.row[i].path, page.row[i].mark);
	}
	return code;
}
