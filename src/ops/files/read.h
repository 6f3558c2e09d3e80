/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading one file: R2 first, then the sandbox; an outage is never "not found". */
#ifndef MW_OPS_FILES_READ_H
#define MW_OPS_FILES_READ_H

#include "app/app.h"
#include "base/range.h"

enum mw_source { MW_SRC_AUTO, MW_SRC_R2, MW_SRC_CONTAINER };

/* "auto", "r2", "container": for mw_req_query_choice and the configuration. */
extern const char *const mw_source_words[];

enum mw_tried { MW_TRIED_R2 = 1, MW_TRIED_CONTAINER = 2 };

struct mw_read {
	const char *user, *path;
	enum mw_source source;
	int64_t max_wake;		/* ms, 0 = do not wake */
	bool meta_only;			/* begin, but no data */
	bool ranged;			/* from/to as struct mw_range */
	int64_t from, to;
	const char *if_range;		/* entity tag: another one = the whole file */
	const char *if_none_match;	/* header value, or NULL */
	struct mw_sink sink;		/* begin once, with the object of whichever source has it */
	/* Forget what the sink was given, a new begin comes; NULL: what it was given
	 * is gone for good, and a transfer that was cut can only be resumed. */
	void (*restart)(void *arg);

	/* results */
	const char *from_source;	/* "r2" or "container", set before begin */
	bool pending;			/* served from the outbox, set before begin */
	bool not_modified;		/* if_none_match matched: no begin, obj is set */
	struct mw_object obj;		/* of the answer */
	unsigned tried;			/* enum mw_tried */
};

/*
 * MW_FILE_NOT_FOUND only when every source that was asked proved it.  A transfer
 * that was cut is resumed (Range and If-Match), or begun anew if the sink can
 * restart, while attempts and deadline allow; a failure after begin means that
 * the bytes so far are not the whole.
 */
enum mw_code mw_read_file(struct mw_app *app, struct mw_ctx *ctx, struct mw_read *r) MW_MUST;

/* What R2 would say of a sandbox's file: a weak ETag of mtime and size. */
enum mw_code mw_object_of_stat(struct mw_ctx *ctx, const char *path,
    const struct mw_stat *st, struct mw_object *obj) MW_MUST;

#endif
