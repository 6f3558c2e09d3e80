/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File paths and user ids.  A canonical path is relative to the user's root:
 * segments joined by one '/', no leading or trailing '/', no "." or "..",
 * no control byte, valid UTF-8.  "" is the root itself.  Everything that names
 * a file goes through here, whether a client or an upstream sent it.
 */
#ifndef MW_BASE_PATH_H
#define MW_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define MW_PATH_MAX 1024	/* bytes of a whole path */
#define MW_SEGMENT_MAX 255
#define MW_USER_MAX 80

enum mw_path_flags {
	MW_PATH_WRITE = 1,	/* the name must be in NFC */
	MW_PATH_DIR = 2,	/* "" (the root) is allowed */
	MW_PATH_OURS = 4	/* .last-sync and .moltworker/ are allowed */
};

/*
 * Canonicalise s[0..n) (already percent-decoded) into out, which holds
 * MW_PATH_MAX + 1 bytes.  MW_INVALID_PATH says what is wrong with it.
 */
enum mw_code mw_path_parse(const char *s, size_t n, unsigned flags,
    char *out, struct mw_err *err) MW_MUST;

/* True for the names below a user's prefix that are the gateway's own:
 * ".last-sync", ".moltworker", ".moltworker/...".  path is canonical. */
bool mw_path_ours(const char *path);

/*
 * Percent-decode s[0..n) once into out (n + 1 bytes); '+' stays '+'.
 * Returns the length, or -1 if an escape is malformed.
 */
long mw_path_decode(const char *s, size_t n, char *out);

/* [A-Za-z0-9][A-Za-z0-9._-]{0,79} without "..". */
bool mw_user_valid(const char *s, size_t n);

#endif
