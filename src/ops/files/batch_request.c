/* SPDX-License-Identifier: BSD-2-Clause */
/* The body of a batch, read as it comes. */
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/tmpfile.h"
#include "ops/files/batch.h"

#define B64_PIECE 4096

const char *const mw_batch_words[] = { "read", "write", "delete", "exists", NULL };

enum member {
	OTHER,
	OPERATIONS, PARALLEL, STOP_ON_ERROR,		/* of the top object */
	OP, PATH, CONTENT, ENCODING, SOURCE		/* of a row */
};

static const struct {
	const char *name, *expected;
} members[] = {
	[OTHER] = { "", "" },
	[OPERATIONS] = { "operations", "an array" },
	[PARALLEL] = { "parallel", "true or false" },
	[STOP_ON_ERROR] = { "stopOnError", "true or false" },
	[OP] = { "op", "\"read\", \"write\", \"delete\" or \"exists\"" },
	[PATH] = { "path", "a string" },
	[CONTENT] = { "content", "a string" },
	[ENCODING] = { "encoding", "\"utf-8\" or \"base64\"" },
	[SOURCE] = { "source", "\"auto\", \"r2\" or \"container\"" },
};

static struct mw_batch_op *
row(struct mw_batch_in *in)
{
	return &in->b->op[in->b->n - 1];
}

/* ---- failures name their row and member ---- */

static enum mw_code
bad_row(struct mw_batch_in *in, enum mw_code code, unsigned m, const char *what)
{
	in->row = (int64_t)in->b->n - 1;
	in->field = m == OTHER ? NULL : members[m].name;
	return mw_fail(in->err, code, "operations[%lld]%s%s: %.180s", (long long)in->row,
	    m == OTHER ? "" : ".", members[m].name, what);
}

static enum mw_code
wrong(struct mw_batch_in *in, const char *how)
{
	unsigned m = in->member;

	if (m >= OP) {
		in->row = (int64_t)in->b->n - 1;
		in->field = members[m].name;
		return mw_fail(in->err, MW_INVALID_ARGUMENT, "operations[%lld].%s: %sexpected %s",
		    (long long)in->row, members[m].name, how, members[m].expected);
	}
	return mw_fail(in->err, MW_INVALID_ARGUMENT, "%s: %sexpected %s", members[m].name, how,
	    members[m].expected);
}

static enum mw_code
missing(struct mw_batch_in *in, unsigned m)
{
	in->member = m;
	return wrong(in, "missing; ");
}

/* ---- strings ---- */

/* The content as it is sent: its encoding may be told after it. */
static enum mw_code
add_content(struct mw_batch_in *in, const char *p, size_t n)
{
	unsigned char out[3 * (B64_PIECE / 4 + 2)];
	struct mw_batch *b = in->b;
	char name[MW_TMPNAME_LEN];
	enum mw_code code;
	size_t at, len;

	if (b->pile < 0) {
		if ((code = mw_tmpfile(in->spool_dir, 0600, name, &b->pile, in->err)) != MW_OK)
			return code;
		(void)unlinkat(in->spool_dir, name, 0);
	}
	if ((code = mw_write_all(b->pile, p, n, in->err)) != MW_OK)
		return code;
	b->pile_len += (int64_t)n;
	row(in)->len += (int64_t)n;
	for (at = 0; at < n && !in->not_base64; at += len) {
		len = n - at < B64_PIECE ? n - at : B64_PIECE;
		in->not_base64 = mw_base64_decode(&in->b64, p + at, len, out) < 0;
	}
	return MW_OK;
}

static enum mw_code
chunk(struct mw_batch_in *in, const char *p, size_t n)
{
	if (in->member == CONTENT)
		return add_content(in, p, n);
	if (in->member < OP)
		return MW_OK;
	if (n > MW_BATCH_SENT_MAX - in->len) {
		if (in->member == PATH)
			return bad_row(in, MW_INVALID_PATH, PATH, "longer than 4096 bytes");
		return wrong(in, "");
	}
	memcpy(in->text + in->len, p, n);
	in->len += n;
	return MW_OK;
}
_Static_assert(MW_BATCH_SENT_MAX == 4096, "the message names the limit");

/* Which of the words the string is, -1 = none. */
static int
word(const struct mw_batch_in *in, const char *const *words)
{
	int i;

	for (i = 0; words[i] != NULL; i++) {
		if (strlen(words[i]) == in->len && memcmp(words[i], in->text, in->len) == 0)
			return i;
	}
	return -1;
}

static enum mw_code
string_end(struct mw_batch_in *in)
{
	static const char *const encodings[] = { "utf-8", "base64", NULL };
	int w = 0;

	switch (in->member) {
	case OP:
		if ((w = word(in, mw_batch_words)) >= 0)
			row(in)->kind = (enum mw_batch_kind)w;
		break;
	case ENCODING:
		w = word(in, encodings);
		row(in)->base64 = w == 1;
		break;
	case SOURCE:
		if ((w = word(in, mw_source_words)) >= 0)
			row(in)->source = (enum mw_source)w;
		break;
	case PATH:
		in->text[in->len] = '\0';
		row(in)->sent = mw_arena_dup(in->arena, in->text, in->len);
		row(in)->sent_len = in->len;
		if (row(in)->sent == NULL)
			return mw_fail(in->err, MW_INTERNAL_ERROR, "out of memory");
		break;
	default:
		break;
	}
	return w < 0 ? wrong(in, "") : MW_OK;
}

/* ---- rows ---- */

static enum mw_code
begin_row(struct mw_batch_in *in)
{
	struct mw_batch *b = in->b;
	struct mw_batch_op *grown;
	size_t cap = b->cap == 0 ? 64 : b->cap * 2;

	if ((int64_t)b->n >= in->max)
		return mw_fail(in->err, MW_TOO_MANY_OPERATIONS,
		    "operations: more than %lld; send several batches (batch.max_operations)",
		    (long long)in->max);
	if (b->n == b->cap) {
		if ((grown = mw_arena_alloc(in->arena, cap * sizeof(*grown))) == NULL)
			return mw_fail(in->err, MW_INTERNAL_ERROR, "out of memory");
		if (b->n > 0)
			memcpy(grown, b->op, b->n * sizeof(*grown));
		b->op = grown;
		b->cap = cap;
	}
	b->op[b->n++] = (struct mw_batch_op){ .source = in->source, .at = b->pile_len };
	in->row_seen = 0;
	in->b64 = (struct mw_base64){ .acc = 0 };
	in->not_base64 = false;
	return MW_OK;
}

static enum mw_code
end_row(struct mw_batch_in *in)
{
	struct mw_batch_op *op = row(in);
	struct mw_err bad = { .code = MW_OK };
	char *path = mw_arena_alloc(in->arena, MW_PATH_MAX + 1);

	if ((in->row_seen & 1u << OP) == 0)
		return missing(in, OP);
	if ((in->row_seen & 1u << PATH) == 0)
		return missing(in, PATH);
	if (path == NULL)
		return mw_fail(in->err, MW_INTERNAL_ERROR, "out of memory");
	if (mw_path_parse(op->sent, op->sent_len, op->kind == MW_BATCH_WRITE ? MW_PATH_WRITE : 0,
	    path, &bad) != MW_OK)
		return bad_row(in, MW_INVALID_PATH, PATH, bad.msg);
	op->path = path;
	if (op->kind != MW_BATCH_WRITE)
		return MW_OK;
	if ((in->row_seen & 1u << CONTENT) == 0)
		return missing(in, CONTENT);
	if (op->base64 && (in->not_base64 || !mw_base64_finish(&in->b64)))
		return bad_row(in, MW_INVALID_ARGUMENT, CONTENT,
		    "expected base64 (RFC 4648, padded, no white space)");
	return MW_OK;
}

/* ---- events ---- */

static enum mw_code
key(struct mw_batch_in *in, unsigned from, unsigned to, unsigned *seen, const char *s, size_t n)
{
	unsigned m;

	for (m = from; m <= to; m++) {
		if (strlen(members[m].name) == n && memcmp(members[m].name, s, n) == 0)
			break;
	}
	in->member = m > to ? OTHER : m;
	in->len = 0;
	if (in->member == OTHER)
		return MW_OK;
	if ((*seen & 1u << m) != 0)
		return wrong(in, "given twice; ");
	*seen |= 1u << m;
	return MW_OK;
}

/* A value of the top object. */
static enum mw_code
top_value(struct mw_batch_in *in, enum mw_json_event ev)
{
	bool is = ev == MW_JSON_TRUE;

	if (in->member == OTHER || ev == MW_JSON_OBJECT_END || ev == MW_JSON_ARRAY_END)
		return MW_OK;
	if (in->member == OPERATIONS)
		return ev == MW_JSON_ARRAY ? MW_OK : wrong(in, "");
	if (!is && ev != MW_JSON_FALSE)
		return wrong(in, "");
	*(in->member == PARALLEL ? &in->b->parallel : &in->b->stop_on_error) = is;
	return MW_OK;
}

static enum mw_code
row_value(struct mw_batch_in *in, enum mw_json_event ev, const char *s, size_t n)
{
	switch (ev) {
	case MW_JSON_CHUNK:
		return chunk(in, s, n);
	case MW_JSON_STRING_END:
		return string_end(in);
	case MW_JSON_STRING:
	case MW_JSON_OBJECT_END:
	case MW_JSON_ARRAY_END:
		return MW_OK;
	default:
		return in->member == OTHER ? MW_OK : wrong(in, "");
	}
}

/* The array of operations: its rows at depth 2, their members at depth 3. */
static enum mw_code
in_operations(struct mw_batch_in *in, enum mw_json_event ev, const char *s, size_t n,
    unsigned depth)
{
	enum mw_code code;

	if (depth > 3)
		return MW_OK;
	if (depth == 3 && ev == MW_JSON_KEY)
		return key(in, OP, SOURCE, &in->row_seen, s, n);
	if (depth == 3)
		return row_value(in, ev, s, n);
	if (ev == MW_JSON_OBJECT_END)
		return end_row(in);
	if ((code = begin_row(in)) != MW_OK)
		return code;
	return ev == MW_JSON_OBJECT ? MW_OK :
	    bad_row(in, MW_INVALID_ARGUMENT, OTHER, "expected an object");
}

static enum mw_code
event(void *arg, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	struct mw_batch_in *in = arg;

	if (depth > 1)
		return in->in_rows ? in_operations(in, ev, s, n, depth) : MW_OK;
	if (depth == 0)
		return ev == MW_JSON_OBJECT || ev == MW_JSON_OBJECT_END ? MW_OK :
		    mw_fail(in->err, MW_INVALID_ARGUMENT,
		    "body: expected a JSON object with the member operations");
	if (ev == MW_JSON_KEY)
		return key(in, OPERATIONS, STOP_ON_ERROR, &in->seen, s, n);
	in->in_rows = ev == MW_JSON_ARRAY && in->member == OPERATIONS;
	return top_value(in, ev);
}

void
mw_batch_in_init(struct mw_batch_in *in, struct mw_batch *b, struct mw_arena *arena,
    struct mw_err *err, int spool_dir, int64_t max, enum mw_source source)
{
	memset(in, 0, sizeof(*in));
	in->b = b;
	in->arena = arena;
	in->err = err;
	in->spool_dir = spool_dir;
	in->max = max;
	in->source = source;
	in->row = -1;
	mw_json_init(&in->json, event, in);
}

enum mw_code
mw_batch_in_feed(struct mw_batch_in *in, const char *p, size_t n)
{
	return mw_json_feed(&in->json, p, n, in->err);
}

enum mw_code
mw_batch_in_finish(struct mw_batch_in *in)
{
	enum mw_code code;

	if ((code = mw_json_finish(&in->json, in->err)) != MW_OK)
		return code;
	if ((in->seen & 1u << OPERATIONS) == 0)
		return missing(in, OPERATIONS);
	if (in->b->n == 0)
		return mw_fail(in->err, MW_INVALID_ARGUMENT,
		    "operations: expected 1 to %lld of them", (long long)in->max);
	return MW_OK;
}
