/* SPDX-License-Identifier: BSD-2-Clause */
/* A directory of its own for the tests of conf/, removed at the end; and a log to look into. */
#ifndef MW_TESTS_CONF_FIXTURE_H
#define MW_TESTS_CONF_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "tap.h"

static char dir[64];

/* DIR/name; good until the fourth call from here. */
__attribute__((unused)) static const char *
in_dir(const char *name)
{
	static char path[4][256];
	static unsigned turn;
	char *p = path[turn++ % 4];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void
need(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	printf("Bail out! %s\n", what);
	exit(1);
}

/* In place, as an editor that keeps the inode; returns the path. */
__attribute__((unused)) static const char *
put(const char *name, const char *text, mode_t mode)
{
	const char *path = in_dir(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
	    fchmod(fd, mode) == 0 && close(fd) == 0, path);
	return path;
}

/* The content of DIR/name, "" if there is none; good until the next call. */
__attribute__((unused)) static const char *
get(const char *name)
{
	static char text[65536];
	int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* How often `word` stands in DIR/log. */
__attribute__((unused)) static unsigned
logged(const char *word)
{
	const char *p = get("log");
	unsigned n = 0;

	for (; (p = strstr(p, word)) != NULL; p++)
		n++;
	return n;
}

__attribute__((unused)) static void
forget_log(void)
{
	need(truncate(in_dir("log"), 0) == 0, "log");
}

static void
remove_below(const char *path)
{
	struct dirent *e;
	char child[512];
	DIR *d = opendir(path);

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(void)snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
		if (unlink(child) != 0)
			remove_below(child);
	}
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(path);
}

static void
remove_dir(void)
{
	remove_below(dir);
}

static void
begin(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/mw-conf-XXXXXX", tmp != NULL ? tmp : "/tmp");
	need(mkdtemp(dir) != NULL, dir);
	(void)atexit(remove_dir);
	need(mw_log_open("test", in_dir("log"), MW_INFO, false), "log");
}

#endif
