/* SPDX-License-Identifier: BSD-2-Clause */
/* Going through the rows of commands. */
#include "state/process.h"

#include <stdlib.h>

#include "base/clock.h"
#include "state/process_db.h"

#define PAGE_MEMORY (1 << 20)
#define ROWS_MAX 256	/* of one listing, of one page */

struct page {
	enum mw_pdb_statement id;
	const char *user;
	int64_t before;		/* MW_PDB_EXPIRED only */
	int64_t after;		/* the seq that the last page ended with */
	unsigned max, n;
	struct mw_arena *arena;
	struct mw_process *rows;
};

/* All rows are read before the first is handed out: fn may use the handle. */
static enum mw_code
collect(struct mw_process_db *j, struct mw_ctx *ctx, sqlite3_stmt *st, struct page *p)
{
	enum mw_code code = MW_OK;
	bool found = true;

	while (code == MW_OK && found && p->n < p->max) {
		code = mw_db_step(&j->db, ctx, st, &found);
		if (code != MW_OK || !found)
			break;
		p->after = sqlite3_column_int64(st, MW_PDB_SEQ);
		if ((code = mw_process_read(ctx, st, p->arena, &p->rows[p->n])) == MW_OK)
			p->n++;
	}
	(void)sqlite3_reset(st);
	return code;
}

static enum mw_code
read_page(struct mw_process_db *j, struct mw_ctx *ctx, struct page *p)
{
	sqlite3_stmt *st;
	enum mw_code code;

	p->n = 0;
	mw_arena_reset(p->arena);
	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	code = p->id == MW_PDB_EXPIRED ?
	    mw_db_bind(&j->db, ctx, p->id, &st, "tiii", p->user, p->after, (int64_t)p->max,
	    p->before) :
	    mw_db_bind(&j->db, ctx, p->id, &st, "tii", p->user, p->after, (int64_t)p->max);
	if (code == MW_OK)
		code = collect(j, ctx, st, p);
	mw_db_leave(&j->db);
	return code;
}

static enum mw_code
hand_out(struct mw_ctx *ctx, const struct page *p, mw_process_fn fn, void *arg)
{
	enum mw_code code = MW_OK;
	unsigned i;

	for (i = 0; i < p->n && code == MW_OK; i++) {
		if (mw_left(ctx->deadline) == 0)
			return mw_ctx_fail(ctx, MW_DEADLINE_EXCEEDED,
			    "there was no time to go through all of the jobs");
		code = fn(arg, &p->rows[i]);
	}
	return code;
}

/* Page by page (`paged`), or one page at most. */
static enum mw_code
each(struct mw_process_db *j, struct mw_ctx *ctx, struct page *p, bool paged, mw_process_fn fn, void *arg)
{
	enum mw_code code = MW_OK;

	if (p->max > ROWS_MAX)
		p->max = ROWS_MAX;
	p->arena = mw_arena_open(PAGE_MEMORY);
	p->rows = calloc(ROWS_MAX, sizeof(*p->rows));
	if (p->arena == NULL || p->rows == NULL)
		code = mw_ctx_nomem(ctx);
	else do {
		if ((code = read_page(j, ctx, p)) == MW_OK)
			code = hand_out(ctx, p, fn, arg);
	} while (code == MW_OK && paged && p->n == p->max);
	free(p->rows);
	mw_arena_close(p->arena);
	return code;
}

enum mw_code
mw_process_list(struct mw_process_db *j, struct mw_ctx *ctx, const char *user, unsigned max,
    mw_process_fn fn, void *arg)
{
	struct page p = { .id = MW_PDB_LIST, .user = user, .max = max };

	return each(j, ctx, &p, false, fn, arg);
}

enum mw_code
mw_process_running(struct mw_process_db *j, struct mw_ctx *ctx, const char *user, mw_process_fn fn,
    void *arg)
{
	struct page p = { .id = MW_PDB_RUNNING, .user = user, .max = ROWS_MAX };

	return each(j, ctx, &p, true, fn, arg);
}

enum mw_code
mw_process_unkept(struct mw_process_db *j, struct mw_ctx *ctx, const char *user, mw_process_fn fn,
    void *arg)
{
	struct page p = { .id = MW_PDB_UNKEPT, .user = user, .max = ROWS_MAX };

	return each(j, ctx, &p, true, fn, arg);
}

enum mw_code
mw_process_expired(struct mw_process_db *j, struct mw_ctx *ctx, const char *user, int64_t before,
    mw_process_fn fn, void *arg)
{
	struct page p = { .id = MW_PDB_EXPIRED, .user = user, .max = ROWS_MAX, .before = before };

	return each(j, ctx, &p, true, fn, arg);
}

enum mw_code
mw_process_users(struct mw_process_db *j, struct mw_ctx *ctx,
    enum mw_code (*fn)(void *arg, const char *user), void *arg)
{
	enum mw_code code;

	if ((code = mw_db_enter(&j->db, ctx)) != MW_OK)
		return code;
	code = mw_db_texts(&j->db, ctx, MW_PDB_USERS, fn, arg);
	mw_db_leave(&j->db);
	return code;
}
