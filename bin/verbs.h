/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs of moltctl.  One file per verb; a row in moltctl.c adds it.
 * argv[0] is the verb's own name.  A verb returns the exit status: 0 done,
 * 1 failed, 2 wrong usage, unless its help says otherwise.
 */
#ifndef MW_BIN_VERBS_H
#define MW_BIN_VERBS_H

#include <stdbool.h>

#include "base/err.h"
#include "conf/conf.h"

struct mw_verb {
	const char *name;
	const char *args;		/* as in the usage line */
	const char *help;		/* one line */
	int (*run)(int argc, char **argv);
	bool hidden;			/* not in the help: started by the program itself */
};

#define MW_EXIT_USAGE 2

int mw_verb_config(int argc, char **argv);
int mw_verb_drain(int argc, char **argv);
int mw_verb_hold(int argc, char **argv);
int mw_verb_serve(int argc, char **argv);
int mw_verb_wake(int argc, char **argv);

/* NULL: there is no such verb. */
const struct mw_verb *mw_verb_find(const char *name);

/* "moltctl: TEXT" on stderr.  Returns 1. */
int mw_ctl_error(const char *fmt, ...) MW_PRINTF(1, 2);

/* The usage line of a verb on stderr.  Returns MW_EXIT_USAGE. */
int mw_ctl_usage(const char *verb);

/*
 * Is this process the owner of state.path?  A local verb that ran as somebody
 * else would leave files there that the responders cannot use, so it refuses.
 * A missing directory is nobody's: that passes.  False: err says who owns it.
 */
bool mw_ctl_owner(const struct mw_conf *conf, struct mw_err *err) MW_MUST;

#endif
