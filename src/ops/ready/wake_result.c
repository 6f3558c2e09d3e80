/* SPDX-License-Identifier: BSD-2-Clause */
/* The record of a wake: how it ended, or how far it is, for other processes. */
#include "ops/ready/wake_result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "base/tmpfile.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"

#define DIRECTORY "wakes"
#define FILE_MAX (MW_OUTCOME_LOG + 1024)
#define DETAILS_MAX (6 * (MW_OUTCOME_LOG + 1024))	/* escaped */
#define NUMBERS 6

const char *const mw_phase_words[MW_PHASE_COUNT] = {
	[MW_PHASE_NONE] = "none", [MW_PHASE_SANDBOX_START] = "sandbox_start",
	[MW_PHASE_RESTORE] = "restore", [MW_PHASE_GATEWAY_START] = "gateway_start",
	[MW_PHASE_PROBE] = "probe",
};

/* ---- text: a line of numbers, a line of text, the log ---- */

bool
mw_wake_result_write(const struct mw_wake_result *o, struct mw_buf *b)
{
	return mw_buf_addf(b, "%u %d %d %d %lld %u\n", o->gen, (int)o->code, (int)o->level,
	    (int)o->phase, (long long)o->limit, o->retry_after) &&
	    mw_buf_adds(b, o->text) && mw_buf_addc(b, '\n') &&
	    (o->log == NULL || mw_buf_adds(b, o->log));
}

static bool
read_numbers(const char *s, size_t n, int64_t v[NUMBERS])
{
	static const int64_t max[NUMBERS] = {
		UINT32_MAX, MW_CODE_COUNT - 1, MW_LEVEL_GATEWAY, MW_PHASE_COUNT - 1,
		INT64_MAX, UINT32_MAX
	};
	const char *end = s + n, *stop;
	int i;

	for (i = 0; i < NUMBERS; i++) {
		stop = i + 1 < NUMBERS ? memchr(s, ' ', (size_t)(end - s)) : end;
		if (stop == NULL || !mw_str_uint(s, (size_t)(stop - s), max[i], &v[i]))
			return false;
		s = stop + 1;
	}
	return true;
}

bool
mw_wake_result_read(struct mw_arena *a, const char *s, size_t n, struct mw_wake_result *o)
{
	const char *first = n > 0 ? memchr(s, '\n', n) : NULL, *second;
	int64_t v[NUMBERS];
	size_t left;

	memset(o, 0, sizeof(*o));
	if (first == NULL || !read_numbers(s, (size_t)(first - s), v))
		return false;
	left = n - (size_t)(first + 1 - s);
	second = left > 0 ? memchr(first + 1, '\n', left) : NULL;
	if (second == NULL || (size_t)(second - first) > sizeof(o->text))
		return false;
	*o = (struct mw_wake_result){ .gen = (uint32_t)v[0], .code = (enum mw_code)v[1],
	    .level = (enum mw_level)v[2], .phase = (enum mw_phase)v[3], .limit = v[4],
	    .retry_after = (unsigned)v[5] };
	memcpy(o->text, first + 1, (size_t)(second - first - 1));
	left = n - (size_t)(second + 1 - s);
	if (left > 0)
		o->log = mw_arena_dup(a, second + 1, left);
	return left == 0 || o->log != NULL;
}

/* ---- the file ---- */

static int
open_dir(struct mw_app *app, bool make)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/" DIRECTORY, app->state_path);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	if (make && mkdir(path, 0700) != 0 && errno != EEXIST)
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static enum mw_code
put_file(int dir, const char *user, const struct mw_buf *b, struct mw_err *err)
{
	char name[MW_TMPNAME_LEN];
	enum mw_code code;
	int fd;

	if ((code = mw_tmpfile(dir, 0600, name, &fd, err)) != MW_OK)
		return code;
	code = mw_write_all(fd, b->data, b->len, err);
	if (code == MW_OK && renameat(dir, name, dir, user) != 0)
		code = mw_fail(err, MW_INTERNAL_ERROR, "rename: %s", strerror(errno));
	if (code != MW_OK)
		(void)unlinkat(dir, name, 0);
	(void)close(fd);
	return code;
}

void
mw_wake_result_save(struct mw_app *app, const char *user, const struct mw_wake_result *o)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_buf b;
	int dir = open_dir(app, true);

	mw_buf_init(&b, FILE_MAX);
	if (dir < 0)
		(void)mw_fail(&err, MW_INTERNAL_ERROR, "%s", strerror(errno));
	else if (!mw_wake_result_write(o, &b))
		(void)mw_fail(&err, MW_INTERNAL_ERROR, "too long");
	else
		(void)put_file(dir, user, &b, &err);
	if (err.code != MW_OK)
		mw_log(MW_ERROR, "%s/" DIRECTORY "/%s: %s", app->state_path, user, err.msg);
	mw_buf_free(&b);
	if (dir >= 0)
		(void)close(dir);
}

bool
mw_wake_result_load(struct mw_app *app, struct mw_ctx *ctx, const char *user, struct mw_wake_result *o)
{
	int dir = open_dir(app, false), fd;
	char text[FILE_MAX];
	ssize_t n = -1;

	if (dir < 0)
		return false;
	fd = openat(dir, user, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	(void)close(dir);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text));
	(void)close(fd);
	return n > 0 && mw_wake_result_read(ctx->arena, text, (size_t)n, o);
}

void
mw_wake_result_forget(struct mw_app *app, const char *user)
{
	int dir = open_dir(app, false);

	if (dir < 0)
		return;
	(void)unlinkat(dir, user, 0);
	(void)close(dir);
}

/* ---- as a failure ---- */

int64_t
mw_add_lines(struct mw_buf *b, struct mw_arena *arena, const char *s)
{
	int64_t count = 0;
	char *line;
	size_t n;

	for (; *s != '\0'; s += n + (s[n] == '\n')) {
		n = strcspn(s, "\n");
		if ((line = mw_arena_dup(arena, s, n)) == NULL)
			break;
		mw_utf8_clean(line, n, '?');
		(void)mw_json_add_text(b, NULL, line, n);
		count++;
	}
	return count;
}

enum mw_code
mw_wake_result_fail(struct mw_ctx *ctx, const struct mw_wake_result *o)
{
	struct mw_buf b;

	mw_err_clear(&ctx->err);
	(void)mw_ctx_fail(ctx, o->code, "%s", o->text);
	ctx->err.retry_after = o->retry_after;
	mw_buf_init(&b, DETAILS_MAX);
	(void)mw_json_open(&b, NULL, '{');
	(void)mw_json_add(&b, "phase", mw_phase_words[o->phase]);
	if (o->log != NULL) {
		(void)mw_json_open(&b, "log", '[');
		(void)mw_add_lines(&b, ctx->arena, o->log);
		(void)mw_json_close(&b, ']');
	}
	if (mw_json_close(&b, '}'))
		ctx->err.details = mw_arena_strdup(ctx->arena, b.data);
	mw_buf_free(&b);
	return o->code;
}
