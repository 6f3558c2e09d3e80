/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main() for a fuzz target built without libFuzzer: runs it over the files given,
 * and over those in the directories given, and says how many there were.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static bool
complain(const char *path)
{
	(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return false;
}

static bool
run_file(const char *path, size_t size, unsigned *count)
{
	/* Exactly as large as the input, so that a sanitizer sees an overrun. */
	unsigned char *data = malloc(size > 0 ? size : 1);
	FILE *f = fopen(path, "rbe");
	bool good = data != NULL && f != NULL && fread(data, 1, size, f) == size;

	if (f != NULL)
		(void)fclose(f);
	if (good) {
		(void)LLVMFuzzerTestOneInput(data, size);
		++*count;
	}
	free(data);
	return good || complain(path);
}

static bool run(const char *path, unsigned *count);

static bool
run_dir(const char *path, unsigned *count)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	char inner[4096];
	bool good = true;
	int n;

	if (dir == NULL)
		return complain(path);
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		n = snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
		if (n < 0 || (size_t)n >= sizeof(inner) || !run(inner, count))
			good = false;
	}
	(void)closedir(dir);
	return good;
}

static bool
run(const char *path, unsigned *count)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return complain(path);
	if (S_ISDIR(st.st_mode))
		return run_dir(path, count);
	return run_file(path, (size_t)st.st_size, count);
}

int
main(int argc, char **argv)
{
	unsigned count = 0;
	bool good = true;
	int i;

	for (i = 1; i < argc; i++)
		good = run(argv[i], &count) && good;
	(void)printf("%u inputs\n", count);
	return good && count > 0 ? 0 : 1;
}
