/* SPDX-License-Identifier: BSD-2-Clause */
/* Circuit breakers, one atomic word each. */
#include "state/breaker.h"

#include "base/clock.h"
#include "base/lockfile.h"

/*
 * All of a breaker in one word, so that it changes at one instant: the time until
 * which it is open (40 bits, monotonic ms, 0 = closed), how often it was opened
 * (7 bits) and the failures in a row while it is closed (17 bits).
 */
#define FAILED_BITS 17
#define FAILED_MAX ((1u << FAILED_BITS) - 1)
#define OPENED_BITS 7
#define OPENED_MAX ((1u << OPENED_BITS) - 1)
#define LONGEST 300000		/* ms, unless one opening is longer by itself */
#define TRIAL_PAUSE 1000	/* ms to wait for another process's trial */

struct parts {
	int64_t until;
	unsigned opened, failed;
};

static struct parts
unpack(uint64_t w)
{
	return (struct parts){ .until = (int64_t)(w >> (FAILED_BITS + OPENED_BITS)),
	    .opened = (unsigned)(w >> FAILED_BITS) & OPENED_MAX,
	    .failed = (unsigned)w & FAILED_MAX };
}

static uint64_t
pack(struct parts p)
{
	return (uint64_t)p.until << (FAILED_BITS + OPENED_BITS) |
	    (uint64_t)p.opened << FAILED_BITS | p.failed;
}

static enum mw_breaker_state
state_of(struct parts p, int64_t now)
{
	return p.until == 0 ? MW_BREAKER_CLOSED :
	    now < p.until ? MW_BREAKER_OPEN : MW_BREAKER_HALF_OPEN;
}

/* The row of a store; with more stores than rows two of them may share one. */
static _Atomic uint64_t *
store_word(struct mw_shm *s, const char *name)
{
	uint64_t key = mw_hash(name) | 1, k;
	struct mw_shm_store *row;
	unsigned i;

	for (i = 0; i < MW_SHM_STORES; i++) {
		row = &s->stores[(key / 2 + i) % MW_SHM_STORES];
		k = 0;
		if (atomic_compare_exchange_strong(&row->key, &k, key) || k == key)
			return &row->breaker;
	}
	return &s->stores[key / 2 % MW_SHM_STORES].breaker;
}

static void
init(struct mw_breaker *b, struct mw_shm *s, const char *name, int64_t failures, int64_t open)
{
	b->shm = s;
	b->name = name;
	b->failures = failures < FAILED_MAX ? failures : FAILED_MAX;
	b->open = open;
	b->trial = -1;
}

void
mw_breaker_of_store(struct mw_breaker *b, struct mw_shm *s, const char *name,
    int64_t failures, int64_t open)
{
	init(b, s, name, failures, open);
	b->word = store_word(s, name);
}

void
mw_breaker_of_user(struct mw_breaker *b, struct mw_shm *s, const char *name,
    int64_t failures, int64_t open)
{
	init(b, s, name, failures, open);
	b->word = &mw_shm_user(s, name)->breaker;
}

enum mw_breaker_state
mw_breaker_state(const struct mw_breaker *b, int64_t *wait)
{
	struct parts p = unpack(atomic_load(b->word));
	int64_t now = mw_now();
	enum mw_breaker_state st = state_of(p, now);

	*wait = st == MW_BREAKER_OPEN ? p.until - now : 0;
	return st;
}

int64_t
mw_breaker_begin(struct mw_breaker *b, bool insist)
{
	enum mw_breaker_state st;
	int64_t wait;

	if ((st = mw_breaker_state(b, &wait)) == MW_BREAKER_CLOSED)
		return 0;
	if (st == MW_BREAKER_OPEN && !insist)
		return wait;
	if ((b->trial = mw_slot_take(b->shm, MW_SLOT_TRIAL, b->name, 1)) < 0)
		return wait > TRIAL_PAUSE ? wait : TRIAL_PAUSE;
	/* The trial before ours may have ended between the two. */
	st = mw_breaker_state(b, &wait);
	if (st == MW_BREAKER_HALF_OPEN || (st == MW_BREAKER_OPEN && insist))
		return 0;
	mw_slot_give(b->shm, b->trial);
	b->trial = -1;
	return wait;
}

static struct parts
opened_again(const struct mw_breaker *b, struct parts p, int64_t now)
{
	int64_t most = b->open > LONGEST ? b->open : LONGEST, ms;

	p.failed = 0;
	if (p.opened < OPENED_MAX)
		p.opened++;
	ms = b->open * p.opened;
	p.until = now + (ms < most ? ms : most);
	return p;
}

/* True: it is open by this. */
static bool
failed(struct mw_breaker *b)
{
	uint64_t w = atomic_load(b->word);
	int64_t now = mw_now();
	enum mw_breaker_state st;
	struct parts p;
	bool opens;

	do {
		p = unpack(w);
		st = state_of(p, now);
		/* A call that was on its way when it was opened: known already. */
		if (st == MW_BREAKER_OPEN && b->trial < 0)
			return false;
		if ((opens = st != MW_BREAKER_CLOSED || p.failed + 1 >= b->failures))
			p = opened_again(b, p, now);
		else
			p.failed++;
	} while (!atomic_compare_exchange_weak(b->word, &w, pack(p)));
	return opens;
}

/* The word first, the trial's slot after it: or there would be a second trial. */
bool
mw_breaker_end(struct mw_breaker *b, enum mw_verdict verdict)
{
	bool opened = false;

	if (verdict == MW_SAYS_ILL)
		opened = failed(b);
	else if (verdict == MW_SAYS_WELL && atomic_load(b->word) != 0)
		atomic_store(b->word, 0);
	mw_slot_give(b->shm, b->trial);
	b->trial = -1;
	return opened;
}

unsigned
mw_breaker_users(struct mw_shm *s)
{
	unsigned i, n = 0;

	for (i = 0; i < MW_SHM_USERS; i++)
		n += unpack(atomic_load(&s->users[i].breaker)).until != 0;
	return n;
}

bool
mw_budget_take(struct mw_shm *s, int64_t cost, int64_t budget)
{
	int64_t spent = atomic_load(&s->retries_spent);

	do {
		if (spent + cost > budget)
			return false;
	} while (!atomic_compare_exchange_weak(&s->retries_spent, &spent, spent + cost));
	return true;
}

void
mw_budget_give(struct mw_shm *s)
{
	int64_t spent = atomic_load(&s->retries_spent);

	while (spent > 0 &&
	    !atomic_compare_exchange_weak(&s->retries_spent, &spent, spent - 1))
		;
}
