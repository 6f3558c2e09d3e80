/* SPDX-License-Identifier: BSD-2-Clause */
/* One run of remote.sh: what is sent, and what its answer means. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "sandbox/remote/internal.h"

#define PROGRAM_MAX (8 << 20)		/* bytes of script, arguments and environment */
#define LINE_SPARE 1024			/* of a command line beside program and input */

static const char script[] =
#include "sandbox/remote/remote.sh.h"
;

/* In base64, as no argv that lives on shall hold a client's command, or words that
 * somebody's pgrep looks for. */
static const char inline_launch[] =
    "mw_script= mw_b64=$2; eval \"$(printf %s \"$1\" | base64 -d)\"";
static const char file_launch[] =
    "mw_script=$1 mw_b64=; if [ -f \"$1\" ]; then . \"$1\"; "
    "else echo mw1 lost; echo .end $2; fi";

/* What the script refuses. */
static const struct refusal {
	const char *word;
	enum mw_code code;
	const char *text;
} refusals[] = {
	{ "unproven", MW_SANDBOX_HIBERNATING, "the sandbox's files are not restored yet" },
	{ "absent", MW_FILE_NOT_FOUND, "no such file or directory" },
	{ "directory", MW_CONFLICT, "is a directory" },
	{ "parent", MW_CONFLICT, "its directory is not one" },
	{ "notdir", MW_CONFLICT, "is not a directory" },
	{ "special", MW_CONFLICT, "is not a regular file" },
	{ "changed", MW_CONFLICT, "changed while it was read" },
	{ "outside", MW_PERMISSION_DENIED, "a link leads out of the user's root" },
	{ "denied", MW_PERMISSION_DENIED, "permission denied" },
	{ "name", MW_INVALID_PATH, "file name too long" },
	{ "full", MW_STORAGE_FULL, "no space left in the sandbox" },
	{ "lost", MW_SANDBOX_UNREACHABLE, "what was sent to the sandbox before is gone" },
	{ "nowhere", MW_COMMAND_ERROR, "no such working directory" },
	{ "nothing", MW_COMMAND_ERROR, "no such program" },
	{ "failed", MW_SANDBOX_UNAVAILABLE, NULL },
};

struct calling {
	struct mw_remote_call *c;
	const char *path;
	struct mw_remote_answer answer;
};

/* ---- the answer ---- */

static enum mw_code
judge(void *arg, const char *line)
{
	struct calling *g = arg;
	size_t n = strcspn(line, " "), i;
	const char *rest = line[n] == ' ' ? line + n + 1 : "";

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (strlen(refusals[i].word) == n && memcmp(refusals[i].word, line, n) == 0)
			return mw_ctx_fail(g->c->ctx, refusals[i].code, "%.120s: %.100s", g->path,
			    refusals[i].text != NULL ? refusals[i].text : rest);
	}
	return g->c->head == NULL ? MW_OK : g->c->head(g->c->arg, line);
}

static enum mw_code
hand_over(void *arg, unsigned part, const void *p, size_t n)
{
	struct calling *g = arg;

	return g->c->data == NULL ? MW_OK : g->c->data(g->c->arg, part, p, n);
}

static bool
feed(void *arg, const void *p, size_t n)
{
	struct calling *g = arg;

	return mw_remote_answer_feed(&g->answer, p, n);
}

static enum mw_code
run(struct calling *g, const char *const *argv)
{
	struct mw_remote_call *c = g->c;
	struct mw_remote_run q = {
		.argv = argv, .once = c->once, .timeout = c->timeout, .out = feed, .arg = g,
		.exit_code = -1,
	};
	enum mw_code code;

	mw_remote_answer_init(&g->answer, c->nonce);
	g->answer.head = judge;
	g->answer.data = hand_over;
	g->answer.arg = g;
	code = c->r->ops->run(c->r, c->ctx, c->user, &q);
	if (g->answer.code != MW_OK)
		return g->answer.code;
	if (code != MW_OK)
		return code;
	if (g->answer.garbled || !g->answer.whole)
		return mw_ctx_fail(c->ctx, MW_SANDBOX_UNREACHABLE, "%.120s: the sandbox answered "
		    "something else than our script (exit %d); has its image sh, base64, "
		    "stat and find?", g->path, q.exit_code);
	c->bad = g->answer.bad;
	return MW_OK;
}

/* ---- what is sent ---- */

bool
mw_remote_quote(struct mw_buf *b, const char *s)
{
	size_t n;

	if (!mw_buf_addc(b, '\''))
		return false;
	for (;;) {
		n = strcspn(s, "'");
		if (!mw_buf_add(b, s, n))
			return false;
		if (s[n] == '\0')
			return mw_buf_addc(b, '\'');
		if (!mw_buf_adds(b, "'\\''"))
			return false;
		s += n + 1;
	}
}

static void
set(struct mw_buf *b, const char *name, const char *value)
{
	(void)(mw_buf_adds(b, name) && mw_buf_addc(b, '=') && mw_remote_quote(b, value) &&
	    mw_buf_addc(b, '\n'));
}

static bool
is_ours(const char *variable)
{
	return strncmp(variable, "MW_ROOT=", 8) == 0 || strncmp(variable, "MW_RUN_DIR=", 11) == 0;
}

/* Everything that stands before the script, and the script. */
static enum mw_code
build(const struct mw_remote_call *c, int64_t pieces, struct mw_buf *b)
{
	size_t i;

	mw_buf_reset(b);
	set(b, "MW_ROOT", c->r->root);
	set(b, "MW_RUN_DIR", c->r->run_dir);
	set(b, "mw_in", c->r->in);
	(void)mw_buf_addf(b, "export MW_ROOT MW_RUN_DIR\nmw_nonce=%s mw_proof=%d mw_pieces=%lld\n"
	    "mw_env()\n{\n\t:\n", c->nonce, c->proof ? 1 : 0, (long long)pieces);
	for (i = 0; c->env != NULL && c->env[i] != NULL; i++) {
		if (!is_ours(c->env[i]))
			(void)(mw_buf_adds(b, "export ") && mw_remote_quote(b, c->env[i]) &&
			    mw_buf_addc(b, '\n'));
	}
	(void)mw_buf_adds(b, "}\nset --");
	for (i = 0; c->args[i] != NULL; i++)
		(void)(mw_buf_addc(b, ' ') && mw_remote_quote(b, c->args[i]));
	(void)(mw_buf_addc(b, '\n') && mw_buf_adds(b, script));
	return b->failed ? mw_ctx_fail(c->ctx, MW_BODY_TOO_LARGE,
	    "a command takes at most %d bytes", PROGRAM_MAX) : MW_OK;
}

static int64_t
encoded(int64_t n)
{
	return (n + 2) / 3 * 4;
}

static enum mw_code
upload(const struct mw_remote_call *c, const char *name, const char *p, int fd, int64_t at,
    int64_t n, struct mw_buf *path)
{
	mw_buf_reset(path);
	if (!mw_buf_addf(path, "%s/%s.%s", c->r->in, c->nonce, name))
		return mw_ctx_nomem(c->ctx);
	return c->r->ops->upload(c->r, c->ctx, c->user, path->data, p, fd, at, n);
}

enum mw_code
mw_remote_encode(struct mw_ctx *ctx, struct mw_buf *b, const void *p, int fd, int64_t at,
    int64_t size)
{
	char block[3 * 8192];
	int64_t n;

	if (p != NULL)
		return mw_base64_write(mw_buf_writer, b, p, (size_t)size) ? MW_OK :
		    mw_ctx_nomem(ctx);
	for (; size > 0; at += n, size -= n) {
		n = size < (int64_t)sizeof(block) ? size : (int64_t)sizeof(block);
		if (pread(fd, block, (size_t)n, at) != (ssize_t)n)
			return mw_ctx_fail(ctx, MW_INTERNAL_ERROR,
			    "what is to be sent to the sandbox cannot be read");
		if (!mw_base64_write(mw_buf_writer, b, block, (size_t)n))
			return mw_ctx_nomem(ctx);
	}
	return MW_OK;
}

/* What goes along, as files IN/NONCE.1 and on. */
static enum mw_code
send_pieces(const struct mw_remote_call *c, struct mw_buf *path, int64_t *pieces)
{
	int64_t at, n, piece = c->r->ops->piece;
	const char *p = c->input;
	char name[24];
	enum mw_code code;

	for (at = 0; at < c->input_size; at += n) {
		n = c->input_size - at < piece ? c->input_size - at : piece;
		(void)snprintf(name, sizeof(name), "%lld", (long long)++*pieces);
		code = upload(c, name, p == NULL ? NULL : p + at, c->input_fd, at, n, path);
		if (code != MW_OK)
			return code;
	}
	return MW_OK;
}

/* Program and input in one command line. */
static enum mw_code
call_inline(struct calling *g, const struct mw_buf *program, struct mw_buf *b64)
{
	struct mw_buf input;
	enum mw_code code = MW_OK;

	mw_buf_init(&input, MW_REMOTE_LINE_MAX);
	mw_buf_reset(b64);
	if (!mw_base64_write(mw_buf_writer, b64, program->data, program->len) ||
	    !mw_buf_adds(&input, ""))
		code = mw_ctx_nomem(g->c->ctx);
	if (code == MW_OK)
		code = mw_remote_encode(g->c->ctx, &input, g->c->input, g->c->input_fd, 0,
		    g->c->input_size);
	if (code == MW_OK) {
		const char *argv[] = { "sh", "-c", inline_launch, "sh", b64->data, input.data,
		    NULL };
		code = run(g, argv);
	}
	mw_buf_free(&input);
	return code;
}

/* The input has gone ahead; the program too, if it is too large. */
static enum mw_code
call_pieces(struct calling *g, struct mw_buf *program, struct mw_buf *text)
{
	struct mw_remote_call *c = g->c;
	const char *argv[] = { "sh", "-c", file_launch, "sh", NULL, c->nonce, NULL };
	int64_t pieces = 0;
	enum mw_code code;

	if ((code = send_pieces(c, text, &pieces)) != MW_OK ||
	    (code = build(c, pieces, program)) != MW_OK)
		return code;
	if (encoded((int64_t)program->len) > MW_REMOTE_LINE_MAX - LINE_SPARE) {
		code = upload(c, "sh", program->data, -1, 0, (int64_t)program->len, text);
		argv[4] = text->data;
		return code == MW_OK ? run(g, argv) : code;
	}
	mw_buf_reset(text);
	if (!mw_base64_write(mw_buf_writer, text, program->data, program->len))
		return mw_ctx_nomem(c->ctx);
	argv[2] = inline_launch;
	argv[4] = text->data;
	argv[5] = "";
	return run(g, argv);
}

enum mw_code
mw_remote_call(struct mw_remote_call *c, const char *path)
{
	struct calling g = { .c = c, .path = *path == '\0' ? "/" : path };
	struct mw_buf program, text;
	enum mw_code code;

	mw_str_random_hex(c->nonce, 16);
	mw_buf_init(&program, PROGRAM_MAX);
	mw_buf_init(&text, PROGRAM_MAX);
	code = build(c, 0, &program);
	if (code == MW_OK && encoded((int64_t)program.len) + encoded(c->input_size) <=
	    MW_REMOTE_LINE_MAX - LINE_SPARE)
		code = call_inline(&g, &program, &text);
	else if (code == MW_OK)
		code = call_pieces(&g, &program, &text);
	mw_buf_free(&program);
	mw_buf_free(&text);
	return code;
}

enum mw_code
mw_remote_ping(struct mw_remote *r, struct mw_ctx *ctx, const char *user)
{
	static const char *const args[] = { "ping", NULL };
	struct mw_remote_call c = {
		.r = r, .ctx = ctx, .user = user, .args = args, .timeout = r->timeout,
		.input_fd = -1,
	};

	return mw_remote_call(&c, "ping");
}
