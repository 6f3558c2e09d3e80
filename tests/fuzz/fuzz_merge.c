/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any two documents, the first line and the rest, as a JSON Merge Patch (RFC 7396) and
 * what it is for.  The result is a document again, says what the RFC's own words on
 * json-c's objects say, and another time the same patch changes nothing.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/merge.
 */
#include <json.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_merge.h"

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

static enum mw_code
merge(const char *target, size_t n, const char *patch, size_t patch_len, struct mw_buf *out)
{
	struct mw_err err = { .code = MW_OK };
	enum mw_code code;

	mw_buf_init(out, RESULT_MAX);
	code = mw_json_merge(arena, target, n, patch, patch_len, out, &err);
	must(code == err.code && (code == MW_OK || code == MW_INVALID_JSON));
	return code;
}

static bool
good(const char *s, size_t n)
{
	struct mw_err err = { .code = MW_OK };

	return mw_json_check(arena, s, n, &err) == MW_OK;
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
parse(const char *s, size_t n, bool *taken)
{
	struct json_tokener *t = json_tokener_new_ex(MW_JSON_DEPTH_MAX + 2);
	struct json_object *o;

	must(t != NULL);
	o = json_tokener_parse_ex(t, s, (int)n);
	if (json_tokener_get_error(t) == json_tokener_continue)
		o = json_tokener_parse_ex(t, "", 1);	/* a number may go on */
	*taken = json_tokener_get_error(t) == json_tokener_success;
	json_tokener_free(t);
	return o;
}

static void
check_meaning(const char *target, size_t n, const char *patch, size_t patch_len,
    const struct mw_buf *out)
{
	bool one, two, three;
	struct json_object *t = parse(target, n, &one), *p = parse(patch, patch_len, &two),
	    *o = parse(out->data, out->len, &three);

	must(!one || !two || three);
	if (one && two) {
		t = reference(t, p);
		must(json_object_equal(t, o) != 0);
	}
	json_object_put(t);
	json_object_put(p);
	json_object_put(o);
}

static bool
has_nul(const char *s, size_t n)
{
	return n >= 6 && memmem(s, n, "\\u0000", 6) != NULL;
}

static void
check(const char *target, size_t n, const char *patch, size_t patch_len)
{
	struct mw_buf out, again;
	enum mw_code code = merge(target, n, patch, patch_len, &out);

	must((code == MW_OK) == (good(target, n) && good(patch, patch_len)));
	if (code == MW_OK) {
		must(good(out.data, out.len));
		must(merge(out.data, out.len, patch, patch_len, &again) == MW_OK);
		must(again.len == out.len && memcmp(again.data, out.data, out.len) == 0);
		mw_buf_free(&again);
		if (!has_nul(target, n) && !has_nul(patch, patch_len))
			check_meaning(target, n, patch, patch_len, &out);
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
