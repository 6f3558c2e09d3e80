/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose a file becomes that is uploaded: the user's that the container runs commands as.
 * An archive has numbers, the container's settings may have names, and only the container
 * knows what they stand for.  (The engines' own "copyUIDGID" asks the host: Docker.)
 */
#include "sandbox/engine/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "sandbox/engine/tar.h"

#define FILE_MAX (1 << 20)	/* of /etc/passwd, /etc/group */

struct fetch {
	struct mw_tar tar;
	struct mw_buf text;
};

static bool
on_entry(void *arg, const struct mw_tar_entry *t)
{
	(void)arg;
	return t->st.type == MW_FT_FILE;
}

static bool
on_content(void *arg, const void *p, size_t n)
{
	struct fetch *f = arg;

	return mw_buf_add(&f->text, p, n);
}

static bool
on_head(void *arg, int status)
{
	(void)arg;
	return status == 200;
}

static bool
on_data(void *arg, const void *p, size_t n)
{
	struct fetch *f = arg;

	return mw_tar_feed(&f->tar, p, n);
}

/* A whole file of the container; nothing is in f->text when there is none. */
static enum mw_code
fetch(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *abs, struct fetch *f)
{
	struct mw_net_req req = { .method = "GET", .body_fd = -1, .on_head = on_head,
	    .on_data = on_data, .arg = f };
	struct mw_net_res res;

	f->tar = (struct mw_tar){ .on_entry = on_entry, .on_content = on_content, .arg = f };
	mw_tar_init(&f->tar);
	mw_engine_stream(e, ctx, mw_engine_archive(e, ctx, user, abs), &req, &res);
	mw_tar_free(&f->tar);
	return res.status != 0 ? MW_OK : mw_engine_ended(e, ctx, &res);
}

/* Field `want` (0 = the first) of a line "a:b:c:d..."; its length, -1 = there is none. */
static long
field(const char *line, const char *end, int want, const char **out)
{
	const char *colon;

	for (;; line = colon + 1) {
		colon = memchr(line, ':', (size_t)(end - line));
		if (want-- == 0) {
			*out = line;
			return (colon == NULL ? end : colon) - line;
		}
		if (colon == NULL)
			return -1;
	}
}

/* In the line whose field `key` is the word w[0..n), the number in field `want`. */
static bool
look_up(const struct mw_buf *b, int key, const char *w, size_t n, int want, int64_t *out)
{
	const char *p = b->len > 0 ? b->data : "", *end = p + b->len, *nl, *at = NULL;
	long len;

	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		len = field(p, nl, key, &at);
		if (len != (long)n || memcmp(at, w, n) != 0)
			continue;
		len = field(p, nl, want, &at);
		return len > 0 && mw_str_uint(at, (size_t)len, UINT32_MAX, out);
	}
	return false;
}

static enum mw_code
group(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *name,
    struct mw_engine_owner *o)
{
	struct fetch f;
	enum mw_code code;

	if (mw_str_uint(name, strlen(name), UINT32_MAX, &o->gid))
		return MW_OK;
	mw_buf_init(&f.text, FILE_MAX);
	code = fetch(e, ctx, user, "/etc/group", &f);
	if (code == MW_OK && !look_up(&f.text, 0, name, strlen(name), 2, &o->gid))
		code = mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
		    "the container has no group \"%s\", which it is to run as", name);
	mw_buf_free(&f.text);
	return code;
}

static enum mw_code
find(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *spec,
    struct mw_engine_owner *o)
{
	size_t n = strcspn(spec, ":");
	struct fetch f;
	enum mw_code code;
	bool number;

	o->uid = o->gid = 0;
	number = mw_str_uint(spec, n, UINT32_MAX, &o->uid);
	if (n == 0 || (number && o->uid == 0 && spec[n] == '\0'))
		return MW_OK;
	mw_buf_init(&f.text, FILE_MAX);
	code = number && spec[n] == ':' ? MW_OK : fetch(e, ctx, user, "/etc/passwd", &f);
	if (code == MW_OK && number && spec[n] == '\0')
		(void)look_up(&f.text, 2, spec, n, 3, &o->gid);
	else if (code == MW_OK && !number && !(look_up(&f.text, 0, spec, n, 2, &o->uid) &&
	    look_up(&f.text, 0, spec, n, 3, &o->gid)))
		code = mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
		    "the container has no user \"%.*s\", which it is to run as", (int)n, spec);
	mw_buf_free(&f.text);
	if (code == MW_OK && spec[n] == ':')
		code = group(e, ctx, user, spec + n + 1, o);
	return code;
}

enum mw_code
mw_engine_owner(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const struct mw_engine_state *st, struct mw_engine_owner *o)
{
	struct mw_engine_owner *last = &e->last_owner;
	enum mw_code code;

	if (*st->owner != '\0' && strcmp(st->owner, last->spec) == 0) {
		*o = *last;
		return MW_OK;
	}
	/* The image's id is before the blank. */
	code = find(e, ctx, user, strchr(st->owner, ' ') == NULL ? "" :
	    strchr(st->owner, ' ') + 1, o);
	if (code != MW_OK)
		return code;
	(void)snprintf(o->spec, sizeof(o->spec), "%s", st->owner);
	*last = *o;
	return MW_OK;
}
