/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include "base/arena.h"
#include "base/ctx.h"

static bool
zeroed(const unsigned char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}

static void
test_alloc(void)
{
	struct mw_arena *a = mw_arena_open(1 << 20);
	static const size_t sizes[] = { 0, 1, 7, 16, 100, 15000, 16000, 40000, 8, 200000, 3 };
	bool aligned = true, clean = true, distinct = true;
	unsigned char *p, *last = NULL;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		p = mw_arena_alloc(a, sizes[i]);
		if (p == NULL) {
			ok(false, "alloc of %zu", sizes[i]);
			continue;
		}
		aligned = aligned && (uintptr_t)p % _Alignof(max_align_t) == 0;
		clean = clean && zeroed(p, sizes[i]);
		distinct = distinct && p != last;
		memset(p, 0xa5, sizes[i]);
		last = p;
	}
	ok(aligned, "every piece is aligned");
	ok(clean, "every piece is zeroed");
	ok(distinct, "a piece of 0 bytes is a piece");
	mw_arena_reset(a);
	p = mw_arena_alloc(a, 16000);
	ok(p != NULL && zeroed(p, 16000), "zeroed again after a reset");
	mw_arena_close(a);
	mw_arena_close(NULL);
}

static void
test_cap(void)
{
	struct mw_arena *a = mw_arena_open(1024);
	int i;

	ok(mw_arena_alloc(a, 2000) == NULL, "more than the cap at once");
	ok(mw_arena_alloc(a, SIZE_MAX) == NULL, "SIZE_MAX does not wrap");
	ok(mw_arena_alloc(a, SIZE_MAX - 8) == NULL, "nearly SIZE_MAX does not wrap");
	ok(mw_arena_dup(a, "", SIZE_MAX) == NULL, "dup of SIZE_MAX does not wrap");
	for (i = 0; i < 4; i++)
		ok(mw_arena_alloc(a, 256) != NULL, "piece %d of 4 within the cap", i + 1);
	ok(mw_arena_alloc(a, 1) == NULL, "one byte past the cap");
	mw_arena_reset(a);
	ok(mw_arena_alloc(a, 1024) != NULL, "a reset gives all of it back");
	ok(mw_arena_strdup(a, "x") == NULL, "strdup past the cap");
	ok(mw_arena_printf(a, "%d", 1) == NULL, "printf past the cap");
	ok(mw_arena_cat(a, "a", "b", (char *)NULL) == NULL, "and strings");
	mw_arena_close(a);
}

static void
test_strings(void)
{
	struct mw_arena *a = mw_arena_open(1 << 20);
	char *s, *big;
	size_t i;

	s = mw_arena_dup(a, "ab\0cd", 5);
	ok(s != NULL && memcmp(s, "ab\0cd", 6) == 0, "dup keeps a NUL and adds one");
	is_str(mw_arena_dup(a, NULL, 0), "", "dup of nothing");
	is_str(mw_arena_strdup(a, "hello"), "hello", "strdup");
	is_str(mw_arena_printf(a, "%s/%d", "users", 7), "users/7", "printf");
	is_str(mw_arena_cat(a, "users", "", "/7", (char *)NULL), "users/7", "strings");
	is_str(mw_arena_cat(a, (char *)NULL), "", "no string");
	s = mw_arena_strdup(a, "kept");
	big = mw_arena_printf(a, "%050000d", 1);
	ok(big != NULL && strlen(big) == 50000, "a printf larger than a chunk");
	for (i = 0; i < 5000; i++) {
		if (mw_arena_alloc(a, 64) == NULL)
			break;
	}
	ok(i == 5000, "many small pieces");
	is_str(s, "kept", "earlier pieces stay");
	mw_arena_reset(a);
	mw_arena_reset(a);
	is_str(mw_arena_strdup(a, "again"), "again", "usable after two resets");
	mw_arena_close(a);
}

static void
test_scratch(void)
{
	struct mw_ctx ctx = { .arena = mw_arena_open(1024) };
	struct mw_arena *own = ctx.arena;
	struct mw_scratch s;
	char *last = NULL;
	int i;

	ok(mw_scratch_open(&s, &ctx, 1024) == MW_OK && ctx.arena == own, "nothing is entered yet");
	for (i = 0; i < 100; i++) {
		mw_scratch_enter(&s);
		last = mw_arena_printf(ctx.arena, "%0500d", i);
		if (i == 99)
			ctx.err.details = mw_arena_strdup(ctx.arena, "{}");
		mw_scratch_leave(&s);
		if (last == NULL)
			break;
	}
	is_int(i, 100, "each call has all of the memory");
	ok(last != NULL && strcmp(last + 498, "99") == 0, "the last one's stays after it");
	ok(ctx.arena == own && mw_arena_alloc(own, 900) != NULL, "the request's own is left alone");
	mw_scratch_close(&s);
	is_str(ctx.err.details, "{}", "an error's details outlive the close");
	mw_arena_close(own);
}

int
main(void)
{
	test_alloc();
	test_cap();
	test_scratch();
	test_strings();
	return done();
}
