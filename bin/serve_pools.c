/* SPDX-License-Identifier: BSD-2-Clause */
/* moltctl serve: a pool of processes for each responder. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "serve.h"

#define BACKLOG 1024

const char *const mw_responder_names[MW_R_COUNT] = {
	[MW_R_FILES] = "files", [MW_R_HEALTH] = "health", [MW_R_BATCH] = "batch",
	[MW_R_EXEC] = "exec", [MW_R_STATE] = "state", [MW_R_CONFIG] = "config",
	[MW_R_SYNC] = "sync", [MW_R_BULK] = "bulk", [MW_R_METRICS] = "metrics",
	[MW_R_DEBUG] = "debug",
};

/* Who takes the URLs of a responder that is not installed: a file may be named
 * "batch"; for the rest, the catch-all. */
static enum mw_responder
stand_in(enum mw_responder r)
{
	return r == MW_R_BATCH ? MW_R_FILES : MW_R_HEALTH;
}

enum mw_code
mw_pools_find(struct mw_serve *s, struct mw_err *err)
{
	for (int i = 0; i < MW_R_COUNT; i++) {
		char *path;

		if (asprintf(&path, "%s/%s.fcgi", s->libexec, mw_responder_names[i]) == -1)
			return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
		if (access(path, X_OK) == 0) {
			s->libexec_file[i] = path;
			s->responder_argv[i][0] = path;
			continue;
		}
		if (i == MW_R_FILES || i == MW_R_HEALTH)
			mw_fail(err, MW_INTERNAL_ERROR, "%s: %s (MOLTWORKER_LIBEXEC names another "
			    "directory)", path, strerror(errno));
		free(path);
	}
	return err->code;
}

/* Is somebody serving on this socket?  A link to another one says nothing. */
static bool
in_use(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd;
	bool used;

	if (lstat(sun->sun_path, &st) == -1 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return false;
	used = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0;
	close(fd);
	return used;
}

static enum mw_code
address(const struct mw_serve *s, int i, struct sockaddr_un *sun, struct mw_err *err)
{
	int n;

	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(sun->sun_path, sizeof(sun->sun_path), "%s/%s.sock", s->sockets,
	    mw_responder_names[i]);
	if (n < 0 || (size_t)n >= sizeof(sun->sun_path))
		return mw_fail(err, MW_INVALID_ARGUMENT, "%s: too long for the path of a socket "
		    "(%zu bytes at most)", s->sockets, sizeof(sun->sun_path) - sizeof("/metrics.sock"));
	return MW_OK;
}

/* A listening socket for the server's group: others must not forge REMOTE_ADDR. */
static enum mw_code
listen_on(const struct sockaddr_un *sun, int *fd, struct mw_err *err)
{
	mode_t mask = umask(0117);
	int bound = -1;

	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd != -1)
		bound = bind(*fd, (const struct sockaddr *)sun, sizeof(*sun));
	umask(mask);
	if (bound == 0 && listen(*fd, BACKLOG) == 0)
		return MW_OK;
	mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", sun->sun_path, strerror(errno));
	if (*fd != -1)
		close(*fd);
	return err->code;
}

static enum mw_code
open_one(struct mw_serve *s, int i, struct mw_err *err)
{
	struct sockaddr_un sun;
	char target[32];
	int fd;

	if (address(s, i, &sun, err) != MW_OK)
		return err->code;
	if (in_use(&sun))
		return mw_fail(err, MW_INVALID_ARGUMENT, "%s: somebody is serving there already",
		    sun.sun_path);
	if (unlink(sun.sun_path) == -1 && errno != ENOENT)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", sun.sun_path, strerror(errno));
	if (s->libexec_file[i] == NULL) {
		snprintf(target, sizeof(target), "%s.sock", mw_responder_names[stand_in(i)]);
		if (symlink(target, sun.sun_path) == -1)
			return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", sun.sun_path, strerror(errno));
		s->opened[i] = true;
		return MW_OK;
	}
	if (listen_on(&sun, &fd, err) != MW_OK)
		return err->code;
	s->opened[i] = true;
	/* One process, which makes a pool of itself: see mw_app_main. */
	if (mw_sup_add(&s->sup, mw_responder_names[i], s->responder_argv[i], fd, 1,
	    false, err) != MW_OK)
		close(fd);
	return err->code;
}

enum mw_code
mw_pools_open(struct mw_serve *s, struct mw_err *err)
{
	for (int i = 0; i < MW_R_COUNT; i++) {
		if (open_one(s, i, err) != MW_OK)
			return err->code;
	}
	return MW_OK;
}

void
mw_pools_unlink(const struct mw_serve *s)
{
	struct sockaddr_un sun;
	struct mw_err ignored = { 0 };

	for (int i = 0; i < MW_R_COUNT; i++) {
		if (s->opened[i] && address(s, i, &sun, &ignored) == MW_OK)
			(void)unlink(sun.sun_path);
	}
}
