/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AWS Signature Version 4 for S3, header form
 * (docs.aws.amazon.com, "Signature Calculations for the Authorization Header").
 */
#ifndef MW_NET_SIGV4_H
#define MW_NET_SIGV4_H

#include "base/arena.h"
#include "net/net.h"

struct mw_sigv4 {
	const char *access_key_id, *secret_key, *region;
	/* the signing key of a day is cached here, with what it was made from */
	char day[9];
	char day_region[32];
	char day_secret[1024];
	unsigned char key[32];
};

/* AWS percent-encoding of s[0..n): A-Z a-z 0-9 - . _ ~ stay, and '/' if `path`. */
char *mw_sigv4_encode(struct mw_arena *a, const char *s, size_t n, bool path);

/*
 * Sign.  path: encoded; query: encoded, sorted, "" if none.  headers: every
 * header to be signed except x-amz-date (added), Host included; values trimmed
 * and single-spaced; x-amz-content-sha256 must be among them.  Returns the
 * headers to send (the given ones, x-amz-date, Authorization) in the arena, or
 * NULL out of memory.
 */
const struct mw_net_header *mw_sigv4_sign(struct mw_sigv4 *s, struct mw_arena *a,
    const char *method, const char *path, const char *query,
    const struct mw_net_header *headers, size_t n, int64_t unix_time, size_t *nout);

#endif
