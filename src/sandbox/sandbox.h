/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sandboxes.  One table of operations; paths are canonical and relative to
 * the user's root.  A driver maps its upstream's failures to codes and knows
 * nothing of retries or of waking.  A handle is used by one thread at a time.
 *
 * Codes of a sandbox that is not there for the asking: MW_SANDBOX_HIBERNATING
 * (asleep, or its content is not proven: no instance marker), MW_SANDBOX_NOT_FOUND
 * (does not exist), MW_SANDBOX_UNREACHABLE (no answer; what was asked may have
 * happened), MW_SANDBOX_UNAVAILABLE (cannot be run here), MW_SANDBOX_CAPACITY,
 * MW_SANDBOX_TIMEOUT.
 *
 * Every driver gives each command the environment variables MW_ROOT (the user's
 * root, where commands start) and MW_RUN_DIR (sandbox.run_dir), both absolute and
 * as seen inside: a script uses these names, never the configured paths.
 */
#ifndef MW_SANDBOX_SANDBOX_H
#define MW_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "conf/conf.h"

enum mw_sandbox_flags {
	MW_SB_FILES_ASLEEP = 1,	/* files can be read and written while it sleeps */
	MW_SB_CAN_STOP = 2,
	MW_SB_CAN_CREATE = 4,	/* start makes a missing one */
	MW_SB_PAUSES = 8,	/* stop leaves its processes frozen, see stop_ends */
	MW_SB_GUESSES = 16	/* asleep is what was last heard of it: it may run all the same */
};

enum mw_sandbox_state { MW_SB_ABSENT, MW_SB_ASLEEP, MW_SB_STARTING, MW_SB_RUNNING };

struct mw_sandbox_status {
	enum mw_sandbox_state state;
	int64_t started;	/* wall ms, 0 = unknown */
	int64_t memory;		/* bytes, -1 = unknown */
	int processes;		/* -1 = unknown */
};

enum mw_file_type { MW_FT_FILE, MW_FT_DIR, MW_FT_SYMLINK, MW_FT_OTHER };

struct mw_stat {
	enum mw_file_type type;
	int64_t size, mtime;	/* bytes; wall ms */
	int mode;		/* permission bits */
};

struct mw_entry {
	const char *path;	/* relative to the listed directory, raw bytes from below: parse before use */
	struct mw_stat st;
	bool *skip;		/* set to true: do not look into this directory; or NULL */
	/* Not MW_OK: what is in this directory, given before, cannot be told, and why. */
	enum mw_code code;
	const char *error;
};
typedef enum mw_code (*mw_entry_fn)(void *arg, const struct mw_entry *e);
typedef enum mw_code (*mw_user_fn)(void *arg, const char *user);

/* As struct mw_sink of the store, for a file. */
struct mw_file_sink {
	enum mw_code (*begin)(void *arg, const struct mw_stat *st, int64_t from, int64_t to);
	enum mw_code (*data)(void *arg, const void *p, size_t n);
	void *arg;
};

struct mw_exec {
	const char *const *argv;	/* NULL-terminated */
	const char *const *env;		/* "NAME=value"..., NULL-terminated, or NULL */
	const char *cwd;		/* as seen inside, or relative to the user's root; NULL = the root */
	const void *input;		/* stdin, or NULL = /dev/null */
	size_t input_len;
	int64_t timeout;		/* ms; then the call is given up: MW_SANDBOX_TIMEOUT */
};

struct mw_exec_result {
	int exit_code;			/* 128 + N when a signal N ended it */
	struct mw_buf out, err;		/* the caller inits both (their caps count) and frees them */
	bool out_cut, err_cut;		/* the cap was reached, the rest was dropped */
};
/* The streams of exec are cut at the caps of out and err, never failed by them.  A
 * command that cannot be started (no such program or directory) is MW_COMMAND_ERROR. */

struct mw_sandbox;

struct mw_sandbox_ops {
	const char *name;
	size_t input_max;	/* bytes of stdin that one exec takes */
	enum mw_code (*open)(const struct mw_conf *conf, struct mw_sandbox **sp, struct mw_err *err);
	void (*close)(struct mw_sandbox *s);
	enum mw_code (*enumerate)(struct mw_sandbox *s, struct mw_ctx *ctx, mw_user_fn fn, void *arg);
	/* Never starts anything. */
	enum mw_code (*status)(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
	    struct mw_sandbox_status *st);
	/* Returns when it runs and takes exec.  Running already is MW_OK. */
	enum mw_code (*start)(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user);
	/* Returns when nothing of it runs, or could run without a start. */
	enum mw_code (*stop)(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user);
	/* Never starts the sandbox.  Started at most once; no answer = MW_SANDBOX_UNREACHABLE. */
	enum mw_code (*exec)(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
	    const struct mw_exec *x, struct mw_exec_result *r);
	/* File operations; a directory is MW_CONFLICT, a missing file MW_FILE_NOT_FOUND,
	 * refused MW_PERMISSION_DENIED.  from/to as struct mw_range when ranged. */
	enum mw_code (*read)(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
	    const char *path, bool ranged, int64_t from, int64_t to, const struct mw_file_sink *sink);
	/* Content from fd (pread from 0, size bytes); parents are made; whole or not at
	 * all.  mode -1: keep a replaced file's, else 0644.  mtime -1: now. */
	enum mw_code (*write)(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
	    const char *path, int fd, int64_t size, int mode, int64_t mtime);
	enum mw_code (*remove)(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
	    const char *path);
	enum mw_code (*stat)(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
	    const char *path, struct mw_stat *st);	/* does not follow a final symlink */
	/* Entries below `path` ("" = root), any order; recursive does not follow links. */
	enum mw_code (*list)(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
	    const char *path, bool recursive, mw_entry_fn fn, void *arg);
};

/*
 * What is known of who is awake, kept by whoever opened the handle and shared by all
 * of its handles: for a driver that cannot ask without waking.  Any thread may call.
 */
struct mw_awake {
	/* Has this sandbox answered within the last ttl ms, and nothing else been told since? */
	bool (*known)(void *arg, const char *user, int64_t ttl);
	void (*told)(void *arg, const char *user, bool awake);
	void *arg;
};

/* Every driver's struct begins with this. */
struct mw_sandbox {
	const struct mw_sandbox_ops *ops;
	unsigned flags;			/* enum mw_sandbox_flags, as it is configured */
	const struct mw_awake *awake;	/* borrowed; NULL: nobody is known to be awake */
	/* File operations reach a sandbox without an instance marker too.  Set by the
	 * wake around its restore, which has to write before the marker exists. */
	bool allow_unproven;
	/* With MW_SB_PAUSES: stop ends its processes all the same.  Set by a restart. */
	bool stop_ends;
};

enum mw_code mw_sandbox_open(const struct mw_conf *conf, struct mw_sandbox **sp, struct mw_err *err) MW_MUST;
void mw_sandbox_close(struct mw_sandbox *s);	/* accepts NULL */

extern const struct mw_sandbox_ops mw_sandbox_local;
extern const struct mw_sandbox_ops mw_sandbox_bridge;
extern const struct mw_sandbox_ops mw_sandbox_container;
extern const struct mw_sandbox_ops mw_sandbox_engine;

/* The holder of one running local sandbox: `moltctl hold USER`.  Returns its exit status. */
int mw_local_hold(const struct mw_conf *conf, const char *user);

/* Stop every local sandbox of which anything runs; `fn` hears of each, why NULL = stopped. */
typedef void (*mw_stopped_fn)(void *arg, const char *user, const char *why);
enum mw_code mw_local_stop_all(const struct mw_conf *conf, mw_stopped_fn fn, void *arg,
    struct mw_err *err) MW_MUST;

#endif
