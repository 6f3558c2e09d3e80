/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP to upstreams: kept-alive libcurl handles, deadlines, size caps.  The
 * only code that includes curl.h.  A handle is used by one thread at a time.
 */
#ifndef MW_NET_NET_H
#define MW_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"

struct mw_net;			/* one handle with its connections */

enum mw_code mw_net_open(struct mw_net **np, struct mw_err *err) MW_MUST;
void mw_net_close(struct mw_net *n);		/* accepts NULL */

struct mw_net_header { const char *name, *value; };

struct mw_net_req {
	const char *method;
	const char *url;		/* path and query sent exactly as given (PATH_AS_IS) */
	const char *unix_socket;	/* or NULL */
	const char *ca_file;		/* or NULL / "" = the system's */
	const struct mw_net_header *headers;	/* sent as given; Expect: never */
	size_t nheaders;
	const void *body;		/* in memory, or NULL */
	int body_fd;			/* or from this descriptor with pread, -1 = none */
	/* or from this function, which puts up to n bytes from `at` on into p; 0 = it cannot */
	size_t (*body_read)(void *arg, int64_t at, void *p, size_t n);
	int64_t body_offset, body_size;
	bool direct;			/* if it is a GET or HEAD: without libcurl's HTTP (direct.c).  Its
					 * headers begin with Host */
	bool fresh;			/* on a connection of its own: libcurl sends a request again by
					 * itself when a kept one turns out to be dead */
	int64_t timeout;		/* ms for the whole call, also bounded by ctx->deadline */
	int64_t stall;			/* ms without a byte = timeout; 0 = 30 s.  For long streams timeout may be 0 */
	int64_t max_response;		/* bytes; more is MW_NET_TOO_LARGE */
	/* The head is complete (final, not 1xx); return false to stop reading. */
	bool (*on_head)(void *arg, int status);
	bool (*on_data)(void *arg, const void *p, size_t n);
	/* Or NULL: nothing came or went for two seconds, and for each two more.  Return false to
	 * stop.  May make calls with another handle. */
	bool (*on_idle)(void *arg);
	void *arg;
};

/* How a call ended.  Anything but DONE is no answer. */
enum mw_net_end {
	MW_NET_DONE,		/* a complete answer */
	MW_NET_STOPPED,		/* a callback returned false */
	MW_NET_NO_CONNECT,	/* refused, unresolvable, TLS: nothing was sent */
	MW_NET_CUT,		/* connection ended in the middle, after something may have been sent */
	MW_NET_TIMEOUT,
	MW_NET_TOO_LARGE,
	MW_NET_BAD		/* our own misuse or not HTTP */
};

struct mw_net_res {
	enum mw_net_end end;
	int status;		/* HTTP status, 0 = none arrived */
	int64_t received;	/* body bytes */
	char text[200];		/* what libcurl says of a failure */
};

/* Perform.  Never touches ctx->err: the drivers classify. */
void mw_net_call(struct mw_net *n, struct mw_ctx *ctx,
    const struct mw_net_req *req, struct mw_net_res *res);

/* The class of a libcurl code that is no success (net_classify.c). */
enum mw_net_end mw_net_end_of(int curl, bool nothing_sent);

/* A response header of the call in progress or the last one, NULL if absent.
 * Valid until the next call. */
const char *mw_net_header(struct mw_net *n, const char *name);

#endif
