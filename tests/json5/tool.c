/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads "LENGTH LENGTH\n", a document and a patch, again and again; writes of each pair
 * "LENGTH\n" and the document's value as JSON, then the patched text in the same way.
 * What cannot be is a '!' and why.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json5.h"

#define RESULT_MAX ((size_t)8 << 20)

static struct mw_arena *arena;

static void
show(const struct mw_buf *b, const struct mw_err *err)
{
	if (err->code == MW_OK)
		printf("%zu\n%.*s", b->len, (int)b->len, b->data);
	else
		printf("%zu\n!%s", strlen(err->msg) + 1, err->msg);
}

static void
one(const char *s, size_t n, const char *patch, size_t patch_len)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_json5_doc d, p;
	struct mw_buf out, lost;
	enum mw_code code;

	mw_buf_init(&out, RESULT_MAX);
	mw_buf_init(&lost, RESULT_MAX);
	if ((code = mw_json5_parse(arena, s, n, &d, &err)) == MW_OK)
		code = mw_json5_value(arena, &d, &d.root, &out, &lost, &err);
	show(&out, &err);
	mw_buf_reset(&out);
	if (code == MW_OK && (d.root.type != MW_JSON5_OBJECT ||
	    (code = mw_json5_parse(arena, patch, patch_len, &p, &err)) != MW_OK ||
	    (code = mw_json5_edit(arena, &d, &p, &out, &err)) != MW_OK) && err.code == MW_OK)
		(void)mw_fail(&err, MW_INVALID_ARGUMENT, "no object");
	show(&out, &err);
	mw_buf_free(&out);
	mw_buf_free(&lost);
}

static char *
take(size_t n)
{
	char *s = malloc(n + 1);

	if (s == NULL || fread(s, 1, n, stdin) != n)
		exit(2);
	return s;
}

int
main(void)
{
	char line[64], *end, *s, *patch;
	size_t n, k;

	if ((arena = mw_arena_open((size_t)64 << 20)) == NULL)
		return 2;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		n = strtoul(line, &end, 10);
		k = strtoul(end, NULL, 10);
		s = take(n);
		patch = take(k);
		one(s, n, patch, k);
		mw_arena_reset(arena);
		free(s);
		free(patch);
	}
	return 0;
}
