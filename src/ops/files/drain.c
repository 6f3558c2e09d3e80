/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of the outbox, sent to the store. */
#include "ops/files/drain.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "state/metrics.h"
#include "app/app.h"
#include "app/classify.h"
#include "app/object.h"
#include "app/pathlock.h"
#include "app/retry.h"

#define ROW_MEMORY (1 << 20)
#define LOCK_WAIT 2000		/* ms for a path that a request is writing */
#define SLOWEST 100		/* bytes per ms that a put is given time for */
#define BACKOFF_FIRST 1000
#define BACKOFF_MAX 300000
#define FAILED_MAX 64		/* users that failed in one pass, then it ends */
#define DOWN_AFTER 3		/* failures in a row, then the store is down */

struct pass {
	struct mw_app *app;
	struct mw_ctx *ctx;		/* of the row in hand; its arena is the row's */
	unsigned flags;
	struct mw_drain_result *out;
	uint64_t failed[FAILED_MAX];	/* hashes of users that are not tried again */
	unsigned nfailed;
	unsigned in_a_row;		/* failures since the last success */
};

static bool
failed_before(const struct pass *p, const char *user)
{
	uint64_t h = mw_hash(user);
	unsigned i;

	for (i = 0; i < p->nfailed; i++) {
		if (p->failed[i] == h)
			return true;
	}
	return false;
}

static bool
must_wait(const struct pass *p, const char *user)
{
	if (failed_before(p, user))
		return true;
	return (p->flags & MW_DRAIN_NOW) == 0 &&
	    atomic_load(&mw_shm_user(p->app->shm, user)->drain_after) > mw_now();
}

/* 1 s, doubled by each try, up to 5 min; from half of it to all of it. */
static int64_t
backoff(unsigned tries)
{
	int64_t ms = BACKOFF_FIRST;
	uint32_t r;

	while (tries-- > 0 && ms < BACKOFF_MAX)
		ms *= 2;
	if (ms > BACKOFF_MAX)
		ms = BACKOFF_MAX;
	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return ms;
	return ms / 2 + (int64_t)(r % (uint32_t)(ms / 2));
}

/* ---- one row ---- */

/* What was acknowledged is what is sent, or nothing is. */
static enum mw_code
check_body(struct mw_ctx *ctx, const struct mw_outbox_row *row, int fd)
{
	unsigned char block[65536], md5[16] = { 0 };
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int64_t size = 0;
	ssize_t n = 0;
	bool good;

	good = md != NULL && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1;
	while (good && (n = pread(fd, block, sizeof(block), (off_t)size)) > 0) {
		size += n;
		good = EVP_DigestUpdate(md, block, (size_t)n) == 1;
	}
	good = good && EVP_DigestFinal_ex(md, md5, NULL) == 1;
	EVP_MD_CTX_free(md);
	if (!good)
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "MD5 is not at hand");
	if (n < 0)
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "spool/%s: %s", row->spool,
		    strerror(errno));
	if (size != row->size || memcmp(md5, row->md5, sizeof(md5)) != 0)
		return mw_ctx_fail(ctx, MW_CONFLICT,
		    "the queued body is damaged: spool/%s has %lld of %lld bytes, or other ones",
		    row->spool, (long long)size, (long long)row->size);
	return MW_OK;
}

/* The object as it is stored; its etag is NULL when there is none. */
static enum mw_code
stored_etag(struct pass *p, const char *key, struct mw_object *obj)
{
	struct mw_store *store = p->app->store;
	enum mw_code code;

	memset(obj, 0, sizeof(*obj));
	mw_err_clear(&p->ctx->err);
	code = store->ops->head(store, p->ctx, key, obj);
	if (code != MW_FILE_NOT_FOUND)
		return code;
	mw_err_clear(&p->ctx->err);
	obj->etag = NULL;
	return MW_OK;
}

/*
 * The store refused the condition, or knows none.  It may have taken the body in
 * a try whose answer was lost; then the object is ours.  If it knows no
 * conditions, we look at the object ourselves, and put without one.
 */
static enum mw_code
put_after_all(struct pass *p, const char *key, const struct mw_outbox_row *row,
    struct mw_put *put, enum mw_code refusal)
{
	struct mw_err cause = p->ctx->err;
	struct mw_object obj;
	enum mw_code code;
	const char *etag;
	char ours[MW_ETAG_LEN];
	bool met;

	if ((code = stored_etag(p, key, &obj)) != MW_OK)
		return code;
	mw_object_etag(row->md5, ours);
	if (obj.etag != NULL && obj.size == row->size && strcmp(obj.etag, ours) == 0)
		return MW_OK;
	met = row->if_none_match ? obj.etag == NULL :
	    obj.etag != NULL && strcmp(obj.etag, row->if_match) == 0;
	if (refusal == MW_NOT_SUPPORTED && met) {
		put->if_match = NULL;
		put->if_none_match = false;
		return p->app->store->ops->put(p->app->store, p->ctx, key, put, &etag);
	}
	if (refusal == MW_NOT_SUPPORTED)
		return mw_ctx_fail(p->ctx, MW_PRECONDITION_FAILED,
		    "the object is not the version that this write was meant for");
	p->ctx->err = cause;
	return refusal;
}

/* A body that is gone will not come back; one that could not be opened may. */
static bool
is_lost(const struct pass *p, const struct mw_outbox_row *row)
{
	return row->spool == NULL || (faccessat(p->app->spool_dir, row->spool, F_OK, 0) < 0 &&
	    errno == ENOENT);
}

static enum mw_code
put_row(struct pass *p, const char *key, const struct mw_outbox_row *row)
{
	struct mw_store *store = p->app->store;
	struct mw_put put = {
		.size = row->size, .sha256 = row->sha256, .md5 = row->md5,
		.content_type = row->content_type, .mode = row->mode, .mtime = row->mtime,
		.if_match = row->if_match, .if_none_match = row->if_none_match,
	};
	enum mw_code code;
	const char *etag;

	if ((code = mw_outbox_body(p->app->outbox, p->ctx, row, &put.fd)) != MW_OK)
		return is_lost(p, row) ? MW_CONFLICT : code;
	if ((code = check_body(p->ctx, row, put.fd)) == MW_OK) {
		code = store->ops->put(store, p->ctx, key, &put, &etag);
		if ((code == MW_PRECONDITION_FAILED || code == MW_NOT_SUPPORTED) &&
		    (row->if_match != NULL || row->if_none_match))
			code = put_after_all(p, key, row, &put, code);
	}
	(void)close(put.fd);
	return code;
}

static enum mw_code
send_row(struct pass *p, const struct mw_outbox_row *row)
{
	struct mw_store *store = p->app->store;
	const char *key;

	if (strcmp(row->store, store->identity) != 0)
		return mw_ctx_fail(p->ctx, MW_CONFLICT, "it was written for the store %s, "
		    "the configuration names %s now", row->store, store->identity);
	key = mw_store_key(p->app->conf, p->ctx->arena, row->user, row->path);
	if (key == NULL)
		return mw_ctx_nomem(p->ctx);
	if (row->op == MW_OUTBOX_DELETE)
		return store->ops->remove(store, p->ctx, key);
	return put_row(p, key, row);
}

/* Would another try end the same way?  Our own trouble is no refusal of the store. */
static bool
for_good(enum mw_code code)
{
	return code != MW_INTERNAL_ERROR && code != MW_CLIENT_GONE &&
	    !mw_code_info(code)->retryable;
}

static void
not_now(struct pass *p, const struct mw_outbox_row *row)
{
	int64_t pause = backoff(row->tries);

	atomic_store(&mw_shm_user(p->app->shm, row->user)->drain_after, mw_now() + pause);
	if (p->nfailed < FAILED_MAX)
		p->failed[p->nfailed++] = mw_hash(row->user);
	p->in_a_row++;
	mw_log(MW_WARN, "[SYNC] userId=%s: /%s waits, again in %lld ms: %s", row->user,
	    row->path, (long long)pause, p->ctx->err.msg);
}

/* Write down how it went. */
static enum mw_code
settle_row(struct pass *p, const struct mw_outbox_row *row, enum mw_code code)
{
	struct mw_ctx aside = *p->ctx;

	mw_err_clear(&aside.err);
	aside.deadline = mw_now() + LOCK_WAIT;
	mw_count(MW_M_DRAINED, code == MW_OK ? MW_DRAINED_SENT :
	    for_good(code) ? MW_DRAINED_PARKED : MW_DRAINED_FAILED, 0, 0, 1);
	if (code == MW_OK) {
		p->in_a_row = 0;
		atomic_store(&mw_shm_user(p->app->shm, row->user)->drain_after, 0);
		code = mw_outbox_done(p->app->outbox, &aside, row);
		p->out->done += code == MW_OK;
	} else if (for_good(code)) {
		mw_log(MW_ERROR, "[SYNC] userId=%s: /%s is parked until it is written again or "
		    "`moltctl drain --parked` is run: %s", row->user, row->path, p->ctx->err.msg);
		code = mw_outbox_failed(p->app->outbox, &aside, row->id, true, p->ctx->err.msg);
	} else {
		not_now(p, row);
		code = mw_outbox_failed(p->app->outbox, &aside, row->id, false, p->ctx->err.msg);
	}
	if (code != MW_OK) {
		mw_err_clear(&p->ctx->err);
		return mw_ctx_fail(p->ctx, code, "%s", aside.err.msg);
	}
	return MW_OK;
}

/*
 * Under the path's lock: read the row again, for it may have been replaced.
 * Fails when the outbox does.  With the store's breaker open the row waits, unless
 * somebody asked for it by hand: then it is the trial.
 */
static enum mw_code
drain_locked(struct pass *p, const struct mw_outbox_row *seen, int64_t deadline)
{
	const struct mw_outbox_row *row;
	struct mw_breaker b;
	enum mw_code code;
	int64_t needed;
	bool guarded;

	code = mw_outbox_find(p->app->outbox, p->ctx, seen->user, seen->path, &row);
	if (code != MW_OK || row == NULL)
		return code;
	needed = mw_now() + p->app->conf->store.timeout + row->size / SLOWEST;
	p->ctx->deadline = needed < deadline ? needed : deadline;
	guarded = mw_retry_breaker(p->app, p->ctx, MW_UP_STORE, &b);
	if (guarded && mw_breaker_begin(&b, (p->flags & MW_DRAIN_NOW) != 0) > 0) {
		p->in_a_row = DOWN_AFTER;
		return MW_OK;
	}
	code = send_row(p, row);
	if (guarded)
		(void)mw_breaker_end(&b, mw_class(code)->verdict);
	return settle_row(p, row, code);
}

static enum mw_code
drain_row(struct pass *p, const struct mw_outbox_row *row, int64_t deadline)
{
	enum mw_code code;
	int lock;

	p->ctx->deadline = mw_now() + LOCK_WAIT < deadline ? mw_now() + LOCK_WAIT : deadline;
	code = mw_path_lock(p->app, p->ctx, row->user, row->path, &lock);
	if (code == MW_DEADLINE_EXCEEDED)
		return MW_OK;		/* whoever has it replaces the row, or it waits */
	if (code == MW_OK)
		code = drain_locked(p, row, deadline);
	mw_path_unlock(lock);
	return code;
}

/* ---- a pass ---- */

static enum mw_code
drain_rows(struct pass *p, int64_t deadline)
{
	const struct mw_outbox_row *row;
	enum mw_code code = MW_OK;
	struct mw_store *store;
	int64_t after = 0;

	while (code == MW_OK && mw_left(deadline) > 0 && p->in_a_row < DOWN_AFTER &&
	    p->nfailed < FAILED_MAX) {
		mw_arena_reset(p->ctx->arena);
		mw_err_clear(&p->ctx->err);
		p->ctx->user = NULL;	/* it was in the arena */
		p->ctx->deadline = deadline;
		code = mw_outbox_next(p->app->outbox, p->ctx, after, &row);
		if (code != MW_OK || row == NULL)
			return code;
		after = row->id;
		p->ctx->user = row->user;
		if (must_wait(p, row->user))
			continue;
		if ((code = mw_app_store(p->app, p->ctx, &store)) == MW_OK)
			code = drain_row(p, row, deadline);
	}
	return code;
}

/* What is left; asking from the beginning notes an outbox with nothing to try. */
static enum mw_code
count(struct mw_app *app, struct mw_ctx *ctx, struct mw_drain_result *out)
{
	const struct mw_outbox_row *row;
	struct mw_outbox_stat st;
	enum mw_code code;

	if ((code = mw_outbox_next(app->outbox, ctx, 0, &row)) != MW_OK ||
	    (code = mw_outbox_stat(app->outbox, ctx, NULL, &st)) != MW_OK)
		return code;
	out->left = st.pending;
	out->parked = st.parked;
	return MW_OK;
}

static enum mw_code
drain_alone(struct mw_app *app, struct mw_ctx *ctx, unsigned flags,
    struct mw_drain_result *out)
{
	struct mw_ctx mine = { .request_id = ctx->request_id, .deadline = ctx->deadline };
	struct pass p = { .app = app, .ctx = &mine, .flags = flags, .out = out };
	enum mw_code code = MW_OK;

	if ((mine.arena = mw_arena_open(ROW_MEMORY)) == NULL)
		return mw_ctx_nomem(ctx);
	if ((flags & MW_DRAIN_PARKED) != 0)
		code = mw_outbox_unpark(app->outbox, &mine);
	if (code == MW_OK)
		code = drain_rows(&p, ctx->deadline);
	if (code != MW_OK)
		code = mw_ctx_fail(ctx, code, "%s", mine.err.msg);
	mw_arena_close(mine.arena);
	return code;
}

enum mw_code
mw_drain(struct mw_app *app, struct mw_ctx *ctx, unsigned flags, struct mw_drain_result *out)
{
	enum mw_code code, counted;
	int lock;

	memset(out, 0, sizeof(*out));
	code = mw_lockfile_take(app->lock_path, "drain",
	    (flags & MW_DRAIN_IDLE) != 0 ? 0 : ctx->deadline, &lock, &ctx->err);
	if (code == MW_DEADLINE_EXCEEDED) {
		mw_err_clear(&ctx->err);
		out->busy = true;
		code = MW_OK;
	} else if (code == MW_OK) {
		code = drain_alone(app, ctx, flags, out);
		mw_lockfile_give(lock);
	}
	counted = count(app, ctx, out);
	return code != MW_OK ? code : counted;
}
