/* SPDX-License-Identifier: BSD-2-Clause */
/* A page of a listing, from R2, the outbox and the sandbox. */
#include "ops/files/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "app/classify.h"
#include "app/retry.h"
#include "ops/ready/ready.h"

#define CURSOR_MAX 4096
#define KEPT_MAX (4 * (MW_LIST_MAX + 1))	/* entries of a sandbox held at a time */
#define NAMES_MAX ((size_t)16 << 20)		/* bytes of their names */

/* Entries on the way to an answer. */
struct gather {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_listing *l;
	const char *after;		/* from the cursor, or NULL */
	struct rows { struct mw_listed *entry; size_t n, cap; } rows;
	struct mw_arena *names;		/* of their strings */
	/* the sandbox */
	struct mw_arena *spare;
	const char *bound;		/* as many as needed come before it, NULL = not yet */
	/* R2 */
	struct rows over;		/* pending rows; etag NULL and size -1 in a file: a delete */
	struct rows doubtful;		/* directories that pending deletes may have emptied */
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
add(struct gather *g, struct rows *r, const struct mw_listed *e)
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

/* The same, but for one that was added just before. */
static enum mw_code
add_new(struct gather *g, struct rows *r, const struct mw_listed *e)
{
	if (r->n > 0 && strcmp(r->entry[r->n - 1].path, e->path) == 0)
		return MW_OK;
	return add(g, r, e);
}

static void
sort(struct rows *r)
{
	if (r->n > 1)
		qsort(r->entry, r->n, sizeof(*r->entry), by_path);
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
	return add(g, &g->rows, &e);
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
	size_t n = g->rows.n, skipped = g->l->skipped;
	const char *last = g->last_key;
	enum mw_code code;

	code = store->ops->list(store, g->ctx, &req, r2_row, g, &g->more);
	if (code != MW_OK) {		/* the next attempt begins where this one did */
		g->rows.n = n;
		g->l->skipped = skipped;
		g->last_key = last;
	}
	return code;
}

/* Deletes are told from directories, whose size is not known either, by their type. */
static bool
is_delete(const struct mw_listed *e)
{
	return e->type == MW_FT_FILE && e->size < 0;
}

static enum mw_code
overlay_row(void *arg, const struct mw_outbox_row *row)
{
	struct gather *g = arg;
	size_t base = strlen(g->l->path);
	const char *slash;
	struct mw_listed e = { .path = row->path + (base > 0 ? base + 1 : 0),
	    .type = MW_FT_FILE, .size = -1, .modified = -1, .mode = -1 };
	char hex[33], etag[40];

	if (!g->l->recursive && (slash = strchr(e.path, '/')) != NULL) {
		e.type = MW_FT_DIR;
		e.path = mw_arena_dup(g->ctx->arena, e.path, (size_t)(slash - e.path));
		if (e.path == NULL)
			return mw_ctx_nomem(g->ctx);
		if (row->op == MW_OUTBOX_DELETE)
			return add_new(g, &g->doubtful, &e);
	} else if (row->op == MW_OUTBOX_PUT) {
		mw_str_hex(row->md5, sizeof(row->md5), hex);
		(void)snprintf(etag, sizeof(etag), "\"%s\"", hex);
		e.size = row->size;
		e.modified = row->created;
		e.etag = etag;
	}
	return add(g, &g->over, &e);
}

/* ---- directories that are empty but for what is to be deleted ---- */

struct look {
	struct gather *g;
	const char *prefix, *last;
	bool more, found;
};

static enum mw_code
look_row(void *arg, const struct mw_list_row *row)
{
	struct look *k = arg;
	struct gather *g = k->g;
	const char *path = row->key + strlen(g->prefix) - strlen(g->l->path);
	const struct mw_outbox_row *pending;
	enum mw_code code;

	if (g->l->path[0] != '\0')
		path--;			/* the '/' between the two */
	if (k->found)
		return MW_OK;
	if ((k->last = mw_arena_strdup(g->ctx->arena, row->key)) == NULL)
		return mw_ctx_nomem(g->ctx);
	code = mw_outbox_find(g->app->outbox, g->ctx, g->l->user, path, &pending);
	k->found = pending == NULL || pending->op != MW_OUTBOX_DELETE;
	return code;
}

static enum mw_code
try_look(void *arg)
{
	struct look *k = arg;
	struct mw_store *store = k->g->app->store;
	struct mw_list_req req = { .prefix = k->prefix, .recursive = true, .after = k->last,
	    .max = MW_LIST_MAX };

	return store->ops->list(store, k->g->ctx, &req, look_row, k, &k->more);
}

/* Does R2 keep anything in this directory once the pending deletes are done? */
static enum mw_code
keeps(struct gather *g, const char *dir, bool *kept)
{
	struct look k = { .g = g, .more = true };
	enum mw_code code = MW_OK;

	if ((k.prefix = mw_arena_printf(g->ctx->arena, "%s%s/", g->prefix, dir)) == NULL)
		return mw_ctx_nomem(g->ctx);
	while (code == MW_OK && k.more && !k.found)
		code = mw_retry(g->app, g->ctx, MW_UP_STORE, try_look, &k);
	*kept = k.found;
	return code;
}

static bool
is_doubtful(const struct gather *g, const char *dir)
{
	size_t i;

	for (i = 0; i < g->doubtful.n; i++) {
		if (strcmp(g->doubtful.entry[i].path, dir) == 0)
			return true;
	}
	return false;
}

/* Take those directories of R2's out that would be empty. */
static enum mw_code
drop_emptied(struct gather *g)
{
	enum mw_code code = MW_OK;
	bool kept = true;
	size_t i, n = 0;

	for (i = 0; i < g->rows.n && code == MW_OK; i++) {
		struct mw_listed *e = &g->rows.entry[i];

		kept = true;
		if (e->type == MW_FT_DIR && is_doubtful(g, e->path))
			code = keeps(g, e->path, &kept);
		if (kept)
			g->rows.entry[n++] = *e;
	}
	if (code == MW_OK)
		g->rows.n = n;
	return code;
}

/*
 * R2's rows with the pending ones over them, both sorted, up to `bound` (NULL:
 * to the end): what lies beyond belongs to a later page.
 */
static enum mw_code
merge(struct gather *g, const char *bound)
{
	struct rows out = { .n = 0 };
	size_t a = 0, b = 0;
	enum mw_code code = MW_OK;

	sort(&g->rows);
	while (code == MW_OK && (a < g->rows.n || b < g->over.n)) {
		const struct mw_listed *ra = a < g->rows.n ? &g->rows.entry[a] : NULL;
		const struct mw_listed *rb = b < g->over.n ? &g->over.entry[b] : NULL;
		int order = ra == NULL ? 1 : rb == NULL ? -1 : strcmp(ra->path, rb->path);
		const struct mw_listed *take = order < 0 ? ra : rb;

		if (order <= 0)
			a++;
		if (order >= 0)
			b++;
		if ((bound != NULL && strcmp(take->path, bound) > 0) || is_delete(take) ||
		    (g->after != NULL && strcmp(take->path, g->after) <= 0) ||
		    (out.n > 0 && strcmp(out.entry[out.n - 1].path, take->path) == 0))
			continue;
		code = add(g, &out, take);
	}
	free(g->rows.entry);
	g->rows = out;
	return code;
}

/*
 * Recursive rows come in the order that is asked for, and page by page.  One
 * level is read whole: R2 sorts the directory "a/" after the file "a-b", we do
 * not, so a page of R2's is not a page of ours.
 */
static enum mw_code
read_r2(struct gather *g)
{
	const char *bound;
	enum mw_code code;

	do {
		g->rows.n = 0;
		do {
			if ((code = mw_retry(g->app, g->ctx, MW_UP_STORE, try_r2_page, g)) != MW_OK)
				return code;
		} while (g->more && (!g->l->recursive || g->rows.n < (size_t)g->l->limit));
		bound = g->more ? g->last_key + strlen(g->prefix) : NULL;
		if (g->doubtful.n > 0 && (code = drop_emptied(g)) != MW_OK)
			return code;
		if ((code = merge(g, bound)) != MW_OK)
			return code;
	} while (g->rows.n == 0 && g->more);
	return MW_OK;
}

/* Is the path itself an object?  Then it is no directory. */
static enum mw_code
try_object(void *arg)
{
	struct gather *g = arg;
	struct mw_object obj;
	char *key = mw_store_key(g->app->conf, g->ctx->arena, g->l->user, g->l->path);

	if (key == NULL)
		return mw_ctx_nomem(g->ctx);
	return g->app->store->ops->head(g->app->store, g->ctx, key, &obj);
}

static enum mw_code
nothing_there(struct gather *g)
{
	enum mw_code code = MW_FILE_NOT_FOUND;

	if (g->l->path[0] != '\0')
		code = mw_retry(g->app, g->ctx, MW_UP_STORE, try_object, g);
	if (code == MW_OK)
		return mw_ctx_fail(g->ctx, MW_CONFLICT, "/%.200s is a file", g->l->path);
	if (code != MW_FILE_NOT_FOUND)
		return code;
	mw_err_clear(&g->ctx->err);
	return mw_ctx_fail(g->ctx, MW_FILE_NOT_FOUND, "Nothing is at /%.200s in R2", g->l->path);
}

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
	if (g->l->recursive && g->after != NULL && (g->last_key =
	    mw_arena_printf(g->ctx->arena, "%s%s", g->prefix, g->after)) == NULL)
		return mw_ctx_nomem(g->ctx);
	code = mw_outbox_each(g->app->outbox, g->ctx, g->l->user, below, overlay_row, g);
	if (code != MW_OK)
		return code;
	sort(&g->over);
	if ((code = read_r2(g)) != MW_OK)
		return code;
	if (g->rows.n == 0 && g->l->skipped == 0 && g->after == NULL)
		return nothing_there(g);
	return MW_OK;
}

/* ---- the sandbox ---- */

/* Keep the first entries, one more than the page has, and give back the names of
 * the others. */
static enum mw_code
keep_first(struct gather *g)
{
	struct mw_arena *full = g->names;
	size_t i, most = (size_t)g->l->limit + 1;

	sort(&g->rows);
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
	struct gather *g = arg;
	char path[MW_PATH_MAX + 1];
	struct mw_listed e = { .type = entry->st.type, .size = entry->st.size,
	    .modified = entry->st.mtime, .mode = entry->st.mode };
	enum mw_code code;

	if (entry->st.type == MW_FT_OTHER ||
	    (e.path = clean_name(g, entry->path, path)) == NULL ||
	    (g->after != NULL && strcmp(e.path, g->after) <= 0) ||
	    (g->bound != NULL && strcmp(e.path, g->bound) >= 0))
		return MW_OK;
	if (g->rows.n >= KEPT_MAX && (code = keep_first(g)) != MW_OK)
		return code;
	return add(g, &g->rows, &e);
}

static enum mw_code
try_container(void *arg, struct mw_sandbox *sb)
{
	struct gather *g = arg;

	g->rows.n = 0;
	g->l->skipped = 0;
	g->bound = NULL;
	mw_arena_reset(g->names);
	return sb->ops->list(sb, g->ctx, g->l->user, g->l->path, g->l->recursive,
	    container_entry, g);
}

/* The names of what is left, into the request's memory. */
static enum mw_code
own_names(struct gather *g)
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
from_container(struct gather *g)
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

	while (g->after != NULL && first < g->rows.n && strcmp(g->rows.entry[first].path, g->after) <= 0)
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
		return write_cursor(g, page[n - 1].path);
	return MW_OK;
}

/*
 * From the sandbox when it is known awake, else from R2; if that one cannot
 * answer, from the other.  Only who asks for the sandbox by name starts it.
 */
static enum mw_code
from_either(struct gather *g)
{
	struct mw_listing *l = g->l;
	bool awake = mw_known_awake(g->app, l->user);
	enum mw_code code;

	l->max_wake = 0;
	code = awake ? from_container(g) : from_r2(g);
	if (!mw_is_outage(code) || (!awake && !mw_files_at_hand(g->app, l->user)))
		return code;
	mw_log(MW_WARN, "[FILES] userId=%s: %s cannot list /%s (%s), asking the other",
	    l->user, l->from_source, l->path, g->ctx->err.msg);
	mw_err_clear(&g->ctx->err);
	g->rows.n = 0;
	g->more = false;
	return awake ? from_r2(g) : from_container(g);
}

static enum mw_code
gather_all(struct gather *g)
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
		code = g->l->source == MW_SRC_CONTAINER ? from_container(g) : from_r2(g);
	return code == MW_OK ? cut_page(g) : code;
}

enum mw_code
mw_list_files(struct mw_app *app, struct mw_ctx *ctx, struct mw_listing *l)
{
	struct gather g = { .app = app, .ctx = ctx, .l = l, .names = ctx->arena };
	enum mw_code code;

	code = gather_all(&g);
	free(g.rows.entry);
	free(g.over.entry);
	free(g.doubtful.entry);
	return code;
}
