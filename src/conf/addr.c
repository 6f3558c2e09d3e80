/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses and CIDR blocks (RFC 4632, RFC 4291).  An IPv4-mapped IPv6 address
 * is its IPv4 address, since that is what a dual-stack socket reports.
 */
#include "conf/conf.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/str.h"
#include "conf/settings.h"

struct net {
	unsigned char byte[16];
	size_t len;		/* 4 or 16 */
	int64_t bits;		/* that count */
};

static void
unmap(struct net *n)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (n->len != 16 || n->bits < 96 || memcmp(n->byte, mapped, sizeof(mapped)) != 0)
		return;
	memmove(n->byte, n->byte + 12, 4);
	n->len = 4;
	n->bits -= 96;
}

static bool
parse(const char *s, struct net *n)
{
	char addr[INET6_ADDRSTRLEN];
	size_t k = strcspn(s, "/");

	if (k >= sizeof(addr))
		return false;
	memcpy(addr, s, k);
	addr[k] = '\0';
	if (inet_pton(AF_INET, addr, n->byte) == 1)
		n->len = 4;
	else if (inet_pton(AF_INET6, addr, n->byte) == 1)
		n->len = 16;
	else
		return false;
	n->bits = (int64_t)n->len * 8;
	if (s[k] == '/' && !mw_str_uint(s + k + 1, strlen(s + k + 1), n->bits, &n->bits))
		return false;
	unmap(n);
	return true;
}

static bool
contains(const struct net *block, const struct net *addr)
{
	size_t whole = (size_t)block->bits / 8;
	unsigned rest = (unsigned)block->bits % 8;

	if (block->len != addr->len || memcmp(block->byte, addr->byte, whole) != 0)
		return false;
	return rest == 0 || (block->byte[whole] ^ addr->byte[whole]) >> (8 - rest) == 0;
}

bool
mw_check_addr(const char *v)
{
	struct net n;

	return parse(v, &n);
}

bool
mw_conf_addr_in(const struct mw_list *list, const char *addr)
{
	struct net block, a;
	size_t i;

	if (addr == NULL || strchr(addr, '/') != NULL || !parse(addr, &a))
		return false;
	for (i = 0; i < list->n; i++) {
		if (parse(list->item[i], &block) && contains(&block, &a))
			return true;
	}
	return false;
}
