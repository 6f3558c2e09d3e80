/* SPDX-License-Identifier: BSD-2-Clause */
/* The secret, before anything else: an unknown route without it is a 403 too. */
#include <string.h>
#include <strings.h>

#include "http/internal.h"

#define WRONG_SECRETS_WAIT 60	/* seconds */

bool
mw_param_twice(struct mw_io *io, const char *name)
{
	size_t i, n = strlen(name), seen = 0;
	const char *s;

	for (i = 0; (s = io->param_at(io->t, i)) != NULL; i++) {
		if (strncmp(s, name, n) == 0 && s[n] == '=')
			seen++;
	}
	return seen > 1;
}

/* RFC 6750 2.1; the scheme in any case (RFC 9110 11.1). */
static const char *
bearer(const struct mw_req *req)
{
	const char *s = mw_req_header(req, "Authorization");

	if (s == NULL || strncasecmp(s, "Bearer", 6) != 0 || s[6] != ' ')
		return NULL;
	return s + 6 + strspn(s + 6, " ");
}

/*
 * Some servers pass "X_Admin_Secret" on as a second HTTP_X_ADMIN_SECRET, of
 * which a look-up by name shows only one: who sends two is refused.
 */
static bool
secret_right(struct mw_req *req)
{
	const char *s;

	if (req->http->authorised == NULL || mw_req_twice(req, "X-Admin-Secret") ||
	    mw_req_twice(req, "Authorization"))
		return false;
	s = mw_req_header(req, "X-Admin-Secret");
	if (s == NULL)
		s = bearer(req);
	return s != NULL && *s != '\0' && req->http->authorised(req, s, strlen(s));
}

static bool
open_door(struct mw_req *req)
{
	const struct mw_route *route = mw_route_open(req);
	bool open;

	if (route == NULL)
		return false;
	req->route = route;
	open = req->http->exempt == NULL || req->http->exempt(req);
	req->route = NULL;
	return open;
}

enum mw_code
mw_auth_check(struct mw_req *req)
{
	if (secret_right(req) || open_door(req))
		return MW_OK;
	if (req->http->refused != NULL && req->http->refused(req)) {
		mw_err_clear(&req->ctx.err);
		req->ctx.err.retry_after = WRONG_SECRETS_WAIT;
		return mw_ctx_fail(&req->ctx, MW_TOO_MANY_REQUESTS,
		    "Too many wrong secrets from this address; wait a minute");
	}
	req->hint = "Provide X-Admin-Secret header";
	return mw_ctx_fail(&req->ctx, MW_FORBIDDEN, "Super admin access required");
}
