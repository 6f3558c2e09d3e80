/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration's text: includes, and which line of which file a line is. */
#include "conf/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/token.h"

struct reader {
	struct mw_text *t;
	unsigned out;		/* line of the result being written */
	struct mw_err *err;
};

/* The file being read, and where in it we are. */
struct place {
	unsigned file;
	unsigned line;
};

struct mw_ident
mw_ident_of(const struct stat *st)
{
	struct mw_ident id;

	memset(&id, 0, sizeof(id));
	id.dev = st->st_dev;
	id.ino = st->st_ino;
	id.size = st->st_size;
	id.mtime = st->st_mtim;
	id.ctime = st->st_ctim;
	return id;
}

struct mw_ident
mw_ident_at(const char *path)
{
	struct stat st;
	struct mw_ident none;

	memset(&none, 0, sizeof(none));
	return stat(path, &st) == 0 ? mw_ident_of(&st) : none;
}

bool
mw_ident_same(const struct mw_ident *a, const struct mw_ident *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	    a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
	    a->ctime.tv_sec == b->ctime.tv_sec && a->ctime.tv_nsec == b->ctime.tv_nsec;
}

bool
mw_ident_fresh(const struct mw_ident *id)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return false;
	return now.tv_sec - id->ctime.tv_sec <= 1 && id->ctime.tv_sec - now.tv_sec <= 1;
}

static enum mw_code
fail_at(const struct reader *r, const struct place *at, const char *text)
{
	return mw_fail(r->err, MW_INTERNAL_ERROR, "%s:%u: %s",
	    r->t->file[at->file].path, at->line, text);
}

static enum mw_code
emit(struct reader *r, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		r->out += p[i] == '\n';
	if (!mw_buf_add(&r->t->buf, p, n))
		return mw_fail(r->err, MW_INTERNAL_ERROR,
		    "%s: more than %d bytes, or out of memory", r->t->file[0].path, MW_TEXT_MAX);
	return MW_OK;
}

/* A number, with L if it needs 64 bits and does not say so. */
static enum mw_code
emit_number(struct reader *r, const struct place *at, const struct mw_token *k)
{
	bool hex = k->n > 2 && (k->p[1] == 'x' || k->p[1] == 'X');
	const char *p = k->p + (hex ? 2 : 0), *end = k->p + k->n, *rest;
	size_t digits;
	enum mw_code code = emit(r, k->p, k->n);

	while (p < end && *p == '0')
		p++;
	digits = mw_token_span(p, end, hex ? isxdigit : isdigit);
	rest = p + digits;
	if (code != MW_OK || (rest < end && *rest != 'L'))
		return code;		/* a float, or for libconfig to refuse */
	if (digits > (hex ? 15 : 18))
		return fail_at(r, at, "the number is too large");
	return rest == end && digits >= (hex ? 8 : 10) ? emit(r, "L", 1) : MW_OK;
}

enum mw_code
mw_text_slurp(int fd, const char *path, struct mw_buf *buf, struct mw_err *err)
{
	ssize_t n;

	do {
		if (!mw_buf_room(buf, 4096))
			return mw_fail(err, MW_INTERNAL_ERROR,
			    "%s: more than %zu bytes, or out of memory", path, buf->max);
		n = read(fd, buf->data + buf->len, 4096);
		if (n < 0 && errno != EINTR)
			return mw_fail(err, MW_INTERNAL_ERROR, "cannot read %s: %s", path,
			    strerror(errno));
		if (n > 0)
			buf->len += (size_t)n;
	} while (n != 0);
	if (buf->len > 0 && memchr(buf->data, '\0', buf->len) != NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s: holds a NUL byte", path);
	return MW_OK;
}

/* Opened without blocking: a FIFO in a file's place must not hang a responder. */
static enum mw_code
read_file(struct mw_text *t, unsigned file, struct mw_buf *buf, struct mw_err *err)
{
	const char *path = t->file[file].path;
	struct stat st;
	enum mw_code code;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "cannot open %s: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0) {
		code = mw_fail(err, MW_INTERNAL_ERROR, "cannot stat %s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) {
		code = mw_fail(err, MW_INTERNAL_ERROR, "%s: not a regular file", path);
	} else {
		t->file[file].id = mw_ident_of(&st);
		code = mw_text_slurp(fd, path, buf, err);
	}
	(void)close(fd);
	return code;
}

/* `name` as the file `from` means it: relative to that file's directory. */
static char *
resolve(const char *from, const char *name, size_t n)
{
	const char *slash = strrchr(from, '/');
	size_t dir = n > 0 && name[0] != '/' && slash != NULL ? (size_t)(slash + 1 - from) : 0;
	char *path = malloc(dir + n + 1);

	if (path != NULL) {
		memcpy(path, from, dir);
		memcpy(path + dir, name, n);
		path[dir + n] = '\0';
	}
	return path;
}

/* From here on the result's lines are those of `at`. */
static void
mark(struct reader *r, const struct place *at)
{
	struct mw_text *t = r->t;

	if (t->nrun < sizeof(t->run) / sizeof(t->run[0]))
		t->run[t->nrun++] = (struct mw_text_run){ r->out, at->file, at->line };
}

static enum mw_code add_file(struct reader *r, char *path, const struct place *from);

/* @include "FILE" at p; *used is its length, 0 if it is something else. */
static enum mw_code
include(struct reader *r, const struct place *at, const char *p, const char *end, size_t *used)
{
	static const char word[] = "@include";
	const char *s = p + sizeof(word) - 1, *quote;
	struct mw_text *t = r->t;
	enum mw_code code;

	*used = 0;
	if ((size_t)(end - p) < sizeof(word) || memcmp(p, word, sizeof(word) - 1) != 0)
		return MW_OK;
	s += mw_token_span(s, end, mw_token_blank);
	if (s == end || *s != '"')
		return MW_OK;
	s++;
	quote = memchr(s, '"', (size_t)(end - s));
	if (quote == NULL || memchr(s, '\n', (size_t)(quote - s)) != NULL)
		return MW_OK;
	*used = (size_t)(quote + 1 - p);
	code = add_file(r, resolve(t->file[at->file].path, s, (size_t)(quote - s)), at);
	if (code == MW_OK && t->buf.len > 0 && t->buf.data[t->buf.len - 1] != '\n')
		code = emit(r, "\n", 1);
	mark(r, at);
	return code;
}

static enum mw_code
copy_text(struct reader *r, struct place *at, const char *p, const char *end)
{
	enum mw_code code = MW_OK;
	struct mw_token k;
	bool line_start = true;
	size_t i, used;

	for (; p < end && code == MW_OK; p += k.n) {
		k = mw_token_next(p, end, false);
		if (k.kind == MW_TOKEN_OPEN) {
			/* The rest is kept for mw_text_state_path(). */
			code = emit(r, p, (size_t)(end - p));
			return code != MW_OK ? code : fail_at(r, at,
			    *p == '"' ? "this string does not end" : "this comment does not end");
		}
		used = 0;
		if (line_start && *p == '@')
			code = include(r, at, p, end, &used);
		if (used > 0)
			k.n = used;
		else if (k.kind == MW_TOKEN_NUMBER)
			code = emit_number(r, at, &k);
		else if (code == MW_OK)
			code = emit(r, p, k.n);
		for (i = 0; i < k.n; i++)
			at->line += p[i] == '\n';
		line_start = k.kind == MW_TOKEN_NEWLINE || (line_start && mw_token_blank((unsigned char)*p));
	}
	return code;
}

/* Takes `path` over. */
static enum mw_code
add_file(struct reader *r, char *path, const struct place *from)
{
	struct mw_text *t = r->t;
	struct place at = { t->nfile, 1 };
	struct mw_err why = { .code = MW_OK };
	struct mw_buf buf;
	enum mw_code code;

	if (path == NULL)
		return mw_fail(r->err, MW_INTERNAL_ERROR, "out of memory");
	if (t->nfile == MW_TEXT_FILES) {
		free(path);
		return fail_at(r, from, "too many included files");
	}
	t->file[t->nfile++].path = path;
	mw_buf_init(&buf, MW_TEXT_MAX);
	code = read_file(t, at.file, &buf, &why);
	if (code != MW_OK && from != NULL)
		code = fail_at(r, from, why.msg);
	else if (code != MW_OK)
		code = mw_fail(r->err, code, "%s", why.msg);
	mark(r, &at);
	if (code == MW_OK && buf.len > 0)
		code = copy_text(r, &at, buf.data, buf.data + buf.len);
	mw_buf_free(&buf);
	return code;
}

enum mw_code
mw_text_read(struct mw_text *t, const char *path, struct mw_err *err)
{
	struct reader r = { t, 1, err };
	enum mw_code code;

	memset(t, 0, sizeof(*t));
	mw_buf_init(&t->buf, MW_TEXT_MAX);
	code = add_file(&r, strdup(path), NULL);
	/* libconfig wants one after a comment. */
	if (code == MW_OK && t->buf.len > 0 && t->buf.data[t->buf.len - 1] != '\n')
		code = emit(&r, "\n", 1);
	return code;
}

void
mw_text_free(struct mw_text *t)
{
	unsigned i;

	for (i = 0; i < t->nfile; i++)
		free(t->file[i].path);
	mw_buf_free(&t->buf);
	memset(t, 0, sizeof(*t));
}

void
mw_text_where(const struct mw_text *t, unsigned out, const char **file, unsigned *line)
{
	const struct mw_text_run *run = &t->run[0];
	unsigned i;

	for (i = 0; i < t->nrun && t->run[i].out <= out; i++)
		run = &t->run[i];
	*file = t->file[run->file].path;
	*line = run->line + (out - run->out);
}

char *
mw_text_state_path(const struct mw_text *t)
{
	const char *p = t->buf.data, *end = p == NULL ? p : p + t->buf.len;
	struct mw_token k, name = { MW_TOKEN_NAME, "", 0 };
	unsigned depth = 0, state = 0;	/* braces open; as many inside state, 0 = not there */

	for (; p < end; p += k.n) {
		k = mw_token_next(p, end, true);
		if (k.kind == MW_TOKEN_NAME) {
			name = k;
		} else if (mw_token_is(&k, "{")) {
			/* At any depth: a broken text may have lost its braces. */
			depth++;
			if (state == 0 && mw_token_is(&name, "state"))
				state = depth;
		} else if (mw_token_is(&k, "}")) {
			if (depth == state)
				state = 0;
			depth -= depth > 0;
		} else if (k.kind == MW_TOKEN_STRING && state > 0 && depth == state && mw_token_is(&name, "path")) {
			return memchr(k.p, '\\', k.n) != NULL ? NULL : strndup(k.p + 1, k.n - 2);
		}
	}
	return NULL;
}
