/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the S3 driver: R2, AWS and what else speaks S3. */
#ifndef MW_STORE_S3_H
#define MW_STORE_S3_H

#include "net/net.h"
#include "net/sigv4.h"
#include "store/key.h"
#include "store/s3_xml.h"
#include "store/store.h"

#define MW_S3_EXTRA 8			/* headers of a request besides the usual ones */

struct mw_s3 {
	struct mw_store store;
	struct mw_net *net;
	struct mw_secret_watch *secret;
	struct mw_sigv4 sign;
	struct mw_arena *scratch;	/* of one call; reset by mw_s3_begin */
	char *origin;			/* "https://host:port" that requests go to */
	char *host;			/* the Host header */
	char *root;			/* encoded path of the bucket: "/bucket", or "" */
	char *bucket, *region, *access_key_id, *ca_file;
	int64_t timeout;		/* ms, conf store.timeout */
	bool no_conditions;		/* it answered 501 to a conditional write once */
};

/* One request.  Zero it, fill in the first part; fd is looked at only if size > 0. */
struct mw_s3_req {
	const char *method;
	const char *key;		/* NULL = the bucket itself */
	const char *query;		/* encoded and sorted, NULL = none */
	struct mw_net_header extra[MW_S3_EXTRA];	/* signed too */
	size_t nextra;
	const void *body;
	int fd;
	int64_t offset, size;
	const char *sha256;		/* hex, of the body; NULL = no body */
	bool stream;			/* only a stall ends it, not store.timeout */
	bool once;			/* must not be sent twice: see struct mw_net_req, fresh */
	/* Given a successful answer's head and bytes; without them it is parsed as XML. */
	bool (*on_head)(void *arg, int status);
	bool (*on_data)(void *arg, const void *p, size_t n);
	void *arg;
	/* filled in by the call */
	int status;			/* HTTP, 0 = no answer */
	bool stopped;			/* a callback returned false: it knows why */
	struct mw_s3_doc doc;
	struct mw_err err;		/* what mw_s3_call returned */
};

/* Before the first request of an operation: scratch memory is fresh. */
void mw_s3_begin(struct mw_s3 *s);

/*
 * Sign and send.  MW_OK for any 2xx, and for 304; else the class of the failure,
 * which is recorded in r->err, not in ctx.
 */
enum mw_code mw_s3_call(struct mw_s3 *s, struct mw_ctx *ctx, struct mw_s3_req *r) MW_MUST;

/* Pass r->err on to the caller of the driver. */
enum mw_code mw_s3_done(struct mw_ctx *ctx, const struct mw_s3_req *r);

/* Add a header; false when there are too many or value is NULL (no memory). */
bool mw_s3_header(struct mw_s3_req *r, const char *name, const char *value);

/* s, with quotes around it if it has none; NULL if it is no entity tag. */
const char *mw_s3_etag(struct mw_arena *a, const char *s);

/* ---- s3_classify.c ---- */

struct mw_s3_class {
	const char *word;		/* <Code> of the answer, or NULL */
	int low, high;			/* or its status */
	enum mw_code code;
	const char *hint;		/* what to do about it, or NULL */
};
/*
 * The row of an answer that is no success: by its <Code>, else by its status.
 * foreign: it had a body which S3 did not write.  Never NULL.
 */
const struct mw_s3_class *mw_s3_classify(int status, const char *word, bool foreign);

/* Reading an object: what it is if that refuses this object alone; NULL: it does not. */
const char *mw_s3_object_hint(const struct mw_s3_class *c, int status);

/* And of a call that had no answer. */
enum mw_code mw_s3_of_end(enum mw_net_end end);

/* ---- s3_get.c, s3_put.c, s3_multipart.c, s3_list.c ---- */

enum mw_code mw_s3_get(struct mw_store *st, struct mw_ctx *ctx, const char *key,
    const struct mw_get *opt, const struct mw_sink *sink, bool *not_modified);
/* Like head of the table, with the failure in err and scratch memory kept. */
enum mw_code mw_s3_head(struct mw_s3 *s, struct mw_ctx *ctx, const char *key,
    struct mw_object *obj, struct mw_err *err) MW_MUST;
enum mw_code mw_s3_put(struct mw_store *st, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, const char **etag);

#define MW_S3_ONE_MAX (INT64_C(64) << 20)	/* bytes put in one request */

/* What is sent to be stored with the object: type, mode, mtime. */
bool mw_s3_put_meta(struct mw_s3 *s, struct mw_s3_req *r, const struct mw_put *put);

/* Content-MD5 and the payload's hash. */
bool mw_s3_put_hashes(struct mw_s3 *s, struct mw_s3_req *r,
    const unsigned char sha256[32], const unsigned char md5[16]);

/* Is the ETag of the last answer the content's MD5?  Not of a multipart object,
 * and not where the server encrypts with a key of its own or of the client's. */
bool mw_s3_etag_is_md5(struct mw_s3 *s, const char *etag);

/* The answer's ETag, quoted, in the arena; where it is an MD5, it must be ours. */
enum mw_code mw_s3_put_etag(struct mw_s3 *s, struct mw_arena *a, const char *key,
    const unsigned char md5[16], const char **etag, struct mw_err *err) MW_MUST;

/* radosgw compares If-Match with its ETags without their quotes. */
enum mw_s3_how { MW_S3_PLAIN, MW_S3_QUOTED, MW_S3_BARE };
bool mw_s3_put_conditions(struct mw_s3 *s, struct mw_s3_req *r,
    const struct mw_put *put, enum mw_s3_how how);

/* Compare what is stored now with the conditions: MW_PRECONDITION_FAILED, or not. */
enum mw_code mw_s3_put_decide(struct mw_s3 *s, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, struct mw_err *err) MW_MUST;

/* Call `send`, with the conditions in the way this server understands them, or
 * without them after a HEAD where it knows none. */
typedef enum mw_code (*mw_s3_send)(void *arg, enum mw_s3_how how, struct mw_err *err);
enum mw_code mw_s3_put_guarded(struct mw_s3 *s, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, mw_s3_send send, void *arg, struct mw_err *err) MW_MUST;

enum mw_code mw_s3_multipart(struct mw_s3 *s, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, const char **etag, struct mw_err *err) MW_MUST;
/* Bytes of every part but the last: R2 wants them equal, at most 10,000 of them. */
int64_t mw_s3_part_size(int64_t size);

enum mw_code mw_s3_list(struct mw_store *st, struct mw_ctx *ctx,
    const struct mw_list_req *req, mw_list_fn fn, void *arg, bool *more);

#endif
