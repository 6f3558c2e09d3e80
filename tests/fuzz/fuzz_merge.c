/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any two documents, the first line and the rest, as a JSON Merge Patch (RFC 7396) and
 * the JSON5 that it is for.  The text that comes of it is read again: it says what the
 * RFC's own words say on json-c's objects, it is JSON if it was, and another time the
 * same patch changes no byte of it, nor does one that says nothing.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/merge.
 */
#include <json.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json5.h"

#define MEMORY ((size_t)64 << 20)
#define RESULT_MAX ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static struct mw_arena *arena;

static void
must(bool good)
{
	if (!good)
		abort();
}

static bool
parse(const char *s, size_t n, struct mw_json5_doc *d)
{
	struct mw_err err = { .code = MW_OK };
	enum mw_code code = mw_json5_parse(arena, s, n, d, &err);

	must(code == err.code && (code == MW_OK || code == MW_INVALID_JSON));
	return code == MW_OK && d->root.type == MW_JSON5_OBJECT;
}

static enum mw_code
ignore(void *arg, enum mw_json_event ev, const char *text, size_t n, unsigned depth)
{
	(void)arg;
	(void)ev;
	(void)text;
	(void)n;
	(void)depth;
	return MW_OK;
}

/* By the strict parser. */
static bool
strict(const char *s, size_t n)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_json json;

	mw_json_init(&json, ignore, NULL);
	return mw_json_feed(&json, s, n, &err) == MW_OK && mw_json_finish(&json, &err) == MW_OK;
}

/* The value as JSON, which is JSON; *lost: not all of it. */
static void
tell(const struct mw_json5_doc *d, struct mw_buf *out, bool *lost)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_json5_doc again;
	struct mw_buf places;

	mw_buf_init(out, RESULT_MAX);
	mw_buf_init(&places, RESULT_MAX);
	must(mw_json5_value(arena, d, &d->root, out, &places, &err) == MW_OK);
	must(parse(out->data, out->len, &again));
	*lost = places.len > 0;
	must(!*lost || !d->json);
	mw_buf_free(&places);
}

/* MergePatch of RFC 7396, section 2.  Takes target, and gives what is to take its place. */
static struct json_object *
reference(struct json_object *target, struct json_object *patch)
{
	struct json_object *old;

	if (!json_object_is_type(patch, json_type_object)) {
		json_object_put(target);
		return json_object_get(patch);
	}
	if (!json_object_is_type(target, json_type_object)) {
		json_object_put(target);
		target = json_object_new_object();
	}
	json_object_object_foreach(patch, name, value) {
		if (value == NULL) {
			json_object_object_del(target, name);
			continue;
		}
		old = NULL;
		if (json_object_object_get_ex(target, name, &old))
			old = json_object_get(old);
		must(json_object_object_add(target, name, reference(old, value)) == 0);
	}
	return target;
}

/* json-c's names end at a NUL, and its numbers are rounded, on both sides alike. */
static struct json_object *
read_value(const struct mw_json5_doc *d, bool *good)
{
	struct json_tokener *t = json_tokener_new_ex(MW_JSON5_DEPTH_MAX + 2);
	struct json_object *o;
	struct mw_buf text;
	bool lost;

	must(t != NULL);
	tell(d, &text, &lost);
	o = json_tokener_parse_ex(t, text.data, (int)text.len);
	*good = json_tokener_get_error(t) == json_tokener_success && !lost &&
	    memmem(text.data, text.len, "\\u0000", 6) == NULL && memmem(text.data, text.len, "\\ud", 3) == NULL;
	json_tokener_free(t);
	mw_buf_free(&text);
	return o;
}

static void
check_meaning(const struct mw_json5_doc *t, const struct mw_json5_doc *p, const struct mw_json5_doc *out)
{
	bool one, two, three;
	struct json_object *was = read_value(t, &one), *patch = read_value(p, &two),
	    *is = read_value(out, &three);

	if (one && two) {
		must(three);
		was = reference(was, patch);
		must(json_object_equal(was, is) != 0);
	}
	json_object_put(was);
	json_object_put(patch);
	json_object_put(is);
}

static void
unchanged(const struct mw_json5_doc *t, const struct mw_json5_doc *p)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_buf out;

	mw_buf_init(&out, RESULT_MAX);
	must(mw_json5_edit(arena, t, p, &out, &err) == MW_OK);
	must(out.len == t->n && memcmp(out.data, t->s, t->n) == 0);
	mw_buf_free(&out);
}

static void
check(const char *target, size_t n, const char *patch, size_t patch_len)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_json5_doc t, p, again, none;
	struct mw_buf out;
	enum mw_code code;

	if (!parse(target, n, &t) || !parse(patch, patch_len, &p))
		return;
	must(t.json || !strict(target, n));
	must(parse("{}", 2, &none));
	unchanged(&t, &none);
	mw_buf_init(&out, RESULT_MAX);
	code = mw_json5_edit(arena, &t, &p, &out, &err);
	must(code == MW_OK || (code == MW_INVALID_ARGUMENT && t.json && !p.json));
	if (code == MW_OK) {
		must(parse(out.data, out.len, &again));
		must(again.json || !t.json);
		check_meaning(&t, &p, &again);
		unchanged(&again, &p);
	}
	mw_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const char *s = (const char *)data;
	const char *end = size > 0 ? memchr(s, '\n', size) : NULL;
	size_t first = end != NULL ? (size_t)(end - s) : size, rest = end != NULL ? first + 1 : size;
	char *patch = malloc(first + 1), *target = malloc(size - rest + 1);

	if (arena == NULL)
		arena = mw_arena_open(MEMORY);
	must(arena != NULL && patch != NULL && target != NULL);
	memcpy(patch, s, first);
	memcpy(target, s + rest, size - rest);
	check(target, size - rest, patch, first);
	mw_arena_reset(arena);
	free(patch);
	free(target);
	return 0;
}
