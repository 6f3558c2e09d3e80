/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verbs of moltctl have in common. */
#include "verbs.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
mw_ctl_error(const char *fmt, ...)
{
	va_list ap;

	fputs("moltctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

int
mw_ctl_usage(const char *verb)
{
	const struct mw_verb *v = mw_verb_find(verb);

	if (v != NULL)
		fprintf(stderr, "usage: moltctl %s %s\n", v->name, v->args);
	return MW_EXIT_USAGE;
}

bool
mw_ctl_owner(const struct mw_conf *conf, struct mw_err *err)
{
	struct stat st;
	struct passwd *pw;

	if (stat(conf->state.path, &st) == -1) {
		if (errno == ENOENT)
			return true;
		mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", conf->state.path, strerror(errno));
		return false;
	}
	if (st.st_uid == geteuid())
		return true;
	pw = getpwuid(st.st_uid);
	mw_fail(err, MW_INTERNAL_ERROR, "%s belongs to %s (uid %u): run this as that user",
	    conf->state.path, pw != NULL ? pw->pw_name : "an unknown user",
	    (unsigned)st.st_uid);
	return false;
}
