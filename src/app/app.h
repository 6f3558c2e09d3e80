/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One process of the product: configuration, secrets, shared state, store and
 * sandbox, opened once and kept.
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
	struct mw_handles *handles;	/* kept for workers: app/workers.h; NULL until needed */
	bool worker;			/* a worker's own copy */
	struct mw_awake awake;		/* of all sandbox handles: kept in shm */
	unsigned procs;			/* of this responder's pool, 0 = not known; see wait.h */
	struct mw_chance chance;
	int file_op;			/* of the request in hand, enum mw_file_op; -1 = none */
};

/*
 * Open everything.  Fails on what no request can do without (configuration,
 * secret, state); a store or sandbox that cannot be opened fails only the
 * requests that need it.
 */
enum mw_code mw_app_open(const char *name, struct mw_app **ap, struct mw_err *err) MW_MUST;
void mw_app_close(struct mw_app *a);

/* Before each request: the configuration and secret in force, and what they changed opened anew. */
void mw_app_refresh(struct mw_app *a);

/* A sandbox handle of one's own, for another thread: closed before the app. */
enum mw_code mw_app_open_sandbox(const struct mw_app *a, struct mw_sandbox **sp,
    struct mw_err *err) MW_MUST;

/* The store / the sandbox, or the failure to open it. */
enum mw_code mw_app_store(struct mw_app *a, struct mw_ctx *ctx, struct mw_store **s) MW_MUST;
enum mw_code mw_app_sandbox(struct mw_app *a, struct mw_ctx *ctx, struct mw_sandbox **s) MW_MUST;

#endif
