/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver of sandboxes on this host: its handle and its table of operations. */
#include "sandbox/local/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/path.h"
#include "sandbox/agent/agent.h"

#define USER "/{user}"
#define STATUS_WAIT 5000	/* ms for an agent to say how it is */

/* Where run_dir lies below PATH/.run/USER; NULL when memory is out. */
static char *
run_tail(const char *run_dir)
{
	char *tail;
	size_t n;

	if (strcmp(run_dir, "/tmp") != 0 && strncmp(run_dir, "/tmp/", 5) != 0)
		return strdup("run");
	n = strlen(run_dir);
	tail = malloc(n);
	if (tail != NULL)
		memcpy(tail, run_dir + 1, n);
	return tail;
}

static enum mw_code
set_up(struct mw_local *l, const struct mw_conf *conf, struct mw_err *err)
{
	const char *isolation = conf->sandbox.local.isolation;

	if (conf->sandbox.local.path[0] != '/')
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "sandbox.local.path must be an absolute path");
	if (strcmp(isolation, "none") != 0 && strcmp(isolation, "auto") != 0 &&
	    strcmp(isolation, "bwrap") != 0)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    MW_LOCAL_SETTING " must be \"auto\", \"bwrap\" or \"none\"");
	l->plain = strcmp(isolation, "none") == 0;
	l->path = strdup(conf->sandbox.local.path);
	l->below = strdup("");
	l->root = strdup(conf->sandbox.root);
	l->run_dir = strdup(conf->sandbox.run_dir);
	l->run_tail = run_tail(conf->sandbox.run_dir);
	if (l->path == NULL || l->below == NULL || l->root == NULL || l->run_dir == NULL ||
	    l->run_tail == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	return MW_OK;
}

enum mw_code
mw_local_open(const struct mw_conf *conf, struct mw_local **lp, struct mw_err *err)
{
	struct mw_local *l = calloc(1, sizeof(*l));
	enum mw_code code;

	*lp = NULL;
	if (l == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	l->base.ops = &mw_sandbox_local;
	l->base.flags = MW_SB_FILES_ASLEEP | MW_SB_CAN_STOP | MW_SB_CAN_CREATE;
	code = set_up(l, conf, err);
	if (code != MW_OK) {
		mw_local_close(l);
		return code;
	}
	*lp = l;
	return MW_OK;
}

enum mw_code
mw_local_open_files(const char *files, const struct mw_conf *conf, struct mw_local **lp,
    struct mw_err *err)
{
	const char *user = strstr(files, USER);
	struct mw_local *l = user == NULL ? NULL : calloc(1, sizeof(*l));

	*lp = l;
	if (l == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, user == NULL ? "%s: no {user}" :
		    "%s: out of memory", files);
	l->path = strndup(files, (size_t)(user - files));
	l->below = strdup(user + strlen(USER));
	l->root = strdup(conf->sandbox.root);
	l->run_dir = strdup(conf->sandbox.run_dir);
	l->run_tail = strdup("run");
	if (l->path != NULL && l->below != NULL && l->root != NULL && l->run_dir != NULL &&
	    l->run_tail != NULL)
		return MW_OK;
	mw_local_close(l);
	*lp = NULL;
	return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
}

void
mw_local_close(struct mw_local *l)
{
	if (l == NULL)
		return;
	free(l->path);
	free(l->below);
	free(l->root);
	free(l->run_dir);
	free(l->run_tail);
	free(l);
}

static enum mw_code
local_open(const struct mw_conf *conf, struct mw_sandbox **sp, struct mw_err *err)
{
	struct mw_local *l;
	enum mw_code code = mw_local_open(conf, &l, err);

	*sp = code == MW_OK ? &l->base : NULL;
	return code;
}

static void
local_close(struct mw_sandbox *s)
{
	mw_local_close((struct mw_local *)s);
}

static bool
is_user_dir(int dir, const char *name)
{
	struct stat st;

	return mw_user_valid(name, strlen(name)) &&
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static enum mw_code
local_enumerate(struct mw_sandbox *s, struct mw_ctx *ctx, mw_user_fn fn, void *arg)
{
	struct mw_local *l = (struct mw_local *)s;
	enum mw_code code = MW_OK;
	struct dirent *de;
	DIR *dir = opendir(l->path);

	if (dir == NULL && errno == ENOENT)
		return MW_OK;
	if (dir == NULL)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "%s: %s", l->path, strerror(errno));
	while (code == MW_OK) {
		errno = 0;
		de = readdir(dir);
		if (de == NULL) {
			if (errno != 0)
				code = mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "%s: %s", l->path,
				    strerror(errno));
			break;
		}
		if (is_user_dir(dirfd(dir), de->d_name))
			code = fn(arg, de->d_name);
	}
	(void)closedir(dir);
	return code;
}

static enum mw_code
local_status(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    struct mw_sandbox_status *st)
{
	struct mw_local *l = (struct mw_local *)s;
	int64_t deadline = mw_now() + STATUS_WAIT;
	int dir = mw_local_user_dir(l, user);
	enum mw_code code;

	*st = (struct mw_sandbox_status){ .state = MW_SB_ABSENT, .memory = -1, .processes = -1 };
	if (dir < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return MW_OK;
	if (dir < 0)
		return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE, "%s: %s", l->path, strerror(errno));
	(void)close(dir);
	code = mw_local_state(l, user, deadline < ctx->deadline ? deadline : ctx->deadline, st);
	if (code == MW_SANDBOX_HIBERNATING) {
		/* Nobody listens: not yet, or not any more. */
		st->state = mw_local_held(l, ctx, user) ? MW_SB_STARTING : MW_SB_ASLEEP;
		return MW_OK;
	}
	if (code != MW_OK)
		return mw_ctx_fail(ctx, code, "the sandbox's agent does not answer");
	st->state = MW_SB_RUNNING;
	return MW_OK;
}

const struct mw_sandbox_ops mw_sandbox_local = {
	.name = "local",
	.input_max = MW_AG_REQUEST_MAX / 2,	/* the rest is for arguments */
	.open = local_open,
	.close = local_close,
	.enumerate = local_enumerate,
	.status = local_status,
	.start = mw_local_start,
	.stop = mw_local_stop,
	.exec = mw_local_exec,
	.read = mw_local_read,
	.write = mw_local_write,
	.remove = mw_local_remove,
	.stat = mw_local_stat,
	.list = mw_local_list,
};
