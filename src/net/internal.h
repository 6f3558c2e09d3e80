/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside net/: the handle, shared by libcurl's calls and the direct ones. */
#ifndef MW_NET_INTERNAL_H
#define MW_NET_INTERNAL_H

#include <curl/curl.h>

#include "base/buf.h"
#include "net/net.h"

#define MW_NET_AGENT "moltworker-admin"
#define MW_NET_LATE "the time for the call is over"
#define MW_NET_BUFFER 65536		/* bytes received at once */
#define HEADERS_OUT 48			/* headers of one request */
#define HEADERS_IN 64			/* headers kept of one answer */
#define HEADERS_IN_BYTES 16384

struct mw_direct;

struct mw_net {
	CURL *curl;
	struct mw_direct *direct;	/* NULL until the first direct call */
	char text[CURL_ERROR_SIZE];
	const char *default_ca;		/* libcurl's own */
	/* headers of the request: nodes chained over text in `out` */
	struct mw_buf out;
	char no_expect[8];
	char request_id[88];		/* "X-Request-Id: " and at most 64 characters */
	struct curl_slist nodes[HEADERS_OUT + 2];
	/* headers of the answer: offsets into `in` */
	char in[HEADERS_IN_BYTES];
	size_t in_len;
	struct { unsigned short name, value; } index[HEADERS_IN];
	size_t nindex;
	/* the call in hand */
	const struct mw_net_req *req;
	struct mw_net_res *res;
	int64_t sent;			/* bytes of the body handed over */
	int status;			/* of the head being read */
	bool head_done;
	bool body_failed;		/* the body could not be read */
	bool stopped, too_large, stalled;
	bool late;			/* bytes came on and on: no wait in which to notice */
	int64_t until;			/* monotonic ms; when it must be over */
	int64_t stall;
	int64_t last_move;		/* when a byte last came or went */
	int64_t idle;			/* when on_idle is called next */
	curl_off_t last_count;
};

/* ---- receive.c ---- */

/* A line of the answer's head, with its end or without; false = no more is wanted. */
bool mw_net_head_line(struct mw_net *n, const char *p, size_t len);

/* Bytes of its body; false = no more is wanted. */
bool mw_net_data(struct mw_net *n, const char *p, size_t len);

/* What every connection is made with. */
CURLcode mw_net_set_connection(struct mw_net *n, CURL *c);

/* Where to, and how long it may take. */
CURLcode mw_net_set_target(struct mw_net *n, CURL *c, const struct mw_net_req *req,
    int64_t limit);

/* ---- direct.c ---- */

/* Can the request go without libcurl's HTTP?  Only what says so does: see net.h. */
bool mw_direct_can(const struct mw_net_req *req);

/*
 * libcurl makes the connection, and we write the request and read the answer.  A kept
 * connection that ends before a byte of the answer is replaced once.
 * Returns how it ended; *text says why not well, and lives as long as n.
 */
enum mw_net_end mw_direct_call(struct mw_net *n, const struct mw_net_req *req,
    const char *request_id, const char **text);

/* Close its connection and free what it uses. */
void mw_direct_close(struct mw_net *n);

#endif
