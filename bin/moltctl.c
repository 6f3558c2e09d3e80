/* SPDX-License-Identifier: BSD-2-Clause */
/* moltctl: its verbs, and its help. */
#include <stdio.h>
#include <string.h>

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
	fputs("usage: moltctl VERB [ARGUMENT...]\n       moltctl --help | --version\n\n", out);
	for (size_t i = 0; i < NVERBS; i++) {
		if (!verbs[i].hidden)
			fprintf(out, "  %s %s\n      %s\n", verbs[i].name, verbs[i].args,
			    verbs[i].help);
	}
	fputs("\nThe configuration is MOLTWORKER_CONFIG, else " MW_SYSCONFDIR
	    "/moltworker/moltworker.conf.\nSee moltctl(1).\n", out);
}

int
main(int argc, char **argv)
{
	const struct mw_verb *v;

	if (argc < 2) {
		help(stderr);
		return MW_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("moltctl " MW_VERSION);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		help(stdout);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	v = mw_verb_find(argv[1]);
	if (v == NULL) {
		mw_ctl_error("no such verb: %s (moltctl --help lists them)", argv[1]);
		return MW_EXIT_USAGE;
	}
	return v->run(argc - 1, argv + 1);
}
