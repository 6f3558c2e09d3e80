/* SPDX-License-Identifier: BSD-2-Clause */
/* Sums of a body: digests by libcrypto, CRCs of the reflected kind by a table. */
#include "base/checksum.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const struct algorithm {
	const char *name;
	size_t size;
	const EVP_MD *(*md)(void);	/* NULL: a CRC */
	uint64_t poly;			/* reflected */
} algorithms[] = {
	{ "md5", 16, EVP_md5, 0 },
	{ "sha1", 20, EVP_sha1, 0 },
	{ "sha256", 32, EVP_sha256, 0 },
	{ "sha512", 64, EVP_sha512, 0 },
	{ "crc32", 4, NULL, 0xedb88320 },
	{ "crc32c", 4, NULL, 0x82f63b78 },
	{ "crc64nvme", 8, NULL, 0x9a6c9329ac4bc9b5 },
};

static const struct algorithm *
find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	}
	return NULL;
}

size_t
mw_checksum_size(const char *name)
{
	const struct algorithm *a = find(name);

	return a != NULL ? a->size : 0;
}

static bool
crc_begin(struct mw_checksum *c, uint64_t poly)
{
	uint64_t v;
	unsigned i, bit;

	if ((c->table = calloc(256, sizeof(*c->table))) == NULL)
		return false;
	for (i = 0; i < 256; i++) {
		for (v = i, bit = 0; bit < 8; bit++)
			v = (v & 1) != 0 ? v >> 1 ^ poly : v >> 1;
		c->table[i] = v;
	}
	c->crc = UINT64_MAX >> (64 - 8 * c->size);
	return true;
}

bool
mw_checksum_begin(struct mw_checksum *c, const char *name)
{
	const struct algorithm *a = find(name);

	memset(c, 0, sizeof(*c));
	if (a == NULL)
		return false;
	c->size = a->size;
	if (a->md == NULL)
		return crc_begin(c, a->poly);
	c->md = EVP_MD_CTX_new();
	return c->md != NULL && EVP_DigestInit_ex(c->md, a->md(), NULL) == 1;
}

bool
mw_checksum_add(struct mw_checksum *c, const void *p, size_t n)
{
	const unsigned char *s = p;
	size_t i;

	if (c->md != NULL)
		return EVP_DigestUpdate(c->md, p, n) == 1;
	for (i = 0; i < n; i++)
		c->crc = c->table[(c->crc ^ s[i]) & 0xff] ^ c->crc >> 8;
	return true;
}

bool
mw_checksum_end(struct mw_checksum *c, unsigned char out[MW_CHECKSUM_MAX])
{
	size_t i;

	if (c->md != NULL)
		return EVP_DigestFinal_ex(c->md, out, NULL) == 1;
	for (i = 0; i < c->size; i++)
		out[i] = (unsigned char)(~c->crc >> 8 * (c->size - 1 - i));
	return true;
}

void
mw_checksum_free(struct mw_checksum *c)
{
	EVP_MD_CTX_free(c->md);
	free(c->table);
	memset(c, 0, sizeof(*c));
}
