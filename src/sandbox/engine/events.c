/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for a container to become something else: for the engine's word that it has, as
 * long as somebody else takes to stop or remove it.  An event is a hint only.  One may be
 * missed before the engine listens, or come late (Podman reads its file of events four times
 * a second): so short waits are naps, long ones have an end, and whoever waits looks again.
 */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "sandbox/engine/internal.h"

#define NAP_MAX 200		/* ms; a longer wait is for events */
#define WAIT_MAX 1000		/* ms of one wait for an event */

struct await {
	bool listens, told;
};

static bool
on_head(void *arg, int status)
{
	struct await *a = arg;

	a->listens = status == 200;
	return a->listens;
}

static bool
on_data(void *arg, const void *p, size_t n)
{
	struct await *a = arg;

	(void)p;
	a->told = n > 0;
	return !a->told;
}

/* /events?filters={"type":["container"],"container":["NAME"]} */
static char *
events_path(struct mw_engine *e, struct mw_ctx *ctx, const char *user)
{
	static const char before[] = "{\"type\":[\"container\"],\"container\":[\"", after[] = "\"]}";
	const char *name = mw_engine_path(e, ctx, user, "%s", "");
	char *out = NULL;
	struct mw_buf b;

	if (name == NULL)
		return NULL;
	name += sizeof("/containers/") - 1;
	mw_buf_init(&b, 4096);
	if (mw_str_pct_encode(&b, before, sizeof(before) - 1, "") &&
	    mw_str_pct_encode(&b, name, strlen(name), "") &&
	    mw_str_pct_encode(&b, after, sizeof(after) - 1, "") && mw_buf_addc(&b, '\0'))
		out = mw_arena_printf(ctx->arena, "/events?filters=%s", b.data);
	mw_buf_free(&b);
	return out;
}

bool
mw_engine_await(struct mw_engine *e, struct mw_ctx *ctx, const char *user, int64_t *nap)
{
	struct await a = { .listens = false };
	struct mw_net_req req = { .method = "GET", .body_fd = -1, .on_head = on_head,
	    .on_data = on_data, .arg = &a, .timeout = WAIT_MAX };
	int64_t left = mw_left(ctx->deadline);
	struct mw_net_res res;

	*nap = *nap == 0 ? MW_ENGINE_NAP : *nap * 2;
	if (*nap <= NAP_MAX) {
		mw_sleep_ms(*nap < left ? *nap : left);
		return false;
	}
	*nap = NAP_MAX;
	if (left < req.timeout)
		req.timeout = left > 0 ? left : 1;
	mw_engine_stream(e, ctx, events_path(e, ctx, user), &req, &res);
	if (!a.told && !(a.listens && res.end == MW_NET_TIMEOUT))
		mw_sleep_ms(MW_ENGINE_NAP);
	return a.told;
}
