/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local driver's own: a directory per user.
 *
 *	PATH/USER/		the user's root, sandbox.root inside; for other drivers that keep
 *				files so it may also be a directory below it
 *	PATH/.run/USER/		ours, never visible inside:
 *		lock		byte locks "start" (one start or stop at a time) and
 *				"holder" (held while anything of the sandbox runs)
 *		sock		the agent listens here
 *		log		what bubblewrap had to say
 *		in/		temporary files, renamed into the root when complete
 *		tmp/		/tmp inside
 *		run/		sandbox.run_dir inside, if that is not below /tmp
 */
#ifndef MW_SANDBOX_LOCAL_LOCAL_H
#define MW_SANDBOX_LOCAL_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "sandbox/sandbox.h"

#define MW_LOCAL_SETTING "sandbox.local.isolation"
#define MW_LOCAL_HELD "this sandbox has another holder"

#define MW_LOCAL_LOOK 500	/* ms; how often a wait asks whether we are to end */
#define MW_LOCAL_LEFTOVER 3600	/* s after which an unfinished file is swept */

struct mw_local {
	struct mw_sandbox base;
	char *path;		/* sandbox.local.path, absolute */
	char *below;		/* "", or "/DIR": the user's root is PATH/USER/DIR */
	char *root;		/* sandbox.root */
	char *run_dir;		/* sandbox.run_dir */
	char *run_tail;		/* the same below PATH/.run/USER: "tmp/.moltworker" or "run" */
	bool plain;		/* isolation "none": no bubblewrap, no paths of its own */
};

/* ---- local.c ---- */

enum mw_code mw_local_open(const struct mw_conf *conf, struct mw_local **lp, struct mw_err *err) MW_MUST;
void mw_local_close(struct mw_local *l);	/* accepts NULL */

/* For the file operations only, of a driver whose users' roots are at `files`, a path with
 * {user} as a directory: sandbox.run_dir is then PATH/.run/USER/run. */
enum mw_code mw_local_open_files(const char *files, const struct mw_conf *conf,
    struct mw_local **lp, struct mw_err *err) MW_MUST;

/* ---- path.c: descriptors of directories, -1 and errno on failure ---- */

int mw_local_user_dir(const struct mw_local *l, const char *user);	/* the user's root, O_PATH */
int mw_local_run_dir(const struct mw_local *l, const char *user);	/* PATH/.run/USER */
int mw_local_make_run_dir(const struct mw_local *l, const char *user);	/* the same, made when missing */

/* The user's root for a file operation: it must exist and, unless unproven ones
 * are allowed, carry the instance marker. */
enum mw_code mw_local_files(const struct mw_local *l, struct mw_ctx *ctx, const char *user,
    int *fd) MW_MUST;

/*
 * Open `path` below `root` as the sandbox would: nothing resolves to outside of it,
 * and an absolute link that names the user's root as seen inside is followed there.
 */
int mw_local_openat(const struct mw_local *l, int root, const char *path, int flags);

/* Open `path` below `dir` through no symbolic link at all. */
int mw_local_openat_nolink(int dir, const char *path, int flags);

/* ---- classify.c: the tables from this driver's failures to codes ---- */

/* An errno of a file operation; of connecting to the agent; the stage at which the
 * agent could not start a command (enum mw_ag_stage). */
enum mw_code mw_local_of_errno(int e);
enum mw_code mw_local_of_connect(int e);
enum mw_code mw_local_of_stage(unsigned stage);

/* Record what an errno of a file operation on `path` means. */
enum mw_code mw_local_errno(struct mw_ctx *ctx, int e, const char *path);

/* Remove `name` in `dir` and all below it, however deep.  False with errno. */
bool mw_local_wipe(int dir, const char *name) MW_MUST;

/* Remove all in the directory `fd`, which is closed, but `keep` ("a/b": of "a" all but "b"). */
bool mw_local_empty(int fd, const char *keep) MW_MUST;

/* ---- files.c ---- */

enum mw_code mw_local_read(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, bool ranged, int64_t from, int64_t to, const struct mw_file_sink *sink);
enum mw_code mw_local_write(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, int fd, int64_t size, int mode, int64_t mtime);
enum mw_code mw_local_remove(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path);
enum mw_code mw_local_stat(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, struct mw_stat *st);

/* ---- list.c ---- */

enum mw_code mw_local_list(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, bool recursive, mw_entry_fn fn, void *arg);

struct stat;
void mw_local_stat_fill(const struct stat *sb, struct mw_stat *st);

/* ---- agent_client.c: the agent's client ---- */

/* A connection to the user's agent, or -1 and errno: ENOENT, ECONNREFUSED = none is there. */
int mw_local_connect(const struct mw_local *l, const char *user, int64_t deadline);
/* Does it answer?  MW_SANDBOX_HIBERNATING = nobody listens; MW_SANDBOX_UNREACHABLE =
 * somebody does, without a word. */
enum mw_code mw_local_ping(const struct mw_local *l, const char *user, int64_t deadline) MW_MUST;
enum mw_code mw_local_state(const struct mw_local *l, const char *user, int64_t deadline,
    struct mw_sandbox_status *st) MW_MUST;
/* Ask it to end; returns once the connection is closed or the time is over. */
void mw_local_ask_stop(int fd, int64_t deadline);
/* MW_SANDBOX_UNAVAILABLE: this process was told to end while it waited. */
enum mw_code mw_local_stopping(struct mw_ctx *ctx);
enum mw_code mw_local_exec(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const struct mw_exec *x, struct mw_exec_result *r);

/* ---- start_stop.c ---- */

enum mw_code mw_local_start(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user);
enum mw_code mw_local_stop(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user);
/* Is there a holder, or something of a sandbox that it has left? */
bool mw_local_held(const struct mw_local *l, struct mw_ctx *ctx, const char *user);

/* ---- syscalls.c ---- */

/* A descriptor of the filter of system calls for bubblewrap, -1 on failure. */
int mw_local_syscalls(void) MW_MUST;

/* ---- bwrap.c ---- */

/* May anything be run here at all?  MW_SANDBOX_UNAVAILABLE says why not. */
enum mw_code mw_local_may_run(const struct mw_local *l, struct mw_err *err) MW_MUST;

/* The path of bubblewrap; false when there is none. */
bool mw_bwrap_find(char *out, size_t size) MW_MUST;

/* Where the agent is found inside. */
#define MW_BWRAP_AGENT "/run/moltworker/agent"

/* The command line that runs `agent` inside, allocated in the arena.  The filter of
 * system calls is read from MW_BWRAP_FD_FILTER. */
#define MW_BWRAP_FD_FILTER MW_AG_FD_FREE
enum mw_code mw_bwrap_argv(const struct mw_local *l, const struct mw_conf *conf,
    const char *user, const char *agent, struct mw_arena *arena, char ***argvp,
    struct mw_err *err) MW_MUST;

#endif
