/* SPDX-License-Identifier: BSD-2-Clause */
/* Reload without restart, and the last good text. */
#include "conf_fixture.h"

#define WAIT_MS 10000		/* for what takes about a second */

static struct mw_err err;

static struct mw_conf_watch *
open_watch(void)
{
	struct mw_conf_watch *w;

	mw_err_clear(&err);
	return mw_conf_watch_open(in_dir("m.conf"), &w, &err) == MW_OK ? w : NULL;
}

/* A configuration whose state.path is in our directory. */
static void
write_conf(const char *name, const char *state, const char *more)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "state: { path = \"%s/%s\"; };\n%s\n", dir, state, more);
	(void)put(name, text, 0600);
}

static bool
becomes(struct mw_conf_watch *w, int64_t attempts)
{
	int64_t end = mw_now() + WAIT_MS;

	while (mw_conf_watch_get(w)->retry.attempts != attempts) {
		if (mw_left(end) == 0)
			return false;
		mw_sleep_ms(20);
	}
	return true;
}

static bool
is_logged(struct mw_conf_watch *w, const char *word)
{
	int64_t end = mw_now() + WAIT_MS;

	while (logged(word) == 0) {
		if (mw_left(end) == 0)
			return false;
		mw_sleep_ms(20);
		(void)mw_conf_watch_get(w);
	}
	return true;
}

/* Two looks at least. */
static void
look_on(struct mw_conf_watch *w)
{
	int64_t end = mw_now() + 2200;

	while (mw_left(end) > 0) {
		(void)mw_conf_watch_get(w);
		mw_sleep_ms(50);
	}
}

static void
test_reload(void)
{
	struct mw_conf_watch *w;
	const struct mw_conf *c;

	write_conf("m.conf", "state", "retry: { attempts = 1; };");
	w = open_watch();
	need(w != NULL, err.msg);
	is_int(mw_conf_watch_get(w)->retry.attempts, 1, "opened");
	write_conf("m.conf", "state", "retry: { attempts = 2; };");
	is_int(mw_conf_watch_get(w)->retry.attempts, 1, "not looked at within a second");
	ok(becomes(w, 2), "written in place, same size");
	c = mw_conf_watch_get(w);
	look_on(w);
	ok(mw_conf_watch_get(w) == c, "an unchanged file is no new configuration");
	is_int(logged("took the changed"), 1, "the change was logged once");
	write_conf("new", "state", "retry: { attempts = 3; };");
	need(rename(in_dir("new"), in_dir("m.conf")) == 0, "rename");
	ok(becomes(w, 3), "replaced");
	write_conf("m.conf", "state", "@include \"i.conf\"");
	(void)put("i.conf", "retry: { attempts = 4; };\n", 0600);
	ok(becomes(w, 4), "from an included file");
	(void)put("i.conf", "retry: { attempts = 5; };\n", 0600);
	ok(becomes(w, 5), "when only that changes");
	mw_conf_watch_close(w);
}

static void
test_broken(void)
{
	struct mw_conf_watch *w;

	write_conf("m.conf", "state", "retry: { attempts = 6; };");
	w = open_watch();
	need(w != NULL, err.msg);
	forget_log();
	write_conf("m.conf", "state", "retry: { attempts = 0; };");
	ok(is_logged(w, "m.conf:2: retry.attempts"), "a broken file is logged, with the line");
	look_on(w);
	is_int(logged("m.conf:2"), 1, "once");
	is_int(mw_conf_watch_get(w)->retry.attempts, 6, "the last good one stays");
	(void)put("m.conf", "", 0600);
	ok(is_logged(w, "is empty"), "so does an empty one");
	is_int(mw_conf_watch_get(w)->retry.attempts, 6, "which is not all defaults");
	need(unlink(in_dir("m.conf")) == 0, "unlink");
	ok(is_logged(w, "cannot open"), "and a missing one");
	is_int(mw_conf_watch_get(w)->retry.attempts, 6, "which is none either");
	write_conf("m.conf", "state", "retry: { attempts = 7; };");
	ok(becomes(w, 7), "repaired: taken");
	mw_conf_watch_close(w);
}

static void
test_state_path(void)
{
	struct mw_conf_watch *w;
	char old[256];

	write_conf("m.conf", "state", "retry: { attempts = 1; };");
	w = open_watch();
	need(w != NULL, err.msg);
	(void)snprintf(old, sizeof(old), "%s/state", dir);
	forget_log();
	write_conf("m.conf", "state2", "retry: { attempts = 2; };");
	ok(becomes(w, 2), "all else of a file with another state.path is taken");
	is_str(mw_conf_watch_get(w)->state.path, old, "which itself is not");
	ok(logged("takes a restart") == 1 && logged("state2") >= 1, "and that is logged");
	mw_conf_watch_close(w);
	w = open_watch();
	need(w != NULL, err.msg);
	ok(strcmp(mw_conf_watch_get(w)->state.path, old) != 0, "until the restart");
	mw_conf_watch_close(w);
}

static int64_t
attempts_at_start(void)
{
	struct mw_conf_watch *w = open_watch();
	int64_t n = w != NULL ? mw_conf_watch_get(w)->retry.attempts : -1;

	mw_conf_watch_close(w);
	return n;
}

/* When the kept file was last written. */
static struct timespec
kept_at(void)
{
	struct stat st;

	need(stat(in_dir("state/last-good.conf"), &st) == 0, "last-good.conf");
	return st.st_mtim;
}

static void
test_last_good(void)
{
	static const char *const faults[] = {
		"colour = 1;", "retry: { attempts = 0; };", "retry: {", "};};", "gateway: { start = \"x; };",
		"/* ", "@include \"missing\"", "wake: { max_wait = 99999999999999999999; };",
	};
	struct timespec before, after;
	struct mw_conf_watch *w;
	struct stat st;
	size_t i;

	(void)unlink(in_dir("state/last-good.conf"));
	write_conf("m.conf", "state", "retry: { attempts = 41; };");
	need(rmdir(in_dir("state")) == 0, "rmdir");
	forget_log();
	w = open_watch();
	need(w != NULL, err.msg);
	need(mkdir(in_dir("state"), 0700) == 0, "mkdir");
	for (i = 0; i < 500 && stat(in_dir("state/last-good.conf"), &st) != 0; i++) {
		mw_sleep_ms(20);
		(void)mw_conf_watch_get(w);
	}
	ok(stat(in_dir("state/last-good.conf"), &st) == 0, "kept once there is a state directory");
	is_int(st.st_mode & 07777, 0600, "closed to others");
	is_int(logged("kept"), 0, "nothing to warn about");
	mw_conf_watch_close(w);
	before = kept_at();
	is_int(attempts_at_start(), 41, "another process");
	after = kept_at();
	ok(memcmp(&before, &after, sizeof(before)) == 0, "does not write it again");

	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		forget_log();
		write_conf("m.conf", "state", faults[i]);
		is_int(attempts_at_start(), 41, faults[i]);
		ok(logged("ERROR") == 1 && logged("m.conf") >= 1 && logged("last good") == 1,
		    "with an error in the log");
	}
	after = kept_at();
	ok(memcmp(&before, &after, sizeof(before)) == 0, "a broken text is not kept");
	(void)put("m.conf", "", 0600);
	need(setenv("MOLTWORKER_STATE_PATH", in_dir("state"), 1) == 0, "setenv");
	is_int(attempts_at_start(), 41, "an empty file, state.path from the environment");
	need(unlink(in_dir("m.conf")) == 0, "unlink");
	is_int(attempts_at_start(), 41, "a missing file");
	need(setenv("MOLTWORKER_RETRY_BASE", "x", 1) == 0, "setenv");
	ok(open_watch() == NULL && strstr(err.msg, "m.conf") != NULL, "a bad environment spoils both");
	need(unsetenv("MOLTWORKER_RETRY_BASE") == 0 && unsetenv("MOLTWORKER_STATE_PATH") == 0, "unsetenv");
}

static void
test_last_good_trust(void)
{
	struct mw_conf_watch *w;

	write_conf("m.conf", "state", "retry: { attempts = 42; };");
	is_int(attempts_at_start(), 42, "kept");
	write_conf("m.conf", "state", "colour = 1;");
	is_int(attempts_at_start(), 42, "used");
	need(rename(in_dir("m.conf"), in_dir("other.conf")) == 0, "rename");
	mw_err_clear(&err);
	ok(mw_conf_watch_open(in_dir("other.conf"), &w, &err) != MW_OK && w == NULL &&
	    strstr(err.msg, "other.conf:2") != NULL, "not by another configuration");
	need(rename(in_dir("other.conf"), in_dir("m.conf")) == 0, "rename");
	need(chmod(in_dir("state/last-good.conf"), 0620) == 0, "chmod");
	ok(open_watch() == NULL, "not when others could write it");
	need(unlink(in_dir("state/last-good.conf")) == 0, "unlink");
	ok(open_watch() == NULL && strstr(err.msg, "m.conf:2") != NULL,
	    "without it the process does not start");

	write_conf("m.conf", "state", "@include \"i.conf\"");
	(void)put("i.conf", "retry: { attempts = 43; };\n", 0600);
	is_int(attempts_at_start(), 43, "with an included file");
	(void)put("i.conf", "retry: { attempts = ", 0600);
	is_int(attempts_at_start(), 43, "when that breaks");
}

int
main(void)
{
	begin();
	need(mkdir(in_dir("state"), 0700) == 0, "mkdir");
	test_reload();
	test_broken();
	test_state_path();
	test_last_good();
	test_last_good_trust();
	return done();
}
