/* SPDX-License-Identifier: BSD-2-Clause */
/* The answer of job.sh: its grammar is described there. */
#include "ops/job/answer.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"

#define LINE_MAX_LEN 200	/* of the first line; the shell's numbers are short */
#define TICK 10			/* ms of the wrapper's clock */
#define SPARE 16		/* bytes that decoding wants room for, beyond what comes */
#define TIME_MAX (INT64_MAX / 1000)

struct cursor {
	const char *p, *end;
};

/* The next line without its newline; false when there is no whole one. */
static bool
next_line(struct cursor *c, const char **line, size_t *n)
{
	const char *nl = memchr(c->p, '\n', (size_t)(c->end - c->p));

	if (nl == NULL)
		return false;
	*line = c->p;
	*n = (size_t)(nl - c->p);
	c->p = nl + 1;
	return true;
}

static bool
is(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(s, word, n) == 0;
}

/* The next field of a line, which single spaces separate. */
static bool
field(const char **line, size_t *left, const char **s, size_t *n)
{
	const char *space = memchr(*line, ' ', *left);

	*s = *line;
	*n = space != NULL ? (size_t)(space - *line) : *left;
	if (*n == 0 || (space != NULL && *n + 1 == *left))
		return false;
	*line += *n + (space != NULL);
	*left -= *n + (space != NULL);
	return true;
}

/* A number, or "-" for -1. */
static bool
number(const char **line, size_t *left, int64_t max, int64_t *out)
{
	const char *s;
	size_t n;

	if (!field(line, left, &s, &n))
		return false;
	*out = -1;
	return is(s, n, "-") || mw_str_uint(s, n, max, out);
}

static bool
state(const char *s, size_t n, enum mw_job_state *out)
{
	static const char *const words[] = {
		[MW_JOB_NONE] = "none", [MW_JOB_READY] = "ready", [MW_JOB_RUNNING] = "running",
		[MW_JOB_EXITED] = "exited", [MW_JOB_KILLED] = "killed",
		[MW_JOB_TIMEOUT] = "timeout", [MW_JOB_ERROR] = "error", [MW_JOB_LOST] = "lost",
		[MW_JOB_REPLACED] = "replaced",
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (is(s, n, words[i])) {
			*out = (enum mw_job_state)i;
			return true;
		}
	}
	return false;
}

static bool
cuts(const char *s, size_t n, struct mw_job_view *v)
{
	v->out_cut = is(s, n, "o") || is(s, n, "oe");
	v->err_cut = is(s, n, "e") || is(s, n, "oe");
	return v->out_cut || v->err_cut || is(s, n, "-");
}

static bool
head(struct cursor *c, struct mw_job_view *v)
{
	int64_t code, begun, ended, now;
	const char *line, *s;
	size_t left, n;

	if (!next_line(c, &line, &left) || left > LINE_MAX_LEN ||
	    !field(&line, &left, &s, &n) || !is(s, n, "mw1") ||
	    !field(&line, &left, &s, &n) || !state(s, n, &v->state) ||
	    !number(&line, &left, 255, &code) || !number(&line, &left, TIME_MAX, &begun) ||
	    !number(&line, &left, TIME_MAX, &ended) || !number(&line, &left, TIME_MAX, &now) ||
	    !field(&line, &left, &s, &n) || !cuts(s, n, v) || left > 0 || now < 0)
		return false;
	v->exit_code = (int)code;
	v->age = begun < 0 || begun > now ? -1 : (now - begun) * TICK;
	v->duration = begun < 0 ? -1 : ended < 0 ? v->age :
	    ended < begun ? 0 : (ended - begun) * TICK;
	return true;
}

/* Lines of base64 up to the line `until`. */
static bool
stream(struct cursor *c, const char *until, size_t max, struct mw_buf *out)
{
	struct mw_base64 b = { .acc = 0 };
	const char *line;
	size_t n;
	long got;

	mw_buf_free(out);
	mw_buf_init(out, max + SPARE);
	for (;;) {
		if (!next_line(c, &line, &n))
			return false;
		if (is(line, n, until))
			return mw_base64_finish(&b);
		if (!mw_buf_room(out, ((n + 3) / 4 + 1) * 3))
			return false;
		got = mw_base64_decode(&b, line, n, (unsigned char *)out->data + out->len);
		if (got < 0 || (size_t)got > max - out->len)
			return false;
		out->len += (size_t)got;
		out->data[out->len] = '\0';
	}
}

bool
mw_job_answer(const char *p, size_t n, const char *id, size_t max, struct mw_job_view *v)
{
	struct cursor c = { p, p + n };
	char last[MW_JOB_ID_MAX + 8] = "end ";
	const char *line;
	size_t len;

	if (strlen(id) > MW_JOB_ID_MAX)
		return false;
	memcpy(last + 4, id, strlen(id) + 1);
	return head(&c, v) && next_line(&c, &line, &len) && is(line, len, "out") &&
	    stream(&c, "err", max, &v->out) && stream(&c, last, max, &v->err) && c.p == c.end;
}
