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
};

struct mw_document_copy {
	struct mw_document_job *j;
	char *text;			/* NULL: there is none */
	size_t len, size;
	const char *etag, *from;
	int64_t modified;		/* wall ms */
};

/* d->path from the configuration. */
enum mw_code mw_document_path(struct mw_document_job *j) MW_MUST;

/* The document as `source` has it.  c->text stays NULL on any failure. */
enum mw_code mw_document_read(struct mw_document_job *j, enum mw_source source,
    int64_t max_wake, struct mw_document_copy *c) MW_MUST;

/* Is this what a document must be?  Why not is left in *why. */
bool mw_document_is(struct mw_document_job *j, const char *text, size_t len, struct mw_err *why);

/* MW_CONFLICT if the copy is no document. */
enum mw_code mw_document_check(struct mw_document_job *j, const struct mw_document_copy *c) MW_MUST;

/* The copy is the result. */
void mw_document_show(struct mw_document *d, const struct mw_document_copy *c);

/* MW_FILE_NOT_FOUND, whatever failed before. */
enum mw_code mw_document_absent(struct mw_document_job *j);

#endif
