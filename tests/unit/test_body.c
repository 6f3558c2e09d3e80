/* SPDX-License-Identifier: BSD-2-Clause */
#include "http_fixture.h"

#define MAX_BODY 1000

static size_t body_max;		/* the argument of mw_req_body */
static bool whole;		/* mw_req_body instead of mw_req_read */
static int64_t own_max;		/* the handler's own, smaller max_body, or 0 */
static int handled;

static void
begin(struct mw_req *req)
{
	req->max_body = MAX_BODY;
}

/* Answers with the body it got. */
static enum mw_code
echo(struct mw_req *req)
{
	char all[4096], *p = all;
	size_t n = 0, got = 0;
	enum mw_code code;

	handled++;
	if (own_max > 0)
		req->max_body = own_max;
	if (whole) {
		if ((code = mw_req_body(req, body_max, &p, &n)) != MW_OK)
			return code;
		if (p[n] != '\0')
			return MW_INTERNAL_ERROR;
	} else {
		do {
			if ((code = mw_req_read(req, all + n, sizeof(all) - n, &got)) != MW_OK)
				return code;
			n += got;
		} while (got > 0);
	}
	mw_res_start(req, 200, "text/plain", (int64_t)n);
	return mw_res_write(req, p, n) ? MW_OK : MW_CLIENT_GONE;
}

static const struct mw_route routes[] = {
	{ "/", MW_PUT, 0, echo },
	{ NULL, 0, 0, NULL }
};

static const struct mw_http http = {
	.name = "test", .routes = routes, .authorised = right_secret, .begin = begin
};

static int
put(struct call *c, const char *length, const char *body, size_t n, size_t step)
{
	char var[80];
	const char *extra[] = { SECRET, var, NULL };

	snprintf(var, sizeof(var), "CONTENT_LENGTH=%s", length != NULL ? length : "");
	if (length == NULL)
		extra[1] = NULL;
	call_init(c, "PUT", "/", extra, body, n);
	c->m.step = step;
	mw_http_one(&http, &c->m.io, c->arena);
	return mw_mem_status(&c->m);
}

static void
test_table(void)
{
	static char big[MAX_BODY + 1];
	const struct {
		const char *length;
		size_t sent;
		int status;
		const char *code;
		size_t read;		/* most that may have been read */
	} t[] = {
		{ "0", 0, 200, NULL, 0 }, { NULL, 0, 200, NULL, 0 }, { "", 0, 200, NULL, 0 },
		{ "10", 10, 200, NULL, 10 }, { "10", 15, 200, NULL, 10 },
		{ "010", 10, 200, NULL, 10 }, { "1000", 1000, 200, NULL, 1000 },
		{ NULL, 10, 200, NULL, 10 }, { NULL, 1000, 200, NULL, 1000 }, { "", 10, 200, NULL, 10 },
		{ "10", 9, 400, "invalid_argument", 9 }, { "10", 0, 400, "invalid_argument", 0 },
		{ "1001", 1001, 413, "body_too_large", 0 },
		{ "9223372036854775807", 1001, 413, "body_too_large", 0 },
		{ "9223372036854775808", 10, 413, "body_too_large", 0 },
		{ "99999999999999999999999", 10, 413, "body_too_large", 0 },
		{ NULL, 1001, 413, "body_too_large", 1001 },
		{ "-1", 10, 400, "invalid_argument", 0 }, { "abc", 10, 400, "invalid_argument", 0 },
		{ "1x", 10, 400, "invalid_argument", 0 }, { " 1", 10, 400, "invalid_argument", 0 },
		{ "+1", 10, 400, "invalid_argument", 0 }, { "0x1", 10, 400, "invalid_argument", 0 },
	};
	struct call c;
	size_t i, step;
	int status;

	memset(big, 'x', sizeof(big));
	for (i = 0; i < COUNT(t); i++) {
		for (step = 0; step < 8; step += 7) {
			status = put(&c, t[i].length, big, t[i].sent, step);
			ok(status == t[i].status && c.m.off <= t[i].read &&
			    (status == 200 ? strlen(mw_mem_body(&c.m)) == t[i].read :
			    strcmp(member(&c, "code"), t[i].code) == 0),
			    "%s: length %s, %zu sent, step %zu: %d", whole ? "whole" : "pieces",
			    t[i].length != NULL ? t[i].length : "unknown", t[i].sent, step,
			    t[i].status);
			call_free(&c);
		}
	}
}

static void
test_broken(void)
{
	const char *extra[] = { SECRET, NULL };
	struct call c;

	call_init(&c, "PUT", "/", extra, "half", 4);
	c.m.body_breaks = true;
	mw_http_one(&http, &c.m.io, c.arena);
	is_int(mw_mem_status(&c.m), 400, "a body that breaks off");
	ok(strstr(member(&c, "error"), "4 bytes") != NULL, "says where");
	call_free(&c);
}

static void
test_max(void)
{
	struct call c;

	body_max = 5;
	is_int(put(&c, "5", "12345", 5, 0), 200, "as many as the caller allows");
	is_str(mw_mem_body(&c.m), "12345", "all of them");
	call_free(&c);
	is_int(put(&c, "6", "123456", 6, 0), 413, "more than the caller allows");
	is_int((int64_t)c.m.off, 0, "and nothing was read");
	call_free(&c);
	is_int(put(&c, NULL, "12345", 5, 2), 200, "also of unknown length");
	call_free(&c);
	is_int(put(&c, NULL, "123456", 6, 2), 413, "and more of unknown length");
	call_free(&c);
	is_int(put(&c, "3", "a\0b", 3, 1), 200, "a NUL is a byte like any other");
	ok(c.m.out.len > 3 && memcmp(c.m.out.data + c.m.out.len - 3, "a\0b", 3) == 0, "and arrives");
	call_free(&c);
}

static void
test_early(void)
{
	struct call c;

	handled = 0;
	is_int(put(&c, "1001", "x", 1, 0), 413, "a body that is announced too large");
	is_int(handled, 0, "is no handler's business");
	call_free(&c);
	own_max = 4;
	is_int(put(&c, "5", "12345", 5, 0), 413, "a handler may want less");
	is_int((int64_t)c.m.off, 0, "which is known before the first byte");
	call_free(&c);
	own_max = 0;
}

int
main(void)
{
	test_table();
	test_broken();
	test_early();
	whole = true;
	body_max = 4000;
	test_table();
	test_broken();
	test_max();
	return done();
}
