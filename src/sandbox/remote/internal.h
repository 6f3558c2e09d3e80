/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the drivers of sandboxes behind an HTTP API have in common.  Such an API
 * runs a command line and hands over its output as text; everything else is made
 * of that: each operation is one run of sandbox/remote/remote.sh, with what the client
 * sent as quoted or base64 data, and an answer in base64.  So names and contents
 * are exact, the marker is looked at in the same call, and a missing file is told
 * from an empty one.  What is too large for a command line is uploaded before.
 */
#ifndef MW_SANDBOX_REMOTE_INTERNAL_H
#define MW_SANDBOX_REMOTE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "base/json.h"
#include "net/net.h"
#include "sandbox/sandbox.h"
#include "sandbox/remote/sse.h"

#define MW_REMOTE_INPUT_MAX (4 << 20)	/* bytes of stdin of one exec */
#define MW_REMOTE_ANSWER_MAX (INT64_C(1) << 31)	/* bytes of one command's events */
#define MW_REMOTE_LINE_MAX 120000	/* bytes of a command line; 128 KiB is Linux's end */

/* ---- what a driver brings along ---- */

struct mw_remote;

/* One command line, in the upstream's own shell. */
struct mw_remote_run {
	const char *const *argv;	/* ASCII, NULL-terminated */
	bool once;			/* must not be sent twice */
	int64_t timeout;		/* ms */
	bool (*out)(void *arg, const void *p, size_t n);	/* its stdout; false: enough */
	void *arg;
	int exit_code;			/* filled in; -1 when `out` ended it */
};

struct mw_remote_ops {
	/* Run it.  MW_OK: it has ended, or `out` wanted no more.  MW_SANDBOX_HIBERNATING
	 * before anything was sent, if that would start a sandbox. */
	enum mw_code (*run)(struct mw_remote *r, struct mw_ctx *ctx, const char *user,
	    struct mw_remote_run *run);
	/* Make the file `path`, as seen inside, of size bytes of p, or of fd from `at`. */
	enum mw_code (*upload)(struct mw_remote *r, struct mw_ctx *ctx, const char *user,
	    const char *path, const void *p, int fd, int64_t at, int64_t size);
	int64_t piece;			/* bytes that one upload takes */
	bool only_root;			/* uploads go below the user's root only */
};

struct mw_remote {
	struct mw_sandbox base;
	const struct mw_remote_ops *ops;
	struct mw_net *net;
	char *url;			/* without a slash at its end */
	char *root, *run_dir;		/* sandbox.root, sandbox.run_dir */
	char *in;			/* the directory of uploads, as seen inside */
	int64_t timeout;		/* sandbox.timeout */
};

/* ---- remote.c ---- */

enum mw_code mw_remote_init(struct mw_remote *r, const struct mw_sandbox_ops *ops,
    const struct mw_remote_ops *own, const struct mw_conf *conf, const char *url,
    struct mw_err *err) MW_MUST;	/* free it in either case */
void mw_remote_free(struct mw_remote *r);

/* No upstream lists its sandboxes: nobody is known here but by R2. */
enum mw_code mw_remote_enumerate(struct mw_sandbox *s, struct mw_ctx *ctx, mw_user_fn fn,
    void *arg);

/* An answer that did not come, or not to its end, as a code; `what` was called. */
enum mw_code mw_remote_net_fail(struct mw_ctx *ctx, const struct mw_net_res *res,
    const char *what);

/* One row of an upstream's table of errors. */
struct mw_remote_error {
	int status;			/* HTTP, 0 = any, or in-band */
	const char *word;		/* its code, NULL = any */
	const char *text;		/* part of its message, NULL = any */
	enum mw_code code;
	const char *hint;		/* what to do about it, or NULL */
};
/* The first row that fits; the last one must fit all.  Never NULL. */
const struct mw_remote_error *mw_remote_classify(const struct mw_remote_error *table,
    int status, const char *word, const char *text);

/* What an upstream's JSON document says went wrong: its members `word` and `text` are
 * copied as far as they fit, "" when they are not there. */
struct mw_remote_said {
	char code[64];
	char text[200];
};
void mw_remote_said(const char *json, size_t n, const char *word, const char *text,
    struct mw_remote_said *out);

/* ---- exchange.c: one request and its answer ---- */

/* The events of one command; fed through sse, whose function is the upstream's. */
struct mw_remote_events {
	struct mw_sse sse;
	bool (*out)(void *arg, const void *p, size_t n);	/* its stdout */
	void *arg;
	bool ended, failed;		/* one of them is the last word */
	bool stopped;			/* `out` wanted no more */
	int exit_code;
	struct mw_remote_said said;	/* when failed */
};

void mw_remote_events_init(struct mw_remote_events *a, mw_sse_fn event,
    bool (*out)(void *arg, const void *p, size_t n), void *arg);

struct mw_remote_exchange {
	struct mw_remote_events events;	/* .said: also of a refusal, see mw_remote_exchange_end() */
	int status;
	struct mw_buf said;		/* the document of an answer that is a status */
};

/* Fills q's callbacks and max_response.  run NULL: the answer is a status, not events. */
void mw_remote_exchange_init(struct mw_remote_exchange *e, struct mw_net_req *q, mw_sse_fn event,
    const struct mw_remote_run *run);
void mw_remote_exchange_free(struct mw_remote_exchange *e);

enum mw_remote_end {
	MW_REMOTE_ENDED,	/* a good answer; the command's exit code is in the events */
	MW_REMOTE_REFUSED,	/* e->status and e->events.said say why */
	MW_REMOTE_UNFINISHED,	/* it has an end, and does not say how the command ended */
	MW_REMOTE_LOST		/* no whole answer: res says why */
};
/* How it ended; `text` is the member with the message in the upstream's documents. */
enum mw_remote_end mw_remote_exchange_end(struct mw_remote_exchange *e,
    const struct mw_net_res *res, const char *text);

/* The failures of these ends; `what` was called. */
enum mw_code mw_remote_refused(struct mw_ctx *ctx, const struct mw_remote_error *row,
    const struct mw_remote_exchange *e, const char *what);
enum mw_code mw_remote_unfinished(struct mw_ctx *ctx, const char *what);

/* ---- call.c ---- */

/* One operation of remote.sh. */
struct mw_remote_call {
	struct mw_remote *r;
	struct mw_ctx *ctx;
	const char *user;
	const char *const *args;	/* the operation and its arguments, NULL-terminated */
	const char *const *env;		/* of its command, or NULL */
	bool proof;			/* nothing without an instance marker */
	bool once;
	int64_t timeout;
	const void *input;		/* what goes along: in memory, */
	int input_fd;			/* or from this descriptor, if input is NULL */
	int64_t input_size;		/* 0 = nothing */
	/* The line after "mw1 ", cut at 1 KiB; then data.  A code other than MW_OK ends
	 * the call, which returns it. */
	enum mw_code (*head)(void *arg, const char *line);
	enum mw_code (*data)(void *arg, unsigned part, const void *p, size_t n);
	void *arg;
	/* filled in */
	char nonce[33];
	bool bad;			/* the script had trouble on its way */
};

/* Call it.  What the script refuses is a code by one table; so `head` sees only the
 * words of success.  `path` is for messages. */
enum mw_code mw_remote_call(struct mw_remote_call *c, const char *path) MW_MUST;

/* Run `true` in it. */
enum mw_code mw_remote_ping(struct mw_remote *r, struct mw_ctx *ctx, const char *user) MW_MUST;

/* size bytes of p, or, if that is NULL, of fd from `at` on, in base64. */
enum mw_code mw_remote_encode(struct mw_ctx *ctx, struct mw_buf *b, const void *p, int fd,
    int64_t at, int64_t size) MW_MUST;

/* s in single quotes, for a shell. */
bool mw_remote_quote(struct mw_buf *b, const char *s);

/* ---- answer.c: the script's answer, in pieces ---- */

#define MW_REMOTE_HEAD_MAX 1023

struct mw_remote_answer {
	const char *nonce;
	enum mw_code (*head)(void *arg, const char *line);
	enum mw_code (*data)(void *arg, unsigned part, const void *p, size_t n);
	void *arg;
	enum mw_code code;		/* what a callback returned */
	bool garbled;			/* it is no answer */
	bool whole, bad;
	unsigned part;
	struct mw_base64 b64;
	bool dot;			/* the line in hand begins with '.' */
	bool fresh;			/* nothing of the line in hand has come */
	bool headed;
	size_t len;			/* of line */
	char line[MW_REMOTE_HEAD_MAX + 1];
};

void mw_remote_answer_init(struct mw_remote_answer *a, const char *nonce);
/* False: enough; see code and garbled. */
bool mw_remote_answer_feed(struct mw_remote_answer *a, const char *p, size_t n);

/* ---- operations of struct mw_sandbox_ops ---- */

enum mw_code mw_remote_exec(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const struct mw_exec *x, struct mw_exec_result *r);
enum mw_code mw_remote_read(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, bool ranged, int64_t from, int64_t to, const struct mw_file_sink *sink);
enum mw_code mw_remote_write(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, int fd, int64_t size, int mode, int64_t mtime);
enum mw_code mw_remote_remove(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path);
enum mw_code mw_remote_stat(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, struct mw_stat *st);
enum mw_code mw_remote_list(struct mw_sandbox *s, struct mw_ctx *ctx, const char *user,
    const char *path, bool recursive, mw_entry_fn fn, void *arg);

/* ---- stat.c ---- */

/* The next field of *p, up to a space or the end; false when there is none. */
bool mw_remote_field(const char **p, const char **s, size_t *n) MW_MUST;

/* "SIZE", "SECONDS[.FRACTION]" and "MODE" in hex, as stat prints them. */
bool mw_remote_stat_parse(const char **p, struct mw_stat *st) MW_MUST;

#endif
