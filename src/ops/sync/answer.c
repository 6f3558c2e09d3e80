/* SPDX-License-Identifier: BSD-2-Clause */
/* What a sync has done, as members of its answer. */
#include "ops/sync/answer.h"

#include "base/json.h"
#include "ops/sync/internal.h"

/* "/a/b": paths in answers are rooted at the user's directory. */
static const char *
shown(struct mw_arena *arena, const char *path)
{
	const char *s = mw_arena_printf(arena, "/%s", path);

	return s != NULL ? s : path;
}

static void
add_paths(struct mw_buf *b, const char *name, struct mw_arena *arena,
    const struct mw_sync_notes *notes)
{
	const struct mw_sync_note *n;

	(void)mw_json_open(b, name, '[');
	for (n = notes->first; n != NULL; n = n->next)
		(void)mw_json_add(b, NULL, shown(arena, n->path));
	(void)mw_json_close(b, ']');
}

void
mw_sync_add_failed(struct mw_buf *b, struct mw_arena *arena, const char *name,
    const struct mw_sync_notes *notes)
{
	const char *count = mw_arena_printf(arena, "%sCount", name);
	const struct mw_sync_note *n;

	(void)mw_json_open(b, name, '[');
	for (n = notes->first; n != NULL; n = n->next) {
		(void)mw_json_open(b, NULL, '{');
		(void)mw_json_add(b, "path", shown(arena, n->path));
		(void)mw_json_add(b, "code", mw_code_info(n->code)->name);
		(void)mw_json_add(b, "error", n->error);
		(void)mw_json_close(b, '}');
	}
	(void)mw_json_close(b, ']');
	if (count != NULL)
		(void)mw_json_add_int(b, count, notes->count);
}

void
mw_sync_add_result(struct mw_buf *b, struct mw_arena *arena, const struct mw_sync *s)
{
	(void)mw_json_add(b, "syncId", s->id);
	(void)mw_json_add(b, "direction", mw_direction_words[s->direction]);
	(void)mw_json_add_bool(b, "dryRun", s->dry_run);
	(void)mw_json_add_int(b, "uploaded", s->uploaded);
	(void)mw_json_add_int(b, "downloaded", s->downloaded);
	(void)mw_json_add_int(b, "deleted", s->deleted);
	(void)mw_json_add_int(b, "skipped", s->skipped);
	(void)mw_json_add_int(b, "waiting", s->waiting);
	mw_sync_add_failed(b, arena, "failed", &s->failed);
	add_paths(b, "newer", arena, &s->newer);
	(void)mw_json_add_int(b, "newerCount", s->newer.count);
	add_paths(b, "skippedNames", arena, &s->bad_names);
	(void)mw_json_add_int(b, "skippedNamesCount", s->bad_names.count);
	(void)mw_json_add_int(b, "bytes", s->bytes);
	(void)mw_json_add_bool(b, "verified", s->verified);
}

void
mw_sync_add_missing(struct mw_buf *b, struct mw_app *app, struct mw_ctx *ctx, const char *user)
{
	struct mw_sync_notes notes = { .first = NULL };
	struct mw_missing rows[MW_SYNC_SHOWN];
	size_t n = 0, i;
	int64_t count = 0;

	/* The answer is about something else: it goes out without them. */
	if (mw_outbox_missing(app->outbox, ctx, user, "", rows, MW_SYNC_SHOWN, &n, &count) != MW_OK) {
		mw_err_clear(&ctx->err);
		return;
	}
	for (i = 0; i < n; i++)
		mw_sync_note(ctx->arena, &notes, rows[i].path, rows[i].code, rows[i].error);
	notes.count = count;
	mw_sync_add_failed(b, ctx->arena, "restoreMissing", &notes);
}
