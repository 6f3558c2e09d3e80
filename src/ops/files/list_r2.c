/* SPDX-License-Identifier: BSD-2-Clause */
/* A listing from R2, with what waits in the outbox over it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/object.h"
#include "ops/files/internal.h"
#include "ops/files/read.h"

/* But for one that was added just before. */
static enum mw_code
add_new(struct mw_list_job *g, struct mw_list_rows *r, const struct mw_listed *e)
{
	if (r->n > 0 && strcmp(r->entry[r->n - 1].path, e->path) == 0)
		return MW_OK;
	return mw_list_add(g, r, e);
}

static enum mw_code
r2_row(void *arg, const struct mw_list_row *row)
{
	struct mw_list_job *g = arg;
	char name[2 * MW_PATH_MAX], path[MW_PATH_MAX + 1];
	struct mw_listed e = { .size = -1, .modified = -1, .mode = -1 };
	bool marker;
	size_t n;

	if ((g->req.after = mw_arena_strdup(g->ctx->arena, row->key)) == NULL)
		return mw_ctx_nomem(g->ctx);
	(void)snprintf(name, sizeof(name), "%s", row->key + strlen(g->req.prefix));
	n = strlen(name);
	/* "dir/" without a byte is how other tools keep an empty directory. */
	marker = !row->group && row->size == 0 && (n == 0 || name[n - 1] == '/');
	g->marked = g->marked || marker;
	if (marker && n == 0)
		return MW_OK;
	if (row->group || marker)
		name[n - 1] = '\0';
	if ((e.path = mw_list_name(g, name, path)) == NULL)
		return MW_OK;
	e.type = row->group || marker ? MW_FT_DIR : MW_FT_FILE;
	if (e.type == MW_FT_FILE) {
		e.size = row->size;
		e.modified = row->modified;
		e.etag = row->etag;
	}
	return mw_list_add(g, &g->rows, &e);
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
	struct mw_list_job *g = arg;
	size_t base = strlen(g->l->path);
	const char *slash;
	struct mw_listed e = { .path = row->path + (base > 0 ? base + 1 : 0),
	    .type = MW_FT_FILE, .size = -1, .modified = -1, .mode = -1 };
	char etag[MW_ETAG_LEN];

	if (!g->l->recursive && (slash = strchr(e.path, '/')) != NULL) {
		e.type = MW_FT_DIR;
		e.path = mw_arena_dup(g->ctx->arena, e.path, (size_t)(slash - e.path));
		if (e.path == NULL)
			return mw_ctx_nomem(g->ctx);
		if (row->op == MW_OUTBOX_DELETE)
			return add_new(g, &g->doubtful, &e);
	} else if (row->op == MW_OUTBOX_PUT) {
		mw_object_etag(row->md5, etag);
		e.size = row->size;
		e.modified = row->created;
		e.etag = etag;
	}
	return mw_list_add(g, &g->over, &e);
}

/* ---- directories that are empty but for what is to be deleted ---- */

struct look {
	struct mw_list_job *g;
	struct mw_list_req req;
	bool more, found;
};

static enum mw_code
look_row(void *arg, const struct mw_list_row *row)
{
	struct look *k = arg;
	struct mw_list_job *g = k->g;
	const char *path = row->key + strlen(g->req.prefix) - strlen(g->l->path);
	const struct mw_outbox_row *pending;
	enum mw_code code;

	if (g->l->path[0] != '\0')
		path--;			/* the '/' between the two */
	if (k->found)
		return MW_OK;
	if ((k->req.after = mw_arena_strdup(g->ctx->arena, row->key)) == NULL)
		return mw_ctx_nomem(g->ctx);
	code = mw_outbox_find(g->app->outbox, g->ctx, g->l->user, path, &pending);
	k->found = pending == NULL || pending->op != MW_OUTBOX_DELETE;
	return code;
}

/* Does R2 keep anything in this directory once the pending deletes are done? */
static enum mw_code
keeps(struct mw_list_job *g, const char *dir, bool *kept)
{
	struct look k = { .g = g, .more = true, .req = { .recursive = true, .max = MW_LIST_MAX } };
	enum mw_code code = MW_OK;

	k.req.prefix = mw_arena_printf(g->ctx->arena, "%s%s/", g->req.prefix, dir);
	if (k.req.prefix == NULL)
		return mw_ctx_nomem(g->ctx);
	while (code == MW_OK && k.more && !k.found)
		code = mw_object_list(g->app, g->ctx, &k.req, look_row, &k, &k.more);
	*kept = k.found;
	return code;
}

static bool
is_doubtful(const struct mw_list_job *g, const char *dir)
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
drop_emptied(struct mw_list_job *g)
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
merge(struct mw_list_job *g, const char *bound)
{
	struct mw_list_rows out = { .n = 0 };
	size_t a = 0, b = 0;
	enum mw_code code = MW_OK;

	mw_list_sort(&g->rows);
	while (code == MW_OK && (a < g->rows.n || b < g->over.n)) {
		const struct mw_listed *ra = a < g->rows.n ? &g->rows.entry[a] : NULL;
		const struct mw_listed *rb = b < g->over.n ? &g->over.entry[b] : NULL;
		int order = ra == NULL ? 1 : rb == NULL ? -1 : mw_list_order(ra, rb);
		const struct mw_listed *take = order < 0 ? ra : rb;

		if (order <= 0)
			a++;
		if (order >= 0)
			b++;
		if ((bound != NULL && strcmp(take->path, bound) > 0) || is_delete(take) ||
		    mw_list_passed(g, take) ||
		    (out.n > 0 && mw_list_order(&out.entry[out.n - 1], take) == 0))
			continue;
		code = mw_list_add(g, &out, take);
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
read_r2(struct mw_list_job *g)
{
	const char *bound;
	enum mw_code code;

	do {
		g->rows.n = 0;
		do {
			code = mw_object_list(g->app, g->ctx, &g->req, r2_row, g, &g->more);
			if (code != MW_OK)
				return code;
		} while (g->more && (!g->l->recursive || g->rows.n < (size_t)g->l->limit));
		bound = g->more ? g->req.after + strlen(g->req.prefix) : NULL;
		if (g->doubtful.n > 0 && (code = drop_emptied(g)) != MW_OK)
			return code;
		if ((code = merge(g, bound)) != MW_OK)
			return code;
	} while (g->rows.n == 0 && g->more);
	return MW_OK;
}

static enum mw_code
nothing_there(struct mw_list_job *g)
{
	char *key = mw_store_key(g->app->conf, g->ctx->arena, g->l->user, g->l->path);
	enum mw_code code = MW_OK;
	struct mw_object obj;
	bool there = false;

	if (key == NULL)
		return mw_ctx_nomem(g->ctx);
	if (g->l->path[0] != '\0')
		code = mw_object_there(g->app, g->ctx, key, &obj, &there);
	if (code != MW_OK)
		return code;
	if (there)	/* it is no directory */
		return mw_ctx_fail(g->ctx, MW_CONFLICT, "/%.200s is a file", g->l->path);
	return mw_ctx_fail(g->ctx, MW_FILE_NOT_FOUND, "Nothing is at /%.200s in R2", g->l->path);
}

enum mw_code
mw_list_from_r2(struct mw_list_job *g)
{
	enum mw_code code;
	const char *below;

	g->l->tried |= MW_TRIED_R2;
	g->l->from_source = "r2";
	g->req.recursive = g->l->recursive;
	g->req.max = MW_LIST_MAX;
	below = g->l->path[0] != '\0' ?
	    mw_arena_printf(g->ctx->arena, "%s/", g->l->path) : g->l->path;
	if (below == NULL ||
	    (g->req.prefix = mw_store_key(g->app->conf, g->ctx->arena, g->l->user, below)) == NULL)
		return mw_ctx_nomem(g->ctx);
	if (g->l->recursive && g->after != NULL && (g->req.after =
	    mw_arena_printf(g->ctx->arena, "%s%s", g->req.prefix, g->after)) == NULL)
		return mw_ctx_nomem(g->ctx);
	code = mw_outbox_each(g->app->outbox, g->ctx, g->l->user, below, overlay_row, g);
	if (code != MW_OK)
		return code;
	mw_list_sort(&g->over);
	if ((code = read_r2(g)) != MW_OK)
		return code;
	if (g->rows.n == 0 && g->l->skipped == 0 && !g->marked && g->after == NULL)
		return nothing_there(g);
	return MW_OK;
}
