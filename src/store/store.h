/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The object store: R2, any S3, or a directory.  One table of operations; a
 * driver maps its upstream's failures to codes, and knows nothing of retries.
 * A handle is used by one thread at a time; several may be open.
 *
 * Codes: a missing object is MW_FILE_NOT_FOUND; down, slow, overloaded, cut or
 * throttled is MW_STORE_UNAVAILABLE (never a 404); refused for good (credentials,
 * no bucket) is MW_STORE_ERROR; a full disk MW_STORAGE_FULL.
 */
#ifndef MW_STORE_STORE_H
#define MW_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "conf/conf.h"

struct mw_object {
	int64_t size;			/* of the whole object */
	int64_t modified;		/* Last-Modified, wall ms */
	const char *etag;		/* with its quotes, as HTTP has it; arena */
	bool etag_is_md5;		/* of the content */
	const char *content_type;	/* or NULL */
	int64_t mode;			/* x-amz-meta-mode: permission bits, -1 = unknown */
	int64_t mtime;			/* x-amz-meta-mtime: the file's own, wall ms, -1 = unknown */
	/* of this answer, when a range was asked for and served */
	bool partial;
	int64_t from, to;		/* inclusive */
};

/* Takes the bytes.  begin comes once, before any data, and not at all on failure.
 * Anything but MW_OK ends the transfer, and get returns it. */
struct mw_sink {
	enum mw_code (*begin)(void *arg, const struct mw_object *obj);
	enum mw_code (*data)(void *arg, const void *p, size_t n);
	void *arg;
};

struct mw_get {
	bool ranged;
	int64_t from, to;		/* as struct mw_range: from -1 = suffix, to -1 = open */
	const char *if_match;		/* one quoted ETag or NULL: other = MW_PRECONDITION_FAILED */
	const char *if_none_match;	/* header value or NULL */
	struct mw_object *unmodified;	/* if not NULL: what matched if_none_match; size may be 0 */
};

struct mw_put {
	int fd;				/* content, read with pread from 0 */
	int64_t size;
	const unsigned char *sha256;	/* 32 bytes, of the content */
	const unsigned char *md5;	/* 16 bytes */
	const char *content_type;
	int64_t mode, mtime;		/* -1 = do not record */
	const char *if_match;		/* one quoted ETag or NULL */
	bool if_none_match;		/* If-None-Match: * */
};

struct mw_store;

/* Where a listing stands.  Rows come in byte order of the key. */
struct mw_list_req {
	const char *prefix;		/* keys that begin with this */
	bool recursive;			/* false: keys are grouped at the next '/' */
	const char *after;		/* first row is after this key (or group), or NULL */
	int64_t max;			/* rows, 1..1000 */
};
struct mw_list_row {
	const char *key;		/* whole key; a group ends with '/' */
	bool group;
	int64_t size, modified;
	const char *etag;		/* quoted */
};
/* Return anything but MW_OK to stop. row is only valid during the call. */
typedef enum mw_code (*mw_list_fn)(void *arg, const struct mw_list_row *row);

struct mw_store_ops {
	const char *name;
	size_t key_max;		/* bytes of the longest key it holds */
	enum mw_code (*open)(const struct mw_conf *conf, struct mw_store **sp, struct mw_err *err);
	void (*close)(struct mw_store *s);
	/* MW_OK with *not_modified = true and no begin: if_none_match matched. */
	enum mw_code (*get)(struct mw_store *s, struct mw_ctx *ctx, const char *key,
	    const struct mw_get *opt, const struct mw_sink *sink, bool *not_modified);
	enum mw_code (*head)(struct mw_store *s, struct mw_ctx *ctx, const char *key,
	    struct mw_object *obj);
	/* Whole or not at all; *etag (arena, quoted) is the stored object's. */
	enum mw_code (*put)(struct mw_store *s, struct mw_ctx *ctx, const char *key,
	    const struct mw_put *put, const char **etag);
	/* A missing key is MW_OK. */
	enum mw_code (*remove)(struct mw_store *s, struct mw_ctx *ctx, const char *key);
	/* *more: rows are left after the last one handed out. */
	enum mw_code (*list)(struct mw_store *s, struct mw_ctx *ctx,
	    const struct mw_list_req *req, mw_list_fn fn, void *arg, bool *more);
	/* Does the store answer at all?  One cheap call. */
	enum mw_code (*ping)(struct mw_store *s, struct mw_ctx *ctx);
};

/* Every driver's struct begins with this. */
struct mw_store {
	const struct mw_store_ops *ops;
	char identity[128];	/* which store this is (endpoint and bucket, or directory), for outbox rows */
	int64_t clock;		/* its clock less ours, ms, as its last answer had it; 0 = ours, or not known */
};

/* The driver that the configuration names; MW_INTERNAL_ERROR names what is missing. */
enum mw_code mw_store_open(const struct mw_conf *conf, struct mw_store **sp, struct mw_err *err) MW_MUST;
void mw_store_close(struct mw_store *s);	/* accepts NULL */

/* The key of a user's canonical path ("" = the prefix with its '/'); arena, NULL = no memory. */
char *mw_store_key(const struct mw_conf *conf, struct mw_arena *a, const char *user, const char *path);

extern const struct mw_store_ops mw_store_dir, mw_store_s3;

#endif
