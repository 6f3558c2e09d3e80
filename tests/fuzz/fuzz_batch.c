/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as the body of a batch, whole and in pieces: both must say the same,
 * and what is accepted keeps its promises.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/batch.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "ops/files/batch.h"

#define MAX 20

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int dir = -1;

static void
must(bool good)
{
	if (!good)
		abort();
}

static enum mw_code
parse(struct mw_batch *b, struct mw_batch_in *in, struct mw_arena *arena, struct mw_err *err,
    const char *s, size_t n, size_t step)
{
	enum mw_code code = MW_OK;
	size_t at, len;

	mw_batch_init(b);
	mw_err_clear(err);
	mw_batch_in_init(in, b, arena, err, dir, MAX, MW_SRC_AUTO);
	for (at = 0; at < n && code == MW_OK; at += len) {
		len = n - at < step ? n - at : step;
		code = mw_batch_in_feed(in, s + at, len);
	}
	code = code == MW_OK ? mw_batch_in_finish(in) : code;
	must(code == err->code);
	return code;
}

static void
check(const struct mw_batch *b)
{
	char path[MW_PATH_MAX + 1];
	struct mw_err err = { .code = MW_OK };
	size_t i;

	must(b->n > 0 && b->n <= MAX);
	for (i = 0; i < b->n; i++) {
		const struct mw_batch_op *op = &b->op[i];

		must(mw_utf8_valid(op->sent, op->sent_len) && op->sent_len <= MW_BATCH_SENT_MAX);
		must(mw_path_parse(op->path, strlen(op->path), 0, path, &err) == MW_OK);
		must(strcmp(path, op->path) == 0 && !mw_path_ours(path));
		must(op->at >= 0 && op->len >= 0 && op->at + op->len <= b->pile_len);
		must(!op->base64 || op->kind != MW_BATCH_WRITE || op->len % 4 == 0);
	}
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const size_t steps[] = { 1, 5, 4096 };
	static struct mw_batch_in in;
	struct mw_arena *arena = mw_arena_open(16 << 20);
	struct mw_err whole = { .code = MW_OK }, err = { .code = MW_OK };
	struct mw_batch b, again;
	enum mw_code code;
	size_t i;

	if (dir < 0)
		dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(arena != NULL);
	code = parse(&b, &in, arena, &whole, (const char *)data, size, size + 1);
	if (code == MW_OK)
		check(&b);
	must(in.row < MAX && (in.row >= 0 || in.field == NULL));
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		must(parse(&again, &in, arena, &err, (const char *)data, size, steps[i]) == code);
		must(strcmp(err.msg, whole.msg) == 0);
		must(code != MW_OK || (again.n == b.n && again.pile_len == b.pile_len));
		mw_batch_free(&again);
	}
	mw_batch_free(&b);
	mw_arena_close(arena);
	return 0;
}
