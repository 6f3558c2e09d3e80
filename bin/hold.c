/* SPDX-License-Identifier: BSD-2-Clause */
/* moltctl hold USER: the holder of one running local sandbox, started detached. */
#include <string.h>

#include "base/path.h"
#include "verbs.h"
#include "sandbox/sandbox.h"

int
mw_verb_hold(int argc, char **argv)
{
	struct mw_conf *conf;
	struct mw_err err = { 0 };
	int status;

	if (argc != 2)
		return mw_ctl_usage("hold");
	if (!mw_user_valid(argv[1], strlen(argv[1])))
		return mw_ctl_error("not a user id: %s", argv[1]);
	if (mw_conf_load(NULL, &conf, &err) != MW_OK)
		return mw_ctl_error("%s", err.msg);
	if (mw_ctl_owner(conf, &err))
		status = mw_local_hold(conf, argv[1]);
	else
		status = mw_ctl_error("%s", err.msg);
	mw_conf_free(conf);
	return status;
}
