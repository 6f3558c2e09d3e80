/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An outbox in a directory of its own, for the tests of it.
 */
#ifndef MW_TESTS_OUTBOX_FIXTURE_H
#define MW_TESTS_OUTBOX_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/outbox.h"
#include "tap.h"

static char dir[32];
static int spool_dir;
static struct mw_shm *shm;
static struct mw_ctx ctx;

__attribute__((unused)) static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

__attribute__((unused)) static char *
in_dir(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* Nothing left from the test before. */
__attribute__((unused)) static void
fresh(void)
{
	struct mw_err err = { .code = MW_OK };

	mw_shm_close(shm);
	if (spool_dir > 0)
		(void)close(spool_dir);
	if (dir[0] != '\0')
		(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	(void)snprintf(dir, sizeof(dir), "/tmp/mw-outbox-XXXXXX");
	if (mkdtemp(dir) == NULL || mw_shm_open(dir, &shm, &err) != MW_OK ||
	    mw_spool_dir(dir, &spool_dir, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
}

/* A failure of the call before is not one of the next. */
__attribute__((unused)) static struct mw_ctx *
c(void)
{
	mw_err_clear(&ctx.err);
	ctx.deadline = mw_now() + 20000;
	mw_arena_reset(ctx.arena);
	return &ctx;
}

__attribute__((unused)) static struct mw_outbox *
open_box(struct mw_shm *s, int64_t max)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_outbox *o;

	if (mw_outbox_open(dir, s, max, &o, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return o;
}

__attribute__((unused)) static struct mw_spool
body(const char *text)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_spool s;

	if (mw_spool_begin(&s, spool_dir, &err) != MW_OK ||
	    mw_spool_add(&s, text, strlen(text), &err) != MW_OK ||
	    mw_spool_finish(&s, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return s;
}

__attribute__((unused)) static enum mw_code
put(struct mw_outbox *o, const char *user, const char *path, const char *text)
{
	struct mw_outbox_row row = { .user = user, .path = path, .store = "test",
	    .content_type = "text/plain", .mode = 0640, .mtime = 1234567890123 };
	struct mw_spool s = { .fd = -1 };
	enum mw_code code;

	if (text == NULL)
		return mw_outbox_put(o, c(), &row, NULL);
	s = body(text);
	code = mw_outbox_put(o, c(), &row, &s);
	mw_spool_drop(&s);
	return code;
}

/* What the row of a path says it holds: its body, "(deleted)" or "(none)". */
__attribute__((unused)) static const char *
holds(struct mw_outbox *o, const char *user, const char *path)
{
	static char text[256];
	const struct mw_outbox_row *row;
	ssize_t n;
	int fd;

	if (mw_outbox_find(o, c(), user, path, &row) != MW_OK)
		return ctx.err.msg;
	if (row == NULL)
		return "(none)";
	if (row->op == MW_OUTBOX_DELETE)
		return "(deleted)";
	if (mw_outbox_body(o, &ctx, row, &fd) != MW_OK)
		return ctx.err.msg;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

__attribute__((unused)) static unsigned
spool_files(void)
{
	const struct dirent *e;
	unsigned n = 0;
	DIR *d = opendir(in_dir("spool"));

	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	if (d != NULL)
		(void)closedir(d);
	return n;
}

__attribute__((unused)) static void
age(const char *name)
{
	struct timespec t[2] = { { .tv_sec = time(NULL) - 120 }, { .tv_sec = time(NULL) - 120 } };

	(void)utimensat(spool_dir, name, t, 0);
}

__attribute__((unused)) static void
age_all(void)
{
	const struct dirent *e;
	DIR *d = opendir(in_dir("spool"));

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			age(e->d_name);
	if (d != NULL)
		(void)closedir(d);
}

/* Before the first and after the last test. */
static void
begin(void)
{
	ctx.request_id = "test";
	ctx.arena = mw_arena_open(1 << 22);
}

static int
end(void)
{
	mw_arena_close(ctx.arena);
	mw_shm_close(shm);
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return done();
}

#endif
