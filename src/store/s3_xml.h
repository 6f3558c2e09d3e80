/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XML that S3 answers with: listings, errors, multipart results.  A push
 * parser over expat: a DOCTYPE (and with it every entity) is refused, texts, depth
 * and rows are bounded, unknown elements are passed over.
 */
#ifndef MW_STORE_S3_XML_H
#define MW_STORE_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

#define MW_S3_ROWS_MAX 2000	/* of one page; we ask for 1000 at most */

enum mw_s3_root {
	MW_S3_NOTHING,		/* no document, or not one of S3's */
	MW_S3_ERROR,		/* <Error> */
	MW_S3_LIST,		/* <ListBucketResult> */
	MW_S3_INITIATE,		/* <InitiateMultipartUploadResult> */
	MW_S3_COMPLETE		/* <CompleteMultipartUploadResult> */
};

struct mw_s3_row {
	struct mw_s3_row *next;
	const char *key;	/* NULL: its name could not be decoded */
	bool group;
	int64_t size, modified;
	const char *etag;	/* as the server writes it, or NULL */
};

/* All strings lie in the arena. */
struct mw_s3_doc {
	enum mw_s3_root root;
	char code[64], message[160];	/* of an error */
	const char *upload_id, *etag;	/* multipart */
	struct mw_s3_row *rows;		/* in the order of the document */
	size_t nrows;
	bool truncated, url_encoded;
	const char *token;		/* NextContinuationToken */
};

struct mw_s3_xml;

/* NULL when memory is out.  *doc is zeroed. */
struct mw_s3_xml *mw_s3_xml_open(struct mw_arena *a, struct mw_s3_doc *doc);

/* The next bytes; false: refused, and so is everything after. */
bool mw_s3_xml_feed(struct mw_s3_xml *x, const char *p, size_t n);

/* After the last byte.  False unless one whole document of S3's was read; then
 * doc->root is MW_S3_NOTHING.  Frees x, accepts NULL. */
bool mw_s3_xml_close(struct mw_s3_xml *x);

#endif
