/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manifest, R2's object .moltworker/manifest below a user's prefix: what a sync
 * has seen equal in the sandbox and in R2, and what R2 cannot hold (directories,
 * symbolic links).  Text, sorted by path in byte order, one line an entry:
 *
 *	moltworker-manifest 1
 *	TYPE TAB MODE TAB MTIME TAB SIZE TAB MD5 TAB TAG TAB PATH	...
 *	end TAB COUNT
 *
 * TYPE: f, r (a file that was changed so lately that its mtime proves nothing), d,
 * l.  MODE octal, MTIME wall ms; MD5 hex or empty; TAG: a file's ETag, a link's
 * target.  Control bytes occur in none of them.
 */
#ifndef MW_OPS_SYNC_MANIFEST_H
#define MW_OPS_SYNC_MANIFEST_H

#include "app/app.h"
#include "ops/sync/sorted.h"

#define MW_MANIFEST_LINE 8192		/* bytes; longer ones are written by nobody */

struct mw_manifest {
	struct mw_spool spool;		/* its text; fd -1 = there is none */
	const char *etag;		/* or NULL; arena */
	int64_t at;			/* read so far */
	size_t pos, len;		/* of buf: not taken yet */
	int64_t count;			/* entries given out */
	struct mw_row row;
	char last[MW_PATH_MAX + 1];	/* path given out before */
	char buf[2 * MW_MANIFEST_LINE];
};

/*
 * Fetch and check it as a whole.  No such object, or one that is damaged (logged):
 * an empty manifest.  R2 failing is a failure.  Close in any case.
 */
enum mw_code mw_manifest_open(struct mw_app *app, struct mw_ctx *ctx, struct mw_store *store,
    const char *user, struct mw_manifest *m) MW_MUST;
void mw_manifest_none(struct mw_manifest *m);		/* an empty one, without asking */
void mw_manifest_close(struct mw_manifest *m);

/* Begin again at the first entry. */
void mw_manifest_rewind(struct mw_manifest *m);

/* The next entry, NULL after the last; valid until the next call. */
const struct mw_row *mw_manifest_next(struct mw_manifest *m);

/* Writing one: begin, entries in order, then put, which sends it unless `old` is the same. */
struct mw_manifest_out {
	struct mw_spool spool;
	int64_t count;
};
enum mw_code mw_manifest_begin(struct mw_manifest_out *o, int spool_dir, struct mw_err *err) MW_MUST;
enum mw_code mw_manifest_add(struct mw_manifest_out *o, const struct mw_row *row, struct mw_err *err) MW_MUST;
enum mw_code mw_manifest_put(struct mw_manifest_out *o, struct mw_app *app, struct mw_ctx *ctx,
    struct mw_store *store, const char *user, const struct mw_manifest *old) MW_MUST;

/* One line without its newline, cut up in place; false: it is no entry. */
bool mw_manifest_parse(char *line, struct mw_row *row) MW_MUST;

/* The line of an entry, with its newline; as snprintf. */
int mw_manifest_line(const struct mw_row *row, char *out, size_t size);

#endif
