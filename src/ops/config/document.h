/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A user's configuration document: the file gateway.config_path, read and changed
 * as JSON.  R2 is first: a change goes to R2 or the outbox, and to the sandbox at
 * once if its files are at hand, else at its next wake.
 */
#ifndef MW_OPS_CONFIG_DOCUMENT_H
#define MW_OPS_CONFIG_DOCUMENT_H

#include "app/app.h"
#include "ops/files/write.h"

#define MW_DOCUMENT_MAX (1024 * 1024)	/* bytes of a document, and of a patch */

struct mw_document {
	const char *user;
	int64_t max_wake;		/* ms; for a patch of a document that R2 does not have */
	const char *if_match;		/* header values, or NULL */
	const char *if_none_match;
	bool force;			/* over a newer copy of the sandbox's, and over what is no JSON */

	/* results, in the arena */
	const char *path;		/* canonical */
	const char *text;		/* the document as it is now; len bytes */
	size_t len;
	const char *etag;
	const char *from;		/* "r2" or "container" */
	int64_t modified;		/* wall ms */
	unsigned tried;			/* enum mw_tried: with MW_FILE_NOT_FOUND */
	struct mw_write written;	/* of a change */
	bool saved;			/* of a change: what it replaced is in the history */
	bool applied;			/* of a change, or reload: the sandbox has it, too */
};

/*
 * All of these: MW_FILE_NOT_FOUND when there is no document; MW_CONFLICT when it is
 * not a JSON object.
 */

/* Never wakes: the sandbox is asked if R2 has none or is down. */
enum mw_code mw_document_get(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d) MW_MUST;

/*
 * A change.  Holds the path's lock from before it reads to after it has written, so
 * that of several none is lost.  What is replaced is saved in the history first,
 * unless R2 is down.  MW_CONFLICT, and nothing changed: the document in R2 is not a
 * JSON object; or the sandbox has a newer one of its own.  MW_INVALID_JSON and
 * MW_INVALID_ARGUMENT: `text` is not a JSON object.
 */
enum mw_code mw_document_put(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d,
    const char *text, size_t len) MW_MUST;

/* By a JSON Merge Patch (RFC 7396).  Needs R2: it must not be made of an old copy. */
enum mw_code mw_document_patch(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d,
    const char *patch, size_t len) MW_MUST;

/* Back to a version of the history, 1 = the newest. */
enum mw_code mw_document_rollback(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d,
    int64_t version) MW_MUST;

/* Write R2's document into the sandbox, whatever that has, so that the gateway sees a
 * new file; now, or at its next wake. */
enum mw_code mw_document_reload(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d) MW_MUST;

#endif
