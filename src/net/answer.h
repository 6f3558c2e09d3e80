/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads an HTTP/1.1 answer (RFC 9112) from bytes as they come: lines of the head
 * for one function, bytes of the body for another.  No I/O, no allocation.
 */
#ifndef MW_NET_ANSWER_H
#define MW_NET_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MW_ANSWER_LINE 16384	/* bytes of the longest line of a head */

enum mw_answer_state {
	MW_ANSWER_HEAD,
	MW_ANSWER_SIZED,	/* a body with a length */
	MW_ANSWER_CHUNK_SIZE, MW_ANSWER_CHUNK, MW_ANSWER_CHUNK_END, MW_ANSWER_TRAILER,
	MW_ANSWER_REST,		/* a body that the connection's end ends */
	/* what ends it: */
	MW_ANSWER_DONE,		/* complete */
	MW_ANSWER_STOPPED,	/* a function returned false */
	MW_ANSWER_TOO_LONG,	/* a line or a trailer is */
	MW_ANSWER_BAD		/* not HTTP/1, or of no certain length */
};

struct mw_answer {
	/* A line of a head, also of a 1xx, without its end; an empty one ends the head. */
	bool (*line)(void *arg, const char *p, size_t n);
	bool (*data)(void *arg, const char *p, size_t n);
	void *arg;
	/* how far it is */
	enum mw_answer_state state;
	bool head_only;		/* of a HEAD: there is no body, whatever the head says */
	bool keep;		/* the connection can be used again: read it when DONE */
	bool chunked, sized;
	bool foreign;		/* a Transfer-Encoding that we do not know */
	int status;		/* 0 before a status line */
	int64_t left;		/* bytes of the body or of the chunk */
	size_t trailer;		/* bytes of it */
	size_t nkept;		/* the begin of a line whose end has not come */
	char kept[MW_ANSWER_LINE];
};

void mw_answer_begin(struct mw_answer *a, bool head_only);

/* Is it over, well or not? */
bool mw_answer_over(const struct mw_answer *a);

/* The next n bytes.  Returns how many belong to the answer: fewer only if it is over. */
size_t mw_answer_feed(struct mw_answer *a, const char *p, size_t n);

/* The connection has ended: was that the end of the answer? */
bool mw_answer_eof(struct mw_answer *a);

#endif
