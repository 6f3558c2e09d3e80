/* SPDX-License-Identifier: BSD-2-Clause */
/* Request signing, AWS Signature Version 4. */
#include "net/sigv4.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/str.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define SCOPE_END "s3/aws4_request"
#define SIGNED_MAX 32			/* headers of one request */
#define CANONICAL_MAX 65536		/* bytes of a canonical request */
#define PAYLOAD "x-amz-content-sha256"

struct stamp {
	char day[9];			/* 20130524 */
	char time[17];			/* 20130524T000000Z */
};

char *
mw_sigv4_encode(struct mw_arena *a, const char *s, size_t n, bool path)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out, *w;
	size_t i;
	unsigned char c;

	if (n > SIZE_MAX / 4 || (w = out = mw_arena_alloc(a, 3 * n + 1)) == NULL)
		return NULL;
	for (i = 0; i < n; i++) {
		c = (unsigned char)s[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
		    c == '~' || (c == '/' && path)) {
			*w++ = (char)c;
			continue;
		}
		*w++ = '%';
		*w++ = hex[c >> 4];
		*w++ = hex[c & 15];
	}
	*w = '\0';
	return out;
}

static bool
stamp_make(int64_t unix_time, struct stamp *st)
{
	time_t t = (time_t)unix_time;
	struct tm tm;

	return gmtime_r(&t, &tm) != NULL &&
	    strftime(st->day, sizeof(st->day), "%Y%m%d", &tm) == 8 &&
	    strftime(st->time, sizeof(st->time), "%Y%m%dT%H%M%SZ", &tm) == 16;
}

/* RFC 2104; a key longer than a block is hashed first. */
static bool
hmac(const unsigned char *key, size_t nkey, const char *s, size_t n,
    unsigned char out[32])
{
	unsigned char inner[SHA256_CBLOCK], outer[SHA256_CBLOCK], k[SHA256_CBLOCK] = { 0 };
	size_t i;
	bool good;

	if (nkey > sizeof(k) && !mw_sha256(key, nkey, "", 0, k))
		return false;
	if (nkey <= sizeof(k))
		memcpy(k, key, nkey);
	for (i = 0; i < sizeof(k); i++) {
		inner[i] = k[i] ^ 0x36;
		outer[i] = k[i] ^ 0x5c;
	}
	good = mw_sha256(inner, sizeof(inner), s, n, k) && mw_sha256(outer, sizeof(outer), k, 32, out);
	explicit_bzero(inner, sizeof(inner));
	explicit_bzero(outer, sizeof(outer));
	explicit_bzero(k, sizeof(k));
	return good;
}

/* The signing key of a day; derived again when day, region or secret changed. */
static bool
day_key(struct mw_sigv4 *s, const char *day)
{
	unsigned char k[32];
	char first[sizeof(s->day_secret) + 4];
	int n;

	if (strcmp(s->day, day) == 0 && strcmp(s->day_region, s->region) == 0 &&
	    strcmp(s->day_secret, s->secret_key) == 0)
		return true;
	s->day[0] = '\0';
	n = snprintf(first, sizeof(first), "AWS4%s", s->secret_key);
	if (n < 0 || (size_t)n >= sizeof(first) ||
	    strlen(s->region) >= sizeof(s->day_region) ||
	    !hmac((unsigned char *)first, (size_t)n, day, strlen(day), k) ||
	    !hmac(k, 32, s->region, strlen(s->region), k) ||
	    !hmac(k, 32, "s3", 2, k) ||
	    !hmac(k, 32, "aws4_request", 12, s->key))
		return false;
	explicit_bzero(first, sizeof(first));
	explicit_bzero(k, sizeof(k));
	memcpy(s->day_secret, s->secret_key, strlen(s->secret_key) + 1);
	memcpy(s->day_region, s->region, strlen(s->region) + 1);
	memcpy(s->day, day, 9);
	return true;
}

/* Insertion sort by name, which the caller has made lower case. */
static void
sort_headers(struct mw_net_header *h, size_t n)
{
	struct mw_net_header x;
	size_t i, j;

	for (i = 1; i < n; i++) {
		x = h[i];
		for (j = i; j > 0 && strcmp(h[j - 1].name, x.name) > 0; j--)
			h[j] = h[j - 1];
		h[j] = x;
	}
}

static char *
lower(struct mw_arena *a, const char *s)
{
	char *out = mw_arena_strdup(a, s), *p;

	for (p = out; p != NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return out;
}

/* The list of signed names, "a;b;c". */
static void
add_names(struct mw_buf *b, const struct mw_net_header *h, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (i > 0)
			mw_buf_addc(b, ';');
		mw_buf_adds(b, h[i].name);
	}
}

/* The hash of the canonical request; h is sorted, with lower-case names. */
static bool
canonical_hash(const char *method, const char *path, const char *query,
    const struct mw_net_header *h, size_t n, char hex[65])
{
	const char *payload = NULL;
	unsigned char md[32];
	struct mw_buf b;
	size_t i;
	bool good;

	mw_buf_init(&b, CANONICAL_MAX);
	mw_buf_adds(&b, method);
	mw_buf_addc(&b, '\n');
	mw_buf_adds(&b, path);
	mw_buf_addc(&b, '\n');
	mw_buf_adds(&b, query);
	mw_buf_addc(&b, '\n');
	for (i = 0; i < n; i++) {
		mw_buf_adds(&b, h[i].name);
		mw_buf_addc(&b, ':');
		mw_buf_adds(&b, h[i].value);
		mw_buf_addc(&b, '\n');
		if (strcmp(h[i].name, PAYLOAD) == 0)
			payload = h[i].value;
	}
	mw_buf_addc(&b, '\n');
	add_names(&b, h, n);
	mw_buf_addc(&b, '\n');
	good = payload != NULL && mw_buf_adds(&b, payload) && mw_sha256(b.data, b.len, "", 0, md);
	if (good)
		mw_str_hex(md, sizeof(md), hex);
	mw_buf_free(&b);
	return good;
}

/* The value of Authorization for the canonical request hashed in `hex`. */
static char *
authorization(struct mw_sigv4 *s, struct mw_arena *a, const struct stamp *st,
    const struct mw_net_header *h, size_t n, const char *hex)
{
	unsigned char md[32];
	char sig[65], *to_sign, *out = NULL;
	struct mw_buf names;

	to_sign = mw_arena_cat(a, ALGORITHM "\n", st->time, "\n", st->day, "/", s->region,
	    "/" SCOPE_END "\n", hex, (char *)NULL);
	if (to_sign == NULL || !day_key(s, st->day) ||
	    !hmac(s->key, 32, to_sign, strlen(to_sign), md))
		return NULL;
	mw_str_hex(md, sizeof(md), sig);
	mw_buf_init(&names, 4096);
	add_names(&names, h, n);
	if (!names.failed)
		out = mw_arena_cat(a, ALGORITHM " Credential=", s->access_key_id, "/", st->day, "/",
		    s->region, "/" SCOPE_END ",SignedHeaders=", names.data, ",Signature=", sig,
		    (char *)NULL);
	mw_buf_free(&names);
	return out;
}

const struct mw_net_header *
mw_sigv4_sign(struct mw_sigv4 *s, struct mw_arena *a, const char *method,
    const char *path, const char *query, const struct mw_net_header *headers,
    size_t n, int64_t unix_time, size_t *nout)
{
	struct mw_net_header sorted[SIGNED_MAX + 1], *out;
	struct stamp st;
	char hex[65], *auth;
	size_t i;

	if (n > SIGNED_MAX || !stamp_make(unix_time, &st) ||
	    (out = mw_arena_alloc(a, (n + 2) * sizeof(*out))) == NULL)
		return NULL;
	if (n > 0)
		memcpy(out, headers, n * sizeof(*out));
	out[n].name = "x-amz-date";
	out[n].value = mw_arena_strdup(a, st.time);
	for (i = 0; i <= n; i++) {
		sorted[i].name = lower(a, out[i].name);
		sorted[i].value = out[i].value;
		if (sorted[i].name == NULL || sorted[i].value == NULL)
			return NULL;
	}
	sort_headers(sorted, n + 1);
	if (!canonical_hash(method, path, query, sorted, n + 1, hex))
		return NULL;
	auth = authorization(s, a, &st, sorted, n + 1, hex);
	if (auth == NULL)
		return NULL;
	out[n + 1].name = "Authorization";
	out[n + 1].value = auth;
	*nout = n + 2;
	return out;
}
