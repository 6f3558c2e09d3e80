/* SPDX-License-Identifier: BSD-2-Clause */
#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "state/shm.h"
#include "tap.h"

static char dir[] = "/tmp/mw-shm-XXXXXX";

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static struct mw_shm *
open_shm(void)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_shm *s;

	if (mw_shm_open(dir, &s, &err) != MW_OK)
		printf("# %s\n", err.msg);
	return s;
}

static char *
file(void)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "%s/shared-v4", dir);
	return path;
}

static void
test_make(void)
{
	struct mw_shm *a = open_shm(), *b;
	struct stat st = { 0 };

	ok(a != NULL, "a mapping is made");
	ok(stat(file(), &st) == 0 && st.st_size == (off_t)sizeof(*a), "its file has the full size");
	ok(st.st_blocks * 512 >= (blkcnt_t)sizeof(*a), "and all its blocks");
	is_int(st.st_mode & 0777, 0600, "for its owner only");
	ok(atomic_load(&a->dirty[0]) != atomic_load(&a->clean[0]) &&
	    atomic_load(&a->dirty[MW_SHM_BUCKETS - 1]) != atomic_load(&a->clean[MW_SHM_BUCKETS - 1]),
	    "a new mapping says that every bucket must be looked at");
	ok(mw_shm_queued(a), "and that a drain is due");
	atomic_store(&a->clean[5], 77);
	b = open_shm();
	ok(b != NULL && b != a && atomic_load(&b->clean[5]) == 77, "a second opener sees the same");
	mw_shm_close(b);
	mw_shm_close(a);
	mw_shm_close(NULL);
}

static void
test_other_boot(void)
{
	struct mw_shm *a = open_shm(), *b;

	atomic_store(&a->clean[5], 77);
	a->head.boot_id[0] ^= 1;
	b = open_shm();
	is_int((int64_t)atomic_load(&b->clean[5]), 0, "another boot's file is replaced");
	is_int((int64_t)atomic_load(&a->clean[5]), 77, "and not written to");
	mw_shm_close(a);
	mw_shm_close(b);
	ok(truncate(file(), 100) == 0, "cut the file");
	a = open_shm();
	ok(a != NULL && atomic_load(&a->dirty[0]) == 1, "a file of another size is replaced");
	mw_shm_close(a);
}

static void
expect_refusal(const char *path, const char *words[2], const char *what)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_shm *s = (void *)&err;
	enum mw_code code = mw_shm_open(path, &s, &err);

	if (!ok(code == MW_INTERNAL_ERROR && s == NULL && strstr(err.msg, words[0]) != NULL &&
	    strstr(err.msg, words[1]) != NULL, "%s", what))
		printf("# %s\n", err.msg);
}

static void
test_refusals(void)
{
	const char *missing[2] = { "/nonexistent/state", "uid" };
	const char *uid[2] = { dir, "uid 65534" };
	pid_t pid;
	int status = 0;

	expect_refusal("/nonexistent/state", missing, "a missing directory is named");
	if (geteuid() != 0) {
		ok(true, "SKIP another user's directory: not root");
		return;
	}
	(void)fflush(stdout);
	if (chmod(dir, 0755) != 0 || (pid = fork()) < 0) {
		ok(false, "fork");
		return;
	}
	if (pid == 0) {
		if (seteuid(65534) != 0)
			_exit(2);
		expect_refusal(dir, uid, "another user's directory");
		(void)fflush(stdout);
		_exit(0);
	}
	tap_count++;			/* the child's */
	ok(waitpid(pid, &status, 0) == pid && status == 0, "the other user ended well");
	ok(chmod(dir, 0700) == 0, "restore the mode");
}

/* ---- the first opening, by many at once ---- */

#define OPENERS 8

static void
test_open_race(void)
{
	struct mw_err err = { .code = MW_OK };
	pid_t pid[OPENERS];
	struct mw_shm *s;
	char locks[64], byte;
	int i, status, lock, p[2], good = 0;

	(void)snprintf(locks, sizeof(locks), "%s/locks", dir);
	ok(unlink(file()) == 0 && pipe(p) == 0 &&
	    mw_lockfile_take(locks, "shared", 0, &lock, &err) == MW_OK, "no file, and the lock is ours");
	(void)fflush(stdout);
	for (i = 0; i < OPENERS; i++) {
		if ((pid[i] = fork()) == 0) {
			mw_lockfile_give(lock);
			if (write(p[1], "x", 1) != 1)
				_exit(1);
			s = open_shm();
			if (s == NULL)
				_exit(1);
			atomic_fetch_add(&s->clean[9], 1);
			_exit(0);
		}
	}
	for (i = 0; i < OPENERS; i++)
		good += read(p[0], &byte, 1) == 1;
	is_int(good, OPENERS, "openers are on their way");
	mw_sleep_ms(100);		/* to see that the file is missing, and wait */
	mw_lockfile_give(lock);
	good = 0;
	for (i = 0; i < OPENERS; i++)
		good += waitpid(pid[i], &status, 0) == pid[i] && status == 0;
	(void)close(p[0]);
	(void)close(p[1]);
	s = open_shm();
	is_int(good, OPENERS, "many first openers all get a mapping");
	is_int((int64_t)atomic_load(&s->clean[9]), OPENERS, "and it is one and the same");
	mw_shm_close(s);
}

/* ---- users ---- */

static void
test_users(void)
{
	struct mw_shm *s = open_shm();
	struct mw_shm_user *u, *v;
	char name[32];
	unsigned i, lost = 0, wrong = 0;

	u = mw_shm_user(s, "alice");
	atomic_store(&u->ready_until, 123);
	ok(mw_shm_user(s, "alice") == u, "a user keeps his row");
	v = mw_shm_user(s, "bob");
	ok(v != u && atomic_load(&v->ready_until) == 0, "another has one of his own");

	/* Far more users than rows: nobody may see what is another's. */
	for (i = 0; i < 3 * MW_SHM_USERS; i++) {
		(void)snprintf(name, sizeof(name), "user%u", i);
		v = mw_shm_user(s, name);
		wrong += atomic_load(&v->marker) != 0;
		atomic_store(&v->marker, i + 1);
	}
	for (i = 0; i < 3 * MW_SHM_USERS; i++) {
		(void)snprintf(name, sizeof(name), "user%u", i);
		v = mw_shm_user(s, name);
		lost += atomic_load(&v->marker) == 0;
		wrong += atomic_load(&v->marker) != 0 && atomic_load(&v->marker) != i + 1;
	}
	is_int(wrong, 0, "a full table never hands out another user's values");
	ok(lost > 0 && lost < 3 * MW_SHM_USERS, "some users have no row, and nothing is known of them");
	ok(mw_shm_user(s, "alice") == u && atomic_load(&u->ready_until) == 123,
	    "a user in use is not pushed out");

	for (i = 0; i < MW_SHM_USERS; i++)
		atomic_store(&s->users[i].used, mw_now() - MW_SHM_IDLE - 5);
	v = mw_shm_user(s, "user-new-one");
	ok(v >= s->users && v < s->users + MW_SHM_USERS && atomic_load(&v->marker) == 0,
	    "an idle row is given away, emptied");
	ok(mw_shm_user(s, "user-new-one") == v, "and is the newcomer's from then on");
	mw_shm_close(s);
}

/* A claim whose maker was killed. */
static void
test_stale_claim(void)
{
	struct mw_shm *s = open_shm();
	struct mw_shm_user *u;
	unsigned i;

	for (i = 0; i < MW_SHM_USERS; i++) {
		atomic_store(&s->users[i].key, MW_SHM_CLAIM | (i + 1));
		atomic_store(&s->users[i].marker, 9);
		atomic_store(&s->users[i].used, mw_now());
	}
	u = mw_shm_user(s, "carol");
	ok(u < s->users || u >= s->users + MW_SHM_USERS, "a row being filled is left alone");
	is_int((int64_t)atomic_load(&u->marker), 0, "and nothing is known then");
	for (i = 0; i < MW_SHM_USERS; i++)
		atomic_store(&s->users[i].used, mw_now() - 20000);
	u = mw_shm_user(s, "carol");
	ok(u >= s->users && u < s->users + MW_SHM_USERS && atomic_load(&u->marker) == 0,
	    "a claim that went stale is taken over");
	mw_shm_close(s);
	ok(unlink(file()) == 0, "start anew");
}

#define THREADS 4
#define ROUNDS 20000

static struct mw_shm *shared;
static _Atomic unsigned mixed;

/* Each user's marker is only ever his own number, or 0 after a loss. */
static void *
hammer(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg, i, n;
	struct mw_shm_user *u;
	char name[32];
	uint64_t m;

	for (i = 0; i < ROUNDS; i++) {
		n = (unsigned)rand_r(&seed) % 64;
		(void)snprintf(name, sizeof(name), "u%u", n);
		u = mw_shm_user(shared, name);
		m = atomic_load(&u->marker);
		if (m != 0 && m != n + 1)
			atomic_fetch_add(&mixed, 1);
		atomic_store(&u->marker, n + 1);
	}
	return NULL;
}

static void
test_threads(void)
{
	struct mw_shm *again = open_shm();
	pthread_t t[THREADS];
	uintptr_t i;
	unsigned rows = 0, j;

	shared = again;
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, hammer, (void *)(i + 1)) != 0)
			abort();
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	for (j = 0; j < MW_SHM_USERS; j++)
		rows += atomic_load(&again->users[j].key) != 0;
	is_int(mixed, 0, "threads never see another user's row");
	is_int(rows, 64, "one row for each user");
	mw_shm_close(again);
}

/* ---- wrong secrets ---- */

/* Are two addresses counted as one? */
static bool
as_one(const char *a, const char *b)
{
	struct mw_shm *s = open_shm();
	bool first, over;
	unsigned i;

	for (i = 0; i < MW_SHM_ADDRS; i++)
		atomic_store(&s->addrs[i].window, mw_now() - 60001);
	for (i = 0; i < 10; i++)
		(void)mw_shm_refused(s, a, &first);
	over = mw_shm_refused(s, b, &first);
	mw_shm_close(s);
	return over;
}

static void
test_refused_network(void)
{
	static const struct { const char *a, *b; bool one; } rows[] = {
		{ "2001:db8:0:1::1", "2001:db8:0:1::2", true },
		{ "2001:db8:0:1::1", "2001:DB8:0:1:ffff:ffff:ffff:ffff", true },
		{ "2001:db8:0:2::1", "2001:db8:0:3::1", false },
		{ "2001:db8:1::1", "2001:db9:1::1", false },
		{ "fe80::1", "fe80::2", true },
		{ "::ffff:203.0.113.1", "203.0.113.1", true },
		{ "::ffff:203.0.113.2", "::ffff:203.0.113.3", false },
		{ "203.0.113.4", "203.0.113.5", false },
		{ "-", "2001:db8:4::1", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(as_one(rows[i].a, rows[i].b) == rows[i].one, "%s and %s", rows[i].a, rows[i].b);
}

static void
test_refused(void)
{
	struct mw_shm *s = open_shm();
	unsigned i, over = 0, firsts = 0;
	char addr[32];
	bool first;

	for (i = 0; i < 10; i++)
		over += mw_shm_refused(s, "192.0.2.1", &first);
	is_int(over, 0, "ten wrong secrets are answered");
	for (i = 0; i < 5; i++) {
		over += mw_shm_refused(s, "192.0.2.1", &first);
		firsts += first;
	}
	is_int(over, 5, "further ones are past the limit");
	is_int(firsts, 1, "one of them is the first");
	ok(!mw_shm_refused(s, "192.0.2.2", &first), "another address is not");
	for (i = 0; i < MW_SHM_ADDRS; i++)
		atomic_store(&s->addrs[i].window, mw_now() - 60001);
	ok(!mw_shm_refused(s, "192.0.2.1", &first), "after a minute it begins anew");
	for (i = 0; i < 4 * MW_SHM_ADDRS; i++) {
		(void)snprintf(addr, sizeof(addr), "198.51.100.%u", i);
		over += mw_shm_refused(s, addr, &first);
	}
	is_int(over, 5, "more addresses than rows do no harm");
	mw_shm_close(s);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	test_make();
	test_other_boot();
	test_refusals();
	test_open_race();
	test_users();
	test_stale_claim();
	test_threads();
	test_refused();
	test_refused_network();
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return done();
}
