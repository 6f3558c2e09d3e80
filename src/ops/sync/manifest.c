/* SPDX-License-Identifier: BSD-2-Clause */
/* The manifest: reading, checking and writing it. */
#include "ops/sync/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "base/str.h"
#include "base/utf8.h"
#include "app/names.h"
#include "app/object.h"

#define HEAD "moltworker-manifest 1"
#define FIELDS 7
#define TARGET_MAX 4095
#define SECONDS_MAX (INT64_MAX / 2)

/* ---- one line ---- */

static bool
octal(const char *s, int *out)
{
	int v = 0;

	if (*s == '\0' || strlen(s) > 4)
		return false;
	for (; *s >= '0' && *s <= '7'; s++)
		v = v * 8 + (*s - '0');
	*out = v;
	return *s == '\0';
}

static bool
clean(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	}
	return true;
}

static bool
path_good(const char *path)
{
	struct mw_err bad = { .code = MW_OK };
	char out[MW_PATH_MAX + 1];

	return mw_path_parse(path, strlen(path), 0, out, &bad) == MW_OK && strcmp(out, path) == 0;
}

static bool
type_of(const char *s, struct mw_row *row)
{
	if (s[0] == '\0' || s[1] != '\0')
		return false;
	row->racy = s[0] == 'r';
	row->type = s[0] == 'd' ? MW_FT_DIR : s[0] == 'l' ? MW_FT_SYMLINK : MW_FT_FILE;
	return strchr("frdl", s[0]) != NULL;
}

bool
mw_manifest_parse(char *line, struct mw_row *row)
{
	char *field[FIELDS], *p = line;
	int i;

	memset(row, 0, sizeof(*row));
	for (i = 0; i < FIELDS; i++) {
		field[i] = p;
		p += strcspn(p, "\t");
		if ((*p == '\0') != (i == FIELDS - 1))
			return false;
		*p++ = '\0';
	}
	row->tag = field[5];
	row->path = field[6];
	row->has_md5 = field[4][0] != '\0';
	return type_of(field[0], row) && octal(field[1], &row->mode) &&
	    mw_str_int(field[2], strlen(field[2]), -SECONDS_MAX, SECONDS_MAX, &row->mtime) &&
	    mw_str_uint(field[3], strlen(field[3]), INT64_MAX, &row->size) &&
	    (!row->has_md5 || (strlen(field[4]) == 32 && mw_str_unhex(field[4], 32, row->md5))) &&
	    clean(row->tag) && strlen(row->tag) <= TARGET_MAX &&
	    (row->type != MW_FT_SYMLINK || row->tag[0] != '\0') && path_good(row->path);
}

/* ---- reading ---- */

void
mw_manifest_none(struct mw_manifest *m)
{
	memset(m, 0, sizeof(*m));
	m->spool.fd = -1;
}

void
mw_manifest_close(struct mw_manifest *m)
{
	mw_spool_drop(&m->spool);
}

void
mw_manifest_rewind(struct mw_manifest *m)
{
	m->at = m->count = 0;
	m->pos = m->len = 0;
	m->last[0] = '\0';
}

/* The next line, without its newline; NULL: there is none, or it is too long. */
static char *
next_line(struct mw_manifest *m)
{
	char *end, *line;
	ssize_t n;

	for (;;) {
		end = memchr(m->buf + m->pos, '\n', m->len - m->pos);
		if (end != NULL)
			break;
		memmove(m->buf, m->buf + m->pos, m->len - m->pos);
		m->len -= m->pos;
		m->pos = 0;
		n = pread(m->spool.fd, m->buf + m->len, sizeof(m->buf) - m->len, m->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		m->at += n;
		m->len += (size_t)n;
	}
	line = m->buf + m->pos;
	*end = '\0';
	m->pos = (size_t)(end + 1 - m->buf);
	return strlen(line) == (size_t)(end - line) ? line : NULL;
}

/* An entry, or the end (row NULL); false: damaged. */
static bool
entry(struct mw_manifest *m, const struct mw_row **row)
{
	char *line, end[40];

	*row = NULL;
	if (m->at == 0 && ((line = next_line(m)) == NULL || strcmp(line, HEAD) != 0))
		return false;
	if ((line = next_line(m)) == NULL)
		return false;
	(void)snprintf(end, sizeof(end), "end\t%lld", (long long)m->count);
	if (strcmp(line, end) == 0)
		return true;
	if (!mw_manifest_parse(line, &m->row) || strcmp(m->row.path, m->last) <= 0)
		return false;
	(void)snprintf(m->last, sizeof(m->last), "%s", m->row.path);
	m->count++;
	*row = &m->row;
	return true;
}

const struct mw_row *
mw_manifest_next(struct mw_manifest *m)
{
	const struct mw_row *row;

	return m->spool.fd >= 0 && entry(m, &row) ? row : NULL;
}

static bool
whole(struct mw_manifest *m)
{
	const struct mw_row *row;

	do {
		if (!entry(m, &row))
			return false;
	} while (row != NULL);
	return true;
}

enum mw_code
mw_manifest_open(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    struct mw_manifest *m)
{
	char *key = mw_store_key(app->conf, ctx->arena, user, MW_NAME_MANIFEST);
	struct mw_object obj;
	enum mw_code code;

	mw_manifest_none(m);
	if (key == NULL)
		return mw_ctx_nomem(ctx);
	code = mw_object_get(app, ctx, key, NULL, &m->spool, &obj);
	/* It is only a memory: without it everything is compared. */
	if (code == MW_FILE_NOT_FOUND || code == MW_FILE_TOO_LARGE || ctx->err.object) {
		if (code != MW_FILE_NOT_FOUND)
			mw_log(MW_ERROR, "[SYNC] userId=%s: going on without %s: %s", user,
			    MW_NAME_MANIFEST, ctx->err.msg);
		mw_err_clear(&ctx->err);
		mw_spool_drop(&m->spool);
		return MW_OK;
	}
	if (code != MW_OK)
		return code;
	m->etag = obj.etag;
	if (!whole(m)) {
		mw_log(MW_ERROR, "[SYNC] userId=%s: %s is damaged at entry %lld: going on "
		    "without it", user, MW_NAME_MANIFEST, (long long)m->count + 1);
		mw_spool_drop(&m->spool);
	}
	mw_manifest_rewind(m);
	return MW_OK;
}

/* ---- writing ---- */

static enum mw_code
add_line(struct mw_manifest_out *o, const char *line, int n, size_t size, struct mw_err *err)
{
	if (n < 0 || (size_t)n >= size)
		return mw_fail(err, MW_INTERNAL_ERROR, "an entry of the manifest is too long");
	return mw_spool_add(&o->spool, line, (size_t)n, err);
}

enum mw_code
mw_manifest_begin(struct mw_manifest_out *o, int spool_dir, struct mw_err *err)
{
	enum mw_code code = mw_spool_begin(&o->spool, spool_dir, err);

	o->count = 0;
	return code == MW_OK ? mw_spool_add(&o->spool, HEAD "\n", sizeof(HEAD), err) : code;
}

int
mw_manifest_line(const struct mw_row *row, char *out, size_t size)
{
	const char *type = row->type == MW_FT_DIR ? "d" : row->type == MW_FT_SYMLINK ? "l" :
	    row->racy ? "r" : "f";
	char hex[33] = "";

	if (row->has_md5)
		mw_str_hex(row->md5, sizeof(row->md5), hex);
	return snprintf(out, size, "%s\t%04o\t%lld\t%lld\t%s\t%s\t%s\n", type,
	    (unsigned)(row->mode < 0 ? 0644 : row->mode) & 07777, (long long)row->mtime,
	    (long long)row->size, hex, row->tag, row->path);
}

enum mw_code
mw_manifest_add(struct mw_manifest_out *o, const struct mw_row *row, struct mw_err *err)
{
	char line[MW_MANIFEST_LINE];

	o->count++;
	return add_line(o, line, mw_manifest_line(row, line, sizeof(line)), sizeof(line), err);
}

enum mw_code
mw_manifest_put(struct mw_manifest_out *o, struct mw_app *app, struct mw_ctx *ctx,
    const char *user, const struct mw_manifest *old)
{
	char *key = mw_store_key(app->conf, ctx->arena, user, MW_NAME_MANIFEST);
	char line[40];
	int n = snprintf(line, sizeof(line), "end\t%lld\n", (long long)o->count);
	enum mw_code code;

	if (key == NULL)
		return mw_ctx_nomem(ctx);
	if ((code = add_line(o, line, n, sizeof(line), &ctx->err)) != MW_OK ||
	    (code = mw_spool_finish(&o->spool, &ctx->err)) != MW_OK)
		return code;
	if (old->spool.fd >= 0 && old->spool.size == o->spool.size &&
	    memcmp(old->spool.md5, o->spool.md5, sizeof(o->spool.md5)) == 0)
		return MW_OK;
	return mw_object_put_spool(app, ctx, key, &o->spool, "text/plain");
}
