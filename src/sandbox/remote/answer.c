/* SPDX-License-Identifier: BSD-2-Clause */
/* The answer of remote.sh: see there for what it is made of. */
#include <string.h>

#include "sandbox/remote/internal.h"

#define PIECE 32768		/* letters decoded at once */

void
mw_remote_answer_init(struct mw_remote_answer *a, const char *nonce)
{
	memset(a, 0, sizeof(*a));
	a->nonce = nonce;
	a->fresh = true;
}

static bool
garbled(struct mw_remote_answer *a)
{
	a->garbled = true;
	return false;
}

/* "." begins the next part, ".bad" tells of trouble, ".end NONCE" ends all. */
static bool
dot_line(struct mw_remote_answer *a)
{
	if (strcmp(a->line, ".bad") == 0) {
		a->bad = true;
		return true;
	}
	if (!mw_base64_finish(&a->b64))
		return garbled(a);
	memset(&a->b64, 0, sizeof(a->b64));
	if (strcmp(a->line, ".") == 0) {
		a->part++;
		return true;
	}
	if (strncmp(a->line, ".end ", 5) != 0 || strcmp(a->line + 5, a->nonce) != 0)
		return garbled(a);
	a->whole = true;
	return true;
}

static bool
head_line(struct mw_remote_answer *a)
{
	a->headed = true;
	if (strncmp(a->line, "mw1 ", 4) != 0)
		return garbled(a);
	a->code = a->head == NULL ? MW_OK : a->head(a->arg, a->line + 4);
	return a->code == MW_OK;
}

static bool
end_line(struct mw_remote_answer *a)
{
	bool good = true;

	a->line[a->len < MW_REMOTE_HEAD_MAX ? a->len : MW_REMOTE_HEAD_MAX] = '\0';
	if (!a->headed)
		good = head_line(a);
	else if (a->dot)
		good = dot_line(a);
	a->len = 0;
	a->dot = false;
	a->fresh = true;
	return good;
}

static bool
letters(struct mw_remote_answer *a, const char *p, size_t n)
{
	unsigned char out[3 * ((PIECE + 3) / 4 + 1)];
	size_t some;
	long got;

	for (; n > 0; p += some, n -= some) {
		some = n < PIECE ? n : PIECE;
		if ((got = mw_base64_decode(&a->b64, p, some, out)) < 0)
			return garbled(a);
		if (got > 0 && a->data != NULL &&
		    (a->code = a->data(a->arg, a->part, out, (size_t)got)) != MW_OK)
			return false;
	}
	return true;
}

/* Some bytes of one line, without its end. */
static bool
take(struct mw_remote_answer *a, const char *p, size_t n)
{
	size_t room;

	if (a->fresh && a->headed)
		a->dot = *p == '.';
	a->fresh = false;
	if (a->headed && !a->dot)
		return letters(a, p, n);
	/* A head may be long, then it is cut; no other line is. */
	room = a->len < MW_REMOTE_HEAD_MAX ? MW_REMOTE_HEAD_MAX - a->len : 0;
	if (n > room && a->headed)
		return garbled(a);
	if (n > room)
		n = room;
	memcpy(a->line + a->len, p, n);
	a->len += n;
	return true;
}

bool
mw_remote_answer_feed(struct mw_remote_answer *a, const char *p, size_t n)
{
	const char *nl;
	size_t line;

	while (n > 0) {
		if (a->garbled || a->code != MW_OK)
			return false;
		if (a->whole)
			return garbled(a);
		nl = memchr(p, '\n', n);
		line = nl == NULL ? n : (size_t)(nl - p);
		if (line > 0 && !take(a, p, line))
			return false;
		if (nl == NULL)
			return true;
		if (!end_line(a))
			return false;
		p = nl + 1;
		n -= line + 1;
	}
	return true;
}
