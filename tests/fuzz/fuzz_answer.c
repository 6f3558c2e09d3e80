/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as an HTTP answer: whole and in pieces must come to the same.
 * The first byte: whether it answers a HEAD, and the size of the pieces.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/answer.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/answer.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct result {
	struct mw_answer a;
	struct mw_buf lines, body;
	size_t used;
};

static void
must(bool good)
{
	if (!good)
		abort();
}

static bool
line(void *arg, const char *p, size_t n)
{
	struct mw_buf *b = &((struct result *)arg)->lines;

	must(memchr(p, '\n', n) == NULL);
	return mw_buf_add(b, p, n) && mw_buf_addc(b, '\n');
}

static bool
data_(void *arg, const char *p, size_t n)
{
	must(n > 0);
	return mw_buf_add(&((struct result *)arg)->body, p, n);
}

static void
run(struct result *r, const char *p, size_t n, size_t step, bool head_only)
{
	size_t piece, took;

	memset(r, 0, sizeof(*r));
	r->a.line = line;
	r->a.data = data_;
	r->a.arg = r;
	mw_buf_init(&r->lines, 1 << 24);
	mw_buf_init(&r->body, 1 << 24);
	mw_answer_begin(&r->a, head_only);
	while (r->used < n && !mw_answer_over(&r->a)) {
		piece = n - r->used < step ? n - r->used : step;
		took = mw_answer_feed(&r->a, p + r->used, piece);
		must(took <= piece && (took == piece || mw_answer_over(&r->a)));
		r->used += took;
	}
	(void)mw_answer_eof(&r->a);
	must(r->a.state != MW_ANSWER_DONE || r->a.status >= 200);
	must(!head_only || r->body.len == 0);
}

static bool
same(const struct mw_buf *a, const struct mw_buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static struct result whole, pieces;
	const char *p = (const char *)data + 1;

	if (size == 0)
		return 0;
	run(&whole, p, size - 1, size, data[0] >= 128);
	run(&pieces, p, size - 1, data[0] % 128 + 1, data[0] >= 128);
	must((whole.a.state == MW_ANSWER_DONE) == (pieces.a.state == MW_ANSWER_DONE));
	must(mw_answer_over(&whole.a) == mw_answer_over(&pieces.a));
	must(same(&whole.lines, &pieces.lines) && same(&whole.body, &pieces.body));
	if (whole.a.state == MW_ANSWER_DONE)
		must(whole.used == pieces.used && whole.a.keep == pieces.a.keep);
	mw_buf_free(&whole.lines);
	mw_buf_free(&whole.body);
	mw_buf_free(&pieces.lines);
	mw_buf_free(&pieces.body);
	return 0;
}
