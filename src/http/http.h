/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request in, a response out.  RFC 9110 semantics over three transports:
 * FastCGI (libfcgi, only http/ sees it), plain CGI, and memory (tests).
 */
#ifndef MW_HTTP_HTTP_H
#define MW_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/path.h"

struct mw_app;			/* the product; opaque here */
struct mw_digests;		/* http/digest.c */
struct mw_list;			/* conf/conf.h */

#define MW_URI_MAX 8192		/* bytes of REQUEST_URI */
#define MW_QUERY_MAX 64		/* parameters of a query */
#define MW_DEFAULT_MAX_BODY (32 * 1024 * 1024)	/* unless begin() sets another */
#define MW_DEFAULT_DEADLINE 60000	/* ms, unless begin() or the handler sets another */

/* ---- transport ---- */

/* One request of a transport.  read: 0 = end, -1 = broken; write and flush: false = client gone. */
struct mw_io {
	const char *(*param)(void *t, const char *name);	/* CGI variable, or NULL */
	long (*read)(void *t, void *p, size_t n);
	bool (*write)(void *t, const void *p, size_t n);
	bool (*flush)(void *t);
	bool (*gone)(void *t);		/* has the server told us that the client left? */
	const char *(*param_at)(void *t, size_t i);	/* "NAME=value" number i, or NULL after the last */
	void *t;
	void (*cut)(void *t);		/* end the answer so that it cannot look complete */
};

/* ---- request ---- */

enum mw_method {
	MW_GET = 1, MW_HEAD = 2, MW_PUT = 4, MW_POST = 8, MW_DELETE = 16, MW_PATCH = 32,
	MW_OTHER_METHOD = 64
};

/*
 * A query parameter.  Names and values are decoded the way forms and
 * URLSearchParams write them: '+' is a space and "%2B" a plus.  That holds for
 * the query only; in the path '+' is itself.  A value with a malformed escape or
 * a NUL becomes one DEL byte, which whatever takes the parameter refuses.
 */
struct mw_pair {
	const char *name, *value;	/* percent-decoded, NUL-terminated, arena */
	size_t len;			/* of value */
};

struct mw_route;
struct mw_http;

struct mw_req {
	struct mw_ctx ctx;
	struct mw_app *app;
	struct mw_io *io;
	const struct mw_http *http;
	const struct mw_route *route;
	enum mw_method method;
	const char *method_name;
	const char *uri;		/* REQUEST_URI as sent, scheme://host cut off */
	const char *user;		/* {user} of the route, valid, or NULL */
	const char *path;		/* {path} canonical ("" = root), or NULL */
	const char *id;			/* {id}: one more segment, percent-decoded, or NULL */
	struct mw_pair *query;
	size_t nquery;
	const char *address;		/* the client's, behind trusted proxies; never NULL */
	int64_t started;		/* mw_now() */
	int64_t length;			/* CONTENT_LENGTH, -1 = none sent */
	int64_t body_read;		/* bytes of the body read so far */
	int64_t max_body;

	/* the response so far */
	int status;			/* 0 = head not sent */
	struct mw_buf head;		/* extra headers */
	bool head_sent;
	bool broken;			/* a write failed: the client is gone */
	bool touched;			/* a sandbox or R2 was asked: X-Attempts is due */
	int64_t sent;			/* body bytes */
	const char *source;		/* for the log line: "r2" "container" NULL */
	enum mw_code code;		/* the outcome, for the log line */
	struct mw_buf extra;	/* more members of an error body: triedSources, details */

	/* private to http/ */
	const char *raw_path;		/* uri up to '?', NULL if uri is unusable */
	const char *raw_query;		/* after '?', or NULL */
	const char *hint;		/* of the 403 without a secret */
	int64_t announced;		/* Content-Length sent, -1 = none */
	struct mw_digests *digests;	/* of the body, or NULL */
	bool bodiless;			/* HEAD, 204, 304: bytes are counted and dropped */
};

/* Query parameter `name`, NULL if not sent (the first one, if sent twice). */
const struct mw_pair *mw_req_query(const struct mw_req *req, const char *name);

/* Header by its HTTP name ("If-Match"), NULL if not sent. */
const char *mw_req_header(const struct mw_req *req, const char *name);

/* Was this header sent more than once? */
bool mw_req_twice(const struct mw_req *req, const char *name);

/*
 * Typed query parameters.  Not sent: *out stays as it is (the default).  A bad
 * value: MW_INVALID_ARGUMENT that names the parameter and what was expected.
 * int: min..max, above max is clamped if `clamp`.
 */
enum mw_code mw_req_query_bool(struct mw_req *req, const char *name, bool *out) MW_MUST;
enum mw_code mw_req_query_int(struct mw_req *req, const char *name,
    int64_t min, int64_t max, bool clamp, int64_t *out) MW_MUST;
/* choices: NULL-terminated words; *out gets the index. */
enum mw_code mw_req_query_choice(struct mw_req *req, const char *name,
    const char *const *choices, int *out) MW_MUST;

/*
 * The next bytes of the body; *n = 0 at its end.  MW_BODY_TOO_LARGE before
 * anything is read if Content-Length is over max_body, or as soon as more
 * arrives; MW_INVALID_ARGUMENT if it ends before Content-Length bytes, or with its
 * last ones if a sum of it, in Content-MD5 or the like, is another.
 */
enum mw_code mw_req_read(struct mw_req *req, void *p, size_t cap, size_t *n) MW_MUST;

/* The whole body (at most max bytes, else MW_BODY_TOO_LARGE) in the arena, NUL-terminated. */
enum mw_code mw_req_body(struct mw_req *req, size_t max, char **body, size_t *n) MW_MUST;

/*
 * The address behind trusted proxies: X-Forwarded-For is walked from its right
 * end for as long as the hop that reported the entry is trusted.  Sets
 * req->address; for the begin hook, which knows the list.
 */
void mw_req_resolve_address(struct mw_req *req, const struct mw_list *trusted);

/* Content-Type is JSON (application/json, +json), whatever its parameters. */
bool mw_req_is_json(const struct mw_req *req);

/* Accept asks for application/octet-stream by name. */
bool mw_req_accepts_bytes(const struct mw_req *req);

/* ---- response ---- */

/* A header for the answer.  A value with CR, LF or NUL is dropped and logged. */
void mw_res_header(struct mw_req *req, const char *name, const char *value);
void mw_res_headerf(struct mw_req *req, const char *name, const char *fmt, ...) MW_PRINTF(3, 4);

/*
 * Send status line and headers: the common ones (Cache-Control, nosniff,
 * X-Request-Id, X-Attempts), `type`, and Content-Length unless length is -1.
 */
void mw_res_start(struct mw_req *req, int status, const char *type, int64_t length);

/*
 * Body bytes; for HEAD, 204 and 304 they are counted and dropped.  False = client
 * gone, or more than the announced length (a fault of the caller, logged).
 */
bool mw_res_write(struct mw_req *req, const void *p, size_t n);
bool mw_res_flush(struct mw_req *req);
/* mw_res_write with the signature of mw_write_fn; arg is the request. */
bool mw_res_writer(void *req, const void *p, size_t n);

/*
 * An answer that is a JSON object: mw_res_open() begins it, base/json.h adds its members,
 * mw_res_object() ends it with the time and a newline, sends it, and frees the
 * buffer in any case.  MW_CLIENT_GONE when it could not be written.
 */
#define MW_RES_MAX (64 << 20)		/* bytes of such an answer at most */
void mw_res_open(struct mw_buf *b);
enum mw_code mw_res_object(struct mw_req *req, int status, struct mw_buf *b) MW_MUST;

/*
 * The error answer for ctx.err (code, if ctx.err is empty), if no head was sent
 * yet.  With a head sent it can only cut the connection: see mw_http_abort.
 */
void mw_res_error(struct mw_req *req, enum mw_code code);

/* RFC 3339 now / of wall_ms in the request's arena. */
const char *mw_req_time(struct mw_req *req, int64_t wall_ms);

/* ---- routes ---- */

enum mw_route_flags {
	MW_ROUTE_OPEN = 1,	/* no secret needed if exempt() agrees; literal patterns, matched byte for byte */
	MW_ROUTE_WRITE_PATH = 2,	/* {path} must be NFC */
	MW_ROUTE_DIR = 4		/* {path} may be the root */
};

typedef enum mw_code (*mw_handler_fn)(struct mw_req *req);

/*
 * pattern: literal segments, {user}, {id} (one segment), {path} (the rest, last).
 * A table ends with a NULL pattern.  The first row whose pattern and method
 * match wins; a pattern that matches with other methods only is a 405 with Allow.
 * {id} is never empty.
 * HEAD is answered where the row lists MW_HEAD.  {path} matches an empty rest
 * too: without MW_ROUTE_DIR that is a 400.  Literal segments are compared decoded,
 * and exactly: no slash is collapsed or forgiven.
 */
struct mw_route {
	const char *pattern;
	unsigned methods;
	unsigned flags;
	mw_handler_fn handle;
};

/* ---- the loop ---- */

/* What the layers above plug in.  All members but routes may be NULL. */
struct mw_http {
	const char *name;		/* "files" */
	const struct mw_route *routes;
	struct mw_app *app;
	/* Before each request: refresh configuration; sets max_body. */
	void (*begin)(struct mw_req *req);
	/* Is this the secret?  Called before routing.  Two secrets sent = not called, refused.
	 * NULL: no secret is right. */
	bool (*authorised)(struct mw_req *req, const char *secret, size_t n);
	/* May req->route, a MW_ROUTE_OPEN row, be used without the secret (metrics from
	 * allowed addresses)?  Only asked when no right secret was sent.  NULL: yes. */
	bool (*exempt)(struct mw_req *req);
	/* A wrong or missing secret from req->address; true = too many, answer 429.  A
	 * closed open door (exempt said no) counts too. */
	bool (*refused)(struct mw_req *req);
	/* After each answer, before the connection ends: log, metrics. */
	void (*end)(struct mw_req *req);
};

/*
 * Serve: FastCGI when fd 0 is a listening socket, else one plain CGI request.
 * Returns the exit status.  TERM ends it after the request in hand.
 */
int mw_http_serve(const struct mw_http *http);

/* Has a web server (or moltctl serve) given us a listening socket?  Else this is
 * plain CGI: one request, one process. */
bool mw_http_listening(void);

/* One request of any transport (tests, and the loops above). */
void mw_http_one(const struct mw_http *http, struct mw_io *io, struct mw_arena *arena);

/*
 * Break the answer off so that the client can tell: the body must not look
 * complete.  A handler that returns an error after it sent the head gets this.
 */
void mw_http_abort(struct mw_req *req);

#endif
