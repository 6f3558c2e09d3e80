/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backups of a user's configuration document: objects below .moltworker/config/
 * in R2, named by when they were made and what they were: TIME-RANDOM/PATH.  Version 1
 * is the newest, of whichever path.
 */
#ifndef MW_OPS_CONFIG_HISTORY_H
#define MW_OPS_CONFIG_HISTORY_H

#include "app/app.h"

#define MW_HISTORY_MAX 10

struct mw_version {
	const char *key;		/* of the object */
	int64_t saved;			/* wall ms */
	int64_t size;
	const char *etag;
	const char *path;		/* of the document it was */
};

/* At most MW_HISTORY_MAX of them, newest first, in the arena. */
enum mw_code mw_history_list(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    struct mw_version *version, size_t *n) MW_MUST;

/*
 * Save a document as version 1, unless the newest of its path has the same content
 * already, and remove what is past MW_HISTORY_MAX.  The caller holds the document's lock.
 */
enum mw_code mw_history_save(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    const char *path, const char *text, size_t len) MW_MUST;

/* A version and its content, in the arena.  MW_FILE_NOT_FOUND: there are not so many. */
enum mw_code mw_history_get(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    int64_t version, struct mw_version *v, char **text, size_t *len) MW_MUST;

#endif
