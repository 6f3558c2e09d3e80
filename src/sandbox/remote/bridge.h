/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the driver of Cloudflare's sandbox bridge, a Worker that offers its
 * sandboxes over HTTP (cloudflare/sandbox-sdk, bridge/; API /v1).  Every request
 * that names a sandbox starts its container, and a container that slept or died is
 * replaced by an empty one without a word.
 */
#ifndef MW_SANDBOX_REMOTE_BRIDGE_H
#define MW_SANDBOX_REMOTE_BRIDGE_H

#include "sandbox/remote/internal.h"

#define MW_BRIDGE_ID_MAX 128

struct mw_bridge {
	struct mw_remote remote;
	struct mw_secret_watch *token;	/* NULL = the bridge asks for none */
	int64_t awake_ttl;		/* ms */
	bool starting;			/* a call may start it */
	bool pool_failed;		/* ... and the platform could not */
};

/* RFC 4648 base32 of the user id, lower case, unpadded. */
void mw_bridge_id(const char *user, char out[MW_BRIDGE_ID_MAX + 1]);

extern const struct mw_remote_error mw_bridge_errors[];

/* ---- bridge_events.c: the events of one exec ---- */

bool mw_bridge_event(void *events, const char *name, const char *data, size_t n);

#endif
