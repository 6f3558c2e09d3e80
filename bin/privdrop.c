/* SPDX-License-Identifier: BSD-2-Clause */
/* Becoming another user for good. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "serve.h"

static const struct passwd *
target(const char *user, struct mw_err *err)
{
	const struct passwd *pw;

	if (user != NULL) {
		pw = getpwnam(user);
		if (pw == NULL)
			mw_fail(err, MW_INVALID_ARGUMENT, "--user %s: no such user", user);
		return pw;
	}
	pw = getpwnam("moltworker");
	if (pw == NULL)
		pw = getpwnam("www-data");
	if (pw == NULL)
		mw_fail(err, MW_INVALID_ARGUMENT, "started by root, and there is neither a user "
		    "moltworker nor www-data: name one with --user");
	return pw;
}

/* Gone, and not to be had back? */
static bool
proven(const struct passwd *pw)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	if (getresuid(&r, &e, &s) == -1 || getresgid(&gr, &ge, &gs) == -1)
		return false;
	if (r != pw->pw_uid || e != pw->pw_uid || s != pw->pw_uid)
		return false;
	if (gr != pw->pw_gid || ge != pw->pw_gid || gs != pw->pw_gid)
		return false;
	return setuid(0) == -1 && setgid(0) == -1;
}

enum mw_code
mw_privdrop(const char *user, struct mw_err *err)
{
	const struct passwd *pw;

	if (getuid() != 0 && geteuid() != 0) {
		if (user == NULL || ((pw = target(user, err)) != NULL && pw->pw_uid == geteuid()))
			return MW_OK;
		return mw_fail(err, MW_INVALID_ARGUMENT, "--user %s: only root can become somebody else",
		    user);
	}
	if ((pw = target(user, err)) == NULL)
		return err->code;
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		return mw_fail(err, MW_INVALID_ARGUMENT, "--user %s is root, or in root's group: "
		    "serve does not run with root's rights", pw->pw_name);
	if (initgroups(pw->pw_name, pw->pw_gid) == -1 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1)
		return mw_fail(err, MW_INTERNAL_ERROR, "cannot become %s: %s", pw->pw_name,
		    strerror(errno));
	if (!proven(pw))
		return mw_fail(err, MW_INTERNAL_ERROR, "root's rights could not be given up");
	return MW_OK;
}
