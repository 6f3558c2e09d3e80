/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the driver of Cloudflare's in-container server (cloudflare/sandbox-sdk,
 * packages/sandbox-container; API /api on port 3000).  Always without a session: the
 * sessions lose output, and do not end what runs too long.
 */
#ifndef MW_SANDBOX_CONTAINER_H
#define MW_SANDBOX_CONTAINER_H

#include "sandbox/remote.h"

extern const struct mw_remote_error mw_container_errors[];

/* ---- container_answer.c: the events of one execute/stream ---- */

bool mw_container_event(void *events, const char *name, const char *data, size_t n);

#endif
