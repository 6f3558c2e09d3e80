/* SPDX-License-Identifier: BSD-2-Clause */
/* Which row of the responder's table answers, and what its pattern captured. */
#include <string.h>

#include "http/internal.h"

#define ID_MAX 255	/* bytes of {id}, decoded */

struct piece {
	const char *s;		/* raw, NULL = not in the pattern */
	size_t n;
};

struct caught {
	struct piece user, id, path;
};

static bool
is_word(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(s, word, n) == 0;
}

/* A literal segment: equal after decoding, so %61pi is api. */
static bool
literal(const char *raw, size_t n, const char *want, size_t want_n)
{
	char plain[128];
	long len;

	if (n >= sizeof(plain))
		return false;
	len = mw_path_decode(raw, n, plain);
	return len >= 0 && (size_t)len == want_n && memcmp(plain, want, want_n) == 0;
}

static bool
match(const char *pattern, const char *raw, struct caught *c)
{
	struct piece *slot;
	size_t pn, n;

	memset(c, 0, sizeof(*c));
	for (; *pattern == '/' && *raw == '/'; pattern += pn, raw += n) {
		pn = strcspn(++pattern, "/");
		if (is_word(pattern, pn, "{path}")) {
			c->path = (struct piece){ raw + 1, strlen(raw + 1) };
			return true;
		}
		n = strcspn(++raw, "/");
		slot = is_word(pattern, pn, "{user}") ? &c->user :
		    is_word(pattern, pn, "{id}") ? &c->id : NULL;
		if (slot == &c->id && n == 0)
			return false;
		if (slot != NULL)
			*slot = (struct piece){ raw, n };
		else if (!literal(raw, n, pattern, pn))
			return false;
	}
	return *pattern == '\0' && *raw == '\0';
}

const struct mw_route *
mw_route_open(const struct mw_req *req)
{
	const struct mw_route *r;

	if (req->raw_path == NULL)
		return NULL;
	for (r = req->http->routes; r->pattern != NULL; r++) {
		if ((r->flags & MW_ROUTE_OPEN) != 0 && strcmp(r->pattern, req->raw_path) == 0)
			return r;
	}
	return NULL;
}

static long
decode(struct mw_req *req, const struct piece *raw, char **out)
{
	*out = mw_arena_alloc(req->ctx.arena, raw->n + 1);
	return *out == NULL ? -1 : mw_path_decode(raw->s, raw->n, *out);
}

static enum mw_code
take_user(struct mw_req *req, const struct piece *raw)
{
	char *s;
	long n = decode(req, raw, &s);

	if (n < 0 || !mw_user_valid(s, (size_t)n))
		return mw_ctx_fail(&req->ctx, MW_INVALID_USER_ID,
		    "invalid user id: 1 to %d letters, digits, '.', '_' or '-', "
		    "starting with a letter or digit, without \"..\"", MW_USER_MAX);
	s[n] = '\0';
	req->user = s;
	req->ctx.user = s;
	return MW_OK;
}

static enum mw_code
take_id(struct mw_req *req, const struct piece *raw)
{
	char *s;
	long i, n = decode(req, raw, &s);

	for (i = 0; i < n && (unsigned char)s[i] >= 0x20 && s[i] != 0x7f; i++)
		;
	if (n < 1 || n > ID_MAX || i < n)
		return mw_ctx_fail(&req->ctx, MW_INVALID_ARGUMENT,
		    "the id in the URI is empty, too long or holds a control byte");
	s[n] = '\0';
	req->id = s;
	return MW_OK;
}

/* Decoded as a whole, so that %2F is a separator to the path parser too. */
static enum mw_code
take_path(struct mw_req *req, const struct piece *raw)
{
	unsigned flags = 0;
	char *s, *out = mw_arena_alloc(req->ctx.arena, MW_PATH_MAX + 1);
	long n = decode(req, raw, &s);
	enum mw_code code;

	if (out == NULL || n < 0)
		return mw_ctx_nomem(&req->ctx);
	if ((req->route->flags & MW_ROUTE_WRITE_PATH) != 0)
		flags |= MW_PATH_WRITE;
	if ((req->route->flags & MW_ROUTE_DIR) != 0)
		flags |= MW_PATH_DIR;
	code = mw_path_parse(s, (size_t)n, flags, out, &req->ctx.err);
	if (code == MW_OK)
		req->path = out;
	return code;
}

static enum mw_code
take(struct mw_req *req, const struct caught *c)
{
	enum mw_code code = MW_OK;

	if (c->user.s != NULL)
		code = take_user(req, &c->user);
	if (code == MW_OK && c->id.s != NULL)
		code = take_id(req, &c->id);
	if (code == MW_OK && c->path.s != NULL)
		code = take_path(req, &c->path);
	return code;
}

static enum mw_code
not_allowed(struct mw_req *req, unsigned methods)
{
	static const char *const names[] = { "GET", "HEAD", "PUT", "POST", "DELETE", "PATCH" };
	char allow[64] = "";
	size_t i, n, used = 0;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((methods & (1u << i)) == 0)
			continue;
		if (used > 0) {
			memcpy(allow + used, ", ", 2);
			used += 2;
		}
		n = strlen(names[i]);
		memcpy(allow + used, names[i], n + 1);
		used += n;
	}
	mw_res_header(req, "Allow", allow);
	return mw_ctx_fail(&req->ctx, MW_METHOD_NOT_ALLOWED,
	    "%.20s is not allowed here, only %s", req->method_name, allow);
}

enum mw_code
mw_route_find(struct mw_req *req)
{
	const struct mw_route *r;
	struct caught c;
	unsigned methods = 0;

	for (r = req->http->routes; r->pattern != NULL; r++) {
		if (!match(r->pattern, req->raw_path, &c))
			continue;
		if ((r->methods & req->method) != 0) {
			req->route = r;
			return take(req, &c);
		}
		methods |= r->methods;
	}
	if (methods != 0)
		return not_allowed(req, methods);
	return mw_ctx_fail(&req->ctx, MW_NOT_FOUND, "no such route: %.160s", req->raw_path);
}
