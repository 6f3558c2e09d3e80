/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/wake.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "base/str.h"
#include "ops/classify.h"
#include "ops/restore.h"
#include "ops/retry.h"

/* Prints the instance marker; says nothing when there is none. */
static const char probe_script[] =
    "m=$MW_RUN_DIR/instance; [ -f \"$m\" ] && cat \"$m\"; exit 0";

/* Written beside and renamed: a marker is whole or absent. */
static const char marker_script[] =
    "umask 077; mkdir -p \"$MW_RUN_DIR\" && cat >\"$MW_RUN_DIR/instance.new\" && "
    "mv \"$MW_RUN_DIR/instance.new\" \"$MW_RUN_DIR/instance\"";

struct leader {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sandbox *sb;
	const char *user;
	const char *phase;
};

static enum mw_code
try_start(void *arg)
{
	struct leader *l = arg;

	return l->sb->ops->start(l->sb, l->ctx, l->user);
}

/* Run a script of ours; its output (at most 256 bytes) into out. */
static enum mw_code
run_script(struct leader *l, const char *script, const char *input, char out[257])
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct mw_exec x = {
		.argv = argv, .input = input, .input_len = input != NULL ? strlen(input) : 0,
		.timeout = l->app->conf->wake.health_timeout,
	};
	struct mw_exec_result r = { .exit_code = -1 };
	enum mw_code code;

	mw_buf_init(&r.out, 256);
	mw_buf_init(&r.err, 256);
	out[0] = '\0';
	code = l->sb->ops->exec(l->sb, l->ctx, l->user, &x, &r);
	if (code == MW_OK && r.exit_code != 0)
		code = mw_ctx_fail(l->ctx, MW_SANDBOX_UNAVAILABLE,
		    "%s: the sandbox of %s cannot run our script: exit %d, %.120s",
		    l->phase, l->user, r.exit_code, r.err.len > 0 ? r.err.data : "no output");
	if (code == MW_OK && r.out.len > 0)
		memcpy(out, r.out.data, r.out.len + 1);
	mw_buf_free(&r.out);
	mw_buf_free(&r.err);
	return code;
}

struct script_try {
	struct leader *l;
	const char *script, *input;
	char *out;
};

static enum mw_code
try_script(void *arg)
{
	struct script_try *t = arg;

	return run_script(t->l, t->script, t->input, t->out);
}

/* Both scripts give the same result however often they run. */
static enum mw_code
script(struct leader *l, const char *text, const char *input, char out[257])
{
	struct script_try t = { .l = l, .script = text, .input = input, .out = out };

	return mw_retry(l->app, l->ctx, MW_UP_SANDBOX, try_script, &t);
}

/* An instance without a marker gets the user's files, and the marker last. */
static enum mw_code
fill(struct leader *l)
{
	char fresh[33], out[257];
	enum mw_code code = MW_OK;

	l->sb->allow_unproven = true;
	if (l->app->conf->wake.restore)
		code = mw_restore(l->app, l->ctx, l->sb, l->user);
	if (code == MW_OK)
		code = mw_apply_marks(l->app, l->ctx, l->sb, l->user);
	l->sb->allow_unproven = false;
	if (code != MW_OK)
		return code;
	mw_str_random_hex(fresh, 16);
	return script(l, marker_script, fresh, out);
}

static enum mw_code
lead(struct leader *l)
{
	char marker[257];
	enum mw_code code;
	int64_t began = mw_now();

	l->phase = "sandbox_start";
	mw_log(MW_INFO, "[WAKE] Attempt 1/%lld userId=%s requestId=%s",
	    (long long)l->app->conf->retry.attempts, l->user, l->ctx->request_id);
	if ((code = mw_retry(l->app, l->ctx, MW_UP_SANDBOX, try_start, l)) != MW_OK)
		return code;
	l->phase = "probe";
	if ((code = script(l, probe_script, NULL, marker)) != MW_OK)
		return code;
	l->phase = "restore";
	code = marker[0] == '\0' ? fill(l) : mw_apply_marks(l->app, l->ctx, l->sb, l->user);
	if (code != MW_OK)
		return code;
	mw_log(MW_INFO, "[WAKE] userId=%s ready after %lld ms requestId=%s", l->user,
	    (long long)(mw_now() - began), l->ctx->request_id);
	return MW_OK;
}

/* Say where a wake died; time that ran out in any phase is one code, and what
 * would blame the client's request is not the client's fault. */
static enum mw_code
wake_failed(struct leader *l, enum mw_code code, int64_t max_wait)
{
	struct mw_err cause = l->ctx->err;

	if (mw_left(l->ctx->deadline) == 0 ||
	    code == MW_SANDBOX_TIMEOUT || code == MW_DEADLINE_EXCEEDED)
		code = MW_WAKE_TIMEOUT;
	else if (code == MW_SANDBOX_HIBERNATING ||
	    strcmp(mw_code_info(code)->type, "client_error") == 0)
		code = MW_SANDBOX_UNAVAILABLE;
	mw_err_clear(&l->ctx->err);
	l->ctx->err.retry_after = cause.retry_after;
	(void)mw_ctx_fail(l->ctx, code, "%s of the sandbox of %s failed within %lld ms: %.150s",
	    l->phase, l->user, (long long)max_wait, cause.msg);
	mw_log(MW_WARN, "[WAKE] userId=%s failed in phase %s (%s): %s", l->user, l->phase,
	    mw_code_info(code)->name, cause.msg);
	return code;
}

static enum mw_code
wake_locked(struct mw_app *app, struct mw_ctx *ctx, const char *user, int64_t max_wait,
    struct mw_shm_user *row)
{
	struct leader l = { .app = app, .ctx = ctx, .user = user };
	enum mw_code code;

	if ((code = mw_app_sandbox(app, ctx, &l.sb)) != MW_OK)
		return code;
	if ((code = lead(&l)) != MW_OK)
		code = wake_failed(&l, code, max_wait);
	else
		atomic_store(&row->ready_until, mw_now() + app->conf->wake.ready_ttl);
	atomic_store(&row->wake_code, (int32_t)code);
	atomic_fetch_add(&row->wake_gen, 1);
	return code;
}

static enum mw_code
wake_within(struct mw_app *app, struct mw_ctx *ctx, const char *user, int64_t max_wait)
{
	struct mw_shm_user *row = mw_shm_user(app->shm, user);
	uint32_t gen = atomic_load(&row->wake_gen);
	enum mw_code code;
	char *name;
	int lock;

	if ((name = mw_arena_printf(ctx->arena, "wake:%s", user)) == NULL)
		return mw_ctx_nomem(ctx);
	code = mw_lockfile_take(app->lock_path, name, ctx->deadline, &lock, &ctx->err);
	if (code == MW_DEADLINE_EXCEEDED) {
		mw_err_clear(&ctx->err);
		return mw_ctx_fail(ctx, MW_WAKE_TIMEOUT,
		    "The sandbox of %s is being woken by another request and was not ready "
		    "within %lld ms; try again", user, (long long)max_wait);
	}
	if (code != MW_OK)
		return code;
	/* Somebody woke it while we waited: their success is ours.  Their failure
	 * may have been their own short deadline, so we try for ourselves. */
	if (atomic_load(&row->wake_gen) != gen && atomic_load(&row->wake_code) == MW_OK)
		code = MW_OK;
	else
		code = wake_locked(app, ctx, user, max_wait, row);
	mw_lockfile_give(lock);
	return code;
}

enum mw_code
mw_wake(struct mw_app *app, struct mw_ctx *ctx, const char *user, int64_t max_wait)
{
	int64_t deadline = ctx->deadline;
	enum mw_code code;

	if (mw_now() + max_wait < deadline)
		ctx->deadline = mw_now() + max_wait;
	code = wake_within(app, ctx, user, max_wait);
	ctx->deadline = deadline;
	return code;
}

struct sandbox_try {
	mw_sandbox_fn fn;
	void *arg;
	struct mw_sandbox *sb;
};

static enum mw_code
try_sandbox(void *arg)
{
	struct sandbox_try *t = arg;

	return t->fn(t->arg, t->sb);
}

/* The client does not want it woken.  A sandbox that a wake would make is
 * asleep to the client; one that only somebody else can make does not exist. */
static enum mw_code
not_woken(const struct sandbox_try *t, struct mw_ctx *ctx, const char *user, enum mw_code code)
{
	if (code == MW_SANDBOX_NOT_FOUND && (t->sb->ops->flags & MW_SB_CAN_CREATE) == 0)
		return code;
	mw_err_clear(&ctx->err);
	return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING,
	    "The sandbox of %s is hibernating and maxWakeTime=0 forbids waking it; "
	    "allow a wake or read with source=r2", user);
}

enum mw_code
mw_in_sandbox(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    int64_t max_wait, mw_sandbox_fn fn, void *arg)
{
	struct sandbox_try t = { .fn = fn, .arg = arg };
	enum mw_code code;

	if ((code = mw_app_sandbox(app, ctx, &t.sb)) != MW_OK)
		return code;
	code = mw_retry(app, ctx, MW_UP_SANDBOX, try_sandbox, &t);
	if (mw_classify(code) != MW_NEXT_WAKE)
		return code;
	if (max_wait == 0)
		return not_woken(&t, ctx, user, code);
	mw_err_clear(&ctx->err);
	if ((code = mw_wake(app, ctx, user, max_wait)) != MW_OK)
		return code;
	return mw_retry(app, ctx, MW_UP_SANDBOX, try_sandbox, &t);
}

bool
mw_known_awake(struct mw_app *app, const char *user)
{
	return atomic_load(&mw_shm_user(app->shm, user)->ready_until) > mw_now();
}

bool
mw_files_at_hand(struct mw_app *app, const char *user)
{
	return app->sandbox != NULL &&
	    ((app->sandbox->ops->flags & MW_SB_FILES_ASLEEP) != 0 || mw_known_awake(app, user));
}
