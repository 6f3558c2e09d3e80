/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

/* Set by mw_log_open(), before there are threads. */
static struct {
	char name[32];
	int fd;
	enum mw_log_level level;
	bool json;
} sink = { "moltworker", STDERR_FILENO, MW_INFO, false };

static const char *const words[] = {
	[MW_DEBUG] = "debug", [MW_INFO] = "info",
	[MW_WARN] = "warn", [MW_ERROR] = "error",
};
static const char *const labels[] = {
	[MW_DEBUG] = "DEBUG", [MW_INFO] = "INFO",
	[MW_WARN] = "WARN", [MW_ERROR] = "ERROR",
};

bool
mw_log_open(const char *name, const char *path, enum mw_log_level level, bool json)
{
	int fd = STDERR_FILENO;

	if (*path != '\0') {
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
		if (fd < 0)
			return false;
	}
	if (sink.fd != STDERR_FILENO)
		(void)close(sink.fd);
	(void)snprintf(sink.name, sizeof(sink.name), "%s", name);
	sink.fd = fd;
	sink.level = level;
	sink.json = json;
	return true;
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

	do {
		r = writev(sink.fd, iov, 2);
	} while (r < 0 && errno == EINTR);
}

void
mw_log_raw(const char *line, size_t n)
{
	put_line(line, n);
}

/* msg, cleaned before, as the inside of a JSON string in room bytes; cut where
 * it does not fit.  Returns the length. */
static size_t
quote(char *out, size_t room, const char *msg)
{
	size_t n = 0;

	for (; *msg != '\0' && room - n >= 2; msg++) {
		if (*msg == '"' || *msg == '\\')
			out[n++] = '\\';
		out[n++] = *msg;
	}
	return mw_utf8_span(out, n);
}

static size_t
json_line(char *line, size_t size, enum mw_log_level level, const char *when, const char *msg)
{
	static const char tail[] = "\"}";
	char name[2 * sizeof(sink.name)];
	size_t n;
	int len;

	n = quote(name, sizeof(name) - 1, sink.name);
	name[n] = '\0';
	len = snprintf(line, size,
	    "{\"time\":\"%s\",\"level\":\"%s\",\"name\":\"%s\",\"pid\":%ld,\"msg\":\"",
	    when, words[level], name, (long)getpid());
	if (len < 0)
		return 0;
	n = (size_t)len;
	n += quote(line + n, size - sizeof(tail) - n, msg);
	memcpy(line + n, tail, sizeof(tail) - 1);
	return n + sizeof(tail) - 1;
}

void
mw_log(enum mw_log_level level, const char *fmt, ...)
{
	/* One byte less than the line: its newline. */
	char when[MW_RFC3339_LEN], msg[MW_LOG_LINE], line[MW_LOG_LINE];
	va_list ap;
	size_t n;
	int len;

	if (level < sink.level)
		return;
	va_start(ap, fmt);
	len = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	mw_utf8_clean(msg, strlen(msg), '?');
	mw_rfc3339(mw_wall(), when);
	if (sink.json) {
		n = json_line(line, sizeof(line) - 1, level, when, msg);
	} else {
		len = snprintf(line, sizeof(line), "%s %s %s[%ld]: %s", when,
		    labels[level], sink.name, (long)getpid(), msg);
		n = len < 0 ? 0 : (size_t)len;
		if (n >= sizeof(line))
			n = mw_utf8_span(line, sizeof(line) - 1);
	}
	put_line(line, n);
}
