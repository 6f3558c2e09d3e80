/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was asked.  Everything comes from REQUEST_URI: servers hand over
 * PATH_INFO and SCRIPT_NAME decoded, with slashes collapsed and ".." resolved,
 * each in its own way.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"
#include "http/internal.h"

#define VARIABLE_MAX 80	/* bytes of a CGI variable's name */

static const struct {
	const char *name;
	enum mw_method method;
} methods[] = {
	{ "GET", MW_GET }, { "HEAD", MW_HEAD }, { "PUT", MW_PUT },
	{ "POST", MW_POST }, { "DELETE", MW_DELETE }, { "PATCH", MW_PATCH },
};

static enum mw_method
method_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	}
	return MW_OTHER_METHOD;
}

/* [A-Za-z0-9._-]{1,64}: safe in a header, in a log line and upstream. */
static bool
request_id_ok(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789._-");

	return n >= 1 && n <= 64 && s[n] == '\0';
}

static const char *
request_id(struct mw_io *io, struct mw_arena *arena)
{
	const char *sent = io->param(io->t, "HTTP_X_REQUEST_ID");
	char *made;

	if (sent != NULL && request_id_ok(sent))
		return sent;
	made = mw_arena_alloc(arena, 33);
	if (made == NULL)
		return "-";
	mw_str_random_hex(made, 16);
	return made;
}

/* An absolute-form target (RFC 9112 3.2.2) reaches us whole from some servers. */
static const char *
strip_authority(const char *uri)
{
	const char *host;

	if (uri[0] == '/' || (host = strstr(uri, "://")) == NULL)
		return uri;
	host += 3;
	host += strcspn(host, "/?");
	return *host == '\0' ? "/" : host;
}

void
mw_request_init(struct mw_req *req, const struct mw_http *http,
    struct mw_io *io, struct mw_arena *arena)
{
	const char *s;

	memset(req, 0, sizeof(*req));
	req->http = http;
	req->app = http->app;
	req->io = io;
	req->started = mw_now();
	req->ctx.arena = arena;
	req->ctx.deadline = req->started + MW_DEFAULT_DEADLINE;
	req->ctx.request_id = request_id(io, arena);
	req->ctx.gone = io->gone;
	req->ctx.gone_arg = io->t;
	s = io->param(io->t, "REQUEST_METHOD");
	req->method_name = s != NULL ? s : "-";
	req->method = method_of(req->method_name);
	s = io->param(io->t, "REMOTE_ADDR");
	req->address = s != NULL && s[0] != '\0' ? s : "-";
	s = io->param(io->t, "REQUEST_URI");
	req->uri = s != NULL ? strip_authority(s) : "";
	req->max_body = MW_DEFAULT_MAX_BODY;
	req->length = -1;
	mw_buf_init(&req->extra, MW_RES_MAX);
	req->announced = -1;
	mw_buf_init(&req->head, 16 * 1024);
}

void
mw_request_split(struct mw_req *req)
{
	const char *end;

	/* "http://host?query" has an empty path, which is "/" (RFC 9110 4.2.3). */
	if (req->uri[0] != '/' && req->uri[0] != '?')
		return;
	if (strlen(req->uri) > MW_URI_MAX)
		return;
	end = strchrnul(req->uri, '?');
	req->raw_path = end == req->uri ? "/" :
	    mw_arena_dup(req->ctx.arena, req->uri, (size_t)(end - req->uri));
	if (*end == '?')
		req->raw_query = end + 1;
}

/* One side of a query parameter, decoded.  NULL: malformed, holds NUL, or no memory. */
static const char *
query_decode(struct mw_arena *arena, const char *s, size_t n, size_t *lenp)
{
	char *plain = mw_arena_dup(arena, s, n);
	char *out = mw_arena_alloc(arena, n + 1);
	long len;
	size_t i;

	if (plain == NULL || out == NULL)
		return NULL;
	for (i = 0; i < n; i++) {
		if (plain[i] == '+')
			plain[i] = ' ';
	}
	len = mw_path_decode(plain, n, out);
	if (len < 0 || memchr(out, '\0', (size_t)len) != NULL)
		return NULL;
	out[len] = '\0';
	*lenp = (size_t)len;
	return out;
}

/*
 * What a value becomes that has a bad escape or a NUL: no parameter takes it,
 * so a known one is refused by its name and an unknown one is ignored.
 */
#define UNDECODABLE "\x7f"

static void
query_pair(struct mw_req *req, const char *s, size_t n)
{
	struct mw_pair *pair = &req->query[req->nquery];
	const char *eq = memchr(s, '=', n);
	size_t name_n = eq != NULL ? (size_t)(eq - s) : n, ignored;

	pair->name = query_decode(req->ctx.arena, s, name_n, &ignored);
	if (pair->name == NULL)
		return;
	pair->value = eq == NULL ? "" :
	    query_decode(req->ctx.arena, eq + 1, n - name_n - 1, &pair->len);
	if (pair->value == NULL) {
		pair->value = UNDECODABLE;
		pair->len = sizeof(UNDECODABLE) - 1;
	}
	req->nquery++;
}

static enum mw_code
query_parse(struct mw_req *req)
{
	const char *s = req->raw_query;
	size_t n;

	if (s == NULL || *s == '\0')
		return MW_OK;
	req->query = mw_arena_alloc(req->ctx.arena, MW_QUERY_MAX * sizeof(*req->query));
	if (req->query == NULL)
		return mw_ctx_nomem(&req->ctx);
	for (;; s += n + 1) {
		n = strcspn(s, "&");
		if (n > 0 && req->nquery == MW_QUERY_MAX)
			return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
			    "more than %d query parameters", MW_QUERY_MAX);
		if (n > 0)
			query_pair(req, s, n);
		if (s[n] == '\0')
			return MW_OK;
	}
}

/* RFC 9110 8.6: digits only.  Some servers send an empty value for "none". */
static enum mw_code
length_parse(struct mw_req *req)
{
	const char *s = req->io->param(req->io->t, "CONTENT_LENGTH");

	if (s == NULL || *s == '\0')
		return MW_OK;
	if (mw_str_uint(s, strlen(s), INT64_MAX, &req->length))
		return MW_OK;
	if (s[strspn(s, "0123456789")] != '\0')
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "Content-Length is not a number");
	req->length = INT64_MAX;
	return MW_OK;
}

static enum mw_code
escapes_check(struct mw_req *req)
{
	size_t n = strlen(req->raw_path);
	char *scratch = mw_arena_alloc(req->ctx.arena, n + 1);

	if (scratch == NULL)
		return mw_ctx_nomem(&req->ctx);
	if (mw_path_decode(req->raw_path, n, scratch) < 0)
		return mw_ctx_fail(&req->ctx, MW_INVALID_PATH,
		    "the URI holds a malformed percent escape; write a literal %% as %%25");
	return MW_OK;
}

enum mw_code
mw_request_parse(struct mw_req *req)
{
	enum mw_code code;

	if (req->raw_path == NULL)
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "the request URI is missing, is not a path, or is longer than %d bytes",
		    MW_URI_MAX);
	if ((code = escapes_check(req)) != MW_OK || (code = query_parse(req)) != MW_OK)
		return code;
	return length_parse(req);
}

/* The CGI variable of a header; false: its name is too long. */
static bool
variable_of(const char *name, char var[VARIABLE_MAX])
{
	static const char prefix[] = "HTTP_";
	size_t i, n = 0;

	if (strlen(name) + sizeof(prefix) > VARIABLE_MAX)
		return false;
	if (strcasecmp(name, "Content-Type") != 0 && strcasecmp(name, "Content-Length") != 0) {
		memcpy(var, prefix, sizeof(prefix) - 1);
		n = sizeof(prefix) - 1;
	}
	for (i = 0; name[i] != '\0'; i++)
		var[n++] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
	var[n] = '\0';
	return true;
}

const char *
mw_req_header(const struct mw_req *req, const char *name)
{
	char var[VARIABLE_MAX];

	return variable_of(name, var) ? req->io->param(req->io->t, var) : NULL;
}

bool
mw_req_twice(const struct mw_req *req, const char *name)
{
	char var[VARIABLE_MAX];

	return variable_of(name, var) && mw_param_twice(req->io, var);
}

/* A media type or a range of them (RFC 9110 8.3.1), without its parameters. */
static size_t
type_len(const char *s)
{
	return strcspn(s, ";, \t");
}

bool
mw_req_is_json(const struct mw_req *req)
{
	static const char json[] = "application/json", suffix[] = "+json";
	const char *s = mw_req_header(req, "Content-Type");
	size_t n;

	if (s == NULL)
		return false;
	s += strspn(s, " \t");
	n = type_len(s);
	if (n == sizeof(json) - 1 && strncasecmp(s, json, n) == 0)
		return true;
	return n > sizeof(suffix) && memchr(s, '/', n) != NULL &&
	    strncasecmp(s + n - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1) == 0;
}

/* Is there a weight of zero among the parameters s[0..n) (RFC 9110 12.4.2)? */
static bool
weight_is_zero(const char *s, size_t n)
{
	const char *end = s + n;

	while ((s = memchr(s, ';', (size_t)(end - s))) != NULL) {
		s++;
		while (s < end && (*s == ' ' || *s == '\t'))
			s++;
		if (end - s < 3 || strncasecmp(s, "q=0", 3) != 0)
			continue;
		for (s += 3; s < end && (*s == '.' || *s == '0'); s++)
			;
		return s == end || *s < '1' || *s > '9';
	}
	return false;
}

bool
mw_req_accepts_bytes(const struct mw_req *req)
{
	static const char bytes[] = "application/octet-stream";
	const char *s = mw_req_header(req, "Accept");
	size_t n;

	for (; s != NULL && *s != '\0'; s += n + (s[n] == ',')) {
		s += strspn(s, " \t");
		n = strcspn(s, ",");
		if (type_len(s) == sizeof(bytes) - 1 &&
		    strncasecmp(s, bytes, sizeof(bytes) - 1) == 0)
			return !weight_is_zero(s, n);
	}
	return false;
}

const char *
mw_req_time(struct mw_req *req, int64_t wall_ms)
{
	char *s = mw_arena_alloc(req->ctx.arena, MW_RFC3339_LEN);

	if (s == NULL)
		return "";
	mw_rfc3339(wall_ms, s);
	return s;
}
