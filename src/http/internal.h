/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of http/ share with each other and nobody else. */
#ifndef MW_HTTP_INTERNAL_H
#define MW_HTTP_INTERNAL_H

#include "http/http.h"

/* A fresh request: method, id, address, uri; nothing of it can fail. */
void mw_request_init(struct mw_req *req, const struct mw_http *http,
    struct mw_io *io, struct mw_arena *arena);

/* Cut uri into raw_path and raw_query.  Both stay NULL if it is unusable. */
void mw_request_split(struct mw_req *req);

/* What split refused, bad escapes, the query, Content-Length. */
enum mw_code mw_request_parse(struct mw_req *req) MW_MUST;

/* 403, 429, or MW_OK with the right secret or an open route. */
enum mw_code mw_auth_check(struct mw_req *req) MW_MUST;

/* The open row whose pattern is the raw path, or NULL. */
const struct mw_route *mw_route_open(const struct mw_req *req);

/* Sets route, user, id, path; 404, 405 or 400. */
enum mw_code mw_route_find(struct mw_req *req) MW_MUST;

/* The address in one X-Forwarded-For entry (port and brackets cut off), or NULL. */
const char *mw_address_entry(struct mw_arena *arena, const char *s, size_t n);

/* Was the variable `name` sent more than once? */
bool mw_param_twice(struct mw_io *io, const char *name);

/*
 * What the headers say of the body: sums of it, to be compared as it is read, and what
 * is refused (a part, a coding, a form).  mw_req_read() feeds them; the end fails with
 * MW_INVALID_ARGUMENT when one of them does not hold.
 */
enum mw_code mw_digest_begin(struct mw_req *req) MW_MUST;
enum mw_code mw_digest_add(struct mw_req *req, const void *p, size_t n) MW_MUST;
enum mw_code mw_digest_end(struct mw_req *req) MW_MUST;
void mw_digest_free(struct mw_req *req);

/* The transports' loops: exit status. */
int mw_fcgi_serve(const struct mw_http *http);
int mw_cgi_serve(const struct mw_http *http);

#define MW_ARENA_MAX (64 * 1024 * 1024)		/* memory of one request */

#endif
