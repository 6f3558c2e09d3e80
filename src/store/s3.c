/* SPDX-License-Identifier: BSD-2-Clause */
#include "store/s3.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define SCRATCH_MAX ((size_t)32 << 20)

static void
s3_close(struct mw_store *st)
{
	struct mw_s3 *s = (struct mw_s3 *)st;

	mw_net_close(s->net);
	mw_secret_watch_close(s->secret);
	mw_arena_close(s->scratch);
	free(s->origin);
	free(s->host);
	free(s->root);
	free(s->bucket);
	free(s->region);
	free(s->access_key_id);
	free(s->ca_file);
	free(s);
}

/* "https://host:443/" -> scheme "https://" and authority "host": the port only
 * if it is not the scheme's own, as the Host header is signed. */
static enum mw_code
endpoint_split(const char *endpoint, char **scheme, char **authority, struct mw_err *err)
{
	bool tls = strncmp(endpoint, "https://", 8) == 0;
	const char *at = endpoint + (tls ? 8 : 7), *port;
	size_t n;

	if (!tls && strncmp(endpoint, "http://", 7) != 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "store.s3.endpoint '%s': "
		    "a URL is needed, as https://HOST", endpoint);
	n = strcspn(at, "/?#");
	if (n == 0 || (at[n] != '\0' && strcmp(at + n, "/") != 0) ||
	    memchr(at, '@', n) != NULL)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "store.s3.endpoint '%s' must be scheme and host alone", endpoint);
	*scheme = strndup(endpoint, (size_t)(at - endpoint));
	*authority = strndup(at, n);
	if (*scheme == NULL || *authority == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	port = tls ? ":443" : ":80";
	if (n > strlen(port) && strcmp(*authority + n - strlen(port), port) == 0)
		(*authority)[n - strlen(port)] = '\0';
	return MW_OK;
}

static char *
joined(struct mw_s3 *s, const char *a, const char *b, const char *c)
{
	const char *text = mw_arena_printf(s->scratch, "%s%s%s", a, b, c);

	return text == NULL ? NULL : strdup(text);
}

/* Where requests go: path style https://host/bucket, else https://bucket.host. */
static enum mw_code
address(struct mw_s3 *s, const struct mw_conf *conf, struct mw_err *err)
{
	char *scheme = NULL, *authority = NULL;
	const char *bucket;
	enum mw_code code;

	code = endpoint_split(conf->store.s3.endpoint, &scheme, &authority, err);
	if (code != MW_OK)
		goto out;
	bucket = mw_sigv4_encode(s->scratch, s->bucket, strlen(s->bucket), false);
	if (bucket == NULL)
		bucket = "";
	if (conf->store.s3.path_style) {
		s->host = joined(s, authority, "", "");
		s->root = joined(s, "/", bucket, "");
	} else {
		s->host = joined(s, bucket, ".", authority);
		s->root = joined(s, "", "", "");
	}
	if (s->host != NULL)
		s->origin = joined(s, scheme, s->host, "");
	if (bucket[0] == '\0' || s->root == NULL || s->origin == NULL)
		code = mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
out:
	free(scheme);
	free(authority);
	return code;
}

static enum mw_code
settings(struct mw_s3 *s, const struct mw_conf *conf, struct mw_err *err)
{
	char *name;

	if (conf->store.s3.bucket[0] == '\0' || conf->store.s3.access_key_id[0] == '\0')
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "store.s3.bucket and store.s3.access_key_id must be set");
	s->timeout = conf->store.timeout;
	if ((s->bucket = strdup(conf->store.s3.bucket)) == NULL ||
	    (s->region = strdup(conf->store.s3.region)) == NULL ||
	    (s->access_key_id = strdup(conf->store.s3.access_key_id)) == NULL ||
	    (s->ca_file = strdup(conf->store.s3.ca_file)) == NULL ||
	    (name = mw_arena_printf(s->scratch, "%s/%s", conf->store.s3.endpoint,
	    s->bucket)) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	mw_store_identify(&s->store, "s3", name);
	s->sign.access_key_id = s->access_key_id;
	s->sign.region = s->region;
	return MW_OK;
}

static enum mw_code
s3_open(const struct mw_conf *conf, struct mw_store **sp, struct mw_err *err)
{
	struct mw_s3 *s = calloc(1, sizeof(*s));
	enum mw_code code;

	*sp = NULL;
	if (s == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	s->store.ops = &mw_store_s3;
	if ((s->scratch = mw_arena_open(SCRATCH_MAX)) == NULL)
		code = mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	else if ((code = settings(s, conf, err)) == MW_OK &&
	    (code = address(s, conf, err)) == MW_OK &&
	    (code = mw_secret_watch_open(conf->store.s3.secret_key_file, &s->secret,
	    err)) == MW_OK)
		code = mw_net_open(&s->net, err);
	if (code != MW_OK) {
		s3_close(&s->store);
		return code;
	}
	*sp = &s->store;
	return MW_OK;
}

/* x-amz-meta-mode: octal, perhaps with the type bits of a regular file. */
static int64_t
meta_mode(const char *v)
{
	int64_t mode = 0;
	const char *p;

	if (v == NULL || v[0] == '\0' || strlen(v) > 7)
		return -1;
	for (p = v; *p >= '0' && *p <= '7'; p++)
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
		return mw_fail(err, MW_STORE_ERROR,
		    "the store's answer has no ETag: is the endpoint an S3 server?");
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

struct getting {
	struct mw_s3 *s;
	struct mw_ctx *ctx;
	const struct mw_get *opt;
	const struct mw_sink *sink;
	struct mw_object obj;
	struct mw_err err;		/* of our own; the sink's is in ctx */
	enum mw_code code;		/* why a callback stopped */
	int64_t due;			/* bytes still to come */
};

/* Is this the part that was asked for? */
static bool
range_right(const struct mw_get *opt, const struct mw_object *obj)
{
	int64_t from = opt->from, to = opt->to;

	if (from == -1) {
		from = to < obj->size ? obj->size - to : 0;
		to = -1;
	}
	if (to == -1 || to >= obj->size)
		to = obj->size - 1;
	return obj->from == from && obj->to == to;
}

static enum mw_code
get_begin(struct getting *g, int status)
{
	enum mw_code code = object_head(g->s, g->ctx, &g->obj, &g->err);
	struct mw_object *obj = &g->obj;

	if (code != MW_OK)
		return code;
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
		return mw_fail(&g->err, MW_STORE_ERROR,
		    "the store's answer %d does not tell the object's size", status);
	g->due = obj->to - obj->from + 1;
	return g->sink->begin(g->sink->arg, obj);
}

static bool
get_head(void *arg, int status)
{
	struct getting *g = arg;

	g->code = get_begin(g, status);
	return g->code == MW_OK;
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
	    (opt->if_none_match == NULL ||
	    mw_s3_header(r, "If-None-Match", opt->if_none_match));
}

static enum mw_code
s3_get(struct mw_store *st, struct mw_ctx *ctx, const char *key,
    const struct mw_get *opt, const struct mw_sink *sink, bool *not_modified)
{
	struct mw_s3 *s = (struct mw_s3 *)st;
	struct getting g = { .s = s, .ctx = ctx, .opt = opt, .sink = sink };
	struct mw_s3_req r = { .method = "GET", .key = key, .stream = true,
	    .on_head = get_head, .on_data = get_data, .arg = &g };
	enum mw_code code;

	*not_modified = false;
	if ((code = mw_key_check(key, &ctx->err)) != MW_OK)
		return code;
	mw_s3_begin(s);
	if (!get_headers(s, &r, opt))
		return mw_ctx_nomem(ctx);
	code = mw_s3_call(s, ctx, &r);
	if (g.code != MW_OK)
		return g.err.code == MW_OK ? g.code :
		    mw_ctx_fail(ctx, g.code, "%s: %s", key, g.err.msg);
	if (code != MW_OK)
		return mw_s3_done(ctx, &r);
	*not_modified = r.status == 304;
	if (r.status != 304 && g.due != 0)
		return mw_ctx_fail(ctx, MW_STORE_UNAVAILABLE,
		    "the store's answer for %s ended short", key);
	return MW_OK;
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
	if (!content_length(s, &obj->size))
		return mw_fail(err, MW_STORE_ERROR,
		    "the store's answer for %s does not tell the object's size", key);
	return MW_OK;
}

static enum mw_code
s3_head(struct mw_store *st, struct mw_ctx *ctx, const char *key, struct mw_object *obj)
{
	struct mw_err err = { 0 };
	enum mw_code code;

	if ((code = mw_key_check(key, &ctx->err)) != MW_OK)
		return code;
	mw_s3_begin((struct mw_s3 *)st);
	code = mw_s3_head((struct mw_s3 *)st, ctx, key, obj, &err);
	if (code != MW_OK && ctx->err.code == MW_OK)
		ctx->err = err;
	return code;
}

static enum mw_code
s3_remove(struct mw_store *st, struct mw_ctx *ctx, const char *key)
{
	struct mw_s3_req r = { .method = "DELETE", .key = key };
	enum mw_code code;

	if ((code = mw_key_check(key, &ctx->err)) != MW_OK)
		return code;
	mw_s3_begin((struct mw_s3 *)st);
	code = mw_s3_call((struct mw_s3 *)st, ctx, &r);
	return code == MW_FILE_NOT_FOUND ? MW_OK : mw_s3_done(ctx, &r);
}

/* A listing, not HEAD: only answers with a body tell a missing bucket from
 * credentials that are refused. */
static enum mw_code
s3_ping(struct mw_store *st, struct mw_ctx *ctx)
{
	struct mw_s3_req r = { .method = "GET", .query = "list-type=2&max-keys=1" };
	enum mw_code code;

	mw_s3_begin((struct mw_s3 *)st);
	code = mw_s3_call((struct mw_s3 *)st, ctx, &r);
	if (code == MW_OK && r.doc.root != MW_S3_LIST)
		return mw_ctx_fail(ctx, MW_STORE_ERROR,
		    "what answers at store.s3.endpoint is no S3 server");
	return mw_s3_done(ctx, &r);
}

const struct mw_store_ops mw_store_s3 = {
	.name = "s3",
	.open = s3_open,
	.close = s3_close,
	.get = s3_get,
	.head = s3_head,
	.put = mw_s3_put,
	.remove = s3_remove,
	.list = mw_s3_list,
	.ping = s3_ping,
};
