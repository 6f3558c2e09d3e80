/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The readiness probe: one exec that says which instance a sandbox is and how its
 * gateway is (src/ops/ready/probe.sh).
 */
#ifndef MW_OPS_READY_PROBE_H
#define MW_OPS_READY_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/app.h"

#define MW_PROBE_MAX 256	/* bytes of an answer */

/* The instance marker is 16 lower-case hex digits in RUN_DIR/instance; anything else
 * there is no marker. */
#define MW_MARKER_LEN 16

struct mw_probe_ask {
	bool gateway;		/* look at the gateway too */
	bool pass;		/* note down inside that it has passed: only a wake may */
	int64_t window;		/* ms to wait inside for it to pass; 0 = one look */
	int64_t elapsed;	/* ms waited before: the longer, the rarer the looks */
	uint64_t claim;		/* noted in an instance without a marker, for mw_mark(); or 0 */
	const char *job;	/* wait no more once this job has ended, or NULL */
};

struct mw_probe {
	uint64_t marker;	/* 0 = none: a fresh instance */
	bool looked;		/* at the gateway, too */
	bool gateway;		/* it passes */
	bool none;		/* none was started since the sandbox's own start */
	unsigned generation;	/* newest one that we started under this marker, 0 = none */
	bool passed;		/* this generation has passed at some time */
};

/* Is there a gateway to look after? */
bool mw_has_gateway(const struct mw_conf *conf);

/*
 * Ask the sandbox.  One call of the driver, which the caller counts; it takes at most
 * window + wake.health_timeout.  A sandbox that cannot run it: MW_SANDBOX_UNAVAILABLE.
 */
enum mw_code mw_probe_run(const struct mw_conf *conf, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const struct mw_probe_ask *ask, struct mw_probe *out) MW_MUST;

/* The same with the app's handle, one look without waiting, counted here. */
enum mw_code mw_ask(struct mw_app *app, struct mw_ctx *ctx, const char *user, bool gateway,
    struct mw_probe *out) MW_MUST;

/* An answer of the script.  False if it is none: it comes from among the user's processes. */
bool mw_probe_parse(const char *s, size_t n, struct mw_probe *out) MW_MUST;

/* ms until the next look, after `elapsed` ms of waiting. */
int64_t mw_probe_nap(const struct mw_conf *conf, int64_t elapsed);

/*
 * Give the instance its marker; run after the restore, last.  It must have been claimed by
 * a probe before the first byte was brought: MW_SANDBOX_HIBERNATING if the one that is there
 * now was not, and so may lack what went to its predecessor.
 */
enum mw_code mw_mark(const struct mw_conf *conf, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, uint64_t marker) MW_MUST;

#endif
