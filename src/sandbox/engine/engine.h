/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine driver, for a driver whose containers it starts and stops. */
#ifndef MW_SANDBOX_ENGINE_ENGINE_H
#define MW_SANDBOX_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"

#define MW_ENGINE_OWNER 200	/* bytes of an image's id and a user's name */

struct mw_engine;		/* what mw_sandbox_engine opens */

struct mw_engine_state {
	bool exists, running, paused;	/* running: takes exec; not while paused */
	bool leaving;			/* being stopped or removed: look again */
	int64_t started;		/* wall ms, 0 = unknown */
	int64_t exit_code;
	size_t commands;		/* that run; with Podman also some that have ended */
	const char **mounts;		/* where something else than its own layer is; in the arena */
	const char *misplaced;		/* what is wrong with that, NULL = nothing */
	char owner[MW_ENGINE_OWNER];	/* "IMAGE USER[:GROUP]", who its commands run as */
};

enum mw_code mw_engine_inspect(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    struct mw_engine_state *st) MW_MUST;

/*
 * Will a silent command never end: is its container paused?  Asked aside, from within the
 * call.  Also when twice in a row (*mute, 0 at first) the engine had no word in time: Docker
 * has none while a command is begun in a container that was paused then, until we let go.
 */
bool mw_engine_stuck(struct mw_engine *e, struct mw_ctx *ctx, const char *user, unsigned *mute);

#endif
