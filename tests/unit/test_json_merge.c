/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/json_merge.h"
#include "tap.h"

static struct mw_arena *arena;

static const struct {
	const char *target, *patch, *want;
} merges[] = {
	/* RFC 7396, appendix A */
	{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
	{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
	{ "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
	{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
	{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
	{ "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
	{ "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
	{ "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
	{ "{\"a\":\"foo\"}", "null", "null" },
	{ "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
	{ "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
	{ "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
	{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
	/* RFC 7396, section 3 */
	{ "{\"title\":\"Goodbye!\",\"author\":{\"givenName\":\"John\",\"familyName\":\"Doe\"},"
	    "\"tags\":[\"example\",\"sample\"],\"content\":\"This will be unchanged\"}",
	    "{\"title\":\"Hello!\",\"phoneNumber\":\"+01-123-456-7890\","
	    "\"author\":{\"familyName\":null},\"tags\":[\"example\"]}",
	    "{\"title\":\"Hello!\",\"author\":{\"givenName\":\"John\"},\"tags\":[\"example\"],"
	    "\"content\":\"This will be unchanged\",\"phoneNumber\":\"+01-123-456-7890\"}" },
	/* as it was written */
	{ "{\"n\":123456789012345678901234567890,\"f\":1.10,\"e\":-0.0E+2,\"u\":\"\\u00e9\\/\"}", "{\"x\":1.0e5}",
	    "{\"n\":123456789012345678901234567890,\"f\":1.10,\"e\":-0.0E+2,\"u\":\"\\u00e9\\/\",\"x\":1.0e5}" },
	{ "{\"z\":1,\"a\":2,\"m\":3}", "{\"b\":0,\"a\":9}", "{\"z\":1,\"a\":9,\"m\":3,\"b\":0}" },
	{ "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [ 1, 2 ]\n  }\n}\n", "{\"d\":2,\"b\":{\"e\":3}}",
	    "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [ 1, 2 ],\n    \"e\":3\n  },\n  \"d\":2\n}" },
	{ "{\n  \"a\": 1,\n  \"b\": 2\n}", "{\"b\":null}", "{\n  \"a\": 1\n}" },
	{ "{\n  \"a\": 1 ,\n  \"b\": 2\n}", "{\"a\":null}", "{\n  \"b\": 2\n}" },
	{ "{ }", "{}", "{ }" },
	{ "{ }", "{\"a\":1}", "{\"a\":1 }" },
	/* names are compared decoded */
	{ "{\"\\u0061\":1,\"\\n\":2,\"\\ud83d\\ude00\":3}", "{\"a\":null,\"\\u000a\":5,\"\xf0\x9f\x98\x80\":null}",
	    "{\"\\n\":5}" },
	{ "{\"a\":1}", "{\"\\u0061\":2}", "{\"a\":2}" },
	{ "{\"a\\u0000b\":1,\"a\":2}", "{\"a\":null}", "{\"a\\u0000b\":1}" },
	{ "{\"\":1}", "{\"\":null}", "{}" },
	{ "{\"a\\\"}\":[\"}\",\"\\\\\"],\"b\":1}", "{\"b\":2}", "{\"a\\\"}\":[\"}\",\"\\\\\"],\"b\":2}" },
	/* null within arrays, and in what replaces a value that is no object */
	{ "{\"a\":1}", "{\"a\":[null,{\"b\":null}]}", "{\"a\":[null,{\"b\":null}]}" },
	{ "{\"a\":1}", "{\"a\":{\"b\":null,\"c\":{\"d\":null}}}", "{\"a\":{\"c\":{}}}" },
	{ "5", "{}", "{}" }, { "{}", "true", "true" }, { " {\"a\":1} ", " {} ", "{\"a\":1}" },
};

static void
test_merges(void)
{
	struct mw_err err;
	struct mw_buf out;
	size_t i;

	for (i = 0; i < sizeof(merges) / sizeof(merges[0]); i++) {
		mw_err_clear(&err);
		mw_arena_reset(arena);
		mw_buf_init(&out, 10000);
		if (mw_json_merge(arena, merges[i].target, strlen(merges[i].target), merges[i].patch,
		    strlen(merges[i].patch), &out, &err) != MW_OK)
			printf("# %s\n", err.msg);
		is_str(out.data, merges[i].want, merges[i].patch);
		mw_buf_free(&out);
	}
}

static const struct {
	const char *text;
	enum mw_code code;
} checks[] = {
	{ "{}", MW_OK }, { " [ ] ", MW_OK }, { "1", MW_OK }, { "\"\"", MW_OK },
	{ "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}", MW_OK },
	{ "", MW_INVALID_JSON }, { "{", MW_INVALID_JSON }, { "{\"a\":1,}", MW_INVALID_JSON },
	{ "{} {}", MW_INVALID_JSON }, { "\xef\xbb\xbf{}", MW_INVALID_JSON },
	{ "{\"a\":1,\"a\":1}", MW_INVALID_JSON }, { "{\"a\":1,\"\\u0061\":2}", MW_INVALID_JSON },
	{ "{\"x\":[{\"a\":1,\"b\":2,\"a\":3}]}", MW_INVALID_JSON },
	{ "[[[[{\"k\":{\"\":0,\"\":1}}]]]]", MW_INVALID_JSON },
	{ "{\"a\":'x'}", MW_INVALID_JSON }, { "{\"a\":\"\xff\"}", MW_INVALID_JSON },
	{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", MW_OK },
	{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", MW_INVALID_JSON },
};

static void
test_checks(void)
{
	struct mw_err err;
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		mw_err_clear(&err);
		is_int(mw_json_check(arena, checks[i].text, strlen(checks[i].text), &err),
		    checks[i].code, checks[i].text[0] != '\0' ? checks[i].text : "nothing");
		if (err.code != MW_OK)
			printf("# %s\n", err.msg);
	}
	ok(mw_json_is_object(" \n{}", 4) && !mw_json_is_object("[]", 2) && !mw_json_is_object("", 0),
	    "what an object is");
}

int
main(void)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_buf out;

	arena = mw_arena_open(1 << 20);
	test_merges();
	test_checks();
	mw_buf_init(&out, 10);
	is_int(mw_json_merge(arena, "{\"a\":1}", 7, "{\"b\":2}", 7, &out, &err), MW_BODY_TOO_LARGE,
	    "longer than the buffer may be");
	mw_buf_free(&out);
	mw_arena_close(arena);
	return done();
}
