/* SPDX-License-Identifier: BSD-2-Clause */
/* One operation of a batch. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/tmpfile.h"
#include "base/utf8.h"
#include "ops/files/batch.h"
#include "app/request_metrics.h"
#include "app/classify.h"
#include "ops/ready/ready.h"

#define IN_MEMORY (8 * 1024 * 1024)	/* bytes of contents of one batch; the rest is mapped */
#define SLACK 10000			/* ms; as every request has it */
#define PIECE (16 * 1024)

struct one {
	struct mw_worker *w;
	struct mw_batch *b;
	struct mw_batch_op *op;
	struct mw_batch_gate *gate;
	int64_t max_wake;
	size_t got;			/* bytes of content so far */
};

/* ---- contents on their way to the answer ---- */

static void
drop_content(void *arg)
{
	struct one *o = arg;
	struct mw_batch_op *op = o->op;

	if (op->content == NULL)
		return;
	if (op->mapped)
		(void)munmap(op->content, op->mapped_len);
	else
		free(op->content);
	op->content = NULL;
	op->mapped = false;
	o->got = 0;
}

/* Memory that the disk backs: many large files in one answer are not held in ours. */
static enum mw_code
map_content(struct one *o)
{
	struct mw_ctx *ctx = &o->w->ctx;
	char name[MW_TMPNAME_LEN];
	size_t size = (size_t)o->op->size;
	enum mw_code code;
	void *p = MAP_FAILED;
	int fd, rc;

	if ((code = mw_tmpfile(o->w->app->spool_dir, 0600, name, &fd, &ctx->err)) != MW_OK)
		return code;
	(void)unlinkat(o->w->app->spool_dir, name, 0);
	if ((rc = posix_fallocate(fd, 0, (off_t)size)) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED && rc == 0)
		rc = errno;
	(void)close(fd);
	if (p == MAP_FAILED)
		return mw_ctx_fail(ctx, rc == ENOSPC ? MW_STORAGE_FULL : MW_INTERNAL_ERROR,
		    "no room for the content of /%.150s: %s", o->op->path, strerror(rc));
	o->op->content = p;
	o->op->mapped = true;
	o->op->mapped_len = size;
	return MW_OK;
}

static enum mw_code
read_begin(void *arg, const struct mw_object *obj)
{
	struct one *o = arg;
	struct mw_batch_op *op = o->op;

	op->size = obj->size;
	op->too_large = obj->size > o->w->app->conf->read.max_json;
	if (op->too_large)
		return MW_FILE_TOO_LARGE;
	if (obj->size > PIECE &&
	    atomic_fetch_add(&o->gate->held, obj->size) + obj->size > IN_MEMORY)
		return map_content(o);
	op->content = malloc((size_t)obj->size + 1);
	return op->content != NULL ? MW_OK : mw_ctx_nomem(&o->w->ctx);
}

static enum mw_code
read_data(void *arg, const void *p, size_t n)
{
	struct one *o = arg;

	if (n > (size_t)o->op->size - o->got)
		return mw_ctx_fail(&o->w->ctx, MW_CONFLICT,
		    "/%.200s changed while it was being read", o->op->path);
	memcpy(o->op->content + o->got, p, n);
	o->got += n;
	return MW_OK;
}

static enum mw_code
run_read(struct one *o)
{
	struct mw_batch_op *op = o->op;
	struct mw_read r = { .user = o->b->user, .path = op->path, .source = op->source,
	    .max_wake = o->max_wake, .restart = drop_content };
	enum mw_code code;

	r.sink = (struct mw_sink){ .begin = read_begin, .data = read_data, .arg = o };
	code = mw_read_file(o->w->app, &o->w->ctx, &r);
	if (code == MW_FILE_TOO_LARGE && op->too_large) {
		mw_err_clear(&o->w->ctx.err);
		code = MW_OK;
	}
	if (code != MW_OK) {
		drop_content(o);
		return code;
	}
	op->from = r.from_source;
	if (!op->too_large) {
		op->size = (int64_t)o->got;
		op->binary = !mw_utf8_valid(op->content, o->got);
	}
	return MW_OK;
}

static enum mw_code
exists_begin(void *arg, const struct mw_object *obj)
{
	struct one *o = arg;

	o->op->size = obj->size;
	return MW_OK;
}

/* That it is not there is an answer; that nobody could say is a failure. */
static enum mw_code
run_exists(struct one *o)
{
	struct mw_batch_op *op = o->op;
	struct mw_read r = { .user = o->b->user, .path = op->path, .source = op->source,
	    .max_wake = o->max_wake, .meta_only = true };
	enum mw_code code;

	r.sink = (struct mw_sink){ .begin = exists_begin, .arg = o };
	code = mw_read_file(o->w->app, &o->w->ctx, &r);
	op->exists = code == MW_OK;
	op->from = r.from_source;
	if (code != MW_FILE_NOT_FOUND)
		return code;
	mw_err_clear(&o->w->ctx.err);
	return MW_OK;
}

/* ---- writes ---- */

/* The content from the pile into a spool file of its own, decoded. */
static enum mw_code
unpile(struct one *o, struct mw_spool *spool)
{
	const struct mw_batch_op *op = o->op;
	struct mw_err *err = &o->w->ctx.err;
	unsigned char out[3 * (PIECE / 4 + 2)];
	struct mw_base64 b64 = { .acc = 0 };
	char in[PIECE];
	int64_t at, end = op->at + op->len;
	enum mw_code code;
	ssize_t got;
	long n;

	code = mw_spool_begin(spool, o->w->app->spool_dir, err);
	for (at = op->at; at < end && code == MW_OK; at += got) {
		got = pread(o->b->pile, in, end - at < PIECE ? (size_t)(end - at) : PIECE, at);
		if (got <= 0)
			return mw_fail(err, MW_INTERNAL_ERROR, "the spooled body cannot be read");
		if (!op->base64)
			code = mw_spool_add(spool, in, (size_t)got, err);
		else if ((n = mw_base64_decode(&b64, in, (size_t)got, out)) >= 0)
			code = mw_spool_add(spool, out, (size_t)n, err);
		else
			code = mw_fail(err, MW_INTERNAL_ERROR, "the spooled body is not base64");
	}
	return code == MW_OK ? mw_spool_finish(spool, err) : code;
}

static enum mw_code
run_write(struct one *o)
{
	struct mw_batch_op *op = o->op;
	struct mw_spool spool = { .fd = -1 };
	enum mw_code code;

	op->written = (struct mw_write){ .user = o->b->user, .path = op->path,
	    .max_wake = o->max_wake };
	if ((code = unpile(o, &spool)) == MW_OK)
		code = mw_write_file(o->w->app, &o->w->ctx, &op->written, &spool);
	op->size = spool.size;
	mw_spool_drop(&spool);
	return code;
}

static enum mw_code
run_delete(struct one *o)
{
	o->op->written = (struct mw_write){ .user = o->b->user, .path = o->op->path,
	    .max_wake = o->max_wake };
	return mw_delete_file(o->w->app, &o->w->ctx, &o->op->written);
}

/* ---- any of them ---- */

static enum mw_code
run(struct one *o)
{
	switch (o->op->kind) {
	case MW_BATCH_READ:
		return run_read(o);
	case MW_BATCH_WRITE:
		return run_write(o);
	case MW_BATCH_DELETE:
		return run_delete(o);
	default:
		return run_exists(o);
	}
}

/* Whoever needs the sandbox first wakes it; all others take what came of that. */
static enum mw_code
wake_once(struct one *o)
{
	struct mw_batch_gate *g = o->gate;
	struct mw_ctx *ctx = &o->w->ctx;
	uint64_t marker;

	(void)pthread_mutex_lock(&g->mutex);
	mw_err_clear(&ctx->err);
	if (!g->asked) {
		if (mw_ready(o->w->app, ctx, o->b->user, MW_LEVEL_SANDBOX, o->b->max_wake,
		    &marker) != MW_OK)
			g->err = ctx->err;
		g->asked = true;
	}
	ctx->err = g->err;
	(void)pthread_mutex_unlock(&g->mutex);
	return ctx->err.code;
}

static bool
woken(struct mw_batch_gate *g)
{
	bool yes;

	(void)pthread_mutex_lock(&g->mutex);
	yes = g->asked && g->err.code == MW_OK;
	(void)pthread_mutex_unlock(&g->mutex);
	return yes;
}

/* A transfer has the batch's whole time, anything else what it has as a request. */
static void
set_deadline(struct one *o, int64_t deadline)
{
	struct mw_ctx *ctx = &o->w->ctx;

	ctx->deadline = mw_now() + o->b->max_wake + o->w->app->conf->sandbox.timeout + SLACK;
	if (o->op->kind == MW_BATCH_WRITE || ctx->deadline > deadline)
		ctx->deadline = deadline;
}

static void
count(const struct mw_batch_op *op)
{
	static const enum mw_file_op ops[] = { [MW_BATCH_READ] = MW_FILE_READ,
	    [MW_BATCH_WRITE] = MW_FILE_WRITE, [MW_BATCH_DELETE] = MW_FILE_DELETE,
	    [MW_BATCH_EXISTS] = MW_FILE_EXISTS };

	mw_file_count(MW_VIA_BATCH, ops[op->kind], mw_file_end_of(op->code, false));
}

/*
 * Without a wake first: R2 may answer, or the sandbox be there.  An operation
 * that was refused for want of it has changed nothing, so it can be run again.
 */
void
mw_batch_one(struct mw_worker *w, struct mw_batch *b, struct mw_batch_op *op,
    struct mw_batch_gate *gate, int64_t deadline)
{
	struct one o = { .w = w, .b = b, .op = op, .gate = gate };
	struct mw_ctx *ctx = &w->ctx;

	mw_err_clear(&ctx->err);
	set_deadline(&o, deadline);
	o.max_wake = woken(gate) ? b->max_wake : 0;
	op->code = run(&o);
	if (mw_classify(op->code) == MW_NEXT_WAKE && o.max_wake < b->max_wake &&
	    (op->code = wake_once(&o)) == MW_OK) {
		set_deadline(&o, deadline);
		o.max_wake = b->max_wake;
		op->code = run(&o);
	}
	op->ran = true;
	count(op);
	if (op->code == MW_OK)
		return;
	op->code = ctx->err.code != MW_OK ? ctx->err.code : op->code;
	op->error = mw_arena_strdup(ctx->arena, ctx->err.msg);
}
