/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contents to put into a store and sinks to get them back, for the tests of stores.
 * The store under test is st.
 */
#ifndef MW_TESTS_STORE_FIXTURE_H
#define MW_TESTS_STORE_FIXTURE_H

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "store/store.h"
#include "tap.h"

#define P "suite/"			/* below which all test keys lie */
#define PATIENCE 120000			/* ms */

static struct mw_store *st;
static struct mw_ctx ctx;

static void
fresh(void)
{
	if (ctx.arena == NULL)
		ctx.arena = mw_arena_open((size_t)64 << 20);
	mw_arena_reset(ctx.arena);
	mw_err_clear(&ctx.err);
	ctx.deadline = mw_now() + PATIENCE;
	ctx.request_id = "test";
}

static bool
is_code(enum mw_code got, enum mw_code want, const char *what)
{
	bool good = ok(got == want, "%s: %s", what, mw_code_info(want)->name);

	if (!good)
		printf("# got %s: %s\n", mw_code_info(got)->name, ctx.err.msg);
	return good;
}

/* ---- put ---- */

struct content {
	int fd;
	unsigned char sha[32], md5[16];
	struct mw_put put;
	char etag[35];
};

static void
content_done(struct content *c)
{
	(void)close(c->fd);
}

static void
content_hash(struct content *c)
{
	EVP_MD_CTX *a = EVP_MD_CTX_new(), *b = EVP_MD_CTX_new();
	static _Thread_local unsigned char piece[1 << 16];
	int64_t at = 0;
	ssize_t n;

	if (a == NULL || b == NULL || EVP_DigestInit_ex(a, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestInit_ex(b, EVP_md5(), NULL) != 1)
		abort();
	while ((n = pread(c->fd, piece, sizeof(piece), at)) > 0) {
		if (EVP_DigestUpdate(a, piece, (size_t)n) != 1 ||
		    EVP_DigestUpdate(b, piece, (size_t)n) != 1)
			abort();
		at += n;
	}
	if (EVP_DigestFinal_ex(a, c->sha, NULL) != 1 || EVP_DigestFinal_ex(b, c->md5, NULL) != 1)
		abort();
	EVP_MD_CTX_free(a);
	EVP_MD_CTX_free(b);
	c->put = (struct mw_put){ .fd = c->fd, .size = at, .sha256 = c->sha, .md5 = c->md5,
	    .content_type = "text/plain", .mode = -1, .mtime = -1 };
	c->etag[0] = '"';
	mw_str_hex(c->md5, 16, c->etag + 1);
	memcpy(c->etag + 33, "\"", 2);
}

static void
content(struct content *c, const void *p, size_t n)
{
	c->fd = memfd_create("content", MFD_CLOEXEC);
	if (c->fd == -1 || write(c->fd, p, n) != (ssize_t)n)
		abort();
	content_hash(c);
}

static enum mw_code
put_text(const char *key, const char *text)
{
	struct content c;
	const char *etag;
	enum mw_code code;

	content(&c, text, strlen(text));
	fresh();
	code = st->ops->put(st, &ctx, key, &c.put, &etag);
	content_done(&c);
	return code;
}

/* ---- get ---- */

struct got {
	struct mw_object obj;
	int begun;
	struct mw_buf body;
	int64_t stop_after;		/* bytes; -1 = never */
};

static enum mw_code
got_begin(void *arg, const struct mw_object *obj)
{
	struct got *g = arg;

	g->begun++;
	g->obj = *obj;
	return MW_OK;
}

static enum mw_code
got_data(void *arg, const void *p, size_t n)
{
	struct got *g = arg;

	if (!mw_buf_add(&g->body, p, n))
		abort();
	return g->stop_after >= 0 && (int64_t)g->body.len >= g->stop_after ?
	    MW_CLIENT_GONE : MW_OK;
}

static enum mw_code
get(const char *key, const struct mw_get *opt, struct got *g, bool *not_modified)
{
	static const struct mw_get plain;
	struct mw_sink sink = { got_begin, got_data, g };
	bool unused;

	memset(g, 0, sizeof(*g));
	g->stop_after = -1;
	mw_buf_init(&g->body, (size_t)256 << 20);
	fresh();
	return st->ops->get(st, &ctx, key, opt == NULL ? &plain : opt, &sink,
	    not_modified == NULL ? &unused : not_modified);
}

static bool
body_is(const struct got *g, const void *p, size_t n, const char *what)
{
	bool good = ok(g->body.len == n && (n == 0 || memcmp(g->body.data, p, n) == 0),
	    "%s: the bytes", what);

	if (!good)
		printf("# got %zu bytes, want %zu\n", g->body.len, n);
	return good;
}

static void
holds(const char *key, const char *text, const char *what)
{
	struct got g;

	is_code(get(key, NULL, &g, NULL), MW_OK, what);
	body_is(&g, text, strlen(text), what);
	mw_buf_free(&g.body);
}

static void
missing(const char *key, const char *what)
{
	struct mw_object obj;
	struct got g;

	is_code(get(key, NULL, &g, NULL), MW_FILE_NOT_FOUND, what);
	ok(g.begun == 0, "%s: get has not begun", what);
	mw_buf_free(&g.body);
	fresh();
	is_code(st->ops->head(st, &ctx, key, &obj), MW_FILE_NOT_FOUND, what);
}

static void
drop(const char *key)
{
	fresh();
	is_code(st->ops->remove(st, &ctx, key), MW_OK, "remove");
}

#endif
