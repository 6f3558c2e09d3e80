/* SPDX-License-Identifier: BSD-2-Clause */
/* moltctl serve: the directory of a private instance. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "base/tmpfile.h"
#include "serve.h"

#define SECRET_BYTES 24
#define NFTW_FDS 16

enum mw_code
mw_serve_mkdir(const char *path, mode_t mode, struct mw_err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return MW_OK;
	if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return MW_OK;
	return mw_fail(err, MW_INTERNAL_ERROR, "mkdir %s: %s", path, strerror(errno));
}

enum mw_code
mw_serve_write(const char *path, const char *text, size_t n, struct mw_err *err)
{
	int fd;

	if (unlink(path) == -1 && errno != ENOENT)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", path, strerror(errno));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", path, strerror(errno));
	if (mw_write_all(fd, text, n, err) != MW_OK) {
		close(fd);
		return err->code;
	}
	if (close(fd) == -1)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", path, strerror(errno));
	return MW_OK;
}

/* Generated configurations quote names, but escape nothing. */
static bool
plain(const char *path)
{
	for (const char *p = path; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || strchr("\"'\\${};#%", *p) != NULL)
			return false;
	}
	return true;
}

static enum mw_code
make_dir(struct mw_serve *s, struct mw_err *err)
{
	const char *tmp = getenv("TMPDIR");

	if (s->dir != NULL)
		return mw_serve_mkdir(s->dir, 0700, err);
	if (asprintf(&s->dir, "%s/moltworker-serve.XXXXXX",
	    tmp != NULL && tmp[0] == '/' ? tmp : "/tmp") == -1) {
		s->dir = NULL;
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	if (mkdtemp(s->dir) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", s->dir, strerror(errno));
	s->temporary = true;
	return MW_OK;
}

/* Write `text` to dir/name unless there is such a file. */
static enum mw_code
write_once(const char *path, const char *text, struct mw_err *err)
{
	if (access(path, F_OK) == 0)
		return MW_OK;
	return mw_serve_write(path, text, strlen(text), err);
}

static enum mw_code
make_secret(const struct mw_serve *s, struct mw_err *err)
{
	char secret[SECRET_BYTES * 2 + 1], text[sizeof(secret) + 1], path[PATH_MAX];

	mw_str_random_hex(secret, SECRET_BYTES);
	snprintf(text, sizeof(text), "%s\n", secret);
	snprintf(path, sizeof(path), "%s/admin.secret", s->dir);
	return write_once(path, text, err);
}

static enum mw_code
make_config(struct mw_serve *s, struct mw_err *err)
{
	static const char *const dirs[] = { "store", "sandboxes", "state" };
	char path[PATH_MAX], text[5 * PATH_MAX];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->dir, dirs[i]);
		if (mw_serve_mkdir(path, 0700, err) != MW_OK)
			return err->code;
	}
	snprintf(text, sizeof(text),
	    "# Made by moltctl serve; an edit is taken up within a second.\n"
	    "auth: { secret_file = \"%s/admin.secret\"; };\n"
	    "store: { driver = \"dir\"; dir: { path = \"%s/store\"; }; };\n"
	    "sandbox: { driver = \"local\"; local: { path = \"%s/sandboxes\"; }; };\n"
	    "state: { path = \"%s/state\"; };\n",
	    s->dir, s->dir, s->dir, s->dir);
	if (make_secret(s, err) != MW_OK)
		return err->code;
	s->own_config = true;
	if (asprintf(&s->config, "%s/moltworker.conf", s->dir) == -1) {
		s->config = NULL;
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	return write_once(s->config, text, err);
}

enum mw_code
mw_serve_dir(struct mw_serve *s, struct mw_err *err)
{
	if (make_dir(s, err) != MW_OK)
		return err->code;
	if (!plain(s->dir) || strlen(s->dir) > 200)
		return mw_fail(err, MW_INVALID_ARGUMENT, "%s: this name is too long, or holds a quote or "
		    "another special character: choose another --dir", s->dir);
	if (asprintf(&s->run, "%s/run", s->dir) == -1) {
		s->run = NULL;
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	if (mw_serve_mkdir(s->run, 0700, err) != MW_OK)
		return err->code;
	if (s->sockets == NULL && (s->sockets = strdup(s->run)) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	return s->config == NULL ? make_config(s, err) : MW_OK;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st;
	(void)flag;
	(void)at;
	if (remove(path) == -1 && errno != ENOENT)
		mw_log(MW_WARN, "cannot remove %s: %s", path, strerror(errno));
	return 0;
}

void
mw_serve_dir_remove(const struct mw_serve *s)
{
	const char *path = s->temporary && !s->keep ? s->dir : s->run;

	if (path != NULL)
		(void)nftw(path, remove_one, NFTW_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static enum mw_code
writable(const char *what, const char *path, struct mw_err *err)
{
	struct mw_err made = { 0 };
	const struct passwd *pw;
	int e;

	/* Responders would make it, so this asks the same. */
	if (mw_serve_mkdir(path, 0700, &made) == MW_OK && access(path, R_OK | W_OK | X_OK) == 0)
		return MW_OK;
	e = errno;
	pw = getpwuid(geteuid());
	return mw_fail(err, MW_INTERNAL_ERROR, "%s = %s: %s (uid %u) cannot write there: %s (chown it, "
	    "or name another user with --user)", what, path, pw != NULL ? pw->pw_name : "this user",
	    (unsigned)geteuid(), strerror(e));
}

enum mw_code
mw_serve_writable(const struct mw_conf *conf, struct mw_err *err)
{
	if (writable("state.path", conf->state.path, err) != MW_OK)
		return err->code;
	if (strcmp(conf->store.driver, "dir") == 0 &&
	    writable("store.dir.path", conf->store.dir.path, err) != MW_OK)
		return err->code;
	if (strcmp(conf->sandbox.driver, "local") == 0 &&
	    writable("sandbox.local.path", conf->sandbox.local.path, err) != MW_OK)
		return err->code;
	return MW_OK;
}
