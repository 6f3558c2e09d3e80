/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: one line a write, text or JSON. */
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

/* Everything before the message. */
static size_t
text_head(char *line, size_t size, enum mw_log_level level, const char *when)
{
	int n = snprintf(line, size, "%s %s %s[%ld]: ", when, labels[level], sink.name,
	    (long)getpid());

	return n < 0 ? 0 : (size_t)n;
}

/* Where the last character of a line that was cut at n begins: it may be half of one. */
static size_t
whole(const char *line, size_t head, size_t n)
{
	while (n > head && ((unsigned char)line[n - 1] & 0xc0) == 0x80)
		n--;
	return n > head && (unsigned char)line[n - 1] >= 0xc0 ? n - 1 : n;
}

void
mw_log(enum mw_log_level level, const char *fmt, ...)
{
	/* One byte less than the line: its newline. */
	char when[MW_RFC3339_LEN], line[MW_LOG_LINE], quoted[MW_LOG_LINE];
	size_t head = 0, n;
	va_list ap;
	int len;

	if (level < sink.level)
		return;
	mw_rfc3339(mw_wall(), when);
	if (!sink.json)
		head = text_head(line, sizeof(line), level, when);
	va_start(ap, fmt);
	len = vsnprintf(line + head, sizeof(line) - head, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	n = head + (size_t)len;
	if (n >= sizeof(line))
		n = whole(line, head, sizeof(line) - 1);
	mw_utf8_clean(line + head, n - head, '?');
	if (!sink.json)
		put_line(line, n);
	else
		put_line(quoted, json_line(quoted, sizeof(quoted) - 1, level, when, line));
}
