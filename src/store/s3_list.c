/* SPDX-License-Identifier: BSD-2-Clause */
/* ListObjectsV2: pages in, rows in byte order out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "store/s3.h"

#define EMPTY_MAX 100		/* pages; a store may send some, of deleted names */

struct listing {
	struct mw_s3 *s;
	struct mw_ctx *ctx;
	const struct mw_list_req *req;
	mw_list_fn fn;
	void *arg;
	int64_t given;
	bool more, stop;
	unsigned empty;			/* pages in a row that brought nothing new */
	char token[8192];		/* of the next page; outlives scratch memory */
	char last[MW_KEY_MAX + 1];	/* no row up to this key is handed out (again) */
	bool has_last;
};

/* One "name=value" of a query; name is plain. */
static bool
pair(struct mw_buf *q, const char *name, const char *value)
{
	return (q->len == 0 || mw_buf_addc(q, '&')) && mw_buf_adds(q, name) &&
	    mw_buf_addc(q, '=') && mw_str_pct_encode(q, value, strlen(value), NULL);
}

/* Sorted by name, as it is signed. */
static const char *
query(struct listing *l)
{
	const struct mw_list_req *req = l->req;
	/* One more than wanted tells whether there is more. */
	int64_t max = req->max - l->given < 1000 ? req->max - l->given + 1 : 1000;
	struct mw_buf q;
	char *out = NULL, number[24];

	(void)snprintf(number, sizeof(number), "%lld", (long long)max);
	mw_buf_init(&q, 65536);
	if ((l->token[0] == '\0' || pair(&q, "continuation-token", l->token)) &&
	    (req->recursive || pair(&q, "delimiter", "/")) &&
	    pair(&q, "encoding-type", "url") && pair(&q, "list-type", "2") &&
	    pair(&q, "max-keys", number) && pair(&q, "prefix", req->prefix) &&
	    (req->after == NULL || pair(&q, "start-after", req->after)))
		out = mw_arena_dup(l->s->scratch, q.data, q.len);
	mw_buf_free(&q);
	return out;
}

static int
compare(const void *a, const void *b)
{
	const struct mw_s3_row *x = *(struct mw_s3_row *const *)a;
	const struct mw_s3_row *y = *(struct mw_s3_row *const *)b;

	return strcmp(x->key, y->key);
}

/*
 * A row that may be handed out: below the prefix, after what was handed out already.
 * Whether its name can be a path is for the caller to say, who counts those that cannot.  Servers differ in whether start-after with a
 * group's name skips that group; here it does.
 */
static bool
row_good(const struct listing *l, const struct mw_s3_row *row)
{
	const size_t prefix = strlen(l->req->prefix);
	size_t n;

	if (row->key == NULL || (n = strlen(row->key)) == 0 || n > MW_KEY_MAX ||
	    strncmp(row->key, l->req->prefix, prefix) != 0)
		return false;
	if (row->group && (l->req->recursive || n <= prefix || row->key[n - 1] != '/'))
		return false;
	return !l->has_last || strcmp(row->key, l->last) > 0;
}

static enum mw_code
emit(struct listing *l, const struct mw_s3_row *from)
{
	struct mw_list_row row = { .key = from->key, .group = from->group,
	    .size = from->size, .modified = from->modified };

	if (!row.group) {
		row.etag = mw_s3_etag(l->s->scratch, from->etag);
		if (row.etag == NULL)
			return mw_ctx_fail(l->ctx, MW_STORE_ERROR,
			    "the store lists %s without an ETag", from->key);
	}
	l->given++;
	memcpy(l->last, row.key, strlen(row.key) + 1);
	l->has_last = true;
	return l->fn(l->arg, &row);
}

/* A page has objects and groups apart: merge them. */
static enum mw_code
rows(struct listing *l, const struct mw_s3_doc *doc)
{
	struct mw_s3_row *row, **v;
	enum mw_code code = MW_OK;
	size_t n = 0, i;

	v = mw_arena_alloc(l->s->scratch, (doc->nrows + 1) * sizeof(*v));
	if (v == NULL)
		return mw_ctx_nomem(l->ctx);
	for (row = doc->rows; row != NULL; row = row->next) {
		if (row_good(l, row))
			v[n++] = row;
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), compare);
	for (i = 0; i < n && code == MW_OK; i++) {
		if (i > 0 && strcmp(v[i]->key, v[i - 1]->key) == 0)
			continue;
		if (l->given == l->req->max) {
			l->more = l->stop = true;
			return MW_OK;
		}
		code = emit(l, v[i]);
	}
	return code;
}

static enum mw_code
page(struct listing *l)
{
	struct mw_s3_req r = { .method = "GET" };
	enum mw_code code;
	int64_t given;

	mw_s3_begin(l->s);
	if ((r.query = query(l)) == NULL)
		return mw_ctx_nomem(l->ctx);
	if (mw_s3_call(l->s, l->ctx, &r) != MW_OK)
		return mw_s3_done(l->ctx, &r);
	if (r.doc.root != MW_S3_LIST)
		return mw_ctx_fail(l->ctx, MW_STORE_ERROR,
		    "the store's listing cannot be read");
	given = l->given;
	if ((code = rows(l, &r.doc)) != MW_OK || l->stop)
		return code;
	if (!r.doc.truncated) {
		l->stop = true;
		return MW_OK;
	}
	if (r.doc.token == NULL || r.doc.token[0] == '\0' ||
	    strlen(r.doc.token) >= sizeof(l->token) ||
	    strcmp(r.doc.token, l->token) == 0)
		return mw_ctx_fail(l->ctx, MW_STORE_ERROR,
		    "the store's listing does not say where it goes on");
	memcpy(l->token, r.doc.token, strlen(r.doc.token) + 1);
	l->empty = l->given > given ? 0 : l->empty + 1;
	return l->empty < EMPTY_MAX ? MW_OK : mw_ctx_fail(l->ctx, MW_STORE_ERROR,
	    "the store's listing goes on and on: %u pages without a new name", l->empty);
}

enum mw_code
mw_s3_list(struct mw_store *st, struct mw_ctx *ctx, const struct mw_list_req *req,
    mw_list_fn fn, void *arg, bool *more)
{
	struct listing l = { .s = (struct mw_s3 *)st, .ctx = ctx, .req = req,
	    .fn = fn, .arg = arg };
	enum mw_code code = MW_OK;

	*more = false;
	if (req->after != NULL && strlen(req->after) > MW_KEY_MAX)
		return mw_ctx_fail(ctx, MW_INVALID_ARGUMENT, "the place to list from is no key");
	if (req->after != NULL) {
		memcpy(l.last, req->after, strlen(req->after) + 1);
		l.has_last = true;
	}
	while (code == MW_OK && !l.stop)
		code = page(&l);
	*more = l.more;
	return code;
}
