/* SPDX-License-Identifier: BSD-2-Clause */
/* SQLite as we use it: opening, statements, retries, failures. */
#include "state/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"

/* ---- making and opening ---- */

/* SQLite would make the file readable for all.  Only a missing file is opened:
 * to close one that a connection of this process uses would drop its locks. */
static enum mw_code
make_file(struct mw_db *d, struct mw_ctx *ctx)
{
	int fd = open(d->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		(void)close(fd);
	else if (errno == ENOSPC || errno == EDQUOT)
		return mw_ctx_fail(ctx, MW_STORAGE_FULL, "no room on the disk of the %s", d->kind->name);
	else if (errno != EEXIST)
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "%s %s cannot be made: %s",
		    d->kind->name, d->path, strerror(errno));
	return MW_OK;
}

static int
get_int(sqlite3 *db, const char *text, int64_t *out)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, text, -1, &st, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* Called with the opening lock held, so no other process makes the schema. */
static int
set_up(sqlite3 *db, const struct mw_db_kind *kind, int64_t *version)
{
	int rc;

	rc = sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	    "PRAGMA cache_size = -256; PRAGMA trusted_schema = OFF;"
	    "PRAGMA secure_delete = OFF", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = get_int(db, "PRAGMA user_version", version);
	if (rc == SQLITE_OK && *version != 0 && kind->late != NULL)
		rc = sqlite3_exec(db, kind->late, NULL, NULL, NULL);
	if (rc != SQLITE_OK || *version != 0)
		return rc;
	rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_exec(db, kind->schema, NULL, NULL, NULL)) == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	*version = kind->version;
	return rc;
}

/* The file's name must be on disk before a row in it can be called durable. */
static bool
sync_dir_of(const char *path)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	bool good;
	int fd;

	if (slash == NULL || (size_t)(slash - path) >= sizeof(dir))
		return false;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	fd = open(dir[0] == '\0' ? "/" : dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	good = fsync(fd) == 0;
	(void)close(fd);
	return good;
}

static enum mw_code
open_db(struct mw_db *d, struct mw_ctx *ctx)
{
	enum mw_code code;
	int64_t version = 0, left = mw_left(ctx->deadline);
	int rc;

	if ((code = make_file(d, ctx)) != MW_OK)
		return code;
	rc = sqlite3_open_v2(d->path, &d->handle,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_extended_result_codes(d->handle, 1);
		(void)sqlite3_busy_timeout(d->handle, left > INT32_MAX ? INT32_MAX : (int)left);
		rc = set_up(d->handle, d->kind, &version);
	}
	if (rc != SQLITE_OK)
		code = mw_db_fail(d, ctx, rc);
	else if (version != d->kind->version)
		code = mw_ctx_fail(ctx, MW_INTERNAL_ERROR,
		    "%s %s is of version %lld, this program knows %lld", d->kind->name,
		    d->path, (long long)version, (long long)d->kind->version);
	else if (!sync_dir_of(d->path))
		code = mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "%s %s: directory not synced: %s",
		    d->kind->name, d->path, strerror(errno));
	if (code != MW_OK) {
		(void)sqlite3_close(d->handle);
		d->handle = NULL;
	}
	return code;
}

/* ---- statements ---- */

enum mw_code
mw_db_fail(const struct mw_db *d, struct mw_ctx *ctx, int rc)
{
	int e = d->handle == NULL ? 0 : sqlite3_system_errno(d->handle);

	switch (rc & 0xFF) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return mw_ctx_fail(ctx, MW_DEADLINE_EXCEEDED, "the %s was busy for too long", d->kind->name);
	case SQLITE_FULL:
		return mw_ctx_fail(ctx, MW_STORAGE_FULL, "no room on the disk of the %s",
		    d->kind->name);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "the %s %s is damaged (%s); %s",
		    d->kind->name, d->path, sqlite3_errstr(rc), d->kind->damaged);
	case SQLITE_IOERR:
		if (e == ENOSPC || e == EDQUOT)
			return mw_ctx_fail(ctx, MW_STORAGE_FULL,
			    "no room on the disk of the %s",
		    d->kind->name);
		break;
	default:
		break;
	}
	return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "%s %s: %s", d->kind->name, d->path,
	    d->handle == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(d->handle));
}

enum mw_code
mw_db_enter(struct mw_db *d, struct mw_ctx *ctx)
{
	enum mw_code code = MW_OK;
	int64_t left;
	int fd;

	if (d->pid != getpid())
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR,
		    "the %s belongs to another process: open it after the fork", d->kind->name);
	if (pthread_mutex_lock(&d->mutex) != 0)
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "the %s cannot be locked", d->kind->name);
	if (d->handle == NULL) {
		code = mw_lockfile_take(d->lock_path, d->kind->name, ctx->deadline, &fd, &ctx->err);
		if (code == MW_OK) {
			code = open_db(d, ctx);
			mw_lockfile_give(fd);
		}
	} else {
		left = mw_left(ctx->deadline);
		(void)sqlite3_busy_timeout(d->handle, left > INT32_MAX ? INT32_MAX : (int)left);
	}
	if (code != MW_OK)
		(void)pthread_mutex_unlock(&d->mutex);
	return code;
}

/* A statement left open would hold its view of the database, and the log's tail. */
void
mw_db_leave(struct mw_db *d)
{
	unsigned i;

	for (i = 0; i < d->kind->nsql; i++) {
		if (d->stmt[i] != NULL)
			(void)sqlite3_reset(d->stmt[i]);
	}
	(void)pthread_mutex_unlock(&d->mutex);
}

static int
bind_all(sqlite3_stmt *st, const char *types, va_list ap)
{
	const void *blob;
	int i, rc = SQLITE_OK;

	for (i = 1; *types != '\0' && rc == SQLITE_OK; types++, i++) {
		switch (*types) {
		case 't':
			rc = sqlite3_bind_text(st, i, va_arg(ap, const char *), -1,
			    SQLITE_TRANSIENT);
			break;
		case 'i':
			rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
			break;
		case 'b':
			blob = va_arg(ap, const void *);
			rc = sqlite3_bind_blob(st, i, blob, va_arg(ap, int), SQLITE_TRANSIENT);
			break;
		default:
			rc = SQLITE_MISUSE;
		}
	}
	return rc;
}

static enum mw_code
bind(struct mw_db *d, struct mw_ctx *ctx, unsigned id, const char *types,
    va_list ap)
{
	int rc = SQLITE_OK;

	if (d->stmt[id] == NULL)
		rc = sqlite3_prepare_v3(d->handle, d->kind->sql[id], -1, SQLITE_PREPARE_PERSISTENT,
		    &d->stmt[id], NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_reset(d->stmt[id]);
		rc = bind_all(d->stmt[id], types, ap);
	}
	return rc == SQLITE_OK ? MW_OK : mw_db_fail(d, ctx, rc);
}

enum mw_code
mw_db_bind(struct mw_db *d, struct mw_ctx *ctx, unsigned id,
    sqlite3_stmt **sp, const char *types, ...)
{
	enum mw_code code;
	va_list ap;

	va_start(ap, types);
	code = bind(d, ctx, id, types, ap);
	va_end(ap);
	*sp = d->stmt[id];
	return code;
}

enum mw_code
mw_db_step(struct mw_db *d, struct mw_ctx *ctx, sqlite3_stmt *st, bool *row)
{
	enum mw_code code = MW_OK;
	int rc = sqlite3_step(st);

	*row = rc == SQLITE_ROW;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		code = mw_db_fail(d, ctx, rc);
	if (rc != SQLITE_ROW)
		(void)sqlite3_reset(st);
	return code;
}

enum mw_code
mw_db_run(struct mw_db *d, struct mw_ctx *ctx, unsigned id, const char *types, ...)
{
	enum mw_code code;
	va_list ap;
	bool row;

	va_start(ap, types);
	code = bind(d, ctx, id, types, ap);
	va_end(ap);
	return code != MW_OK ? code : mw_db_step(d, ctx, d->stmt[id], &row);
}

enum mw_code
mw_db_texts(struct mw_db *d, struct mw_ctx *ctx, unsigned id,
    enum mw_code (*fn)(void *arg, const char *text), void *arg)
{
	sqlite3_stmt *st;
	enum mw_code code = mw_db_bind(d, ctx, id, &st, "");
	const char *text;
	bool found = true;

	while (code == MW_OK && (code = mw_db_step(d, ctx, st, &found)) == MW_OK && found) {
		if ((text = (const char *)sqlite3_column_text(st, 0)) != NULL)
			code = fn(arg, text);
	}
	if (code != MW_OK && found)
		(void)sqlite3_reset(st);
	return code;
}

/* ---- columns ---- */

const char *
mw_db_text(struct mw_arena *a, sqlite3_stmt *st, int col, bool *good)
{
	const char *s = (const char *)sqlite3_column_text(st, col);
	const char *copy;

	if (s == NULL)
		return NULL;
	if ((copy = mw_arena_strdup(a, s)) == NULL)
		*good = false;
	return copy;
}

void
mw_db_blob(sqlite3_stmt *st, int col, unsigned char *out, size_t n)
{
	if (sqlite3_column_bytes(st, col) == (int)n)
		memcpy(out, sqlite3_column_blob(st, col), n);
}

/* ---- the handle ---- */

enum mw_code
mw_db_init(struct mw_db *d, const struct mw_db_kind *kind, const char *state_path,
    struct mw_err *err)
{
	char *real = realpath(state_path, NULL);
	enum mw_code code = MW_OK;

	d->kind = kind;
	d->pid = getpid();
	(void)pthread_mutex_init(&d->mutex, NULL);
	/* SQLITE_OPEN_NOFOLLOW minds links in the whole path; ours may have some. */
	if (real == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "state.path %s: %s", state_path,
		    strerror(errno));
	if (asprintf(&d->path, "%s/%s.db", real, kind->name) < 0)
		d->path = NULL;
	if (asprintf(&d->lock_path, "%s/locks", real) < 0)
		d->lock_path = NULL;
	if (d->path == NULL || d->lock_path == NULL)
		code = mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	free(real);
	return code;
}

void
mw_db_close(struct mw_db *d)
{
	unsigned i;

	/* After a fork the connection is the parent's: to close it here would hurt it. */
	if (d->pid == getpid()) {
		for (i = 0; i < d->kind->nsql; i++)
			(void)sqlite3_finalize(d->stmt[i]);
		(void)sqlite3_close(d->handle);
	}
	(void)pthread_mutex_destroy(&d->mutex);
	free(d->path);
	free(d->lock_path);
}
