/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "sandbox/remote/internal.h"

#define ARGS_MAX 4096

struct running {
	struct mw_ctx *ctx;
	struct mw_exec_result *r;
	char last[33];			/* ends each stream */
	struct mw_buf got[2];		/* the streams, with that */
	int exit_code;
};

static enum mw_code
take_head(void *arg, const char *line)
{
	struct running *g = arg;
	int64_t n;

	if (strncmp(line, "ran ", 4) != 0 || !mw_str_uint(line + 4, strlen(line + 4), 255, &n))
		return mw_ctx_fail(g->ctx, MW_SANDBOX_UNREACHABLE,
		    "the sandbox answered something else than how the command ended");
	g->exit_code = (int)n;
	return MW_OK;
}

static enum mw_code
take_data(void *arg, unsigned part, const void *p, size_t n)
{
	struct running *g = arg;

	if (part > 1)
		return mw_ctx_fail(g->ctx, MW_SANDBOX_UNREACHABLE,
		    "the sandbox answered with more than two streams");
	if (!mw_buf_add(&g->got[part], p, n))
		return mw_ctx_fail(g->ctx, MW_SANDBOX_UNREACHABLE,
		    "the sandbox answered with more output than was asked for");
	return MW_OK;
}

/* Where the end stands: what comes after it was written by something that the
 * command left running. */
static size_t
find(const struct mw_buf *b, const char *last)
{
	size_t n = strlen(last);
	const char *at = b->len < n ? NULL : memmem(b->data, b->len, last, n);

	return at == NULL ? b->len + 1 : (size_t)(at - b->data);
}

static bool
keep(const struct mw_buf *got, const char *last, struct mw_buf *out, bool *cut)
{
	size_t len = find(got, last), room = out->max - out->len;

	*cut = len > room;
	if (len > got->len)
		len = got->len;
	return mw_buf_add(out, got->data == NULL ? "" : got->data, len < room ? len : room);
}

/* NAME=value, with a name as shells have them. */
static bool
is_variable(const char *s)
{
	size_t n = strcspn(s, "="), i;

	if (s[n] != '=' || n == 0 || isdigit((unsigned char)s[0]))
		return false;
	for (i = 0; i < n; i++) {
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	}
	return true;
}

static enum mw_code
check(struct mw_ctx *ctx, const struct mw_exec *x, size_t *argc)
{
	size_t i;

	for (*argc = 0; x->argv[*argc] != NULL && *argc <= ARGS_MAX; (*argc)++)
		continue;
	for (i = 0; x->env != NULL && x->env[i] != NULL; i++) {
		if (i == ARGS_MAX || !is_variable(x->env[i]))
			return mw_ctx_fail(ctx, MW_INVALID_ARGUMENT,
			    "an environment variable's name is not one that a shell takes");
	}
	if (*argc == 0 || *argc > ARGS_MAX || x->input_len > MW_REMOTE_INPUT_MAX)
		return mw_ctx_fail(ctx, MW_INVALID_ARGUMENT, "a command takes 1 to %d arguments, "
		    "and %d bytes of input", ARGS_MAX, MW_REMOTE_INPUT_MAX);
	return MW_OK;
}

static enum mw_code
call(struct mw_remote *r, struct mw_ctx *ctx, const char *user, const struct mw_exec *x,
    const char *const *args, struct running *g)
{
	struct mw_remote_call c = {
		.r = r, .ctx = ctx, .user = user, .args = args, .env = x->env, .once = true,
		.timeout = x->timeout, .input = x->input, .input_fd = -1,
		.input_size = (int64_t)x->input_len, .head = take_head, .data = take_data,
		.arg = g,
	};
	enum mw_code code = mw_remote_call(&c, x->argv[0]);

	if (code != MW_OK)
		return code;
	g->r->exit_code = g->exit_code;
	return keep(&g->got[0], g->last, &g->r->out, &g->r->out_cut) &&
	    keep(&g->got[1], g->last, &g->r->err, &g->r->err_cut) ? MW_OK : mw_ctx_nomem(ctx);
}

enum mw_code
mw_remote_exec(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const struct mw_exec *x, struct mw_exec_result *r)
{
	struct mw_remote *m = (struct mw_remote *)s;
	size_t out = r->out.max - r->out.len, err = r->err.max - r->err.len, argc, n = 0, i;
	struct running g = { .ctx = ctx, .r = r };
	const char *cwd = x->cwd, **args;
	char numbers[3][24];
	enum mw_code code;

	if ((code = check(ctx, x, &argc)) != MW_OK)
		return code;
	if ((args = mw_arena_alloc(ctx->arena, (argc + 7) * sizeof(*args))) == NULL)
		return mw_ctx_nomem(ctx);
	if (cwd == NULL || cwd[0] != '/')
		cwd = mw_arena_printf(ctx->arena, "%s/%s", m->root, cwd == NULL ? "" : cwd);
	if (cwd == NULL)
		return mw_ctx_nomem(ctx);
	(void)snprintf(numbers[0], sizeof(numbers[0]), "%zu", out);
	(void)snprintf(numbers[1], sizeof(numbers[1]), "%zu", err);
	(void)snprintf(numbers[2], sizeof(numbers[2]), "%lld",
	    x->input == NULL ? -1LL : (long long)x->input_len);
	mw_str_random_hex(g.last, 16);
	args[n++] = "exec";
	args[n++] = cwd;
	for (i = 0; i < 3; i++)
		args[n++] = numbers[i];
	args[n++] = g.last;
	for (i = 0; i <= argc; i++)
		args[n++] = x->argv[i];
	mw_buf_init(&g.got[0], out + 32);
	mw_buf_init(&g.got[1], err + 32);
	code = call(m, ctx, user, x, args, &g);
	mw_buf_free(&g.got[0]);
	mw_buf_free(&g.got[1]);
	return code;
}
