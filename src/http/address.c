/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's address behind proxies that the configuration trusts. */
#include <arpa/inet.h>
#include <string.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "http/internal.h"

#define FORWARDED_MAX 4096	/* bytes of all X-Forwarded-For headers together */

static bool
is_address(const char *s)
{
	unsigned char raw[16];

	return inet_pton(AF_INET, s, raw) == 1 || inet_pton(AF_INET6, s, raw) == 1;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80" */
const char *
mw_address_entry(struct mw_arena *arena, const char *s, size_t n)
{
	const char *colon, *end;
	char *out;

	while (n > 0 && (*s == ' ' || *s == '\t'))
		s++, n--;
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	if (n > 0 && *s == '[') {
		if ((end = memchr(s, ']', n)) == NULL)
			return NULL;
		s++;
		n = (size_t)(end - s);
	} else if ((colon = memchr(s, ':', n)) != NULL &&
	    memchr(s, '.', (size_t)(colon - s)) != NULL) {
		n = (size_t)(colon - s);
	}
	out = mw_arena_dup(arena, s, n);
	return out != NULL && is_address(out) ? out : NULL;
}

/* A proxy may add a header of its own below the client's: all of them, in order. */
static bool
collect(struct mw_io *io, struct mw_buf *all)
{
	static const char name[] = "HTTP_X_FORWARDED_FOR=";
	const char *s;
	size_t i;

	for (i = 0; (s = io->param_at(io->t, i)) != NULL; i++) {
		if (strncmp(s, name, sizeof(name) - 1) != 0)
			continue;
		if (all->len > 0)
			(void)mw_buf_addc(all, ',');
		(void)mw_buf_adds(all, s + sizeof(name) - 1);
	}
	return !all->failed && all->len > 0;
}

void
mw_req_resolve_address(struct mw_req *req, const struct mw_list *trusted)
{
	const char *hop;
	struct mw_buf all;
	size_t end, from;

	if (trusted->n == 0 || !mw_conf_addr_in(trusted, req->address))
		return;
	mw_buf_init(&all, FORWARDED_MAX);
	for (end = collect(req->io, &all) ? all.len : 0; end > 0; end = from - 1) {
		for (from = end; from > 0 && all.data[from - 1] != ','; from--)
			;
		hop = mw_address_entry(req->ctx.arena, all.data + from, end - from);
		if (hop == NULL)
			break;
		req->address = hop;
		if (from == 0 || !mw_conf_addr_in(trusted, hop))
			break;
	}
	mw_buf_free(&all);
}
