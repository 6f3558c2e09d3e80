/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256, MD5 and HMAC by libcrypto. */
#include "base/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

static const EVP_MD *sha256_md;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static void
context_free(void *ctx)
{
	EVP_MD_CTX_free(ctx);
}

/* Looked up once: SHA256() and EVP_sha256() search the providers at each use. */
static void
begin(void)
{
	have_key = pthread_key_create(&key, context_free) == 0;
	sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/* One for each thread, for as long as it lives: making one costs as much as a short digest. */
static EVP_MD_CTX *
context(void)
{
	EVP_MD_CTX *ctx;

	(void)pthread_once(&once, begin);
	if (!have_key || (ctx = pthread_getspecific(key)) != NULL)
		return have_key ? ctx : NULL;
	if ((ctx = EVP_MD_CTX_new()) != NULL && pthread_setspecific(key, ctx) != 0) {
		EVP_MD_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

bool
mw_sha256(const void *a, size_t na, const void *b, size_t nb, unsigned char out[MW_SHA256_LEN])
{
	EVP_MD_CTX *ctx = context();

	return ctx != NULL && sha256_md != NULL &&
	    EVP_DigestInit_ex2(ctx, sha256_md, NULL) == 1 && EVP_DigestUpdate(ctx, a, na) == 1 &&
	    EVP_DigestUpdate(ctx, b, nb) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}
