/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this gateway knows of the jobs it has given to sandboxes: state.path/jobs.db.
 * The sandbox decides whether a job runs; a row says whose it is, for which
 * instance it is meant, and how it ended as far as anybody has seen.  Claims are
 * atomic across processes.  Never used across fork.
 */
#ifndef MW_STATE_PROCESS_H
#define MW_STATE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"

struct mw_process_db;

enum mw_process_state {
	MW_PROC_CLAIMED,	/* given to the sandbox, or about to be; nobody saw it run */
	MW_PROC_RUNNING,
	MW_PROC_EXITED,		/* from here on it is over */
	MW_PROC_KILLED,
	MW_PROC_TIMEOUT,
	MW_PROC_ERROR,		/* could not be started */
	MW_PROC_LOST
};

#define MW_PROCESS_COMMAND_MAX 1024	/* bytes of a command that a row remembers */

struct mw_process {
	const char *id, *user;
	const char *key;		/* the client's idempotency key, or NULL */
	unsigned char digest[32];	/* of all that makes the request */
	const char *command;		/* the beginning of it, whole UTF-8 characters */
	uint64_t marker;		/* instance that it is meant for */
	enum mw_process_state state;
	int exit_code;			/* -1 = none */
	int64_t limit;			/* ms */
	int64_t created;		/* wall ms */
	int64_t started, ended;		/* wall ms, 0 = not known */
	bool out_cut, err_cut;		/* the sandbox did not store all of it */
	bool kept;			/* its output is in the store: */
	int64_t out_size, err_size;	/* so many bytes */
	bool gone;			/* it was not kept while it was there, and never will be */
	unsigned tries;			/* requests that may have started it */
};

/* The database itself is opened at first need. */
enum mw_code mw_process_db_open(const char *state_path, struct mw_process_db **jp, struct mw_err *err) MW_MUST;
void mw_process_db_close(struct mw_process_db *j);		/* accepts NULL */

bool mw_process_over(enum mw_process_state state);

/*
 * Make the row of a new job, if the user has less than `max` that may be running:
 * else MW_TOO_MANY_REQUESTS.  With a key that the user has used before: *existing
 * is true and *row (arena) the job of then, one more request counted in its tries;
 * MW_CONFLICT if that was another command.  With a key, durable when it returns.
 */
enum mw_code mw_process_claim(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row,
    unsigned max, bool *existing) MW_MUST;

/* A user's job; MW_PROCESS_NOT_FOUND. */
enum mw_code mw_process_get(struct mw_process_db *j, struct mw_ctx *ctx, const char *user,
    const char *id, struct mw_process *row) MW_MUST;

/* A user's job by idempotency key; *found says whether there is one. */
enum mw_code mw_process_by_key(struct mw_process_db *j, struct mw_ctx *ctx, const char *user,
    const char *key, struct mw_process *row, bool *found) MW_MUST;

/*
 * This request has found that nothing was started under row->marker.  If no other
 * request may have done so, the job goes to the instance `to`, and row with it;
 * else *moved is false, and this request is no longer counted.
 */
enum mw_code mw_process_move(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row,
    uint64_t to, bool *moved) MW_MUST;

/* Write down state, exit code, times and cuts, unless it is over already: then
 * *row gets what was written before. */
enum mw_code mw_process_seen(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row) MW_MUST;

/* Its output is in the store. */
enum mw_code mw_process_kept(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row) MW_MUST;

/* The sandbox has its output no more, and nobody has kept it. */
enum mw_code mw_process_gone(struct mw_process_db *j, struct mw_ctx *ctx, struct mw_process *row) MW_MUST;

/*
 * Rows, each valid during the call only, which may use the handle.  Anything but
 * MW_OK from fn stops and is returned.  list: a user's, newest first, at most max.
 * The others are all there are, oldest first, page by page, until the deadline
 * (MW_DEADLINE_EXCEEDED), each once whatever fn does with it, a user's (NULL =
 * everybody's).  running: that are not over, as far as anybody has seen.  unkept: that
 * are over, and whose output is neither kept nor gone.  expired: whose limit passed before `before`.
 */
typedef enum mw_code (*mw_process_fn)(void *arg, const struct mw_process *row);
enum mw_code mw_process_list(struct mw_process_db *j, struct mw_ctx *ctx, const char *user,
    unsigned max, mw_process_fn fn, void *arg) MW_MUST;
enum mw_code mw_process_running(struct mw_process_db *j, struct mw_ctx *ctx, const char *user,
    mw_process_fn fn, void *arg) MW_MUST;
enum mw_code mw_process_unkept(struct mw_process_db *j, struct mw_ctx *ctx, const char *user,
    mw_process_fn fn, void *arg) MW_MUST;
enum mw_code mw_process_expired(struct mw_process_db *j, struct mw_ctx *ctx, const char *user,
    int64_t before, mw_process_fn fn, void *arg) MW_MUST;

/* Everybody with a job.  fn must not use the handle; anything but MW_OK from it stops and
 * is returned. */
enum mw_code mw_process_users(struct mw_process_db *j, struct mw_ctx *ctx,
    enum mw_code (*fn)(void *arg, const char *user), void *arg) MW_MUST;

/* This request has started nothing and gives up: the row goes, unless others count. */
enum mw_code mw_process_abandon(struct mw_process_db *j, struct mw_ctx *ctx, const char *id) MW_MUST;

enum mw_code mw_process_remove(struct mw_process_db *j, struct mw_ctx *ctx, const char *id) MW_MUST;

#endif
