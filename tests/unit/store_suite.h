/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every store must do, whichever driver it is: test_store_dir and
 * test_store_s3 run the same checks.  Include once, call suite(), or use its parts.
 */
#ifndef MW_TESTS_STORE_SUITE_H
#define MW_TESTS_STORE_SUITE_H

#include "store_fixture.h"

/* ---- checks ---- */

static void
suite_whole(void)
{
	struct content c;
	struct mw_object obj;
	const char *etag = NULL;
	struct got g;

	content(&c, "hello\n", 6);
	c.put.mode = 0751;
	c.put.mtime = 1700000000123;
	fresh();
	is_code(st->ops->put(st, &ctx, P "one", &c.put, &etag), MW_OK, "put");
	is_str(etag, c.etag, "put: the ETag is the quoted MD5");
	fresh();
	is_code(st->ops->head(st, &ctx, P "one", &obj), MW_OK, "head");
	is_int(obj.size, 6, "head: size");
	is_str(obj.etag, c.etag, "head: ETag");
	is_str(obj.content_type, "text/plain", "head: type");
	is_int(obj.mode, 0751, "head: mode");
	is_int(obj.mtime, 1700000000123, "head: mtime");
	ok(llabs((long long)(obj.modified - mw_wall())) < 60000, "head: modified just now");
	is_code(get(P "one", NULL, &g, NULL), MW_OK, "get");
	body_is(&g, "hello\n", 6, "get");
	is_int(g.begun, 1, "get: begun once");
	is_int(g.obj.size, 6, "get: size");
	is_str(g.obj.etag, c.etag, "get: ETag");
	is_int(g.obj.mode, 0751, "get: mode");
	is_int(g.obj.mtime, 1700000000123, "get: mtime");
	ok(!g.obj.partial, "get: not partial");
	mw_buf_free(&g.body);
	content_done(&c);

	is_code(put_text(P "one", "other"), MW_OK, "put again");
	holds(P "one", "other", "what was put last");
	fresh();
	is_code(st->ops->head(st, &ctx, P "one", &obj), MW_OK, "head");
	is_int(obj.mode, -1, "no mode recorded, none known");
	is_int(obj.mtime, -1, "no mtime recorded, none known");
	drop(P "one");
	missing(P "one", "removed");
	drop(P "one");
	fresh();
	is_code(st->ops->ping(st, &ctx), MW_OK, "ping");
}

static void
suite_bytes(void)
{
	static unsigned char all[300001];
	static const size_t sizes[] = { 0, 1, 255, 65536, 65537, sizeof(all) };
	const char *etag;
	struct content c;
	struct got g;
	size_t i;

	for (i = 0; i < sizeof(all); i++)
		all[i] = (unsigned char)(i * 131 + i / 251);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		content(&c, all, sizes[i]);
		fresh();
		is_code(st->ops->put(st, &ctx, P "bytes", &c.put, &etag), MW_OK, "put bytes");
		is_code(get(P "bytes", NULL, &g, NULL), MW_OK, "get bytes");
		body_is(&g, all, sizes[i], "bytes");
		mw_buf_free(&g.body);
		content_done(&c);
	}
	drop(P "bytes");
}

static void
suite_range(void)
{
	static const struct {
		int64_t from, to;
		enum mw_code code;
		const char *body;
		int64_t got_from, got_to;
	} rows[] = {
		{ 0, 3, MW_OK, "0123", 0, 3 },
		{ 5, -1, MW_OK, "56789", 5, 9 },
		{ -1, 3, MW_OK, "789", 7, 9 },
		{ -1, 100, MW_OK, "0123456789", 0, 9 },
		{ 8, 100, MW_OK, "89", 8, 9 },
		{ 9, 9, MW_OK, "9", 9, 9 },
		{ 0, -1, MW_OK, "0123456789", 0, 9 },
		{ 10, -1, MW_RANGE_NOT_SATISFIABLE, "", 0, 0 },
		{ 10, 20, MW_RANGE_NOT_SATISFIABLE, "", 0, 0 },
	};
	struct mw_get opt = { .ranged = true };
	char what[64];
	struct got g;
	size_t i;

	is_code(put_text(P "range", "0123456789"), MW_OK, "put");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		opt.from = rows[i].from;
		opt.to = rows[i].to;
		(void)snprintf(what, sizeof(what), "range %d to %d", (int)opt.from, (int)opt.to);
		is_code(get(P "range", &opt, &g, NULL), rows[i].code, what);
		body_is(&g, rows[i].body, strlen(rows[i].body), what);
		/* Some servers answer the whole of it with 200. */
		if (rows[i].code == MW_OK && (g.obj.partial || strlen(rows[i].body) != 10)) {
			is_int(g.obj.from, rows[i].got_from, what);
			is_int(g.obj.to, rows[i].got_to, what);
			is_int(g.obj.size, 10, what);
		}
		mw_buf_free(&g.body);
	}
	drop(P "range");
}

static void
suite_conditional_get(void)
{
	struct content c;
	char list[128];
	struct mw_get opt = { .if_match = c.etag };
	struct got g;
	bool not_modified;

	content(&c, "text", 4);
	is_code(put_text(P "cond", "text"), MW_OK, "put");
	is_code(get(P "cond", &opt, &g, NULL), MW_OK, "If-Match, the same");
	body_is(&g, "text", 4, "If-Match");
	mw_buf_free(&g.body);
	opt.if_match = "\"00000000000000000000000000000000\"";
	is_code(get(P "cond", &opt, &g, NULL), MW_PRECONDITION_FAILED, "If-Match, another");
	ok(g.begun == 0, "and nothing came");
	mw_buf_free(&g.body);
	opt = (struct mw_get){ .if_none_match = c.etag };
	is_code(get(P "cond", &opt, &g, &not_modified), MW_OK, "If-None-Match, the same");
	ok(not_modified && g.begun == 0 && g.body.len == 0, "not modified, nothing came");
	mw_buf_free(&g.body);
	(void)snprintf(list, sizeof(list), "\"abc\", %s", c.etag);
	opt.if_none_match = list;
	is_code(get(P "cond", &opt, &g, &not_modified), MW_OK, "If-None-Match, a list");
	ok(not_modified, "not modified");
	mw_buf_free(&g.body);
	opt.if_none_match = "\"abc\"";
	is_code(get(P "cond", &opt, &g, &not_modified), MW_OK, "If-None-Match, another");
	ok(!not_modified, "modified");
	body_is(&g, "text", 4, "If-None-Match, another");
	mw_buf_free(&g.body);
	drop(P "cond");
	content_done(&c);
}

static void
suite_conditional_put(void)
{
	struct content one, two;
	const char *etag;

	content(&one, "one", 3);
	content(&two, "two", 3);
	fresh();
	one.put.if_none_match = true;
	is_code(st->ops->put(st, &ctx, P "new", &one.put, &etag), MW_OK,
	    "If-None-Match: * where nothing is");
	two.put.if_none_match = true;
	fresh();
	is_code(st->ops->put(st, &ctx, P "new", &two.put, &etag), MW_PRECONDITION_FAILED,
	    "If-None-Match: * where something is");
	holds(P "new", "one", "unchanged");
	two.put.if_none_match = false;
	two.put.if_match = two.etag;
	fresh();
	is_code(st->ops->put(st, &ctx, P "new", &two.put, &etag), MW_PRECONDITION_FAILED,
	    "If-Match with another ETag");
	holds(P "new", "one", "unchanged");
	two.put.if_match = one.etag;
	fresh();
	is_code(st->ops->put(st, &ctx, P "new", &two.put, &etag), MW_OK,
	    "If-Match with the right ETag");
	is_str(etag, two.etag, "the new ETag");
	holds(P "new", "two", "changed");
	drop(P "new");
	fresh();
	is_code(st->ops->put(st, &ctx, P "new", &two.put, &etag), MW_PRECONDITION_FAILED,
	    "If-Match where nothing is");
	missing(P "new", "still nothing");
	content_done(&one);
	content_done(&two);
}

static void
suite_damaged(void)
{
	struct content c;
	const char *etag;

	content(&c, "content", 7);
	c.md5[3] ^= 1;
	fresh();
	ok(st->ops->put(st, &ctx, P "bad", &c.put, &etag) != MW_OK, "a wrong MD5 is refused");
	missing(P "bad", "and nothing is stored");
	c.md5[3] ^= 1;
	c.put.size = 9;
	fresh();
	ok(st->ops->put(st, &ctx, P "bad", &c.put, &etag) != MW_OK, "content that is too short");
	missing(P "bad", "and nothing is stored");
	content_done(&c);
}

/* A receiver that goes away, and the connection after it. */
static void
suite_stop(void)
{
	struct mw_sink sink;
	struct mw_get opt = { 0 };
	struct got g = { .stop_after = 1 };
	static char big[400000];
	struct content c;
	const char *etag;
	bool not_modified;

	content(&c, big, sizeof(big));
	fresh();
	is_code(st->ops->put(st, &ctx, P "stop", &c.put, &etag), MW_OK, "put");
	mw_buf_init(&g.body, sizeof(big));
	sink = (struct mw_sink){ got_begin, got_data, &g };
	fresh();
	is_code(st->ops->get(st, &ctx, P "stop", &opt, &sink, &not_modified), MW_CLIENT_GONE,
	    "what the receiver returns is what get returns");
	mw_buf_free(&g.body);
	is_code(get(P "stop", NULL, &g, NULL), MW_OK, "get after it");
	body_is(&g, big, sizeof(big), "get after it");
	mw_buf_free(&g.body);
	drop(P "stop");
	content_done(&c);
}

static void
suite_bad_keys(void)
{
	static char longest[1026];
	const char *const bad[] = { "", "a\x01z", "a\nz", "a\x7f", "\xff", "a\xc3", longest };
	struct mw_object obj;
	struct got g;
	size_t i;

	memset(longest, 'x', sizeof(longest) - 1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		is_code(put_text(bad[i], "x"), MW_INVALID_PATH, "put of a bad key");
		is_code(get(bad[i], NULL, &g, NULL), MW_INVALID_PATH, "get of a bad key");
		mw_buf_free(&g.body);
		fresh();
		is_code(st->ops->head(st, &ctx, bad[i], &obj), MW_INVALID_PATH, "head of a bad key");
		fresh();
		is_code(st->ops->remove(st, &ctx, bad[i]), MW_INVALID_PATH, "remove of a bad key");
	}
}

/* ---- lists ---- */

/* Rows as one text, "key|key|group/|". */
struct rows {
	struct mw_buf text;
	int64_t n, stop_at;
	char last[1100];
	int64_t size, modified;
	char etag[64];
};

static enum mw_code
row_add(void *arg, const struct mw_list_row *row)
{
	struct rows *r = arg;

	if (!mw_buf_adds(&r->text, row->key + (strncmp(row->key, P, strlen(P)) == 0 ? strlen(P) : 0)) ||
	    !mw_buf_addc(&r->text, '|'))
		abort();
	ok(row->group == (row->group && row->key[strlen(row->key) - 1] == '/'), "row %s", row->key);
	(void)snprintf(r->last, sizeof(r->last), "%s", row->key);
	if (!row->group) {
		r->size = row->size;
		r->modified = row->modified;
		(void)snprintf(r->etag, sizeof(r->etag), "%s", row->etag);
	}
	return ++r->n == r->stop_at ? MW_CLIENT_GONE : MW_OK;
}

static enum mw_code
list(const struct mw_list_req *req, struct rows *r, bool *more)
{
	mw_buf_init(&r->text, 1 << 20);
	r->n = 0;
	r->stop_at = -1;
	fresh();
	return st->ops->list(st, &ctx, req, row_add, r, more);
}

static void
list_is(const char *prefix, bool recursive, const char *after, int64_t max,
    const char *want, bool want_more)
{
	struct mw_list_req req = { prefix, recursive, after, max };
	struct rows r;
	char what[256];
	bool more;

	(void)snprintf(what, sizeof(what), "list '%s'%s after '%s' max %d", prefix,
	    recursive ? " recursive" : "", after == NULL ? "" : after, (int)max);
	is_code(list(&req, &r, &more), MW_OK, what);
	is_str(r.text.data == NULL ? "" : r.text.data, want, what);
	ok(more == want_more, "%s: %s", what, want_more ? "more" : "no more");
	mw_buf_free(&r.text);
}

/* Page by page must give what one page gives. */
static void
list_pages(const char *prefix, bool recursive, int64_t max, const char *want)
{
	struct mw_list_req req = { prefix, recursive, NULL, max };
	static char last[1100];
	struct mw_buf all;
	struct rows r;
	bool more = true;
	int pages = 0;

	mw_buf_init(&all, 1 << 20);
	mw_buf_adds(&all, "");
	while (more && pages++ < 100) {
		is_code(list(&req, &r, &more), MW_OK, "a page");
		ok(r.n <= max, "no page has more than %d rows", (int)max);
		mw_buf_add(&all, r.text.data, r.text.len);
		(void)snprintf(last, sizeof(last), "%s", r.last);
		req.after = last;
		mw_buf_free(&r.text);
	}
	ok(strcmp(all.data, want) == 0, "pages of %d, '%s'%s", (int)max, prefix,
	    recursive ? " recursive" : "");
	if (strcmp(all.data, want) != 0)
		printf("# got '%s', want '%s'\n", all.data, want);
	mw_buf_free(&all);
}

#define ALL "a|b!|b/1|b/2|b/c/3|b0|c/x|d e|d+e|f/g/h/i|f/g/h0|z|"
#define GROUPS "a|b!|b/|b0|c/|d e|d+e|f/|z|"

static void
suite_list(void)
{
	static const char *const keys[] = { "a", "b!", "b/1", "b/2", "b/c/3", "b0", "c/x",
	    "d e", "d+e", "f/g/h/i", "f/g/h0", "z" };
	struct mw_list_req req = { P "z", true, NULL, 10 };
	char key[64];
	struct rows r;
	size_t i;
	bool more;
	int64_t max;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		(void)snprintf(key, sizeof(key), P "%s", keys[i]);
		is_code(put_text(key, keys[i]), MW_OK, "put");
	}
	list_is(P, true, NULL, 1000, ALL, false);
	list_is(P, false, NULL, 1000, GROUPS, false);
	list_is(P "b", false, NULL, 1000, "b!|b/|b0|", false);
	list_is(P "b/", false, NULL, 1000, "b/1|b/2|b/c/|", false);
	list_is(P "b/", true, NULL, 1000, "b/1|b/2|b/c/3|", false);
	list_is(P "b/c", false, NULL, 1000, "b/c/|", false);
	list_is(P "f/g/h", true, NULL, 1000, "f/g/h/i|f/g/h0|", false);
	list_is(P "none", true, NULL, 1000, "", false);
	list_is(P "none/", false, NULL, 1000, "", false);
	list_is(P "a/", false, NULL, 1000, "", false);
	list_is(P, false, P "b/", 1000, "b0|c/|d e|d+e|f/|z|", false);
	list_is(P, true, P "b/", 2, "b/1|b/2|", true);
	list_is(P, true, P "b/2", 3, "b/c/3|b0|c/x|", true);
	list_is(P, false, P "b/2", 1, "b0|", true);
	list_is(P, true, P "z", 1000, "", false);
	list_is(P, false, NULL, 9, GROUPS, false);
	list_is(P, false, NULL, 8, "a|b!|b/|b0|c/|d e|d+e|f/|", true);
	for (max = 1; max <= 5; max++) {
		list_pages(P, true, max, ALL);
		list_pages(P, false, max, GROUPS);
	}
	is_code(list(&req, &r, &more), MW_OK, "one row");
	is_int(r.size, 1, "row: size");
	is_str(r.etag, "\"fbade9e36a3f36d3d676c1b808451dd7\"", "row: ETag");
	ok(llabs((long long)(r.modified - mw_wall())) < 60000, "row: modified just now");
	mw_buf_free(&r.text);

	mw_buf_init(&r.text, 1 << 20);
	r.n = 0;
	r.stop_at = 2;
	req.prefix = P;
	fresh();
	is_code(st->ops->list(st, &ctx, &req, row_add, &r, &more), MW_CLIENT_GONE,
	    "a receiver may stop");
	is_int(r.n, 2, "and gets no more");
	mw_buf_free(&r.text);
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		(void)snprintf(key, sizeof(key), P "%s", keys[i]);
		drop(key);
	}
	list_is(P, true, NULL, 1000, "", false);
	list_is(P, false, NULL, 1000, "", false);
}

/* Names that are hard to sign, to quote or to keep in a directory. */
static const char *const odd_keys[] = {
	"a b", "a+b", "a%20b", "a%b", "%", "a&b=c;d", "a?b", "a#b", "!$&'()*+,;=:@", "\"quoted\"",
	"back\\slash", "caf\xc3\xa9", "cafe\xcc\x81", "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\xa6\x80",
	" lead", "trail ", "  two  ", "~tilde", ".hidden", "...", "..a", "a..", "-rf", "*", "[x]",
	"<a>&lt;b>", "]]>", "{json}", "a|b", "a^b`c", "dir.with.dots/x.y", "con", "a:b",
	"deep/er/and/deep/er/still", "\xef\xbb\xbf\x62om", "\xc2\xa0nbsp", "\xef\xbf\xbd",
};

static void
odd_key(const char *name)
{
	struct mw_list_req req = { NULL, true, NULL, 10 };
	char key[1100], text[1100];
	struct rows r;
	bool more;

	(void)snprintf(key, sizeof(key), P "odd/%s", name);
	(void)snprintf(text, sizeof(text), "content of %s", name);
	is_code(put_text(key, text), MW_OK, name);
	holds(key, text, name);
	req.prefix = key;
	is_code(list(&req, &r, &more), MW_OK, name);
	ok(r.n >= 1 && strncmp(r.text.data + 4, name, strlen(name)) == 0 &&
	    r.text.data[4 + strlen(name)] == '|', "%s: listed under its name", name);
	mw_buf_free(&r.text);
}

static void
suite_odd_keys(const char *const *more, size_t nmore)
{
	const size_t n = sizeof(odd_keys) / sizeof(odd_keys[0]);
	static char longest[300];
	const char *name;
	char key[1100];
	size_t i;

	memset(longest, 'n', 255);
	for (i = 0; i <= n + nmore; i++)
		odd_key(i < n ? odd_keys[i] : i == n ? longest : more[i - n - 1]);
	/* After all are there: none has hit another. */
	for (i = 0; i <= n + nmore; i++) {
		char text[1100];

		name = i < n ? odd_keys[i] : i == n ? longest : more[i - n - 1];
		(void)snprintf(key, sizeof(key), P "odd/%s", name);
		(void)snprintf(text, sizeof(text), "content of %s", name);
		holds(key, text, name);
	}
	for (i = 0; i <= n + nmore; i++) {
		name = i < n ? odd_keys[i] : i == n ? longest : more[i - n - 1];
		(void)snprintf(key, sizeof(key), P "odd/%s", name);
		drop(key);
		missing(key, name);
	}
	list_is(P "odd", true, NULL, 1000, "", false);
}

/* Above the size of one request: parts. */
static void
suite_large(void)
{
	const int64_t size = (INT64_C(64) << 20) + 12345;
	struct content c = { .fd = memfd_create("large", MFD_CLOEXEC) };
	struct content small;
	struct mw_get opt = { .ranged = true, .from = (16 << 20) - 3, .to = (16 << 20) + 3 };
	struct mw_object obj;
	const char *etag = NULL;
	struct got g;
	int64_t at;

	content(&small, "small", 5);
	if (c.fd == -1 || ftruncate(c.fd, size) == -1)
		abort();
	for (at = 0; at < size; at += (1 << 20) - 1) {
		if (pwrite(c.fd, &at, sizeof(at), at) != sizeof(at))
			abort();
	}
	if (ftruncate(c.fd, size) == -1)
		abort();
	content_hash(&c);
	is_int(c.put.size, size, "a file above 64 MiB");
	c.put.mode = 0640;
	c.put.if_none_match = true;
	fresh();
	is_code(st->ops->put(st, &ctx, P "large", &c.put, &etag), MW_OK, "put in parts");
	fresh();
	is_code(st->ops->head(st, &ctx, P "large", &obj), MW_OK, "head");
	is_int(obj.size, size, "its size");
	is_int(obj.mode, 0640, "its mode");
	is_str(obj.content_type, "text/plain", "its type");
	is_str(obj.etag, etag, "its ETag");
	is_code(get(P "large", NULL, &g, NULL), MW_OK, "get it all");
	if (ok(g.body.len == (size_t)size, "all of it")) {
		unsigned char sha[32];

		SHA256((unsigned char *)g.body.data, g.body.len, sha);
		ok(memcmp(sha, c.sha, 32) == 0, "the same bytes");
	}
	mw_buf_free(&g.body);
	is_code(get(P "large", &opt, &g, NULL), MW_OK, "get across two parts");
	is_int((int64_t)g.body.len, 7, "7 bytes");
	mw_buf_free(&g.body);
	fresh();
	is_code(st->ops->put(st, &ctx, P "large", &c.put, &etag), MW_PRECONDITION_FAILED,
	    "put in parts where something is");
	fresh();
	small.put.if_match = mw_arena_strdup(ctx.arena, "\"x-1\"");
	is_code(st->ops->put(st, &ctx, P "large", &small.put, &etag), MW_PRECONDITION_FAILED,
	    "If-Match with another ETag");
	fresh();
	is_code(st->ops->head(st, &ctx, P "large", &obj), MW_OK, "head");
	small.put.if_match = obj.etag;
	is_code(st->ops->put(st, &ctx, P "large", &small.put, &etag), MW_OK,
	    "If-Match with the ETag of parts");
	holds(P "large", "small", "changed");
	drop(P "large");
	content_done(&c);
	content_done(&small);
}

__attribute__((unused)) static void
suite(struct mw_store *store, const char *const *more_keys, size_t nmore)
{
	st = store;
	suite_whole();
	suite_bytes();
	suite_range();
	suite_conditional_get();
	suite_conditional_put();
	suite_damaged();
	suite_stop();
	suite_bad_keys();
	suite_list();
	suite_odd_keys(more_keys, nmore);
	suite_large();
	mw_arena_close(ctx.arena);
	ctx.arena = NULL;
}

#endif
