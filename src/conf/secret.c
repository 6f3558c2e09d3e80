/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets: read from files that nobody else can read, and watched for rotation. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "conf/text.h"

#define FILE_MAX 4096		/* bytes of a secret file */
#define LOOK_MS 1000		/* a watched file is looked at this often at most */

struct mw_secret_watch {
	char *path;
	struct mw_secret secret;
	unsigned generation;
	struct mw_ident id;		/* of the file last read, good or bad */
	bool fresh;			/* ... which may change again unseen */
	int64_t looked;			/* monotonic ms */
	char complaint[sizeof(((struct mw_err *)0)->msg)];	/* logged last */
};

static bool
own_group(gid_t gid)
{
	gid_t *list;
	int i, n;
	bool found = gid == getegid();

	n = found ? 0 : getgroups(0, NULL);
	list = n > 0 ? calloc((size_t)n, sizeof(*list)) : NULL;
	if (list == NULL)
		return found;
	n = getgroups(n, list);
	for (i = 0; i < n && !found; i++)
		found = list[i] == gid;
	free(list);
	return found;
}

/* Looked at through the open descriptor, so that what is checked is what is read. */
static enum mw_code
check_file(const struct stat *st, const char *path, struct mw_err *err)
{
	if (!S_ISREG(st->st_mode))
		return mw_fail(err, MW_INTERNAL_ERROR, "secret file %s: not a regular file", path);
	if (st->st_uid != 0 && geteuid() == 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "secret file %s: is for user %ld, but this "
		    "process runs as root; run it as that user, or do: chown root %s", path,
		    (long)st->st_uid, path);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return mw_fail(err, MW_INTERNAL_ERROR, "secret file %s: belongs to user %ld, who "
		    "could change it; do: chown root %s", path, (long)st->st_uid, path);
	if ((st->st_mode & S_IRWXO) != 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "secret file %s: others have access (mode "
		    "%04o); do: chmod o= %s", path, (unsigned)st->st_mode & 07777, path);
	if ((st->st_mode & (S_IWGRP | S_IXGRP)) != 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "secret file %s: its group may write or "
		    "execute it (mode %04o); do: chmod g-wx %s", path,
		    (unsigned)st->st_mode & 07777, path);
	if ((st->st_mode & S_IRGRP) != 0 && !own_group(st->st_gid) && geteuid() == 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "secret file %s: is for group %ld, but this "
		    "process runs as root; run it as a user of that group, or, for root alone, "
		    "do: chmod g= %s", path, (long)st->st_gid, path);
	if ((st->st_mode & S_IRGRP) != 0 && !own_group(st->st_gid))
		return mw_fail(err, MW_INTERNAL_ERROR, "secret file %s: readable by group %ld, which "
		    "is not this process's own; do: chgrp %ld %s", path, (long)st->st_gid,
		    (long)getegid(), path);
	if (st->st_size > FILE_MAX)
		return mw_fail(err, MW_INTERNAL_ERROR, "secret file %s: more than %d bytes", path,
		    FILE_MAX);
	return MW_OK;
}

/* text[0..n) into its first two lines. */
static enum mw_code
split(const char *text, size_t n, const char *path, struct mw_secret *out, struct mw_err *err)
{
	const char *p = text, *end = text + n, *eol;
	size_t i, len;

	for (i = 0; i < 2 && p < end; i++) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL)
			eol = end;
		for (len = (size_t)(eol - p); len > 0; len--) {
			if (strchr(" \t\r\f\v", p[len - 1]) == NULL)
				break;
		}
		if (len >= sizeof(out->line[i]))
			return mw_fail(err, MW_INTERNAL_ERROR,
			    "secret file %s: line %zu is longer than %zu bytes", path, i + 1,
			    sizeof(out->line[i]) - 1);
		memcpy(out->line[i], p, len);
		out->line[i][len] = '\0';
		p = eol < end ? eol + 1 : end;
	}
	if (out->line[0][0] == '\0')
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "secret file %s: its first line is empty; write the secret there", path);
	return MW_OK;
}

static enum mw_code
read_fd(int fd, const char *path, struct mw_secret *out, struct mw_ident *id, struct mw_err *err)
{
	struct stat st;
	struct mw_buf buf;
	enum mw_code code;

	if (fstat(fd, &st) != 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "cannot stat the secret file %s: %s", path,
		    strerror(errno));
	*id = mw_ident_of(&st);
	code = check_file(&st, path, err);
	if (code != MW_OK)
		return code;
	mw_buf_init(&buf, 2 * FILE_MAX + 1);
	/* All the room there will be: a buffer that grows leaves copies behind. */
	if (!mw_buf_room(&buf, 2 * FILE_MAX))
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	code = mw_text_slurp(fd, path, &buf, err);
	if (code == MW_OK)
		code = split(buf.data, buf.len, path, out, err);
	if (buf.data != NULL)
		explicit_bzero(buf.data, buf.cap);
	mw_buf_free(&buf);
	return code;
}

static enum mw_code
read_secret(const char *path, struct mw_secret *out, struct mw_ident *id, struct mw_err *err)
{
	enum mw_code code;
	int fd;

	memset(out, 0, sizeof(*out));
	memset(id, 0, sizeof(*id));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "cannot open the secret file %s: %s", path,
		    strerror(errno));
	code = read_fd(fd, path, out, id, err);
	(void)close(fd);
	if (code != MW_OK)
		explicit_bzero(out, sizeof(*out));
	return code;
}

enum mw_code
mw_secret_read(const char *path, struct mw_secret *out, struct mw_err *err)
{
	struct mw_ident id;

	return read_secret(path, out, &id, err);
}

enum mw_code
mw_secret_watch_open(const char *path, struct mw_secret_watch **wp, struct mw_err *err)
{
	struct mw_secret_watch *w = calloc(1, sizeof(*w));
	enum mw_code code;

	*wp = NULL;
	if (w == NULL || (w->path = strdup(path)) == NULL) {
		mw_secret_watch_close(w);
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	code = read_secret(path, &w->secret, &w->id, err);
	if (code != MW_OK) {
		mw_secret_watch_close(w);
		return code;
	}
	w->fresh = mw_ident_fresh(&w->id);
	w->generation = 1;
	w->looked = mw_now();
	*wp = w;
	return MW_OK;
}

static void
reread(struct mw_secret_watch *w)
{
	struct mw_secret new;
	struct mw_err err = { .code = MW_OK };

	if (read_secret(w->path, &new, &w->id, &err) == MW_OK) {
		if (!mw_str_equal_ct(&new, &w->secret, sizeof(new))) {
			w->secret = new;
			w->generation++;
			mw_log(MW_INFO, "took the changed secret file %s", w->path);
		}
		w->complaint[0] = '\0';
	} else if (strcmp(w->complaint, err.msg) != 0) {
		memcpy(w->complaint, err.msg, sizeof(w->complaint));
		mw_log(MW_ERROR, "%s (the secret read before stays in force)", err.msg);
	}
	w->fresh = mw_ident_fresh(&w->id);
	explicit_bzero(&new, sizeof(new));
}

const struct mw_secret *
mw_secret_watch_get(struct mw_secret_watch *w, unsigned *generation)
{
	int64_t now = mw_now();
	struct mw_ident id;

	if (now - w->looked >= LOOK_MS) {
		w->looked = now;
		id = mw_ident_at(w->path);
		if (w->fresh || !mw_ident_same(&id, &w->id))
			reread(w);
	}
	if (generation != NULL)
		*generation = w->generation;
	return &w->secret;
}

void
mw_secret_watch_close(struct mw_secret_watch *w)
{
	if (w == NULL)
		return;
	explicit_bzero(&w->secret, sizeof(w->secret));
	free(w->path);
	free(w);
}
