/* SPDX-License-Identifier: BSD-2-Clause */
/* The signer against the worked examples of the AWS documents, "Authenticating
 * Requests: Using the Authorization Header". */
#include <stdlib.h>

#include "net/sigv4.h"
#include "tap.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST "examplebucket.s3.amazonaws.com"
#define TIME_20130524 1369353600

struct example {
	const char *what, *method, *path, *query, *signature, *names;
	struct mw_net_header headers[6];
	size_t n;
};

/* In the order a caller may give them: any. */
static const struct example examples[] = {
	{ "GET with Range", "GET", "/test.txt", "",
	    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
	    "host;range;x-amz-content-sha256;x-amz-date",
	    { { "x-amz-content-sha256", EMPTY }, { "Range", "bytes=0-9" },
	      { "Host", HOST } }, 3 },
	{ "PUT of test$file.text", "PUT", "/test%24file.text", "",
	    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
	    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	    { { "Host", HOST }, { "Date", "Fri, 24 May 2013 00:00:00 GMT" },
	      { "x-amz-storage-class", "REDUCED_REDUNDANCY" },
	      { "x-amz-content-sha256",
	        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072" } }, 4 },
	{ "GET ?lifecycle", "GET", "/", "lifecycle=",
	    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
	    "host;x-amz-content-sha256;x-amz-date",
	    { { "Host", HOST }, { "x-amz-content-sha256", EMPTY } }, 2 },
	{ "list", "GET", "/", "max-keys=2&prefix=J",
	    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
	    "host;x-amz-content-sha256;x-amz-date",
	    { { "Host", HOST }, { "x-amz-content-sha256", EMPTY } }, 2 },
};

static struct mw_sigv4
signer(void)
{
	struct mw_sigv4 s;

	memset(&s, 0, sizeof(s));
	s.access_key_id = "AKIAIOSFODNN7EXAMPLE";
	s.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
	s.region = "us-east-1";
	return s;
}

static const char *
value(const struct mw_net_header *h, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (strcmp(h[i].name, name) == 0)
			return h[i].value;
	}
	return NULL;
}

static const char *
sign(struct mw_sigv4 *s, struct mw_arena *a, const struct example *e, int64_t at)
{
	const struct mw_net_header *out;
	size_t n = 0;

	out = mw_sigv4_sign(s, a, e->method, e->path, e->query, e->headers, e->n, at, &n);
	if (out == NULL)
		return "(no signature)";
	ok(n == e->n + 2, "%s: x-amz-date and Authorization are added", e->what);
	return value(out, n, "Authorization");
}

static void
test_examples(struct mw_arena *a)
{
	struct mw_sigv4 s = signer();
	char want[512];
	size_t i;

	for (i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		(void)snprintf(want, sizeof(want), "AWS4-HMAC-SHA256 Credential="
		    "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
		    "SignedHeaders=%s,Signature=%s", examples[i].names,
		    examples[i].signature);
		is_str(sign(&s, a, &examples[i], TIME_20130524), want, examples[i].what);
	}
}

/* The cached key of a day must not outlive what it was made from. */
static void
test_cache(struct mw_arena *a)
{
	struct mw_sigv4 s = signer(), fresh;
	const char *first = sign(&s, a, &examples[2], TIME_20130524);
	const char *other;

	s.secret_key = "another";
	other = sign(&s, a, &examples[2], TIME_20130524);
	ok(strcmp(first, other) != 0, "a new secret gives another signature");
	s.region = "auto";
	other = sign(&s, a, &examples[2], TIME_20130524);
	fresh = signer();
	fresh.secret_key = "another";
	fresh.region = "auto";
	is_str(other, sign(&fresh, a, &examples[2], TIME_20130524), "a new region");
	other = sign(&s, a, &examples[2], TIME_20130524 + 86400);
	memset(fresh.day, 0, sizeof(fresh.day));
	is_str(other, sign(&fresh, a, &examples[2], TIME_20130524 + 86400), "the next day");
	s = signer();
	is_str(sign(&s, a, &examples[2], TIME_20130524), first, "and back");
}

static void
test_encode(struct mw_arena *a)
{
	is_str(mw_sigv4_encode(a, "a/b c+d", 7, true), "a/b%20c%2Bd", "a path keeps '/'");
	is_str(mw_sigv4_encode(a, "a/b c+d", 7, false), "a%2Fb%20c%2Bd", "a query does not");
	is_str(mw_sigv4_encode(a, "-._~AZaz09", 10, false), "-._~AZaz09", "unreserved");
	is_str(mw_sigv4_encode(a, "\xc3\xa9", 2, true), "%C3%A9", "UTF-8, upper-case hex");
	is_str(mw_sigv4_encode(a, "!$&'()*,;=:@%", 13, true),
	    "%21%24%26%27%28%29%2A%2C%3B%3D%3A%40%25", "everything else");
	is_str(mw_sigv4_encode(a, "", 0, true), "", "nothing");
}

static void
test_refused(struct mw_arena *a)
{
	static const struct mw_net_header host = { "Host", HOST };
	struct mw_sigv4 s = signer();
	size_t n;

	ok(mw_sigv4_sign(&s, a, "GET", "/", "", &host, 1, TIME_20130524, &n) == NULL,
	    "no signature without x-amz-content-sha256");
}

int
main(void)
{
	struct mw_arena *a = mw_arena_open(1 << 20);

	if (a == NULL)
		return 1;
	test_examples(a);
	test_cache(a);
	test_encode(a);
	test_refused(a);
	mw_arena_close(a);
	return done();
}
