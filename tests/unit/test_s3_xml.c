/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of S3's answers, whole and byte by byte; and the table of failures. */
#include <stdlib.h>

#include "base/clock.h"
#include "store/s3.h"
#include "tap.h"

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static struct mw_arena *arena;

/* In pieces of `step` bytes. */
static bool
parse(const char *s, size_t step, struct mw_s3_doc *doc)
{
	struct mw_s3_xml *x;
	size_t n = strlen(s), i;

	mw_arena_reset(arena);
	if ((x = mw_s3_xml_open(arena, doc)) == NULL)
		abort();
	for (i = 0; i < n; i += step) {
		if (!mw_s3_xml_feed(x, s + i, n - i < step ? n - i : step))
			break;
	}
	return mw_s3_xml_close(x);
}

static const char listing[] = XML "<ListBucketResult" NS ">\n"
    "<Name>bkt</Name><Prefix>p/</Prefix><KeyCount>3</KeyCount>"
    "<IsTruncated>true</IsTruncated>"
    "<NextContinuationToken>l/5&lt;&gt;&amp;+/=</NextContinuationToken>\n"
    "<Contents><Key>p/a&amp;b</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>"
    "<ETag>&quot;0cc175b9c0f1b6a831c399e269772661&quot;</ETag><Size>12</Size>"
    "<Owner><ID>x</ID><Key>not this</Key></Owner><StorageClass>STANDARD</StorageClass></Contents>\n"
    "<Contents><Key>p/caf\xc3\xa9</Key><Size>9223372036854775807</Size><ETag>abc</ETag>"
    "<LastModified>yesterday</LastModified></Contents>"
    "<CommonPrefixes><Prefix>p/dir/</Prefix></CommonPrefixes>"
    "<Unknown><Contents><Key>nor this</Key></Contents></Unknown>"
    "</ListBucketResult>\n";

static void
test_listing(void)
{
	static const size_t steps[] = { 1, 2, 7, 64, sizeof(listing) };
	struct mw_s3_doc doc;
	struct mw_s3_row *r;
	int64_t at = 0;
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		ok(parse(listing, steps[i], &doc), "a listing in pieces of %zu", steps[i]);
		is_int(doc.root, MW_S3_LIST, "its root");
		is_int((int64_t)doc.nrows, 3, "its rows");
		ok(doc.truncated && !doc.url_encoded, "its flags");
		is_str(doc.token, "l/5<>&+/=", "its token");
		r = doc.rows;
		is_str(r->key, "p/a&b", "the first key");
		ok(!r->group, "an object");
		is_int(r->size, 12, "its size");
		is_str(r->etag, "\"0cc175b9c0f1b6a831c399e269772661\"", "its ETag");
		ok(mw_rfc3339_parse("2026-01-02T03:04:05.678Z", &at), "a time");
		is_int(r->modified, at, "its time");
		r = r->next;
		is_str(r->key, "p/caf\xc3\xa9", "the second key");
		is_int(r->size, INT64_MAX, "its size");
		is_int(r->modified, 0, "a time that is none");
		r = r->next;
		is_str(r->key, "p/dir/", "the group");
		ok(r->group && r->next == NULL, "is one, and the last");
	}
}

/* One key as the server writes it with encoding-type=url; NULL = not to be decoded. */
static void
url_key(const char *written, const char *want)
{
	char doc_text[512];
	struct mw_s3_doc doc;

	(void)snprintf(doc_text, sizeof(doc_text), "<ListBucketResult><Contents><Key>%s</Key>"
	    "</Contents><EncodingType>url</EncodingType></ListBucketResult>", written);
	ok(parse(doc_text, 5, &doc) && doc.nrows == 1, "%s", written);
	is_str(doc.rows->key, want, "decoded");
}

static void
test_url(void)
{
	struct mw_s3_doc doc;

	url_key("a%20b", "a b");
	url_key("a+b", "a b");
	url_key("a%2Bb", "a+b");
	url_key("a/b", "a/b");
	url_key("caf%C3%A9", "caf\xc3\xa9");
	url_key("%25", "%");
	url_key("%2525", "%25");
	url_key("a%01b", "a\x01" "b");
	url_key("a%00b", NULL);
	url_key("a%2", NULL);
	url_key("a%zz", NULL);
	ok(parse("<ListBucketResult><Contents><Key>a%20b+</Key></Contents>"
	    "<EncodingType>none</EncodingType></ListBucketResult>", 99, &doc) &&
	    strcmp(doc.rows->key, "a%20b+") == 0, "not decoded when the answer does not say so");
}

static void
test_others(void)
{
	struct mw_s3_doc doc;

	ok(parse(XML "<Error><Code>NoSuchKey</Code><Message>The key.</Message>"
	    "<Resource>/x</Resource><RequestId>1</RequestId></Error>", 3, &doc), "an error");
	is_int(doc.root, MW_S3_ERROR, "its root");
	is_str(doc.code, "NoSuchKey", "its code");
	is_str(doc.message, "The key.", "its message");
	ok(parse("\n\n  " XML "<Error><Code>InternalError</Code></Error>", 3, &doc) &&
	    doc.root == MW_S3_ERROR, "white space that kept a connection alive");
	ok(parse(XML "<InitiateMultipartUploadResult" NS "><Bucket>b</Bucket><Key>k</Key>"
	    "<UploadId>2~a&amp;b</UploadId></InitiateMultipartUploadResult>", 9, &doc), "initiate");
	is_str(doc.upload_id, "2~a&b", "the upload's id");
	ok(parse(XML "<CompleteMultipartUploadResult" NS "><Location>l</Location>"
	    "<ETag>\"abc-2\"</ETag></CompleteMultipartUploadResult>", 9, &doc), "complete");
	is_str(doc.etag, "\"abc-2\"", "the ETag");
}

static void
test_refused(void)
{
	static const char *const bad[] = {
		"", " ", "x", "<", "<html><body>404</body></html>", "<Error>", "<Error></Errors>",
		"<Error/><Error/>", "{\"error\":1}",
		"<!DOCTYPE Error><Error><Code>x</Code></Error>",
		"<!DOCTYPE e [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><Error><Code>&b;</Code></Error>",
		"<!DOCTYPE e SYSTEM \"file:///etc/passwd\"><Error/>",
		"<Error><Code>&undefined;</Code></Error>",
		"<Error><Code>\xff</Code></Error>",
		"<ListBucketResult><Contents><Size>-1</Size></Contents></ListBucketResult>",
		"<ListBucketResult><Contents><Size>99999999999999999999</Size></Contents></ListBucketResult>",
		"<Error><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a>",
	};
	struct mw_s3_doc doc;
	size_t i, step;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (step = 1; step <= 1000; step += 999)
			ok(!parse(bad[i], step, &doc) && doc.root == MW_S3_NOTHING,
			    "refused: %.60s", bad[i]);
	}
}

/* `deep` elements inside each other. */
static bool
nested(int deep)
{
	char s[1000];
	struct mw_s3_doc doc;
	size_t at;
	int i;

	at = (size_t)snprintf(s, sizeof(s), "<Error>");
	for (i = 1; i < deep; i++)
		at += (size_t)snprintf(s + at, sizeof(s) - at, "<a>");
	for (i = 1; i < deep; i++)
		at += (size_t)snprintf(s + at, sizeof(s) - at, "</a>");
	(void)snprintf(s + at, sizeof(s) - at, "</Error>");
	return parse(s, 7, &doc);
}

/* A document of `n` rows, or with a text of `text` bytes. */
static bool
sized(size_t n, size_t text)
{
	static char s[200000];
	struct mw_s3_doc doc;
	size_t at, i;

	at = (size_t)snprintf(s, sizeof(s), "<ListBucketResult>");
	for (i = 0; i < n; i++)
		at += (size_t)snprintf(s + at, sizeof(s) - at,
		    "<Contents><Key>k%zu</Key><Size>1</Size></Contents>", i);
	at += (size_t)snprintf(s + at, sizeof(s) - at, "<Contents><Key>");
	memset(s + at, 'k', text);
	at += text;
	(void)snprintf(s + at, sizeof(s) - at, "</Key></Contents></ListBucketResult>");
	return parse(s, 4096, &doc) && doc.nrows == n + 1;
}

static void
test_limits(void)
{
	ok(sized(MW_S3_ROWS_MAX - 1, 1), "as many rows as allowed");
	ok(!sized(MW_S3_ROWS_MAX, 1), "one row too many");
	ok(sized(1, 4096), "a text as long as allowed");
	ok(!sized(1, 4097), "one byte too long");
	ok(nested(16), "as deep as allowed");
	ok(!nested(17), "one deeper");
}

static void
test_etag(void)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "\"abc\"", "\"abc\"" }, { "abc", "\"abc\"" }, { "W/\"abc\"", "W/\"abc\"" },
		{ "abc-2", "\"abc-2\"" }, { "", NULL }, { "\"abc", NULL }, { "\"a\"b\"", NULL },
		{ "a b", NULL }, { "a\"", NULL }, { "\"a\nb\"", NULL }, { "\"", NULL },
		{ "\"a b\"", NULL }, { "\"a\tb\"", NULL }, { "\"a\xe9\"", NULL }, { "a\xe9", NULL },
		{ "\"\xc3\xa9\"", NULL }, { "\"\x7f\"", NULL }, { "\"a,b\"", "\"a,b\"" }, { "a,b", NULL },
	};
	size_t i;

	is_str(mw_s3_etag(arena, NULL), NULL, "no ETag");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		is_str(mw_s3_etag(arena, rows[i].in), rows[i].out, rows[i].in);
}

/* What each answer means, written down a second time. */
static void
test_classify(void)
{
	static const struct { const char *word; int status; enum mw_code code; } rows[] = {
		{ "NoSuchKey", 404, MW_FILE_NOT_FOUND },
		{ "NoSuchVersion", 404, MW_FILE_NOT_FOUND },
		{ "NoSuchBucket", 404, MW_STORE_ERROR },
		{ "InvalidBucketName", 400, MW_STORE_ERROR },
		{ "NoSuchUpload", 404, MW_STORE_UNAVAILABLE },
		{ "AccessDenied", 403, MW_STORE_ERROR },
		{ "AllAccessDisabled", 403, MW_STORE_ERROR },
		{ "AccountProblem", 403, MW_STORE_ERROR },
		{ "InvalidAccessKeyId", 403, MW_STORE_ERROR },
		{ "SignatureDoesNotMatch", 403, MW_STORE_ERROR },
		{ "InvalidToken", 400, MW_STORE_ERROR },
		{ "ExpiredToken", 400, MW_STORE_ERROR },
		{ "Unauthorized", 401, MW_STORE_ERROR },
		{ "NotEntitled", 403, MW_STORE_ERROR },
		{ "AuthorizationHeaderMalformed", 400, MW_STORE_ERROR },
		{ "PermanentRedirect", 301, MW_STORE_ERROR },
		{ "TemporaryRedirect", 307, MW_STORE_ERROR },
		{ "MethodNotAllowed", 405, MW_STORE_ERROR },
		{ "RequestTimeTooSkewed", 403, MW_STORE_ERROR },
		{ "ExpiredRequest", 400, MW_STORE_ERROR },
		{ "RequestExpired", 400, MW_STORE_ERROR },
		{ "PreconditionFailed", 412, MW_PRECONDITION_FAILED },
		{ "ConditionalRequestConflict", 409, MW_STORE_UNAVAILABLE },
		{ "OperationAborted", 409, MW_STORE_UNAVAILABLE },
		{ "InvalidRange", 416, MW_RANGE_NOT_SATISFIABLE },
		{ "KeyTooLongError", 400, MW_INVALID_PATH },
		{ "KeyTooLong", 400, MW_INVALID_PATH },
		{ "InvalidObjectName", 400, MW_INVALID_PATH },
		{ "InvalidURI", 400, MW_INVALID_PATH },
		{ "EntityTooLarge", 400, MW_FILE_TOO_LARGE },
		{ "QuotaExceeded", 403, MW_STORAGE_FULL },
		{ "InsufficientStorage", 507, MW_STORAGE_FULL },
		{ "XMinioStorageFull", 507, MW_STORAGE_FULL },
		{ "BadDigest", 400, MW_STORE_UNAVAILABLE },
		{ "InvalidDigest", 400, MW_STORE_UNAVAILABLE },
		{ "XAmzContentSHA256Mismatch", 400, MW_STORE_UNAVAILABLE },
		{ "IncompleteBody", 400, MW_STORE_UNAVAILABLE },
		{ "RequestTimeout", 400, MW_STORE_UNAVAILABLE },
		{ "SlowDown", 503, MW_STORE_UNAVAILABLE },
		{ "TooManyRequests", 429, MW_STORE_UNAVAILABLE },
		{ "Busy", 503, MW_STORE_UNAVAILABLE },
		{ "ServiceUnavailable", 503, MW_STORE_UNAVAILABLE },
		{ "InternalError", 500, MW_STORE_UNAVAILABLE },
		{ "NotImplemented", 501, MW_NOT_SUPPORTED },
		/* the word counts, not the status */
		{ "NoSuchKey", 500, MW_FILE_NOT_FOUND },
		{ "SlowDown", 400, MW_STORE_UNAVAILABLE },
		/* a word we do not know: the status counts, but 404 is no miss */
		{ "SomethingNew", 400, MW_STORE_ERROR },
		{ "SomethingNew", 503, MW_STORE_UNAVAILABLE },
		{ "SomethingNew", 404, MW_STORE_ERROR },
		/* no word */
		{ "", 301, MW_STORE_ERROR }, { "", 307, MW_STORE_ERROR },
		{ "", 400, MW_STORE_ERROR }, { "", 401, MW_STORE_ERROR },
		{ "", 403, MW_STORE_ERROR }, { "", 404, MW_FILE_NOT_FOUND },
		{ "", 405, MW_STORE_ERROR }, { "", 408, MW_STORE_UNAVAILABLE },
		{ "", 409, MW_STORE_UNAVAILABLE }, { "", 411, MW_STORE_ERROR },
		{ "", 412, MW_PRECONDITION_FAILED }, { "", 413, MW_FILE_TOO_LARGE },
		{ "", 416, MW_RANGE_NOT_SATISFIABLE }, { "", 425, MW_STORE_UNAVAILABLE },
		{ "", 429, MW_STORE_UNAVAILABLE }, { "", 500, MW_STORE_UNAVAILABLE },
		{ "", 501, MW_NOT_SUPPORTED }, { "", 502, MW_STORE_UNAVAILABLE },
		{ "", 503, MW_STORE_UNAVAILABLE }, { "", 504, MW_STORE_UNAVAILABLE },
		{ "", 507, MW_STORAGE_FULL }, { "", 520, MW_STORE_UNAVAILABLE },
		{ "", 599, MW_STORE_UNAVAILABLE }, { "", 600, MW_STORE_ERROR },
		{ "", 999, MW_STORE_ERROR },
	};
	const struct mw_s3_class *c;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c = mw_s3_classify(rows[i].status, rows[i].word, false);
		is_str(mw_code_info(c->code)->name, mw_code_info(rows[i].code)->name,
		    rows[i].word[0] != '\0' ? rows[i].word : "a status alone");
	}
	c = mw_s3_classify(404, "", true);
	is_str(mw_code_info(c->code)->name, "store_error", "a 404 that S3 did not write");
	c = mw_s3_classify(403, "RequestTimeTooSkewed", false);
	ok(c->hint != NULL && strstr(c->hint, "clock") != NULL, "a skewed clock is named");
	c = mw_s3_classify(400, "ExpiredRequest", false);
	ok(c->hint != NULL && strstr(c->hint, "clock") != NULL, "by R2 too");
}

static void
test_part_size(void)
{
	static const int64_t sizes[] = { (INT64_C(64) << 20) + 1, INT64_C(1) << 30,
	    INT64_C(16) * 10000 << 20, (INT64_C(16) * 10000 << 20) + 1, INT64_C(5) << 40 };
	int64_t part;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		part = mw_s3_part_size(sizes[i]);
		ok(part >= 5 << 20 && part <= INT64_C(5) << 30 &&
		    (sizes[i] + part - 1) / part <= 10000, "%lld bytes in parts of %lld",
		    (long long)sizes[i], (long long)part);
	}
	is_int(mw_s3_part_size(sizes[2]), 16 << 20, "16 MiB as long as that will do");
	is_int(mw_s3_part_size(sizes[3]), 17 << 20, "then more");
}

int
main(void)
{
	arena = mw_arena_open((size_t)64 << 20);
	if (arena == NULL)
		return 1;
	test_listing();
	test_url();
	test_others();
	test_refused();
	test_limits();
	test_etag();
	test_classify();
	test_part_size();
	mw_arena_close(arena);
	return done();
}
