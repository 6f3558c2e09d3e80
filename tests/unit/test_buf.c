/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include <stdlib.h>

#include "base/buf.h"

static void
test_append(void)
{
	struct mw_buf b;
	size_t i, len;
	char *p;

	mw_buf_init(&b, 1 << 20);
	ok(b.data == NULL && b.len == 0, "starts empty");
	ok(mw_buf_add(&b, NULL, 0) && b.data != NULL, "adding nothing works");
	is_str(b.data, "", "and ends in NUL");
	ok(mw_buf_adds(&b, "ab") && mw_buf_addc(&b, 'c') &&
	    mw_buf_add(&b, "\0d", 2) && mw_buf_addf(&b, "%03d", 7), "appends");
	ok(b.len == 8 && memcmp(b.data, "abc\0d007", 9) == 0, "all of them, and a NUL");
	mw_buf_reset(&b);
	ok(b.len == 0 && b.data != NULL && b.data[0] == '\0', "reset keeps the memory");
	for (i = 0; i < 100000; i++) {
		if (!mw_buf_addc(&b, (char)('a' + i % 26)))
			break;
	}
	ok(b.len == 100000 && b.data[99999] == 'a' + 99999 % 26, "grows");
	ok(b.cap < 300000, "and not without measure");
	p = mw_buf_take(&b, &len);
	ok(p != NULL && len == 100000 && p[len] == '\0', "take hands it over");
	ok(b.data == NULL && b.len == 0, "and leaves the buffer empty");
	free(p);
	p = mw_buf_take(&b, &len);
	is_str(p, "", "take of an empty buffer");
	free(p);
	mw_buf_free(&b);
	mw_buf_free(&b);
}

static void
test_text(void)
{
	struct mw_buf b;

	mw_buf_init(&b, 64);
	ok(mw_buf_cat(&b, "a", "", "bc", (char *)NULL) && mw_buf_cat(&b, (char *)NULL), "strings");
	is_str(b.data, "abc", "one after the other");
	mw_buf_reset(&b);
	ok(mw_buf_addi(&b, 0) && mw_buf_addc(&b, ' ') && mw_buf_addi(&b, INT64_MIN) &&
	    mw_buf_addc(&b, ' ') && mw_buf_addi(&b, INT64_MAX), "numbers");
	is_str(b.data, "0 -9223372036854775808 9223372036854775807", "from the least to the largest");
	ok(!mw_buf_cat(&b, "0123456789", "0123456789", "0123456789", (char *)NULL) && b.failed,
	    "strings past the cap");
	mw_buf_free(&b);
}

static void
test_cap(void)
{
	struct mw_buf b;
	size_t len;

	mw_buf_init(&b, 10);
	ok(mw_buf_adds(&b, "0123456789"), "exactly the cap");
	is_str(b.data, "0123456789", "with its NUL");
	ok(!mw_buf_addc(&b, 'x'), "one byte more fails");
	ok(b.data == NULL && b.len == 0 && b.failed, "and frees the buffer");
	ok(!mw_buf_add(&b, "", 0) && !mw_buf_adds(&b, "a") && !mw_buf_addc(&b, 'a') &&
	    !mw_buf_addf(&b, "a") && !mw_buf_room(&b, 0), "later appends fail too");
	len = 99;
	ok(mw_buf_take(&b, &len) == NULL && len == 0, "nothing to take");
	mw_buf_reset(&b);
	ok(mw_buf_adds(&b, "ok"), "usable after a reset");
	ok(!mw_buf_addf(&b, "%s", "123456789"), "printf past the cap fails");
	mw_buf_free(&b);

	mw_buf_init(&b, SIZE_MAX);
	ok(mw_buf_adds(&b, "x"), "the largest cap");
	ok(!mw_buf_room(&b, SIZE_MAX), "room for SIZE_MAX does not wrap");
	mw_buf_free(&b);
}

static void
test_room(void)
{
	struct mw_buf b;
	char *p;
	size_t len;

	mw_buf_init(&b, 5000);
	ok(mw_buf_room(&b, 5000) && b.cap > 5000, "room for bytes and a NUL");
	memset(b.data, 'z', 5000);
	b.len = 5000;
	p = mw_buf_take(&b, &len);
	ok(p != NULL && len == 5000 && strlen(p) == 5000, "take adds the NUL");
	free(p);
	ok(mw_buf_addf(&b, "%s", "short") && mw_buf_addf(&b, "%04000d", 5),
	    "printf longer than what is left");
	ok(b.len == 4005 && b.data[4004] == '5' && b.data[4005] == '\0', "is whole");
	mw_buf_free(&b);
}

int
main(void)
{
	test_append();
	test_text();
	test_cap();
	test_room();
	return done();
}
