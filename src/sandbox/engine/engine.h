/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine driver's own: containers of Docker or Podman, over the Docker Engine
 * API (docs.docker.com/reference/api/engine, v1.41; Podman's "compatible" API).
 * No version is named in a URL: all that is used here is the same in every one.
 *
 * What the two tell apart only by status codes (a conflict is 409 here, 500 there)
 * is decided by looking at the container again.
 */
#ifndef MW_SANDBOX_ENGINE_ENGINE_H
#define MW_SANDBOX_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "net/net.h"
#include "sandbox/sandbox.h"

#define MW_ENGINE_USER_LABEL "moltworker.user"
#define MW_ENGINE_NAP 20	/* ms between two looks at what gives no event */
#define MW_ENGINE_MESSAGE 512	/* bytes kept of what the engine says */
#define MW_ENGINE_LEFTOVER 3600	/* s after which an unfinished upload is swept */

#define MW_ENGINE_OWNER 200	/* bytes of an image's id and a user's name */

struct mw_engine_owner {
	char spec[MW_ENGINE_OWNER];	/* what it was found for, as in mw_engine_state */
	int64_t uid, gid;
};

struct mw_engine {
	struct mw_sandbox base;
	struct mw_net *net;
	struct mw_net *aside;	/* for a look while `net` is in a call; NULL until then */
	char *socket;		/* of the engine; NULL = TCP */
	char *origin;		/* "http://engine", or "http://HOST:PORT" */
	char *name;		/* sandbox.name, with {user} */
	char *root, *run_dir;
	char *image, *network;	/* "" = none given */
	bool create;
	bool pause;		/* stop pauses */
	struct mw_local *files;	/* sandbox.engine.files, NULL = by archive */
	bool podman;		/* so it said in its last answer */
	int64_t memory;		/* bytes of a created container, 0 = no limit */
	int64_t timeout;	/* ms: sandbox.timeout */
	struct mw_engine_owner last_owner;	/* the last one that was found */
};

struct json_object;		/* json-c */
struct mw_local;		/* sandbox/local/local.h */

/* ---- engine_http.c: calls ---- */

struct mw_engine_answer {
	int status;
	struct json_object *json;	/* the body, NULL if it is none; the caller puts it */
	char message[MW_ENGINE_MESSAGE];	/* what the engine says of a failure */
};

/* The message of a refusal's body, "" if it has none. */
void mw_engine_message(const char *body, size_t n, char out[MW_ENGINE_MESSAGE]);

/*
 * One call; `json` is its body (kept), NULL = none.  MW_OK: there is an answer, whatever
 * its status.  Else there is none, and the context says why.
 */
enum mw_code mw_engine_call(struct mw_engine *e, struct mw_ctx *ctx, const char *method,
    const char *path, struct json_object *json, struct mw_engine_answer *a) MW_MUST;

/* A call of the caller's own making: method, url's path, headers and body are its; the
 * rest is filled in.  mw_engine_ended() says what the end means. */
void mw_engine_stream(struct mw_engine *e, struct mw_ctx *ctx, const char *path,
    struct mw_net_req *req, struct mw_net_res *res);
enum mw_code mw_engine_ended(struct mw_engine *e, struct mw_ctx *ctx,
    const struct mw_net_res *res) MW_MUST;

/* "/containers/NAME" and what printf makes of the rest, in the arena; NULL out of memory. */
char *mw_engine_path(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *fmt, ...) MW_PRINTF(4, 5);

/*
 * "/containers/NAME/archive?path=..." for an absolute path in a container.  Podman takes the
 * path for a pattern (path.Match), Docker as it is; so a call must have been made before.
 */
char *mw_engine_archive(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *abs);

/* What the engine's answer, status and message, means: the driver's one table. */
enum mw_code mw_engine_code(int status, const char *message) MW_MUST;

/* Members of an answer; "" and -1, false if it is not there or something else. */
const char *mw_engine_str(struct json_object *o, const char *name);
int64_t mw_engine_int(struct json_object *o, const char *name);
bool mw_engine_bool(struct json_object *o, const char *name);
/* The member `name` if it is an object; NULL else. */
struct json_object *mw_engine_obj(struct json_object *o, const char *name);

/* Go's RFC 3339, with any offset, as wall ms; 0 = none. */
int64_t mw_engine_time(const char *s);

/* ---- engine_life.c: what there is ---- */

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

/* What `path` lies on: one of the mounts, or "/". */
const char *mw_engine_mount(const struct mw_engine_state *st, const char *path);

enum mw_code mw_engine_inspect(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    struct mw_engine_state *st) MW_MUST;

/*
 * Will a silent command never end: is its container paused?  Asked aside, from within the
 * call.  Also when twice in a row (*mute, 0 at first) the engine had no word in time: Docker
 * has none while a command is begun in a container that was paused then, until we let go.
 */
bool mw_engine_stuck(struct mw_engine *e, struct mw_ctx *ctx, const char *user, unsigned *mute);

/*
 * An answer that is no success, explained by what the container is: MW_SANDBOX_NOT_FOUND,
 * MW_SANDBOX_HIBERNATING, or what the table says.
 */
enum mw_code mw_engine_refused(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *what, int status, const char *message) MW_MUST;

enum mw_code mw_engine_status(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    struct mw_sandbox_status *st);
enum mw_code mw_engine_start(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user);
enum mw_code mw_engine_stop(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user);

/* ---- engine_events.c ---- */

/* Wait for the container's state to change, a while: then look again.  *nap is 0 before the
 * first of a row of waits.  True: the engine said that something happened. */
bool mw_engine_await(struct mw_engine *e, struct mw_ctx *ctx, const char *user, int64_t *nap);

/* ---- engine_create.c ---- */

/* MW_OK when it was made, or somebody else made it meanwhile. */
enum mw_code mw_engine_create(struct mw_engine *e, struct mw_ctx *ctx, const char *user) MW_MUST;

/* ---- engine_bound.c: files in directories of this host, mounted into the containers ---- */

/* Make the user's two directories, before a container that mounts them is made or started.
 * When the root was removed, its marker goes too. */
enum mw_code mw_engine_bound_make(struct mw_engine *e, struct mw_ctx *ctx, const char *user) MW_MUST;

/* Their mounts, for HostConfig.Mounts; NULL out of memory. */
struct json_object *mw_engine_bound_mounts(const struct mw_engine *e, struct mw_ctx *ctx,
    const char *user);

/* Which of the two mounts a container lacks, in words; NULL = none. */
const char *mw_engine_bound_lacks(const struct mw_engine *e, const struct mw_engine_state *st);

/* A command's input as a file in RUN_DIR/in; *abs is its place inside. */
enum mw_code mw_engine_bound_input(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const struct mw_exec *x, char **abs) MW_MUST;
/* Remove it, if the command has not. */
void mw_engine_bound_drop(const struct mw_engine *e, const char *user, const char *abs);

/* Operations of struct mw_sandbox_ops: the local driver's, with its code. */
enum mw_code mw_engine_bound_read(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, bool ranged, int64_t from, int64_t to, const struct mw_file_sink *sink);
enum mw_code mw_engine_bound_stat(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, struct mw_stat *st);
enum mw_code mw_engine_bound_write(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, int fd, int64_t size, int mode, int64_t mtime);
enum mw_code mw_engine_bound_remove(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path);
enum mw_code mw_engine_bound_list(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, bool recursive, mw_entry_fn fn, void *arg);

/* ---- engine_exec.c ---- */

enum mw_code mw_engine_exec(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const struct mw_exec *x, struct mw_exec_result *r);

/* Run a script of ours: sh -c SCRIPT sh ARGS...; MW_OK when it ran, whatever its status. */
enum mw_code mw_engine_script(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *script, const char *const *args, struct mw_exec_result *r) MW_MUST;

/* ---- engine_place.c: where a path leads ---- */

struct mw_engine_place {
	char *abs;		/* in the container, in the arena */
	char *parent;		/* the deepest directory on the way that is there */
	bool exists;
	bool below_file;	/* something on the way is no directory */
	struct mw_stat st;	/* when it exists */
};

/* From a response's X-Docker-Container-Path-Stat; false if there is none. */
bool mw_engine_stat_header(struct mw_engine *e, struct mw_ctx *ctx, struct mw_stat *st,
    const char **target);

/*
 * Is the instance's content proven (or unproven ones are allowed)?  MW_SANDBOX_HIBERNATING
 * or MW_SANDBOX_NOT_FOUND if not.  Works asleep.
 */
enum mw_code mw_engine_proven(struct mw_engine *e, struct mw_ctx *ctx, const char *user) MW_MUST;

/* Follow `path` link by link, also the last one if `follow`.  What leads out of the
 * user's root is MW_PERMISSION_DENIED. */
enum mw_code mw_engine_resolve(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, bool follow, struct mw_engine_place *p) MW_MUST;

/* MW_FILE_NOT_FOUND, if the instance is still proven; else what it is instead. */
enum mw_code mw_engine_missing(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path) MW_MUST;

/* ---- engine_owner.c ---- */

enum mw_code mw_engine_owner(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const struct mw_engine_state *st, struct mw_engine_owner *o) MW_MUST;

/* ---- engine_upload.c ---- */

struct mw_engine_source {
	const void *p;		/* in memory, or NULL: from fd with pread from 0 */
	int fd;
	int64_t size;
	int mode;
	int64_t mtime;		/* wall ms */
};

/*
 * Put a file where a script can take it, asleep or awake: RUN_DIR/in/NAME; *abs is its
 * place.  With `place` (asleep only) also, once it is whole, at place->abs.  `st` is what the
 * container was a moment ago.
 */
enum mw_code mw_engine_upload(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const struct mw_engine_state *st, const struct mw_engine_source *src,
    const struct mw_engine_place *place, char **abs) MW_MUST;

/* ---- engine_files.c, engine_write.c, engine_list.c ---- */

enum mw_code mw_engine_read(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, bool ranged, int64_t from, int64_t to, const struct mw_file_sink *sink);
enum mw_code mw_engine_stat(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, struct mw_stat *st);
enum mw_code mw_engine_write(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, int fd, int64_t size, int mode, int64_t mtime);
enum mw_code mw_engine_remove(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path);
enum mw_code mw_engine_list(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, bool recursive, mw_entry_fn fn, void *arg);

/* The line "MODE SIZE MTIME [DATE] NAME" of stat -c '%f %s %Y [%y] %n' for this name, if it
 * is the next one.  Only the date has a fraction of the second. */
bool mw_engine_stat_line(const char **p, const char *end, const char *name, size_t n,
    struct mw_stat *st);

/* ---- engine_star.c ---- */

/* Can the engine's archive calls not name this path?  Then they are MW_NOT_SUPPORTED, and
 * these do it, awake only. */
bool mw_engine_starred(const struct mw_engine *e, const char *path);
enum mw_code mw_engine_star_read(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, bool ranged, int64_t from, int64_t to,
    const struct mw_file_sink *sink) MW_MUST;
enum mw_code mw_engine_star_stat(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, struct mw_stat *st) MW_MUST;

/* The statuses of our scripts, and the part that walks to a directory: see engine_write.c. */
extern const char mw_engine_walk[];
enum mw_code mw_engine_script_code(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, const struct mw_exec_result *r) MW_MUST;

#endif
