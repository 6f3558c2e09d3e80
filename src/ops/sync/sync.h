/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bringing a user's sandbox and R2 to the same content, by difference: a backup
 * changes R2, a restore the sandbox.  The newer side is never overwritten.  It can
 * be interrupted at any point, and run again.
 */
#ifndef MW_OPS_SYNC_SYNC_H
#define MW_OPS_SYNC_SYNC_H

#include "app/app.h"

enum mw_direction { MW_BACKUP, MW_RESTORE };
extern const char *const mw_direction_words[];	/* "backup", "restore" */

/* Paths that a person has to be told of: the first of them, and how many. */
#define MW_SYNC_SHOWN 100
struct mw_sync_note {
	struct mw_sync_note *next;
	const char *path;		/* as it is, or cleaned of what is no text */
	enum mw_code code;		/* failed: why */
	const char *error;		/* failed: the same for a person */
};
struct mw_sync_notes { struct mw_sync_note *first, *last; int64_t count; };

struct mw_sync {
	const char *user;
	enum mw_direction direction;
	bool remove;			/* also what the side that counts has not */
	bool verify;			/* believe no mtime: compare contents */
	bool dry_run;			/* say what would be done */
	bool force;			/* restore: over newer files; remove: more than half */
	int64_t max_wake;		/* ms */

	/* results; memory is the arena's */
	int64_t uploaded, downloaded, deleted, skipped;	/* files */
	int64_t bytes;			/* transferred */
	int64_t waiting;		/* paths left to the outbox; among skipped */
	int64_t files, total;		/* backup: the files in both places now, and their bytes */
	struct mw_sync_notes failed, newer, bad_names;
	bool verified;			/* all that was transferred was seen in its place */
	char id[17];			/* of this run */
};

/*
 * Within ctx->deadline and sync.timeout; one at a time for a user on a host.  The
 * sandbox is woken if it must be, and its marker checked before and after its
 * listing.  A path that fails alone is in `failed`; MW_OK then, too, but no
 * .last-sync is written.  MW_CONFLICT: delete=true would remove more than half.
 */
enum mw_code mw_sync(struct mw_app *app, struct mw_ctx *ctx, struct mw_sync *s) MW_MUST;

struct mw_sync_status {
	int64_t objects, bytes;		/* of the user in R2, without the gateway's own */
	const char *last_sync;		/* text of .last-sync, or NULL */
	bool compared;			/* the sandbox is awake and was compared: */
	int64_t changed;		/* files that are new or others than R2's */
	int64_t unknown;		/* as large as R2's, and only their contents would tell */
	int64_t only_in_r2, newer_in_r2, waiting;
	const char *not_compared;	/* why not, or NULL: it is not awake */
};

/* How the two stand, without waking or changing anything. */
enum mw_code mw_sync_status(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    struct mw_sync_status *st) MW_MUST;

#endif
