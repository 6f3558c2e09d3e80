/* SPDX-License-Identifier: BSD-2-Clause */
/* moltctl stop-all: end every local sandbox of this installation. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox.h"
#include "serve.h"
#include "verbs.h"

struct count {
	unsigned stopped, failed;
};

static bool
parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 }
	};
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt != 'c' || setenv("MOLTWORKER_CONFIG", optarg, 1) != 0)
			return false;
	}
	return optind == argc;
}

static void
tell(void *arg, const char *user, const char *why)
{
	struct count *n = arg;

	if (why == NULL) {
		n->stopped++;
		(void)printf("%s: stopped\n", user);
	} else {
		n->failed++;
		(void)printf("%s: not stopped: %s\n", user, why);
	}
	(void)fflush(stdout);
}

static int
stop_all(const struct mw_conf *conf)
{
	struct count n = { 0 };
	struct mw_err err = { 0 };

	if (strcmp(conf->sandbox.driver, "local") != 0)
		return mw_ctl_error("sandbox.driver is \"%s\": stop-all ends local sandboxes only; "
		    "use POST .../sleep for each user, or the means of what runs them",
		    conf->sandbox.driver);
	if (!mw_ctl_owner(conf, &err))
		return mw_ctl_error("%s", err.msg);
	mw_wakes_end(conf);
	if (mw_local_stop_all(conf, tell, &n, &err) != MW_OK)
		return mw_ctl_error("%s", err.msg);
	if (n.stopped + n.failed == 0)
		(void)puts("no sandbox runs");
	if (ferror(stdout) || fflush(stdout) != 0)
		return mw_ctl_error("standard output cannot be written");
	return n.failed > 0 ? 1 : 0;
}

int
mw_verb_stop_all(int argc, char **argv)
{
	struct mw_conf *conf;
	struct mw_err err = { 0 };
	int status;

	if (!parse(argc, argv))
		return mw_ctl_usage("stop-all");
	if (mw_conf_load(NULL, &conf, &err) != MW_OK)
		return mw_ctl_error("%s", err.msg);
	status = stop_all(conf);
	mw_conf_free(conf);
	return status;
}
