/* SPDX-License-Identifier: BSD-2-Clause */
/* Listing a user's directory, from R2 or from the sandbox. */
#ifndef MW_OPS_FILES_LIST_H
#define MW_OPS_FILES_LIST_H

#include "app/app.h"
#include "ops/files/read.h"

#define MW_LIST_MAX 1000	/* entries of one answer */

struct mw_listed {
	const char *path;		/* relative to the listed directory */
	enum mw_file_type type;
	int64_t size, modified;		/* -1 = not known (R2's directories) */
	int mode;			/* -1 = not known */
	const char *etag;		/* or NULL */
};

struct mw_listing {
	const char *user, *path;	/* "" = root */
	bool recursive;
	enum mw_source source;
	int64_t limit;			/* 1..MW_LIST_MAX */
	const char *cursor;		/* opaque, from an earlier answer, or NULL */
	int64_t max_wake;

	/* results, in the request's arena */
	const struct mw_listed *entry;	/* byte order of path */
	size_t n;
	const char *next;		/* cursor of the next page, NULL = this is the last */
	const char *from_source;
	size_t skipped;			/* names from below that cannot be paths */
	unsigned tried;			/* enum mw_tried */
};

/* MW_FILE_NOT_FOUND when nothing is at the path; MW_INVALID_ARGUMENT for a bad cursor. */
enum mw_code mw_list_files(struct mw_app *app, struct mw_ctx *ctx, struct mw_listing *l) MW_MUST;

#endif
