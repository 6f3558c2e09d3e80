/* SPDX-License-Identifier: BSD-2-Clause */
/* What the drivers agree on about keys. */
#ifndef MW_STORE_KEY_H
#define MW_STORE_KEY_H

#include "base/err.h"
#include "store/store.h"

#define MW_KEY_MAX 1024		/* bytes, S3's own limit */
#define MW_DIR_KEY_MAX 2048	/* the longest path below any sensible prefix */

/* 1..max bytes of UTF-8 without control characters, else MW_INVALID_PATH: what
 * the store cannot hold is refused before it is asked. */
enum mw_code mw_key_check(const char *key, size_t max, struct mw_err *err) MW_MUST;

/* Fill in s->identity: "KIND:NAME", and a hash in place of what is too long. */
void mw_store_identify(struct mw_store *s, const char *kind, const char *name);

#endif
