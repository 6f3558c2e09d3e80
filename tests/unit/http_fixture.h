/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests over the memory transport, and what the handler saw of them. */
#ifndef MW_TESTS_HTTP_FIXTURE_H
#define MW_TESTS_HTTP_FIXTURE_H

#include "tap.h"

#include <json-c/json.h>
#include <stdlib.h>

#include "mem.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SECRET "HTTP_X_ADMIN_SECRET=right"

struct call {
	struct mw_mem m;
	struct mw_arena *arena;
	const char *params[100];
	char method[40], uri[20000];
};

__attribute__((unused)) static bool
right_secret(struct mw_req *req, const char *s, size_t n)
{
	(void)req;
	return n == 5 && memcmp(s, "right", 5) == 0;
}

/* extra: NULL-terminated "NAME=value", or NULL.  Nothing is run yet. */
__attribute__((unused)) static void
call_init(struct call *c, const char *method, const char *uri, const char *const *extra,
    const char *body, size_t n)
{
	size_t i = 0;

	snprintf(c->method, sizeof(c->method), "REQUEST_METHOD=%s", method);
	snprintf(c->uri, sizeof(c->uri), "REQUEST_URI=%s", uri);
	c->params[i++] = c->method;
	c->params[i++] = c->uri;
	for (; extra != NULL && *extra != NULL && i < COUNT(c->params) - 1; extra++)
		c->params[i++] = *extra;
	c->params[i] = NULL;
	c->arena = mw_arena_open(16 * 1024 * 1024);
	if (c->arena == NULL)
		abort();
	mw_mem_init(&c->m, c->params, body, n);
}

__attribute__((unused)) static void
call_free(struct call *c)
{
	mw_mem_free(&c->m);
	mw_arena_close(c->arena);
}

/* One request with the right secret; returns the status, *c to be freed. */
__attribute__((unused)) static int
call(struct call *c, const struct mw_http *http, const char *method, const char *uri)
{
	static const char *const extra[] = { SECRET, NULL };

	call_init(c, method, uri, extra, NULL, 0);
	mw_http_one(http, &c->m.io, c->arena);
	return mw_mem_status(&c->m);
}

/* A member of the JSON answer as text; "(none)" if it is not there.  In static memory. */
__attribute__((unused)) static const char *
member(const struct call *c, const char *name)
{
	static char text[1024];
	struct json_object *o = json_tokener_parse(mw_mem_body(&c->m)), *v;

	snprintf(text, sizeof(text), "%s",
	    o != NULL && json_object_object_get_ex(o, name, &v) ?
	    json_object_get_string(v) : "(none)");
	json_object_put(o);
	return text;
}

/* A header of the answer; "(none)" if it is not there.  In static memory. */
__attribute__((unused)) static const char *
header(const struct call *c, const char *name)
{
	static char text[1024];

	return mw_mem_header(&c->m, name, text, sizeof(text)) ? text : "(none)";
}

#endif
