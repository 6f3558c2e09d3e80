/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as an answer of S3, whole and in pieces: both must say the same, and
 * what they say must be within the parser's bounds.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/s3_xml.
 */
#include <stdlib.h>
#include <string.h>

#include "store/s3_xml.h"

#define ARENA_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool good)
{
	if (!good)
		abort();
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
parse(struct mw_arena *a, const char *p, size_t n, size_t step, struct mw_s3_doc *doc)
{
	struct mw_s3_xml *x = mw_s3_xml_open(a, doc);
	size_t i;

	must(x != NULL);
	for (i = 0; i < n; i += step) {
		if (!mw_s3_xml_feed(x, p + i, n - i < step ? n - i : step))
			break;
	}
	return mw_s3_xml_close(x);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct mw_arena *a = mw_arena_open(ARENA_MAX), *b = mw_arena_open(ARENA_MAX);
	struct mw_s3_doc one, two;
	const struct mw_s3_row *x, *y;
	size_t n = 0;
	bool good;

	must(a != NULL && b != NULL);
	good = parse(a, (const char *)data, size, size + 1, &one);
	must(parse(b, (const char *)data, size, 3, &two) == good);
	must(good == (one.root != MW_S3_NOTHING) && one.root == two.root);
	if (good) {
		must(strcmp(one.code, two.code) == 0 && strcmp(one.message, two.message) == 0);
		must(same(one.token, two.token) && same(one.upload_id, two.upload_id));
		for (x = one.rows, y = two.rows; x != NULL; x = x->next, y = y->next, n++)
			must(y != NULL && same(x->key, y->key) && same(x->etag, y->etag) &&
			    x->size == y->size && x->size >= 0 && x->group == y->group);
		must(y == NULL && n == one.nrows && n <= MW_S3_ROWS_MAX);
	}
	mw_arena_close(a);
	mw_arena_close(b);
	return 0;
}
