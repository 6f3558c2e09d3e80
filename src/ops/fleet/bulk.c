/* SPDX-License-Identifier: BSD-2-Clause */
/* One operation for many users: whose turn it is, and the line about it. */
#include "ops/fleet/bulk.h"

#include <string.h>

#include "app/workers.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stop.h"

#define MEMBERS_MAX ((size_t)64 << 20)	/* bytes of further members of a line */
#define LEAST_TIME 1000		/* ms; no turn begins that has less */
#define LINE_SLACK 4096		/* bytes of a line beside its text, details and members */

/* ---- whose turn it is ---- */

/* Called with the mutex held. */
static bool
left(struct mw_fleet *f)
{
	f->left = f->left || f->gone(f->arg);
	return f->left;
}

bool
mw_fleet_gone(struct mw_fleet *f)
{
	bool gone;

	(void)pthread_mutex_lock(&f->mutex);
	gone = left(f);
	(void)pthread_mutex_unlock(&f->mutex);
	return gone;
}

static const char *
take(struct mw_fleet *f)
{
	const char *user = NULL;

	(void)pthread_mutex_lock(&f->mutex);
	if (f->next < f->n && !left(f))
		user = f->user[f->next++];
	(void)pthread_mutex_unlock(&f->mutex);
	return user;
}

/* ---- its line ---- */

static void
add_failure(struct mw_buf *b, const struct mw_err *err, enum mw_code code, bool skipped)
{
	const struct mw_code_info *info = mw_code_info(code);
	unsigned wait = mw_retry_after(err, code);

	(void)(mw_json_add(b, "error", err->msg[0] != '\0' ? err->msg : info->name) &&
	    mw_json_add(b, "code", info->name) && mw_json_add(b, "errorType", info->type) &&
	    mw_json_add_bool(b, "retryable", mw_err_retryable(err, code)));
	if (wait > 0)
		(void)mw_json_add_int(b, "retryAfter", wait);
	if (err->details != NULL)
		(void)mw_json_add_raw(b, "details", err->details);
	if (skipped)
		(void)mw_json_add_bool(b, "notRun", true);
}

static bool
make_line(struct mw_buf *b, const struct mw_fleet_turn *t, enum mw_code code, bool skipped,
    int64_t ms)
{
	char now[MW_RFC3339_LEN];

	mw_rfc3339(mw_wall(), now);
	(void)(mw_json_open(b, NULL, '{') && mw_json_add(b, "userId", t->user) &&
	    mw_json_add_bool(b, "success", code == MW_OK) &&
	    mw_json_add_int(b, "status", code == MW_OK ? t->status : mw_code_info(code)->status));
	(void)mw_json_add_all(b, &t->more);
	if (code != MW_OK)
		add_failure(b, &t->ctx->err, code, skipped);
	return mw_json_add_int(b, "attempts", t->ctx->attempts) &&
	    mw_json_add_int(b, "durationMs", ms) && mw_json_add(b, "timestamp", now) &&
	    mw_buf_adds(b, "}\n");
}

/* A line that there is no memory for is one without its members. */
static void
say(struct mw_fleet *f, struct mw_fleet_turn *t, enum mw_code code, bool skipped, int64_t ms)
{
	size_t room = t->more.len + 2 * sizeof(t->ctx->err.msg) + LINE_SLACK;
	struct mw_buf b;

	if (t->ctx->err.details != NULL)
		room += strlen(t->ctx->err.details);
	mw_buf_init(&b, room);
	if (t->more.failed || !make_line(&b, t, code, skipped, ms)) {
		mw_buf_free(&t->more);
		mw_err_clear(&t->ctx->err);
		code = mw_ctx_nomem(t->ctx);
		mw_buf_free(&b);
		mw_buf_init(&b, LINE_SLACK);
		(void)make_line(&b, t, code, false, ms);
	}
	(void)pthread_mutex_lock(&f->mutex);
	*(code == MW_OK ? &f->succeeded : skipped ? &f->skipped : &f->failed) += 1;
	f->left = f->left || b.failed || !f->say(f->arg, b.data, b.len);
	(void)pthread_mutex_unlock(&f->mutex);
	mw_buf_free(&b);
}

static void
note(const struct mw_fleet *f, const struct mw_fleet_turn *t, enum mw_code code, int64_t ms)
{
	if (code == MW_OK)
		mw_log(MW_INFO, "[BULK] %s userId=%s status=%d durationMs=%lld requestId=%s",
		    f->what, t->user, t->status, (long long)ms, t->ctx->request_id);
	else
		mw_log(MW_INFO, "[BULK] %s userId=%s failed (%s): %s durationMs=%lld requestId=%s",
		    f->what, t->user, mw_code_info(code)->name, t->ctx->err.msg, (long long)ms,
		    t->ctx->request_id);
}

/* ---- the work ---- */

/* MW_OK, or why its turn does not begin. */
static enum mw_code
may_begin(struct mw_ctx *ctx)
{
	enum mw_code code = MW_OK;

	if (mw_left(ctx->deadline) < LEAST_TIME) {
		code = mw_ctx_fail(ctx, MW_DEADLINE_EXCEEDED, "Not run: the time of the whole "
		    "request ran out before it; send it again");
	} else if (mw_stopping()) {
		code = mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "Not run: this process of the "
		    "gateway is being stopped; send it again");
		ctx->err.retry_after = 1;
	}
	return code;
}

static void
one(struct mw_fleet *f, const struct mw_worker *w, struct mw_ctx *ctx)
{
	struct mw_fleet_turn t = { .app = w->app, .ctx = ctx, .user = ctx->user, .status = 200 };
	int64_t began = mw_now();
	enum mw_code code;
	bool skipped;

	mw_buf_init(&t.more, MEMBERS_MAX);
	code = may_begin(ctx);
	skipped = code != MW_OK;
	if (!skipped)
		code = f->turn(f->arg, &t);
	note(f, &t, code, mw_now() - began);
	say(f, &t, code, skipped, mw_now() - began);
	mw_buf_free(&t.more);
}

static void
work(void *arg, struct mw_worker *w)
{
	struct mw_ctx ctx;
	const char *user;

	while ((user = take(arg)) != NULL) {
		mw_arena_reset(w->ctx.arena);
		ctx = w->ctx;
		ctx.user = user;
		ctx.attempts = ctx.retries = 0;
		one(arg, w, &ctx);
		w->ctx.attempts += ctx.attempts;
		w->ctx.retries += ctx.retries;
	}
}

enum mw_code
mw_fleet_run(struct mw_app *app, struct mw_ctx *ctx, struct mw_fleet *f)
{
	enum mw_code code;

	f->next = f->succeeded = f->failed = f->skipped = 0;
	(void)pthread_mutex_init(&f->mutex, NULL);
	code = mw_workers(app, ctx, f->concurrency < f->n ? f->concurrency : f->n, "[BULK]", work, f);
	(void)pthread_mutex_destroy(&f->mutex);
	return code;
}
