/* SPDX-License-Identifier: BSD-2-Clause */
/* After the transfers: is it all there, and what R2 is told of it. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "app/names.h"
#include "app/object.h"
#include "ops/sync/internal.h"

static enum mw_code
missing(struct mw_sync_run *run, const struct mw_row *fact, bool *gone)
{
	struct mw_sync_worker w = { .run = run, .app = run->app, .sb = run->sb, .ctx = run->ctx };
	struct mw_object obj;
	struct mw_stat st;
	enum mw_code code;
	bool there;

	/* The listing may be behind: the path itself is asked. */
	code = run->restore ? mw_sync_stat(&w, fact->path, &st, &there) :
	    mw_sync_head(&w, fact->path, &obj, &there);
	if (code != MW_OK)
		return code;
	*gone = !there;
	if (*gone)
		mw_sync_note(run->ctx->arena, &run->s->failed, fact->path,
		    run->restore ? MW_SANDBOX_UNAVAILABLE : MW_STORE_UNAVAILABLE,
		    "It was transferred, and is not there afterwards");
	return MW_OK;
}

/* One listing, in order, to look the transferred files up in. */
struct seen {
	struct mw_sync_run *run;
	struct mw_r2_list r2;
	const struct mw_row *row;
};

static enum mw_code
seen_next(struct seen *v)
{
	if (v->run->restore)
		return mw_sorted_next(v->run->sandbox, &v->row, &v->run->ctx->err);
	return mw_r2_list_next(&v->r2, &v->row);
}

static enum mw_code
seen_open(struct seen *v)
{
	struct mw_sync_run *run = v->run;
	struct mw_sync_notes names = run->s->bad_names;
	enum mw_code code;

	if (run->restore) {
		code = mw_sync_list_sandbox(run);
		run->s->bad_names = names;
		if (names.last != NULL)
			names.last->next = NULL;
	} else {
		code = mw_r2_list_open(&v->r2, run->app, run->ctx, run->user, NULL);
	}
	return code == MW_OK ? seen_next(v) : code;
}

/* Is it there with the bytes that were sent?  Another ETag is somebody's later write. */
static enum mw_code
verify_one(struct seen *v, const struct mw_row *fact, bool *gone)
{
	enum mw_code code = MW_OK;

	*gone = false;
	while (code == MW_OK && v->row != NULL && strcmp(v->row->path, fact->path) < 0)
		code = seen_next(v);
	if (code != MW_OK)
		return code;
	if (v->row == NULL || strcmp(v->row->path, fact->path) != 0)
		return missing(v->run, fact, gone);
	if (v->row->size == fact->size || (v->run->restore ? v->row->mtime != fact->mtime :
	    strcmp(v->row->tag, fact->tag) != 0))
		return MW_OK;
	*gone = true;
	mw_sync_note(v->run->ctx->arena, &v->run->s->failed, fact->path, MW_STORE_UNAVAILABLE,
	    "It was transferred, and has another size afterwards");
	return MW_OK;
}

/* What was transferred is looked up; what is not there gets no entry. */
enum mw_code
mw_sync_verify(struct mw_sync_run *run, struct mw_sorted *good)
{
	struct seen v = { .run = run };
	const struct mw_row *fact;
	enum mw_code code;
	bool gone, any = run->s->uploaded + run->s->downloaded > 0;

	code = mw_sorted_rewind(run->facts, &run->ctx->err);
	if (code == MW_OK && any)
		code = seen_open(&v);
	while (code == MW_OK &&
	    (code = mw_sorted_next(run->facts, &fact, &run->ctx->err)) == MW_OK && fact != NULL) {
		gone = false;
		if (!run->restore && fact->type == MW_FT_SYMLINK &&
		    mw_sync_kind_copy(run, run->ctx, fact) != MW_OK) {
			mw_sync_note(run->ctx->arena, &run->s->failed, fact->path,
			    MW_CONFLICT, run->ctx->err.msg);
			mw_err_clear(&run->ctx->err);
			continue;
		}
		if (fact->act == MW_ACT_COPY)
			code = verify_one(&v, fact, &gone);
		if (code == MW_OK && !gone && good != NULL)
			code = mw_sorted_add(good, fact, &run->ctx->err);
	}
	mw_r2_list_close(&v.r2);
	return code;
}

/* The entries as they were, with what is new over them. */
static enum mw_code
write_entries(struct mw_sync_run *run, struct mw_sorted *facts, struct mw_manifest_out *out)
{
	const struct mw_row *old, *fact;
	struct mw_err *err = &run->ctx->err;
	enum mw_code code;
	int order;

	mw_manifest_rewind(&run->manifest);
	old = mw_manifest_next(&run->manifest);
	if ((code = mw_sorted_rewind(facts, err)) == MW_OK)
		code = mw_sorted_next(facts, &fact, err);
	while (code == MW_OK && (old != NULL || fact != NULL)) {
		order = old == NULL ? 1 : fact == NULL ? -1 : strcmp(old->path, fact->path);
		if (order < 0)
			code = mw_manifest_add(out, old, err);
		else if (fact->act != MW_ACT_NONE)
			code = mw_manifest_add(out, fact, err);
		if (order <= 0)
			old = mw_manifest_next(&run->manifest);
		if (code == MW_OK && order >= 0)
			code = mw_sorted_next(facts, &fact, err);
	}
	return code;
}

enum mw_code
mw_sync_write_manifest(struct mw_sync_run *run, struct mw_sorted *facts)
{
	struct mw_manifest_out out = { .spool = { .fd = -1 } };
	enum mw_code code;

	if ((code = mw_manifest_begin(&out, run->app->spool_dir, &run->ctx->err)) == MW_OK &&
	    (code = write_entries(run, facts, &out)) == MW_OK)
		code = mw_manifest_put(&out, run->app, run->ctx, run->user, &run->manifest);
	mw_spool_drop(&out.spool);
	return code;
}

enum mw_code
mw_sync_write_last(struct mw_sync_run *run)
{
	struct mw_spool spool = { .fd = -1 };
	char now[MW_RFC3339_LEN], *text, *key;
	enum mw_code code;

	mw_rfc3339(mw_wall(), now);
	text = mw_arena_printf(run->ctx->arena,
	    "{\"syncId\":\"%s\",\"finishedAt\":\"%s\",\"files\":%lld,\"bytes\":%lld}\n", run->s->id,
	    now, (long long)run->s->files, (long long)run->s->total);
	key = mw_store_key(run->app->conf, run->ctx->arena, run->user, MW_NAME_LAST_SYNC);
	if (text == NULL || key == NULL)
		return mw_ctx_nomem(run->ctx);
	if ((code = mw_spool_begin(&spool, run->app->spool_dir, &run->ctx->err)) == MW_OK &&
	    (code = mw_spool_add(&spool, text, strlen(text), &run->ctx->err)) == MW_OK &&
	    (code = mw_spool_finish(&spool, &run->ctx->err)) == MW_OK)
		code = mw_object_put_spool(run->app, run->ctx, key, &spool, "application/json");
	mw_spool_drop(&spool);
	return code;
}

/* What they stand in the way of is order, not the sync. */
void
mw_sync_remove_old(struct mw_sync_run *run)
{
	enum mw_code code = MW_OK;
	size_t i;

	for (i = 0; i < run->nold && code == MW_OK; i++)
		code = mw_object_remove(run->app, run->ctx, run->old[i]);
	if (code != MW_OK)
		mw_log(MW_WARN, "[EXEC] userId=%s: old results are left for the next sync: %s",
		    run->user, run->ctx->err.msg);
	mw_err_clear(&run->ctx->err);
}
