/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The outbox when its users are killed, and when they are many.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "outbox_fixture.h"

/* ---- kill -9 in the middle of it ---- */

#define KILLS 40

/* Puts rows for ever; says on the pipe which of them were acknowledged. */
static void
writer(int ack, unsigned round)
{
	struct mw_outbox *o = open_box(shm, 1 << 28);
	char path[32], text[64];
	unsigned i;

	for (i = 0;; i++) {
		(void)snprintf(path, sizeof(path), "r%u/%u", round, i % 7);
		(void)snprintf(text, sizeof(text), "round %u, body %u", round, i);
		if (put(o, "alice", path, text) != MW_OK)
			_exit(1);
		if (write(ack, &i, sizeof(i)) != (ssize_t)sizeof(i))
			_exit(1);
	}
}

/* The last acknowledged body of each path, or a later one, must be there. */
static unsigned
check_round(struct mw_outbox *o, unsigned round, unsigned last)
{
	unsigned i, n, r, bad = 0;
	const char *text;
	char path[32];
	char *end;

	for (i = last >= 6 ? last - 6 : 0; i <= last; i++) {
		(void)snprintf(path, sizeof(path), "r%u/%u", round, i % 7);
		text = holds(o, "alice", path);
		r = n = 0;
		if (strncmp(text, "round ", 6) == 0) {
			r = (unsigned)strtoul(text + 6, &end, 10);
			if (strncmp(end, ", body ", 7) == 0)
				n = (unsigned)strtoul(end + 7, NULL, 10);
		}
		/* A later one: committed, then killed before it could say so. */
		if (r != round || n % 7 != i % 7 || n < i || n > last + 1) {
			printf("# %s: wanted body %u, got '%s'\n", path, i, text);
			bad++;
		}
	}
	return bad;
}

static void
test_kill(void)
{
	unsigned round, i, last, bad = 0, rounds = 0;
	struct mw_outbox *o;
	struct mw_outbox_stat st;
	int p[2];
	pid_t pid;

	fresh();
	srand(7);
	for (round = 0; round < KILLS; round++) {
		if (pipe(p) != 0)
			break;
		(void)fflush(stdout);
		if ((pid = fork()) == 0) {
			(void)close(p[0]);
			writer(p[1], round);
		}
		(void)close(p[1]);
		last = UINT32_MAX;
		/* Some acknowledgements, then a moment that is anybody's guess. */
		for (i = (unsigned)rand() % 12 + 1; i > 0; i--)
			if (read(p[0], &last, sizeof(last)) != (ssize_t)sizeof(last))
				break;
		(void)usleep((useconds_t)(rand() % 3000));
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		while (read(p[0], &i, sizeof(i)) == (ssize_t)sizeof(i))
			last = i;
		(void)close(p[0]);
		if (last == UINT32_MAX)
			continue;
		rounds++;
		o = open_box(shm, 1 << 28);
		bad += check_round(o, round, last);
		mw_outbox_close(o);
	}
	is_int(rounds, KILLS, "every writer got to write");
	is_int(bad, 0, "after a kill every acknowledged row is there, with its body");
	o = open_box(shm, 1 << 28);
	age_all();
	(void)mw_outbox_sweep(o);
	ok(mw_outbox_stat(o, c(), NULL, &st) == MW_OK &&
	    st.pending == (int64_t)spool_files(), "a sweep leaves the rows' bodies and no orphan");
	mw_outbox_close(o);
}

/* ---- many at once ---- */

#define THREADS 4
#define EACH 30

static struct mw_outbox *box;
static _Atomic unsigned failures;

static void *
put_many(void *arg)
{
	struct mw_ctx mine = { .arena = mw_arena_open(1 << 20), .request_id = "t" };
	unsigned me = (unsigned)(uintptr_t)arg, i;
	const struct mw_outbox_row *found;
	struct mw_spool s;
	char path[32];

	for (i = 0; i < EACH; i++) {
		(void)snprintf(path, sizeof(path), "%u/%u", me, i);
		struct mw_outbox_row row = { .user = "alice", .path = path, .mode = -1, .mtime = -1 };

		s = body(path);
		mine.deadline = mw_now() + 20000;
		mw_arena_reset(mine.arena);
		if (mw_outbox_put(box, &mine, &row, &s) != MW_OK ||
		    mw_outbox_find(box, &mine, "alice", path, &found) != MW_OK || found == NULL)
			atomic_fetch_add(&failures, 1);
		mw_spool_drop(&s);
	}
	mw_arena_close(mine.arena);
	return NULL;
}

static void
test_threads(void)
{
	struct mw_outbox_stat st;
	pthread_t t[THREADS];
	uintptr_t i;

	fresh();
	box = open_box(shm, 1 << 28);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, put_many, (void *)i) != 0)
			abort();
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	is_int(failures, 0, "threads share a handle");
	ok(mw_outbox_stat(box, c(), NULL, &st) == MW_OK && st.pending == THREADS * EACH, "all rows");
	mw_outbox_close(box);
}

/* The first opening of a new database, by many processes at once. */
static void
test_processes(void)
{
	struct mw_outbox_stat st;
	struct mw_outbox *o;
	pid_t pid[6];
	char path[32];
	int i, j, status, good = 0;

	fresh();
	(void)fflush(stdout);
	for (i = 0; i < 6; i++) {
		if ((pid[i] = fork()) == 0) {
			o = open_box(shm, 1 << 28);
			for (j = 0; j < 10; j++) {
				(void)snprintf(path, sizeof(path), "%d/%d", i, j);
				if (put(o, "alice", path, path) != MW_OK)
					_exit(1);
			}
			mw_outbox_close(o);
			_exit(0);
		}
	}
	for (i = 0; i < 6; i++)
		good += waitpid(pid[i], &status, 0) == pid[i] && status == 0;
	is_int(good, 6, "processes make and fill the database together");
	o = open_box(shm, 1 << 28);
	ok(mw_outbox_stat(o, c(), NULL, &st) == MW_OK && st.pending == 60, "all rows are there");
	mw_outbox_close(o);
}

int
main(void)
{
	begin();
	test_kill();
	test_threads();
	test_processes();
	return end();
}
