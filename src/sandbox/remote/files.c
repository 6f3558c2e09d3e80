/* SPDX-License-Identifier: BSD-2-Clause */
/* Single files. */
#include <stdio.h>
#include <string.h>

#include "base/path.h"
#include "base/range.h"
#include "base/str.h"
#include "sandbox/remote/internal.h"

#define READ_PIECE (8 << 20)	/* bytes that one call reads: the upstream may hold them all */
#define ID_MAX 128

static enum mw_code
garbled(struct mw_ctx *ctx, const char *path)
{
	return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
	    "%.150s: the sandbox answered something else than our script", path);
}

static enum mw_code
call(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    const char *const *args, struct mw_remote_call *c)
{
	struct mw_remote *r = (struct mw_remote *)s;

	c->r = r;
	c->ctx = ctx;
	c->user = user;
	c->args = args;
	c->proof = !s->allow_unproven;
	c->timeout = r->timeout;
	return mw_remote_call(c, path);
}

/* ---- read ---- */

struct reading {
	struct mw_ctx *ctx;
	const char *path;
	const struct mw_file_sink *sink;
	bool ranged, begun;
	int64_t from, to;		/* still to come, once begun; before: as asked for */
	int64_t due;			/* bytes of the call in hand */
	char id[ID_MAX];		/* the file that it is about */
};

static enum mw_code
begin(struct reading *g, const struct mw_stat *st, const char *id, size_t n)
{
	if (n >= sizeof(g->id))
		return garbled(g->ctx, g->path);
	memcpy(g->id, id, n);
	g->id[n] = '\0';
	if (!g->ranged) {
		g->from = 0;
		g->to = st->size - 1;
	} else if (!mw_range_resolve(st->size, &g->from, &g->to)) {
		return mw_ctx_fail(g->ctx, MW_RANGE_NOT_SATISFIABLE, "%.150s has %lld bytes",
		    g->path, (long long)st->size);
	}
	g->begun = true;
	return g->sink->begin(g->sink->arg, st, g->from, g->to);
}

/* "file ID SIZE MTIME MODE FROM" */
static enum mw_code
read_head(void *arg, const char *line)
{
	struct reading *g = arg;
	const char *id, *s;
	struct mw_stat st;
	size_t n, len;
	int64_t from;
	enum mw_code code;

	if (strncmp(line, "file ", 5) != 0)
		return garbled(g->ctx, g->path);
	line += 5;
	if (!mw_remote_field(&line, &id, &n) || !mw_remote_stat_parse(&line, &st) ||
	    !mw_remote_field(&line, &s, &len) || !mw_str_uint(s, len, INT64_MAX, &from))
		return garbled(g->ctx, g->path);
	if (!g->begun && (code = begin(g, &st, id, n)) != MW_OK)
		return code;
	if (st.type != MW_FT_FILE || (from != g->from && g->from <= g->to))
		return garbled(g->ctx, g->path);
	g->due = g->to - g->from + 1 < READ_PIECE ? g->to - g->from + 1 : READ_PIECE;
	return MW_OK;
}

static enum mw_code
read_data(void *arg, unsigned part, const void *p, size_t n)
{
	struct reading *g = arg;

	if (part != 0 || (int64_t)n > g->due)
		return garbled(g->ctx, g->path);
	g->due -= (int64_t)n;
	g->from += (int64_t)n;
	return g->sink->data(g->sink->arg, p, n);
}

static enum mw_code
read_piece(struct mw_sandbox *s, const char *user, struct reading *g)
{
	struct mw_remote_call c = { .head = read_head, .data = read_data, .arg = g };
	char from[24], to[24], max[24];
	const char *const args[] = { "read", g->path, from, to, max, g->id, NULL };
	enum mw_code code;

	(void)snprintf(from, sizeof(from), "%lld", (long long)g->from);
	(void)snprintf(to, sizeof(to), "%lld", (long long)g->to);
	(void)snprintf(max, sizeof(max), "%d", READ_PIECE);
	code = call(s, g->ctx, user, g->path, args, &c);
	if (code == MW_OK && g->due != 0)
		return mw_ctx_fail(g->ctx, MW_SANDBOX_UNAVAILABLE,
		    "%.150s: got shorter while it was read", g->path);
	return code;
}

enum mw_code
mw_remote_read(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    bool ranged, int64_t from, int64_t to, const struct mw_file_sink *sink)
{
	struct reading g = { .ctx = ctx, .path = path, .sink = sink, .ranged = ranged,
	    .from = ranged ? from : 0, .to = ranged ? to : -1 };
	enum mw_code code;

	do {
		code = read_piece(s, user, &g);
	} while (code == MW_OK && g.from <= g.to);
	return code;
}

/* ---- the others ---- */

/* The last segment must be a file's name. */
static enum mw_code
named(struct mw_ctx *ctx, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return mw_ctx_fail(ctx, MW_CONFLICT, "%.150s: is a directory",
		    *path == '\0' ? "/" : path);
	return MW_OK;
}

enum mw_code
mw_remote_write(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    int fd, int64_t size, int mode, int64_t mtime)
{
	struct mw_remote_call c = { .input_fd = fd, .input_size = size };
	char bytes[24], bits[8] = "-1", time[40] = "";
	const char *const args[] = { "write", path, bytes, bits, time, NULL };
	enum mw_code code;

	if ((code = named(ctx, path)) != MW_OK)
		return code;
	(void)snprintf(bytes, sizeof(bytes), "%lld", (long long)size);
	if (mode >= 0)
		(void)snprintf(bits, sizeof(bits), "%03o", (unsigned)mode & 0777);
	if (mtime >= 0)
		(void)snprintf(time, sizeof(time), "%lld.%03d", (long long)(mtime / 1000),
		    (int)(mtime % 1000));
	return call(s, ctx, user, path, args, &c);
}

enum mw_code
mw_remote_remove(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path)
{
	struct mw_remote_call c = { .input_fd = -1 };
	const char *const args[] = { "remove", path, NULL };
	enum mw_code code = named(ctx, path);

	return code == MW_OK ? call(s, ctx, user, path, args, &c) : code;
}

struct looking {
	struct mw_ctx *ctx;
	const char *path;
	struct mw_stat *st;
};

static enum mw_code
stat_head(void *arg, const char *line)
{
	struct looking *g = arg;

	if (strncmp(line, "stat ", 5) != 0)
		return garbled(g->ctx, g->path);
	line += 5;
	return mw_remote_stat_parse(&line, g->st) ? MW_OK : garbled(g->ctx, g->path);
}

enum mw_code
mw_remote_stat(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user, const char *path,
    struct mw_stat *st)
{
	struct looking g = { .ctx = ctx, .path = path, .st = st };
	struct mw_remote_call c = { .input_fd = -1, .head = stat_head, .arg = &g };
	const char *const args[] = { "stat", path, NULL };

	return call(s, ctx, user, path, args, &c);
}
