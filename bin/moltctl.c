/* SPDX-License-Identifier: BSD-2-Clause */
/* moltctl: its verbs, and its help. */
#include <stdio.h>
#include <string.h>

#include "base/near.h"
#include "verbs.h"

static const struct mw_verb verbs[] = {
	{ "serve", "[--server KIND] [--port N] [--config FILE] [--dir DIR] [--procs [MIN-]MAX]\n"
	  "                     [--user NAME] [--sockets DIR] [--keep]",
	  "run a private web server, or only the responders, in the foreground",
	  mw_verb_serve, false },
	{ "config", "check [FILE] | show [FILE]",
	  "check the configuration; print every effective setting",
	  mw_verb_config, false },
	{ "drain", "[--if-idle] [--parked] [--config FILE]",
	  "send what waits for the object store; 0 nothing is left, 1 rows left, 2 parked rows",
	  mw_verb_drain, false },
	{ "stop-all", "[--config FILE]",
	  "stop every local sandbox; 0 none runs any more, 1 some could not be stopped",
	  mw_verb_stop_all, false },
	{ "hold", "USER", "hold a running local sandbox", mw_verb_hold, true },
	{ "wake", "USER LEVEL LIMIT REQUEST-ID [insist]", "lead a wake", mw_verb_wake, true },
};

#define NVERBS (sizeof(verbs) / sizeof(verbs[0]))

const struct mw_verb *
mw_verb_find(const char *name)
{
	for (size_t i = 0; i < NVERBS; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static void
help(FILE *out)
{
	fputs("usage: moltctl VERB [ARGUMENT...]\n       moltctl [VERB] --help | --version\n\n", out);
	for (size_t i = 0; i < NVERBS; i++) {
		if (!verbs[i].hidden)
			fprintf(out, "  %s %s\n      %s\n", verbs[i].name, verbs[i].args,
			    verbs[i].help);
	}
	fputs("\nThe configuration is MOLTWORKER_CONFIG, else " MW_SYSCONFDIR
	    "/moltworker/moltworker.conf.\nSee moltctl(1).\n", out);
}

static int
version(void)
{
	puts("moltctl " MW_VERSION);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int
help_verb(const struct mw_verb *v)
{
	printf("usage: moltctl %s %s\n\n%s.\nSee moltctl(1).\n", v->name, v->args, v->help);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int
unknown(const char *name)
{
	struct mw_near near;

	mw_near_init(&near, name);
	for (size_t i = 0; i < NVERBS; i++) {
		if (!verbs[i].hidden)
			mw_near_try(&near, verbs[i].name);
	}
	if (near.word[0] != '\0')
		mw_ctl_error("no such verb: %s; did you mean %s?", name, near.word);
	else
		mw_ctl_error("no such verb: %s (moltctl --help lists them)", name);
	return MW_EXIT_USAGE;
}

static bool
is(const char *arg, const char *flag, const char *letter)
{
	return strcmp(arg, flag) == 0 || strcmp(arg, letter) == 0;
}

int
main(int argc, char **argv)
{
	const struct mw_verb *v;
	bool asked;

	if (argc < 2) {
		help(stderr);
		return MW_EXIT_USAGE;
	}
	if (is(argv[1], "--version", "-V"))
		return version();
	asked = is(argv[1], "--help", "-h") || strcmp(argv[1], "help") == 0;
	if (asked && argc == 2) {
		help(stdout);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	v = mw_verb_find(argv[asked ? 2 : 1]);
	if (v == NULL)
		return unknown(argv[asked ? 2 : 1]);
	for (int i = 2; !asked && i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (is(argv[i], "--version", "-V"))
			return version();
		asked = is(argv[i], "--help", "-h");
	}
	return asked ? help_verb(v) : v->run(argc - 1, argv + 1);
}
