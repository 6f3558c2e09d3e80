/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows in memory, runs on disk, and their merging. */
#include "ops/sync/sorted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/path.h"
#include "base/tmpfile.h"

#define READ_BUFFER 16384	/* of each run; a row is smaller */
#define TAG_MAX 4096		/* the longest target of a link */
#define RUNS_MAX 4096

/* A row as it lies in memory and in the file; path and tag follow, each with its NUL. */
struct packed {
	uint32_t length;		/* of all of it */
	uint32_t path_length;		/* with the NUL */
	int64_t size, mtime, r2_size, set_mtime;
	int32_t mode;
	unsigned char type, act, racy, has_md5, r2_as_was;
	unsigned char md5[16];
};

_Static_assert(READ_BUFFER > sizeof(struct packed) + MW_PATH_MAX + TAG_MAX + 2, "a row fits");

struct run {
	int64_t at, end;		/* what of it is still to be read from the file */
	char *buf;
	size_t pos, len;		/* read and not yet taken: buf[pos..len) */
};

struct mw_sorted {
	int dirfd, fd;
	size_t memory, count;
	struct mw_buf data;		/* rows that are in no run */
	uint32_t *index;		/* of them, sorted */
	size_t n, next;
	struct run *runs;
	size_t nruns;
	int64_t file_size;
	struct mw_row row;		/* given out */
	char held[READ_BUFFER];		/* its strings, when it comes from a run */
};

struct mw_sorted *
mw_sorted_open(int dirfd, size_t memory)
{
	struct mw_sorted *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->dirfd = dirfd;
	r->fd = -1;
	r->memory = memory;
	mw_buf_init(&r->data, memory + READ_BUFFER);
	return r;
}

void
mw_sorted_reset(struct mw_sorted *r)
{
	size_t i;

	for (i = 0; i < r->nruns; i++)
		free(r->runs[i].buf);
	free(r->runs);
	free(r->index);
	mw_buf_free(&r->data);
	mw_buf_init(&r->data, r->memory + READ_BUFFER);
	if (r->fd >= 0)
		(void)close(r->fd);
	r->fd = -1;
	r->runs = NULL;
	r->index = NULL;
	r->nruns = r->n = r->next = r->count = 0;
	r->file_size = 0;
}

void
mw_sorted_close(struct mw_sorted *r)
{
	if (r == NULL)
		return;
	mw_sorted_reset(r);
	mw_buf_free(&r->data);
	free(r);
}

size_t
mw_sorted_count(const struct mw_sorted *r)
{
	return r->count;
}

static enum mw_code
nomem(struct mw_err *err)
{
	return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
}

/* ---- rows in memory ---- */

static const char *
packed_path(const char *p)
{
	return p + sizeof(struct packed);
}

static int
by_path(const void *a, const void *b, void *data)
{
	const char *base = data;

	return strcmp(packed_path(base + *(const uint32_t *)a),
	    packed_path(base + *(const uint32_t *)b));
}

static enum mw_code
sort(struct mw_sorted *r, struct mw_err *err)
{
	struct packed head;
	uint32_t *index;
	size_t at, n = 0;

	for (at = 0; at < r->data.len; at += head.length, n++)
		memcpy(&head, r->data.data + at, sizeof(head));
	if ((index = reallocarray(r->index, n + 1, sizeof(*index))) == NULL)
		return nomem(err);
	r->index = index;
	for (at = 0, n = 0; at < r->data.len; at += head.length, n++) {
		memcpy(&head, r->data.data + at, sizeof(head));
		index[n] = (uint32_t)at;
	}
	r->n = n;
	if (n > 1)
		qsort_r(index, n, sizeof(*index), by_path, r->data.data);
	return MW_OK;
}

static void
unpack(struct mw_sorted *r, const char *p)
{
	struct packed head;

	memcpy(&head, p, sizeof(head));
	r->row = (struct mw_row){
		.path = packed_path(p), .tag = packed_path(p) + head.path_length,
		.size = head.size, .mtime = head.mtime, .mode = head.mode,
		.r2_size = head.r2_size, .set_mtime = head.set_mtime,
		.type = (enum mw_file_type)head.type, .act = head.act,
		.racy = head.racy != 0, .has_md5 = head.has_md5 != 0,
		.r2_as_was = head.r2_as_was != 0,
	};
	memcpy(r->row.md5, head.md5, sizeof(head.md5));
}

/* ---- runs ---- */

static enum mw_code
open_file(struct mw_sorted *r, struct mw_err *err)
{
	char name[MW_TMPNAME_LEN];
	enum mw_code code;

	if (r->fd >= 0)
		return MW_OK;
	if ((code = mw_tmpfile(r->dirfd, 0600, name, &r->fd, err)) == MW_OK)
		(void)unlinkat(r->dirfd, name, 0);
	return code;
}

/* What is in memory becomes the file's last run. */
static enum mw_code
spill(struct mw_sorted *r, struct mw_err *err)
{
	struct packed head;
	struct run *runs;
	enum mw_code code;
	int64_t begin = r->file_size;
	size_t i;

	if (r->nruns == RUNS_MAX)
		return mw_fail(err, MW_STORAGE_FULL, "too many files to compare");
	if ((code = open_file(r, err)) != MW_OK || (code = sort(r, err)) != MW_OK)
		return code;
	if ((runs = reallocarray(r->runs, r->nruns + 1, sizeof(*runs))) == NULL)
		return nomem(err);
	r->runs = runs;
	for (i = 0; i < r->n; i++) {
		memcpy(&head, r->data.data + r->index[i], sizeof(head));
		code = mw_write_all(r->fd, r->data.data + r->index[i], head.length, err);
		if (code != MW_OK)
			return code;
		r->file_size += head.length;
	}
	runs[r->nruns++] = (struct run){ .at = begin, .end = r->file_size };
	mw_buf_reset(&r->data);
	r->n = 0;
	return MW_OK;
}

/* Have the run's next row whole in its buffer, if there is one. */
static enum mw_code
fill(struct mw_sorted *r, struct run *run, struct mw_err *err)
{
	struct packed head = { .length = 0 };
	size_t have = run->len - run->pos, want;
	ssize_t n;

	if (have >= sizeof(head))
		memcpy(&head, run->buf + run->pos, sizeof(head));
	if ((have >= sizeof(head) && have >= head.length) || run->at == run->end)
		return MW_OK;
	memmove(run->buf, run->buf + run->pos, have);
	run->pos = 0;
	run->len = have;
	while (run->len < READ_BUFFER && run->at < run->end) {
		want = READ_BUFFER - run->len;
		if ((int64_t)want > run->end - run->at)
			want = (size_t)(run->end - run->at);
		n = pread(r->fd, run->buf + run->len, want, run->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return mw_fail(err, MW_INTERNAL_ERROR, "rows cannot be read back: %s",
			    n < 0 ? strerror(errno) : "the file is short");
		run->len += (size_t)n;
		run->at += n;
	}
	return MW_OK;
}

static enum mw_code
rewind_runs(struct mw_sorted *r, struct mw_err *err)
{
	enum mw_code code = MW_OK;
	int64_t begin = 0;
	size_t i;

	for (i = 0; i < r->nruns && code == MW_OK; i++) {
		struct run *run = &r->runs[i];

		run->at = begin;
		begin = run->end;
		run->pos = run->len = 0;
		if (run->buf == NULL && (run->buf = malloc(READ_BUFFER)) == NULL)
			return nomem(err);
		code = fill(r, run, err);
	}
	return code;
}

/* ---- the whole ---- */

enum mw_code
mw_sorted_add(struct mw_sorted *r, const struct mw_row *row, struct mw_err *err)
{
	size_t path = strlen(row->path) + 1, tag = strlen(row->tag) + 1;
	struct packed head = {
		.length = (uint32_t)(sizeof(head) + path + tag), .path_length = (uint32_t)path,
		.size = row->size, .mtime = row->mtime, .mode = row->mode,
		.r2_size = row->r2_size, .set_mtime = row->set_mtime,
		.type = (unsigned char)row->type, .act = row->act, .racy = row->racy,
		.has_md5 = row->has_md5, .r2_as_was = row->r2_as_was,
	};
	enum mw_code code;

	if (path > MW_PATH_MAX + 1 || tag > TAG_MAX + 1)
		return mw_fail(err, MW_INTERNAL_ERROR, "a row is too long");
	if (r->data.len + head.length > r->memory && r->data.len > 0 &&
	    (code = spill(r, err)) != MW_OK)
		return code;
	memcpy(head.md5, row->md5, sizeof(head.md5));
	if (!mw_buf_add(&r->data, &head, sizeof(head)) ||
	    !mw_buf_add(&r->data, row->path, path) || !mw_buf_add(&r->data, row->tag, tag))
		return nomem(err);
	r->count++;
	return MW_OK;
}

enum mw_code
mw_sorted_rewind(struct mw_sorted *r, struct mw_err *err)
{
	enum mw_code code;

	r->next = 0;
	if ((code = sort(r, err)) != MW_OK)
		return code;
	return rewind_runs(r, err);
}

/* The run with the smallest path, or NULL; there are few of them. */
static struct run *
smallest(struct mw_sorted *r)
{
	struct run *best = NULL;
	size_t i;

	for (i = 0; i < r->nruns; i++) {
		struct run *run = &r->runs[i];

		if (run->pos < run->len && (best == NULL ||
		    strcmp(packed_path(run->buf + run->pos),
		    packed_path(best->buf + best->pos)) < 0))
			best = run;
	}
	return best;
}

enum mw_code
mw_sorted_next(struct mw_sorted *r, const struct mw_row **row, struct mw_err *err)
{
	struct run *run = smallest(r);
	const char *own = r->next < r->n ? r->data.data + r->index[r->next] : NULL;
	struct packed head;

	*row = NULL;
	if (own == NULL && run == NULL)
		return MW_OK;
	*row = &r->row;
	if (run == NULL || (own != NULL &&
	    strcmp(packed_path(own), packed_path(run->buf + run->pos)) <= 0)) {
		r->next++;
		unpack(r, own);
		return MW_OK;
	}
	memcpy(&head, run->buf + run->pos, sizeof(head));
	memcpy(r->held, run->buf + run->pos, head.length);
	unpack(r, r->held);
	run->pos += head.length;
	return fill(r, run, err);
}
