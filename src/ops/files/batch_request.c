/* SPDX-License-Identifier: BSD-2-Clause */
/* The body of a batch, read as it comes. */
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/tmpfile.h"
#include "ops/files/batch.h"

#define B64_PIECE 4096

const char *const mw_batch_words[] = { "read", "write", "delete", "exists", NULL };

enum { OPERATIONS };			/* of the top object */
enum { OP, PATH, CONTENT };		/* of a row */

/* ---- the members of a row ---- */

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
	b->op[b->n - 1].len += (int64_t)n;
	for (at = 0; at < n && !in->not_base64; at += len) {
		len = n - at < B64_PIECE ? n - at : B64_PIECE;
		in->not_base64 = mw_base64_decode(&in->b64, p + at, len, out) < 0;
	}
	return MW_OK;
}

static enum mw_code
take_content(struct mw_fields *f, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	(void)depth;
	if (ev == MW_JSON_CHUNK)
		return add_content(f->arg, s, n);
	return ev == MW_JSON_STRING || ev == MW_JSON_STRING_END ? MW_OK :
	    mw_fields_wrong(f, f->field, "");
}

static enum mw_code
take_path(struct mw_fields *f, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	struct mw_batch_in *in = f->arg;
	struct mw_batch_op *op = &in->b->op[in->b->n - 1];

	(void)depth;
	switch (ev) {
	case MW_JSON_STRING:
		return MW_OK;
	case MW_JSON_CHUNK:
		if (n > MW_BATCH_SENT_MAX - f->len)
			return mw_fields_bad(f, f->field, MW_INVALID_PATH, "longer than 4096 bytes");
		memcpy(f->text + f->len, s, n);
		f->len += n;
		return MW_OK;
	case MW_JSON_STRING_END:
		op->sent_len = f->len;
		op->sent = mw_arena_dup(in->arena, f->text, f->len);
		return op->sent != NULL ? MW_OK :
		    mw_fail(in->err, MW_INTERNAL_ERROR, "out of memory");
	default:
		return mw_fields_wrong(f, f->field, "");
	}
}
_Static_assert(MW_BATCH_SENT_MAX == 4096 && MW_BATCH_SENT_MAX <= MW_FIELD_STRING_MAX,
    "the message names the limit");

static const char *const encodings[] = { "utf-8", "base64", NULL };

#define AT(member) offsetof(struct mw_batch_op, member)

static const struct mw_field row_members[] = {
	[OP] = { .name = "op", .expected = "\"read\", \"write\", \"delete\" or \"exists\"",
	    .kind = MW_FIELD_WORD, .at = AT(kind), .words = mw_batch_words },
	[PATH] = { .name = "path", .expected = "a string", .kind = MW_FIELD_OWN,
	    .event = take_path },
	[CONTENT] = { .name = "content", .expected = "a string", .kind = MW_FIELD_OWN,
	    .event = take_content },
	{ .name = "encoding", .expected = "\"utf-8\" or \"base64\"", .kind = MW_FIELD_WORD,
	    .at = AT(base64), .words = encodings },
	{ .name = "source", .expected = "\"auto\", \"r2\" or \"container\"",
	    .kind = MW_FIELD_WORD, .at = AT(source), .words = mw_source_words },
	{ .name = NULL }
};

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
	mw_fields_next(&in->fields, &b->op[b->n - 1], (int64_t)b->n - 1);
	in->b64 = (struct mw_base64){ .acc = 0 };
	in->not_base64 = false;
	return MW_OK;
}

static enum mw_code
end_row(struct mw_batch_in *in)
{
	struct mw_fields *f = &in->fields;
	struct mw_batch_op *op = &in->b->op[in->b->n - 1];
	struct mw_err bad = { .code = MW_OK };
	char *path = mw_arena_alloc(in->arena, MW_PATH_MAX + 1);
	enum mw_code code;

	if ((code = mw_fields_need(f, &row_members[OP])) != MW_OK ||
	    (code = mw_fields_need(f, &row_members[PATH])) != MW_OK)
		return code;
	if (path == NULL)
		return mw_fail(in->err, MW_INTERNAL_ERROR, "out of memory");
	if (mw_path_parse(op->sent, op->sent_len, op->kind == MW_BATCH_WRITE ? MW_PATH_WRITE : 0,
	    path, &bad) != MW_OK)
		return mw_fields_bad(f, &row_members[PATH], MW_INVALID_PATH, bad.msg);
	op->path = path;
	if (op->kind != MW_BATCH_WRITE)
		return MW_OK;
	if ((code = mw_fields_need(f, &row_members[CONTENT])) != MW_OK)
		return code;
	if (op->base64 != 0 && (in->not_base64 || !mw_base64_finish(&in->b64)))
		return mw_fields_bad(f, &row_members[CONTENT], MW_INVALID_ARGUMENT,
		    "expected base64 (RFC 4648, padded, no white space)");
	return MW_OK;
}

/* ---- the top object ---- */

/* The rows, and what is within them. */
static enum mw_code
take_operations(struct mw_fields *f, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	struct mw_batch_in *in = f->arg;
	enum mw_code code;

	if (depth == 0)
		return ev == MW_JSON_ARRAY || ev == MW_JSON_ARRAY_END ? MW_OK :
		    mw_fields_wrong(f, f->field, "");
	if (depth > 1)
		return mw_fields_event(&in->fields, ev, s, n, f->depth + depth);
	if (ev == MW_JSON_OBJECT_END)
		return end_row(in);
	if ((code = begin_row(in)) != MW_OK || ev == MW_JSON_OBJECT)
		return code;
	in->row = (int64_t)in->b->n - 1;
	return mw_fail(in->err, MW_INVALID_ARGUMENT, "operations[%lld]: expected an object",
	    (long long)in->row);
}

#define FLAG(text, member) { .name = (text), .expected = "true or false", \
	    .kind = MW_FIELD_BOOL, .at = offsetof(struct mw_batch, member) }

static const struct mw_field members[] = {
	[OPERATIONS] = { .name = "operations", .expected = "an array", .kind = MW_FIELD_OWN,
	    .event = take_operations },
	FLAG("parallel", parallel),
	FLAG("stopOnError", stop_on_error),
	{ .name = NULL }
};

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
	mw_fields_init(&in->top, members, b, err);
	in->top.arg = in;
	mw_fields_init(&in->fields, row_members, NULL, err);
	in->fields.arg = in;
	in->fields.depth = 3;
	in->fields.list = "operations";
	mw_json_init(&in->json, mw_fields_event, &in->top);
}

enum mw_code
mw_batch_in_feed(struct mw_batch_in *in, const char *p, size_t n)
{
	enum mw_code code = mw_json_feed(&in->json, p, n, in->err);

	if (in->fields.failed != NULL) {
		in->row = in->fields.row;
		in->field = in->fields.failed;
	}
	return code;
}

enum mw_code
mw_batch_in_finish(struct mw_batch_in *in)
{
	enum mw_code code;

	if ((code = mw_json_finish(&in->json, in->err)) != MW_OK ||
	    (code = mw_fields_need(&in->top, &members[OPERATIONS])) != MW_OK)
		return code;
	if (in->b->n == 0)
		return mw_fail(in->err, MW_INVALID_ARGUMENT,
		    "operations: expected 1 to %lld of them", (long long)in->max);
	return MW_OK;
}
