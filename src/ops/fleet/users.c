/* SPDX-License-Identifier: BSD-2-Clause */
/* Who there is: the users that R2, the sandboxes and our own state know. */
#include "ops/fleet/users.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "app/retry.h"

#define ROWS_MAX 100000		/* users that a driver may list */
#define FIELD "{user}"
#define R2_SHARE 4		/* a quarter of the time is left to the others */

const char *const mw_users_source_words[MW_USERS_SOURCES] = { "r2", "sandbox", "state" };

struct gather {
	struct mw_app *app;
	struct mw_ctx *ctx;
	char *head, *tail;	/* store.prefix around {user}, tail up to its first '/' */
	const char *after;	/* key behind which the page begins, or NULL */
	size_t limit;
	const char **keys;	/* head, user, tail */
	size_t n, room;
	const char *listed;	/* R2: list on behind this key */
	size_t kept;		/* keys of the listings before */
	bool more;
};

static const char *user_of(const struct gather *g, const char *key);

static enum mw_code
add(struct gather *g, const char *key)
{
	const char **grown;
	size_t room;

	if (g->n == g->room) {
		room = g->room == 0 ? 256 : g->room * 2;
		if (room > ROWS_MAX * 2 || (grown = mw_arena_alloc(g->ctx->arena,
		    room * sizeof(*grown))) == NULL)
			return mw_ctx_nomem(g->ctx);
		if (g->n > 0)
			memcpy(grown, g->keys, g->n * sizeof(*grown));
		g->keys = grown;
		g->room = room;
	}
	if ((g->keys[g->n] = mw_arena_strdup(g->ctx->arena, key)) == NULL)
		return mw_ctx_nomem(g->ctx);
	g->n++;
	return MW_OK;
}

/* ---- R2: what the prefix is grouped by ---- */

static enum mw_code
add_group(void *arg, const struct mw_list_row *row)
{
	struct gather *g = arg;

	return row->group ? add(g, row->key) : MW_OK;
}

static enum mw_code
try_list(void *arg)
{
	struct gather *g = arg;
	struct mw_list_req req = { .prefix = g->head, .after = g->listed,
	    .max = (int64_t)g->limit };

	g->n = g->kept;
	return g->app->store->ops->list(g->app->store, g->ctx, &req, add_group, g, &g->more);
}

/* At least `limit` users, if there are that many: what else the keys name is skipped. */
static enum mw_code
list_pages(struct gather *g)
{
	size_t users = 0, i;
	enum mw_code code;

	g->listed = g->after;
	do {
		g->kept = g->n;
		if ((code = mw_retry(g->app, g->ctx, MW_UP_STORE, try_list, g)) != MW_OK)
			return code;
		for (i = g->kept; i < g->n; i++)
			users += user_of(g, g->keys[i]) != NULL;
		if (g->n > g->kept)
			g->listed = g->keys[g->n - 1];
	} while (g->more && g->n > g->kept && users < g->limit);
	return MW_OK;
}

static enum mw_code
list(struct gather *g)
{
	int64_t deadline = g->ctx->deadline;
	struct mw_store *store;
	enum mw_code code;

	if ((code = mw_app_store(g->app, g->ctx, &store)) != MW_OK)
		return code;
	g->ctx->deadline -= mw_left(deadline) / R2_SHARE;
	code = list_pages(g);
	g->ctx->deadline = deadline;
	return code;
}

/* ---- the driver, and our own state ---- */

static enum mw_code
add_user(void *arg, const char *user)
{
	struct gather *g = arg;
	const char *key = mw_arena_printf(g->ctx->arena, "%s%s%s", g->head, user, g->tail);

	if (key == NULL)
		return mw_ctx_nomem(g->ctx);
	return g->after != NULL && strcmp(key, g->after) <= 0 ? MW_OK : add(g, key);
}

static enum mw_code
enumerate(struct gather *g)
{
	struct mw_sandbox *sb;
	enum mw_code code;

	if ((code = mw_app_sandbox(g->app, g->ctx, &sb)) != MW_OK)
		return code;
	mw_ctx_count(g->ctx);
	return sb->ops->enumerate(sb, g->ctx, add_user, g);
}

static enum mw_code
known_here(struct gather *g)
{
	enum mw_code code = mw_outbox_users(g->app->outbox, g->ctx, add_user, g);

	return code != MW_OK ? code : mw_process_users(g->app->processes, g->ctx, add_user, g);
}

/* ---- all of them ---- */

static enum mw_code (*const sources[MW_USERS_SOURCES])(struct gather *) = {
	[MW_USERS_R2] = list, [MW_USERS_SANDBOX] = enumerate, [MW_USERS_STATE] = known_here,
};

/* One that has failed is not asked again for the next page. */
static void
ask(struct gather *g, struct mw_users *out, enum mw_users_source from)
{
	struct mw_err *failed = &out->failed[from], *err = &g->ctx->err;
	enum mw_code code;

	if (failed->code != MW_OK || (code = sources[from](g)) == MW_OK)
		return;
	*failed = *err;
	failed->code = code;
	failed->details = NULL;
	out->partial = true;
	mw_log(MW_WARN, "the list of users is without what %s has: %s",
	    mw_users_source_words[from], failed->msg);
	mw_err_clear(err);
}

static enum mw_code
split_prefix(struct gather *g)
{
	const char *prefix = g->app->conf->store.prefix, *field = strstr(prefix, FIELD), *rest;

	if (field == NULL)
		return mw_ctx_fail(g->ctx, MW_INTERNAL_ERROR, "store.prefix has no " FIELD);
	rest = field + strlen(FIELD);
	g->head = mw_arena_dup(g->ctx->arena, prefix, (size_t)(field - prefix));
	g->tail = mw_arena_printf(g->ctx->arena, "%.*s/", (int)strcspn(rest, "/"), rest);
	return g->head == NULL || g->tail == NULL ? mw_ctx_nomem(g->ctx) : MW_OK;
}

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The user that a key names, NULL if it is none of ours. */
static const char *
user_of(const struct gather *g, const char *key)
{
	size_t n = strlen(key), head = strlen(g->head), tail = strlen(g->tail);

	if (n <= head + tail || strcmp(key + n - tail, g->tail) != 0 ||
	    !mw_user_valid(key + head, n - head - tail))
		return NULL;
	return mw_arena_dup(g->ctx->arena, key + head, n - head - tail);
}

/* The first `limit` of all that was found, each once. */
static enum mw_code
pick(struct gather *g, struct mw_users *out)
{
	const char *user;
	size_t i;

	if (g->n > 0)
		qsort(g->keys, g->n, sizeof(*g->keys), by_bytes);
	out->id = mw_arena_alloc(g->ctx->arena, (g->limit + 1) * sizeof(*out->id));
	if (out->id == NULL)
		return mw_ctx_nomem(g->ctx);
	out->more = g->more;
	for (i = 0; i < g->n; i++) {
		if (i > 0 && strcmp(g->keys[i], g->keys[i - 1]) == 0)
			continue;
		if ((user = user_of(g, g->keys[i])) == NULL)
			continue;
		if (out->n == g->limit) {
			out->more = true;
			break;
		}
		out->id[out->n++] = user;
	}
	return MW_OK;
}

static enum mw_code
nobody(struct mw_ctx *ctx, const struct mw_users *out)
{
	size_t i = 0;

	while (out->failed[i].code == MW_OK)
		i++;
	ctx->err = out->failed[i];
	return ctx->err.code;
}

/* The next page of a list, with what is known of it so far. */
static enum mw_code
next_page(struct mw_app *app, struct mw_ctx *ctx, const char *after, size_t limit,
    struct mw_users *out)
{
	struct gather g = { .app = app, .ctx = ctx, .limit = limit };
	enum mw_code code;

	out->n = 0;
	if ((code = split_prefix(&g)) != MW_OK)
		return code;
	if (after != NULL &&
	    (g.after = mw_arena_printf(ctx->arena, "%s%s%s", g.head, after, g.tail)) == NULL)
		return mw_ctx_nomem(ctx);
	ask(&g, out, MW_USERS_R2);
	ask(&g, out, MW_USERS_SANDBOX);
	if (out->partial)
		ask(&g, out, MW_USERS_STATE);
	if ((code = pick(&g, out)) == MW_OK && out->partial && out->n == 0 && after == NULL)
		code = nobody(ctx, out);
	return code;
}

enum mw_code
mw_users_page(struct mw_app *app, struct mw_ctx *ctx, const char *after, size_t limit,
    struct mw_users *out)
{
	memset(out, 0, sizeof(*out));
	return next_page(app, ctx, after, limit, out);
}

enum mw_code
mw_users_all(struct mw_app *app, struct mw_ctx *ctx, size_t max, struct mw_users *out)
{
	const char **all = mw_arena_alloc(ctx->arena, max * sizeof(*all));
	enum mw_code code = MW_OK;
	size_t n = 0;

	memset(out, 0, sizeof(*out));
	if (all == NULL)
		return mw_ctx_nomem(ctx);
	do {
		code = next_page(app, ctx, n > 0 ? all[n - 1] : NULL, MW_USERS_MAX, out);
		if (code != MW_OK)
			return code;
		if (out->n > max - n) {
			out->n = max - n;
			out->more = true;
		}
		if (out->n > 0)
			memcpy(all + n, out->id, out->n * sizeof(*all));
		n += out->n;
	} while (out->more && out->n > 0 && n < max);
	out->id = all;
	out->n = n;
	return MW_OK;
}
