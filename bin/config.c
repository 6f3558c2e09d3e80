/* SPDX-License-Identifier: BSD-2-Clause */
/* moltctl config: what the responders would say and use. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "verbs.h"

/* The text of `config show`: every setting, with room for long lists. */
#define SHOW_MAX (4 * 1024 * 1024)

static int
check(const char *path)
{
	struct mw_conf *conf;
	struct mw_err err = { 0 };

	if (mw_conf_load(path, &conf, &err) != MW_OK)
		return mw_ctl_error("%s", err.msg);
	mw_conf_free(conf);
	printf("%s: ok\n", path != NULL ? path : mw_conf_path());
	return fflush(stdout) == 0 ? 0 : 1;
}

static int
show(const char *path)
{
	struct mw_buf out;
	struct mw_err err = { 0 };
	int status = 1;

	mw_buf_init(&out, SHOW_MAX);
	if (mw_conf_show(path, &out, &err) != MW_OK)
		mw_ctl_error("%s", err.msg);
	else if (fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0)
		status = 0;
	mw_buf_free(&out);
	return status;
}

int
mw_verb_config(int argc, char **argv)
{
	const char *path = argc == 3 ? argv[2] : NULL;

	if (argc < 2 || argc > 3)
		return mw_ctl_usage("config");
	if (strcmp(argv[1], "check") == 0)
		return check(path);
	if (strcmp(argv[1], "show") == 0)
		return show(path);
	return mw_ctl_usage("config");
}
