/* SPDX-License-Identifier: BSD-2-Clause */
/* Members of a request's body by a table: each kind, and what a bad one is told. */
#include "tap.h"

#include <stdlib.h>
#include <string.h>

#include "app/fields.h"
#include "base/buf.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum color { RED, GREEN };
static const char *const colors[] = { "red", "green", NULL };

static struct thing {
	struct mw_buf text;
	bool flag;
	int64_t n, capped;
	enum color color;
	char string[8];
	unsigned own;			/* events of the member own, and within it */
} thing;

static struct mw_fields f;
static struct mw_err err;

static enum mw_code
take_string(struct mw_fields *in)
{
	if (in->len >= sizeof(thing.string))
		return mw_fields_bad(in, in->field, MW_INVALID_PATH, "is no path");
	memcpy(thing.string, in->text, in->len + 1);
	return MW_OK;
}

static enum mw_code
take_own(struct mw_fields *in, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	(void)s;
	(void)n;
	if (depth == 0 && ev == MW_JSON_NUMBER)
		return mw_fields_wrong(in, in->field, "");
	thing.own += depth == 0 ? 1 : 100;
	return MW_OK;
}

#define AT(member) offsetof(struct thing, member)

static const struct mw_field table[] = {
	{ .name = "text", .expected = "a string", .kind = MW_FIELD_TEXT, .at = AT(text) },
	{ .name = "flag", .expected = "true or false", .kind = MW_FIELD_BOOL, .at = AT(flag),
	    .null = true },
	{ .name = "n", .expected = "1 to 9", .kind = MW_FIELD_INT, .at = AT(n), .min = 1, .max = 9 },
	{ .name = "capped", .expected = "0 or more", .kind = MW_FIELD_INT, .at = AT(capped),
	    .max = 9, .cap = true },
	{ .name = "color", .expected = "red or green", .kind = MW_FIELD_WORD, .at = AT(color),
	    .words = colors },
	{ .name = "string", .expected = "a string", .kind = MW_FIELD_STRING, .done = take_string },
	{ .name = "own", .expected = "anything but a number", .kind = MW_FIELD_OWN,
	    .event = take_own },
	{ .name = "other", .expected = "true or false", .kind = MW_FIELD_BOOL, .at = AT(flag),
	    .uses = 2 },
	{ .name = NULL }
};

static enum mw_code
read_object(const char *list, const char *s, size_t step)
{
	struct mw_json json;
	size_t n = strlen(s), at, len;
	enum mw_code code = MW_OK;

	mw_buf_free(&thing.text);
	thing = (struct thing){ .n = -1 };
	mw_buf_init(&thing.text, 5);
	mw_err_clear(&err);
	mw_fields_init(&f, table, &thing, &err);
	f.use = 1;
	f.list = list;
	f.row = 7;
	mw_json_init(&json, mw_fields_event, &f);
	for (at = 0; at < n && code == MW_OK; at += len) {
		len = n - at < step ? n - at : step;
		code = mw_json_feed(&json, s + at, len, &err);
	}
	return code == MW_OK ? mw_json_finish(&json, &err) : code;
}

static const struct bad {
	const char *text;
	enum mw_code code;
	const char *says, *failed;
} bads[] = {
	{ "[]", MW_INVALID_ARGUMENT, "body: expected a JSON object with the member text", NULL },
	{ "{\"text\":\"sixsix\"}", MW_INVALID_ARGUMENT, "text: too long", "text" },
	{ "{\"text\":null}", MW_INVALID_ARGUMENT, "text: expected a string", "text" },
	{ "{\"text\":[]}", MW_INVALID_ARGUMENT, "text: expected a string", "text" },
	{ "{\"flag\":1}", MW_INVALID_ARGUMENT, "flag: expected true or false", "flag" },
	{ "{\"flag\":null,\"flag\":true}", MW_INVALID_ARGUMENT,
	    "flag: given twice; expected true or false", "flag" },
	{ "{\"n\":0}", MW_INVALID_ARGUMENT, "n: expected 1 to 9", "n" },
	{ "{\"n\":10}", MW_INVALID_ARGUMENT, "n: expected 1 to 9", "n" },
	{ "{\"n\":99999999999999999999}", MW_INVALID_ARGUMENT, "n: expected 1 to 9", "n" },
	{ "{\"n\":1.5}", MW_INVALID_ARGUMENT, "n: expected 1 to 9", "n" },
	{ "{\"n\":1e0}", MW_INVALID_ARGUMENT, "n: expected 1 to 9", "n" },
	{ "{\"n\":\"1\"}", MW_INVALID_ARGUMENT, "n: expected 1 to 9", "n" },
	{ "{\"capped\":-1}", MW_INVALID_ARGUMENT, "capped: expected 0 or more", "capped" },
	{ "{\"color\":\"blue\"}", MW_INVALID_ARGUMENT, "color: expected red or green", "color" },
	{ "{\"color\":\"re\"}", MW_INVALID_ARGUMENT, "color: expected red or green", "color" },
	{ "{\"color\":\"red\\u0000\"}", MW_INVALID_ARGUMENT, "color: expected red or green", "color" },
	{ "{\"string\":\"eightxxx\"}", MW_INVALID_PATH, "string: is no path", "string" },
	{ "{\"own\":1}", MW_INVALID_ARGUMENT, "own: expected anything but a number", "own" },
};

static void
test_bad(void)
{
	char want[128];
	size_t i, step;
	bool good;

	for (i = 0; i < COUNT(bads); i++) {
		for (good = true, step = 1; step < 9; step += 3) {
			good = good && read_object(NULL, bads[i].text, step) == bads[i].code &&
			    strcmp(err.msg, bads[i].says) == 0 &&
			    (f.failed == NULL) == (bads[i].failed == NULL) &&
			    (f.failed == NULL || strcmp(f.failed, bads[i].failed) == 0);
		}
		if (!ok(good, "%s", bads[i].text))
			printf("# %s\n", err.msg);
		if (bads[i].failed == NULL)
			continue;
		(void)snprintf(want, sizeof(want), "rows[7].%s", bads[i].says);
		(void)!read_object("rows", bads[i].text, 99);
		is_str(err.msg, want, "and of a row");
	}
}

static void
test_good(void)
{
	static const char all[] = "{\"text\":\"\\u00e4bc\",\"flag\":true,\"n\":9,\"capped\":10,"
	    "\"color\":\"green\",\"string\":\"\",\"own\":{\"n\":[0]},\"n2\":{\"n\":0},\"other\":7}";
	size_t step;

	for (step = 1; step < 20; step += 6) {
		is_int(read_object(NULL, all, step), MW_OK, "every member");
		ok(thing.text.len == 4 && strcmp(thing.text.data, "\xc3\xa4" "bc") == 0 && thing.flag &&
		    thing.n == 9 && thing.capped == 9 && thing.color == GREEN &&
		    thing.string[0] == '\0', "is set");
		is_int(thing.own, 402, "one's own has all events, also from within");
	}
	is_int(read_object(NULL, "{\"capped\":99999999999999999999,\"flag\":null}", 99), MW_OK,
	    "more digits than fit, and null");
	ok(thing.capped == 9 && !thing.flag && thing.n == -1, "the most; null and absent leave alone");
	ok(mw_fields_has(&f, &table[1]) && !mw_fields_has(&f, &table[2]), "what was given");
	is_int(mw_fields_need(&f, &table[1]), MW_OK, "needed and there");
	is_int(mw_fields_need(&f, &table[2]), MW_INVALID_ARGUMENT, "needed and missing");
	is_str(err.msg, "n: missing; expected 1 to 9", "says so");
	mw_fields_next(&f, &thing, 8);
	ok(!mw_fields_has(&f, &table[1]), "the next row begins anew");
}

static void
test_find(void)
{
	ok(mw_field_find(table, 1, "n", 1) == &table[2], "found by its whole name");
	ok(mw_field_find(table, 1, "na", 2) == NULL && mw_field_find(table, 1, "", 0) == NULL,
	    "and by no other");
	ok(mw_field_find(table, 1, "other", 5) == NULL && mw_field_find(table, 2, "other", 5) != NULL,
	    "only where it is of use");
}

int
main(void)
{
	test_bad();
	test_good();
	test_find();
	mw_buf_free(&thing.text);
	return done();
}
