/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

static const EVP_MD *sha256_md;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Looked up once: SHA256() and EVP_sha256() search the providers at each use. */
static void
fetch(void)
{
	sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
}

bool
mw_sha256(const void *a, size_t na, const void *b, size_t nb, unsigned char out[MW_SHA256_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good;

	(void)pthread_once(&once, fetch);
	good = ctx != NULL && sha256_md != NULL &&
	    EVP_DigestInit_ex2(ctx, sha256_md, NULL) == 1 && EVP_DigestUpdate(ctx, a, na) == 1 &&
	    EVP_DigestUpdate(ctx, b, nb) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}
