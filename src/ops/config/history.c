/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration document was before its changes. */
#include "ops/config/history.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "app/names.h"
#include "app/object.h"
#include "ops/config/document.h"

#define DIGITS 15		/* of the time in ms, so that byte order is time's */
#define LIST_MAX 1000

struct listing {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_list_req req;
	/* the newest ones, oldest first; n counts all */
	struct mw_version newest[MW_HISTORY_MAX];
	const char *surplus[MW_HISTORY_MAX];	/* keys of some that are older */
	size_t n, nsurplus;
	bool more;
};

/* ---- listing ---- */

static enum mw_code
add_row(void *arg, const struct mw_list_row *row)
{
	struct listing *l = arg;
	struct mw_arena *a = l->ctx->arena;
	struct mw_version v = { .size = row->size };
	const char *name = row->key + strlen(l->req.prefix), *path = strchr(name, '/');

	if ((v.key = mw_arena_strdup(a, row->key)) == NULL)
		return mw_ctx_nomem(l->ctx);
	l->req.after = v.key;
	if (strlen(name) < DIGITS || !mw_str_uint(name, DIGITS, INT64_MAX, &v.saved))
		return MW_OK;		/* not one of ours */
	/* Older ones, without a path, are of the time when there was but one. */
	v.path = mw_arena_strdup(a, path != NULL ? path + 1 : mw_document_first(l->app->conf));
	if (v.path == NULL || (v.etag = mw_arena_strdup(a, row->etag)) == NULL)
		return mw_ctx_nomem(l->ctx);
	if (l->n >= MW_HISTORY_MAX) {
		if (l->nsurplus < MW_HISTORY_MAX)
			l->surplus[l->nsurplus++] = l->newest[0].key;
		memmove(l->newest, l->newest + 1, sizeof(l->newest) - sizeof(l->newest[0]));
		l->newest[MW_HISTORY_MAX - 1] = v;
	} else {
		l->newest[l->n] = v;
	}
	l->n++;
	return MW_OK;
}

static enum mw_code
list_all(struct listing *l, struct mw_app *app, struct mw_ctx *ctx, const char *user)
{
	enum mw_code code;

	*l = (struct listing){ .app = app, .ctx = ctx, .req = { .recursive = true, .max = LIST_MAX } };
	if ((l->req.prefix = mw_store_key(app->conf, ctx->arena, user, MW_NAME_CONFIG)) == NULL)
		return mw_ctx_nomem(ctx);
	do {
		code = mw_object_list(app, ctx, &l->req, add_row, l, &l->more);
	} while (code == MW_OK && l->more);
	if (code == MW_FILE_NOT_FOUND) {
		mw_err_clear(&ctx->err);
		code = MW_OK;
	}
	return code;
}

static size_t
kept(const struct listing *l)
{
	return l->n < MW_HISTORY_MAX ? l->n : MW_HISTORY_MAX;
}

enum mw_code
mw_history_list(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    struct mw_version *version, size_t *n)
{
	struct listing l;
	enum mw_code code;
	size_t i;

	*n = 0;
	if ((code = list_all(&l, app, ctx, user)) != MW_OK)
		return code;
	*n = kept(&l);
	for (i = 0; i < *n; i++)
		version[i] = l.newest[*n - 1 - i];
	return MW_OK;
}

/* ---- saving ---- */

struct save {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_spool spool;
};

/* Left over if it cannot be done now: the next save tries again. */
static void
prune(struct save *s, const struct listing *l)
{
	const char *key;
	size_t i;

	for (i = 0; i < l->nsurplus + (l->n >= MW_HISTORY_MAX); i++) {
		key = i < l->nsurplus ? l->surplus[i] : l->newest[0].key;
		if (mw_object_remove(s->app, s->ctx, key) == MW_OK)
			continue;
		mw_log(MW_WARN, "[CONFIG] %s could not be removed: %s", key, s->ctx->err.msg);
		mw_err_clear(&s->ctx->err);
	}
}

/* Has the newest of this path the same content? */
static bool
same(const struct listing *l, const char *path, const struct mw_spool *spool)
{
	size_t i = kept(l);
	char tag[MW_ETAG_LEN];

	while (i > 0 && strcmp(l->newest[i - 1].path, path) != 0)
		i--;
	if (i == 0)
		return false;
	mw_object_etag(spool->md5, tag);
	return strcmp(l->newest[i - 1].etag, tag) == 0;
}

static enum mw_code
save(struct save *s, const char *user, const char *path)
{
	struct listing l;
	int64_t now = mw_wall();
	enum mw_code code;
	char id[9], *key;

	if ((code = list_all(&l, s->app, s->ctx, user)) != MW_OK || same(&l, path, &s->spool))
		return code;
	/* After all others, also when the clock went back. */
	if (l.n > 0 && l.newest[kept(&l) - 1].saved >= now)
		now = l.newest[kept(&l) - 1].saved + 1;
	mw_str_random_hex(id, 4);
	key = mw_arena_printf(s->ctx->arena, "%s%0*lld-%s/%s", l.req.prefix, DIGITS,
	    (long long)now, id, path);
	if (key == NULL)
		return mw_ctx_nomem(s->ctx);
	code = mw_object_put_spool(s->app, s->ctx, key, &s->spool, "application/json5");
	if (code == MW_OK)
		prune(s, &l);
	return code;
}

enum mw_code
mw_history_save(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    const char *path, const char *text, size_t len)
{
	struct save s = { .app = app, .ctx = ctx, .spool = { .fd = -1 } };
	enum mw_code code;

	if ((code = mw_spool_begin(&s.spool, app->spool_dir, &ctx->err)) == MW_OK &&
	    (code = mw_spool_add(&s.spool, text, len, &ctx->err)) == MW_OK &&
	    (code = mw_spool_finish(&s.spool, &ctx->err)) == MW_OK)
		code = save(&s, user, path);
	mw_spool_drop(&s.spool);
	return code;
}

/* ---- getting ---- */

enum mw_code
mw_history_get(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    int64_t version, struct mw_version *found, char **text, size_t *len)
{
	struct mw_version v[MW_HISTORY_MAX];
	struct mw_spool spool = { .fd = -1 };
	struct mw_object obj;
	enum mw_code code;
	size_t n;

	if ((code = mw_history_list(app, ctx, user, v, &n)) != MW_OK)
		return code;
	if (version < 1 || version > (int64_t)n)
		return mw_ctx_fail(ctx, MW_FILE_NOT_FOUND,
		    "There is no version %lld of the configuration; %zu are kept", (long long)version, n);
	*found = v[version - 1];
	if ((code = mw_object_get(app, ctx, found->key, NULL, &spool, &obj)) == MW_OK) {
		*len = (size_t)spool.size;
		if ((*text = mw_arena_alloc(ctx->arena, *len + 1)) == NULL)
			code = mw_ctx_nomem(ctx);
		else if (pread(spool.fd, *text, *len, 0) != (ssize_t)*len)
			code = mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "the spooled version cannot be read");
	}
	mw_spool_drop(&spool);
	return code;
}
