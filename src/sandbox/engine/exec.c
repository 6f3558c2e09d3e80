/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands.  Three calls: create an exec session, start it, ask for its status.  The
 * second one's answer is the output of both streams in frames, up to its end.  A session
 * can be started once only, which is what makes a command run at most once.
 *
 * Standard input is uploaded as a file first: that works alike everywhere, and needs no
 * connection that is half closed.
 */
#include "sandbox/engine/internal.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/utf8.h"

#define FRAME_HEAD 8
#define STDERR 2
#define NONCE 16		/* hex digits */
#define PREAMBLE_MAX 512	/* bytes of stderr that are looked at for the wrapper's word */
#define STRINGS_MAX 4096	/* of argv, and of the environment */

/* See there: its first line on stderr tells whether the command was started. */
static const char wrapper[] =
#include "sandbox/engine/launch.sh.h"
;

struct stream {
	struct mw_engine *e;
	struct mw_ctx *ctx;
	const char *user;
	bool stuck;		/* paused while it ran: no end will come */
	unsigned mute;
	struct mw_exec_result *r;
	unsigned char head[FRAME_HEAD];
	size_t nhead;		/* bytes of a frame's head so far */
	uint32_t left;		/* bytes of its payload to come */
	bool bad;		/* not the protocol */
	/* the wrapper's word: stderr up to its first newline */
	const char *nonce;
	char first[PREAMBLE_MAX];
	size_t nfirst;
	bool said;		/* the first line is complete, or too long to be it */
};

/* ---- output ---- */

static void
keep(struct mw_buf *b, bool *cut, const char *p, size_t n)
{
	size_t room = b->max - b->len;

	if (n > room) {
		*cut = true;
		n = room;
	}
	if (n > 0 && !mw_buf_add(b, p, n))
		*cut = true;
}

/* Of stderr the first line is the wrapper's, the rest the command's. */
static void
take_err(struct stream *s, const char *p, size_t n)
{
	const char *nl;
	size_t k;

	if (!s->said) {
		nl = memchr(p, '\n', n);
		k = nl == NULL ? n : (size_t)(nl - p) + 1;
		if (k > sizeof(s->first) - 1 - s->nfirst)
			k = sizeof(s->first) - 1 - s->nfirst;
		memcpy(s->first + s->nfirst, p, k);
		s->nfirst += k;
		s->first[s->nfirst] = '\0';
		s->said = nl != NULL || s->nfirst == sizeof(s->first) - 1;
		p += k;
		n -= k;
	}
	keep(&s->r->err, &s->r->err_cut, p, n);
}

static bool
on_data(void *arg, const void *data, size_t n)
{
	struct stream *s = arg;
	const char *p = data;
	size_t k;

	while (n > 0) {
		if (s->left == 0) {
			s->head[s->nhead++] = (unsigned char)*p++;
			n--;
			if (s->nhead < FRAME_HEAD)
				continue;
			s->nhead = 0;
			s->left = (uint32_t)s->head[4] << 24 | (uint32_t)s->head[5] << 16 |
			    (uint32_t)s->head[6] << 8 | s->head[7];
			if (s->head[0] > STDERR || s->head[1] != 0 || s->head[2] != 0 ||
			    s->head[3] != 0) {
				s->bad = true;
				return false;
			}
			continue;
		}
		k = n < s->left ? n : s->left;
		if (s->head[0] == STDERR)
			take_err(s, p, k);
		else
			keep(&s->r->out, &s->r->out_cut, p, k);
		s->left -= (uint32_t)k;
		p += k;
		n -= k;
	}
	return true;
}

/* ---- the request ---- */

static bool
add_string(struct json_object *list, const char *s)
{
	struct json_object *o = json_object_new_string(s);

	if (o != NULL && json_object_array_add(list, o) == 0)
		return true;
	json_object_put(o);
	return false;
}

static bool
is_ours(const char *entry)
{
	return strncmp(entry, "MW_ROOT=", 8) == 0 || strncmp(entry, "MW_RUN_DIR=", 11) == 0;
}

static struct json_object *
environment(struct mw_engine *e, struct mw_ctx *ctx, const char *const *env)
{
	struct json_object *list = json_object_new_array();
	const char *root = mw_arena_printf(ctx->arena, "MW_ROOT=%s", e->root);
	const char *run = mw_arena_printf(ctx->arena, "MW_RUN_DIR=%s", e->run_dir);
	bool good = list != NULL && root != NULL && run != NULL && add_string(list, root) &&
	    add_string(list, run);

	for (; good && env != NULL && *env != NULL; env++)
		good = is_ours(*env) || add_string(list, *env);
	if (good)
		return list;
	json_object_put(list);
	return NULL;
}

static struct json_object *
command(const char *nonce, const char *dir, const char *input, const char *const *argv)
{
	const char *const lead[] = { "sh", "-c", wrapper, "sh", nonce, dir, input };
	struct json_object *list = json_object_new_array();
	bool good = list != NULL;
	size_t i;

	for (i = 0; good && i < sizeof(lead) / sizeof(lead[0]); i++)
		good = add_string(list, lead[i]);
	for (; good && *argv != NULL; argv++)
		good = add_string(list, *argv);
	if (good)
		return list;
	json_object_put(list);
	return NULL;
}

/* What JSON cannot carry would arrive as something else. */
static bool
strings_ok(const char *const *v)
{
	size_t n;

	for (n = 0; v != NULL && v[n] != NULL; n++) {
		if (n == STRINGS_MAX || !mw_utf8_valid(v[n], strlen(v[n])))
			return false;
	}
	return true;
}

static enum mw_code
build(struct mw_engine *e, struct mw_ctx *ctx, const struct mw_exec *x, const char *nonce,
    const char *input, struct json_object **op)
{
	const char *dir = x->cwd == NULL ? e->root : x->cwd[0] == '/' ? x->cwd :
	    mw_arena_printf(ctx->arena, "%s/%s", e->root, x->cwd);
	struct json_object *o = json_object_new_object();
	bool good;

	*op = NULL;
	if (x->argv[0] == NULL || !strings_ok(x->argv) || !strings_ok(x->env) || dir == NULL ||
	    !mw_utf8_valid(dir, strlen(dir))) {
		json_object_put(o);
		return mw_ctx_fail(ctx, MW_INVALID_ARGUMENT, "a command takes 1 to %d arguments "
		    "and up to %d variables, all of them UTF-8", STRINGS_MAX, STRINGS_MAX);
	}
	good = o != NULL &&
	    json_object_object_add(o, "Cmd", command(nonce, dir, input, x->argv)) == 0 &&
	    json_object_object_add(o, "Env", environment(e, ctx, x->env)) == 0 &&
	    json_object_object_add(o, "AttachStdout", json_object_new_boolean(true)) == 0 &&
	    json_object_object_add(o, "AttachStderr", json_object_new_boolean(true)) == 0;
	if (!good) {
		json_object_put(o);
		return mw_ctx_nomem(ctx);
	}
	*op = o;
	return MW_OK;
}

/* ---- the three calls ---- */

static enum mw_code
create(struct mw_engine *e, struct mw_ctx *ctx, const char *user, struct json_object *o,
    char **id)
{
	struct mw_engine_answer a;
	enum mw_code code = mw_engine_call(e, ctx, "POST", mw_engine_path(e, ctx, user, "/exec"), o,
	    &a);
	const char *got;

	if (code != MW_OK)
		return code;
	got = mw_engine_str(a.json, "Id");
	if (a.status == 201 && *got != '\0' && strspn(got, "0123456789abcdef") == strlen(got)) {
		*id = mw_arena_strdup(ctx->arena, got);
		code = *id == NULL ? mw_ctx_nomem(ctx) : MW_OK;
	} else {
		code = mw_engine_refused(e, ctx, user, "the engine cannot run a command", a.status,
		    a.message);
		if (code == MW_FILE_NOT_FOUND)
			code = MW_SANDBOX_UNREACHABLE;
	}
	json_object_put(a.json);
	return code;
}

static bool
on_idle(void *arg)
{
	struct stream *s = arg;

	s->stuck = mw_engine_stuck(s->e, s->ctx, s->user, &s->mute);
	return !s->stuck;
}

static bool
is_output(void *arg, int status)
{
	(void)arg;
	return status == 200 || status == 101;
}

/*
 * Start it and take its output to the end.  On a connection of its own: nothing may send
 * this request a second time.
 */
static enum mw_code
start(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *id,
    int64_t limit, struct stream *s)
{
	static const char body[] = "{\"Detach\":false,\"Tty\":false}";
	struct mw_net_header type = { "Content-Type", "application/json" };
	struct mw_net_req req = { .method = "POST", .body = body, .body_size = sizeof(body) - 1,
	    .body_fd = -1, .headers = &type, .nheaders = 1, .fresh = true, .timeout = limit,
	    .stall = limit + 1000, .on_head = is_output, .on_data = on_data,
	    .on_idle = on_idle, .arg = s };
	struct mw_net_res res;
	enum mw_code code;

	mw_engine_stream(e, ctx, mw_arena_printf(ctx->arena, "/exec/%s/start", id), &req, &res);
	if (res.end == MW_NET_TIMEOUT)
		return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT,
		    "the command did not end in time, and may run on");
	if (s->stuck)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
		    "the sandbox was paused while the command ran");
	code = mw_engine_ended(e, ctx, &res);
	if (code != MW_OK)
		return code;
	if (res.status != 200 && res.status != 101) {
		/* Stopped or removed since the session was made. */
		code = mw_engine_refused(e, ctx, user, "the engine cannot start a command",
		    res.status, "");
		return code == MW_FILE_NOT_FOUND ? MW_SANDBOX_UNREACHABLE : code;
	}
	if (s->bad || s->left > 0 || s->nhead > 0)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
		    "the engine's output of the command broke off");
	return MW_OK;
}

/* The session may be said to run for a moment after its output has ended. */
static enum mw_code
ask_status(struct mw_engine *e, struct mw_ctx *ctx, const char *id, int *status)
{
	const char *path = mw_arena_printf(ctx->arena, "/exec/%s/json", id);
	struct mw_engine_answer a;
	enum mw_code code;
	bool running;
	int64_t exit_code;

	for (;;) {
		code = mw_engine_call(e, ctx, "GET", path, NULL, &a);
		if (code != MW_OK)
			return code;
		running = mw_engine_bool(a.json, "Running");
		exit_code = mw_engine_int(a.json, "ExitCode");
		json_object_put(a.json);
		if (a.status != 200 || (!running && (exit_code < 0 || exit_code > 255)))
			return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
			    "the command's status is lost: %s", a.message);
		if (!running)
			break;
		if (mw_left(ctx->deadline) <= MW_ENGINE_NAP)
			return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT,
			    "the command did not end in time, and may run on");
		mw_sleep_ms(MW_ENGINE_NAP);
	}
	*status = (int)exit_code;
	return MW_OK;
}

/* Did the command itself start?  What the wrapper did not say, it did not do. */
static enum mw_code
judge(struct mw_ctx *ctx, const struct stream *s, const struct mw_exec *x, int status)
{
	const char *word = s->first + NONCE + 1;

	if (s->nfirst <= NONCE + 1 || strncmp(s->first, s->nonce, NONCE) != 0) {
		if (status == 126 || status == 127)
			return mw_ctx_fail(ctx, MW_COMMAND_ERROR, "the sandbox has no shell that "
			    "could start a command: %.150s", s->first);
		return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
		    "the sandbox ended before the command began: %.150s", s->first);
	}
	if (strcmp(word, "cwd\n") == 0)
		return mw_ctx_fail(ctx, MW_COMMAND_ERROR, "working directory %s: cannot be entered",
		    x->cwd == NULL ? "" : x->cwd);
	if (strcmp(word, "cmd\n") == 0)
		return mw_ctx_fail(ctx, MW_COMMAND_ERROR, "%s: is no program here", x->argv[0]);
	if (strcmp(word, "in\n") == 0)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE, "the command's input was lost");
	return MW_OK;
}

/* The command's input as a file in the sandbox. */
static enum mw_code
put_input(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const struct mw_exec *x,
    char **abs)
{
	struct mw_engine_source src = { .p = x->input, .fd = -1, .size = (int64_t)x->input_len,
	    .mode = 0600, .mtime = mw_wall() };
	struct mw_engine_state st;
	enum mw_code code = mw_engine_inspect(e, ctx, user, &st);

	if (code != MW_OK)
		return code;
	if (!st.exists)
		return mw_ctx_fail(ctx, MW_SANDBOX_NOT_FOUND, "there is no such sandbox");
	if (!st.running)
		return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING, "the sandbox is asleep");
	return mw_engine_upload(e, ctx, user, &st, &src, NULL, abs);
}

static enum mw_code
run(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const struct mw_exec *x,
    struct mw_exec_result *r)
{
	char nonce[NONCE + 1], *id = NULL, *input = NULL;
	struct stream s = { .e = e, .ctx = ctx, .user = user, .r = r, .nonce = nonce };
	int64_t end = mw_now() + x->timeout;
	struct json_object *o;
	enum mw_code code = MW_OK;

	mw_str_random_hex(nonce, NONCE / 2);
	if (x->input_len > 0)
		code = e->files != NULL ? mw_engine_bound_input(e, ctx, user, x, &input) :
		    put_input(e, ctx, user, x, &input);
	if (code == MW_OK)
		code = build(e, ctx, x, nonce, input == NULL ? "" : input, &o);
	if (code != MW_OK)
		return code;
	code = create(e, ctx, user, o, &id);
	json_object_put(o);
	if (code == MW_OK && mw_left(end) == 0)
		code = mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT, "the sandbox took too long");
	if (code == MW_OK)
		code = start(e, ctx, user, id, mw_left(end), &s);
	if (code == MW_OK && (code = ask_status(e, ctx, id, &r->exit_code)) != MW_OK)
		ctx->err.unsent = false;	/* the question, not the command */
	if (code != MW_OK && input != NULL && e->files != NULL)
		mw_engine_bound_drop(e, user, input);
	return code == MW_OK ? judge(ctx, &s, x, r->exit_code) : code;
}

enum mw_code
mw_engine_exec(struct mw_sandbox *sb, struct mw_ctx *ctx, const char *user,
    const struct mw_exec *x, struct mw_exec_result *r)
{
	struct mw_engine *e = (struct mw_engine *)sb;
	int64_t deadline = ctx->deadline, end = mw_now() + (x->timeout > 0 ? x->timeout : 0);
	enum mw_code code;

	if (end < ctx->deadline)
		ctx->deadline = end;
	code = run(e, ctx, user, x, r);
	ctx->deadline = deadline;
	return code;
}
