/* SPDX-License-Identifier: BSD-2-Clause */
/* A page of a listing, from R2, the outbox and the sandbox. */
#include "ops/files/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "app/classify.h"
#include "ops/ready/ready.h"

#define CURSOR_MAX 4096
#define KEPT_MAX (4 * (MW_LIST_MAX + 1))	/* entries of a sandbox held at a time */
#define NAMES_MAX ((size_t)16 << 20)		/* bytes of their names */

int
mw_list_order(const struct mw_listed *a, const struct mw_listed *b)
{
	int order = strcmp(a->path, b->path);

	return order != 0 ? order : (a->type == MW_FT_DIR) - (b->type == MW_FT_DIR);
}

bool
mw_list_passed(const struct mw_list_job *g, const struct mw_listed *e)
{
	int order = g->after == NULL ? 1 : strcmp(e->path, g->after);

	return order < 0 || (order == 0 && (g->after_dir || e->type != MW_FT_DIR));
}

static int
by_path(const void *a, const void *b)
{
	return mw_list_order(a, b);
}

enum mw_code
mw_list_add(struct mw_list_job *g, struct mw_list_rows *r, const struct mw_listed *e)
{
	struct mw_listed *grown;
	size_t cap = r->cap == 0 ? 256 : r->cap * 2;

	if (r->n == r->cap) {
		if ((grown = realloc(r->entry, cap * sizeof(*grown))) == NULL)
			return mw_ctx_nomem(g->ctx);
		r->entry = grown;
		r->cap = cap;
	}
	grown = &r->entry[r->n];
	*grown = *e;
	if ((grown->path = mw_arena_strdup(g->names, e->path)) == NULL ||
	    (e->etag != NULL &&
	    (grown->etag = mw_arena_strdup(g->names, e->etag)) == NULL))
		return mw_ctx_nomem(g->ctx);
	r->n++;
	return MW_OK;
}

void
mw_list_sort(struct mw_list_rows *r)
{
	if (r->n > 1)
		qsort(r->entry, r->n, sizeof(*r->entry), by_path);
}

/*
 * The name of an entry relative to the listed directory, as the path parser
 * would have it; NULL if it is ours or cannot be a path (then it is counted).
 */
const char *
mw_list_name(struct mw_list_job *g, const char *relative, char out[MW_PATH_MAX + 1])
{
	struct mw_err bad = { .code = MW_OK };
	char full[2 * MW_PATH_MAX + 2];
	size_t base = strlen(g->l->path);
	int n;

	n = snprintf(full, sizeof(full), "%s%s%s", g->l->path, base > 0 ? "/" : "", relative);
	if (n > 0 && (size_t)n < sizeof(full) && mw_path_parse(full, (size_t)n, MW_PATH_OURS,
	    out, &bad) == MW_OK && strcmp(out, full) == 0)
		return mw_path_ours(out) ? NULL : out + (base > 0 ? base + 1 : 0);
	if (g->l->skipped++ == 0)
		mw_log(MW_WARN, "[FILES] userId=%s: a name below /%s cannot be a path: %s",
		    g->l->user, g->l->path, bad.msg);
	return NULL;
}

/* ---- the sandbox ---- */

/* Keep the first entries, one more than the page has, and give back the names of
 * the others. */
static enum mw_code
keep_first(struct mw_list_job *g)
{
	struct mw_arena *full = g->names;
	size_t i, most = (size_t)g->l->limit + 1;

	mw_list_sort(&g->rows);
	if (g->rows.n > most)
		g->rows.n = most;
	mw_arena_reset(g->spare);
	for (i = 0; i < g->rows.n; i++) {
		g->rows.entry[i].path = mw_arena_strdup(g->spare, g->rows.entry[i].path);
		if (g->rows.entry[i].path == NULL)
			return mw_ctx_nomem(g->ctx);
	}
	g->names = g->spare;
	g->spare = full;
	g->bound = g->rows.n == most ? g->rows.entry[most - 1].path : NULL;
	return MW_OK;
}

/* Entries come in any order, and of any number. */
static enum mw_code
container_entry(void *arg, const struct mw_entry *entry)
{
	struct mw_list_job *g = arg;
	char path[MW_PATH_MAX + 1];
	struct mw_listed e = { .type = entry->st.type, .size = entry->st.size,
	    .modified = entry->st.mtime, .mode = entry->st.mode };
	enum mw_code code;

	if (entry->code != MW_OK || entry->st.type == MW_FT_OTHER ||
	    (e.path = mw_list_name(g, entry->path, path)) == NULL ||
	    mw_list_passed(g, &e) ||
	    (g->bound != NULL && strcmp(e.path, g->bound) >= 0))
		return MW_OK;
	if (g->rows.n >= KEPT_MAX && (code = keep_first(g)) != MW_OK)
		return code;
	return mw_list_add(g, &g->rows, &e);
}

static enum mw_code
try_container(void *arg, struct mw_sandbox *sb)
{
	struct mw_list_job *g = arg;

	g->rows.n = 0;
	g->l->skipped = 0;
	g->bound = NULL;
	mw_arena_reset(g->names);
	return sb->ops->list(sb, g->ctx, g->l->user, g->l->path, g->l->recursive,
	    container_entry, g);
}

/* The names of what is left, into the request's memory. */
static enum mw_code
own_names(struct mw_list_job *g)
{
	size_t i;

	for (i = 0; i < g->rows.n; i++) {
		g->rows.entry[i].path = mw_arena_strdup(g->ctx->arena, g->rows.entry[i].path);
		if (g->rows.entry[i].path == NULL)
			return mw_ctx_nomem(g->ctx);
	}
	return MW_OK;
}

static enum mw_code
from_container(struct mw_list_job *g)
{
	enum mw_code code;

	g->l->tried |= MW_TRIED_CONTAINER;
	g->l->from_source = "container";
	g->names = mw_arena_open(NAMES_MAX);
	g->spare = mw_arena_open(NAMES_MAX);
	if (g->names == NULL || g->spare == NULL)
		code = mw_ctx_nomem(g->ctx);
	else
		code = mw_in_sandbox(g->app, g->ctx, g->l->user, g->l->max_wake, try_container, g);
	if (code == MW_OK)
		code = keep_first(g);
	if (code == MW_OK)
		code = own_names(g);
	mw_arena_close(g->names);
	mw_arena_close(g->spare);
	g->names = g->ctx->arena;
	return code;
}

/* ---- pages ---- */

/* A cursor is the source and the last path, in hex: opaque, and safe in a URL.  A
 * directory's ends with a slash: R2 may have a file of its name, which comes before. */
static enum mw_code
read_cursor(struct mw_list_job *g)
{
	struct mw_listing *l = g->l;
	size_t n = l->cursor != NULL ? strlen(l->cursor) : 0;
	enum mw_source from;
	char *text;

	if (l->cursor == NULL)
		return MW_OK;
	if (n < 4 || n % 2 != 0 || n > CURSOR_MAX ||
	    (text = mw_arena_alloc(g->ctx->arena, n / 2 + 1)) == NULL ||
	    !mw_str_unhex(l->cursor, n, (unsigned char *)text) ||
	    strlen(text) != n / 2 || (text[0] != 'r' && text[0] != 'c'))
		return mw_ctx_fail(g->ctx, MW_INVALID_ARGUMENT,
		    "cursor: expected the nextCursor of an earlier answer");
	from = text[0] == 'r' ? MW_SRC_R2 : MW_SRC_CONTAINER;
	if (l->source != MW_SRC_AUTO && l->source != from)
		return mw_ctx_fail(g->ctx, MW_INVALID_ARGUMENT,
		    "cursor: it comes from source=%s, and source=%s was asked for",
		    mw_source_words[from], mw_source_words[l->source]);
	l->source = from;
	g->after = text + 1;
	n = strlen(g->after);
	if ((g->after_dir = n > 0 && g->after[n - 1] == '/'))
		text[n] = '\0';
	return MW_OK;
}

static enum mw_code
write_cursor(struct mw_list_job *g, const struct mw_listed *last)
{
	char *text = mw_arena_printf(g->ctx->arena, "%c%s%s", g->l->from_source[0], last->path,
	    last->type == MW_FT_DIR ? "/" : "");
	char *hex = text == NULL ? NULL :
	    mw_arena_alloc(g->ctx->arena, 2 * strlen(text) + 1);

	if (hex == NULL)
		return mw_ctx_nomem(g->ctx);
	mw_str_hex((const unsigned char *)text, strlen(text), hex);
	g->l->next = hex;
	return MW_OK;
}

/* The page after the cursor, into the arena. */
static enum mw_code
cut_page(struct mw_list_job *g)
{
	struct mw_listing *l = g->l;
	struct mw_listed *page;
	size_t first = 0, n;

	while (first < g->rows.n && mw_list_passed(g, &g->rows.entry[first]))
		first++;
	n = g->rows.n - first;
	if (n > (size_t)l->limit)
		n = (size_t)l->limit;
	if ((page = mw_arena_alloc(g->ctx->arena, (n + 1) * sizeof(*page))) == NULL)
		return mw_ctx_nomem(g->ctx);
	if (n > 0)
		memcpy(page, g->rows.entry + first, n * sizeof(*page));
	l->entry = page;
	l->n = n;
	if (n > 0 && (first + n < g->rows.n || g->more))
		return write_cursor(g, &page[n - 1]);
	return MW_OK;
}

/*
 * From the sandbox when it is known awake, else from R2; if that one cannot
 * answer, from the other.  Only who asks for the sandbox by name starts it.  That it
 * cannot help either, or has nothing there, is not the answer: R2's failure is.
 */
static enum mw_code
from_either(struct mw_list_job *g)
{
	struct mw_listing *l = g->l;
	bool awake = mw_known_awake(g->app, l->user);
	enum mw_code code, second;
	struct mw_err cause;

	l->max_wake = 0;
	code = awake ? from_container(g) : mw_list_from_r2(g);
	if (!mw_is_outage(code) || (!awake && !mw_files_at_hand(g->app, l->user)))
		return code;
	mw_log(MW_WARN, "[FILES] userId=%s: %s cannot list /%s (%s), asking the other",
	    l->user, l->from_source, l->path, g->ctx->err.msg);
	cause = g->ctx->err;
	mw_err_clear(&g->ctx->err);
	g->rows.n = 0;
	g->more = false;
	if (awake)
		return mw_list_from_r2(g);
	second = from_container(g);
	if (second != MW_FILE_NOT_FOUND && !mw_is_outage(second))
		return second;
	g->ctx->err = cause;
	return code;
}

static enum mw_code
gather_all(struct mw_list_job *g)
{
	bool by_name = g->l->source == MW_SRC_CONTAINER;
	enum mw_code code;

	if ((code = read_cursor(g)) != MW_OK)
		return code;
	if (!by_name)
		g->l->max_wake = 0;
	if (g->l->source == MW_SRC_AUTO)
		code = from_either(g);
	else
		code = g->l->source == MW_SRC_CONTAINER ? from_container(g) : mw_list_from_r2(g);
	return code == MW_OK ? cut_page(g) : code;
}

enum mw_code
mw_list_files(struct mw_app *app, struct mw_ctx *ctx, struct mw_listing *l)
{
	struct mw_list_job g = { .app = app, .ctx = ctx, .l = l, .names = ctx->arena };
	enum mw_code code;

	code = gather_all(&g);
	free(g.rows.entry);
	free(g.over.entry);
	free(g.doubtful.entry);
	return code;
}
