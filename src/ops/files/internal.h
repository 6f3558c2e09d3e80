/* SPDX-License-Identifier: BSD-2-Clause */
/* What several files of this folder share of one write, and of one listing. */
#ifndef MW_OPS_FILES_INTERNAL_H
#define MW_OPS_FILES_INTERNAL_H

#include "ops/files/list.h"
#include "ops/files/write.h"

/* ---- write.c, write_r2.c ---- */

/* A write or delete under way, under its path's lock. */
struct mw_write_job {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_write *w;
	struct mw_spool *body;		/* NULL: a delete */
	const char *key;
	const struct mw_outbox_row *row;	/* pending when we came, or NULL */
	enum mw_mark mark;		/* when we came */
	const char *current;		/* R2's ETag when we came, NULL = none or not asked */
	bool unknown;			/* a delete could not learn whether R2 has it */
	bool unsure;			/* a put had no definite answer: R2 may have taken it */
	int64_t written;		/* when, by our clock: the content's mtime in R2 */
	uint32_t restores;		/* of the user, when the sandbox was last asked */
};

/* What the outbox must keep it gets time for, even if R2 has used the request's up.
 * Returns the deadline to go back to. */
int64_t mw_write_grace(struct mw_write_job *j);

/* What R2 has, or will have: *there and j->current. */
enum mw_code mw_write_look(struct mw_write_job *j, bool *there) MW_MUST;

/* The mark of a path that R2 alone has got. */
enum mw_mark mw_write_mark(const struct mw_write_job *j);

/* Put it or queue it; the same for a delete, if R2 has got it. */
enum mw_code mw_write_to_r2(struct mw_write_job *j) MW_MUST;
enum mw_code mw_delete_in_r2(struct mw_write_job *j) MW_MUST;

/* ---- list.c, list_r2.c ---- */

struct mw_list_rows {
	struct mw_listed *entry;
	size_t n, cap;
};

/* Entries on the way to an answer. */
struct mw_list_job {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_listing *l;
	const char *after;		/* from the cursor, or NULL */
	bool after_dir;			/* it is the directory of that name */
	bool marked;			/* an object of R2's says that the directory is there */
	struct mw_list_rows rows;
	struct mw_arena *names;		/* of their strings */
	/* the sandbox */
	struct mw_arena *spare;
	const char *bound;		/* as many as needed come before it, NULL = not yet */
	/* R2 */
	struct mw_list_rows over;		/* pending rows; etag NULL and size -1 in a file: a delete */
	struct mw_list_rows doubtful;		/* directories that pending deletes may have emptied */
	struct mw_list_req req;		/* the next page */
	bool more;
};

/* A copy of the entry, its strings in j->names. */
enum mw_code mw_list_add(struct mw_list_job *g, struct mw_list_rows *r, const struct mw_listed *e) MW_MUST;
void mw_list_sort(struct mw_list_rows *r);	/* in this order: by path, a file before a directory */
int mw_list_order(const struct mw_listed *a, const struct mw_listed *b);

/* Is it on a page before the cursor? */
bool mw_list_passed(const struct mw_list_job *g, const struct mw_listed *e);

/* The name relative to the listed directory, as the path parser would have it; NULL if
 * it is ours or cannot be a path (then it is counted). */
const char *mw_list_name(struct mw_list_job *g, const char *relative, char out[MW_PATH_MAX + 1]);

enum mw_code mw_list_from_r2(struct mw_list_job *g) MW_MUST;

#endif
