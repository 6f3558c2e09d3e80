/* SPDX-License-Identifier: BSD-2-Clause */
/* The S3 store: its handle, opening it, and its table of operations. */
#include "store/s3.h"

#include <stdlib.h>
#include <string.h>


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

static enum mw_code
s3_head(struct mw_store *st, struct mw_ctx *ctx, const char *key, struct mw_object *obj)
{
	struct mw_err err = { 0 };
	enum mw_code code;

	if ((code = mw_key_check(key, MW_KEY_MAX, &ctx->err)) != MW_OK)
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

	if ((code = mw_key_check(key, MW_KEY_MAX, &ctx->err)) != MW_OK)
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
	.key_max = MW_KEY_MAX,
	.open = s3_open,
	.close = s3_close,
	.get = mw_s3_get,
	.head = s3_head,
	.put = mw_s3_put,
	.remove = s3_remove,
	.list = mw_s3_list,
	.ping = s3_ping,
};
