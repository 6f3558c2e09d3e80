/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration of a long-running process: reload, and the last good one. */
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
#include "conf/load.h"

#define LOOK_EVERY 1000		/* ms */
#define LAST_GOOD "last-good.conf"

struct mw_conf_watch {
	char *path;
	struct mw_conf *conf;
	int64_t looked;			/* monotonic ms */
	/* the files of the last reading, good or bad */
	struct { char *path; struct mw_ident id; } file[MW_TEXT_FILES];
	unsigned nfile;
	bool again;			/* a file was so fresh that it must be read once more */
};

/* Remember which files a reading met, and what they looked like. */
static void
remember(struct mw_conf_watch *w, const struct mw_load *l)
{
	unsigned i;

	for (i = 0; i < w->nfile; i++)
		free(w->file[i].path);
	w->nfile = 0;
	w->again = false;
	for (i = 0; i < l->text.nfile; i++) {
		if ((w->file[i].path = strdup(l->text.file[i].path)) == NULL)
			break;
		w->file[i].id = l->text.file[i].id;
		w->again = w->again || mw_ident_fresh(&w->file[i].id);
		w->nfile++;
	}
}

static bool
changed(const struct mw_conf_watch *w)
{
	struct mw_ident id;
	unsigned i;

	if (w->again || w->nfile == 0)
		return true;
	for (i = 0; i < w->nfile; i++) {
		id = mw_ident_at(w->file[i].path);
		if (!mw_ident_same(&id, &w->file[i].id))
			return true;
	}
	return false;
}

/* ---- last-good.conf ---- */

static bool
same_content(const char *path, const struct mw_buf *text)
{
	char *old = malloc(text->len + 1);
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (old != NULL && fd >= 0)
		n = read(fd, old, text->len + 1);
	if (fd >= 0)
		(void)close(fd);
	fd = n == (ssize_t)text->len && memcmp(old, text->data, text->len) == 0;
	free(old);
	return fd != 0;
}

/* Keep a good text for processes that start while the file is broken. */
static void
keep(const struct mw_conf *conf, const struct mw_buf *text)
{
	struct mw_err err = { .code = MW_OK };
	char name[MW_TMPNAME_LEN], path[4200];
	int dir, fd = -1;

	if (text->data == NULL ||
	    snprintf(path, sizeof(path), "%s/" LAST_GOOD, conf->state.path) >= (int)sizeof(path) ||
	    same_content(path, text))
		return;
	/* Without a state directory there is nothing to keep it in yet. */
	dir = open(conf->state.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	if (mw_tmpfile(dir, 0600, name, &fd, &err) == MW_OK) {
		if (mw_write_all(fd, text->data, text->len, &err) != MW_OK ||
		    renameat(dir, name, dir, LAST_GOOD) < 0) {
			(void)mw_fail(&err, MW_INTERNAL_ERROR, "%s", strerror(errno));
			(void)unlinkat(dir, name, 0);
		}
		(void)close(fd);
	}
	(void)close(dir);
	if (err.code != MW_OK)
		mw_log(MW_WARN, "%s cannot be kept: %s", path, err.msg);
}

/*
 * The file is broken: is there a good one from before?  state.path is the
 * environment's, else what the text seems to say, else the built-in default.
 */
static struct mw_conf *
last_good(const struct mw_load *broken, const char *why)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_conf *conf = NULL;
	char path[4200], *said;
	const char *state;

	if (broken->conf == NULL || broken->conf->state.path == NULL)
		return NULL;
	said = getenv("MOLTWORKER_STATE_PATH") == NULL ? mw_text_state_path(&broken->text) : NULL;
	state = said != NULL ? said : broken->conf->state.path;
	if (snprintf(path, sizeof(path), "%s/" LAST_GOOD, state) >= (int)sizeof(path) ||
	    access(path, R_OK) < 0 || mw_conf_load(path, &conf, &err) != MW_OK)
		conf = NULL;
	free(said);
	if (conf == NULL)
		return NULL;
	mw_log(MW_ERROR, "%s; going on with the last good configuration, %s", why, path);
	return conf;
}

/* ---- the watch ---- */

/* Nothing in it, as for a moment while an editor writes it: not a wish for all defaults. */
static bool
blank(const struct mw_load *l)
{
	const char *text = l->text.buf.data;

	return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}

enum mw_code
mw_conf_watch_open(const char *path, struct mw_conf_watch **wp, struct mw_err *err)
{
	struct mw_conf_watch *w = calloc(1, sizeof(*w));
	struct mw_load l;
	enum mw_code code;

	*wp = NULL;
	if (w == NULL || (w->path = strdup(path != NULL ? path : mw_conf_path())) == NULL) {
		free(w);
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	code = mw_load_read(&l, w->path, err);
	remember(w, &l);
	w->looked = mw_now();
	if (code == MW_OK && blank(&l) && (w->conf = last_good(&l, "the configuration is empty")) != NULL) {
		mw_load_free(&l);
		*wp = w;
		return MW_OK;
	}
	if (code == MW_OK) {
		keep(l.conf, &l.text.buf);
		w->conf = l.conf;
		l.conf = NULL;
	} else if ((w->conf = last_good(&l, err->msg)) != NULL) {
		mw_err_clear(err);
		code = MW_OK;
	}
	mw_load_free(&l);
	if (code == MW_OK)
		*wp = w;
	else
		mw_conf_watch_close(w);
	return code;
}

/* Take the new conf; state.path stays what it was, for what lies there is open. */
static void
swap(struct mw_conf_watch *w, struct mw_load *l, bool repeat)
{
	char *path;

	if (strcmp(l->conf->state.path, w->conf->state.path) != 0) {
		mw_log(MW_WARN, "state.path changed to %s: that takes a restart", l->conf->state.path);
		if ((path = strdup(w->conf->state.path)) == NULL)
			return;
		free(l->conf->state.path);
		l->conf->state.path = path;
	}
	keep(l->conf, &l->text.buf);
	mw_conf_free(w->conf);
	w->conf = l->conf;
	l->conf = NULL;
	if (!repeat)
		mw_log(MW_INFO, "%s was read anew", w->path);
}

/* Same file and times as before, only read again because it had been so fresh. */
static bool
same_files(const struct mw_conf_watch *w)
{
	struct mw_ident id;
	unsigned i;

	for (i = 0; i < w->nfile; i++) {
		id = mw_ident_at(w->file[i].path);
		if (!mw_ident_same(&id, &w->file[i].id))
			return false;
	}
	return w->nfile > 0;
}

const struct mw_conf *
mw_conf_watch_get(struct mw_conf_watch *w)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_load l;
	bool repeat;

	if (mw_now() - w->looked < LOOK_EVERY)
		return w->conf;
	w->looked = mw_now();
	if (!changed(w))
		return w->conf;
	repeat = same_files(w);
	if (mw_load_read(&l, w->path, &err) == MW_OK && blank(&l))
		(void)mw_fail(&err, MW_INTERNAL_ERROR, "%s is empty", w->path);
	if (err.code == MW_OK)
		swap(w, &l, repeat);
	else if (!repeat)
		mw_log(MW_ERROR, "%s; the last good configuration stays in force", err.msg);
	remember(w, &l);
	mw_load_free(&l);
	return w->conf;
}

void
mw_conf_watch_close(struct mw_conf_watch *w)
{
	unsigned i;

	if (w == NULL)
		return;
	for (i = 0; i < w->nfile; i++)
		free(w->file[i].path);
	mw_conf_free(w->conf);
	free(w->path);
	free(w);
}
