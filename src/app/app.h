/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One process of the product: configuration, secrets, shared state, store and
 * sandbox, opened once and kept; and the hooks that plug it into http/.
 */
#ifndef MW_APP_APP_H
#define MW_APP_APP_H

#include "conf/conf.h"
#include "http/http.h"
#include "sandbox/sandbox.h"
#include "state/process.h"
#include "state/outbox.h"
#include "state/shm.h"
#include "store/store.h"

/* Where jitter and pauses come from; NULL = the system.  For tests of theirs. */
struct mw_chance {
	uint32_t (*draw)(void *arg);
	void (*sleep)(void *arg, int64_t ms);
	void *arg;
};

struct mw_app {
	const char *name;		/* "files", "moltctl" */
	struct mw_conf_watch *watch;
	const struct mw_conf *conf;	/* of the request in hand */
	struct mw_secret_watch *secret;
	unsigned secret_gen;
	unsigned char digest[2][32];	/* SHA-256 of the accepted secrets */
	bool has_first, has_second;
	char *state_path;		/* fixed for the life of the process */
	char *lock_path;		/* state_path/locks */
	int spool_dir;
	struct mw_shm *shm;
	struct mw_outbox *outbox;
	struct mw_process_db *processes;
	struct mw_store *store;		/* NULL when it cannot be opened: see store_err */
	struct mw_err store_err;
	struct mw_sandbox *sandbox;	/* NULL likewise */
	struct mw_err sandbox_err;
	struct mw_app *lanes;		/* of further threads: app/lanes.h; NULL until needed */
	struct mw_awake awake;		/* of all sandbox handles: kept in shm */
	unsigned procs;			/* of this responder's pool, 0 = not known; see wait.h */
	struct mw_chance chance;
};

/*
 * Open everything.  Fails on what no request can do without (configuration,
 * secret, state); a store or sandbox that cannot be opened fails only the
 * requests that need it.
 */
enum mw_code mw_app_open(const char *name, struct mw_app **ap, struct mw_err *err) MW_MUST;
void mw_app_close(struct mw_app *a);

/*
 * main() of a responder.  With MOLTWORKER_PROCS=N in the environment it becomes
 * N processes on the one listening socket, forked after the libraries are loaded,
 * so that their pages are shared, and respawned when they die.  MOLTWORKER_POOL=N
 * tells it how many of it another master keeps (mod_fcgid).
 */
int mw_app_main(const char *name, const struct mw_route *routes);

/*
 * Set the request's deadline from now: its wake, its own time limit and a little
 * more (ms).  Counts from the moment the body is in, not from its first byte.
 */
void mw_app_deadline(struct mw_req *req, int64_t max_wake, int64_t own);

/* The same for one of several things that a request does: never after the request's own. */
void mw_app_limit(struct mw_ctx *ctx, int64_t max_wake, int64_t own);

/* The query's maxWakeTime, ms: 0 = do not wake; more than the maximum is the maximum. */
#define MW_MAX_WAKE 180000
enum mw_code mw_app_max_wake(struct mw_req *req, int64_t *max_wake) MW_MUST;

/* A sandbox handle of one's own, for another thread: closed before the app. */
enum mw_code mw_app_open_sandbox(const struct mw_app *a, struct mw_sandbox **sp,
    struct mw_err *err) MW_MUST;

/* The store / the sandbox, or the failure to open it. */
enum mw_code mw_app_store(struct mw_app *a, struct mw_ctx *ctx, struct mw_store **s) MW_MUST;
enum mw_code mw_app_sandbox(struct mw_app *a, struct mw_ctx *ctx, struct mw_sandbox **s) MW_MUST;

#endif
