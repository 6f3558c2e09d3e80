/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: one line a write, text or JSON. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/visible.h"

/* Set by mw_log_open(), before there are threads. */
static struct {
	char name[32];
	int fd;
	enum mw_log_level level;
	bool json;
	char *path;			/* NULL: stderr */
} sink = { "moltworker", STDERR_FILENO, MW_INFO, false, NULL };

static const char *const words[] = {
	[MW_DEBUG] = "debug", [MW_INFO] = "info",
	[MW_WARN] = "warn", [MW_ERROR] = "error",
};
static const char *const labels[] = {
	[MW_DEBUG] = "DEBUG", [MW_INFO] = "INFO",
	[MW_WARN] = "WARN", [MW_ERROR] = "ERROR",
};

static int
open_file(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

bool
mw_log_open(const char *name, const char *path, enum mw_log_level level, bool json)
{
	char *copy = NULL;
	int fd = STDERR_FILENO;

	if (*path != '\0') {
		copy = strdup(path);
		fd = copy == NULL ? -1 : open_file(path);
		if (fd < 0) {
			free(copy);
			return false;
		}
	}
	if (sink.fd != STDERR_FILENO)
		(void)close(sink.fd);
	free(sink.path);
	(void)snprintf(sink.name, sizeof(sink.name), "%s", name);
	sink.fd = fd;
	sink.path = copy;
	sink.level = level;
	sink.json = json;
	return true;
}

/*
 * Has the file been renamed or removed, as logrotate does?  Then the one that is there
 * now, or a new one, takes the old one's number, so that other threads need no lock.
 * If there can be none the old one goes on.
 */
static void
follow(void)
{
	struct stat was, is;
	int fd;

	if (sink.path == NULL || fstat(sink.fd, &was) != 0)
		return;
	if (stat(sink.path, &is) == 0 ? is.st_dev == was.st_dev && is.st_ino == was.st_ino :
	    errno != ENOENT)
		return;
	fd = open_file(sink.path);
	if (fd < 0)
		return;
	(void)dup3(fd, sink.fd, O_CLOEXEC);
	(void)close(fd);
}

bool
mw_log_level(const char *word, enum mw_log_level *out)
{
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0) {
			*out = (enum mw_log_level)i;
			return true;
		}
	}
	return false;
}

bool
mw_log_is_json(void)
{
	return sink.json;
}

/* There is nobody to tell if the log itself cannot be written. */
static void
put_line(const char *line, size_t n)
{
	struct iovec iov[2] = {
		{ .iov_base = (void *)(uintptr_t)line, .iov_len = n },
		{ .iov_base = (void *)(uintptr_t)"\n", .iov_len = 1 },
	};
	ssize_t r;

	follow();
	do {
		r = writev(sink.fd, iov, 2);
	} while (r < 0 && errno == EINTR);
}

void
mw_log_raw(const char *line, size_t n)
{
	put_line(line, n);
}

static size_t
json_line(char *line, size_t size, enum mw_log_level level, const char *when,
    const char *msg, size_t msg_len)
{
	static const char tail[] = "\"}";
	char name[2 * sizeof(sink.name)];
	size_t n;
	int len;

	n = mw_visible(name, sizeof(name) - 1, sink.name, strlen(sink.name), true);
	name[n] = '\0';
	len = snprintf(line, size,
	    "{\"time\":\"%s\",\"level\":\"%s\",\"name\":\"%s\",\"pid\":%ld,\"msg\":\"",
	    when, words[level], name, (long)getpid());
	if (len < 0)
		return 0;
	n = (size_t)len;
	n += mw_visible(line + n, size - sizeof(tail) - n, msg, msg_len, true);
	memcpy(line + n, tail, sizeof(tail) - 1);
	return n + sizeof(tail) - 1;
}

/* Everything before the message. */
static size_t
text_head(char *line, size_t size, enum mw_log_level level, const char *when)
{
	int n = snprintf(line, size, "%s %s %s[%ld]: ", when, labels[level], sink.name,
	    (long)getpid());

	return n < 0 ? 0 : (size_t)n;
}

/* Where the last character of a text that was cut at n begins: it may be half of one. */
static size_t
whole(const char *text, size_t n)
{
	while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
		n--;
	return n > 0 && (unsigned char)text[n - 1] >= 0xc0 ? n - 1 : n;
}

void
mw_log(enum mw_log_level level, const char *fmt, ...)
{
	/* One byte less than the line: its newline. */
	char when[MW_RFC3339_LEN], msg[MW_LOG_LINE], line[MW_LOG_LINE];
	size_t n, len;
	va_list ap;
	int k;

	if (level < sink.level)
		return;
	va_start(ap, fmt);
	k = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (k < 0)
		return;
	len = (size_t)k < sizeof(msg) ? (size_t)k : whole(msg, sizeof(msg) - 1);
	mw_rfc3339(mw_wall(), when);
	if (sink.json) {
		n = json_line(line, sizeof(line) - 1, level, when, msg, len);
	} else {
		n = text_head(line, sizeof(line), level, when);
		n += mw_visible(line + n, sizeof(line) - 1 - n, msg, len, false);
	}
	put_line(line, n);
}
