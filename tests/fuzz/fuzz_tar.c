/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as an engine's archive, whole and in pieces: both must say the same, and no
 * entry gives more than it announced.  What looks like a header gets the right checksum
 * first, or nothing would get past it.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/tar.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/engine/tar.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct seen {
	uint64_t hash;
	int64_t left;
	unsigned entries;
};

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
mix(struct seen *s, const void *p, size_t n)
{
	const unsigned char *c = p;

	while (n-- > 0)
		s->hash = (s->hash ^ *c++) * UINT64_C(1099511628211);
}

static bool
on_entry(void *arg, const struct mw_tar_entry *e)
{
	struct seen *s = arg;

	must(strlen(e->name) <= MW_TAR_NAME_MAX && strlen(e->link) <= MW_TAR_NAME_MAX);
	must(e->st.size >= 0 && (e->st.mode & ~07777) == 0);
	mix(s, e->name, strlen(e->name) + 1);
	mix(s, e->link, strlen(e->link) + 1);
	mix(s, &e->st.size, sizeof(e->st.size));
	mix(s, &e->st.mtime, sizeof(e->st.mtime));
	s->left = e->st.size;
	return ++s->entries < 1000;
}

static bool
on_content(void *arg, const void *p, size_t n)
{
	struct seen *s = arg;

	must((int64_t)n <= s->left);
	s->left -= (int64_t)n;
	mix(s, p, n);
	return true;
}

static bool
read_it(const unsigned char *p, size_t n, size_t step, struct seen *s)
{
	struct mw_tar t = { .on_entry = on_entry, .on_content = on_content, .arg = s };
	bool good = true;
	size_t i;

	mw_tar_init(&t);
	for (i = 0; good && i < n; i += step)
		good = mw_tar_feed(&t, p + i, n - i < step ? n - i : step);
	good = good && mw_tar_complete(&t);
	mw_tar_free(&t);
	return good;
}

static void
fix_sums(unsigned char *p, size_t n)
{
	unsigned sum, i;

	for (; n >= MW_TAR_BLOCK; p += MW_TAR_BLOCK, n -= MW_TAR_BLOCK) {
		if (memcmp(p + 257, "ustar", 5) != 0)
			continue;
		memset(p + 148, ' ', 8);
		for (sum = 0, i = 0; i < MW_TAR_BLOCK; i++)
			sum += p[i];
		(void)snprintf((char *)p + 148, 7, "%06o", sum);
	}
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	unsigned char *copy = malloc(size + 1);
	struct seen one = { .hash = 1 }, two = { .hash = 1 };
	bool good;

	must(copy != NULL);
	memcpy(copy, data, size);
	fix_sums(copy, size);
	good = read_it(copy, size, size + 1, &one);
	must(read_it(copy, size, 3, &two) == good);
	/* Of a refused one the pieces may have shown more or less of the last content. */
	must(one.entries == two.entries && (!good || one.hash == two.hash));
	free(copy);
	return 0;
}
