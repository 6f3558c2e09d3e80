/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine driver's own: containers of Docker or Podman, over the Docker Engine
 * API (docs.docker.com/reference/api/engine, v1.41; Podman's "compatible" API).
 * No version is named in a URL: all that is used here is the same in every one.
 *
 * What the two tell apart only by status codes (a conflict is 409 here, 500 there)
 * is decided by looking at the container again.
 */
#ifndef MW_SANDBOX_ENGINE_INTERNAL_H
#define MW_SANDBOX_ENGINE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "net/net.h"
#include "sandbox/engine/engine.h"
#include "sandbox/sandbox.h"

#define MW_ENGINE_USER_LABEL "moltworker.user"
#define MW_ENGINE_NAP 20	/* ms between two looks at what gives no event */
#define MW_ENGINE_MESSAGE 512	/* bytes kept of what the engine says */
#define MW_ENGINE_LEFTOVER 3600	/* s after which an unfinished upload is swept */

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

/* ---- http.c: calls ---- */

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

/* Can the archive calls not name this path?  Then they are MW_NOT_SUPPORTED. */
bool mw_engine_starred(const struct mw_engine *e, const char *path);

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

/* ---- inspect.c: what there is ---- */

/* What `path` lies on: one of the mounts, or "/". */
const char *mw_engine_mount(const struct mw_engine_state *st, const char *path);

/*
 * An answer that is no success, explained by what the container is: MW_SANDBOX_NOT_FOUND,
 * MW_SANDBOX_HIBERNATING, or what the table says.
 */
enum mw_code mw_engine_refused(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *what, int status, const char *message) MW_MUST;

/* ---- start_stop.c: operations of struct mw_sandbox_ops ---- */

enum mw_code mw_engine_status(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    struct mw_sandbox_status *st);
enum mw_code mw_engine_start(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user);
enum mw_code mw_engine_stop(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user);

/* ---- events.c ---- */

/* Wait for the container's state to change, a while: then look again.  *nap is 0 before the
 * first of a row of waits.  True: the engine said that something happened. */
bool mw_engine_await(struct mw_engine *e, struct mw_ctx *ctx, const char *user, int64_t *nap);

/* ---- create.c ---- */

/* MW_OK when it was made, or somebody else made it meanwhile. */
enum mw_code mw_engine_create(struct mw_engine *e, struct mw_ctx *ctx, const char *user) MW_MUST;

/* ---- bind.c: files in directories of this host, mounted into the containers ---- */

/* Make the user's two directories, before a container that mounts them is made or started.
 * When the root was removed, its marker goes too. */
enum mw_code mw_engine_bound_make(struct mw_engine *e, struct mw_ctx *ctx, const char *user) MW_MUST;

/* Their mounts, for HostConfig.Mounts; NULL out of memory. */
struct json_object *mw_engine_bound_mounts(const struct mw_engine *e, struct mw_ctx *ctx,
    const char *user);

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

/* ---- exec.c ---- */

enum mw_code mw_engine_exec(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const struct mw_exec *x, struct mw_exec_result *r);

/* ---- path.c: where a path leads ---- */

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

/* ---- uid.c ---- */

enum mw_code mw_engine_owner(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const struct mw_engine_state *st, struct mw_engine_owner *o) MW_MUST;

/* ---- upload.c ---- */

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

/* ---- read.c, write.c, list.c ---- */

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

/* ---- glob.c ---- */

/* What the archive calls cannot name, awake only. */
enum mw_code mw_engine_star_read(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, bool ranged, int64_t from, int64_t to,
    const struct mw_file_sink *sink) MW_MUST;
enum mw_code mw_engine_star_stat(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, struct mw_stat *st) MW_MUST;

/* ---- script.c: files.sh ---- */

enum {				/* how it ends, when not well */
	MW_SCRIPT_UNPROVEN = 20, MW_SCRIPT_CONFLICT, MW_SCRIPT_OUTSIDE, MW_SCRIPT_MISSING,
	MW_SCRIPT_FAILED,
	MW_SCRIPT_NO_TOOLS = 30,	/* of a list: no find, or no stat */
	MW_SCRIPT_COMPLAINED		/* of a list: find had something to say */
};

/*
 * Run it with ARGS; at most `max` bytes of output are kept.  The caller frees r's buffers in
 * either case.  MW_OK: it ended well, or as only a list can; r->exit_code tells.
 */
enum mw_code mw_engine_script(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, const char *const *args, size_t max, struct mw_exec_result *r) MW_MUST;

/* What an end of it means. */
enum mw_code mw_engine_script_code(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, const struct mw_exec_result *r) MW_MUST;

/* The line "MODE SIZE MTIME [DATE] NAME" of stat -c '%f %s %Y [%y] %n' for this name, if it
 * is the next one.  Only the date has a fraction of the second. */
bool mw_engine_stat_line(const char **p, const char *end, const char *name, size_t n,
    struct mw_stat *st);

#endif
