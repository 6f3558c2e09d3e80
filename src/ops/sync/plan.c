/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done about a path, by how the three listings have it: the table of cases. */
#include "ops/sync/plan.h"

#include <fnmatch.h>
#include <string.h>

#include "base/path.h"

static bool
is_file(const struct mw_row *row)
{
	return row != NULL && row->type == MW_FT_FILE;
}

/* The sandbox's file looks as it did when the manifest's entry was written. */
static bool
looks_as_was(const struct mw_sides *s)
{
	const struct mw_row *m = s->manifest;

	return is_file(m) && is_file(s->sandbox) && m->size == s->sandbox->size &&
	    m->mtime == s->sandbox->mtime;
}

static bool
sandbox_as_was(const struct mw_sides *s)
{
	return looks_as_was(s) && !s->manifest->racy && !s->verify;
}

static bool
r2_as_was(const struct mw_sides *s)
{
	return is_file(s->manifest) && s->r2 != NULL && s->r2->tag[0] != '\0' &&
	    strcmp(s->manifest->tag, s->r2->tag) == 0;
}

/* R2 has an object, and the sandbox has no such file. */
static enum mw_act
backup_absent(const struct mw_sides *s)
{
	if (s->mark == MW_MARK_DELETED_SANDBOX && s->sandbox == NULL)
		return MW_ACT_FORGET;
	if (!s->remove || s->excluded)
		return s->sandbox != NULL ? MW_ACT_CLASH : MW_ACT_KEEP;
	if (s->mark == MW_MARK_NEWER_SANDBOX)
		return MW_ACT_REMOVE;
	return is_file(s->manifest) && !r2_as_was(s) ? MW_ACT_NEWER : MW_ACT_REMOVE;
}

/* R2 has an object where the sandbox's disk has something of another kind. */
static enum mw_act
backup_kind(const struct mw_sides *s)
{
	if (s->excluded)
		return MW_ACT_CLASH;
	if (s->mark != MW_MARK_NONE || r2_as_was(s))
		return MW_ACT_REPLACE;
	if (is_file(s->manifest))
		return s->way_older ? MW_ACT_NEWER : MW_ACT_REPLACE;
	/* Somebody has put it there since the last sync: what is to win must be later. */
	if (s->synced && !s->way_newer)
		return MW_ACT_CLASH;
	return s->way_was || s->way_older || s->pair ? MW_ACT_CLASH : MW_ACT_REPLACE;
}

enum mw_act
mw_plan_backup(const struct mw_sides *s)
{
	if (s->sandbox == NULL && s->r2 == NULL)
		return MW_ACT_NONE;
	if (s->waiting != MW_WAITING_NOT)
		return MW_ACT_WAIT;
	if (s->mark == MW_MARK_NEWER_R2 || s->mark == MW_MARK_DELETED_R2)
		return MW_ACT_NEWER;
	if (s->way != NULL)
		return backup_kind(s);
	if (!is_file(s->sandbox))
		return s->r2 != NULL ? backup_absent(s) : MW_ACT_SAME;
	if (s->r2 == NULL || s->mark == MW_MARK_NEWER_SANDBOX || s->mark == MW_MARK_DELETED_SANDBOX)
		return MW_ACT_COPY;
	if (r2_as_was(s))
		return sandbox_as_was(s) ? MW_ACT_SAME :
		    looks_as_was(s) ? MW_ACT_CHECK : MW_ACT_COPY;
	return sandbox_as_was(s) ? MW_ACT_NEWER : MW_ACT_DECIDE;
}

/* The sandbox has something that R2 has not. */
static enum mw_act
restore_absent(const struct mw_sides *s)
{
	if (s->add_only || !s->remove || s->excluded || s->sandbox->type == MW_FT_DIR)
		return MW_ACT_KEEP;
	if (s->sandbox->type == MW_FT_SYMLINK)
		return s->manifest != NULL && s->manifest->type == MW_FT_SYMLINK ?
		    MW_ACT_SAME : MW_ACT_REMOVE;
	if (s->mark == MW_MARK_NEWER_SANDBOX && !s->force)
		return MW_ACT_NEWER;
	if (is_file(s->manifest) && (!looks_as_was(s) || s->manifest->racy) && !s->force)
		return MW_ACT_NEWER;
	return MW_ACT_REMOVE;
}

/* Both have it, and what R2 has may replace the sandbox's. */
static enum mw_act
restore_both(const struct mw_sides *s)
{
	if (s->sandbox->type != MW_FT_FILE)
		return MW_ACT_CLASH;
	if (s->mark == MW_MARK_NEWER_R2)
		return MW_ACT_COPY;
	if (r2_as_was(s) && sandbox_as_was(s))
		return MW_ACT_SAME;
	if (s->force)
		return MW_ACT_COPY;
	if (r2_as_was(s) && looks_as_was(s))
		return MW_ACT_CHECK;
	if (s->mark == MW_MARK_NEWER_SANDBOX || r2_as_was(s))
		return MW_ACT_NEWER;
	return sandbox_as_was(s) ? MW_ACT_COPY : MW_ACT_DECIDE;
}

enum mw_act
mw_plan_restore(const struct mw_sides *s)
{
	if (s->waiting == MW_WAITING_PUT && s->sandbox == NULL)
		return MW_ACT_COPY;	/* its pending content */
	if (s->waiting != MW_WAITING_NOT)
		return MW_ACT_WAIT;
	if (s->r2 == NULL && s->sandbox == NULL)
		return s->manifest != NULL && s->manifest->type != MW_FT_FILE ?
		    MW_ACT_LINK : MW_ACT_NONE;
	if (s->r2 == NULL)
		return restore_absent(s);
	if (s->mark == MW_MARK_DELETED_SANDBOX && !(s->force && !s->add_only))
		return s->sandbox == NULL ? MW_ACT_KEEP : MW_ACT_NEWER;
	/* Written there and gone: removed there since.  A fresh sandbox never had it. */
	if (s->sandbox == NULL)
		return s->mark == MW_MARK_NEWER_SANDBOX && !s->force && !s->add_only ?
		    MW_ACT_KEEP : MW_ACT_COPY;
	return s->add_only ? MW_ACT_KEEP : restore_both(s);
}

/* ---- sync.exclude ---- */

static bool
matches(const char *pattern, const char *path)
{
	char copy[2 * MW_PATH_MAX + 1];
	const char *slash = strchr(pattern, '/');
	size_t at, n, from = 0, all = strlen(path);

	for (at = 0; at < all; at += n + 1) {
		n = strcspn(path + at, "/");
		if (slash == NULL)
			from = at;
		memcpy(copy, path + from, at + n - from);
		copy[at + n - from] = '\0';
		if (fnmatch(pattern, copy, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}

bool
mw_plan_excluded(const struct mw_list *patterns, const char *path)
{
	size_t i;

	if (strlen(path) > 2 * (size_t)MW_PATH_MAX)
		return false;
	for (i = 0; i < patterns->n; i++) {
		const char *p = patterns->item[i];

		if (matches(p[0] == '/' ? p + 1 : p, path))
			return true;
	}
	return false;
}
