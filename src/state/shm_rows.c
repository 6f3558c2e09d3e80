/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two hashed tables of the mapping.  A row is looked for in 8 places; when
 * all are taken, the one unused for longest is given to the newcomer.
 */
#include <arpa/inet.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "state/shm.h"

#define PROBES 8
#define CLAIM_STALE 10000	/* ms after which a claim's maker is taken for dead */
#define SPINS 100		/* rounds while another process fills a row */
#define REFUSED_WINDOW 60000
#define REFUSED_MAX 10

/* 1 .. 2^63 - 1: neither "free" nor a claim. */
static uint64_t
row_key(const char *name)
{
	uint64_t h = mw_hash(name) & ~MW_SHM_CLAIM;

	return h == 0 ? 1 : h;
}

/* Written at most once a second, so that the cache line stays shared. */
static void
touch(struct mw_shm_user *u, int64_t now)
{
	if (now - atomic_load_explicit(&u->used, memory_order_relaxed) >= 1000)
		atomic_store_explicit(&u->used, now, memory_order_relaxed);
}

static void
clear_user(struct mw_shm_user *u)
{
	atomic_store(&u->ready_until, 0);
	atomic_store(&u->gateway_until, 0);
	atomic_store(&u->marker, 0);
	atomic_store(&u->wake_gen, 0);
	atomic_store(&u->wake_code, 0);
	atomic_store(&u->failed_until, 0);
	atomic_store(&u->drain_after, 0);
	atomic_store(&u->breaker, 0);
	atomic_store(&u->sandbox_gen, 0);
	atomic_store(&u->wake_phase, 0);
	atomic_store(&u->wake_pid, 0);
	atomic_store(&u->wake_until, 0);
	atomic_store(&u->wake_level, 0);
	atomic_store(&u->wake_action, 0);
	atomic_store(&u->wake_attempts, 0);
	atomic_store(&u->sleeps, 0);
	atomic_store(&u->failed_level, 0);
	atomic_store(&u->failed_limit, 0);
	atomic_store(&u->gateway_probed, 0);
	atomic_store(&u->active, 0);
	atomic_store(&u->answered, 0);
}

/*
 * Give a row to `key`.  The claim in between keeps others from reading the old
 * owner's values under the new key; one left by a killed process goes stale.
 */
static bool
take_over(struct mw_shm_user *u, uint64_t old, uint64_t key, int64_t now)
{
	uint64_t claim = MW_SHM_CLAIM | ((uint64_t)getpid() << 32) |
	    ((uint64_t)mw_now_us() & 0xFFFFFFFF);

	atomic_store(&u->used, now);
	if (!atomic_compare_exchange_strong(&u->key, &old, claim))
		return false;
	clear_user(u);
	return atomic_compare_exchange_strong(&u->key, &claim, key);
}

/* What was seen in the 8 places of a key. */
struct seen {
	struct mw_shm_user *row;	/* the key's own */
	struct mw_shm_user *vacant;	/* first free one */
	struct mw_shm_user *oldest;	/* may be taken over */
	uint64_t oldest_key;
	bool filling;			/* somebody is filling one: it may be ours */
};

static void
look(struct mw_shm *s, uint64_t key, int64_t now, struct seen *seen)
{
	struct mw_shm_user *u;
	uint64_t k;
	int64_t used, least = INT64_MAX;
	unsigned i;

	memset(seen, 0, sizeof(*seen));
	for (i = 0; i < PROBES; i++) {
		u = &s->users[(key + i) % MW_SHM_USERS];
		k = atomic_load(&u->key);
		if (k == key) {
			seen->row = u;
			return;
		}
		if (k == 0) {
			if (seen->vacant == NULL)
				seen->vacant = u;
			continue;
		}
		used = atomic_load_explicit(&u->used, memory_order_relaxed);
		if ((k & MW_SHM_CLAIM) != 0 && now - used < CLAIM_STALE) {
			seen->filling = true;
			continue;
		}
		if ((k & MW_SHM_CLAIM) == 0 && now - used < MW_SHM_IDLE)
			continue;
		if (used < least) {
			least = used;
			seen->oldest = u;
			seen->oldest_key = k;
		}
	}
}

struct mw_shm_user *
mw_shm_user(struct mw_shm *s, const char *user)
{
	static _Thread_local struct mw_shm_user unknown;
	uint64_t key = row_key(user), none;
	int64_t now = mw_now();
	struct seen seen;
	unsigned i;

	for (i = 0; i < SPINS; i++) {
		look(s, key, now, &seen);
		if (seen.row != NULL) {
			touch(seen.row, now);
			return seen.row;
		}
		if (seen.filling) {
			(void)sched_yield();
			continue;
		}
		none = 0;
		if (seen.vacant != NULL) {
			touch(seen.vacant, now);
			if (atomic_compare_exchange_strong(&seen.vacant->key, &none, key))
				return seen.vacant;
		} else if (seen.oldest == NULL) {
			break;
		} else if (take_over(seen.oldest, seen.oldest_key, key, now)) {
			return seen.oldest;
		}
	}
	clear_user(&unknown);
	return &unknown;
}

static struct mw_shm_addr *
find_addr(struct mw_shm *s, uint64_t key, int64_t now)
{
	struct mw_shm_addr *a, *oldest = NULL;
	int64_t window, least = INT64_MAX;
	uint64_t k;
	unsigned i;

	for (i = 0; i < PROBES; i++) {
		a = &s->addrs[(key + i) % MW_SHM_ADDRS];
		k = 0;
		if (atomic_compare_exchange_strong(&a->key, &k, key) || k == key)
			return a;
		window = atomic_load(&a->window);
		if (window < least) {
			least = window;
			oldest = a;
		}
	}
	/* Two newcomers at once may share the count: it is a brake, not a ledger. */
	atomic_store(&oldest->key, key);
	atomic_store(&oldest->count, 0);
	atomic_store(&oldest->window, now);
	return oldest;
}

/* Who has one IPv6 address has the 2^64 of its network; IPv4 in IPv6 is IPv4. */
static uint64_t
addr_key(const char *addr)
{
	char name[INET6_ADDRSTRLEN];
	struct in6_addr a;

	if (inet_pton(AF_INET6, addr, &a) != 1)
		return row_key(addr);
	if (IN6_IS_ADDR_V4MAPPED(&a)) {
		(void)inet_ntop(AF_INET, &a.s6_addr[12], name, sizeof(name));
	} else {
		memset(&a.s6_addr[8], 0, 8);
		(void)inet_ntop(AF_INET6, &a, name, sizeof(name));
	}
	return row_key(name);
}

bool
mw_shm_refused(struct mw_shm *s, const char *addr, bool *first)
{
	int64_t now = mw_now(), window;
	struct mw_shm_addr *a = find_addr(s, addr_key(addr), now);
	uint32_t n;

	window = atomic_load(&a->window);
	if ((window == 0 || now - window >= REFUSED_WINDOW) &&
	    atomic_compare_exchange_strong(&a->window, &window, now))
		atomic_store(&a->count, 0);
	n = atomic_fetch_add(&a->count, 1) + 1;
	*first = n == REFUSED_MAX + 1;
	return n > REFUSED_MAX;
}
