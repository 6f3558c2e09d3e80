/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request's memory: allocate, never free, reset at the end.  Not shared
 * between threads: each thread of a batch has its own.
 */
#ifndef MW_BASE_ARENA_H
#define MW_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/err.h"

struct mw_arena;

/* A new arena that hands out at most `max` bytes; NULL when memory is out. */
struct mw_arena *mw_arena_open(size_t max);
void mw_arena_close(struct mw_arena *a);		/* accepts NULL */

/* Give all memory back but the first chunk. */
void mw_arena_reset(struct mw_arena *a);

/* `n` zeroed bytes, aligned for any type; NULL past the cap or out of memory. */
void *mw_arena_alloc(struct mw_arena *a, size_t n);

/* Copies that end in NUL.  NULL on failure. */
char *mw_arena_dup(struct mw_arena *a, const void *p, size_t n);
char *mw_arena_strdup(struct mw_arena *a, const char *s);
/* The strings up to a (char *)NULL, one after the other: what %s%s does, for the hot path. */
char *mw_arena_cat(struct mw_arena *a, ...) MW_SENTINEL;
char *mw_arena_printf(struct mw_arena *a, const char *fmt, ...) MW_PRINTF(2, 3);

#endif
