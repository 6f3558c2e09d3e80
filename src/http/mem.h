/* SPDX-License-Identifier: BSD-2-Clause */
/* A transport in memory: for the tests and the fuzzers. */
#ifndef MW_HTTP_MEM_H
#define MW_HTTP_MEM_H

#include "http/http.h"

struct mw_mem {
	const char *const *params;	/* "NAME=value", NULL-terminated; borrowed */
	const char *body;		/* borrowed */
	size_t body_len;
	size_t step;			/* most bytes of one read, 0 = no limit */
	bool body_breaks;		/* the end of the body is a failure */
	size_t write_max;		/* bytes until writes fail, 0 = never */
	bool gone;			/* what gone() says */

	/* what came out */
	struct mw_buf out;		/* head and body */
	size_t off;			/* bytes of the body that were read */
	unsigned flushes;
	bool was_cut;
	struct mw_io io;
};

void mw_mem_init(struct mw_mem *m, const char *const *params, const char *body, size_t n);
void mw_mem_free(struct mw_mem *m);

/* A header of the answer, copied into out (cut at its size); false if it is not there. */
bool mw_mem_header(const struct mw_mem *m, const char *name, char *out, size_t size);

/* The number after "Status:", 0 if there is none. */
int mw_mem_status(const struct mw_mem *m);

/* The body of the answer; "" if there is none. */
const char *mw_mem_body(const struct mw_mem *m);

#endif
