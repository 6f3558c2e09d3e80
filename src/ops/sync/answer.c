/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/sync/answer.h"

#include <json.h>

static void
add_int(struct json_object *o, const char *name, int64_t value)
{
	json_object_object_add(o, name, json_object_new_int64(value));
}

static void
add_text(struct json_object *o, const char *name, const char *value)
{
	json_object_object_add(o, name, value != NULL ? json_object_new_string(value) : NULL);
}

/* "/a/b": paths in answers are rooted at the user's directory. */
static const char *
shown(struct mw_arena *arena, const char *path)
{
	const char *s = mw_arena_printf(arena, "/%s", path);

	return s != NULL ? s : path;
}

static struct json_object *
paths_of(struct mw_arena *arena, const struct mw_sync_notes *notes)
{
	struct json_object *list = json_object_new_array();
	const struct mw_sync_note *n;

	for (n = notes->first; n != NULL; n = n->next)
		json_object_array_add(list, json_object_new_string(shown(arena, n->path)));
	return list;
}

/* [{"path","code","error"}]: the first of them, the count is beside it. */
static struct json_object *
failures_of(struct mw_arena *arena, const struct mw_sync_notes *notes)
{
	struct json_object *list = json_object_new_array(), *row;
	const struct mw_sync_note *n;

	for (n = notes->first; n != NULL; n = n->next) {
		row = json_object_new_object();
		add_text(row, "path", shown(arena, n->path));
		add_text(row, "code", mw_code_info(n->code)->name);
		add_text(row, "error", n->error);
		json_object_array_add(list, row);
	}
	return list;
}

void
mw_sync_add_result(struct json_object *o, struct mw_arena *arena, const struct mw_sync *s)
{
	add_text(o, "syncId", s->id);
	add_text(o, "direction", mw_direction_words[s->direction]);
	json_object_object_add(o, "dryRun", json_object_new_boolean(s->dry_run));
	add_int(o, "uploaded", s->uploaded);
	add_int(o, "downloaded", s->downloaded);
	add_int(o, "deleted", s->deleted);
	add_int(o, "skipped", s->skipped);
	add_int(o, "waiting", s->waiting);
	json_object_object_add(o, "failed", failures_of(arena, &s->failed));
	add_int(o, "failedCount", s->failed.count);
	json_object_object_add(o, "newer", paths_of(arena, &s->newer));
	add_int(o, "newerCount", s->newer.count);
	json_object_object_add(o, "skippedNames", paths_of(arena, &s->bad_names));
	add_int(o, "skippedNamesCount", s->bad_names.count);
	add_int(o, "bytes", s->bytes);
	json_object_object_add(o, "verified", json_object_new_boolean(s->verified));
}
