/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "ops/sync/manifest.h"
#include "ops/sync/sorted.h"
#include "tap.h"

static char dir[] = "/tmp/mw-rows-XXXXXX";
static int dirfd_;
static struct mw_err err;

static void
add(struct mw_sorted *r, unsigned n)
{
	char path[64], tag[64];
	struct mw_row row = { .path = path, .tag = tag, .size = n, .mtime = -(int64_t)n, .mode = 0640,
	    .type = MW_FT_SYMLINK, .act = 3, .racy = true, .has_md5 = true };

	(void)snprintf(path, sizeof(path), "dir-%u/%08u", n % 7, n);
	(void)snprintf(tag, sizeof(tag), "\"%u\"", n);
	memset(row.md5, (int)n, sizeof(row.md5));
	if (mw_sorted_add(r, &row, &err) != MW_OK)
		printf("# %s\n", err.msg);
}

/* All of them in order, each as it was added. */
static bool
all_there(struct mw_sorted *r, unsigned n)
{
	char last[64] = "", path[64];
	const struct mw_row *row;
	unsigned got = 0;

	if (mw_sorted_rewind(r, &err) != MW_OK)
		return false;
	while (mw_sorted_next(r, &row, &err) == MW_OK && row != NULL) {
		(void)snprintf(path, sizeof(path), "dir-%lld/%08lld", (long long)row->size % 7,
		    (long long)row->size);
		if (strcmp(row->path, path) != 0 || strcmp(row->path, last) <= 0 ||
		    row->mtime != -row->size || row->mode != 0640 || row->type != MW_FT_SYMLINK ||
		    row->act != 3 || !row->racy || !row->has_md5 ||
		    row->md5[15] != (unsigned char)row->size ||
		    atoi(row->tag + 1) != (int)row->size)
			return false;
		(void)snprintf(last, sizeof(last), "%s", row->path);
		got++;
	}
	return err.code == MW_OK && got == n;
}

static unsigned
files_left(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		(void)closedir(d);
	return n - 2;
}

static void
test_rows(void)
{
	static const struct { unsigned n; size_t memory; } rows[] = {
		{ 0, 1000 }, { 1, 1000 }, { 1, 1 }, { 7, 1 << 20 }, { 300, 1 }, { 5000, 1 << 14 },
		{ 100000, 1 << 20 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mw_sorted *r = mw_sorted_open(dirfd_, rows[i].memory);
		unsigned k;

		for (k = 0; k < rows[i].n; k++)
			add(r, (k * 7919 + 13) % 100003);
		ok(mw_sorted_count(r) == rows[i].n && all_there(r, rows[i].n),
		    "%u rows in %zu bytes", rows[i].n, rows[i].memory);
		ok(all_there(r, rows[i].n), "and once more");
		mw_sorted_reset(r);
		add(r, 5);
		ok(mw_sorted_count(r) == 1 && all_there(r, 1), "after a reset");
		mw_sorted_close(r);
	}
	is_int(files_left(), 0, "no file is left");
}

/* ---- lines of a manifest ---- */

static void
test_lines(void)
{
#define M "00112233445566778899aabbccddeeff"
	static const struct { const char *line; bool good; } rows[] = {
		{ "f\t0644\t1700000000000\t12\t" M "\t\"etag\"\ta/b", true },
		{ "r\t0600\t-1\t0\t" M "\t\"e\"\tx", true },
		{ "f\t0644\t0\t0\t\t\"multi-2\"\tx", true },
		{ "d\t0755\t0\t0\t\t\ta", true },
		{ "l\t0777\t5\t0\t\t../x y\ta/l", true },
		{ "l\t0777\t5\t0\t\t\ta/l", false },
		{ "x\t0644\t0\t0\t\t\ta", false },
		{ "fd\t0644\t0\t0\t\t\ta", false },
		{ "\t0644\t0\t0\t\t\ta", false },
		{ "f\t0888\t0\t0\t\t\ta", false },
		{ "f\t\t0\t0\t\t\ta", false },
		{ "f\t00644\t0\t0\t\t\ta", false },
		{ "f\t0644\tx\t0\t\t\ta", false },
		{ "f\t0644\t0\t-1\t\t\ta", false },
		{ "f\t0644\t0\t99999999999999999999\t\t\ta", false },
		{ "f\t0644\t0\t0\t" M "0\t\ta", false },
		{ "f\t0644\t0\t0\tzz112233445566778899aabbccddeeff\t\ta", false },
		{ "f\t0644\t0\t0\t\t\t", false },
		{ "f\t0644\t0\t0\t\t\t../a", false },
		{ "f\t0644\t0\t0\t\t\ta/../b", false },
		{ "f\t0644\t0\t0\t\t\t/a", false },
		{ "f\t0644\t0\t0\t\t\ta//b", false },
		{ "f\t0644\t0\t0\t\t\t.moltworker/manifest", false },
		{ "f\t0644\t0\t0\t\t\t.last-sync", false },
		{ "f\t0644\t0\t0\t\t\ta\xff", false },
		{ "f\t0644\t0\t0\t\t\ta\tb", false },
		{ "f\t0644\t0\t0\t\ta", false },
		{ "", false },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[512];
		struct mw_row row;

		(void)snprintf(line, sizeof(line), "%s", rows[i].line);
		ok(mw_manifest_parse(line, &row) == rows[i].good, "line %zu is %s", i,
		    rows[i].good ? "an entry" : "none");
	}
}

int
main(void)
{
	if (mkdtemp(dir) == NULL || (dirfd_ = open(dir, O_RDONLY | O_DIRECTORY)) < 0) {
		printf("Bail out! %s\n", dir);
		return 1;
	}
	test_rows();
	test_lines();
	(void)close(dirfd_);
	(void)rmdir(dir);
	return done();
}
