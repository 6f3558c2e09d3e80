/* SPDX-License-Identifier: BSD-2-Clause */
/* The outbox's spool files: reading one, and removing those that nobody wants. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/internal.h"

#define SWEEP_AGE 60		/* seconds */
#define SWEEP_WAIT 10000	/* ms for the database */

/* Does a statement with one parameter find a row? */
static enum mw_code
has(struct mw_outbox *o, struct mw_ctx *ctx, enum mw_odb_id id, int64_t row_id,
    const char *spool, bool *found)
{
	enum mw_code code;
	sqlite3_stmt *st;

	if ((code = mw_db_enter(&o->db, ctx)) != MW_OK)
		return code;
	code = spool == NULL ? mw_db_bind(&o->db, ctx, id, &st, "i", row_id) :
	    mw_db_bind(&o->db, ctx, id, &st, "t", spool);
	if (code == MW_OK)
		code = mw_db_step(&o->db, ctx, st, found);
	mw_db_leave(&o->db);
	return code;
}

enum mw_code
mw_outbox_body(struct mw_outbox *o, struct mw_ctx *ctx, const struct mw_outbox_row *row, int *fd)
{
	enum mw_code code;
	bool found;
	int e;

	*fd = -1;
	if (row->spool == NULL)
		return mw_ctx_fail(ctx, MW_FILE_NOT_FOUND, "%s is deleted", row->path);
	*fd = openat(o->spool_dir, row->spool, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd >= 0)
		return MW_OK;
	e = errno;
	if ((code = has(o, ctx, MW_ODB_HAS_ID, row->id, NULL, &found)) != MW_OK)
		return code;
	if (!found)
		return mw_ctx_fail(ctx, MW_FILE_NOT_FOUND,
		    "%s left the outbox meanwhile: ask again", row->path);
	return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "the queued content of %s is lost: spool/%s: %s",
	    row->path, row->spool, strerror(e));
}

/*
 * Locked first, looked up then: its maker commits the row before it lets go of
 * the lock, so a file that is free and in no row will never be in one.
 */
static bool
sweep_one(struct mw_outbox *o, const char *name, time_t before)
{
	struct mw_ctx ctx = { .deadline = mw_now() + SWEEP_WAIT };
	bool wanted, gone = false;
	struct stat st;
	int fd;

	fd = openat(o->spool_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_mtime < before &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    has(o, &ctx, MW_ODB_HAS_SPOOL, 0, name, &wanted) == MW_OK && !wanted)
		gone = unlinkat(o->spool_dir, name, 0) == 0;
	(void)close(fd);
	return gone;
}

unsigned
mw_outbox_sweep(struct mw_outbox *o)
{
	time_t before = time(NULL) - SWEEP_AGE;
	const struct dirent *e;
	unsigned removed = 0;
	DIR *dir;
	int fd;

	fd = openat(o->spool_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if ((dir = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return 0;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] != '.' && sweep_one(o, e->d_name, before))
			removed++;
	}
	(void)closedir(dir);
	return removed;
}
