/* SPDX-License-Identifier: BSD-2-Clause */
/* A growing buffer with a cap. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 1024

void
mw_buf_init(struct mw_buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	/* Leaves room for the NUL, and for doubling without a wrap. */
	b->max = max < SIZE_MAX / 4 ? max : SIZE_MAX / 4;
}

void
mw_buf_free(struct mw_buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

void
mw_buf_reset(struct mw_buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

static bool
fail(struct mw_buf *b)
{
	mw_buf_free(b);
	b->failed = true;
	return false;
}

bool
mw_buf_room(struct mw_buf *b, size_t n)
{
	size_t want, cap;
	char *p;

	if (b->failed)
		return false;
	if (n > b->max || b->len > b->max - n)
		return fail(b);
	want = b->len + n + 1;
	if (want <= b->cap)
		return true;
	cap = b->cap == 0 ? FIRST_CAP : b->cap * 2;
	if (cap < want)
		cap = want;
	if (cap > b->max + 1)
		cap = b->max + 1;
	p = realloc(b->data, cap);
	if (p == NULL)
		return fail(b);
	b->data = p;
	b->cap = cap;
	return true;
}

bool
mw_buf_add(struct mw_buf *b, const void *p, size_t n)
{
	if (!mw_buf_room(b, n))
		return false;
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
	return true;
}

bool
mw_buf_adds(struct mw_buf *b, const char *s)
{
	return mw_buf_add(b, s, strlen(s));
}

bool
mw_buf_addc(struct mw_buf *b, char c)
{
	return mw_buf_add(b, &c, 1);
}

bool
mw_buf_cat(struct mw_buf *b, ...)
{
	const char *s;
	bool good = true;
	va_list ap;

	va_start(ap, b);
	while (good && (s = va_arg(ap, const char *)) != NULL)
		good = mw_buf_adds(b, s);
	va_end(ap);
	return good;
}

bool
mw_buf_addi(struct mw_buf *b, int64_t n)
{
	uint64_t left = n < 0 ? -(uint64_t)n : (uint64_t)n;
	char digits[20], *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + left % 10);
		left /= 10;
	} while (left > 0);
	return (n >= 0 || mw_buf_addc(b, '-')) &&
	    mw_buf_add(b, p, (size_t)(digits + sizeof(digits) - p));
}

bool
mw_buf_addf(struct mw_buf *b, const char *fmt, ...)
{
	va_list ap;
	size_t left;
	int n;

	if (!mw_buf_room(b, 0))
		return false;
	left = b->cap - b->len;
	va_start(ap, fmt);
	n = vsnprintf(b->data + b->len, left, fmt, ap);
	va_end(ap);
	if (n < 0)
		return fail(b);
	if ((size_t)n >= left) {
		if (!mw_buf_room(b, (size_t)n))
			return false;
		va_start(ap, fmt);
		n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
		va_end(ap);
		if (n < 0)
			return fail(b);
	}
	b->len += (size_t)n;
	return true;
}

char *
mw_buf_take(struct mw_buf *b, size_t *len)
{
	char *p;

	*len = 0;
	if (!mw_buf_room(b, 0))
		return NULL;
	p = b->data;
	p[b->len] = '\0';
	*len = b->len;
	b->data = NULL;
	b->len = b->cap = 0;
	return p;
}
