/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 (FIPS 180-4) by libcrypto. */
#ifndef MW_BASE_DIGEST_H
#define MW_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define MW_SHA256_LEN 32

/* Of a[0..na) and b[0..nb), one after the other.  False when libcrypto fails. */
bool mw_sha256(const void *a, size_t na, const void *b, size_t nb,
    unsigned char out[MW_SHA256_LEN]) MW_MUST;

#endif
