/* SPDX-License-Identifier: BSD-2-Clause */
/* A user's paths and names: decoded once, checked, canonical. */
#include "base/path.h"

#include <string.h>

#include "base/str.h"
#include "base/utf8.h"

#define BAD(err, ...) mw_fail(err, MW_INVALID_PATH, __VA_ARGS__)

/* Bytes no path may hold.  Positions in messages count from 0. */
static enum mw_code
check_bytes(const char *s, size_t n, struct mw_err *err)
{
	size_t i, valid;

	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '\0')
			return BAD(err, "path holds a NUL at byte %zu", i);
		if (c < 0x20 || c == 0x7f)
			return BAD(err, "path holds the control byte 0x%02x at byte %zu", c, i);
	}
	valid = n == 0 ? 0 : mw_utf8_span(s, n);
	if (valid != n)
		return BAD(err, "path is not valid UTF-8 at byte %zu", valid);
	return MW_OK;
}

/* Add the segment seg[0..len), found at byte `at`, to out[0..*used). */
static enum mw_code
add_segment(char *out, size_t *used, const char *seg, size_t len, size_t at,
    struct mw_err *err)
{
	size_t slash = *used > 0;

	if (len == 0 || (len == 1 && seg[0] == '.'))
		return MW_OK;
	if (len == 2 && memcmp(seg, "..", 2) == 0)
		return BAD(err, "path has a '..' segment at byte %zu", at);
	if (len > MW_SEGMENT_MAX)
		return BAD(err, "path has a segment of %zu bytes at byte %zu, the limit is %d",
		    len, at, MW_SEGMENT_MAX);
	if (*used + slash + len > MW_PATH_MAX)
		return BAD(err, "path is longer than %d bytes", MW_PATH_MAX);
	if (slash)
		out[(*used)++] = '/';
	memcpy(out + *used, seg, len);
	*used += len;
	return MW_OK;
}

static enum mw_code
join_segments(const char *s, size_t n, char *out, size_t *used, struct mw_err *err)
{
	const char *slash;
	size_t at, len;
	enum mw_code code;

	*used = 0;
	for (at = 0; at < n; at += len + 1) {
		slash = memchr(s + at, '/', n - at);
		len = slash == NULL ? n - at : (size_t)(slash - (s + at));
		code = add_segment(out, used, s + at, len, at, err);
		if (code != MW_OK)
			return code;
	}
	out[*used] = '\0';
	return MW_OK;
}

enum mw_code
mw_path_parse(const char *s, size_t n, unsigned flags, char *out, struct mw_err *err)
{
	enum mw_code code;
	size_t len;

	out[0] = '\0';
	code = check_bytes(s, n, err);
	if (code != MW_OK)
		return code;
	code = join_segments(s, n, out, &len, err);
	if (code != MW_OK)
		goto bad;
	if (len == 0 && !(flags & MW_PATH_DIR))
		code = BAD(err, "path is empty: it names no file");
	else if (!(flags & MW_PATH_OURS) && mw_path_ours(out))
		code = BAD(err, "'.last-sync' and '.moltworker' are reserved for the gateway itself");
	else if ((flags & MW_PATH_WRITE) && !mw_utf8_nfc(out, len))
		code = BAD(err, "path is not in Unicode normalisation form C; "
		    "normalise the name before writing it");
bad:
	if (code != MW_OK)
		out[0] = '\0';
	return code;
}

bool
mw_path_ours(const char *path)
{
	static const char dir[] = ".moltworker";

	if (strcmp(path, ".last-sync") == 0)
		return true;
	return strncmp(path, dir, sizeof(dir) - 1) == 0 &&
	    (path[sizeof(dir) - 1] == '\0' || path[sizeof(dir) - 1] == '/');
}

long
mw_path_decode(const char *s, size_t n, char *out)
{
	unsigned char byte;
	size_t i = 0, len = 0;

	while (i < n) {
		if (s[i] != '%') {
			out[len++] = s[i++];
			continue;
		}
		if (n - i < 3 || !mw_str_unhex(s + i + 1, 2, &byte))
			return -1;
		out[len++] = (char)byte;
		i += 3;
	}
	out[len] = '\0';
	return (long)len;
}

static bool
alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

bool
mw_user_valid(const char *s, size_t n)
{
	size_t i;

	if (n == 0 || n > MW_USER_MAX || !alnum(s[0]))
		return false;
	for (i = 1; i < n; i++) {
		if (!alnum(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-')
			return false;
		if (s[i] == '.' && s[i - 1] == '.')
			return false;
	}
	return true;
}
