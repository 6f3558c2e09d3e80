/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A growing byte buffer with a hard cap.  init cannot fail and demands the cap.
 * A failed append frees the buffer and marks it failed; further appends fail
 * too, so a caller may append many times and check once.
 */
#ifndef MW_BASE_BUF_H
#define MW_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct mw_buf {
	char *data;		/* NUL after the last byte once anything was added */
	size_t len;
	size_t cap;		/* allocated */
	size_t max;		/* most bytes it may ever hold */
	bool failed;
};

void mw_buf_init(struct mw_buf *b, size_t max);
void mw_buf_free(struct mw_buf *b);
void mw_buf_reset(struct mw_buf *b);		/* len = 0, usable again, keeps the memory */

/* All return false past the cap or out of memory. */
bool mw_buf_add(struct mw_buf *b, const void *p, size_t n);
bool mw_buf_adds(struct mw_buf *b, const char *s);
bool mw_buf_addc(struct mw_buf *b, char c);
bool mw_buf_cat(struct mw_buf *b, ...) MW_SENTINEL;	/* the strings up to a (char *)NULL */
bool mw_buf_addi(struct mw_buf *b, int64_t n);		/* in decimal */
bool mw_buf_addf(struct mw_buf *b, const char *fmt, ...) MW_PRINTF(2, 3);

/* Room for n more bytes at data + len; the caller raises len itself. */
bool mw_buf_room(struct mw_buf *b, size_t n);

/* Hand the memory over to the caller, who frees it; NULL if the buffer failed.
 * Ends in NUL, "" if nothing was added; the buffer is empty and usable again. */
char *mw_buf_take(struct mw_buf *b, size_t *len);

#endif
