/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the driver of Cloudflare's in-container server (cloudflare/sandbox-sdk,
 * packages/sandbox-container; API /api on port 3000).  Always without a session: the
 * sessions lose output, and do not end what runs too long.
 */
#ifndef MW_SANDBOX_REMOTE_CONTAINER_H
#define MW_SANDBOX_REMOTE_CONTAINER_H

#include "sandbox/remote/internal.h"

struct mw_container {
	struct mw_remote remote;
	struct mw_sandbox *engine;	/* who starts and stops them; NULL = somebody else */
};

#define MW_CONTAINER_USER "{user}"	/* in sandbox.container.url */

extern const struct mw_remote_error mw_container_errors[];

/* ---- container_http.c ---- */

/* MW_INVALID_USER_ID: not as a part of the URL's host name. */
enum mw_code mw_container_may_be(const struct mw_container *c, struct mw_ctx *ctx,
    const char *user) MW_MUST;

/* One request, with q's method, body and timeout, to the user's server. */
enum mw_code mw_container_request(struct mw_container *c, struct mw_ctx *ctx, const char *user,
    const char *tail, struct mw_net_req *q, struct mw_net_res *res) MW_MUST;

/* What has come of it. */
enum mw_code mw_container_judge(const struct mw_container *c, struct mw_ctx *ctx,
    struct mw_remote_exchange *e, const struct mw_net_res *res) MW_MUST;

/* Does the server answer?  MW_OK with *state (absent: no such host), or why that cannot be
 * told. */
enum mw_code mw_container_ping(struct mw_container *c, struct mw_ctx *ctx, const char *user,
    enum mw_sandbox_state *state) MW_MUST;

/* ---- container_start_stop.c ---- */

/* With an engine: does the container run?  MW_SANDBOX_HIBERNATING, MW_SANDBOX_NOT_FOUND.  A
 * paused one would take a connection and never answer. */
enum mw_code mw_container_gate(struct mw_container *c, struct mw_ctx *ctx, const char *user) MW_MUST;

enum mw_code mw_container_enumerate(struct mw_sandbox *s, struct mw_ctx *ctx, mw_user_fn fn,
    void *arg);
enum mw_code mw_container_status(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    struct mw_sandbox_status *st);
enum mw_code mw_container_start(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user);
enum mw_code mw_container_stop(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user);

/* ---- container_events.c: the events of one execute/stream ---- */

bool mw_container_event(void *events, const char *name, const char *data, size_t n);

#endif
