/* SPDX-License-Identifier: BSD-2-Clause */
/* Secret files: who may read them, what is taken from them, rotation. */
#include "conf_fixture.h"

#include <grp.h>

#define WAIT_MS 10000		/* for what takes about a second */

static struct mw_err err;
static struct mw_secret secret;

static bool
read_it(const char *path)
{
	mw_err_clear(&err);
	return mw_secret_read(path, &secret, &err) == MW_OK;
}

static void
test_content(void)
{
	static char long1[1025], long2[1026], huge[4098];
	static const struct { const char *text, *first, *second; } cases[] = {
		{ "s", "s", "" }, { "s\n", "s", "" }, { "s\r\n", "s", "" }, { "s \t\n", "s", "" },
		{ " s x\n", " s x", "" }, { "a\nb\n", "a", "b" }, { "a\nb", "a", "b" },
		{ "a\r\nb\r\nc\r\n", "a", "b" }, { "a\n\nc\n", "a", "" }, { "a\n \n", "a", "" },
		{ "", NULL, NULL }, { "\n", NULL, NULL }, { "  \r\n", NULL, NULL },
		{ "\nb\n", NULL, NULL }, { long1, long1, "" }, { long2, NULL, NULL }, { huge, NULL, NULL },
	};
	const char *path;
	size_t i;

	memset(long1, 'x', 1023);
	memset(long2, 'x', 1024);
	memset(huge, '\n', 4097);
	huge[0] = 'x';
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		path = put("s", cases[i].text, 0600);
		if (cases[i].first == NULL) {
			ok(!read_it(path) && err.code == MW_INTERNAL_ERROR &&
			    strstr(err.msg, path) != NULL, "case %zu is refused", i);
			is_str(secret.line[0], "", "and leaves nothing");
			continue;
		}
		ok(read_it(path), "case %zu is taken", i);
		is_str(secret.line[0], cases[i].first, "first line");
		is_str(secret.line[1], cases[i].second, "second line");
	}
	need(truncate(put("s", "secret", 0600), 10) == 0, "truncate");
	ok(!read_it(in_dir("s")) && strstr(err.msg, "NUL") != NULL, "a NUL byte");
}

static void
test_mode(void)
{
	static const struct { mode_t mode; const char *remedy; } cases[] = {
		{ 0600, NULL }, { 0400, NULL }, { 0700, NULL }, { 0640, NULL }, { 0440, NULL },
		{ 0644, "chmod o=" }, { 0604, "chmod o=" }, { 0602, "chmod o=" }, { 0601, "chmod o=" },
		{ 0660, "chmod g-wx" }, { 0620, "chmod g-wx" }, { 0650, "chmod g-wx" },
		{ 0666, "chmod o=" },
	};
	const char *path;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		path = put("m", "sesame", 0600);
		/* A directory may hand its own group down. */
		need(chown(path, (uid_t)-1, getegid()) == 0 && chmod(path, cases[i].mode) == 0, path);
		if (cases[i].remedy == NULL)
			ok(read_it(path), "mode %04o is taken", (unsigned)cases[i].mode);
		else
			ok(!read_it(path) && strstr(err.msg, cases[i].remedy) != NULL &&
			    strstr(err.msg, path) != NULL && strstr(err.msg, "sesame") == NULL,
			    "mode %04o is refused, with the remedy", (unsigned)cases[i].mode);
		need(unlink(path) == 0, path);
	}
}

/* Needs root's rights to give files away. */
static void
test_owner(void)
{
	const char *path = put("o", "sesame", 0640);
	const gid_t more[] = { 54321 };

	if (geteuid() != 0) {
		ok(true, "owner and group # SKIP needs root to give files away");
		return;
	}
	need(chown(path, 0, 54321) == 0, "chown");
	ok(!read_it(path) && strstr(err.msg, "as root; run it as a user of that group") != NULL &&
	    strstr(err.msg, "chmod g= ") != NULL && strstr(err.msg, "chgrp") == NULL,
	    "root and a group's file: root is the mistake");
	need(chown(path, 54321, 54321) == 0, "chown");
	ok(!read_it(path) && strstr(err.msg, "as root; run it as that user") != NULL,
	    "root and a user's file: likewise");
	need(chown(dir, 54321, 54321) == 0 && seteuid(54321) == 0, "another user");
	if (access(path, F_OK) == 0 && eaccess(path, R_OK) == 0)
		ok(!read_it(path) && strstr(err.msg, "chgrp") != NULL, "readable by a foreign group");
	else
		ok(true, "readable by a foreign group # SKIP the directory is closed");
	need(seteuid(0) == 0 && chown(dir, 0, 0) == 0 && chown(path, 0, 54321) == 0, "root again");
	need(setgroups(1, more) == 0, "setgroups");
	ok(read_it(path), "readable by a group that is ours besides");
	need(setgroups(0, NULL) == 0, "setgroups");
	need(chmod(path, 0600) == 0, "chmod");
	ok(read_it(path), "a foreign group that may not read");
	need(chown(path, 54321, 0) == 0, "chown");
	ok(!read_it(path) && strstr(err.msg, "chown") != NULL, "a foreign owner");
}

static void
test_kind(void)
{
	ok(!read_it(in_dir("none")) && strstr(err.msg, "none") != NULL, "no such file");
	ok(!read_it(dir) && strstr(err.msg, "regular") != NULL, "a directory");
	need(mkfifo(in_dir("fifo"), 0600) == 0, "mkfifo");
	ok(!read_it(in_dir("fifo")) && strstr(err.msg, "regular") != NULL, "a FIFO does not hang");
	ok(!read_it("/dev/zero") && strstr(err.msg, "regular") != NULL, "a device");
	(void)put("target", "sesame", 0600);
	need(symlink("target", in_dir("link")) == 0, "symlink");
	ok(read_it(in_dir("link")), "a link to a good file");
}

/* Looks until the first line is `want`. */
static bool
becomes(struct mw_secret_watch *w, const char *want, unsigned *generation)
{
	int64_t end = mw_now() + WAIT_MS;

	while (strcmp(mw_secret_watch_get(w, generation)->line[0], want) != 0) {
		if (mw_left(end) == 0)
			return false;
		mw_sleep_ms(20);
	}
	return true;
}

/* Looks until `word` was logged. */
static bool
is_logged(struct mw_secret_watch *w, const char *word)
{
	int64_t end = mw_now() + WAIT_MS;

	while (logged(word) == 0) {
		if (mw_left(end) == 0)
			return false;
		mw_sleep_ms(20);
		(void)mw_secret_watch_get(w, NULL);
	}
	return true;
}

static void
test_watch(void)
{
	struct mw_secret_watch *w;
	unsigned first, generation;

	mw_err_clear(&err);
	ok(mw_secret_watch_open(put("w", "", 0600), &w, &err) != MW_OK && w == NULL,
	    "an empty secret: no watch");
	mw_err_clear(&err);
	need(mw_secret_watch_open(put("w", "one\n", 0600), &w, &err) == MW_OK, err.msg);
	is_str(mw_secret_watch_get(w, &first)->line[0], "one", "the first value");
	(void)put("w", "two\n", 0600);
	is_str(mw_secret_watch_get(w, NULL)->line[0], "one", "not looked at within a second");
	ok(becomes(w, "two", &generation) && generation != first, "written in place, same size");
	first = generation;
	(void)put("w.new", "three\ntwo\n", 0600);
	need(rename(in_dir("w.new"), in_dir("w")) == 0, "rename");
	ok(becomes(w, "three", &generation) && generation != first, "replaced");
	is_str(mw_secret_watch_get(w, NULL)->line[1], "two", "with a second line");
	first = generation;

	need(chmod(in_dir("w"), 0644) == 0, "chmod");
	ok(is_logged(w, "others have access"), "turned bad: logged");
	is_str(mw_secret_watch_get(w, &generation)->line[0], "three", "the last good one stays");
	ok(generation == first, "with its generation");
	(void)put("w", "four", 0644);
	need(chmod(in_dir("w"), 0600) == 0, "chmod");
	ok(becomes(w, "four", &generation), "repaired: taken");
	is_int(logged("others have access"), 1, "a fault is logged once");
	need(unlink(in_dir("w")) == 0, "unlink");
	ok(is_logged(w, "cannot open"), "removed: logged");
	is_str(mw_secret_watch_get(w, NULL)->line[0], "four", "and still known");
	ok(logged("three") == 0 && logged("four") == 0, "no secret in the log");
	mw_secret_watch_close(w);
	mw_secret_watch_close(NULL);
}

int
main(void)
{
	begin();
	test_content();
	test_mode();
	test_owner();
	test_kind();
	test_watch();
	return done();
}
