/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths that are of another kind in the sandbox than in R2: what stands in whose way. */
#include <string.h>

#include "ops/sync/internal.h"

static bool
at_or_below(const char *path, const char *above)
{
	size_t n = strlen(above);

	return strncmp(path, above, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

void
mw_sync_kind_look(struct mw_sync_above *a, const char *path, int64_t clock,
    struct mw_sides *sides)
{
	size_t i, n;

	while (a->n > 0) {
		n = a->item[a->n - 1].length;
		if (strncmp(a->path, path, n) == 0 && (unsigned char)path[n] <= '/')
			break;
		a->n--;
	}
	if (sides->r2 != NULL && sides->sandbox != NULL && sides->sandbox->type != MW_FT_FILE) {
		sides->way = sides->sandbox;
		sides->way_was = sides->manifest != NULL &&
		    sides->manifest->type == sides->sandbox->type;
	}
	for (i = 0; i < a->n; i++) {
		if (path[a->item[i].length] != '/')
			continue;
		sides->pair = sides->pair || a->item[i].r2;
		if (sides->r2 != NULL && a->item[i].sandbox) {
			sides->way = &a->item[i].row;
			sides->way_was = a->item[i].was;
		}
	}
	if (sides->way != NULL) {
		sides->way_older = sides->r2->mtime - clock > sides->way->mtime + MW_SYNC_CLOSE;
		sides->way_newer = sides->r2->mtime - clock < sides->way->mtime - MW_SYNC_CLOSE;
	}
}

void
mw_sync_kind_push(struct mw_sync_above *a, const char *path, const struct mw_sides *sides)
{
	const struct mw_row *s = sides->sandbox, *m = sides->manifest;
	bool sandbox = s != NULL && s->type != MW_FT_DIR;

	if (!sandbox && sides->r2 == NULL)
		return;
	memcpy(a->path, path, strlen(path) + 1);
	a->item[a->n].length = strlen(path);
	a->item[a->n].sandbox = sandbox;
	a->item[a->n].r2 = sides->r2 != NULL;
	a->item[a->n].was = sandbox && m != NULL && m->type == s->type && m->mtime == s->mtime &&
	    (s->type != MW_FT_FILE || m->size == s->size);
	if (sandbox)
		a->item[a->n].row = (struct mw_row){ .type = s->type, .mtime = s->mtime };
	a->n++;
}

static struct mw_sync_kind *
find(struct mw_sync_run *run, const char *path, size_t n)
{
	struct mw_sync_kind *k;

	for (k = run->kinds; k != NULL; k = k->next) {
		if (strlen(k->path) == n && strncmp(k->path, path, n) == 0)
			break;
	}
	return k;
}

enum mw_code
mw_sync_kind_note(struct mw_sync_run *run, const struct mw_sync_above *a, const char *path,
    const struct mw_sides *sides, enum mw_act act)
{
	struct mw_sync_kind *k;
	size_t i, n = strlen(path);

	for (i = 0; i < a->n && sides->r2 != NULL; i++) {
		if (path[a->item[i].length] != '/')
			continue;
		/* R2 holds both: without a manifest nothing says that one is old. */
		if ((k = find(run, path, a->item[i].length)) != NULL && a->item[i].r2 && k->weak)
			k->stays = true;
		if (sides->way == &a->item[i].row)
			n = a->item[i].length;
	}
	if (sides->way == NULL)
		return MW_OK;
	if ((k = find(run, path, n)) == NULL) {
		if ((k = mw_arena_alloc(run->ctx->arena, sizeof(*k))) == NULL)
			return mw_ctx_nomem(run->ctx);
		*k = (struct mw_sync_kind){ .next = run->kinds,
		    .path = mw_arena_printf(run->ctx->arena, "%.*s", (int)n, path) };
		if (k->path == NULL)
			return mw_ctx_nomem(run->ctx);
		run->kinds = k;
	}
	k->stays = k->stays || act != MW_ACT_REPLACE;
	k->link = sides->way->type == MW_FT_SYMLINK;
	k->weak = sides->way == sides->sandbox && sides->manifest == NULL;
	return MW_OK;
}

enum mw_code
mw_sync_kind_copy(struct mw_sync_run *run, struct mw_ctx *ctx, const struct mw_row *item)
{
	const struct mw_sync_kind *k;

	if (item->type == MW_FT_FILE && item->tag[0] != '\0')
		return MW_OK;		/* R2 has it, beside whatever else */
	for (k = run->kinds; k != NULL; k = k->next) {
		/* A file is better kept beside it, where the store can, than not at all. */
		if (at_or_below(item->path, k->path) &&
		    (run->half || (k->stays && item->type != MW_FT_FILE)))
			return mw_ctx_fail(ctx, MW_CONFLICT, "/%.150s is of another kind in R2, "
			    "which was not replaced", k->path);
	}
	return MW_OK;
}

enum mw_code
mw_sync_kind_replace(struct mw_sync_run *run, struct mw_ctx *ctx, const char *path)
{
	const struct mw_sync_kind *k = find(run, path, strlen(path));

	if (run->half)
		return mw_ctx_fail(ctx, MW_CONFLICT, "Changes of kind would replace more than half "
		    "of the files in R2; if that is meant, add force=true");
	if (k != NULL && k->stays)
		return mw_ctx_fail(ctx, MW_CONFLICT, "R2 has a file here, and others below it");
	return MW_OK;
}

bool
mw_sync_kind_link(const struct mw_sync_run *run, const char *path)
{
	const struct mw_sync_kind *k;

	for (k = run->kinds; k != NULL; k = k->next) {
		if (k->link && at_or_below(path, k->path))
			return true;
	}
	return false;
}

void
mw_sync_kind_stays(struct mw_sync_run *run, const char *path)
{
	struct mw_sync_kind *k;

	for (k = run->kinds; k != NULL; k = k->next) {
		if (at_or_below(path, k->path))
			k->stays = true;
	}
}
