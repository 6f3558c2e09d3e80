/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the driver of Cloudflare's in-container server (cloudflare/sandbox-sdk,
 * packages/sandbox-container; API /api on port 3000).  Always without a session: the
 * sessions lose output, and do not end what runs too long.
 */
#ifndef MW_SANDBOX_CONTAINER_H
#define MW_SANDBOX_CONTAINER_H

#include "sandbox/remote.h"
#include "sandbox/sse.h"

extern const struct mw_remote_error mw_container_errors[];

/* ---- container_answer.c: the events of one execute/stream ---- */

struct mw_container_answer {
	struct mw_sse sse;
	bool (*out)(void *arg, const void *p, size_t n);	/* its stdout */
	void *arg;
	bool complete, failed;		/* one of them ends it */
	bool stopped;			/* `out` wanted no more */
	int exit_code;
	struct mw_remote_said said;	/* when failed */
};

void mw_container_answer_init(struct mw_container_answer *a,
    bool (*out)(void *arg, const void *p, size_t n), void *arg);
void mw_container_answer_free(struct mw_container_answer *a);
/* False: enough. */
bool mw_container_answer_feed(struct mw_container_answer *a, const char *p, size_t n);

#endif
