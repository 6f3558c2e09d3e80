/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Server-sent events, as they come (WHATWG HTML, 9.2.6): "event" and "data"
 * fields, lines that end in LF, CR or both, pieces of any size.  Private to the
 * drivers of Cloudflare's APIs.
 */
#ifndef MW_SANDBOX_REMOTE_SSE_H
#define MW_SANDBOX_REMOTE_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define MW_SSE_NAME_MAX 63		/* bytes of an event's name; a longer one is cut */
#define MW_SSE_DATA_MAX (8 << 20)	/* bytes of one event's data */
#define MW_SSE_FIELD_MAX 15		/* bytes of a field's name that matter */

/* One event.  name is "" if it has none.  data ends in NUL.  False stops the parser. */
typedef bool (*mw_sse_fn)(void *arg, const char *name, const char *data, size_t n);

struct mw_sse {
	mw_sse_fn fn;
	void *arg;
	struct mw_buf data;
	bool has_data;
	char name[MW_SSE_NAME_MAX + 1];
	/* the line in hand */
	char field[MW_SSE_FIELD_MAX + 1];
	size_t len;			/* of its field, or of its value so far */
	bool in_value, started, after_cr;
	bool stopped;
};

void mw_sse_init(struct mw_sse *s, mw_sse_fn fn, void *arg);
void mw_sse_free(struct mw_sse *s);

/* False once fn returned false or an event is too large; then nothing more is taken.
 * An event that the end of the stream cuts off is none. */
bool mw_sse_feed(struct mw_sse *s, const char *p, size_t n);

#endif
