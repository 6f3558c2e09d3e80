/* SPDX-License-Identifier: BSD-2-Clause */
/* A second look at a text that libconfig has refused: it says only "syntax error". */
#include "conf/explain.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "conf/token.h"

#define DEPTH_MAX 16
#define PATH_SIZE 128

struct scan {
	const char *p, *end;
	unsigned line;			/* of the token before p */
	struct mw_token k;		/* the last one; n = 0: the end of the text */
	char path[PATH_SIZE];		/* of the group or setting in hand: "http.max_body" */
	char full[PATH_SIZE];		/* of the last setting, or group that was opened */
	size_t outer[DEPTH_MAX];	/* length of the path around each open group */
	unsigned opened[DEPTH_MAX];	/* its line */
	unsigned depth;
	char text[160];			/* the mistake ... */
	unsigned at;			/* ... and its line; 0: none was seen */
};

static void
next(struct scan *s)
{
	size_t i;

	do {
		s->k.n = 0;
		if (s->p == s->end)
			return;
		s->k = mw_token_next(s->p, s->end, false);
		s->p += s->k.n;
		for (i = 0; i < s->k.n; i++)
			s->line += s->k.p[i] == '\n';
	} while (s->k.kind == MW_TOKEN_BLANK || s->k.kind == MW_TOKEN_NEWLINE);
}

static bool MW_PRINTF(3, 4)
wrong(struct scan *s, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(s->text, sizeof(s->text), fmt, ap);
	va_end(ap);
	s->at = line;
	return false;
}

/* What a number with a unit means in ours: milliseconds or bytes.  0: not a unit. */
static int64_t
unit(const char *p, size_t n, const char **what)
{
	static const struct { const char *word; int64_t times; bool bytes; } units[] = {
		{ "ms", 1, false }, { "s", 1000, false }, { "sec", 1000, false },
		{ "m", 60000, false }, { "min", 60000, false }, { "h", 3600000, false },
		{ "d", 86400000, false },
		{ "K", 1 << 10, true }, { "KB", 1 << 10, true }, { "KiB", 1 << 10, true },
		{ "M", 1 << 20, true }, { "MB", 1 << 20, true }, { "MiB", 1 << 20, true },
		{ "G", 1 << 30, true }, { "GB", 1 << 30, true }, { "GiB", 1 << 30, true },
	};
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].word) == n && memcmp(units[i].word, p, n) == 0) {
			*what = units[i].bytes ? "bytes" : "milliseconds";
			return units[i].times;
		}
	}
	return 0;
}

/* "120s", "32M", "127.0.0.1". */
static bool
number(struct scan *s)
{
	size_t digits = strspn(s->k.p, "0123456789"), i, dots = 0;
	const char *what;
	int64_t v, times = 0;

	if (digits < s->k.n)
		times = unit(s->k.p + digits, s->k.n - digits, &what);
	if (times > 0 && mw_str_uint(s->k.p, digits, INT64_MAX / times, &v))
		return wrong(s, s->line, "%s: expected a number without a unit: %.*s is %lld %s",
		    s->path, (int)s->k.n, s->k.p, (long long)(v * times), what);
	for (i = 0; i < s->k.n; i++)
		dots += s->k.p[i] == '.';
	if (dots > 1)
		return wrong(s, s->line, "%s: expected a text in quotes: \"%.*s\"", s->path,
		    (int)(s->k.n < 40 ? s->k.n : 40), s->k.p);
	return true;
}

/* A word where a value should be. */
static bool
word(struct scan *s, unsigned key_line)
{
	static const char *const yes[] = { "yes", "no", "on", "off" };
	int n = (int)(s->k.n < 40 ? s->k.n : 40);
	size_t i;

	if ((s->k.n == 4 && strncasecmp(s->k.p, "true", 4) == 0) ||
	    (s->k.n == 5 && strncasecmp(s->k.p, "false", 5) == 0))
		return true;
	if (s->line > key_line)
		return wrong(s, key_line, "%s: expected a value or a group in braces, not YAML: "
		    "%s: { %.*s = ...; };", s->path, s->path, n, s->k.p);
	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (mw_token_is(&s->k, yes[i]))
			return wrong(s, s->line, "%s: expected true or false, got %s", s->path, yes[i]);
	}
	return wrong(s, s->line, "%s: expected a value, a text in quotes: \"%.*s\"", s->path, n, s->k.p);
}

static bool value(struct scan *s, unsigned key_line);

/* The rest of [ ... ] or ( ... ). */
static bool
list(struct scan *s)
{
	const char *close = *s->k.p == '[' ? "]" : ")";
	unsigned line = s->line;

	for (next(s); !mw_token_is(&s->k, close); ) {
		if (s->k.n == 0 || mw_token_is(&s->k, ";") || mw_token_is(&s->k, "}"))
			return wrong(s, line, "%s: this list is not closed: expected %s", s->path, close);
		if (mw_token_is(&s->k, ","))
			next(s);
		else if (!value(s, s->line))
			return false;
	}
	next(s);
	return true;
}

/* The value that is the token in hand, but for a group; the token after it is next. */
static bool
value(struct scan *s, unsigned key_line)
{
	bool good = true;

	if (s->k.n > 0 && (*s->k.p == '[' || *s->k.p == '('))
		return list(s);
	if (mw_token_is(&s->k, "-") || mw_token_is(&s->k, "+"))
		next(s);
	if (s->k.kind == MW_TOKEN_NUMBER)
		good = number(s);
	else if (s->k.kind == MW_TOKEN_NAME)
		good = word(s, key_line);
	else if (mw_token_is(&s->k, "'"))
		return wrong(s, s->line, "%s: expected a text in double quotes: \"...\"", s->path);
	else if (mw_token_is(&s->k, "/"))
		return wrong(s, s->line, "%s: expected a text in quotes: \"/...\"", s->path);
	else if (s->k.kind != MW_TOKEN_STRING)
		return wrong(s, key_line, "%s: expected a value: a number, true, false, "
		    "\"text\", [ ... ] or { ... }", s->path);
	do
		next(s);
	while (s->k.kind == MW_TOKEN_STRING && s->k.n > 0 && good);
	return good;
}

/* Something else where a name should be. */
static bool
no_name(struct scan *s)
{
	if (s->k.n == 0)
		return s->depth == 0 || wrong(s, s->opened[s->depth - 1],
		    "the group %s is not closed: expected };", s->path);
	if (mw_token_is(&s->k, "}"))
		return wrong(s, s->line, "this } closes no group");
	if (mw_token_is(&s->k, "{") || s->k.kind == MW_TOKEN_STRING)
		return wrong(s, s->line, "expected GROUP: { NAME = VALUE; }; and names without "
		    "quotes, not JSON");
	if (mw_token_is(&s->k, "["))
		return wrong(s, s->line, "expected GROUP: { NAME = VALUE; };, not [GROUP]");
	if (mw_token_is(&s->k, "-"))
		return wrong(s, s->line, "expected NAME = [ VALUE, ... ];, not YAML");
	return wrong(s, s->line, "expected NAME = VALUE;");
}

/* On to the next name: path and line are its.  False at the end, or at a mistake. */
static bool
name(struct scan *s)
{
	for (;;) {
		if (mw_token_is(&s->k, "}") && s->depth > 0)
			s->path[s->outer[--s->depth]] = '\0';
		else if (!mw_token_is(&s->k, ";") && !mw_token_is(&s->k, ","))
			break;
		next(s);
	}
	if (s->k.n == 0 || s->k.kind != MW_TOKEN_NAME) {
		(void)no_name(s);
		return false;
	}
	return true;
}

/* Is the setting in hand, whose name is the token, there before?  Then where. */
static unsigned first(const struct mw_text *t, const struct scan *s, const char *path);

/* The setting whose name is the token in hand, or the opening of a group. */
static bool
setting(struct scan *s, const struct mw_text *t, unsigned twice)
{
	size_t outer = strlen(s->path);
	unsigned line = s->line, before;
	const char *file;

	(void)snprintf(s->path + outer, sizeof(s->path) - outer, "%s%.*s", outer > 0 ? "." : "",
	    (int)s->k.n, s->k.p);
	memcpy(s->full, s->path, sizeof(s->full));
	if (twice > 0 && line <= twice && line + 1 >= twice && (before = first(t, s, s->path)) > 0) {
		mw_text_where(t, before, &file, &before);
		return wrong(s, line, "duplicate: %s is there already, at %s:%u: make it one",
		    s->path, file, before);
	}
	next(s);
	if (!mw_token_is(&s->k, "=") && !mw_token_is(&s->k, ":"))
		return wrong(s, line, "%s: expected = and a value after it", s->path);
	next(s);
	if (!mw_token_is(&s->k, "{")) {
		if (!value(s, line))
			return false;
		s->path[outer] = '\0';
		return true;
	}
	if (s->depth == DEPTH_MAX)
		return wrong(s, line, "%s: groups too deep", s->path);
	s->outer[s->depth] = outer;
	s->opened[s->depth++] = line;
	next(s);
	return true;
}

static void
start(struct scan *s, const struct mw_text *t)
{
	memset(s, 0, sizeof(*s));
	s->p = t->buf.data;
	s->end = s->p + t->buf.len;
	s->line = 1;
	next(s);
}

static unsigned
first(const struct mw_text *t, const struct scan *until, const char *path)
{
	struct scan s;
	unsigned line;

	for (start(&s, t); name(&s) && s.k.p < until->k.p; ) {
		line = s.line;
		if (!setting(&s, t, 0))
			break;
		if (strcmp(s.full, path) == 0)
			return line;
	}
	return 0;
}

enum mw_code
mw_text_explain(const struct mw_text *t, unsigned line, const char *why, struct mw_err *err)
{
	unsigned twice = strstr(why, "duplicate") != NULL ? line : 0;
	const char *file;
	struct scan s;

	memset(&s, 0, sizeof(s));
	if (t->buf.len > 0)
		for (start(&s, t); name(&s) && setting(&s, t, twice); )
			continue;
	mw_text_where(t, s.at > 0 ? s.at : line, &file, &line);
	if (s.at == 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s:%u: %s", file, line, why);
	return mw_fail(err, MW_INTERNAL_ERROR, "%s:%u: %s%s", file, line,
	    twice > 0 ? "" : "syntax error: ", s.text);
}
