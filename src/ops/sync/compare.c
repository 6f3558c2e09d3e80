/* SPDX-License-Identifier: BSD-2-Clause */
/* One pass over the sandbox's listing, the manifest and R2's listing, side by side. */
#include <stdio.h>
#include <string.h>

#include "ops/sync/internal.h"

struct compare {
	struct mw_sync_run *run;
	struct mw_r2_list r2;
	struct mw_sync_above above;
	struct mw_arena *scratch;		/* of one look into the outbox */
	const struct mw_row *s, *m, *r;		/* the next of each, NULL = at its end */
	char path[MW_PATH_MAX + 1];		/* in hand */
	bool has_s, has_m, has_r;		/* who has it */
	const struct mw_missing *missed;	/* a restore left it behind; of the scratch */
};

static enum mw_code
next_sandbox(struct compare *c)
{
	return mw_sorted_next(c->run->sandbox, &c->s, &c->run->ctx->err);
}

static void
smaller(const struct mw_row *row, const char **path)
{
	if (row != NULL && (*path == NULL || strcmp(row->path, *path) < 0))
		*path = row->path;
}

/* The smallest path of the three; false at the end of all. */
static bool
pick(struct compare *c)
{
	const char *path = NULL;

	smaller(c->s, &path);
	smaller(c->m, &path);
	smaller(c->r, &path);
	if (path == NULL)
		return false;
	(void)snprintf(c->path, sizeof(c->path), "%s", path);
	c->has_s = c->s != NULL && strcmp(c->s->path, c->path) == 0;
	c->has_m = c->m != NULL && strcmp(c->m->path, c->path) == 0;
	c->has_r = c->r != NULL && strcmp(c->r->path, c->path) == 0;
	return true;
}

/* Past the path in hand.  A tree that changes while it is listed may give one
 * name twice. */
static enum mw_code
advance(struct compare *c)
{
	enum mw_code code = MW_OK;

	while (code == MW_OK && c->s != NULL && strcmp(c->s->path, c->path) == 0)
		code = next_sandbox(c);
	if (c->has_m)
		c->m = mw_manifest_next(&c->run->manifest);
	if (code == MW_OK && c->has_r)
		code = mw_r2_list_next(&c->r2, &c->r);
	return code;
}

/* What the outbox knows of the path. */
static enum mw_code
look_up(struct compare *c, struct mw_sides *sides)
{
	struct mw_outbox *o = c->run->app->outbox;
	struct mw_ctx *ctx = c->run->ctx;
	struct mw_arena *own = ctx->arena;
	const struct mw_outbox_row *row;
	enum mw_code code;

	mw_arena_reset(c->scratch);
	ctx->arena = c->scratch;
	code = mw_outbox_find(o, ctx, c->run->user, c->path, &row);
	if (code == MW_OK)
		code = mw_outbox_missed(o, ctx, c->run->user, c->path, &c->missed);
	ctx->arena = own;
	if (code != MW_OK)
		return code;
	sides->waiting = row == NULL ? MW_WAITING_NOT :
	    row->op == MW_OUTBOX_PUT ? MW_WAITING_PUT : MW_WAITING_DELETE;
	return mw_outbox_marked(o, ctx, c->run->user, c->path, &sides->mark);
}

static enum mw_code
add_fact(struct mw_sync_run *run, const struct mw_row *row)
{
	return mw_sorted_add(run->facts, row, &run->ctx->err);
}

static enum mw_code
forget(struct compare *c)
{
	struct mw_row gone = { .path = c->path, .tag = "", .act = MW_ACT_NONE };

	return c->has_m ? add_fact(c->run, &gone) : MW_OK;
}

/* In the sandbox and no file, or the same file in both: what the manifest says of it. */
static enum mw_code
same(struct compare *c)
{
	struct mw_sync_run *run = c->run;
	struct mw_row row;

	if (c->has_s && c->s->type == MW_FT_FILE) {
		run->s->skipped++;
		run->s->files++;
		run->s->total += c->s->size;
	}
	if (run->restore)
		return MW_OK;
	row = *c->s;
	row.act = MW_ACT_SAME;
	if (row.type == MW_FT_DIR)
		row.mtime = 0;	/* it changes with what is in it */
	if (row.type == MW_FT_FILE) {
		if (row.mode == c->m->mode)
			return MW_OK;
		row = *c->m;
		row.act = MW_ACT_SAME;
		row.mode = c->s->mode;
		return add_fact(run, &row);
	}
	if (c->has_m && c->m->type == row.type && c->m->mtime == row.mtime &&
	    c->m->mode == row.mode)
		return MW_OK;
	return row.type == MW_FT_SYMLINK ? mw_sorted_add(run->links, &row, &run->ctx->err) :
	    add_fact(run, &row);
}

/* A row for the transfers: the sandbox's side (size -1: absent) and R2's. */
static enum mw_code
plan(struct compare *c, enum mw_act act)
{
	struct mw_sync_run *run = c->run;
	struct mw_row row = { .path = c->path, .tag = c->has_r ? c->r->tag : "",
	    .size = -1, .mtime = -1, .mode = -1, .type = MW_FT_FILE, .act = (unsigned char)act,
	    .r2_size = c->has_r ? c->r->size : -1, .set_mtime = -1 };

	if (c->has_s) {
		row.type = c->s->type;
		row.size = c->s->size;
		row.mtime = c->s->mtime;
	}
	if (c->has_m && c->m->type == MW_FT_FILE) {
		row.has_md5 = c->m->has_md5;
		memcpy(row.md5, c->m->md5, sizeof(row.md5));
		row.r2_as_was = c->has_r && strcmp(c->m->tag, c->r->tag) == 0;
	}
	if (row.r2_as_was) {
		row.mode = c->m->mode;
		row.set_mtime = c->m->mtime;
	}
	if (act == MW_ACT_REPLACE)
		run->replaced++;
	if (act == MW_ACT_REMOVE)
		run->removals++;
	if (act == MW_ACT_CHECK)
		run->checks++;
	if (act == MW_ACT_DECIDE && row.size == row.r2_size)
		run->unsure++;
	return mw_sorted_add(run->plan, &row, &run->ctx->err);
}

static enum mw_code
carry_out(struct compare *c, enum mw_act act)
{
	struct mw_sync_run *run = c->run;
	struct mw_row row;

	switch (act) {
	case MW_ACT_NONE:
		return run->restore ? MW_OK : forget(c);
	case MW_ACT_SAME:
		return same(c);
	case MW_ACT_NEWER:
		mw_sync_note(run->ctx->arena, &run->s->newer, c->path, MW_OK, NULL);
		run->s->skipped++;
		return MW_OK;
	case MW_ACT_WAIT:
		run->s->waiting++;
		run->s->skipped++;
		return MW_OK;
	case MW_ACT_KEEP:
		if (c->has_r || c->s->type == MW_FT_FILE)
			run->s->skipped++;
		return MW_OK;
	case MW_ACT_CLASH:
		mw_sync_note(run->ctx->arena, &run->s->failed, c->path, MW_CONFLICT,
		    "It is a file in R2, and something else in the sandbox");
		return MW_OK;
	case MW_ACT_LINK:
		row = *c->m;
		return mw_sorted_add(run->links, &row, &run->ctx->err);
	default:
		return plan(c, act);
	}
}

/* Still not restored; the run that tells so is this one. */
static enum mw_code
miss_again(struct compare *c)
{
	struct mw_sync_run *run = c->run;
	struct mw_missing m = { .path = c->path, .code = c->missed->code, .error = c->missed->error };

	return run->s->dry_run ? MW_OK :
	    mw_outbox_miss(run->app->outbox, run->ctx, run->user, run->s->id, &m);
}

/*
 * R2's object could not be brought to the sandbox: its absence there says nothing, and what
 * has been made in its place was made without it.  It stays, whatever was asked for.
 */
static enum mw_code
left_behind(struct compare *c)
{
	struct mw_sync_run *run = c->run;

	if (!c->has_s) {
		run->s->skipped++;
		return MW_OK;
	}
	mw_sync_note(run->ctx->arena, &run->s->failed, c->path, MW_CONFLICT, "The sandbox made it "
	    "anew, while R2's could not be restored: write or delete it by its path, or restore "
	    "with force=true");
	return run->restore ? miss_again(c) : MW_OK;
}

static enum mw_code
one_path(struct compare *c)
{
	struct mw_sync_run *run = c->run;
	struct mw_sides sides = {
		.sandbox = c->has_s ? c->s : NULL, .manifest = c->has_m ? c->m : NULL,
		.r2 = c->has_r ? c->r : NULL, .remove = run->s->remove, .force = run->s->force,
		.verify = run->s->verify, .add_only = run->add_only,
		.synced = c->r2.has_manifest,
	};
	enum mw_code code;
	enum mw_act act;

	/* What was never brought is not missed, either: delete=true is not meant for it. */
	if ((run->restore || !c->has_s) &&
	    mw_plan_excluded(&run->app->conf->sync.exclude_restore, c->path))
		return MW_OK;
	sides.excluded = mw_plan_excluded(&run->app->conf->sync.exclude, c->path);
	if (run->restore ? c->has_s && c->s->type == MW_FT_FILE : c->has_r)
		run->there++;
	if ((code = look_up(c, &sides)) != MW_OK)
		return code;
	/* What cannot be listed may be there: nothing is removed or forgotten for its sake. */
	if (!c->has_s && mw_sync_untold(run, c->path)) {
		run->s->skipped += c->has_r;
		return c->missed != NULL && run->restore ? miss_again(c) : MW_OK;
	}
	if (c->missed != NULL && !c->has_r && !run->s->dry_run) {
		if ((code = mw_outbox_found(run->app->outbox, run->ctx, run->user, c->path)) != MW_OK)
			return code;
	} else if (c->missed != NULL && c->has_r && sides.waiting == MW_WAITING_NOT &&
	    !(run->restore && (!c->has_s || (run->s->force && !run->add_only)))) {
		return left_behind(c);
	}
	if (run->restore)
		return carry_out(c, mw_plan_restore(&sides));
	mw_sync_kind_look(&c->above, c->path, run->store->clock, &sides);
	act = mw_plan_backup(&sides);
	if ((code = mw_sync_kind_note(run, &c->above, c->path, &sides, act)) != MW_OK)
		return code;
	mw_sync_kind_push(&c->above, c->path, &sides);
	/* A link is read now, and recorded once its place is free. */
	if (act == MW_ACT_REPLACE && c->has_s && c->s->type == MW_FT_SYMLINK &&
	    (code = mw_sorted_add(run->links, c->s, &run->ctx->err)) != MW_OK)
		return code;
	return carry_out(c, act);
}

/* The manifest sorts early in R2's own listing: one page tells whether there is
 * one to be fetched. */
static enum mw_code
begin(struct compare *c)
{
	struct mw_sync_run *run = c->run;
	enum mw_code code;

	if ((code = mw_r2_list_open(&c->r2, run->app, run->ctx, run->user,
	    run->s)) != MW_OK)
		return code;
	if (run->restore)
		c->r2.made = run->links;
	else if (!run->s->dry_run)
		c->r2.run = run;
	if ((code = mw_r2_list_next(&c->r2, &c->r)) != MW_OK)
		return code;
	if (c->r2.has_manifest || (c->r != NULL && c->r2.more))
		code = mw_manifest_open(run->app, run->ctx, run->user, &run->manifest);
	if (code == MW_OK)
		code = next_sandbox(c);
	c->m = mw_manifest_next(&run->manifest);
	return code;
}

enum mw_code
mw_sync_compare(struct mw_sync_run *run)
{
	struct compare c = { .run = run, .scratch = mw_arena_open((size_t)1 << 20) };
	enum mw_code code = c.scratch != NULL ? begin(&c) : mw_ctx_nomem(run->ctx);
	size_t i;

	for (i = 0; i < run->nuntold; i++)
		mw_sync_note(run->ctx->arena, &run->s->failed, run->untold[i].path,
		    run->untold[i].code, run->untold[i].error);

	while (code == MW_OK && pick(&c)) {
		code = one_path(&c);
		if (code == MW_OK)
			code = advance(&c);
	}
	mw_r2_list_close(&c.r2);
	mw_arena_close(c.scratch);
	if (code == MW_OK)
		code = mw_sorted_rewind(run->links, &run->ctx->err);
	return code == MW_OK ? mw_sorted_rewind(run->plan, &run->ctx->err) : code;
}
