/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a line of a sync's manifest: what is taken is within its bounds, and
 * written again it is taken as the same.  The same bytes as a whole manifest: its
 * entries come in order, the same ones each time, and it always ends.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/manifest.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/path.h"
#include "ops/sync/manifest.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool good)
{
	if (!good)
		abort();
}

static int
file_of(const void *p, size_t n)
{
	int fd = memfd_create("manifest", MFD_CLOEXEC);

	must(fd >= 0 && (n == 0 || pwrite(fd, p, n, 0) == (ssize_t)n));
	return fd;
}

static bool
equal(const struct mw_row *a, const struct mw_row *b)
{
	return strcmp(a->path, b->path) == 0 && strcmp(a->tag, b->tag) == 0 &&
	    a->size == b->size && a->mtime == b->mtime && a->mode == b->mode &&
	    a->type == b->type && a->racy == b->racy && a->has_md5 == b->has_md5 &&
	    (!a->has_md5 || memcmp(a->md5, b->md5, sizeof(a->md5)) == 0);
}

static void
check_line(const unsigned char *data, size_t size)
{
	char *line = malloc(size + 1), again[MW_MANIFEST_LINE];
	struct mw_row row, twin;
	int n;

	must(line != NULL);
	memcpy(line, data, size);
	line[size] = '\0';
	if (mw_manifest_parse(line, &row)) {
		must(strlen(row.path) <= MW_PATH_MAX && row.size >= 0);
		must(row.mode >= 0 && row.mode <= 07777);
		must(row.type != MW_FT_SYMLINK || row.tag[0] != '\0');
		must(!row.racy || row.type == MW_FT_FILE);
		n = mw_manifest_line(&row, again, sizeof(again));
		must(n > 0 && n < (int)sizeof(again) && again[n - 1] == '\n');
		again[n - 1] = '\0';
		must(strchr(again, '\n') == NULL && mw_manifest_parse(again, &twin));
		must(equal(&row, &twin));
	}
	free(line);
}

static int64_t
count(struct mw_manifest *m)
{
	char last[MW_PATH_MAX + 1] = "";
	const struct mw_row *row;
	int64_t n = 0;

	for (; (row = mw_manifest_next(m)) != NULL; n++) {
		must(strcmp(last, row->path) < 0);
		(void)strncpy(last, row->path, sizeof(last) - 1);
	}
	return n;
}

static void
check_whole(const unsigned char *data, size_t size)
{
	static struct mw_manifest m;
	int64_t n;

	mw_manifest_none(&m);
	m.spool.fd = file_of(data, size);
	mw_manifest_rewind(&m);
	n = count(&m);
	mw_manifest_rewind(&m);
	must(count(&m) == n);
	(void)close(m.spool.fd);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	check_line(data, size);
	check_whole(data, size);
	return 0;
}
