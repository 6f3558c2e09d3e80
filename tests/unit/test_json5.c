/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON5: what is one and what it says; a patch of its text. */
#include "base/json5.h"
#include "tap.h"

static struct mw_arena *arena;

/* What it says as JSON, or the error, in a buffer of ours. */
static const char *
value_of(const char *s, size_t n, struct mw_json5_doc *d)
{
	static char shown[8192];
	struct mw_err err = { .code = MW_OK };
	struct mw_buf out, lost;

	mw_arena_reset(arena);
	mw_buf_init(&out, sizeof(shown) / 2);
	mw_buf_init(&lost, sizeof(shown) / 2);
	if (mw_json5_parse(arena, s, n, d, &err) == MW_OK &&
	    mw_json5_value(arena, d, &d->root, &out, &lost, &err) == MW_OK)
		(void)snprintf(shown, sizeof(shown), "%s%s%s", out.data, lost.len > 0 ? " " : "",
		    lost.len > 0 ? lost.data : "");
	else
		(void)snprintf(shown, sizeof(shown), "! %s", err.msg);
	mw_buf_free(&out);
	mw_buf_free(&lost);
	return shown;
}

static const struct {
	const char *text, *want;
	bool json;
} says[] = {
	{ "{}", "{}", true }, { " [1 , 2]\r\n", "[1,2]", true }, { "null", "null", true },
	{ "{\"a\":[true,false,null]}", "{\"a\":[true,false,null]}", true },
	{ "-0.10e+05", "-0.10e+05", true },
	{ "123456789012345678901234567890.10", "123456789012345678901234567890.10", true },
	{ "\xef\xbb\xbf{}", "{}", false },
	{ "// a\n{/* b */}/* ** / */ // c", "{}", false },
	{ "{a:1,$_b:2,\\u0063d:3,\xc3\xa9t\xc3\xa9:4,null:5,Infinity:6,}",
	    "{\"a\":1,\"$_b\":2,\"cd\":3,\"\xc3\xa9t\xc3\xa9\":4,\"null\":5,\"Infinity\":6}", false },
	{ "{'a':'it\\'s \"x\"',\"b\":\"'\",}", "{\"a\":\"it's \\\"x\\\"\",\"b\":\"'\"}", false },
	{ "[1,]", "[1]", false },
	{ "[.5,5.,-.5e3,+1,5.e2,0xFf,-0X10,+.0]", "[0.5,5,-0.5e3,1,5e2,255,-16,0.0]", false },
	{ "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
	    "1461501637330902918203684832716283019655932542975", false },
	{ "0x3b9aca00", "1000000000", false }, { "0x00000000000000000001", "1", false },
	{ "0x0", "0", false },
	{ "{a:[Infinity,-Infinity,{\"b/~\":NaN}],c:+NaN}",
	    "{\"a\":[null,null,{\"b/~\":null}],\"c\":null} \"/a/0\",\"/a/1\",\"/a/2/b~1~0\",\"/c\"", false },
	{ "NaN", "null \"\"", false },
	{ "'a\\\nb\\\r\nc\\\xe2\x80\xa8" "d'", "\"abcd\"", false },
	{ "'\\x41\\u0042\\v\\0\\a\\\xc3\xa9\\'\\\"'", "\"AB\\u000b\\u0000a\xc3\xa9'\\\"\"", false },
	{ "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"", true },
	{ "\"\\ud83d\\\n\\ude00\"", "\"\xf0\x9f\x98\x80\"", false },
	{ "\"\\ud83d\\ud83d\\ude00\\ude00\"", "\"\\ud83d\xf0\x9f\x98\x80\\ude00\"", true },
	{ "\"a\tb\x01\"", "\"a\\tb\\u0001\"", false },
	{ "\"\xe2\x80\xa8\"", "\"\\u2028\"", true },
	{ "\xc2\xa0\v\f\xe3\x80\x80[\xef\xbb\xbf]\xe2\x80\xa9", "[]", false },
	{ "// x\xe2\x80\xa8" "7", "7", false },
	{ "{\"$include\":\"x.json5\",k:'${VAR}',__proto__:1}",
	    "{\"$include\":\"x.json5\",\"k\":\"${VAR}\",\"__proto__\":1}", false },
	{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
	    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", true },
	/* what is none, and where */
	{ "", "! line 1, column 1: the document ends too early", false },
	{ "{a:1,\n b:2,\n\r\n  \"a\":3}", "! line 4, column 3: a name that its object has already", false },
	{ "{\xc3\xa9:1,\"\\u00e9\":2}", "! line 1, column 6: a name that its object has already", false },
	{ "{a:{},b:[{x:1,y:2,'x':2}]}", "! line 1, column 19: a name that its object has already", false },
	{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "! line 1, column 33: nested deeper than 32", false },
	{ "{a", "! line 1, column 3: expected ':'", false },
	{ "{a:1 b:2}", "! line 1, column 6: expected ',' or '}'", false },
	{ "{,}", "! line 1, column 2: expected a member's name", false },
	{ "[,]", "! line 1, column 2: expected a value", false },
	{ "[1,,2]", "! line 1, column 4: expected a value", false },
	{ "{1:1}", "! line 1, column 2: expected a member's name", false },
	{ "{a-b:1}", "! line 1, column 3: expected ':'", false },
	{ "{\\x61:1}", "! line 1, column 2: an escape other than \\u in a name without quotes", false },
	{ "{\\u0020:1}", "! line 1, column 2: an escape that says no letter, in a name without quotes", false },
	{ "[1", "! line 1, column 1: an array without its end", false },
	{ "{\"a\":1,", "! line 1, column 1: an object without its end", false },
	{ "[1] 2", "! line 1, column 5: text behind the document", false },
	{ "nul", "! line 1, column 1: expected a value", false },
	{ "nulls", "! line 1, column 1: expected a value", false },
	{ "undefined", "! line 1, column 1: expected a value", false },
	{ "010", "! line 1, column 1: a number that begins with 0", false },
	{ "1a", "! line 1, column 2: text behind the document", false },
	{ ".", "! line 1, column 2: expected a digit", false },
	{ "+-1", "! line 1, column 2: expected a digit", false },
	{ "- 1", "! line 1, column 2: expected a digit", false },
	{ "1e", "! line 1, column 3: expected a digit of the exponent", false },
	{ "0x", "! line 1, column 3: expected a hexadecimal digit after 0x", false },
	{ "'a\nb'", "! line 1, column 3: a line ends within a string", false },
	{ "'a", "! line 1, column 1: a string without its end", false },
	{ "'\\", "! line 1, column 3: the document ends within a string", false },
	{ "'\\1'", "! line 1, column 3: an escape of octal digits", false },
	{ "'\\01'", "! line 1, column 3: an escape of octal digits", false },
	{ "'\\x4g'", "! line 1, column 5: expected two hexadecimal digits after \\x", false },
	{ "'\\u004'", "! line 1, column 7: expected four hexadecimal digits after \\u", false },
	{ "/* a", "! line 1, column 1: a comment without its end", false },
	{ "/ 1", "! line 1, column 1: a '/' that begins no comment", false },
	{ "\"\xff\"", "! line 1, column 2: not valid UTF-8", false },
};

static void
test_says(void)
{
	struct mw_json5_doc d;
	size_t i;

	for (i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		is_str(value_of(says[i].text, strlen(says[i].text), &d), says[i].want,
		    says[i].text[0] != '\0' ? says[i].text : "nothing");
		if (says[i].want[0] != '!')
			is_int(d.json, says[i].json, says[i].json ? "is JSON" : "is JSON5 only");
	}
}

static void
test_limits(void)
{
	static char text[MW_JSON5_HEX_MAX + 4];
	struct mw_json5_doc d;
	struct mw_err err = { .code = MW_OK };
	struct mw_buf out, lost;

	memset(text, 'f', sizeof(text));
	memcpy(text, "0x", 2);
	mw_arena_reset(arena);
	is_int(mw_json5_parse(arena, text, MW_JSON5_HEX_MAX + 3, &d, &err), MW_INVALID_JSON,
	    "a digit too many");
	mw_err_clear(&err);
	is_int(mw_json5_parse(arena, text, MW_JSON5_HEX_MAX + 2, &d, &err), MW_OK, "none too many");
	mw_buf_init(&out, 100000);
	mw_buf_init(&lost, 10);
	is_int(mw_json5_value(arena, &d, &d.root, &out, &lost, &err), MW_OK, "and its value");
	is_int((int64_t)out.len, 4933, "which has so many digits");
	mw_buf_reset(&out);
	is_int(mw_json5_parse(arena, "{a:[NaN,NaN]}", 13, &d, &err), MW_OK, "two that are none");
	is_int(mw_json5_value(arena, &d, &d.root, &out, &lost, &err), MW_FILE_TOO_LARGE,
	    "and too little room to say where");
	mw_buf_free(&out);
	mw_buf_free(&lost);
}

static const struct {
	const char *target, *patch, *want;
} edits[] = {
	/* RFC 7396, appendix A, as far as objects go */
	{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
	{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
	{ "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
	{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
	{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
	{ "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
	{ "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
	{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\": {\"bb\": {}}}" },
	/* nothing is touched for nothing */
	{ "{ a : 0x10 , 'b':[1, /* c */ 'x'], /* d */ }", "{\"a\":16,\"b\":[1,\"x\"],\"c\":null}",
	    "{ a : 0x10 , 'b':[1, /* c */ 'x'], /* d */ }" },
	{ "\xef\xbb\xbf// top\r\n{a:1}\r\n\r\n// end", "{\"a\":2}",
	    "\xef\xbb\xbf// top\r\n{a:2}\r\n\r\n// end" },
	{ "{\"n\":123456789012345678901234567890,\"f\":1.10,\"e\":-0.0E+2,\"u\":\"\\u00e9\\/\"}", "{\"x\":1.0e5}",
	    "{\"n\":123456789012345678901234567890,\"f\":1.10,\"e\":-0.0E+2,\"u\":\"\\u00e9\\/\",\"x\":1.0e5}" },
	{ "{a:1.0}", "{a:1.00}", "{a:1.00}" },
	/* new ones look like their neighbours */
	{ "{\n  \"a\": 1\n}\n", "{\"b\":{\"c\":[1,2],\"d\":[{\"e\":1}],\"f\":{}}}",
	    "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [1, 2],\n    \"d\": [\n      {\n        \"e\": 1\n      }\n"
	    "    ],\n    \"f\": {}\n  }\n}\n" },
	{ "{\r\n\ta: 'x', // one\r\n}\r\n", "{\"b\":\"it's\",\"c-d\":{\"e\":1}}",
	    "{\r\n\ta: 'x', // one\r\n\tb: 'it\\'s',\r\n\t'c-d': {\r\n\t\te: 1,\r\n\t},\r\n}\r\n" },
	{ "{\n  a: 1 // one\n  // two\n}", "{\"b\":2}", "{\n  a: 1, // one\n  b: 2\n  // two\n}" },
	{ "{\n  a: 1 /* one */ }", "{\"b\":2}", "{\n  a: 1, /* one */\n  b: 2 }" },
	{ "{ a: 1 }", "{\"b\":2,\"c\":{\"d\":3}}", "{ a: 1, b: 2, c: { d: 3 } }" },
	{ "{a: 1, }", "{\"b\":2}", "{a: 1, b: 2, }" },
	{ "{a:1,b:2 // x\n}", "{\"c\":2}", "{a:1,b:2,c:2 // x\n}" },
	{ "{a:1}", "{\"b\":0x10,\"c\":Infinity}", "{a:1,b:0x10,c:Infinity}" },
	{ "{\"a\":1}", "{b:0x10,'c':.5,\"d\":'\"\\x41'}", "{\"a\":1,\"b\":16,\"c\":0.5,\"d\":\"\\\"A\"}" },
	{ "{\n  a: {},\n  b: 1,\n}", "{\"a\":{\"x\":1}}", "{\n  a: {\n    x: 1,\n  },\n  b: 1,\n}" },
	{ "{\n  a: { /* none */ }\n}", "{\"a\":{\"x\":1}}", "{\n  a: { /* none */\n    x: 1 }\n}" },
	{ "{\n  // none\n}\n", "{\"x\":1}", "{\n  // none\n  \"x\": 1\n}\n" },
	{ "{\n}\n", "{\"x\":1,\"y\":2}", "{\n  \"x\": 1,\n  \"y\": 2\n}\n" },
	{ "{ }", "{\"a\":1}", "{ \"a\": 1 }" },
	{ "{\n  a: 1,\n}", "{\"a\":null,\"b\":2}", "{\n  b: 2,\n}" },
	{ "{ // top\n  a: 1 // one\n}", "{\"a\":null,\"b\":2}", "{ // top\n  b: 2\n}" },
	{ "{ a: 1, b: 2 }", "{\"a\":null,\"b\":null,\"c\":3}", "{ c: 3 }" },
	/* what goes takes its line, its comma, the comment on its line */
	{ "{\n  // of a\n  a: 1, // one\n  // of b\n  b: 2, /* two */ // too\n  c: 3 // three\n}", "{\"b\":null}",
	    "{\n  // of a\n  a: 1, // one\n  // of b\n  c: 3 // three\n}" },
	{ "{\n  a: 1, // one\n  b: 2 // two\n}", "{\"b\":null}", "{\n  a: 1 // one\n}" },
	{ "{\r\n  a: 1,\r\n  b: {\r\n    c: 2,\r\n  },\r\n}", "{\"b\":null}", "{\r\n  a: 1,\r\n}" },
	{ "{\n  a: 1,\n  b: 2\n}", "{\"a\":null,\"b\":null}", "{\n}" },
	{ "{a: 1, b: 2, c: 3}", "{\"b\":null}", "{a: 1, c: 3}" },
	{ "{a: 1, b: 2, c: 3}", "{\"c\":null}", "{a: 1, b: 2}" },
	{ "{a: 1, b: 2, c: 3}", "{\"b\":null,\"c\":null}", "{a: 1}" },
	{ "{\n  a: 1,\n  b: 2, c: 3, // both\n  d: 4\n}", "{\"b\":null,\"c\":null}", "{\n  a: 1,\n  d: 4\n}" },
	{ "{ a: 1, b: 2, }", "{\"b\":null}", "{ a: 1, }" },
	{ "{ a: 1 /* one */, /* of b */ b: 2 }", "{\"a\":null}", "{ /* of b */ b: 2 }" },
	{ "{ a: 1\n, b: 2\n, c: 3\n}", "{\"b\":null}", "{ a: 1\n, c: 3\n}" },
	{ "{ a: 1\n, b: 2\n, c: 3\n}", "{\"c\":null}", "{ a: 1\n, b: 2\n}" },
	{ "{\n  a: 1, b: 2, // both\n  c: 3\n}", "{\"b\":null}", "{\n  a: 1,\n  c: 3\n}" },
	{ "{\n  a: 1, b: 2, // both\n  c: 3\n}", "{\"a\":null}", "{\n  b: 2, // both\n  c: 3\n}" },
	{ "{\n  a: 1, /* long\n  words */\n  c: 3\n}", "{\"a\":null}", "{\n  /* long\n  words */\n  c: 3\n}" },
	{ "{a:1,// x\xe2\x80\xa8\nb:2}", "{\"b\":null}", "{a:1// x\xe2\x80\xa8\n}" },
	/* names are compared decoded */
	{ "{\"\\u0061\":1,\"\\n\":2,\"\\ud83d\\ude00\":3}", "{\"a\":null,\"\\u000a\":5,\"\xf0\x9f\x98\x80\":null}",
	    "{\"\\n\":5}" },
	{ "{\"a\\u0000b\":1,\"a\":2}", "{\"a\":null}", "{\"a\\u0000b\":1}" },
	{ "{\"\":1}", "{\"\":null}", "{}" },
	/* null within arrays, and in what replaces a value that is no object */
	{ "{\"a\":1}", "{\"a\":[null,{\"b\":null}]}", "{\"a\":[null,{\"b\":null}]}" },
	{ "{\"a\":1}", "{\"a\":{\"b\":null,\"c\":{\"d\":null}}}", "{\"a\":{\"c\":{}}}" },
	{ "{\"a\":1}", "{\"b\":Infinity}", "! Infinity and NaN cannot be in this document, which is JSON" },
};

static const char *
edit(const char *target, const char *patch)
{
	static char shown[4096];
	struct mw_json5_doc t, p;
	struct mw_err err = { .code = MW_OK };
	struct mw_buf out;

	mw_arena_reset(arena);
	mw_buf_init(&out, sizeof(shown) - 1);
	if (mw_json5_parse(arena, target, strlen(target), &t, &err) == MW_OK &&
	    mw_json5_parse(arena, patch, strlen(patch), &p, &err) == MW_OK &&
	    mw_json5_edit(arena, &t, &p, &out, &err) == MW_OK)
		(void)snprintf(shown, sizeof(shown), "%s", out.data);
	else
		(void)snprintf(shown, sizeof(shown), "! %s", err.msg);
	mw_buf_free(&out);
	return shown;
}

static void
test_edits(void)
{
	struct mw_json5_doc t, p;
	struct mw_err err = { .code = MW_OK };
	struct mw_buf out;
	size_t i;

	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++)
		is_str(edit(edits[i].target, edits[i].patch), edits[i].want, edits[i].patch);
	mw_buf_init(&out, 10);
	is_int(mw_json5_parse(arena, "{a:1}", 5, &t, &err), MW_OK, "a document");
	is_int(mw_json5_parse(arena, "{b:12345}", 9, &p, &err), MW_OK, "a patch");
	is_int(mw_json5_edit(arena, &t, &p, &out, &err), MW_BODY_TOO_LARGE,
	    "longer than the buffer may be");
	mw_buf_free(&out);
}

int
main(void)
{
	arena = mw_arena_open(4 << 20);
	test_says();
	test_limits();
	test_edits();
	mw_arena_close(arena);
	return done();
}
