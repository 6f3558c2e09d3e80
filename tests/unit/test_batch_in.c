/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <unistd.h>
#include <fcntl.h>

#include "ops/files/batch.h"
#include "tap.h"

#define MAX 4

static struct mw_arena *arena;
static int spool_dir;
static struct mw_batch b;
static struct mw_batch_in in;
static struct mw_err err;

/* Fed in pieces of `step` bytes. */
static enum mw_code
parse(const char *s, size_t n, size_t step)
{
	enum mw_code code = MW_OK;
	size_t at, len;

	mw_batch_free(&b);
	mw_arena_reset(arena);
	mw_err_clear(&err);
	mw_batch_in_init(&in, &b, arena, &err, spool_dir, MAX, MW_SRC_R2);
	for (at = 0; at < n && code == MW_OK; at += len) {
		len = n - at < step ? n - at : step;
		code = mw_batch_in_feed(&in, s + at, len);
	}
	return code == MW_OK ? mw_batch_in_finish(&in) : code;
}

/* ---- good ones: what each row says ---- */

struct row {
	enum mw_batch_kind kind;
	const char *sent, *path;
	enum mw_source source;
	bool base64;
	const char *content;		/* in the pile, NULL = none */
};

#define R MW_BATCH_READ
#define W MW_BATCH_WRITE
#define D MW_BATCH_DELETE
#define E MW_BATCH_EXISTS

static const struct good {
	const char *name, *text;
	bool parallel, stop;
	size_t n;
	struct row row[MAX];
} goods[] = {
	{ "one read", "{\"operations\":[{\"op\":\"read\",\"path\":\"a\"}]}", false, false, 1,
	    { { R, "a", "a", MW_SRC_R2, false, NULL } } },
	{ "each kind", "{\"operations\":[{\"op\":\"exists\",\"path\":\"/x//y/\"},"
	    "{\"op\":\"write\",\"path\":\"./b\",\"content\":\"hi\"},{\"op\":\"delete\",\"path\":\"c\"},"
	    "{\"op\":\"read\",\"path\":\"d\",\"source\":\"container\"}]}", false, false, 4,
	    { { E, "/x//y/", "x/y", MW_SRC_R2, false, NULL },
	    { W, "./b", "b", MW_SRC_R2, false, "hi" }, { D, "c", "c", MW_SRC_R2, false, NULL },
	    { R, "d", "d", MW_SRC_CONTAINER, false, NULL } } },
	{ "members in any order", "{\"stopOnError\":true,\"operations\":[{\"content\":\"YQ==\","
	    "\"path\":\"p\",\"encoding\":\"base64\",\"op\":\"write\"}],\"parallel\":true}", true, true, 1,
	    { { W, "p", "p", MW_SRC_R2, true, "YQ==" } } },
	{ "path, then longer members", "{\"operations\":[{\"path\":\"p\",\"source\":\"auto\","
	    "\"op\":\"exists\"}]}", false, false, 1, { { E, "p", "p", MW_SRC_AUTO, false, NULL } } },
	{ "unknown members are ignored", "{\"x\":[{\"op\":1,\"path\":[]}],\"operations\":[{\"op\":\"read\","
	    "\"y\":{\"path\":5,\"op\":[{}]},\"path\":\"a\",\"z\":[1,[2]]}],\"n\":null}", false, false, 1,
	    { { R, "a", "a", MW_SRC_R2, false, NULL } } },
	{ "two contents", "{\"operations\":[{\"op\":\"write\",\"path\":\"a\",\"content\":\"one\"},"
	    "{\"op\":\"write\",\"path\":\"a\",\"content\":\"\"},"
	    "{\"op\":\"write\",\"path\":\"b\",\"content\":\"not base64\"}]}", false, false, 3,
	    { { W, "a", "a", MW_SRC_R2, false, "one" }, { W, "a", "a", MW_SRC_R2, false, "" },
	    { W, "b", "b", MW_SRC_R2, false, "not base64" } } },
	{ "content of a read counts for nothing", "{\"operations\":[{\"op\":\"read\",\"path\":\"a\","
	    "\"content\":\"x\",\"encoding\":\"base64\"}]}", false, false, 1,
	    { { R, "a", "a", MW_SRC_R2, true, "x" } } },
	{ "not NFC may be read", "{\"operations\":[{\"op\":\"read\",\"path\":\"e\\u0301\"}]}", false, false,
	    1, { { R, "e\xcc\x81", "e\xcc\x81", MW_SRC_R2, false, NULL } } },
	{ "parallel false", "{\"operations\":[{\"op\":\"read\",\"path\":\"a\"}],\"parallel\":false,"
	    "\"stopOnError\":false}", false, false, 1, { { R, "a", "a", MW_SRC_R2, false, NULL } } },
};

static bool
row_is(const struct mw_batch_op *op, const struct row *want)
{
	char text[64];
	ssize_t n = 0;

	if (op->kind != want->kind || strcmp(op->sent, want->sent) != 0 ||
	    op->sent_len != strlen(want->sent) || strcmp(op->path, want->path) != 0 ||
	    op->source != want->source || op->base64 != want->base64)
		return false;
	if (want->content == NULL)
		return true;
	if (op->len != (int64_t)strlen(want->content))
		return false;
	if (op->len > 0)
		n = pread(b.pile, text, (size_t)op->len, op->at);
	return n == op->len && memcmp(text, want->content, (size_t)n) == 0;
}

static void
test_good(void)
{
	static const size_t steps[] = { 1, 7, 100000 };
	const struct good *g;
	size_t i, k, s;
	bool good;

	for (i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
		g = &goods[i];
		for (s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
			good = parse(g->text, strlen(g->text), steps[s]) == MW_OK && b.n == g->n &&
			    b.parallel == g->parallel && b.stop_on_error == g->stop;
			for (k = 0; good && k < g->n; k++)
				good = row_is(&b.op[k], &g->row[k]);
			if (!ok(good, "%s, in pieces of %zu", g->name, steps[s]))
				printf("# %s\n", err.msg);
		}
	}
}

/* ---- bad ones: the code, the row, the member, and the text ---- */

#define ROWS(r) "{\"operations\":[" r "]}"
#define FIRST "{\"op\":\"read\",\"path\":\"a\"}"

static const struct {
	const char *name, *text;
	enum mw_code code;
	int row;
	const char *field, *says;
} bads[] = {
	{ "nothing", "", MW_INVALID_JSON, -1, NULL, "at byte 0" },
	{ "not JSON", "hello", MW_INVALID_JSON, -1, NULL, "at byte 0" },
	{ "cut", "{\"operations\":[", MW_INVALID_JSON, -1, NULL, "too early" },
	{ "an array", "[]", MW_INVALID_ARGUMENT, -1, NULL, "body" },
	{ "a string", "\"x\"", MW_INVALID_ARGUMENT, -1, NULL, "body" },
	{ "no operations", "{}", MW_INVALID_ARGUMENT, -1, NULL, "operations: missing" },
	{ "none", ROWS(""), MW_INVALID_ARGUMENT, -1, NULL, "operations: expected 1 to 4" },
	{ "an object", "{\"operations\":{}}", MW_INVALID_ARGUMENT, -1, NULL, "operations: expected an array" },
	{ "null", "{\"operations\":null}", MW_INVALID_ARGUMENT, -1, NULL, "operations" },
	{ "operations twice", "{\"operations\":[" FIRST "],\"operations\":[]}", MW_INVALID_ARGUMENT, -1, NULL,
	    "operations: given twice" },
	{ "too many", ROWS(FIRST "," FIRST "," FIRST "," FIRST "," FIRST), MW_TOO_MANY_OPERATIONS, -1, NULL,
	    "more than 4" },
	{ "parallel", "{\"operations\":[" FIRST "],\"parallel\":1}", MW_INVALID_ARGUMENT, -1, NULL,
	    "parallel: expected true or false" },
	{ "stopOnError", "{\"stopOnError\":\"yes\",\"operations\":[" FIRST "]}", MW_INVALID_ARGUMENT, -1, NULL,
	    "stopOnError" },
	{ "a row that is a number", ROWS(FIRST ",5"), MW_INVALID_ARGUMENT, 1, NULL, "operations[1]: expected an object" },
	{ "a row that is an array", ROWS("[]"), MW_INVALID_ARGUMENT, 0, NULL, "operations[0]:" },
	{ "a row that is null", ROWS(FIRST "," FIRST ",null"), MW_INVALID_ARGUMENT, 2, NULL, "operations[2]:" },
	{ "an empty row", ROWS("{}"), MW_INVALID_ARGUMENT, 0, "op", "operations[0].op: missing" },
	{ "no op", ROWS(FIRST ",{\"path\":\"a\"}"), MW_INVALID_ARGUMENT, 1, "op", "operations[1].op: missing" },
	{ "unknown op", ROWS("{\"op\":\"list\",\"path\":\"a\"}"), MW_INVALID_ARGUMENT, 0, "op", "\"read\", \"write\"" },
	{ "op with more", ROWS("{\"op\":\"reads\",\"path\":\"a\"}"), MW_INVALID_ARGUMENT, 0, "op", NULL },
	{ "op with less", ROWS("{\"op\":\"rea\",\"path\":\"a\"}"), MW_INVALID_ARGUMENT, 0, "op", NULL },
	{ "op with NUL", ROWS("{\"op\":\"read\\u0000\",\"path\":\"a\"}"), MW_INVALID_ARGUMENT, 0, "op", NULL },
	{ "op no string", ROWS("{\"op\":1,\"path\":\"a\"}"), MW_INVALID_ARGUMENT, 0, "op", NULL },
	{ "op twice", ROWS("{\"op\":\"read\",\"op\":\"read\",\"path\":\"a\"}"), MW_INVALID_ARGUMENT, 0, "op", "given twice" },
	{ "no path", ROWS("{\"op\":\"read\"}"), MW_INVALID_ARGUMENT, 0, "path", "operations[0].path: missing" },
	{ "path no string", ROWS("{\"op\":\"read\",\"path\":[\"a\"]}"), MW_INVALID_ARGUMENT, 0, "path", "expected a string" },
	{ "the root", ROWS("{\"op\":\"read\",\"path\":\"\"}"), MW_INVALID_PATH, 0, "path", NULL },
	{ "path with ..", ROWS(FIRST ",{\"op\":\"read\",\"path\":\"a/../b\"}"), MW_INVALID_PATH, 1, "path", "operations[1].path: " },
	{ "path with NUL", ROWS("{\"op\":\"read\",\"path\":\"a\\u0000b\"}"), MW_INVALID_PATH, 0, "path", NULL },
	{ "path with a control byte", ROWS("{\"op\":\"read\",\"path\":\"a\\nb\"}"), MW_INVALID_PATH, 0, "path", NULL },
	{ "path of ours", ROWS("{\"op\":\"read\",\"path\":\".moltworker/x\"}"), MW_INVALID_PATH, 0, "path", NULL },
	{ "not NFC written", ROWS("{\"op\":\"write\",\"path\":\"e\\u0301\",\"content\":\"\"}"), MW_INVALID_PATH, 0, "path", NULL },
	{ "path not UTF-8", ROWS("{\"op\":\"read\",\"path\":\"\xff\"}"), MW_INVALID_JSON, -1, NULL, "at byte 36" },
	{ "no content", ROWS("{\"op\":\"write\",\"path\":\"a\"}"), MW_INVALID_ARGUMENT, 0, "content", "operations[0].content: missing" },
	{ "content no string", ROWS("{\"op\":\"write\",\"path\":\"a\",\"content\":null}"), MW_INVALID_ARGUMENT, 0, "content", NULL },
	{ "content of a read, no string", ROWS("{\"op\":\"read\",\"path\":\"a\",\"content\":{}}"), MW_INVALID_ARGUMENT, 0, "content", NULL },
	{ "encoding", ROWS("{\"op\":\"write\",\"path\":\"a\",\"content\":\"\",\"encoding\":\"hex\"}"), MW_INVALID_ARGUMENT, 0, "encoding", "\"utf-8\" or \"base64\"" },
	{ "not base64", ROWS("{\"op\":\"write\",\"path\":\"a\",\"content\":\"YQ=\",\"encoding\":\"base64\"}"), MW_INVALID_ARGUMENT, 0, "content", "expected base64" },
	{ "base64 with a space", ROWS("{\"encoding\":\"base64\",\"op\":\"write\",\"path\":\"a\",\"content\":\"YQ ==\"}"), MW_INVALID_ARGUMENT, 0, "content", NULL },
	{ "source", ROWS(FIRST "," FIRST ",{\"op\":\"read\",\"path\":\"a\",\"source\":\"R2\"}"), MW_INVALID_ARGUMENT, 2, "source", "operations[2].source" },
	{ "a bad row before bad JSON", ROWS("{\"op\":\"x\"},"), MW_INVALID_ARGUMENT, 0, "op", NULL },
};

static void
test_bad(void)
{
	static const size_t steps[] = { 1, 100000 };
	size_t i, s;
	bool good;

	for (i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		for (s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
			good = parse(bads[i].text, strlen(bads[i].text), steps[s]) == bads[i].code &&
			    err.code == bads[i].code && in.row == bads[i].row &&
			    (bads[i].field == NULL ? in.field == NULL :
			    in.field != NULL && strcmp(in.field, bads[i].field) == 0) &&
			    (bads[i].says == NULL || strstr(err.msg, bads[i].says) != NULL);
			if (!ok(good, "%s, in pieces of %zu", bads[i].name, steps[s]))
				printf("# %s: %s (row %lld, %s)\n", mw_code_info(err.code)->name, err.msg,
				    (long long)in.row, in.field != NULL ? in.field : "no field");
		}
	}
}

static void
test_long(void)
{
	static char text[3 * MW_BATCH_SENT_MAX];
	size_t n;

	n = (size_t)snprintf(text, sizeof(text), "{\"operations\":[{\"op\":\"read\",\"path\":\"");
	memset(text + n, '/', MW_BATCH_SENT_MAX - 1);
	n += MW_BATCH_SENT_MAX - 1;
	n += (size_t)snprintf(text + n, sizeof(text) - n, "a\"}]}");
	ok(parse(text, n, 1000) == MW_OK && strcmp(b.op[0].path, "a") == 0, "the longest path as sent");
	text[n - 4] = '/';
	n -= 4;
	n += (size_t)snprintf(text + n, sizeof(text) - n, "aa\"}]}");
	ok(parse(text, n, 1000) == MW_INVALID_PATH && in.row == 0, "a longer one is refused");
	n = (size_t)snprintf(text, sizeof(text), "{\"operations\":[{\"op\":\"");
	memset(text + n, 'x', 2 * MW_BATCH_SENT_MAX);
	n += 2 * MW_BATCH_SENT_MAX;
	n += (size_t)snprintf(text + n, sizeof(text) - n, "\"}]}");
	ok(parse(text, n, 1000) == MW_INVALID_ARGUMENT && strcmp(in.field, "op") == 0, "an endless op");
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");

	spool_dir = open(tmp != NULL ? tmp : "/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	arena = mw_arena_open(1 << 20);
	mw_batch_init(&b);
	test_good();
	test_bad();
	test_long();
	mw_batch_free(&b);
	mw_arena_close(arena);
	(void)close(spool_dir);
	return done();
}
