/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration of a long-running process: taken anew when it changes, and kept. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/tmpfile.h"
#include "conf/internal.h"

#define LOOK_MS 1000		/* the files are looked at this often at most */
#define LAST_GOOD "last-good.conf"
#define HEADER "# Kept by Moltworker Admin: the last good text of "
#define FILE_MAX (MW_TEXT_MAX + 8192)
#define ENV_STATE_PATH "MOLTWORKER_STATE_PATH"

struct mw_conf_watch {
	char *path;
	struct mw_conf *conf;		/* in force */
	struct mw_text seen;		/* the last reading, good or bad: text and files */
	bool fresh;			/* one of those may change again unseen */
	char *keep_in;			/* the state.path where seen is still to be kept */
	int64_t looked;			/* monotonic ms */
	char complaint[sizeof(((struct mw_err *)0)->msg)];	/* logged last; "" = all is well */
};

/* ---- state.path/last-good.conf ---- */

/*
 * The last good text of a configuration, for processes that start while the
 * file itself is broken.  Its first line names that file, so that nobody starts
 * with the settings of another installation.  Included files are part of the
 * text, what the environment sets is not.
 */
enum keep {
	KEEP_DONE,
	KEEP_LATER,		/* there is no such directory of ours (yet) */
	KEEP_FAILED		/* logged */
};

/* The file's first line, for the configuration `path`. */
static bool
header(struct mw_buf *out, const char *path)
{
	return strchr(path, '\n') == NULL && mw_buf_addf(out, HEADER "%s\n", path);
}

/* dir/last-good.conf as it is, if it is ours to trust. */
static bool
read_kept(int dir, struct mw_buf *out)
{
	struct mw_err ignored = { .code = MW_OK };
	struct stat st;
	bool good;
	int fd;

	fd = openat(dir, LAST_GOOD, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_uid == geteuid() || st.st_uid == 0) &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
	    mw_text_slurp(fd, LAST_GOOD, out, &ignored) == MW_OK;
	(void)close(fd);
	return good;
}

static bool
kept_already(int dir, const struct mw_buf *want)
{
	struct mw_buf old;
	bool same;

	mw_buf_init(&old, FILE_MAX);
	same = read_kept(dir, &old) && old.len == want->len &&
	    memcmp(old.data, want->data, want->len) == 0;
	mw_buf_free(&old);
	return same;
}

static enum mw_code
write_kept(int dir, const struct mw_buf *text, struct mw_err *err)
{
	char name[MW_TMPNAME_LEN];
	enum mw_code code;
	int fd;

	code = mw_tmpfile(dir, 0600, name, &fd, err);
	if (code != MW_OK)
		return code;
	code = mw_write_all(fd, text->data, text->len, err);
	if (code == MW_OK && (fsync(fd) != 0 || renameat(dir, name, dir, LAST_GOOD) != 0))
		code = mw_fail(err, MW_INTERNAL_ERROR, "%s", strerror(errno));
	if (code != MW_OK)
		(void)unlinkat(dir, name, 0);
	(void)close(fd);
	return code;
}

/* Keep a good text of the configuration file `path` in state_path. */
static enum keep
last_good_keep(const char *state_path, const char *path, const struct mw_text *text)
{
	struct mw_err err = { .code = MW_OK };
	enum keep done = KEEP_LATER;
	struct mw_buf want;
	struct stat st;
	int dir;

	dir = open(state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return KEEP_LATER;
	mw_buf_init(&want, FILE_MAX);
	/* In another user's directory our file would stand in that user's way. */
	if (fstat(dir, &st) == 0 && st.st_uid == geteuid() && header(&want, path) &&
	    (text->buf.len == 0 || mw_buf_add(&want, text->buf.data, text->buf.len))) {
		if (kept_already(dir, &want) || write_kept(dir, &want, &err) == MW_OK)
			done = KEEP_DONE;
		else
			mw_log(MW_WARN, "%s/" LAST_GOOD " cannot be kept: %s", state_path, err.msg);
	}
	mw_buf_free(&want);
	(void)close(dir);
	return err.code == MW_OK ? done : KEEP_FAILED;
}

/* Is what is kept in `state_path` a text of `path`? */
static bool
belongs(const char *state_path, const char *path)
{
	struct mw_buf want, kept;
	bool good;
	int dir;

	dir = open(state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	mw_buf_init(&want, FILE_MAX);
	mw_buf_init(&kept, FILE_MAX);
	good = header(&want, path) && read_kept(dir, &kept) && kept.len >= want.len &&
	    memcmp(kept.data, want.data, want.len) == 0;
	mw_buf_free(&want);
	mw_buf_free(&kept);
	(void)close(dir);
	return good;
}

/*
 * What was kept for `path`, NULL if nothing good was.  The state.path where it
 * lies is the environment's, else what the broken text seems to say, else the
 * built-in default.
 */
static struct mw_conf *
last_good_load(const struct mw_load *broken, const char *path)
{
	struct mw_err ignored = { .code = MW_OK };
	struct mw_conf *conf = NULL;
	const char *state;
	char *said = NULL, *kept = NULL;

	if (broken->conf == NULL || broken->conf->state.path == NULL)
		return NULL;
	if (getenv(ENV_STATE_PATH) == NULL)
		said = mw_text_state_path(&broken->text);
	state = said != NULL ? said : broken->conf->state.path;
	if (!belongs(state, path) || asprintf(&kept, "%s/" LAST_GOOD, state) < 0)
		kept = NULL;
	if (kept != NULL && mw_conf_load(kept, &conf, &ignored) != MW_OK)
		conf = NULL;
	free(kept);
	free(said);
	return conf;
}

/* ---- the watch ---- */

static bool
same_files(const struct mw_text *t)
{
	struct mw_ident id;
	unsigned i;

	for (i = 0; i < t->nfile; i++) {
		id = mw_ident_at(t->file[i].path);
		if (!mw_ident_same(&id, &t->file[i].id))
			return false;
	}
	return t->nfile > 0;
}

static bool
same_text(const struct mw_text *a, const struct mw_text *b)
{
	return a->buf.len == b->buf.len &&
	    (a->buf.len == 0 || memcmp(a->buf.data, b->buf.data, a->buf.len) == 0);
}

/*
 * Nothing in it, as for a moment while somebody writes it: no wish for all the
 * defaults.  (/dev/null is one: then the environment says everything.)
 */
static bool
blank(const struct mw_load *l)
{
	const char *text = l->text.buf.data;

	return strcmp(l->text.file[0].path, "/dev/null") != 0 &&
	    (text == NULL || text[strspn(text, " \t\r\n")] == '\0');
}

/* The reading's text and files become the last ones seen. */
static void
remember(struct mw_conf_watch *w, struct mw_load *l)
{
	unsigned i;

	mw_text_free(&w->seen);
	w->seen = l->text;
	memset(&l->text, 0, sizeof(l->text));
	w->fresh = false;
	for (i = 0; i < w->seen.nfile; i++)
		w->fresh = w->fresh || mw_ident_fresh(&w->seen.file[i].id);
}

/* Keep what was seen, now or, while there is no state directory yet, at a later look. */
static void
keep(struct mw_conf_watch *w)
{
	if (w->keep_in == NULL ||
	    last_good_keep(w->keep_in, w->path, &w->seen) == KEEP_LATER)
		return;
	free(w->keep_in);
	w->keep_in = NULL;
}

/*
 * A good reading: its configuration is in force, its text to be kept in the
 * state.path it names.  That of the process stays: what lies there is open.
 */
static void
take(struct mw_conf_watch *w, struct mw_load *l)
{
	char *keep_in = strdup(l->conf->state.path), *pinned;

	if (w->conf != NULL && strcmp(w->conf->state.path, l->conf->state.path) != 0) {
		mw_log(MW_WARN, "state.path is now %s, which takes a restart: %s stays in use",
		    l->conf->state.path, w->conf->state.path);
		pinned = strdup(w->conf->state.path);
		if (pinned == NULL) {
			free(keep_in);
			return;
		}
		free(l->conf->state.path);
		l->conf->state.path = pinned;
	}
	free(w->keep_in);
	w->keep_in = keep_in;
	mw_conf_free(w->conf);
	w->conf = l->conf;
	l->conf = NULL;
	w->complaint[0] = '\0';
}

/* Logged once for each fault, not at every look. */
static void
complain(struct mw_conf_watch *w, const char *why)
{
	if (strcmp(w->complaint, why) == 0)
		return;
	(void)snprintf(w->complaint, sizeof(w->complaint), "%s", why);
	mw_log(MW_ERROR, "%s; the last good configuration stays in force", why);
}

enum mw_code
mw_conf_watch_open(const char *path, struct mw_conf_watch **wp, struct mw_err *err)
{
	struct mw_conf_watch *w = calloc(1, sizeof(*w));
	struct mw_err why = { .code = MW_OK };
	struct mw_load l;
	enum mw_code code;

	*wp = NULL;
	if (w == NULL || (w->path = strdup(path != NULL ? path : mw_conf_path())) == NULL) {
		mw_conf_watch_close(w);
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	w->looked = mw_now();
	code = mw_load_read(&l, w->path, &why);
	if (code != MW_OK || blank(&l)) {
		w->conf = last_good_load(&l, w->path);
		if (w->conf != NULL) {
			(void)mw_fail(&why, MW_INTERNAL_ERROR, "%s: is empty", w->path);
			complain(w, why.msg);
			code = MW_OK;
		}
	}
	if (code == MW_OK && w->conf == NULL)
		take(w, &l);
	remember(w, &l);
	mw_load_free(&l);
	if (code != MW_OK) {
		mw_conf_watch_close(w);
		return mw_fail(err, code, "%s", why.msg);
	}
	keep(w);
	*wp = w;
	return MW_OK;
}

static void
reload(struct mw_conf_watch *w)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_load l;

	if (mw_load_read(&l, w->path, &err) == MW_OK && blank(&l))
		(void)mw_fail(&err, MW_INTERNAL_ERROR, "%s: is empty", w->path);
	if (err.code != MW_OK) {
		complain(w, err.msg);
		free(w->keep_in);	/* what is seen is not good any more */
		w->keep_in = NULL;
	} else if (w->complaint[0] != '\0' || !same_text(&l.text, &w->seen)) {
		take(w, &l);
		mw_log(MW_INFO, "took the changed configuration %s", w->path);
	}
	remember(w, &l);
	mw_load_free(&l);
}

const struct mw_conf *
mw_conf_watch_get(struct mw_conf_watch *w)
{
	int64_t now = mw_now();

	if (now - w->looked < LOOK_MS)
		return w->conf;
	w->looked = now;
	if (w->fresh || !same_files(&w->seen))
		reload(w);
	keep(w);
	return w->conf;
}

void
mw_conf_watch_close(struct mw_conf_watch *w)
{
	if (w == NULL)
		return;
	mw_text_free(&w->seen);
	mw_conf_free(w->conf);
	free(w->keep_in);
	free(w->path);
	free(w);
}
