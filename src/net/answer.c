/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of an HTTP answer: head and chunked body. */
#include "net/answer.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

#define TRAILER_MAX 16384	/* bytes */

/* The members that are set once, by the caller, stay; so does what `kept` holds. */
void
mw_answer_begin(struct mw_answer *a, bool head_only)
{
	a->state = MW_ANSWER_HEAD;
	a->head_only = head_only;
	a->keep = true;
	a->chunked = a->sized = a->foreign = false;
	a->status = 0;
	a->left = 0;
	a->trailer = a->nkept = 0;
}

bool
mw_answer_over(const struct mw_answer *a)
{
	return a->state >= MW_ANSWER_DONE;
}

static bool
turn(struct mw_answer *a, enum mw_answer_state state)
{
	a->state = state;
	return state < MW_ANSWER_STOPPED;
}

/* ---- the head ---- */

/* RFC 9112 4: "HTTP/1.1 200 OK"; the reason may be missing. */
static bool
status_line(struct mw_answer *a, const char *p, size_t n)
{
	int64_t status;

	if (n < 12 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1') ||
	    p[8] != ' ' || !mw_str_uint(p + 9, 3, 999, &status) || status < 100 ||
	    (n > 12 && p[12] != ' '))
		return false;
	a->status = (int)status;
	a->keep = p[7] == '1';
	a->chunked = a->sized = a->foreign = false;
	return true;
}

static bool
is_name(const char *p, size_t n, const char *name)
{
	return strlen(name) == n && strncasecmp(p, name, n) == 0;
}

/* Is the word one of a list's? */
static bool
has_word(const char *p, size_t n, const char *word)
{
	size_t len;

	for (; n > 0; p += len, n -= len) {
		for (; n > 0 && (*p == ' ' || *p == '\t' || *p == ','); p++, n--)
			continue;
		for (len = 0; len < n && p[len] != ',' && p[len] != ' ' && p[len] != '\t'; len++)
			continue;
		if (is_name(p, len, word))
			return true;
	}
	return false;
}

/* RFC 9112 6.3: what decides where the body ends.  false = it cannot be known. */
static bool
framing(struct mw_answer *a, const char *name, size_t nname, const char *v, size_t n)
{
	int64_t size;

	if (is_name(name, nname, "Content-Length")) {
		if (!mw_str_uint(v, n, INT64_MAX, &size) || (a->sized && size != a->left))
			return false;
		a->sized = true;
		a->left = size;
	} else if (is_name(name, nname, "Transfer-Encoding")) {
		a->foreign = a->chunked || !is_name(v, n, "chunked");
		a->chunked = true;
	} else if (is_name(name, nname, "Connection") && has_word(v, n, "close")) {
		a->keep = false;
	}
	return !a->foreign;
}

static bool
header_line(struct mw_answer *a, const char *p, size_t n)
{
	const char *colon = memchr(p, ':', n), *v, *end = p + n;

	/* A line that goes on with the one before (5.2), or none of a header. */
	if (colon == NULL || *p == ' ' || *p == '\t')
		return true;
	for (v = colon + 1; v < end && (*v == ' ' || *v == '\t'); v++)
		continue;
	while (end > v && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return framing(a, p, (size_t)(colon - p), v, (size_t)(end - v));
}

/* The head is complete: what follows? */
static bool
head_end(struct mw_answer *a)
{
	if (a->status < 200) {		/* 1xx: the real one follows; we ask for no other protocol */
		a->status = 0;
		return turn(a, MW_ANSWER_HEAD);
	}
	if (a->head_only || a->status == 204 || a->status == 304)
		return turn(a, MW_ANSWER_DONE);
	if (a->chunked) {
		/* Both: somebody on the way may have read it otherwise. */
		a->keep = a->keep && !a->sized;
		return turn(a, MW_ANSWER_CHUNK_SIZE);
	}
	if (a->sized)
		return turn(a, a->left == 0 ? MW_ANSWER_DONE : MW_ANSWER_SIZED);
	a->keep = false;
	return turn(a, MW_ANSWER_REST);
}

static bool
head_line(struct mw_answer *a, const char *p, size_t n)
{
	if (a->status == 0 ? !status_line(a, p, n) : !header_line(a, p, n))
		return turn(a, MW_ANSWER_BAD);
	if (!a->line(a->arg, p, n))
		return turn(a, MW_ANSWER_STOPPED);
	return n > 0 || head_end(a);
}

/* ---- chunks (RFC 9112 7.1) ---- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "1f" or "1f;extension" */
static bool
chunk_size(struct mw_answer *a, const char *p, size_t n)
{
	size_t i;

	a->left = 0;
	for (i = 0; i < n && hex_digit(p[i]) >= 0; i++) {
		if (a->left > INT64_MAX >> 4)
			return turn(a, MW_ANSWER_BAD);
		a->left = a->left << 4 | hex_digit(p[i]);
	}
	if (i == 0 || (i < n && p[i] != ';' && p[i] != ' ' && p[i] != '\t'))
		return turn(a, MW_ANSWER_BAD);
	return turn(a, a->left == 0 ? MW_ANSWER_TRAILER : MW_ANSWER_CHUNK);
}

static bool
trailer_line(struct mw_answer *a, size_t n)
{
	if ((a->trailer += n) > TRAILER_MAX)
		return turn(a, MW_ANSWER_TOO_LONG);
	return n > 0 || turn(a, MW_ANSWER_DONE);
}

/* ---- all of it ---- */

/* A whole line, without its LF; what stands before that, CR or not, is no part of it. */
static bool
take_line(struct mw_answer *a, const char *p, size_t n)
{
	if (n > 0 && p[n - 1] == '\r')
		n--;
	switch (a->state) {
	case MW_ANSWER_HEAD:
		return head_line(a, p, n);
	case MW_ANSWER_CHUNK_SIZE:
		return chunk_size(a, p, n);
	case MW_ANSWER_CHUNK_END:
		return turn(a, n == 0 ? MW_ANSWER_CHUNK_SIZE : MW_ANSWER_BAD);
	default:
		return trailer_line(a, n);
	}
}

static size_t
feed_line(struct mw_answer *a, const char *p, size_t n)
{
	const char *end = memchr(p, '\n', n);
	size_t len = end == NULL ? n : (size_t)(end - p);

	if (a->nkept + len > sizeof(a->kept)) {
		a->state = MW_ANSWER_TOO_LONG;
		return len;
	}
	if (end != NULL && a->nkept == 0) {
		(void)take_line(a, p, len);
		return len + 1;
	}
	memcpy(a->kept + a->nkept, p, len);
	a->nkept += len;
	if (end == NULL) {
		/* Told at once: what speaks first and another protocol may wait for us. */
		if (a->state == MW_ANSWER_HEAD && a->status == 0 &&
		    memcmp(a->kept, "HTTP/1.", a->nkept < 7 ? a->nkept : 7) != 0)
			a->state = MW_ANSWER_BAD;
		return len;
	}
	len = a->nkept;
	a->nkept = 0;
	(void)take_line(a, a->kept, len);
	return (size_t)(end - p) + 1;
}

static size_t
feed_data(struct mw_answer *a, const char *p, size_t n)
{
	if (a->state != MW_ANSWER_REST && (int64_t)n > a->left)
		n = (size_t)a->left;
	if (!a->data(a->arg, p, n)) {
		a->state = MW_ANSWER_STOPPED;
		return n;
	}
	if (a->state != MW_ANSWER_REST && (a->left -= (int64_t)n) == 0)
		a->state = a->state == MW_ANSWER_CHUNK ? MW_ANSWER_CHUNK_END : MW_ANSWER_DONE;
	return n;
}

size_t
mw_answer_feed(struct mw_answer *a, const char *p, size_t n)
{
	size_t at = 0;

	while (at < n && !mw_answer_over(a)) {
		if (a->state == MW_ANSWER_SIZED || a->state == MW_ANSWER_CHUNK ||
		    a->state == MW_ANSWER_REST)
			at += feed_data(a, p + at, n - at);
		else
			at += feed_line(a, p + at, n - at);
	}
	return at;
}

bool
mw_answer_eof(struct mw_answer *a)
{
	if (a->state == MW_ANSWER_REST)
		a->state = MW_ANSWER_DONE;
	return a->state == MW_ANSWER_DONE;
}
