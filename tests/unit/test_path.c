/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include "base/mime.h"
#include "base/path.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *in;
	unsigned flags;
	const char *want;	/* NULL: refused */
	const char *why;	/* must be in the message then */
} paths[] = {
	{ "a/b", 0, "a/b", NULL },
	{ "/a/b", 0, "a/b", NULL },
	{ "//a///b", 0, "a/b", NULL },
	{ "a/b/", 0, "a/b", NULL },
	{ "./a/./b/.", 0, "a/b", NULL },
	{ "a b+c%20#?&=", 0, "a b+c%20#?&=", NULL },
	{ "...", 0, "...", NULL },
	{ "..a/b..", 0, "..a/b..", NULL },
	{ ".hidden", 0, ".hidden", NULL },
	{ "caf\xc3\xa9", MW_PATH_WRITE, "caf\xc3\xa9", NULL },
	{ "cafe\xcc\x81", 0, "cafe\xcc\x81", NULL },
	{ "cafe\xcc\x81", MW_PATH_WRITE, NULL, "form C" },
	{ "", 0, NULL, "empty" },
	{ "/", 0, NULL, "empty" },
	{ "/./", 0, NULL, "empty" },
	{ "", MW_PATH_DIR, "", NULL },
	{ "//.//", MW_PATH_DIR, "", NULL },
	{ "..", MW_PATH_DIR, NULL, "'..' segment at byte 0" },
	{ "a/../b", 0, NULL, "'..' segment at byte 2" },
	{ "a/..", 0, NULL, "'..' segment at byte 2" },
	{ "/..", MW_PATH_DIR, NULL, "'..' segment at byte 1" },
	{ "a\nb", 0, NULL, "0x0a at byte 1" },
	{ "ab\x7f", 0, NULL, "0x7f at byte 2" },
	{ "a/\x80", 0, NULL, "UTF-8 at byte 2" },
	{ "\xed\xa0\x80", 0, NULL, "UTF-8 at byte 0" },
	{ "\xc0\xae\xc0\xae/x", 0, NULL, "UTF-8 at byte 0" },
	{ ".last-sync", 0, NULL, "reserved" },
	{ "/./.last-sync", 0, NULL, "reserved" },
	{ ".moltworker", MW_PATH_DIR, NULL, "reserved" },
	{ ".moltworker//jobs", 0, NULL, "reserved" },
	{ ".last-sync", MW_PATH_OURS, ".last-sync", NULL },
	{ ".moltworker/jobs/x", MW_PATH_OURS, ".moltworker/jobs/x", NULL },
	{ ".moltworker2", 0, ".moltworker2", NULL },
	{ ".last-sync2", 0, ".last-sync2", NULL },
	{ "a/.last-sync", 0, "a/.last-sync", NULL },
	{ "a/.moltworker/b", 0, "a/.moltworker/b", NULL },
};

static void
test_parse(void)
{
	char out[MW_PATH_MAX + 1];
	struct mw_err err;
	enum mw_code rc;
	size_t i;

	for (i = 0; i < COUNT(paths); i++) {
		mw_err_clear(&err);
		rc = mw_path_parse(paths[i].in, strlen(paths[i].in), paths[i].flags, out, &err);
		if (paths[i].want != NULL) {
			ok(rc == MW_OK && strcmp(out, paths[i].want) == 0, "path row %zu", i);
			continue;
		}
		if (!ok(rc == MW_INVALID_PATH && err.code == rc && out[0] == '\0' &&
		    strstr(err.msg, paths[i].why) != NULL, "path row %zu refused", i))
			printf("# %s\n", err.msg);
	}
	mw_err_clear(&err);
	rc = mw_path_parse("ab\0c", 4, 0, out, &err);
	ok(rc == MW_INVALID_PATH && strstr(err.msg, "NUL at byte 2") != NULL, "a NUL is refused");
	rc = mw_path_parse(NULL, 0, MW_PATH_DIR, out, &err);
	ok(rc == MW_OK && out[0] == '\0', "no bytes at all name the root");
}

/* Fills s with segments of `each` bytes, n bytes in all. */
static void
long_path(char *s, size_t n, size_t each)
{
	size_t i;

	for (i = 0; i < n; i++)
		s[i] = i % (each + 1) == each ? '/' : 'x';
}

static void
test_limits(void)
{
	char in[4096], out[MW_PATH_MAX + 1];
	struct mw_err err = { 0 };

	long_path(in, sizeof(in), 255);
	ok(mw_path_parse(in, 255, 0, out, &err) == MW_OK && strlen(out) == 255,
	    "a segment of 255 bytes");
	memset(in, 'x', 256);
	ok(mw_path_parse(in, 256, 0, out, &err) == MW_INVALID_PATH &&
	    strstr(err.msg, "segment of 256 bytes at byte 0") != NULL, "one of 256");
	mw_err_clear(&err);
	long_path(in, sizeof(in), 100);
	ok(mw_path_parse(in, 1024, 0, out, &err) == MW_OK && strlen(out) == 1024,
	    "a path of 1024 bytes");
	ok(mw_path_parse(in, 1025, 0, out, &err) == MW_INVALID_PATH &&
	    strstr(err.msg, "longer than 1024") != NULL, "one of 1025");
	mw_err_clear(&err);
	memset(in, '/', sizeof(in));
	in[sizeof(in) - 1] = 'a';
	ok(mw_path_parse(in, sizeof(in), 0, out, &err) == MW_OK && strcmp(out, "a") == 0,
	    "only what is left of it counts");
}

static void
test_decode(void)
{
	static const struct {
		const char *in, *want;	/* want NULL: malformed */
	} t[] = {
		{ "", "" }, { "abc", "abc" }, { "a+b", "a+b" }, { "a%20b", "a b" },
		{ "%2F%2f", "//" }, { "%2520", "%20" }, { "%c3%A9", "\xc3\xa9" },
		{ "%", NULL }, { "%2", NULL }, { "a%2", NULL }, { "%zz", NULL },
		{ "%2g", NULL }, { "%%20", NULL }, { "% 2", NULL }, { "%-1", NULL },
	};
	char out[16];
	size_t i;
	long n;

	for (i = 0; i < COUNT(t); i++) {
		n = mw_path_decode(t[i].in, strlen(t[i].in), out);
		if (t[i].want == NULL)
			ok(n == -1, "decode '%s' refused", t[i].in);
		else
			ok(n == (long)strlen(t[i].want) && strcmp(out, t[i].want) == 0,
			    "decode '%s'", t[i].in);
	}
	ok(mw_path_decode("a%00b", 5, out) == 3 && memcmp(out, "a\0b", 4) == 0,
	    "a NUL is decoded, for the parser to refuse");
	ok(mw_path_decode("%20", 2, out) == -1, "never reads past n");
}

static void
test_user(void)
{
	static const char *const good[] = { "a", "7", "user-1", "A.b_c-d", "a.b.c", "a." };
	static const char *const refused[] = {
		"", ".a", "-a", "_a", "a..b", "a..", "a/b", "a b", "a\n", "caf\xc3\xa9", "a%20",
	};
	char longest[82];
	size_t i;

	for (i = 0; i < COUNT(good); i++)
		ok(mw_user_valid(good[i], strlen(good[i])), "user '%s'", good[i]);
	for (i = 0; i < COUNT(refused); i++)
		ok(!mw_user_valid(refused[i], strlen(refused[i])), "user row %zu refused", i);
	memset(longest, 'u', sizeof(longest));
	ok(mw_user_valid(longest, 80) && !mw_user_valid(longest, 81), "80 bytes and no more");
	ok(!mw_user_valid("a\0b", 3), "a NUL is refused");
}

static void
test_mime(void)
{
	static const struct {
		const char *path, *want;
	} t[] = {
		{ "a.md", "text/markdown" }, { "d.x/notes.TXT", "text/plain" },
		{ "x.tar.gz", "application/gzip" }, { "p.PNG", "image/png" },
		{ "a.json", "application/json" }, { "noending", "application/octet-stream" },
		{ "d.json/noending", "application/octet-stream" },
		{ ".json", "application/octet-stream" }, { "d/.json", "application/octet-stream" },
		{ "a.", "application/octet-stream" }, { "", "application/octet-stream" },
		{ "a.unknown", "application/octet-stream" },
	};
	size_t i;

	for (i = 0; i < COUNT(t); i++)
		is_str(mw_path_mime(t[i].path), t[i].want, t[i].path);
}

int
main(void)
{
	test_parse();
	test_limits();
	test_decode();
	test_user();
	test_mime();
	return done();
}
