/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing and deleting one file, in the sandbox and in R2.  Acknowledged means:
 * in the sandbox (unless the target is R2 alone) and in R2 or durably in the
 * outbox.  Writes of one path are ordered by its lock, across processes.
 */
#ifndef MW_OPS_FILES_WRITE_H
#define MW_OPS_FILES_WRITE_H

#include "app/app.h"

enum mw_target { MW_TARGET_BOTH, MW_TARGET_CONTAINER, MW_TARGET_R2 };
extern const char *const mw_target_words[];	/* "both", "container", "r2" */

struct mw_write {
	const char *user, *path;
	enum mw_target target;
	int64_t max_wake;		/* ms */
	const char *if_match;		/* header values against R2's ETag, or NULL */
	const char *if_none_match;
	bool locked;			/* the caller holds the path's lock */

	/* results */
	bool existed;			/* delete: one of the places had it */
	unsigned tried;			/* enum mw_tried of ops/files/read.h */
	bool r2_synced;			/* R2 has it */
	bool r2_queued;			/* the outbox has it */
	const char *r2_error;		/* why R2 does not have it, or NULL */
	const char *etag;		/* of the written file */
};

/* Write the spooled body.  The outbox may keep the spool; drop it afterwards in any case. */
enum mw_code mw_write_file(struct mw_app *app, struct mw_ctx *ctx, struct mw_write *w,
    struct mw_spool *body) MW_MUST;

/* Remove it; MW_FILE_NOT_FOUND if no place that was asked had it. */
enum mw_code mw_delete_file(struct mw_app *app, struct mw_ctx *ctx, struct mw_write *w) MW_MUST;

#endif
