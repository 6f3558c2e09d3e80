/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls of the engine: the request, the JSON answer, and what a refusal means. */
#include "sandbox/engine/internal.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/utf8.h"

#define BODY_MAX (64 << 20)	/* of a JSON answer; a list has about 1 KB per container */
#define DEPTH 24		/* of a JSON answer */

/*
 * What an answer means, by its status and, where that gives nothing (Podman answers 500
 * to nearly everything), by a part of the message.  Read from the top; status 0 = any.
 */
static const struct {
	int status;
	const char *text;
	enum mw_code code;
} table[] = {
	{ 0, "o space left on device", MW_STORAGE_FULL },
	{ 0, "isk quota exceeded", MW_STORAGE_FULL },
	{ 404, "no such image", MW_SANDBOX_UNAVAILABLE },
	{ 404, "No such container", MW_SANDBOX_NOT_FOUND },
	{ 404, "no such container", MW_SANDBOX_NOT_FOUND },
	{ 404, "no container with", MW_SANDBOX_NOT_FOUND },
	{ 404, NULL, MW_FILE_NOT_FOUND },
	{ 400, NULL, MW_INTERNAL_ERROR },	/* it is our request that is wrong */
	{ 401, NULL, MW_SANDBOX_UNAVAILABLE },
	{ 403, "read-only", MW_PERMISSION_DENIED },
	{ 403, NULL, MW_SANDBOX_UNAVAILABLE },
	{ 405, NULL, MW_SANDBOX_UNAVAILABLE },
	{ 429, NULL, MW_SANDBOX_CAPACITY },
	{ 0, "too many levels of symbolic links", MW_PERMISSION_DENIED },
	{ 0, "too many links", MW_PERMISSION_DENIED },
	{ 0, "ermission denied", MW_PERMISSION_DENIED },
	{ 0, "peration not permitted", MW_PERMISSION_DENIED },
	{ 0, "ead-only file system", MW_PERMISSION_DENIED },
	{ 0, "rootfs is marked read-only", MW_PERMISSION_DENIED },
	{ 0, "ot a directory", MW_CONFLICT },
	{ 0, "s a directory", MW_CONFLICT },
	{ 0, "annot overwrite", MW_CONFLICT },
	{ 0, "ile exists", MW_CONFLICT },
	{ 0, "irectory not empty", MW_CONFLICT },
	{ 0, "ile name too long", MW_INVALID_PATH },
	{ 0, "cross-device link", MW_SANDBOX_HIBERNATING },	/* awake it is moved by a copy */
	{ 0, "annot allocate memory", MW_SANDBOX_CAPACITY },
	{ 0, "esource temporarily unavailable", MW_SANDBOX_CAPACITY },
	{ 0, "oo many open files", MW_SANDBOX_CAPACITY },
	{ 409, NULL, MW_SANDBOX_UNREACHABLE },	/* it was changing: ask again */
	{ 501, NULL, MW_NOT_SUPPORTED },
	{ 0, NULL, MW_SANDBOX_UNREACHABLE },
};

enum mw_code
mw_engine_code(int status, const char *message)
{
	size_t i;

	for (i = 0; i + 1 < sizeof(table) / sizeof(table[0]); i++) {
		if ((table[i].status == 0 || table[i].status == status) &&
		    (table[i].text == NULL || strstr(message, table[i].text) != NULL))
			break;
	}
	return table[i].code;
}

/* ---- JSON ---- */

const char *
mw_engine_str(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v) || !json_object_is_type(v, json_type_string))
		return "";
	return json_object_get_string(v);
}

int64_t
mw_engine_int(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v) || !json_object_is_type(v, json_type_int))
		return -1;
	return json_object_get_int64(v);
}

bool
mw_engine_bool(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	return json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_boolean) &&
	    json_object_get_boolean(v);
}

struct json_object *
mw_engine_obj(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	return json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_object) ?
	    v : NULL;
}

int64_t
mw_engine_time(const char *s)
{
	size_t n = strlen(s);
	int64_t t, h, m;
	char utc[64];

	if (n >= sizeof(utc) || strncmp(s, "0001-", 5) == 0)
		return 0;
	memcpy(utc, s, n + 1);
	h = m = 0;
	if (n > 6 && (s[n - 6] == '+' || s[n - 6] == '-')) {
		if (!mw_str_uint(s + n - 5, 2, 23, &h) || s[n - 3] != ':' ||
		    !mw_str_uint(s + n - 2, 2, 59, &m))
			return 0;
		utc[n - 6] = 'Z';
		utc[n - 5] = '\0';
		if (s[n - 6] == '-') {
			h = -h;
			m = -m;
		}
	}
	return mw_http_date_parse(utc, &t) || mw_rfc3339_parse(utc, &t) ?
	    t - (h * 60 + m) * 60000 : 0;
}

static struct json_object *
parse(const struct mw_buf *b)
{
	struct json_tokener *tok = json_tokener_new_ex(DEPTH);
	struct json_object *o = NULL;

	if (tok == NULL || b->len == 0 || b->len > INT32_MAX) {
		if (tok != NULL)
			json_tokener_free(tok);
		return NULL;
	}
	o = json_tokener_parse_ex(tok, b->data, (int)b->len);
	if (json_tokener_get_error(tok) != json_tokener_success) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	return o;
}

/* ---- calls ---- */

char *
mw_engine_path(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *fmt, ...)
{
	const char *at = strstr(e->name, "{user}");
	char rest[8192];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(rest, sizeof(rest), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(rest))
		return NULL;
	/* Names and user ids need no encoding. */
	return mw_arena_printf(ctx->arena, "/containers/%.*s%s%s%s", (int)(at - e->name), e->name,
	    user, at + 6, rest);
}

char *
mw_engine_archive(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *abs)
{
	struct mw_buf b;
	char *out = NULL;

	mw_buf_init(&b, 7000);
	for (; *abs != '\0'; abs++) {
		if (e->podman && strchr("*?[\\", *abs) != NULL)
			(void)mw_buf_adds(&b, "%5C");
		(void)mw_str_pct_encode(&b, abs, 1, "/");
	}
	if (mw_buf_addc(&b, '\0'))
		out = mw_engine_path(e, ctx, user, "/archive?path=%s", b.data);
	mw_buf_free(&b);
	return out;
}

bool
mw_engine_starred(const struct mw_engine *e, const char *path)
{
	return e->podman && strchr(path, '*') != NULL;
}

/* There was no connection: is there an engine at all? */
static enum mw_code
unreachable(struct mw_engine *e, struct mw_ctx *ctx, const struct mw_net_res *res)
{
	if (mw_left(ctx->deadline) == 0)
		return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT, "no time was left to ask the engine");
	if (e->socket != NULL && access(e->socket, W_OK) != 0) {
		if (errno == EACCES)
			return mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
			    "%s: this process may not use it: see doc/install.md, Docker and Podman",
			    e->socket);
		return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE, "%s: %s: is the engine running?",
		    e->socket, strerror(errno));
	}
	return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE, "the engine does not answer at %s: %s",
	    e->socket != NULL ? e->socket : e->origin, res->text);
}

enum mw_code
mw_engine_ended(struct mw_engine *e, struct mw_ctx *ctx, const struct mw_net_res *res)
{
	enum mw_code code;

	switch (res->end) {
	case MW_NET_DONE:
	case MW_NET_STOPPED:
		return MW_OK;
	case MW_NET_NO_CONNECT:
		code = unreachable(e, ctx, res);
		ctx->err.unsent = true;
		return code;
	case MW_NET_TIMEOUT:
		return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT, "the engine took too long");
	case MW_NET_CUT:
		return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE,
		    "the connection to the engine was lost: %s", res->text);
	case MW_NET_TOO_LARGE:
		return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE, "the engine's answer is too large");
	default:
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "calling the engine: %s", res->text);
	}
}

void
mw_engine_stream(struct mw_engine *e, struct mw_ctx *ctx, const char *path,
    struct mw_net_req *req, struct mw_net_res *res)
{
	*res = (struct mw_net_res){ .end = MW_NET_BAD };
	req->url = path == NULL ? NULL : mw_arena_printf(ctx->arena, "%s%s", e->origin, path);
	if (req->url == NULL) {
		(void)snprintf(res->text, sizeof(res->text), "out of memory, or a path too long");
		return;
	}
	req->unix_socket = e->socket;
	if (req->max_response == 0)
		req->max_response = INT64_MAX;
	if (req->stall == 0)
		req->stall = e->timeout;
	mw_ctx_call(ctx);
	mw_net_call(e->net, ctx, req, res);
	if (res->status != 0)
		e->podman = mw_net_header(e->net, "Libpod-Api-Version") != NULL;
}

static bool
keep(void *arg, const void *p, size_t n)
{
	return mw_buf_add(arg, p, n);
}

void
mw_engine_message(const char *body, size_t n, char out[MW_ENGINE_MESSAGE])
{
	struct mw_buf b = { .data = (char *)(uintptr_t)body, .len = n };
	struct json_object *o = parse(&b);

	(void)snprintf(out, MW_ENGINE_MESSAGE, "%s", mw_engine_str(o, "message"));
	mw_utf8_clean(out, strlen(out), ' ');
	json_object_put(o);
}

enum mw_code
mw_engine_call(struct mw_engine *e, struct mw_ctx *ctx, const char *method, const char *path,
    struct json_object *json, struct mw_engine_answer *a)
{
	struct mw_net_header type = { "Content-Type", "application/json" };
	struct mw_net_req req = { .method = method, .body_fd = -1, .on_data = keep,
	    .max_response = BODY_MAX };
	struct mw_net_res res;
	struct mw_buf body;
	enum mw_code code;
	size_t n = 0;

	*a = (struct mw_engine_answer){ .status = 0 };
	mw_buf_init(&body, BODY_MAX);
	req.arg = &body;
	if (json != NULL) {
		req.body = json_object_to_json_string_length(json, JSON_C_TO_STRING_PLAIN, &n);
		req.body_size = (int64_t)n;
		req.headers = &type;
		req.nheaders = 1;
	}
	mw_engine_stream(e, ctx, path, &req, &res);
	code = mw_engine_ended(e, ctx, &res);
	if (code == MW_OK) {
		a->status = res.status;
		a->json = parse(&body);
		if (res.status >= 300)
			mw_engine_message(body.data, body.len, a->message);
	}
	mw_buf_free(&body);
	return code;
}
