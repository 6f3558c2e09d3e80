/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "ops/classify.h"
#include "ops/retry.h"
#include "ops/wake.h"

#define CURSOR_MAX 4096

/* Entries on the way to an answer. */
struct gather {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_listing *l;
	const char *after;		/* from the cursor, or NULL */
	size_t want;			/* stop when so many are there; 0 = take all */
	struct mw_listed *entry;
	size_t n, cap;
	/* R2 */
	const char *prefix;
	const char *last_key;
	bool more;
};

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct mw_listed *)a)->path, ((const struct mw_listed *)b)->path);
}

static enum mw_code
add(struct gather *g, const struct mw_listed *e)
{
	struct mw_listed *grown;
	size_t cap = g->cap == 0 ? 256 : g->cap * 2;

	if (g->n == g->cap) {
		if ((grown = realloc(g->entry, cap * sizeof(*grown))) == NULL)
			return mw_ctx_nomem(g->ctx);
		g->entry = grown;
		g->cap = cap;
	}
	g->entry[g->n] = *e;
	if ((g->entry[g->n].path = mw_arena_strdup(g->ctx->arena, e->path)) == NULL ||
	    (e->etag != NULL &&
	    (g->entry[g->n].etag = mw_arena_strdup(g->ctx->arena, e->etag)) == NULL))
		return mw_ctx_nomem(g->ctx);
	g->n++;
	return MW_OK;
}

/*
 * The name of an entry relative to the listed directory, as the path parser
 * would have it; NULL if it is ours or cannot be a path (then it is counted).
 */
static const char *
clean_name(struct gather *g, const char *relative, char out[MW_PATH_MAX + 1])
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

/* ---- R2 ---- */

static enum mw_code
r2_row(void *arg, const struct mw_list_row *row)
{
	struct gather *g = arg;
	char name[2 * MW_PATH_MAX], path[MW_PATH_MAX + 1];
	struct mw_listed e = { .size = -1, .modified = -1, .mode = -1 };
	size_t n;

	if ((g->last_key = mw_arena_strdup(g->ctx->arena, row->key)) == NULL)
		return mw_ctx_nomem(g->ctx);
	(void)snprintf(name, sizeof(name), "%s", row->key + strlen(g->prefix));
	n = strlen(name);
	if (row->group && n > 0)
		name[n - 1] = '\0';
	if ((e.path = clean_name(g, name, path)) == NULL)
		return MW_OK;
	e.type = row->group ? MW_FT_DIR : MW_FT_FILE;
	if (!row->group) {
		e.size = row->size;
		e.modified = row->modified;
		e.etag = row->etag;
	}
	return add(g, &e);
}

static enum mw_code
try_r2_page(void *arg)
{
	struct gather *g = arg;
	struct mw_store *store = g->app->store;
	struct mw_list_req req = {
		.prefix = g->prefix, .recursive = g->l->recursive, .after = g->last_key,
		.max = MW_LIST_MAX,
	};
	size_t n = g->n, skipped = g->l->skipped;
	const char *last = g->last_key;
	enum mw_code code;

	if (g->want > 0 && g->want - g->n < MW_LIST_MAX)
		req.max = (int64_t)(g->want - g->n);
	code = store->ops->list(store, g->ctx, &req, r2_row, g, &g->more);
	if (code != MW_OK) {		/* the next attempt begins where this one did */
		g->n = n;
		g->l->skipped = skipped;
		g->last_key = last;
	}
	return code;
}

static enum mw_code
overlay_row(void *arg, const struct mw_outbox_row *row)
{
	struct gather *g = arg;
	size_t base = strlen(g->l->path), i;
	const char *relative = row->path + (base > 0 ? base + 1 : 0), *slash;
	struct mw_listed e = { .path = relative, .type = MW_FT_FILE, .size = row->size,
	    .modified = row->created, .mode = -1 };
	char hex[33], etag[40];

	if (!g->l->recursive && (slash = strchr(relative, '/')) != NULL) {
		e.type = MW_FT_DIR;
		e.size = e.modified = -1;
		e.path = mw_arena_dup(g->ctx->arena, relative, (size_t)(slash - relative));
		if (e.path == NULL)
			return mw_ctx_nomem(g->ctx);
		if (row->op == MW_OUTBOX_DELETE)
			return MW_OK;
	}
	if (g->after != NULL && strcmp(e.path, g->after) <= 0)
		return MW_OK;
	/* Past the last row of an unfinished page: a later page's. */
	if (g->more && g->n > 0 && strcmp(e.path, g->entry[g->n - 1].path) > 0)
		return MW_OK;
	for (i = 0; i < g->n; i++) {
		if (strcmp(g->entry[i].path, e.path) != 0)
			continue;
		if (e.type == MW_FT_DIR)
			return MW_OK;
		memmove(&g->entry[i], &g->entry[i + 1], (g->n - i - 1) * sizeof(*g->entry));
		g->n--;
		break;
	}
	if (row->op == MW_OUTBOX_DELETE)
		return MW_OK;
	if (e.type == MW_FT_FILE) {
		mw_str_hex(row->md5, sizeof(row->md5), hex);
		(void)snprintf(etag, sizeof(etag), "\"%s\"", hex);
		e.etag = etag;
	}
	if (add(g, &e) != MW_OK)
		return g->ctx->err.code;
	/* Kept sorted, so that "past the last row" stays true for the rows to come. */
	qsort(g->entry, g->n, sizeof(*g->entry), by_path);
	return MW_OK;
}

/*
 * Recursive rows come in the order that is asked for and page by page.  One
 * level is read whole: R2 sorts the directory "a/" after the file "a-b", we do
 * not, so a page of R2's is not a page of ours.
 */
static enum mw_code
from_r2(struct gather *g)
{
	struct mw_store *store;
	enum mw_code code;
	const char *below;

	g->l->tried |= MW_TRIED_R2;
	g->l->from_source = "r2";
	if ((code = mw_app_store(g->app, g->ctx, &store)) != MW_OK)
		return code;
	below = g->l->path[0] != '\0' ?
	    mw_arena_printf(g->ctx->arena, "%s/", g->l->path) : g->l->path;
	if (below == NULL ||
	    (g->prefix = mw_store_key(g->app->conf, g->ctx->arena, g->l->user, below)) == NULL)
		return mw_ctx_nomem(g->ctx);
	if (g->l->recursive) {
		g->want = (size_t)g->l->limit + 1;
		if (g->after != NULL && (g->last_key = mw_arena_printf(g->ctx->arena, "%s%s",
		    g->prefix, g->after)) == NULL)
			return mw_ctx_nomem(g->ctx);
	}
	do {
		if ((code = mw_retry(g->app, g->ctx, MW_UP_STORE, try_r2_page, g)) != MW_OK)
			return code;
	} while (g->more && (g->want == 0 || g->n < g->want));
	qsort(g->entry, g->n, sizeof(*g->entry), by_path);
	return mw_outbox_each(g->app->outbox, g->ctx, g->l->user, below, overlay_row, g);
}

/* ---- the sandbox ---- */

static enum mw_code
container_entry(void *arg, const struct mw_entry *entry)
{
	struct gather *g = arg;
	char path[MW_PATH_MAX + 1];
	struct mw_listed e = { .type = entry->st.type, .size = entry->st.size,
	    .modified = entry->st.mtime, .mode = entry->st.mode };

	if (entry->st.type == MW_FT_OTHER ||
	    (e.path = clean_name(g, entry->path, path)) == NULL)
		return MW_OK;
	return add(g, &e);
}

static enum mw_code
try_container(void *arg, struct mw_sandbox *sb)
{
	struct gather *g = arg;

	g->n = 0;
	g->l->skipped = 0;
	return sb->ops->list(sb, g->ctx, g->l->user, g->l->path, g->l->recursive,
	    container_entry, g);
}

static enum mw_code
from_container(struct gather *g)
{
	enum mw_code code;

	g->l->tried |= MW_TRIED_CONTAINER;
	g->l->from_source = "container";
	code = mw_in_sandbox(g->app, g->ctx, g->l->user, g->l->max_wake, try_container, g);
	if (code == MW_OK)
		qsort(g->entry, g->n, sizeof(*g->entry), by_path);
	return code;
}

/* ---- pages ---- */

/* A cursor is the source and the last path, in hex: opaque, and safe in a URL. */
static enum mw_code
read_cursor(struct gather *g)
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
	return MW_OK;
}

static enum mw_code
write_cursor(struct gather *g, const char *last)
{
	size_t n = strlen(last);
	char *text = mw_arena_printf(g->ctx->arena, "%c%s", g->l->from_source[0], last);
	char *hex = mw_arena_alloc(g->ctx->arena, 2 * (n + 1) + 1);

	if (text == NULL || hex == NULL)
		return mw_ctx_nomem(g->ctx);
	mw_str_hex((const unsigned char *)text, n + 1, hex);
	g->l->next = hex;
	return MW_OK;
}

/* The page after the cursor, into the arena. */
static enum mw_code
cut_page(struct gather *g)
{
	struct mw_listing *l = g->l;
	struct mw_listed *page;
	size_t first = 0, n;

	while (g->after != NULL && first < g->n && strcmp(g->entry[first].path, g->after) <= 0)
		first++;
	n = g->n - first;
	if (n > (size_t)l->limit)
		n = (size_t)l->limit;
	if ((page = mw_arena_alloc(g->ctx->arena, (n + 1) * sizeof(*page))) == NULL)
		return mw_ctx_nomem(g->ctx);
	if (n > 0)
		memcpy(page, g->entry + first, n * sizeof(*page));
	l->entry = page;
	l->n = n;
	if (n > 0 && (first + n < g->n || g->more))
		return write_cursor(g, page[n - 1].path);
	return MW_OK;
}

static enum mw_code
gather_all(struct gather *g)
{
	struct mw_listing *l = g->l;
	enum mw_source source = l->source;
	enum mw_code code;

	if (source == MW_SRC_AUTO)
		source = mw_known_awake(g->app, l->user) ? MW_SRC_CONTAINER : MW_SRC_R2;
	code = source == MW_SRC_R2 ? from_r2(g) : from_container(g);
	if (mw_is_outage(code) && l->source == MW_SRC_AUTO && source == MW_SRC_R2 &&
	    mw_files_at_hand(g->app, l->user)) {
		mw_log(MW_WARN, "[FILES] userId=%s: R2 cannot list /%s (%s), asking the sandbox",
		    l->user, l->path, g->ctx->err.msg);
		mw_err_clear(&g->ctx->err);
		g->n = 0;
		g->more = false;
		code = from_container(g);
	}
	if (code != MW_OK)
		return code;
	if (g->n == 0 && l->skipped == 0 && g->after == NULL && strcmp(l->from_source, "r2") == 0)
		return mw_ctx_fail(g->ctx, MW_FILE_NOT_FOUND,
		    "Nothing is at /%.200s in R2", l->path);
	return cut_page(g);
}

enum mw_code
mw_list_files(struct mw_app *app, struct mw_ctx *ctx, struct mw_listing *l)
{
	struct gather g = { .app = app, .ctx = ctx, .l = l };
	enum mw_code code;

	if ((code = read_cursor(&g)) == MW_OK)
		code = gather_all(&g);
	free(g.entry);
	return code;
}
