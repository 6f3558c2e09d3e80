/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"

static char dir[] = "/tmp/mw-log-XXXXXX";
static char path[64];
static char text[1 << 20];

/* The log as it is now, and an empty file after that. */
static const char *
written(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	if (fd < 0 || close(fd) != 0 || truncate(path, 0) != 0)
		return "";
	return text;
}

static void
test_text(void)
{
	char tail[128];
	int64_t t;
	const char *line;

	ok(mw_log_open("files", path, MW_INFO, false), "open");
	ok(!mw_log_is_json(), "as text");
	mw_log(MW_DEBUG, "hidden");
	is_str(written(), "", "below the level: nothing");
	mw_log(MW_WARN, "[FILES] read %s: %d", "a.txt", 7);
	line = written();
	(void)snprintf(tail, sizeof(tail), " WARN files[%ld]: [FILES] read a.txt: 7\n",
	    (long)getpid());
	ok(strlen(line) > 24 && strcmp(line + 24, tail) == 0, "a line");
	text[24] = '\0';
	ok(mw_rfc3339_parse(line, &t) && mw_wall() - t < 60000, "begins with the time");
	mw_log(MW_ERROR, "a\nb\t\x1b[31m\xff\xc3\xa9\xc2\x9b\x7f");
	line = written();
	ok(strstr(line, ": a\\nb\\t\\x1b[31m\\xff\xc3\xa9\\u{9b}\\x7f\n") != NULL,
	    "control characters are escaped");
	mw_log(MW_ERROR, "\u202egpj.exe\u2066 \u200f\u2028\u061c\u2027\u2070");
	line = written();
	ok(strstr(line, ": \\u{202e}gpj.exe\\u{2066} \\u{200f}\\u{2028}\\u{61c}\u2027\u2070\n") != NULL,
	    "bidi marks and separators of lines, too");
	mw_log_raw("{\"x\":1}", 7);
	is_str(written(), "{\"x\":1}\n", "a raw line");
}

static void
test_long(void)
{
	char *big = calloc(1, 10000);
	const char *line;
	size_t i;

	for (i = 0; i + 2 < 10000; i += 2)
		memcpy(big + i, "\xc3\xa9", 2);
	for (i = 0; i < 2; i++) {
		mw_log(MW_ERROR, "%s%s", i == 0 ? "" : "x", big);
		line = written();
		ok(strlen(line) <= MW_LOG_LINE && strlen(line) > MW_LOG_LINE - 4 &&
		    line[strlen(line) - 1] == '\n' && strchr(line, '?') == NULL &&
		    mw_utf8_valid(line, strlen(line)),
		    "a long line is cut between characters");
	}
	free(big);
}

struct msg {
	char text[4096];
	size_t n;
	bool want;
};

static enum mw_code
find_msg(void *arg, enum mw_json_event ev, const char *s, size_t n, unsigned depth)
{
	struct msg *m = arg;

	(void)depth;
	if (ev == MW_JSON_KEY)
		m->want = n == 3 && memcmp(s, "msg", 3) == 0;
	if (ev == MW_JSON_CHUNK && m->want && n < sizeof(m->text) - m->n) {
		memcpy(m->text + m->n, s, n);
		m->n += n;
		m->text[m->n] = '\0';
	}
	return MW_OK;
}

static bool
parse(const char *line, struct msg *m)
{
	struct mw_err err = { 0 };
	struct mw_json j;

	memset(m, 0, sizeof(*m));
	mw_json_init(&j, find_msg, m);
	return mw_json_feed(&j, line, strlen(line), &err) == MW_OK &&
	    mw_json_finish(&j, &err) == MW_OK;
}

static void
test_json(void)
{
	char begin[64], big[5000];
	struct msg m;
	const char *line;
	size_t i;

	ok(mw_log_open("a\"b", path, MW_DEBUG, true) && mw_log_is_json(), "open as JSON");
	mw_log(MW_DEBUG, "say \"hi\"\\\n\xc3\xa9");
	line = written();
	ok(parse(line, &m), "a line is JSON");
	is_str(m.text, "say \"hi\"\\\n\xc3\xa9", "with the message");
	(void)snprintf(begin, sizeof(begin), "Z\",\"level\":\"debug\",\"name\":\"a\\\"b\",\"pid\":%ld,",
	    (long)getpid());
	ok(strstr(line, begin) != NULL, "and the other members");
	for (i = 0; i < 4; i++) {
		memset(big, i < 2 ? '"' : 'x', sizeof(big));
		memset(big, 'y', i);
		big[sizeof(big) - 1] = '\0';
		mw_log(MW_ERROR, "%s", big);
		line = written();
		ok(strlen(line) <= MW_LOG_LINE && parse(line, &m) && m.n > 500,
		    "a long line is cut and still JSON");
	}
}

static void *
chatter(void *arg)
{
	int i;

	for (i = 0; i < 200; i++)
		mw_log(MW_INFO, "%s says %0100d", (const char *)arg, i);
	return NULL;
}

static void
test_threads(void)
{
	static char names[4][4] = { "t0", "t1", "t2", "t3" };
	pthread_t t[4];
	char *line, *end;
	size_t i, good = 0, bad = 0;

	ok(mw_log_open("thr", path, MW_INFO, false), "open");
	for (i = 0; i < 4; i++)
		bad += pthread_create(&t[i], NULL, chatter, names[i]) != 0;
	for (i = 0; i < 4 && bad == 0; i++)
		bad += pthread_join(t[i], NULL) != 0;
	(void)written();
	for (line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (strstr(line, " INFO thr[") == line + 24 && strstr(line, " says 00") != NULL)
			good++;
		else
			bad++;
	}
	is_int((int64_t)good, 800, "every line is there");
	is_int((int64_t)bad, 0, "and none is torn");
}

static void
test_open(void)
{
	enum mw_log_level level = MW_ERROR;

	ok(!mw_log_open("x", "/nonexistent/log", MW_INFO, true), "a file that cannot be opened");
	ok(!mw_log_is_json(), "leaves all as it was");
	mw_log(MW_INFO, "still here");
	ok(strstr(written(), " INFO thr[") != NULL, "and the old file in use");
	ok(mw_log_level("debug", &level) && level == MW_DEBUG && mw_log_level("info", &level) &&
	    level == MW_INFO && mw_log_level("warn", &level) && level == MW_WARN &&
	    mw_log_level("error", &level) && level == MW_ERROR, "the words for levels");
	ok(!mw_log_level("loud", &level) && !mw_log_level("", &level) && level == MW_ERROR,
	    "no others");
}

static void
test_rotation(void)
{
	char old[80];

	(void)snprintf(old, sizeof(old), "%s.1", path);
	ok(mw_log_open("rot", path, MW_INFO, false), "open");
	mw_log(MW_INFO, "before");
	ok(rename(path, old) == 0, "rotated");
	mw_log(MW_INFO, "after");
	ok(strstr(written(), "after") != NULL && strstr(text, "before") == NULL,
	    "a new file takes the next line");
	ok(unlink(path) == 0 && rename(old, path) == 0, "another has its name");
	mw_log_raw("{}", 2);
	ok(strstr(written(), "before\n") != NULL && strstr(text, "\n{}\n") != NULL &&
	    strstr(text, "after") == NULL, "and is written to");
	ok(unlink(path) == 0 && mkdir(path, 0700) == 0, "something that cannot be opened");
	mw_log(MW_INFO, "lost");
	ok(rmdir(path) == 0, "is let alone");
	mw_log(MW_INFO, "again");
	ok(strstr(written(), "again\n") != NULL, "and the name is tried at the next line");
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	test_text();
	test_long();
	test_json();
	test_threads();
	test_open();
	test_rotation();
	(void)unlink(path);
	(void)rmdir(dir);
	return done();
}
