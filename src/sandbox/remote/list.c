/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists.  Entries come as "NONCE SIZE MTIME MODE ./NAME" and a newline; the name may
 * hold newlines too, but not the nonce, which was made for this call.
 */
#include <string.h>

#include "sandbox/remote/internal.h"

#define CARRY_MAX (1 << 20)	/* bytes of entries not yet handed over */
#define REST_MAX 32768		/* more than two entries with the longest paths there are */

struct listing {
	struct mw_ctx *ctx;
	const char *path;
	mw_entry_fn fn;
	void *arg;
	struct mw_buf carry;
	const char *nonce;		/* of the call */
	bool headed;
};

static enum mw_code
garbled(struct listing *g)
{
	return mw_ctx_fail(g->ctx, MW_SANDBOX_UNREACHABLE,
	    "%.150s: the sandbox answered something else than a list",
	    *g->path == '\0' ? "/" : g->path);
}

static enum mw_code
list_head(void *arg, const char *line)
{
	struct listing *g = arg;

	g->headed = strcmp(line, "list") == 0;
	return g->headed ? MW_OK : garbled(g);
}

/* One entry s[0..n), behind its nonce, without the newline; s[n] is overwritten. */
static enum mw_code
entry(struct listing *g, char *s, size_t n)
{
	struct mw_entry e = { .path = NULL };
	const char *p = s;

	s[n] = '\0';
	if (strlen(s) != n || !mw_remote_stat_parse(&p, &e.st) || strncmp(p, " ./", 3) != 0 ||
	    p[3] == '\0')
		return garbled(g);
	e.path = p + 3;
	return g->fn(g->arg, &e);
}

/* Where the entry that begins at `at` ends: before the next nonce.  `last`: at the end. */
static bool
entry_end(struct listing *g, size_t at, bool last, size_t *end)
{
	size_t n = strlen(g->nonce);
	char *p = g->carry.data + at, *next;

	for (next = p; (next = memmem(next, g->carry.len - (size_t)(next - g->carry.data),
	    g->nonce, n)) != NULL; next += n) {
		if (next[-1] == '\n')
			break;
	}
	*end = next != NULL ? (size_t)(next - g->carry.data) : g->carry.len;
	return next != NULL || last;
}

/* Hand over what is complete. */
static enum mw_code
hand_over(struct listing *g, bool last)
{
	size_t n = strlen(g->nonce), at = 0, end;
	enum mw_code code = MW_OK;

	while (code == MW_OK && g->carry.len - at > n) {
		if (memcmp(g->carry.data + at, g->nonce, n) != 0)
			return garbled(g);
		if (!entry_end(g, at + n, last, &end))
			break;
		if (g->carry.data[end - 1] != '\n')
			return garbled(g);
		code = entry(g, g->carry.data + at + n, end - 1 - at - n);
		at = end;
	}
	if (code == MW_OK && last && at != g->carry.len)
		return garbled(g);
	memmove(g->carry.data, g->carry.data + at, g->carry.len - at);
	g->carry.len -= at;
	return code;
}

static enum mw_code
list_data(void *arg, unsigned part, const void *p, size_t n)
{
	struct listing *g = arg;

	if (part != 0 || g->carry.len > REST_MAX || !mw_buf_add(&g->carry, p, n))
		return garbled(g);
	return hand_over(g, false);
}

enum mw_code
mw_remote_list(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    bool recursive, mw_entry_fn fn, void *arg)
{
	const char *const args[] = { "list", path, recursive ? "1" : "0", NULL };
	struct listing g = { .ctx = ctx, .path = path, .fn = fn, .arg = arg };
	struct mw_remote_call c = {
		.r = (struct mw_remote *)s, .ctx = ctx, .user = user, .args = args,
		.proof = !s->allow_unproven, .timeout = ((struct mw_remote *)s)->timeout,
		.input_fd = -1, .head = list_head, .data = list_data, .arg = &g,
	};
	enum mw_code code;

	g.nonce = c.nonce;
	mw_buf_init(&g.carry, CARRY_MAX);
	code = mw_remote_call(&c, path);
	if (code == MW_OK && g.carry.len > 0)
		code = hand_over(&g, true);
	if (code == MW_OK && c.bad)
		code = mw_ctx_fail(ctx, MW_PERMISSION_DENIED,
		    "%.150s: a part of it cannot be read", *path == '\0' ? "/" : path);
	mw_buf_free(&g.carry);
	return code;
}
