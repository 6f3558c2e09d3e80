/* SPDX-License-Identifier: BSD-2-Clause */
/* A request's memory: given back as a whole. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CHUNK 16384
#define CHUNK 65536
#define ALIGN _Alignof(max_align_t)

struct chunk {
	struct chunk *next;		/* older */
	size_t size;			/* of data */
	size_t used;
	_Alignas(max_align_t) unsigned char data[];
};

struct mw_arena {
	size_t max;
	size_t given;			/* bytes handed out, rounded up */
	struct chunk *head;		/* the one that is allocated from */
	struct chunk *first;		/* survives a reset */
};

static struct chunk *
chunk_new(size_t size)
{
	struct chunk *c;

	if (size > SIZE_MAX - sizeof(*c))
		return NULL;
	c = malloc(sizeof(*c) + size);
	if (c == NULL)
		return NULL;
	c->next = NULL;
	c->size = size;
	c->used = 0;
	return c;
}

struct mw_arena *
mw_arena_open(size_t max)
{
	struct mw_arena *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->max = max;
	a->first = a->head = chunk_new(FIRST_CHUNK);
	if (a->first == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

/* Every chunk but the first; the first is not always last in the list. */
static void
free_others(struct mw_arena *a)
{
	struct chunk *c, *next;

	for (c = a->head; c != NULL; c = next) {
		next = c->next;
		if (c != a->first)
			free(c);
	}
}

void
mw_arena_close(struct mw_arena *a)
{
	if (a == NULL)
		return;
	free_others(a);
	free(a->first);
	free(a);
}

void
mw_arena_reset(struct mw_arena *a)
{
	free_others(a);
	a->head = a->first;
	a->head->next = NULL;
	a->head->used = 0;
	a->given = 0;
}

/* A chunk with room for n bytes.  A large piece gets one of its own, put behind
 * the head so that the rest of the head stays in use. */
static struct chunk *
chunk_for(struct mw_arena *a, size_t n)
{
	struct chunk *c;

	if (n <= a->head->size - a->head->used)
		return a->head;
	c = chunk_new(n > CHUNK / 4 ? n : CHUNK);
	if (c == NULL)
		return NULL;
	if (n > CHUNK / 4) {
		c->next = a->head->next;
		a->head->next = c;
	} else {
		c->next = a->head;
		a->head = c;
	}
	return c;
}

/* Room for n bytes, not zeroed. */
static void *
take(struct mw_arena *a, size_t n)
{
	struct chunk *c;
	void *p;

	if (n == 0)
		n = 1;
	if (n > SIZE_MAX - ALIGN)
		return NULL;
	n = (n + ALIGN - 1) / ALIGN * ALIGN;
	if (n > a->max || a->given > a->max - n)
		return NULL;
	c = chunk_for(a, n);
	if (c == NULL)
		return NULL;
	p = c->data + c->used;
	c->used += n;
	a->given += n;
	return p;
}

void *
mw_arena_alloc(struct mw_arena *a, size_t n)
{
	void *p = take(a, n);

	if (p != NULL)
		memset(p, 0, n);
	return p;
}

char *
mw_arena_dup(struct mw_arena *a, const void *p, size_t n)
{
	char *copy;

	if (n == SIZE_MAX)
		return NULL;
	copy = take(a, n + 1);
	if (copy == NULL)
		return NULL;
	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

char *
mw_arena_strdup(struct mw_arena *a, const char *s)
{
	return mw_arena_dup(a, s, strlen(s));
}

char *
mw_arena_cat(struct mw_arena *a, ...)
{
	const char *s;
	char *out, *w;
	size_t n = 1, len;
	va_list ap;

	va_start(ap, a);
	while ((s = va_arg(ap, const char *)) != NULL)
		n += strlen(s);
	va_end(ap);
	if ((out = w = take(a, n)) == NULL)
		return NULL;
	va_start(ap, a);
	for (; (s = va_arg(ap, const char *)) != NULL; w += len) {
		len = strlen(s);
		memcpy(w, s, len);
	}
	va_end(ap);
	*w = '\0';
	return out;
}

char *
mw_arena_printf(struct mw_arena *a, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	s = take(a, (size_t)n + 1);
	if (s == NULL)
		return NULL;
	va_start(ap, fmt);
	n = vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}
