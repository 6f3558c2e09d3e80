/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration document's copies, for ops/document*.c only. */
#ifndef MW_OPS_CONFIG_INTERNAL_H
#define MW_OPS_CONFIG_INTERNAL_H

#include "ops/config/document.h"
#include "ops/files/read.h"

struct mw_document_job {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_document *d;
	int gate, other, lock[MW_CONF_PATHS_MAX];	/* held ones, or -1 */
	size_t nlock;
};

struct mw_document_copy {
	struct mw_document_job *j;
	char *text;			/* NULL: there is none */
	size_t len, size;
	const char *etag, *from;
	int64_t modified;		/* wall ms */
	const struct mw_json5_doc *doc;	/* after mw_document_check */
};

/*
 * d->path: the first of gateway.config_path that is there, in R2 (the outbox included),
 * else in the sandbox, which is woken in max_wake ms; the first of all if none is.  If
 * R2 is down and the sandbox has none: R2's failure.
 */
enum mw_code mw_document_choose(struct mw_document_job *j, int64_t max_wake) MW_MUST;

/* The locks of all of them, and of one more path, which becomes d->path; given back
 * together, also after a failure. */
enum mw_code mw_document_lock(struct mw_document_job *j) MW_MUST;
enum mw_code mw_document_lock_other(struct mw_document_job *j, const char *path) MW_MUST;
void mw_document_unlock(struct mw_document_job *j);

/* The document as `source` has it.  c->text stays NULL on any failure. */
enum mw_code mw_document_read(struct mw_document_job *j, enum mw_source source,
    int64_t max_wake, struct mw_document_copy *c) MW_MUST;

/* Read what must be a document; NULL, and why not in *why. */
const struct mw_json5_doc *mw_document_parse(struct mw_document_job *j, const char *text,
    size_t len, struct mw_err *why);

/* The copy's c->doc; MW_CONFLICT if it is no document. */
enum mw_code mw_document_check(struct mw_document_job *j, struct mw_document_copy *c) MW_MUST;

/* The copy is the result. */
void mw_document_show(struct mw_document *d, const struct mw_document_copy *c);

/* MW_FILE_NOT_FOUND, whatever failed before. */
enum mw_code mw_document_absent(struct mw_document_job *j);

#endif
