/* SPDX-License-Identifier: BSD-2-Clause */
/* One signed request to the S3 server, and what became of it. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"
#include "store/s3.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DOCUMENT_MAX (INT64_C(16) << 20)	/* bytes of XML */
#define RETRY_AFTER_MAX 86400

struct exchange {
	struct mw_s3 *s;
	struct mw_s3_req *r;
	struct mw_s3_xml *xml;		/* opened at the first byte */
	int64_t xml_bytes;
	bool success;			/* 2xx */
	bool body;			/* some came */
	bool nomem;
};

void
mw_s3_begin(struct mw_s3 *s)
{
	mw_arena_reset(s->scratch);
}

bool
mw_s3_header(struct mw_s3_req *r, const char *name, const char *value)
{
	if (r->nextra == MW_S3_EXTRA || value == NULL)
		return false;
	r->extra[r->nextra].name = name;
	r->extra[r->nextra++].value = value;
	return true;
}

/* Bytes from s on that an entity tag may have (RFC 9110 8.8.3), without those above
 * 0x7f: a header with them is no UTF-8, and would not be one of our JSON. */
static size_t
etag_len(const char *s)
{
	size_t n = 0;

	while (s[n] > 0x20 && s[n] != '"' && s[n] < 0x7f)
		n++;
	return n;
}

const char *
mw_s3_etag(struct mw_arena *a, const char *s)
{
	const char *body;
	size_t n;

	if (s == NULL || s[0] == '\0')
		return NULL;
	body = strncmp(s, "W/", 2) == 0 ? s + 2 : s;
	if (body[0] != '"')
		return etag_len(body) == strlen(body) && strchr(body, ',') == NULL ?
		    mw_arena_printf(a, "\"%s\"", body) : NULL;
	n = 1 + etag_len(body + 1);
	return body[n] == '"' && body[n + 1] == '\0' ? mw_arena_strdup(a, s) : NULL;
}

static bool
on_head(void *arg, int status)
{
	struct exchange *e = arg;

	e->r->status = status;
	e->success = status >= 200 && status < 300;
	if (e->success && e->r->on_head != NULL)
		return e->r->on_head(e->r->arg, status);
	return true;
}

static bool
on_data(void *arg, const void *p, size_t n)
{
	struct exchange *e = arg;

	e->body = true;
	if (e->success && e->r->on_data != NULL)
		return e->r->on_data(e->r->arg, p, n);
	e->xml_bytes += (int64_t)n;
	if (e->xml_bytes > DOCUMENT_MAX)
		return true;
	if (e->xml == NULL &&
	    (e->xml = mw_s3_xml_open(e->s->scratch, &e->r->doc)) == NULL) {
		e->nomem = true;
		return false;
	}
	/* What is no XML is read on, so that the connection stays usable. */
	(void)mw_s3_xml_feed(e->xml, p, n);
	return true;
}

static bool
build(struct mw_s3 *s, struct mw_s3_req *r, struct mw_net_req *q)
{
	struct mw_net_header h[2 + MW_S3_EXTRA];
	const char *query = r->query == NULL ? "" : r->query;
	const char *path = r->key == NULL ? NULL :
	    mw_sigv4_encode(s->scratch, r->key, strlen(r->key), true);
	unsigned generation;
	size_t n;

	path = mw_arena_cat(s->scratch, s->root, "/", path == NULL ? "" : path, (char *)NULL);
	/* "/bucket", not "/bucket/", names a bucket in path style. */
	if (path != NULL && r->key == NULL && s->root[0] != '\0')
		path = s->root;
	if (path == NULL)
		return false;
	q->url = mw_arena_cat(s->scratch, s->origin, path, query[0] == '\0' ? "" : "?", query,
	    (char *)NULL);
	h[0].name = "Host";
	h[0].value = s->host;
	h[1].name = "x-amz-content-sha256";
	h[1].value = r->sha256 == NULL ? EMPTY_SHA256 : r->sha256;
	memcpy(h + 2, r->extra, r->nextra * sizeof(h[0]));
	s->sign.secret_key = mw_secret_watch_get(s->secret, &generation)->line[0];
	n = r->nextra + 2;
	q->headers = mw_sigv4_sign(&s->sign, s->scratch, r->method, path, query,
	    h, n, (int64_t)time(NULL), &q->nheaders);
	return q->url != NULL && q->headers != NULL;
}

static unsigned
retry_after(struct mw_s3 *s)
{
	const char *v = mw_net_header(s->net, "Retry-After");
	int64_t n, at;

	if (v == NULL)
		return 0;
	if (mw_str_uint(v, strlen(v), RETRY_AFTER_MAX, &n))
		return (unsigned)n;
	if (!mw_http_date_parse(v, &at))
		return 0;
	n = (at - mw_wall() + 999) / 1000;
	return n <= 0 ? 0 : n > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : (unsigned)n;
}

/* A Date has whole seconds: half of one is the best guess of the rest. */
static void
note_clock(struct mw_s3 *s)
{
	const char *v = mw_net_header(s->net, "Date");
	int64_t at;

	if (v != NULL && mw_http_date_parse(v, &at))
		s->store.clock = at + 500 - mw_wall();
}

/* No answer, or none that ended as it should. */
static enum mw_code
fail_net(struct mw_s3_req *r, const struct mw_net_res *res)
{
	enum mw_code code = mw_s3_of_end(res->end);

	r->err.timed_out = res->end == MW_NET_TIMEOUT;
	return mw_fail(&r->err, code, "the store did not answer %s %.120s: %s", r->method,
	    r->key == NULL ? "(bucket)" : r->key, res->text);
}

static enum mw_code
fail_status(struct mw_s3 *s, struct mw_s3_req *r, bool body)
{
	/* Only a HEAD has no document to tell S3 from a proxy by. */
	bool foreign = r->doc.root != MW_S3_ERROR &&
	    (body || strcmp(r->method, "HEAD") != 0);
	const char *word = foreign ? "" : r->doc.code;
	const struct mw_s3_class *c = mw_s3_classify(r->status, word, foreign);
	const char *own = r->key != NULL && (strcmp(r->method, "GET") == 0 ||
	    strcmp(r->method, "HEAD") == 0) ? mw_s3_object_hint(c, r->status) : NULL;
	const char *note = own != NULL ? own : c->hint != NULL ? c->hint : r->doc.message;
	enum mw_code code = c->code;

	/* A bucket is no file: what is missing is the bucket. */
	if (r->key == NULL && code == MW_FILE_NOT_FOUND)
		code = MW_STORE_ERROR;
	(void)mw_fail(&r->err, code, "the store answered %d%s%.64s to %s %.100s%s%.90s",
	    r->status, word[0] == '\0' ? "" : " ", word, r->method,
	    r->key == NULL ? s->bucket : r->key, note[0] == '\0' ? "" : ": ", note);
	r->err.retry_after = retry_after(s);
	r->err.object = own != NULL;
	return code;
}

static enum mw_code
judge(struct mw_s3_req *r, struct exchange *e, const struct mw_net_res *res)
{
	bool parsed = mw_s3_xml_close(e->xml);

	if (e->nomem)
		return mw_fail(&r->err, MW_INTERNAL_ERROR, "out of memory");
	if (res->end == MW_NET_STOPPED) {
		r->stopped = true;
		return mw_fail(&r->err, MW_INTERNAL_ERROR, "the receiver stopped");
	}
	/* A failure's status is the news, even if its text was cut.  But "not found" is S3's
	 * to say, in that text. */
	if (res->end != MW_NET_DONE && (r->status < 400 || r->status == 404 || e->success))
		return fail_net(r, res);
	/* Long operations answer 200 first and may fail later. */
	if (e->success && parsed && r->doc.root == MW_S3_ERROR) {
		r->status = 500;
		return fail_status(e->s, r, true);
	}
	if (e->success || r->status == 304)
		return MW_OK;
	return fail_status(e->s, r, e->body);
}

enum mw_code
mw_s3_call(struct mw_s3 *s, struct mw_ctx *ctx, struct mw_s3_req *r)
{
	struct exchange e = { .s = s, .r = r };
	struct mw_net_req q = {
		.method = r->method,
		.ca_file = s->ca_file,
		.body = r->body,
		.body_fd = r->size > 0 && r->body == NULL ? r->fd : -1,
		.body_offset = r->offset,
		.body_size = r->size,
		.fresh = r->once,
		.direct = true,
		.timeout = r->stream ? 0 : s->timeout,
		.stall = s->timeout,
		.max_response = r->stream ? INT64_MAX : DOCUMENT_MAX,
		.on_head = on_head,
		.on_data = on_data,
		.arg = &e,
	};
	struct mw_net_res res;

	mw_err_clear(&r->err);
	memset(&r->doc, 0, sizeof(r->doc));
	r->status = 0;
	r->stopped = false;
	if (!build(s, r, &q))
		return mw_fail(&r->err, MW_INTERNAL_ERROR,
		    "the request for the store cannot be signed");
	if (mw_left(ctx->deadline) > 0)
		mw_ctx_call(ctx);
	mw_net_call(s->net, ctx, &q, &res);
	note_clock(s);
	return judge(r, &e, &res);
}

enum mw_code
mw_s3_done(struct mw_ctx *ctx, const struct mw_s3_req *r)
{
	if (ctx->err.code == MW_OK && r->err.code != MW_OK)
		ctx->err = r->err;
	return r->err.code;
}
