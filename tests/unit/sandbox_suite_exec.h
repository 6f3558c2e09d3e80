/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of sandbox_suite.h: commands. */
#ifndef MW_TESTS_SANDBOX_SUITE_EXEC_H
#define MW_TESTS_SANDBOX_SUITE_EXEC_H

static void
suite_statuses(void)
{
	static const struct { const char *script; int status; const char *out, *err; } rows[] = {
		{ "exit 0", 0, "", "" },
		{ "exit 1", 1, "", "" },
		{ "exit 255", 255, "", "" },
		{ "echo out; echo err >&2; exit 3", 3, "out\n", "err\n" },
		{ "printf 'a\\000b'", 0, "a", "" },
		{ "kill -9 $$", 137, "", "" },
		{ "kill -TERM $$; sleep 5", 143, "", "" },
		{ "exit 126", 126, "", "" },
		{ "exit 127", 127, "", "" },
		{ "cat", 0, "", "" },
		{ "echo ok; exec 1>&- 2>&-; exit 4", 4, "ok\n", "" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *argv[] = { "sh", "-c", rows[i].script, NULL };
		struct mw_exec x = { .argv = argv };
		struct ran ran;

		box_exec(&box, &x, 65536, &ran);
		suite_code(ran.code, MW_OK, rows[i].script);
		is_int(ran.r.exit_code, rows[i].status, "its status");
		is_str(ran.r.out.len > 0 ? ran.r.out.data : "", rows[i].out, "its output");
		is_str(ran.r.err.len > 0 ? ran.r.err.data : "", rows[i].err, "its errors");
		ok(!ran.r.out_cut && !ran.r.err_cut, "nothing cut");
		ran_free(&ran);
	}
	is_str(sh("no-such-command-here 2>/dev/null; echo $?"), "127\n",
	    "a command that the shell does not find is the shell's business");
}

/* What never starts is an error of its own. */
static void
suite_cannot_start(void)
{
	const char *none[] = { "no-such-program", NULL }, *dir[] = { "/", NULL };
	const char *data[] = { "./data", NULL }, *sh[] = { "sh", "-c", "echo ran", NULL };
	struct mw_exec rows[] = {
		{ .argv = none },
		{ .argv = dir },
		{ .argv = data },
		{ .argv = sh, .cwd = "/no/such/place" },
		{ .argv = sh, .cwd = "nowhere" },
		{ .argv = sh, .cwd = "data" },
	};
	struct ran ran;
	size_t i;

	suite_code(box_put(&box, "data", "#!/bin/sh\nexit 0\n", 17, 0644, -1), MW_OK, "write");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		box_exec(&box, &rows[i], 65536, &ran);
		suite_code(ran.code, MW_COMMAND_ERROR, "what cannot be started");
		ok(ran.r.out.len == 0, "and nothing ran, row %zu", i);
		ran_free(&ran);
	}
	suite_code(box_put(&box, "data", "#!/bin/sh\necho ran\n", 19, 0755, -1), MW_OK, "write");
	rows[2].timeout = 0;
	box_exec(&box, &rows[2], 65536, &ran);
	suite_code(ran.code, MW_OK, "with the right mode it can");
	is_str(ran.r.out.data, "ran\n", "and runs");
	ran_free(&ran);
	suite_code(box_remove(&box, "data"), MW_OK, "remove");
}

static void
suite_arguments(void)
{
	static char big[100001];
	const char *argv[] = { "printf", "<%s>", "", "a b", "'\"`$(id)\\", "new\nline", "-n",
	    "caf\xc3\xa9", "*", "\t", NULL };
	const char *count[] = { "sh", "-c", "printf %s \"$1\" | wc -c", "sh", big, NULL };
	struct mw_exec x = { .argv = argv };
	struct ran ran;

	box_exec(&box, &x, 65536, &ran);
	suite_code(ran.code, MW_OK, "odd arguments");
	is_str(ran.r.out.data, "<><a b><'\"`$(id)\\><new\nline><-n><caf\xc3\xa9><*><\t>",
	    "arrive as they are");
	ran_free(&ran);
	memset(big, 'x', sizeof(big) - 1);
	x.argv = count;
	box_exec(&box, &x, 65536, &ran);
	suite_code(ran.code, MW_OK, "an argument of 100,000 bytes");
	ok(ran.r.out.data != NULL && strstr(ran.r.out.data, "100000") != NULL, "arrives whole");
	ran_free(&ran);
	if (drv->not_utf8) {
		argv[2] = "\xff\xfe";
		argv[3] = NULL;
		x.argv = argv;
		box_exec(&box, &x, 65536, &ran);
		ok(ran.code == MW_OK && strcmp(ran.r.out.data, "<\xff\xfe>") == 0,
		    "an argument that is not UTF-8");
		ran_free(&ran);
	}
}

static void
suite_environment(void)
{
	const char *env[] = { "A=1", "B=a b'\"$(id)\n\xc3\xa9", "EMPTY=", "MW_ROOT=/evil",
	    "MW_RUN_DIR=/evil", "PATH=/bin:/usr/bin", NULL };
	const char *argv[] = { "sh", "-c", "printf '%s|' \"$A\" \"$B\" \"${EMPTY-unset}\" \"$PATH\"; "
	    "[ \"$MW_ROOT\" != /evil ] && [ \"$MW_RUN_DIR\" != /evil ] && echo kept", NULL };
	struct mw_exec x = { .argv = argv, .env = env };
	struct ran ran;

	box_exec(&box, &x, 65536, &ran);
	suite_code(ran.code, MW_OK, "an environment");
	is_str(ran.r.out.data, "1|a b'\"$(id)\n\xc3\xa9||/bin:/usr/bin|kept\n", "as it was given");
	ran_free(&ran);
	is_str(sh("case $MW_ROOT:$MW_RUN_DIR in /*:/*) echo absolute;; esac"), "absolute\n",
	    "MW_ROOT and MW_RUN_DIR are always there");
	is_str(sh("[ \"$(pwd -P)\" = \"$(cd \"$MW_ROOT\" && pwd -P)\" ] && echo same"), "same\n",
	    "commands start in the user's root");
	is_str(sh("mkdir -p \"$MW_RUN_DIR\" && [ -w \"$MW_RUN_DIR\" ] && echo can"), "can\n",
	    "and may write to our directory");
	(void)sh("mkdir -p sub/dir");
	x = (struct mw_exec){ .argv = (const char *const[]){ "sh", "-c",
	    "[ \"$(pwd -P)\" = \"$(cd \"$MW_ROOT/sub/dir\" && pwd -P)\" ] && echo there", NULL },
	    .cwd = "sub/dir" };
	box_exec(&box, &x, 65536, &ran);
	ok(ran.code == MW_OK && ran.r.out.len > 0 && strcmp(ran.r.out.data, "there\n") == 0,
	    "a directory relative to the root");
	ran_free(&ran);
	x = (struct mw_exec){ .argv = (const char *const[]){ "pwd", NULL }, .cwd = "/" };
	box_exec(&box, &x, 65536, &ran);
	ok(ran.code == MW_OK && ran.r.out.len > 0 && strcmp(ran.r.out.data, "/\n") == 0,
	    "an absolute one");
	ran_free(&ran);
	(void)sh("rm -r sub");
}

static void
suite_input(void)
{
	static unsigned char in[1 << 20];
	const char *count[] = { "sh", "-c", "wc -c | tr -d ' '", NULL }, *cat[] = { "cat", NULL };
	const char *head[] = { "head", "-c", "1", NULL };
	struct mw_exec x = { .argv = cat, .input = "a\0b\n\xff", .input_len = 5 };
	struct ran ran;
	size_t i;

	box_exec(&box, &x, 65536, &ran);
	suite_code(ran.code, MW_OK, "standard input");
	ok(ran.r.out.len == 5 && memcmp(ran.r.out.data, "a\0b\n\xff", 5) == 0,
	    "with NUL and bytes that are not UTF-8, and back");
	ran_free(&ran);
	x = (struct mw_exec){ .argv = count, .input = "", .input_len = 0 };
	box_exec(&box, &x, 65536, &ran);
	ok(ran.code == MW_OK && ran.r.out.len == 2 && ran.r.out.data[0] == '0', "an empty one");
	ran_free(&ran);
	for (i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * 7 + i / 256);
	x = (struct mw_exec){ .argv = count, .input = in, .input_len = sizeof(in) };
	box_exec(&box, &x, 65536, &ran);
	ok(ran.code == MW_OK && ran.r.out.len > 0 && strcmp(ran.r.out.data, "1048576\n") == 0,
	    "1 MiB of it");
	ran_free(&ran);
	x.argv = head;
	box_exec(&box, &x, 65536, &ran);
	ok(ran.code == MW_OK && ran.r.exit_code == 0 && ran.r.out.len == 1,
	    "a command need not read it all");
	ran_free(&ran);
	x.argv = cat;
	box_exec(&box, &x, 2 << 20, &ran);
	ok(ran.code == MW_OK && ran.r.out.len == sizeof(in) &&
	    memcmp(ran.r.out.data, in, sizeof(in)) == 0 && !ran.r.out_cut, "1 MiB, and back");
	ran_free(&ran);
}

/* The caps cut, they do not fail; a command that writes without end is still timed. */
static void
suite_floods(void)
{
	const char *out[] = { "sh", "-c", "head -c 3000000 /dev/zero; echo end >&2; exit 5", NULL };
	const char *both[] = { "sh", "-c", "i=0; while [ $i -lt 200 ]; do head -c 1000 /dev/zero; "
	    "head -c 1000 /dev/zero >&2; i=$((i+1)); done", NULL };
	const char *slow[] = { "sh", "-c", "echo begun; sleep 60", NULL };
	struct mw_exec x = { .argv = out };
	int64_t began;
	struct ran ran;

	box_exec(&box, &x, 4096, &ran);
	suite_code(ran.code, MW_OK, "3 MB where 4096 bytes are wanted");
	ok(ran.r.out.len == 4096 && ran.r.out_cut, "are cut there");
	ok(ran.r.exit_code == 5 && !ran.r.err_cut && ran.r.err.len == 4, "and nothing else is");
	ran_free(&ran);
	x.argv = both;
	box_exec(&box, &x, 1 << 20, &ran);
	ok(ran.code == MW_OK && ran.r.out.len == 200000 && ran.r.err.len == 200000 &&
	    !ran.r.out_cut && !ran.r.err_cut, "both streams at once");
	ran_free(&ran);
	x = (struct mw_exec){ .argv = slow, .timeout = 700 };
	began = mw_now();
	box_exec(&box, &x, 4096, &ran);
	suite_code(ran.code, MW_SANDBOX_TIMEOUT, "a command that outlasts the call");
	ok(mw_now() - began < 30000, "which ends then");
	ran_free(&ran);
	began = mw_now();
	is_str(sh("sleep 60 >/dev/null 2>&1 & echo done"), "done\n", "what runs on behind");
	ok(mw_now() - began < 30000, "holds nobody up");
	(void)sh("for p in $(pgrep sleep); do kill -9 $p; done; :");
}

static void
suite_exec(void)
{
	suite_statuses();
	suite_cannot_start();
	suite_arguments();
	suite_environment();
	suite_input();
	suite_floods();
}

#endif
