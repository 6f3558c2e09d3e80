/* SPDX-License-Identifier: BSD-2-Clause */
/* The two listings of a sync, as sorted rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "app/names.h"
#include "app/object.h"
#include "app/retry.h"
#include "ops/sync/internal.h"

#define PAGE_MEMORY ((size_t)4 << 20)
#define OLD_SLACK 86400000	/* ms beyond exec.keep */

/* ---- R2 ---- */

enum mw_code
mw_r2_list_open(struct mw_r2_list *l, struct mw_app *app, struct mw_ctx *ctx,
    const char *user, struct mw_sync *s)
{
	*l = (struct mw_r2_list){ .app = app, .ctx = ctx, .s = s, .more = true,
	    .req = { .recursive = true } };
	if ((l->page = mw_arena_open(PAGE_MEMORY)) == NULL ||
	    (l->req.prefix = mw_store_key(app->conf, ctx->arena, user, "")) == NULL)
		return mw_ctx_nomem(ctx);
	return MW_OK;
}

void
mw_r2_list_close(struct mw_r2_list *l)
{
	mw_arena_close(l->page);
	l->page = NULL;
}

/* A name that can be a file's and is not ours. */
static bool
wanted(struct mw_r2_list *l, const char *name)
{
	struct mw_err bad = { .code = MW_OK };
	char out[MW_PATH_MAX + 1];

	if (mw_path_parse(name, strlen(name), MW_PATH_OURS, out, &bad) != MW_OK ||
	    strcmp(out, name) != 0) {
		if (l->s != NULL)
			mw_sync_note(l->ctx->arena, &l->s->bad_names, name, MW_OK, NULL);
		return false;
	}
	if (!mw_path_ours(name))
		return true;
	l->has_manifest = l->has_manifest || strcmp(name, MW_NAME_MANIFEST) == 0;
	l->has_last_sync = l->has_last_sync || strcmp(name, MW_NAME_LAST_SYNC) == 0;
	return false;
}

/* A job's output whose row has expired long ago, wherever it was. */
static enum mw_code
note_old(struct mw_r2_list *l, const struct mw_list_row *row, const char *name)
{
	struct mw_sync_run *run = l->run;
	int64_t now = mw_wall() + l->app->store->clock;

	if (run == NULL || run->nold == MW_SYNC_OLD ||
	    strncmp(name, MW_NAME_JOBS, strlen(MW_NAME_JOBS)) != 0 ||
	    row->modified > now - l->app->conf->exec.keep - OLD_SLACK)
		return MW_OK;
	if ((run->old[run->nold] = mw_arena_strdup(l->ctx->arena, row->key)) == NULL)
		return mw_ctx_nomem(l->ctx);
	run->nold++;
	return MW_OK;
}

/* "dir/" without a byte is how other tools keep an empty directory; "" is the user's own. */
static bool
is_marker(const struct mw_list_row *row, const char *name)
{
	return row->size == 0 && (name[0] == '\0' || name[strlen(name) - 1] == '/');
}

static enum mw_code
add_marker(struct mw_r2_list *l, char *name)
{
	struct mw_row dir = { .path = name, .tag = "", .mode = -1, .type = MW_FT_DIR };

	if (name[0] == '\0')
		return MW_OK;
	name[strlen(name) - 1] = '\0';
	if (!wanted(l, name) || l->made == NULL ||
	    mw_plan_excluded(&l->app->conf->sync.exclude_restore, name))
		return MW_OK;
	return mw_sorted_add(l->made, &dir, &l->ctx->err);
}

static enum mw_code
add_object(void *arg, const struct mw_list_row *row)
{
	struct mw_r2_list *l = arg;
	char *key = mw_arena_strdup(l->page, row->key);
	char *name;
	struct mw_row *r;

	if (key == NULL)
		return mw_ctx_nomem(l->ctx);
	if (l->n == MW_R2_PAGE)
		return mw_ctx_fail(l->ctx, MW_INTERNAL_ERROR, "R2 listed more than was asked for");
	if ((l->req.after = mw_arena_strdup(l->page, key)) == NULL)
		return mw_ctx_nomem(l->ctx);
	name = key + strlen(l->req.prefix);
	if (is_marker(row, name))
		return add_marker(l, name);
	if (!wanted(l, name))
		return note_old(l, row, name);
	r = &l->rows[l->n];
	*r = (struct mw_row){ .path = name, .size = row->size, .mtime = row->modified, .mode = -1,
	    .type = MW_FT_FILE };
	r->tag = mw_arena_strdup(l->page, row->etag != NULL ? row->etag : "");
	if (r->tag == NULL)
		return mw_ctx_nomem(l->ctx);
	l->n++;
	l->req.max = MW_R2_PAGE - (int64_t)l->n;
	return MW_OK;
}

static enum mw_code
next_page(struct mw_r2_list *l)
{
	if (l->req.after != NULL) {	/* it lies in the page */
		(void)snprintf(l->last, sizeof(l->last), "%s", l->req.after);
		l->req.after = l->last;
	}
	mw_arena_reset(l->page);
	l->n = l->next = 0;
	l->req.max = MW_R2_PAGE;
	if ((l->rows = mw_arena_alloc(l->page, MW_R2_PAGE * sizeof(*l->rows))) == NULL)
		return mw_ctx_nomem(l->ctx);
	return mw_object_list(l->app, l->ctx, &l->req, add_object, l, &l->more);
}

enum mw_code
mw_r2_list_next(struct mw_r2_list *l, const struct mw_row **row)
{
	enum mw_code code;

	*row = NULL;
	while (l->next == l->n && l->more) {
		if ((code = next_page(l)) != MW_OK)
			return code;
	}
	if (l->next == l->n)
		return MW_OK;
	*row = &l->rows[l->next++];
	l->objects++;
	l->bytes += (*row)->size;
	return MW_OK;
}

/* ---- the sandbox ---- */

static enum mw_code
add_untold(struct mw_sync_run *run, const struct mw_entry *e)
{
	struct mw_untold *grown = run->untold, *u;
	size_t max = run->untold_max * 2 + 16;

	if (run->nuntold == run->untold_max) {
		if ((grown = mw_arena_alloc(run->ctx->arena, max * sizeof(*grown))) == NULL)
			return mw_ctx_nomem(run->ctx);
		if (run->nuntold > 0)
			memcpy(grown, run->untold, run->nuntold * sizeof(*grown));
		run->untold = grown;
		run->untold_max = max;
	}
	u = &run->untold[run->nuntold];
	u->code = e->code;
	u->path = mw_arena_strdup(run->ctx->arena, e->path);
	u->error = mw_arena_strdup(run->ctx->arena, e->error);
	if (u->path == NULL || u->error == NULL)
		return mw_ctx_nomem(run->ctx);
	run->nuntold++;
	return MW_OK;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct mw_untold *)a)->path, ((const struct mw_untold *)b)->path);
}

bool
mw_sync_untold(const struct mw_sync_run *run, const char *path)
{
	char above[MW_PATH_MAX + 1];
	struct mw_untold key = { .path = above };
	char *slash;

	if (run->nuntold == 0)
		return false;
	(void)snprintf(above, sizeof(above), "%s", path);
	while ((slash = strrchr(above, '/')) != NULL) {
		*slash = '\0';
		if (bsearch(&key, run->untold, run->nuntold, sizeof(key), by_path) != NULL)
			return true;
	}
	return false;
}

static enum mw_code
add_entry(void *arg, const struct mw_entry *e)
{
	struct mw_sync_run *run = arg;
	size_t n = strlen(e->path);
	struct mw_err bad = { .code = MW_OK };
	char out[MW_PATH_MAX + 1];
	struct mw_row row = { .path = e->path, .tag = "", .size = e->st.size,
	    .mtime = e->st.mtime, .mode = e->st.mode, .type = e->st.type };

	if (e->code != MW_OK)
		return add_untold(run, e);
	if (e->st.type == MW_FT_OTHER || mw_plan_excluded(&run->app->conf->sync.exclude, e->path)) {
		/* A pattern of a part of the path or of a directory above holds below it, too. */
		if (e->skip != NULL)
			*e->skip = true;
		return MW_OK;
	}
	if (mw_path_parse(e->path, n, MW_PATH_OURS, out, &bad) != MW_OK ||
	    strcmp(out, e->path) != 0 || n + run->prefix_length > run->store->ops->key_max) {
		mw_sync_note(run->ctx->arena, &run->s->bad_names, e->path, MW_OK, NULL);
		return MW_OK;
	}
	if (mw_path_ours(out))
		return MW_OK;
	if (row.type != MW_FT_FILE)
		row.size = 0;
	return mw_sorted_add(run->sandbox, &row, &run->ctx->err);
}

static enum mw_code
try_list(void *arg)
{
	struct mw_sync_run *run = arg;
	struct mw_sync_notes names = run->s->bad_names;
	enum mw_code code;

	mw_sorted_reset(run->sandbox);
	run->nuntold = 0;
	code = run->sb->ops->list(run->sb, run->ctx, run->user, "", true, add_entry, run);
	if (code != MW_OK) {
		run->s->bad_names = names;
		if (names.last != NULL)
			names.last->next = NULL;
	}
	return code;
}

enum mw_code
mw_sync_list_sandbox(struct mw_sync_run *run)
{
	enum mw_code code = mw_retry(run->app, run->ctx, MW_UP_SANDBOX, try_list, run);

	if (run->nuntold > 1)
		qsort(run->untold, run->nuntold, sizeof(*run->untold), by_path);
	return code == MW_OK ? mw_sorted_rewind(run->sandbox, &run->ctx->err) : code;
}
