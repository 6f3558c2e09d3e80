/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A user's configuration document: a file of gateway.config_path, read and changed
 * as JSON5.  R2 is first: a change goes to R2 or the outbox, and to the sandbox at
 * once if its files are at hand, else at its next wake.
 */
#ifndef MW_OPS_CONFIG_DOCUMENT_H
#define MW_OPS_CONFIG_DOCUMENT_H

#include "app/app.h"
#include "base/json5.h"
#include "ops/files/write.h"

#define MW_DOCUMENT_MAX (1024 * 1024)	/* bytes of a document, and of a patch */

struct mw_document {
	const char *user;
	int64_t max_wake;		/* ms; for a patch of a document that R2 does not have */
	const char *if_match;		/* header values, or NULL */
	const char *if_none_match;
	bool force;			/* over a newer copy of the sandbox's, and over what is no JSON5 */
	bool raw;			/* get: whatever it is */

	/* results, in the arena */
	const char *path;		/* canonical */
	const char *text;		/* the document as it is now; len bytes */
	size_t len;
	const struct mw_json5_doc *doc;	/* what it says; NULL: no parser reads it */
	const char *etag;
	const char *from;		/* "r2" or "container" */
	int64_t modified;		/* wall ms */
	unsigned tried;			/* enum mw_tried: with MW_FILE_NOT_FOUND */
	struct mw_write written;	/* of a change */
	bool saved;			/* of a change: what it replaced is in the history */
	bool applied;			/* of a change, or reload: the sandbox has it, too */
};

/* The path of a new one. */
const char *mw_document_first(const struct mw_conf *conf);

/*
 * All of these: MW_FILE_NOT_FOUND when there is no document; MW_CONFLICT when it is
 * not a JSON5 object (one without a name twice in one object, at most 32 deep).
 */

/* Never wakes: the sandbox is asked if R2 has none or is down. */
enum mw_code mw_document_get(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d) MW_MUST;

/*
 * A change.  Holds the locks of all paths from before it reads to after it has written, so
 * that of several none is lost.  What is replaced is saved in the history first,
 * unless R2 is down.  MW_CONFLICT, and nothing changed: the document in R2 is not a
 * JSON5 object; or the sandbox has a newer one of its own.  MW_INVALID_JSON and
 * MW_INVALID_ARGUMENT: `text` is not a JSON5 object.
 */
enum mw_code mw_document_put(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d,
    const char *text, size_t len) MW_MUST;

/* By a JSON Merge Patch (RFC 7396), as an edit of the text: what it does not touch stays
 * byte for byte.  Needs R2: it must not be made of an old copy. */
enum mw_code mw_document_patch(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d,
    const char *patch, size_t len) MW_MUST;

/* Back to a version of the history, 1 = the newest, whatever that holds. */
enum mw_code mw_document_rollback(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d,
    int64_t version) MW_MUST;

/* Write R2's document into the sandbox, whatever that has, so that the gateway sees a
 * new file; now, or at its next wake. */
enum mw_code mw_document_reload(struct mw_app *app, struct mw_ctx *ctx, struct mw_document *d) MW_MUST;

#endif
