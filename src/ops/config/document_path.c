/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of the paths of gateway.config_path is a user's document. */
#include <string.h>

#include "app/classify.h"
#include "app/pathlock.h"
#include "ops/config/internal.h"
#include "ops/ready/ready.h"

#define GATE ".moltworker/config"	/* the lock's name before those of the paths */

const char *
mw_document_first(const struct mw_conf *conf)
{
	return conf->gateway.config_path.item[0];
}

static enum mw_code
no_begin(void *arg, const struct mw_object *obj)
{
	(void)arg;
	(void)obj;
	return MW_OK;
}

static enum mw_code
no_data(void *arg, const void *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
	return MW_OK;
}

static void
no_restart(void *arg)
{
	(void)arg;
}

/* The first path that there is in `source`: it becomes d->path.  MW_FILE_NOT_FOUND: none. */
static enum mw_code
first_in(struct mw_document_job *j, enum mw_source source, int64_t max_wake)
{
	const struct mw_list *paths = &j->app->conf->gateway.config_path;
	enum mw_code code = MW_FILE_NOT_FOUND;
	struct mw_read r;
	size_t i;

	for (i = 0; i < paths->n && code == MW_FILE_NOT_FOUND; i++) {
		mw_err_clear(&j->ctx->err);
		r = (struct mw_read){ .user = j->d->user, .path = paths->item[i], .source = source,
		    .max_wake = max_wake, .meta_only = true, .restart = no_restart,
		    .sink = { .begin = no_begin, .data = no_data } };
		code = mw_read_file(j->app, j->ctx, &r);
		j->d->tried |= r.tried;
		if (code == MW_OK)
			j->d->path = paths->item[i];
	}
	return code;
}

/* Nothing is said by a failure but that this place does not tell. */
enum mw_code
mw_document_choose(struct mw_document_job *j, int64_t max_wake)
{
	enum mw_code code, there;

	j->d->path = mw_document_first(j->app->conf);
	if (j->app->conf->gateway.config_path.n == 1)
		return MW_OK;
	code = first_in(j, MW_SRC_R2, 0);
	if (code == MW_OK || (code != MW_FILE_NOT_FOUND && !mw_is_outage(code)))
		return code;
	mw_err_clear(&j->ctx->err);
	there = first_in(j, MW_SRC_CONTAINER, max_wake);
	if (there == MW_OK || code == MW_FILE_NOT_FOUND) {
		/* In none of them, as far as can be seen without a wake: the first, then. */
		mw_err_clear(&j->ctx->err);
		return MW_OK;
	}
	mw_err_clear(&j->ctx->err);
	return mw_ctx_fail(j->ctx, code, "R2 cannot tell which of the paths of gateway.config_path %.80s has",
	    j->d->user);
}

/* One lock for all of them, then those of the paths, which whoever writes such a file takes. */
enum mw_code
mw_document_lock(struct mw_document_job *j)
{
	const struct mw_list *paths = &j->app->conf->gateway.config_path;
	enum mw_code code = MW_OK;
	size_t i;

	j->gate = j->other = -1;
	j->nlock = 0;
	if (paths->n > 1)
		code = mw_path_lock(j->app, j->ctx, j->d->user, GATE, &j->gate);
	for (i = 0; i < paths->n && code == MW_OK; i++) {
		code = mw_path_lock(j->app, j->ctx, j->d->user, paths->item[i], &j->lock[i]);
		if (code == MW_OK)
			j->nlock++;
	}
	return code;
}

/* A version may be of a path that is none of the settings' any more. */
enum mw_code
mw_document_lock_other(struct mw_document_job *j, const char *path)
{
	const struct mw_list *paths = &j->app->conf->gateway.config_path;
	size_t i;

	j->d->path = path;
	for (i = 0; i < paths->n; i++) {
		if (strcmp(paths->item[i], path) == 0)
			return MW_OK;
	}
	return mw_path_lock(j->app, j->ctx, j->d->user, path, &j->other);
}

void
mw_document_unlock(struct mw_document_job *j)
{
	mw_path_unlock(j->other);
	while (j->nlock > 0)
		mw_path_unlock(j->lock[--j->nlock]);
	mw_path_unlock(j->gate);
}
