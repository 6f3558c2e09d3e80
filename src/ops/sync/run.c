/* SPDX-License-Identifier: BSD-2-Clause */
/* What one sync holds while it is under way, and its notes of single paths. */
#include <string.h>

#include "base/clock.h"
#include "state/metrics.h"
#include "base/utf8.h"
#include "ops/sync/internal.h"

const char *const mw_direction_words[] = { "backup", "restore", NULL };

enum mw_code
mw_run_open(struct mw_sync_run *run)
{
	int dir = run->app->spool_dir;
	char *prefix;

	mw_manifest_none(&run->manifest);
	(void)pthread_mutex_init(&run->mutex, NULL);
	run->sandbox = mw_sorted_open(dir, MW_SORTED_MEMORY);
	run->plan = mw_sorted_open(dir, MW_SORTED_MEMORY);
	run->links = mw_sorted_open(dir, MW_SORTED_MEMORY);
	run->facts = mw_sorted_open(dir, MW_SORTED_MEMORY);
	prefix = mw_store_key(run->app->conf, run->ctx->arena, run->user, "");
	if (run->sandbox == NULL || run->plan == NULL || run->links == NULL ||
	    run->facts == NULL || prefix == NULL)
		return mw_ctx_nomem(run->ctx);
	run->prefix_length = strlen(prefix);
	return MW_OK;
}

void
mw_run_close(struct mw_sync_run *run)
{
	if (run->sandbox == NULL && run->plan == NULL)
		return;
	mw_sorted_close(run->sandbox);
	mw_sorted_close(run->plan);
	mw_sorted_close(run->links);
	mw_sorted_close(run->facts);
	mw_manifest_close(&run->manifest);
	(void)pthread_mutex_destroy(&run->mutex);
}

void
mw_sync_counted(unsigned direction, const struct mw_sync *s, enum mw_code code, int64_t began)
{
	bool failed = mw_code_info(code)->status >= 500;
	unsigned end = code != MW_OK ? (failed ? 2 : 3) : s->failed.count > 0;

	mw_observe(MW_M_SYNC_TIME, direction, end, 0, (mw_now() - began) * 1000);
}

void
mw_sync_note(struct mw_arena *a, struct mw_sync_notes *notes, const char *path,
    enum mw_code code, const char *error)
{
	struct mw_sync_note *n;
	char *copy;

	if (notes->count++ >= MW_SYNC_SHOWN)
		return;
	n = mw_arena_alloc(a, sizeof(*n));
	copy = mw_arena_strdup(a, path);
	if (n == NULL || copy == NULL)
		return;
	mw_utf8_clean(copy, strlen(copy), '?');
	n->path = copy;
	n->code = code;
	n->error = error != NULL ? mw_arena_strdup(a, error) : NULL;
	if (notes->last != NULL)
		notes->last->next = n;
	else
		notes->first = n;
	notes->last = n;
}
