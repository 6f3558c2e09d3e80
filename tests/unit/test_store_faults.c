/* SPDX-License-Identifier: BSD-2-Clause */
/* The S3 driver against a server that misbehaves, and the requests it then makes. */
#include <fcntl.h>

#include "canned.h"
#include "store_suite.h"

#define ETAG "\"0cc175b9c0f1b6a831c399e269772661\""	/* of "a" */
#define XML "Content-Type: application/xml\r\n"
#define HEAD_OK "HTTP/1.1 200 OK\r\nETag: " ETAG "\r\nContent-Length: 1\r\n\r\n"
#define GET_OK HEAD_OK "a"
#define PUT_OK "HTTP/1.1 200 OK\r\nETag: " ETAG "\r\nContent-Length: 0\r\n\r\n"
#define EMPTY(status) "HTTP/1.1 " status "\r\nContent-Length: 0\r\n\r\n"

static struct mw_conf conf;
static struct canned srv;
static char endpoint[64], dir[] = "/tmp/mw-test-faults.XXXXXX", secret[64];

static void
begin(const struct canned_step *steps, size_t n)
{
	struct mw_err err = { 0 };

	canned_start(&srv, steps, n);
	(void)snprintf(endpoint, sizeof(endpoint), "http://localhost:%d", srv.port);
	if (mw_store_open(&conf, &st, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
}

#define BEGIN(...) begin((const struct canned_step []){ __VA_ARGS__ }, \
    sizeof((const struct canned_step []){ __VA_ARGS__ }) / sizeof(struct canned_step))

static void
end(size_t requests)
{
	mw_store_close(st);
	canned_stop(&srv);
	is_int((int64_t)srv.nrequests, (int64_t)requests, "requests made");
	ok(strstr(ctx.err.msg, "topsecret") == NULL, "no secret in a message");
}

/* An answer with a body, in memory of its own. */
static const char *
answer(const char *head, const char *body)
{
	static char text[8][8192];
	static unsigned turn;
	char *p = text[turn++ % 8];

	(void)snprintf(p, sizeof(text[0]), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
	    head, body == NULL ? 300 : strlen(body), body == NULL ? "" : body);
	return p;
}

/* ---- one GET, one answer ---- */

struct get_row {
	const char *what, *head, *body;
	enum canned_end end;
	enum mw_code code;
	unsigned retry_after;
	const char *text;		/* in the message, or NULL */
};

static const struct get_row get_rows[] = {
	{ "slow down", "503 Slow Down\r\nRetry-After: 7", "<Error><Code>SlowDown</Code></Error>",
	    CANNED_KEEP, MW_STORE_UNAVAILABLE, 7, "SlowDown" },
	{ "too many", "429 Too Many Requests\r\nRetry-After: 1", "", CANNED_KEEP,
	    MW_STORE_UNAVAILABLE, 1, "429" },
	{ "a hint that is none", "503 No\r\nRetry-After: soon", "", CANNED_KEEP,
	    MW_STORE_UNAVAILABLE, 0, NULL },
	{ "a hint in the past", "503 No\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT", "",
	    CANNED_KEEP, MW_STORE_UNAVAILABLE, 0, NULL },
	{ "an internal error", "500 Error", "<Error><Code>InternalError</Code></Error>",
	    CANNED_KEEP, MW_STORE_UNAVAILABLE, 0, NULL },
	{ "a proxy's page", "502 Bad Gateway", "<html>bad gateway", CANNED_KEEP,
	    MW_STORE_UNAVAILABLE, 0, "502" },
	{ "a miss", "404 Not Found", "<Error><Code>NoSuchKey</Code></Error>", CANNED_KEEP,
	    MW_FILE_NOT_FOUND, 0, NULL },
	{ "a miss whose text never comes", "404 Not Found\r\nX: y", NULL, CANNED_CLOSE,
	    MW_STORE_UNAVAILABLE, 0, NULL },
	{ "a proxy's miss", "404 Not Found", "<html>not found</html>", CANNED_KEEP,
	    MW_STORE_ERROR, 0, "endpoint" },
	{ "no bucket", "404 Not Found", "<Error><Code>NoSuchBucket</Code></Error>",
	    CANNED_KEEP, MW_STORE_ERROR, 0, "store.s3.bucket" },
	{ "a wrong clock", "403 Forbidden", "<Error><Code>RequestTimeTooSkewed</Code></Error>",
	    CANNED_KEEP, MW_STORE_ERROR, 0, "clock" },
	{ "a wrong clock at R2", "400 Bad Request", "<Error><Code>ExpiredRequest</Code></Error>",
	    CANNED_KEEP, MW_STORE_ERROR, 0, "clock" },
	{ "bad credentials at R2", "401 Unauthorized", "<Error><Code>Unauthorized</Code></Error>",
	    CANNED_KEEP, MW_STORE_ERROR, 0, "access_key_id" },
	{ "a redirect", "307 Temporary Redirect\r\nLocation: http://localhost:1/", "",
	    CANNED_KEEP, MW_STORE_ERROR, 0, "region" },
	{ "a failure whose text is cut", "503 No\r\nX: y", "<Error><Code>Slow", CANNED_CLOSE,
	    MW_STORE_UNAVAILABLE, 0, "503" },
	{ "control characters", "500 E", "<Error><Code>x</Code><Message>a\nb</Message></Error>",
	    CANNED_KEEP, MW_STORE_UNAVAILABLE, 0, "a b" },
	{ "no ETag", "200 OK", "a", CANNED_KEEP, MW_STORE_ERROR, 0, "ETag" },
	{ "no content", "204 No Content\r\nETag: " ETAG, "", CANNED_KEEP, MW_STORE_ERROR, 0, NULL },
	{ "a part unasked", "206 Partial\r\nContent-Range: bytes 0-0/5\r\nETag: " ETAG, "a",
	    CANNED_KEEP, MW_STORE_ERROR, 0, "range" },
};

static void
test_get(void)
{
	struct canned_step step;
	struct got g;
	size_t i;

	for (i = 0; i < sizeof(get_rows) / sizeof(get_rows[0]); i++) {
		step.answer = answer(get_rows[i].head, get_rows[i].body);
		step.end = get_rows[i].end;
		begin(&step, 1);
		is_code(get("k", NULL, &g, NULL), get_rows[i].code, get_rows[i].what);
		is_int(ctx.err.retry_after, get_rows[i].retry_after, "its Retry-After");
		ok(get_rows[i].text == NULL || strstr(ctx.err.msg, get_rows[i].text) != NULL,
		    "message: %s", ctx.err.msg);
		is_int(g.begun, 0, "nothing was begun");
		mw_buf_free(&g.body);
		end(1);
		canned_done(&srv);
	}
}

static void
test_get_cut(void)
{
	struct got g;

	BEGIN({ "HTTP/1.1 200 OK\r\nETag: " ETAG "\r\nContent-Length: 10\r\n\r\n12345", CANNED_CLOSE });
	is_code(get("k", NULL, &g, NULL), MW_STORE_UNAVAILABLE, "cut in the middle");
	is_int(g.begun, 1, "it was begun");
	body_is(&g, "12345", 5, "and so far");
	is_int(g.obj.size, 10, "the size is known");
	mw_buf_free(&g.body);
	end(1);
	canned_done(&srv);

	BEGIN({ "HTTP/1.1 200 OK\r\nETag: " ETAG "\r\nContent-Length: 10\r\n\r\n12345", CANNED_STALL });
	is_code(get("k", NULL, &g, NULL), MW_STORE_UNAVAILABLE, "stalled in the middle");
	body_is(&g, "12345", 5, "so far");
	mw_buf_free(&g.body);
	end(1);
	canned_done(&srv);

	BEGIN({ NULL, CANNED_STALL });
	is_code(get("k", NULL, &g, NULL), MW_STORE_UNAVAILABLE, "no answer");
	mw_buf_free(&g.body);
	end(1);
	canned_done(&srv);

	BEGIN({ "HTTP/1.1 200 OK\r\nETag: " ETAG "\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "1\r\na\r\n0\r\n\r\n", CANNED_KEEP });
	is_code(get("k", NULL, &g, NULL), MW_STORE_ERROR, "a body of unknown size");
	mw_buf_free(&g.body);
	end(1);
	canned_done(&srv);
}

#define PART(range) "HTTP/1.1 206 Partial\r\nETag: " ETAG "\r\nContent-Range: " range \
    "\r\nContent-Length: 3\r\n\r\nabc"

static void
one_range(const char *text, int64_t from, int64_t to, enum mw_code want, const char *what)
{
	struct canned_step step = { text, CANNED_KEEP };
	struct mw_get opt = { .ranged = true, .from = from, .to = to };
	struct got g;

	begin(&step, 1);
	is_code(get("k", &opt, &g, NULL), want, what);
	/* What is wrong with the head is seen before anything is handed over. */
	ok((want != MW_STORE_ERROR) == (g.begun == 1), "%s: begun or not", what);
	mw_buf_free(&g.body);
	end(1);
	canned_done(&srv);
}

static void
test_range(void)
{
	struct mw_get opt = { .ranged = true, .from = 2, .to = 4 };
	struct got g;

	one_range(PART("bytes 2-4/10"), 2, 4, MW_OK, "the part asked for");
	one_range(PART("bytes 7-9/10"), -1, 3, MW_OK, "the end asked for");
	one_range(PART("bytes 7-9/10"), 7, -1, MW_OK, "the rest asked for");
	one_range(PART("bytes 7-9/10"), 7, 100, MW_OK, "as much as there is");
	one_range(PART("bytes 0-2/3"), -1, 100, MW_OK, "more than there is");
	one_range(PART("bytes 1-3/10"), 2, 4, MW_STORE_ERROR, "another part");
	one_range(PART("bytes 2-4/*"), 2, 4, MW_STORE_ERROR, "of unknown size");
	one_range(PART("bytes 2-10/10"), 2, 10, MW_STORE_ERROR, "beyond the end");
	one_range(PART("bytes 4-2/10"), 2, 4, MW_STORE_ERROR, "backwards");
	one_range(PART("items 2-4/10"), 2, 4, MW_STORE_ERROR, "of another unit");
	one_range(PART("bytes 2-4/10x"), 2, 4, MW_STORE_ERROR, "of a size that is none");
	one_range(PART("bytes 2-5/10"), 2, 5, MW_STORE_UNAVAILABLE, "shorter than it says");
	BEGIN({ PART("bytes 2-3/10"), CANNED_KEEP });
	opt.to = 3;
	is_code(get("k", &opt, &g, NULL), MW_STORE_ERROR, "longer than it says");
	body_is(&g, "", 0, "what is too long is not handed over");
	mw_buf_free(&g.body);
	end(1);
	canned_done(&srv);
	opt.to = 4;

	BEGIN({ "HTTP/1.1 200 OK\r\nETag: " ETAG "\r\nContent-Length: 5\r\n\r\n01234", CANNED_KEEP });
	is_code(get("k", &opt, &g, NULL), MW_OK, "a server that knows no ranges");
	body_is(&g, "01234", 5, "gives it all");
	ok(!g.obj.partial && g.obj.from == 0 && g.obj.to == 4, "and we say so");
	mw_buf_free(&g.body);
	end(1);
	ok(canned_saw(&srv, 0, "Range: bytes=2-4\r\n"), "the range was asked for");
	canned_done(&srv);
}

/* ---- head, meta ---- */

static void
meta_is(const char *mode, const char *mtime, int64_t want_mode, int64_t want_mtime)
{
	char text[512];
	struct canned_step step = { text, CANNED_KEEP };
	struct mw_object obj;

	(void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nETag: " ETAG "\r\n"
	    "Content-Length: 1\r\nx-amz-meta-mode: %s\r\nx-amz-meta-mtime: %s\r\n\r\n", mode, mtime);
	begin(&step, 1);
	fresh();
	is_code(st->ops->head(st, &ctx, "k", &obj), MW_OK, "head");
	is_int(obj.mode, want_mode, mode);
	is_int(obj.mtime, want_mtime, mtime);
	end(1);
	canned_done(&srv);
}

/* Others write these too: rclone octal with the type, s3fs decimal. */
static void
test_meta(void)
{
	meta_is("0644", "1700000000.123", 0644, 1700000000123);
	meta_is("100755", "1700000000", 0755, 1700000000000);
	meta_is("33188", "1700000000.5", 0644, 1700000000500);
	meta_is("33261", "1700000000.123456789", 0755, 1700000000123);
	meta_is("rw-r--r--", "yesterday", -1, -1);
	meta_is("040755", "-5", -1, -1);
	meta_is("", "1.x", -1, -1);
	meta_is("7777", "0", 07777, 0);
}

/* ---- put ---- */

static enum mw_code
put_a(const char *if_match, bool if_none_match)
{
	struct content c;
	const char *etag = NULL;
	enum mw_code code;

	content(&c, "a", 1);
	c.put.if_match = if_match;
	c.put.if_none_match = if_none_match;
	fresh();
	code = st->ops->put(st, &ctx, "k", &c.put, &etag);
	content_done(&c);
	return code;
}

static void
test_put(void)
{
	BEGIN({ PUT_OK, CANNED_KEEP });
	is_code(put_a(ETAG, false), MW_OK, "a put");
	end(1);
	ok(canned_saw(&srv, 0, "If-Match: " ETAG "\r\n"), "If-Match is quoted, as R2 wants it");
	ok(canned_saw(&srv, 0, "Content-MD5: DMF1ucDxtqgxw5niaXcmYQ==\r\n"), "the MD5");
	ok(canned_saw(&srv, 0, "x-amz-content-sha256: "
	    "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\r\n"), "the SHA-256");
	ok(canned_saw(&srv, 0, "SignedHeaders=content-md5;content-type;host;if-match;"
	    "x-amz-content-sha256;x-amz-date,"), "all of it signed");
	canned_done(&srv);

	BEGIN({ "HTTP/1.1 200 OK\r\nETag: \"00000000000000000000000000000000\"\r\n"
	    "Content-Length: 0\r\n\r\n", CANNED_KEEP });
	is_code(put_a(NULL, false), MW_STORE_UNAVAILABLE, "another checksum than ours");
	ok(strstr(ctx.err.msg, "checksum") != NULL, "the message says so");
	end(1);
	canned_done(&srv);

	BEGIN({ "HTTP/1.1 200 OK\r\nETag: \"00000000000000000000000000000000\"\r\n"
	    "x-amz-server-side-encryption: aws:kms\r\nContent-Length: 0\r\n\r\n", CANNED_KEEP });
	is_code(put_a(NULL, false), MW_OK, "an ETag that is no MD5");
	end(1);
	canned_done(&srv);

	BEGIN({ NULL, CANNED_CLOSE });
	is_code(put_a(NULL, false), MW_STORE_UNAVAILABLE, "an answer that never came");
	end(1);
	canned_done(&srv);

	BEGIN({ answer("507 Full", "<Error><Code>QuotaExceeded</Code></Error>"), CANNED_KEEP });
	is_code(put_a(NULL, false), MW_STORAGE_FULL, "a full store");
	end(1);
	canned_done(&srv);
}

/* A server without conditional writes: HEAD decides, and is remembered to. */
static void
test_put_501(void)
{
	BEGIN({ EMPTY("501 Not Implemented"), CANNED_KEEP }, { HEAD_OK, CANNED_KEEP },
	    { PUT_OK, CANNED_KEEP }, { HEAD_OK, CANNED_KEEP }, { EMPTY("404 Not Found"), CANNED_KEEP },
	    { PUT_OK, CANNED_KEEP }, { EMPTY("503 No"), CANNED_KEEP });
	is_code(put_a(ETAG, false), MW_OK, "If-Match, the same");
	is_code(put_a(NULL, true), MW_PRECONDITION_FAILED, "If-None-Match: *, something is there");
	is_code(put_a(NULL, true), MW_OK, "If-None-Match: *, nothing is there");
	is_code(put_a(ETAG, false), MW_STORE_UNAVAILABLE, "not known what is there");
	end(7);
	ok(canned_saw(&srv, 0, "If-Match: "), "it was tried");
	ok(canned_saw(&srv, 2, "PUT /bkt/k ") && !canned_saw(&srv, 2, "If-Match: "), "then without");
	ok(canned_saw(&srv, 3, "HEAD /bkt/k "), "not tried again");
	ok(!canned_saw(&srv, 5, "If-None-Match"), "nor sent");
	canned_done(&srv);
}

/* A server that compares If-Match with its bare ETag. */
static void
test_put_bare(void)
{
	BEGIN({ EMPTY("412 Precondition Failed"), CANNED_KEEP }, { HEAD_OK, CANNED_KEEP },
	    { PUT_OK, CANNED_KEEP });
	is_code(put_a(ETAG, false), MW_OK, "412 though the ETag is the same");
	end(3);
	ok(canned_saw(&srv, 2, "If-Match: 0cc175b9c0f1b6a831c399e269772661\r\n"), "then unquoted");
	canned_done(&srv);

	BEGIN({ EMPTY("412 Precondition Failed"), CANNED_KEEP }, { HEAD_OK, CANNED_KEEP });
	is_code(put_a("\"another\"", false), MW_PRECONDITION_FAILED, "412 and rightly so");
	end(2);
	canned_done(&srv);

	BEGIN({ EMPTY("412 Precondition Failed"), CANNED_KEEP });
	is_code(put_a(NULL, true), MW_PRECONDITION_FAILED, "If-None-Match: * needs no HEAD");
	end(1);
	canned_done(&srv);

	BEGIN({ answer("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>"), CANNED_KEEP });
	is_code(put_a(ETAG, false), MW_PRECONDITION_FAILED, "If-Match on nothing");
	end(1);
	canned_done(&srv);
}

/* ---- multipart ---- */

static enum mw_code
put_large(void)
{
	struct content c = { .fd = memfd_create("large", MFD_CLOEXEC) };
	const char *etag = NULL;
	enum mw_code code;

	if (c.fd == -1 || ftruncate(c.fd, (INT64_C(64) << 20) + 1) == -1)
		abort();
	content_hash(&c);
	fresh();
	code = st->ops->put(st, &ctx, "k", &c.put, &etag);
	content_done(&c);
	if (code == MW_OK)
		is_str(etag, "\"all-5\"", "the ETag of the whole");
	return code;
}

#define INIT { answer("200 OK", "<InitiateMultipartUploadResult><UploadId>id/+&amp;</UploadId>" \
    "</InitiateMultipartUploadResult>"), CANNED_KEEP }
#define PART_OK { "HTTP/1.1 200 OK\r\nETag: \"part-1\"\r\nContent-Length: 0\r\n\r\n", CANNED_KEEP }

static void
test_multipart(void)
{
	const struct canned_step good[] = { INIT, PART_OK, PART_OK, PART_OK, PART_OK, PART_OK,
	    { answer("200 OK", "<CompleteMultipartUploadResult><ETag>\"all-5\"</ETag>"
	    "</CompleteMultipartUploadResult>"), CANNED_KEEP } };
	const struct canned_step late[] = { INIT, PART_OK, PART_OK, PART_OK, PART_OK, PART_OK,
	    { answer("200 OK", "<Error><Code>AccessDenied</Code></Error>"), CANNED_KEEP },
	    { EMPTY("204 No Content"), CANNED_KEEP } };
	const struct canned_step part[] = { INIT, PART_OK, { EMPTY("503 No"), CANNED_KEEP },
	    { EMPTY("204 No Content"), CANNED_KEEP } };
	const struct canned_step bad[] = { INIT,
	    { "HTTP/1.1 200 OK\r\nETag: " ETAG "\r\nContent-Length: 0\r\n\r\n", CANNED_KEEP },
	    { EMPTY("204 No Content"), CANNED_KEEP } };

	begin(good, 7);
	is_code(put_large(), MW_OK, "a put in parts");
	end(7);
	ok(canned_saw(&srv, 0, "POST /bkt/k?uploads= "), "begun");
	ok(canned_saw(&srv, 1, "PUT /bkt/k?partNumber=1&uploadId=id%2F%2B%26 "), "the first part");
	ok(canned_saw(&srv, 4, "Content-Length: 16777216\r\n"), "parts are of one size");
	ok(canned_saw(&srv, 5, "Content-Length: 1\r\n"), "but the last");
	ok(canned_saw(&srv, 6, "<Part><PartNumber>5</PartNumber><ETag>\"part-1\"</ETag></Part>"
	    "</CompleteMultipartUpload>"), "all of them named");
	canned_done(&srv);

	begin(late, 8);
	is_code(put_large(), MW_STORE_ERROR, "200 with an error inside");
	end(8);
	ok(canned_saw(&srv, 7, "DELETE /bkt/k?uploadId=id%2F%2B%26 "), "the parts are dropped");
	canned_done(&srv);

	begin(part, 4);
	is_code(put_large(), MW_STORE_UNAVAILABLE, "a part that fails");
	end(4);
	ok(canned_saw(&srv, 3, "DELETE /bkt/k?uploadId="), "the parts are dropped");
	canned_done(&srv);

	begin(bad, 3);
	is_code(put_large(), MW_STORE_UNAVAILABLE, "a part with another checksum");
	end(3);
	canned_done(&srv);
}

/* ---- lists ---- */

#define ROW(key) "<Contents><Key>" key "</Key><Size>1</Size><ETag>e</ETag></Contents>"
#define GROUP(key) "<CommonPrefixes><Prefix>" key "</Prefix></CommonPrefixes>"

static void
test_list(void)
{
	const struct canned_step pages[] = {
		{ answer("200 OK", "<ListBucketResult><IsTruncated>true</IsTruncated>"
		    "<NextContinuationToken>a+b=/&lt;</NextContinuationToken>"
		    ROW("other/x") ROW("p/c") ROW("p/a") ROW("p")
		    GROUP("p/b/") GROUP("p/no-slash") GROUP("q/") "</ListBucketResult>"), CANNED_KEEP },
		{ answer("200 OK", "<ListBucketResult>" ROW("p/c") ROW("p/d") ROW("p/d") ROW("p/\x7f")
		    "</ListBucketResult>"), CANNED_KEEP },
	};

	begin(pages, 2);
	list_is("p/", false, NULL, 100, "p/a|p/b/|p/c|p/d|p/\x7f|", false);
	end(2);
	ok(canned_saw(&srv, 0, "GET /bkt?delimiter=%2F&encoding-type=url&list-type=2&max-keys=101"
	    "&prefix=p%2F HTTP/1.1\r\n"), "the query");
	ok(canned_saw(&srv, 1, "GET /bkt?continuation-token=a%2Bb%3D%2F%3C&delimiter=%2F&"),
	    "the token, unescaped and encoded");
	canned_done(&srv);
}

static void
one_list(const char *text, enum mw_code want, size_t requests, const char *what)
{
	const struct canned_step steps[] = { { text, CANNED_KEEP }, { text, CANNED_KEEP },
	    { text, CANNED_KEEP } };
	struct mw_list_req req = { "p/", true, NULL, 100 };
	struct rows r;
	bool more;

	begin(steps, 3);
	is_code(list(&req, &r, &more), want, what);
	mw_buf_free(&r.text);
	end(requests);
	canned_done(&srv);
}

static void
test_bad_lists(void)
{
	one_list(answer("200 OK", "<html>hello</html>"), MW_STORE_ERROR, 1, "a page that is no listing");
	one_list(answer("200 OK", ""), MW_STORE_ERROR, 1, "nothing");
	one_list(answer("200 OK", "<ListBucketResult>" ROW("p/a")), MW_STORE_ERROR, 1, "half a listing");
	one_list(answer("200 OK", "<ListBucketResult><IsTruncated>true</IsTruncated>"
	    "</ListBucketResult>"), MW_STORE_ERROR, 1, "more, but no token");
	one_list(answer("200 OK", "<ListBucketResult><IsTruncated>true</IsTruncated>"
	    "<NextContinuationToken>t</NextContinuationToken></ListBucketResult>"),
	    MW_STORE_ERROR, 2, "the same token for ever");
	one_list(answer("200 OK", "<ListBucketResult><Contents><Key>p/a</Key></Contents>"
	    "</ListBucketResult>"), MW_STORE_ERROR, 1, "a row without an ETag");
	one_list("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<ListBucketResult>" ROW("p/a"),
	    MW_STORE_UNAVAILABLE, 1, "a listing that stalls");
}

/* ---- addresses ---- */

static void
test_virtual_host(void)
{
	char host[64];
	struct got g;

	conf.store.s3.path_style = false;
	BEGIN({ GET_OK, CANNED_KEEP });
	is_code(get("a b", NULL, &g, NULL), MW_OK, "the bucket in the host name");
	mw_buf_free(&g.body);
	(void)snprintf(host, sizeof(host), "GET /a%%20b HTTP/1.1\r\nHost: bkt.localhost:%d\r\n", srv.port);
	end(1);
	ok(canned_saw(&srv, 0, host), "host and path");
	canned_done(&srv);
	conf.store.s3.path_style = true;
}

static void
test_open(void)
{
	static const char *const bad[] = { "", "localhost", "ftp://x", "http://", "http://x/path",
	    "http://user@x", "https://x?y" };
	struct mw_conf c = conf;
	struct mw_err err;
	struct mw_store *s;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mw_err_clear(&err);
		c.store.s3.endpoint = strdup(bad[i]);
		ok(mw_store_open(&c, &s, &err) == MW_INTERNAL_ERROR && s == NULL &&
		    strstr(err.msg, "endpoint") != NULL, "endpoint '%s' is refused", bad[i]);
		free(c.store.s3.endpoint);
	}
	c = conf;
	mw_err_clear(&err);
	c.store.s3.secret_key_file = (char []){ "/tmp/mw-test-no-such-file" };
	ok(mw_store_open(&c, &s, &err) != MW_OK && s == NULL && strstr(err.msg, "no-such-file") != NULL,
	    "the missing secret file is named");
	mw_err_clear(&err);
	c = conf;
	c.store.s3.bucket = (char []){ "a-bucket-whose-name-is-long-enough-to-fill-most-of-the-identity-x1" };
	c.store.s3.endpoint = (char []){ "https://0123456789abcdef0123456789abcdef.eu.r2.cloudflarestorage.com" };
	if (ok(mw_store_open(&c, &s, &err) == MW_OK, "a long name")) {
		struct mw_store *t;

		c.store.s3.bucket[strlen(c.store.s3.bucket) - 1] = '2';
		ok(mw_store_open(&c, &t, &err) == MW_OK && strcmp(s->identity, t->identity) != 0,
		    "identities tell long names apart");
		mw_store_close(t);
		mw_store_close(s);
	}
}

int
main(void)
{
	int fd;

	if (mkdtemp(dir) == NULL)
		return 1;
	(void)snprintf(secret, sizeof(secret), "%s/secret", dir);
	fd = open(secret, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1 || write(fd, "topsecret\n", 10) != 10 || close(fd) == -1)
		return 1;
	conf.store.driver = (char []){ "s3" };
	conf.store.timeout = 400;
	conf.store.s3.endpoint = endpoint;
	conf.store.s3.bucket = (char []){ "bkt" };
	conf.store.s3.region = (char []){ "auto" };
	conf.store.s3.access_key_id = (char []){ "id" };
	conf.store.s3.secret_key_file = secret;
	conf.store.s3.path_style = true;
	conf.store.s3.ca_file = (char []){ "" };
	(void)snprintf(endpoint, sizeof(endpoint), "http://localhost:1");
	test_open();
	test_get();
	test_get_cut();
	test_range();
	test_meta();
	test_put();
	test_put_501();
	test_put_bare();
	/* Hashing a part takes long on a busy machine; nothing stalls here on purpose. */
	conf.store.timeout = 30000;
	test_multipart();
	conf.store.timeout = 400;
	test_list();
	test_bad_lists();
	test_virtual_host();
	mw_arena_close(ctx.arena);
	if (unlink(secret) == -1 || rmdir(dir) == -1)
		return 1;
	return done();
}
