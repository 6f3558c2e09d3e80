/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of job.sh inside a sandbox, and what they take along. */
#include "ops/job/job.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/str.h"
#include "app/retry.h"
#include "ops/job/answer.h"

#define INPUT_MAX_DEFAULT 65536		/* bytes; of a driver that names no limit */
#define PAYLOAD_MAX (1 << 30)
#define ARGS_MAX 24
#define COMMON 13			/* arguments that all operations have */
#define MORE 7				/* of run, beside those */
#define LINE_MAX_LEN 4096		/* bytes of an answer beside its streams */
#define NO_ROOM 75			/* exit statuses of ours: this cannot be stored, */
#define NO_SCRIPT 76			/* and the script is not there */

static const char job_script[] =
#include "ops/job/job.sh.h"
;

/*
 * $0 is the script's name, $1 the file of this call, $2 the script's length.  The
 * script and what it needs come by stdin: an argv that lives on must not hold a
 * client's command, nor words that a user's pgrep may look for.
 */
static const char call_script[] =
    "mkdir -p \"$MW_RUN_DIR/in\" \"$MW_RUN_DIR/jobs\" && cat >\"$MW_RUN_DIR/in/$1\" && "
    "{ [ -f \"$MW_RUN_DIR/$0\" ] || { head -c \"$2\" \"$MW_RUN_DIR/in/$1\" "
    ">\"$MW_RUN_DIR/in/$1.sh\" && mv \"$MW_RUN_DIR/in/$1.sh\" \"$MW_RUN_DIR/$0\"; }; } || "
    "exit 75; exec sh \"$MW_RUN_DIR/$0\" \"$@\"";

/* The same where the script is there, from when the job was started: nothing is stored. */
static const char bare_script[] =
    "[ -f \"$MW_RUN_DIR/$0\" ] || exit 76; exec sh \"$MW_RUN_DIR/$0\" \"$@\"";

/* What job.sh keeps for a full disk, so that a command can be stored that makes room. */
static const char room_script[] = "rm -f \"$MW_RUN_DIR/reserve\"";

/* $0 is the part's name, $1 one for meanwhile.  Again is the same. */
static const char part_script[] =
    "mkdir -p \"$MW_RUN_DIR/in\" && cat >\"$MW_RUN_DIR/in/$1\" && "
    "mv \"$MW_RUN_DIR/in/$1\" \"$MW_RUN_DIR/in/$0\" || exit 75";

/* One call of the wrapper, as often as mw_retry likes. */
struct call {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sandbox *sb;
	const char *user, *id;
	const char *const *argv;	/* of an upload; NULL: built from the rest */
	const char *operation;
	const struct mw_job_ask *ask;
	const char *const *more;	/* MORE arguments of run, or NULL */
	const void *input;
	size_t input_len;
	struct mw_job_view *v;		/* NULL: an upload */
	bool bare;			/* without the script, which is there */
	bool given;			/* the room that was kept */
	bool again;			/* in another way */
};

/*
 * The id as it stands in an argv: "g-" for "gateway-", or a probe like "pgrep -f gateway"
 * would take what runs the gateway for the gateway.
 */
static const char *
quiet(const struct call *c)
{
	static const char loud[] = "gateway-";

	return strncmp(c->id, loud, sizeof(loud) - 1) != 0 ? c->id :
	    mw_arena_printf(c->ctx->arena, "g-%s", c->id + sizeof(loud) - 1);
}

static enum mw_code
no_answer(struct call *c, const struct mw_exec_result *r)
{
	const char *said = r->err.len > 0 ? r->err.data : "no output";

	if (r->exit_code == NO_ROOM && (c->v == NULL || (c->more != NULL && c->v->doubts == 0)))
		return mw_ctx_fail(c->ctx, MW_STORAGE_FULL,
		    "the sandbox of %s cannot store the command, nothing was started: %.120s",
		    c->user, said);
	if (r->exit_code == NO_ROOM)
		return mw_ctx_fail(c->ctx, MW_SANDBOX_UNAVAILABLE,
		    "the sandbox of %s cannot be asked for its commands: %.120s", c->user, said);
	return mw_ctx_fail(c->ctx, MW_SANDBOX_UNREACHABLE,
	    "the sandbox of %s answered something else than our script: exit %d, %.120s",
	    c->user, r->exit_code, said);
}

/* Only these prove that the wrapper was not started, or that it gave up first. */
static bool
nothing_ran(enum mw_code code)
{
	switch (code) {
	case MW_SANDBOX_HIBERNATING:
	case MW_SANDBOX_NOT_FOUND:
	case MW_SANDBOX_CAPACITY:
	case MW_COMMAND_ERROR:
	case MW_STORAGE_FULL:
		return true;
	default:
		return false;
	}
}

static void
make_room(struct call *c)
{
	static const char *const argv[] = { "sh", "-c", room_script, NULL };
	const struct mw_exec x = { .argv = argv, .timeout = c->app->conf->sandbox.timeout };
	struct mw_exec_result r = { .exit_code = -1 };
	struct mw_err before = c->ctx->err;

	mw_buf_init(&r.out, 256);
	mw_buf_init(&r.err, 256);
	mw_err_clear(&c->ctx->err);
	(void)!c->sb->ops->exec(c->sb, c->ctx, c->user, &x, &r);
	c->ctx->err = before;
	mw_buf_free(&r.out);
	mw_buf_free(&r.err);
}

/* Is the same to be done once more, now with the script, or with the room that was kept? */
static bool
again(struct call *c, enum mw_code code, int exit_code)
{
	bool full = code == MW_STORAGE_FULL || (code == MW_OK && exit_code == NO_ROOM);

	if (code == MW_OK && exit_code == NO_SCRIPT && c->bare) {
		c->bare = false;
		return true;
	}
	if (!full || c->given)
		return false;
	make_room(c);
	mw_err_clear(&c->ctx->err);
	return c->given = true;
}

static enum mw_code
exec(struct call *c, const char *const *argv, size_t max, int64_t wait)
{
	struct mw_exec x = {
		.argv = argv, .input = c->bare ? NULL : c->input,
		.input_len = c->bare ? 0 : c->input_len,
		.timeout = wait + c->app->conf->sandbox.timeout,
	};
	struct mw_exec_result r = { .exit_code = -1 };
	enum mw_code code;

	/* A line of base64 has 76 letters for 57 bytes. */
	mw_buf_init(&r.out, 2 * (max / 57 + 2) * 77 + LINE_MAX_LEN);
	mw_buf_init(&r.err, 256);
	code = c->sb->ops->exec(c->sb, c->ctx, c->user, &x, &r);
	c->again = again(c, code, r.exit_code);
	if (c->again)
		code = MW_OK;
	else if (code == MW_OK && (r.exit_code != 0 || (c->v != NULL &&
	    !mw_job_answer(r.out.len > 0 ? r.out.data : "", r.out.len, quiet(c), max, c->v))))
		code = no_answer(c, &r);
	if (code != MW_OK && !nothing_ran(code) && !c->ctx->err.unsent && c->v != NULL)
		c->v->doubts++;
	mw_buf_free(&r.out);
	mw_buf_free(&r.err);
	return code;
}

/* No wait that the deadline, or the time of one call, would cut off. */
static int64_t
bounded(const struct mw_ctx *ctx, int64_t wait)
{
	int64_t left = mw_left(ctx->deadline) - 500;

	if (wait > MW_JOB_WAIT_MAX)
		wait = MW_JOB_WAIT_MAX;
	if (wait > left)
		wait = left;
	return wait > 0 ? wait : 0;
}

/* ID.u and some digits: a file of this call's own. */
static const char *
file_name(const struct call *c)
{
	char random[17];

	mw_str_random_hex(random, 8);
	return mw_arena_printf(c->ctx->arena, "%s.u%s", quiet(c), random);
}

static enum mw_code
try_call(void *arg)
{
	struct call *c = arg;
	struct mw_arena *a = c->ctx->arena;
	int64_t wait = bounded(c->ctx, c->ask->wait);
	const char *argv[ARGS_MAX] = {
		"sh", "-c", NULL,
		mw_arena_printf(a, "job-%016llx", (unsigned long long)mw_hash(job_script)),
		file_name(c), mw_arena_printf(a, "%zu", strlen(job_script)), c->operation, quiet(c),
		mw_arena_printf(a, "%016llx", (unsigned long long)c->ask->marker),
		mw_arena_printf(a, "%lld", (long long)wait),
		mw_arena_printf(a, "%lld", (long long)c->ask->out_at),
		mw_arena_printf(a, "%lld", (long long)c->ask->err_at),
		mw_arena_printf(a, "%zu", c->ask->max),
	};
	enum mw_code code;
	size_t i;

	for (i = 3; i < COMMON; i++) {
		if (argv[i] == NULL)
			return mw_ctx_nomem(c->ctx);
	}
	for (i = 0; c->more != NULL && i < MORE; i++)
		argv[COMMON + i] = c->more[i];
	do {
		argv[2] = c->bare ? bare_script : call_script;
		code = exec(c, argv, c->ask->max, wait);
	} while (c->again);
	return code;
}

static enum mw_code
call(struct call *c)
{
	struct mw_job_view *v = c->v;

	v->marker = c->ask->marker;
	return mw_retry(c->app, c->ctx, MW_UP_SANDBOX, try_call, c);
}

static enum mw_code
simple(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb, const char *operation,
    const struct mw_job_ask *ask, struct mw_job_view *v)
{
	struct call c = {
		.app = app, .ctx = ctx, .sb = sb, .user = ask->user, .id = ask->id,
		.operation = operation, .ask = ask,
		.input = job_script, .input_len = strlen(job_script), .bare = true, .v = v,
	};

	return call(&c);
}

enum mw_code
mw_job_look(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const struct mw_job_ask *ask, struct mw_job_view *v)
{
	return simple(app, ctx, sb, "look", ask, v);
}

enum mw_code
mw_job_wait(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const struct mw_job_ask *ask, struct mw_job_view *v)
{
	return simple(app, ctx, sb, "wait", ask, v);
}

enum mw_code
mw_job_kill(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const struct mw_job_ask *ask, struct mw_job_view *v)
{
	return simple(app, ctx, sb, "kill", ask, v);
}

/* ---- what run sends ---- */

/* "NAME LINES", then the lines. */
static void
add_value(struct mw_buf *b, const char *name, size_t name_len, const char *value)
{
	const char *s;
	unsigned lines = 1;

	for (s = strchr(value, '\n'); s != NULL; s = strchr(s + 1, '\n'))
		lines++;
	(void)(mw_buf_add(b, name, name_len) && mw_buf_addf(b, " %u\n", lines) &&
	    mw_buf_adds(b, value) && mw_buf_addc(b, '\n'));
}

/* Everything but the script; *env_len is the length of the second piece. */
static void
add_payload(struct mw_buf *b, const struct mw_job *job, const char *id, size_t *env_len)
{
	size_t before, n, i;

	(void)mw_buf_add(b, job->command, job->command_len);
	before = b->len;
	if (job->cwd != NULL)
		add_value(b, "/", 1, job->cwd);
	for (i = 0; job->env != NULL && job->env[i] != NULL; i++) {
		n = strcspn(job->env[i], "=");
		if (job->env[i][n] == '=')
			add_value(b, job->env[i], n, job->env[i] + n + 1);
	}
	*env_len = b->len - before;
	if (job->input != NULL)
		(void)mw_buf_add(b, job->input, job->input_len);
	(void)mw_buf_addf(b, "\nend %s", id);
}

static enum mw_code
try_part(void *arg)
{
	struct call *c = arg;
	enum mw_code code;

	do {
		code = exec(c, c->argv, 0, 0);
	} while (c->again);
	return code;
}

/* What does not fit one call goes ahead in pieces, RUN_DIR/in/ID.1 and on. */
static enum mw_code
send_parts(struct call *c, const char *p, size_t n, size_t piece, unsigned *parts)
{
	struct call part = *c;
	const char *argv[] = { "sh", "-c", part_script, NULL, NULL, NULL };
	enum mw_code code = MW_OK;
	size_t at;

	part.v = NULL;
	part.argv = argv;
	for (at = 0; code == MW_OK && at < n; at += part.input_len) {
		part.input = p + at;
		part.input_len = n - at < piece ? n - at : piece;
		argv[3] = mw_arena_printf(c->ctx->arena, "%s.%u", quiet(c), ++*parts);
		argv[4] = file_name(c);
		if (argv[3] == NULL || argv[4] == NULL)
			return mw_ctx_nomem(c->ctx);
		code = mw_retry(c->app, c->ctx, MW_UP_SANDBOX, try_part, &part);
	}
	return code;
}

static enum mw_code
run_sized(struct call *c, const struct mw_job *job, size_t env_len, unsigned parts)
{
	struct mw_arena *a = c->ctx->arena;
	const char *more[MORE] = {
		mw_arena_printf(a, "%lld", (long long)job->limit),
		mw_arena_printf(a, "%lld", (long long)c->app->conf->exec.max_stored),
		mw_arena_printf(a, "%lld", (long long)c->app->conf->exec.keep),
		mw_arena_printf(a, "%zu", job->command_len),
		mw_arena_printf(a, "%zu", env_len),
		job->input != NULL ? mw_arena_printf(a, "%zu", job->input_len) : "-1",
		mw_arena_printf(a, "%u", parts),
	};
	size_t i;

	for (i = 0; i < MORE; i++) {
		if (more[i] == NULL)
			return mw_ctx_nomem(c->ctx);
	}
	c->more = more;
	return call(c);
}

static enum mw_code
run(struct call *c, const struct mw_job *job, struct mw_buf *b)
{
	size_t limit = c->sb->ops->input_max, script = strlen(job_script), env_len;
	unsigned parts = 0;
	enum mw_code code;

	if (limit == 0)
		limit = INPUT_MAX_DEFAULT;
	(void)mw_buf_add(b, job_script, script);
	add_payload(b, job, c->id, &env_len);
	if (b->failed)
		return mw_ctx_nomem(c->ctx);
	c->input = b->data;
	c->input_len = b->len;
	if (b->len > limit) {
		code = send_parts(c, b->data + script, b->len - script, limit, &parts);
		if (code != MW_OK)
			return code;
		c->input_len = script;
	}
	return run_sized(c, job, env_len, parts);
}

enum mw_code
mw_job_run(struct mw_app *app, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const struct mw_job *job, const struct mw_job_ask *ask, struct mw_job_view *v)
{
	struct call c = {
		.app = app, .ctx = ctx, .sb = sb, .user = ask->user, .id = ask->id,
		.operation = "run", .ask = ask, .v = v,
	};
	enum mw_code code;
	struct mw_buf b;

	mw_buf_init(&b, PAYLOAD_MAX);
	code = run(&c, job, &b);
	mw_buf_free(&b);
	return code;
}

/* ---- views ---- */

void
mw_job_view_init(struct mw_job_view *v)
{
	memset(v, 0, sizeof(*v));
	v->exit_code = -1;
	v->age = v->duration = -1;
	mw_buf_init(&v->out, 0);
	mw_buf_init(&v->err, 0);
}

void
mw_job_view_free(struct mw_job_view *v)
{
	mw_buf_free(&v->out);
	mw_buf_free(&v->err);
}

bool
mw_job_over(enum mw_job_state state)
{
	return state != MW_JOB_NONE && state != MW_JOB_READY && state != MW_JOB_RUNNING;
}
