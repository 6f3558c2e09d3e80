/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a path.  What the parser lets through must be canonical: within
 * the limits, and parsed again it is itself.  Percent-encoding round-trips.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/path.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mime.h"
#include "base/path.h"
#include "base/str.h"
#include "base/utf8.h"

#define ALL_FLAGS 8

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool good)
{
	if (!good)
		abort();
}

/* No segment is empty, "." or "..", or too long; no control byte. */
static void
check_canonical(const char *path, unsigned flags)
{
	const char *seg = path, *end;
	size_t len = strlen(path), i;

	must(len <= MW_PATH_MAX && mw_utf8_valid(path, len));
	for (i = 0; i < len; i++)
		must((unsigned char)path[i] >= 0x20 && path[i] != 0x7f);
	must(len > 0 || (flags & MW_PATH_DIR) != 0);
	must((flags & MW_PATH_OURS) != 0 || !mw_path_ours(path));
	must((flags & MW_PATH_WRITE) == 0 || mw_utf8_nfc(path, len));
	while (len > 0) {
		end = strchr(seg, '/');
		i = end == NULL ? strlen(seg) : (size_t)(end - seg);
		must(i > 0 && i <= MW_SEGMENT_MAX);
		must(!(i == 1 && seg[0] == '.') && !(i == 2 && memcmp(seg, "..", 2) == 0));
		if (end == NULL)
			break;
		seg = end + 1;
	}
}

static void
check_parse(const char *s, size_t n, unsigned flags)
{
	char out[MW_PATH_MAX + 1], again[MW_PATH_MAX + 1];
	struct mw_err err = { 0 };
	enum mw_code rc = mw_path_parse(s, n, flags, out, &err);

	if (rc != MW_OK) {
		must(rc == MW_INVALID_PATH && err.code == rc && err.msg[0] != '\0');
		must(mw_utf8_valid(err.msg, strlen(err.msg)) && out[0] == '\0');
		return;
	}
	must(err.code == MW_OK);
	check_canonical(out, flags);
	must(mw_path_parse(out, strlen(out), flags, again, &err) == MW_OK &&
	    strcmp(out, again) == 0);
	must(*mw_path_mime(out) != '\0');
}

/* Bytes, encoded and decoded, are the same bytes. */
static void
check_encode(const char *s, size_t n, char *out)
{
	struct mw_buf b;

	mw_buf_init(&b, 3 * n);
	must(mw_str_pct_encode(&b, s, n, "/"));
	must(strlen(b.data) == b.len && mw_str_header_ok(b.data));
	out = realloc(out, b.len + 1);
	must(out != NULL);
	must(mw_path_decode(b.data, b.len, out) == (long)n);
	must(n == 0 || memcmp(out, s, n) == 0);
	free(out);
	mw_buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const char *s = (const char *)data;
	char *decoded = malloc(size + 1);
	unsigned flags;
	long n;

	must(decoded != NULL);
	n = mw_path_decode(s, size, decoded);
	must(n <= (long)size && (n < 0 || decoded[n] == '\0'));
	for (flags = 0; flags < ALL_FLAGS; flags++) {
		check_parse(s, size, flags);
		if (n >= 0)
			check_parse(decoded, (size_t)n, flags);
	}
	if (mw_user_valid(s, size))
		must(size >= 1 && size <= MW_USER_MAX && memchr(s, '/', size) == NULL);
	check_encode(s, size, decoded);
	return 0;
}
