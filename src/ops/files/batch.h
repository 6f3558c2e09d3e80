/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A batch: up to batch.max_operations reads, writes, deletes and existence
 * checks of one user's files in one request.  The request is checked whole
 * before the first operation runs; no operation's failure changes another's
 * result.
 */
#ifndef MW_OPS_FILES_BATCH_H
#define MW_OPS_FILES_BATCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/json.h"
#include "app/app.h"
#include "app/fields.h"
#include "app/workers.h"
#include "ops/files/read.h"
#include "ops/files/write.h"

enum mw_batch_kind { MW_BATCH_READ, MW_BATCH_WRITE, MW_BATCH_DELETE, MW_BATCH_EXISTS };
extern const char *const mw_batch_words[];	/* "read", "write", "delete", "exists" */

#define MW_BATCH_SENT_MAX 4096	/* bytes of a path as it is sent */

struct mw_batch_op {
	enum mw_batch_kind kind;
	const char *sent;		/* the path as it was sent */
	size_t sent_len;
	const char *path;		/* canonical */
	enum mw_source source;		/* read, exists */
	int64_t at, len;		/* write: its content in the pile, as it was sent */
	unsigned base64;		/* 1 = that is base64, 0 = plain */

	/* results */
	bool ran;			/* false: stopped or out of time before it */
	bool skipped;			/* false: by stopOnError */
	enum mw_code code;
	const char *error;		/* with a code */
	const char *from;		/* "r2" or "container": who had it */
	bool exists;
	int64_t size;			/* read, exists: of the file; write: bytes written */
	bool too_large;			/* read: over read.max_json, no content */
	char *content;			/* read: size bytes */
	bool mapped;			/* content is a mapping, not from malloc */
	size_t mapped_len;
	bool binary;			/* content is not valid UTF-8 */
	struct mw_write written;	/* write, delete */
};

struct mw_batch {
	struct mw_batch_op *op;		/* n of them, in the order of the request; arena */
	size_t n, cap;
	bool parallel, stop_on_error;
	int pile;			/* contents of writes, one after the other; -1 = none */
	int64_t pile_len;

	const char *user;
	int64_t max_wake;		/* ms */

	/* results */
	size_t stopped_by;		/* with skipped operations: the one that failed */
	size_t threads;			/* at work */
};

void mw_batch_init(struct mw_batch *b);

/* Close and free what it holds; the results are gone. */
void mw_batch_free(struct mw_batch *b);

/* ---- the request ---- */

/*
 * Reads a batch from its JSON, piece by piece.  Contents go to the pile, a file
 * without a name in spool_dir.  A bad row fails with MW_INVALID_PATH or
 * MW_INVALID_ARGUMENT, and the text says "operations[INDEX].FIELD: ..."; more
 * than `max` rows with MW_TOO_MANY_OPERATIONS.
 */
struct mw_batch_in {
	struct mw_json json;
	struct mw_batch *b;
	struct mw_arena *arena;
	struct mw_err *err;
	int spool_dir;
	int64_t max;
	enum mw_source source;		/* of operations that name none */

	/* of a failure: the row, -1 = none, and its member, NULL = the row itself */
	int64_t row;
	const char *field;

	/* private */
	struct mw_fields top, fields;	/* of the body; of the row in hand */
	struct mw_base64 b64;
	bool not_base64;
};

void mw_batch_in_init(struct mw_batch_in *in, struct mw_batch *b, struct mw_arena *arena,
    struct mw_err *err, int spool_dir, int64_t max, enum mw_source source);
enum mw_code mw_batch_in_feed(struct mw_batch_in *in, const char *p, size_t n) MW_MUST;
enum mw_code mw_batch_in_finish(struct mw_batch_in *in) MW_MUST;

/* ---- running it ---- */

/*
 * Run every operation, in order, or with `parallel` batch.parallel at once,
 * those of one path in order still.  The sandbox is woken once, and only for an
 * operation that R2 did not answer.  Operations that ctx->deadline leaves no time
 * for are MW_DEADLINE_EXCEEDED, not run.  Fails only for what concerns the whole.
 */
enum mw_code mw_batch_run(struct mw_app *app, struct mw_ctx *ctx, struct mw_batch *b) MW_MUST;

/* ---- for batch.c and batch_op.c ---- */

struct mw_batch_gate;

/* Run one operation in a worker, until `deadline`. */
void mw_batch_one(struct mw_worker *w, struct mw_batch *b, struct mw_batch_op *op,
    struct mw_batch_gate *gate, int64_t deadline);

/* What all workers share: the one wake, and the memory of contents. */
struct mw_batch_gate {
	pthread_mutex_t mutex;
	bool asked;			/* a wake was tried */
	struct mw_err err;		/* why it failed; code MW_OK = it did not */
	_Atomic int64_t held;		/* bytes of contents in memory */
};

#endif
