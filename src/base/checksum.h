/* SPDX-License-Identifier: BSD-2-Clause */
/* The sums that a client may send along with a body: digests, and three CRCs. */
#ifndef MW_BASE_CHECKSUM_H
#define MW_BASE_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MW_CHECKSUM_MAX 64	/* bytes of the longest */

struct mw_checksum {
	void *md;			/* EVP_MD_CTX; NULL: a CRC */
	uint64_t crc, *table;
	size_t size;			/* bytes of the sum */
};

/* Bytes of a sum: "md5", "sha1", "sha256", "sha512", "crc32", "crc32c", "crc64nvme"; 0: unknown. */
size_t mw_checksum_size(const char *name);

/* Begin the sum `name`; false: unknown, or no memory.  Free it in either case. */
bool mw_checksum_begin(struct mw_checksum *c, const char *name) MW_MUST;
bool mw_checksum_add(struct mw_checksum *c, const void *p, size_t n) MW_MUST;

/* c->size bytes, a CRC with its highest byte first. */
bool mw_checksum_end(struct mw_checksum *c, unsigned char out[MW_CHECKSUM_MAX]) MW_MUST;
void mw_checksum_free(struct mw_checksum *c);

#endif
