/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading one object: what an answer's head says of it, and its bytes. */
#include <string.h>

#include "base/clock.h"
#include "base/etag.h"
#include "base/range.h"
#include "base/str.h"
#include "store/s3.h"

/*
 * x-amz-meta-mode: octal, perhaps with the type bits of a regular file; or decimal with
 * them, as s3fs writes it.  Those, 32768 to 36863, are no such octal number.
 */
static int64_t
meta_mode(const char *v)
{
	int64_t mode = 0;
	const char *p;

	if (v == NULL || v[0] == '\0' || strlen(v) > 7)
		return -1;
	if (mw_str_uint(v, strlen(v), 0107777, &mode) && mode >= 0100000)
		return mode & 07777;
	for (mode = 0, p = v; *p >= '0' && *p <= '7'; p++)
		mode = mode * 8 + (*p - '0');
	if (*p != '\0' || ((mode & ~07777) != 0 && (mode & ~07777) != 0100000))
		return -1;
	return mode & 07777;
}

/* x-amz-meta-mtime: seconds since the epoch, with a fraction or without. */
static int64_t
meta_mtime(const char *v)
{
	size_t whole = v == NULL ? 0 : strcspn(v, "."), i;
	int64_t s, ms = 0;

	if (v == NULL || !mw_str_uint(v, whole, INT64_MAX / 2000, &s))
		return -1;
	for (i = 1; i <= 3 && v[whole] == '.'; i++) {
		ms *= 10;
		if (v[whole + i] == '\0')
			break;
		if (v[whole + i] < '0' || v[whole + i] > '9')
			return -1;
		ms += v[whole + i] - '0';
	}
	for (; i < 3 && v[whole] == '.'; i++)
		ms *= 10;
	return s * 1000 + ms;
}

/* An answer that is none for this object.  Were it no S3 server, nothing would be listed. */
static enum mw_code
of_object(struct mw_err *err, const char *what)
{
	enum mw_code code = mw_fail(err, MW_STORE_ERROR, "%s", what);

	err->object = true;
	return code;
}

#define NO_SIZE "the store's answer does not tell the object's size: was it decoded on the way?"

/* What the head of an answer to GET or HEAD says of the object, but its size. */
static enum mw_code
object_head(struct mw_s3 *s, struct mw_ctx *ctx, struct mw_object *obj, struct mw_err *err)
{
	const char *modified = mw_net_header(s->net, "Last-Modified");
	const char *type = mw_net_header(s->net, "Content-Type");

	memset(obj, 0, sizeof(*obj));
	if (modified == NULL || !mw_http_date_parse(modified, &obj->modified))
		obj->modified = 0;
	obj->mode = meta_mode(mw_net_header(s->net, "x-amz-meta-mode"));
	obj->mtime = meta_mtime(mw_net_header(s->net, "x-amz-meta-mtime"));
	obj->etag = mw_s3_etag(ctx->arena, mw_net_header(s->net, "ETag"));
	if (obj->etag == NULL)
		return of_object(err, "the store's answer has no ETag");
	obj->etag_is_md5 = mw_s3_etag_is_md5(s, obj->etag);
	if (type != NULL && (obj->content_type = mw_arena_strdup(ctx->arena, type)) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	return MW_OK;
}

static bool
content_length(struct mw_s3 *s, int64_t *n)
{
	const char *v = mw_net_header(s->net, "Content-Length");

	return v != NULL && mw_str_uint(v, strlen(v), INT64_MAX, n);
}

/* "bytes 0-9/100", strictly; the whole length must be known. */
static bool
content_range(const char *v, int64_t *from, int64_t *to, int64_t *size)
{
	size_t dash, slash;

	if (v == NULL || strncmp(v, "bytes ", 6) != 0)
		return false;
	v += 6;
	dash = strcspn(v, "-");
	slash = strcspn(v, "/");
	return v[dash] == '-' && v[slash] == '/' && dash < slash &&
	    mw_str_uint(v, dash, INT64_MAX, from) &&
	    mw_str_uint(v + dash + 1, slash - dash - 1, INT64_MAX, to) &&
	    mw_str_uint(v + slash + 1, strlen(v + slash + 1), INT64_MAX, size) &&
	    *from <= *to && *to < *size;
}

enum mw_code
mw_s3_head(struct mw_s3 *s, struct mw_ctx *ctx, const char *key, struct mw_object *obj,
    struct mw_err *err)
{
	struct mw_s3_req r = { .method = "HEAD", .key = key };
	enum mw_code code = mw_s3_call(s, ctx, &r);

	if (code != MW_OK) {
		*err = r.err;
		return code;
	}
	if ((code = object_head(s, ctx, obj, err)) != MW_OK)
		return code;
	return content_length(s, &obj->size) ? MW_OK : of_object(err, NO_SIZE);
}

struct getting {
	struct mw_s3 *s;
	struct mw_ctx *ctx;
	const struct mw_get *opt;
	const struct mw_sink *sink;
	struct mw_object obj;
	struct mw_err err;		/* of our own; the sink's is in ctx */
	enum mw_code code;		/* why a callback stopped */
	bool matched;			/* ... because the caller has this version */
	int64_t due;			/* bytes still to come */
};

/* Is this the part that was asked for? */
static bool
range_right(const struct mw_get *opt, const struct mw_object *obj)
{
	int64_t from = opt->from, to = opt->to;

	return mw_range_resolve(obj->size, &from, &to) && obj->from == from && obj->to == to;
}

static enum mw_code
get_begin(struct getting *g, int status)
{
	enum mw_code code = object_head(g->s, g->ctx, &g->obj, &g->err);
	struct mw_object *obj = &g->obj;

	if (code != MW_OK)
		return code;
	/* radosgw compares If-None-Match as a whole, not as a list. */
	if (g->opt->if_none_match != NULL &&
	    mw_etag_in(g->opt->if_none_match, obj->etag, true)) {
		g->matched = true;
		return MW_OK;
	}
	if (status == 206) {
		if (!content_range(mw_net_header(g->s->net, "Content-Range"),
		    &obj->from, &obj->to, &obj->size) || !g->opt->ranged ||
		    !range_right(g->opt, obj))
			return mw_fail(&g->err, MW_STORE_ERROR,
			    "the store answered another range than was asked for");
		obj->partial = true;
	} else if (status == 200 && content_length(g->s, &obj->size))
		obj->to = obj->size - 1;
	else
		return of_object(&g->err, NO_SIZE);
	g->due = obj->to - obj->from + 1;
	return g->sink->begin(g->sink->arg, obj);
}

static bool
get_head(void *arg, int status)
{
	struct getting *g = arg;

	g->code = get_begin(g, status);
	return g->code == MW_OK && !g->matched;
}

static bool
get_data(void *arg, const void *p, size_t n)
{
	struct getting *g = arg;

	if ((int64_t)n > g->due)
		g->code = mw_fail(&g->err, MW_STORE_ERROR,
		    "the store sent more than it announced");
	else
		g->code = g->sink->data(g->sink->arg, p, n);
	g->due -= (int64_t)n;
	return g->code == MW_OK;
}

/* A list is compared by us (get_begin): servers differ in it, and white space in
 * a signed header does not survive. */
static bool
passes(const char *if_none_match)
{
	return if_none_match != NULL && strpbrk(if_none_match, " \t,") == NULL;
}

static bool
get_headers(struct mw_s3 *s, struct mw_s3_req *r, const struct mw_get *opt)
{
	const char *range;

	if (opt->ranged) {
		if (opt->from == -1)
			range = mw_arena_printf(s->scratch, "bytes=-%lld", (long long)opt->to);
		else if (opt->to == -1)
			range = mw_arena_printf(s->scratch, "bytes=%lld-", (long long)opt->from);
		else
			range = mw_arena_printf(s->scratch, "bytes=%lld-%lld",
			    (long long)opt->from, (long long)opt->to);
		if (!mw_s3_header(r, "Range", range))
			return false;
	}
	return (opt->if_match == NULL || mw_s3_header(r, "If-Match", opt->if_match)) &&
	    (!passes(opt->if_none_match) ||
	    mw_s3_header(r, "If-None-Match", opt->if_none_match));
}

enum mw_code
mw_s3_get(struct mw_store *st, struct mw_ctx *ctx, const char *key,
    const struct mw_get *opt, const struct mw_sink *sink, bool *not_modified)
{
	struct mw_s3 *s = (struct mw_s3 *)st;
	struct getting g = { .s = s, .ctx = ctx, .opt = opt, .sink = sink };
	struct mw_s3_req r = { .method = "GET", .key = key, .stream = true,
	    .on_head = get_head, .on_data = get_data, .arg = &g };
	enum mw_code code;

	*not_modified = false;
	if ((code = mw_key_check(key, MW_KEY_MAX, &ctx->err)) != MW_OK)
		return code;
	mw_s3_begin(s);
	if (!get_headers(s, &r, opt))
		return mw_ctx_nomem(ctx);
	code = mw_s3_call(s, ctx, &r);
	if (g.matched) {
		*not_modified = true;
		if (opt->unmodified != NULL)
			*opt->unmodified = g.obj;
		return MW_OK;
	}
	if (g.code != MW_OK && g.err.code != MW_OK) {
		(void)mw_ctx_fail(ctx, g.code, "%s: %s", key, g.err.msg);
		ctx->err.object = g.err.object;
	}
	if (g.code != MW_OK)
		return g.code;
	if (code != MW_OK)
		return mw_s3_done(ctx, &r);
	*not_modified = r.status == 304;
	/* RFC 9110 15.4.5 has the ETag in a 304; without it there is nothing to tell. */
	if (r.status == 304 && opt->unmodified != NULL &&
	    object_head(s, ctx, opt->unmodified, &g.err) != MW_OK)
		memset(opt->unmodified, 0, sizeof(*opt->unmodified));
	if (r.status != 304 && g.due != 0)
		return mw_ctx_fail(ctx, MW_STORE_UNAVAILABLE,
		    "the store's answer for %s ended short", key);
	return MW_OK;
}
