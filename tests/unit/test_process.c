/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/process.h"
#include "tap.h"

static char dir[] = "/tmp/mwjobs.XXXXXX";
static struct mw_arena *arena;
static struct mw_ctx ctx;

static void
fresh(void)
{
	mw_arena_reset(arena);
	ctx = (struct mw_ctx){ .arena = arena, .deadline = mw_now() + 20000, .request_id = "t" };
}

static struct mw_process_db *
open_it(void)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_process_db *j;

	fresh();
	if (mw_process_db_open(dir, &j, &err) != MW_OK) {
		printf("# %s\n", err.msg);
		exit(1);
	}
	return j;
}

static struct mw_process
row(const char *user, const char *id, const char *key, unsigned char digest)
{
	struct mw_process r = { .id = id, .user = user, .key = key, .command = "true",
	    .marker = UINT64_C(0xfedcba9876543210), .limit = 30000 };

	memset(r.digest, digest, sizeof(r.digest));
	return r;
}

static enum mw_code
claim(struct mw_process_db *j, struct mw_process *r, unsigned max, bool *existing)
{
	fresh();
	return mw_process_claim(j, &ctx, r, max, existing);
}

static void
test_claim_and_get(struct mw_process_db *j)
{
	struct mw_process r = row("u", "a", NULL, 1), got;
	bool existing;

	is_int(claim(j, &r, 9, &existing), MW_OK, "a job is claimed");
	ok(!existing, "and is new");
	fresh();
	is_int(mw_process_get(j, &ctx, "u", "a", &got), MW_OK, "it is found");
	ok(got.marker == r.marker && got.state == MW_PROC_CLAIMED && got.tries == 1 &&
	    got.exit_code == -1 && got.limit == 30000 && strcmp(got.command, "true") == 0,
	    "as it was claimed");
	fresh();
	is_int(mw_process_get(j, &ctx, "v", "a", &got), MW_PROCESS_NOT_FOUND, "but not by another user");
	fresh();
	is_int(mw_process_get(j, &ctx, "u", "b", &got), MW_PROCESS_NOT_FOUND, "nor another job");
}

static void
test_keys(struct mw_process_db *j)
{
	struct mw_process r = row("k", "k1", "key", 1), again = row("k", "k2", "key", 1),
	    other = row("k", "k3", "key", 2), foreign = row("l", "k4", "key", 1), got;
	bool existing, found;

	is_int(claim(j, &r, 9, &existing), MW_OK, "a job with a key");
	is_int(claim(j, &again, 1, &existing), MW_OK, "the same key again");
	ok(existing && strcmp(again.id, "k1") == 0 && again.tries == 2, "is the same job");
	is_int(claim(j, &other, 9, &existing), MW_CONFLICT, "with another command: a conflict");
	is_int(claim(j, &foreign, 9, &existing), MW_OK, "another user's key");
	ok(!existing, "is another key");
	fresh();
	is_int(mw_process_by_key(j, &ctx, "k", "key", &got, &found), MW_OK, "it is found by its key");
	ok(found && strcmp(got.id, "k1") == 0 && got.tries == 2, "with both requests counted");
}

static void
test_limit(struct mw_process_db *j)
{
	struct mw_process a = row("m", "m1", NULL, 1), b = row("m", "m2", NULL, 1),
	    c = row("m", "m3", NULL, 1), o = row("n", "n1", NULL, 1);
	bool existing;

	is_int(claim(j, &a, 2, &existing), MW_OK, "one of two places");
	is_int(claim(j, &b, 2, &existing), MW_OK, "two of two places");
	is_int(claim(j, &c, 2, &existing), MW_TOO_MANY_REQUESTS, "there is no third");
	is_int(claim(j, &o, 2, &existing), MW_OK, "another user has its own");
	a.state = MW_PROC_EXITED;
	fresh();
	is_int(mw_process_seen(j, &ctx, &a), MW_OK, "one has ended");
	is_int(claim(j, &c, 2, &existing), MW_OK, "and its place is free");
}

static void
test_seen(struct mw_process_db *j)
{
	struct mw_process r = row("s", "s1", NULL, 1);
	bool existing;

	is_int(claim(j, &r, 9, &existing), MW_OK, "a job");
	fresh();
	r.state = MW_PROC_RUNNING;
	r.started = 1000;
	is_int(mw_process_seen(j, &ctx, &r), MW_OK, "is seen running");
	fresh();
	r.state = MW_PROC_KILLED;
	r.started = 1003;
	r.ended = 2000;
	r.exit_code = 143;
	r.out_cut = true;
	is_int(mw_process_seen(j, &ctx, &r), MW_OK, "is seen killed");
	ok(r.started == 1000, "when it began does not move");
	fresh();
	r.state = MW_PROC_LOST;
	r.exit_code = 7;
	is_int(mw_process_seen(j, &ctx, &r), MW_OK, "what is seen later");
	ok(r.state == MW_PROC_KILLED && r.exit_code == 143 && r.ended == 2000 && r.out_cut,
	    "changes nothing");
	fresh();
	r.out_size = 5;
	is_int(mw_process_kept(j, &ctx, &r), MW_OK, "its output is kept");
	ok(r.kept && r.out_size == 5 && r.err_size == 0, "with its size");
}

static void
test_move(struct mw_process_db *j)
{
	struct mw_process r = row("w", "w1", "k", 1), second = row("w", "w2", "k", 1);
	bool existing, moved;

	is_int(claim(j, &r, 9, &existing), MW_OK, "a job for one instance");
	fresh();
	is_int(mw_process_move(j, &ctx, &r, 2, &moved), MW_OK, "which was replaced");
	ok(moved && r.marker == 2, "goes to the next one");
	is_int(claim(j, &second, 9, &existing), MW_OK, "a second request for it");
	fresh();
	is_int(mw_process_move(j, &ctx, &second, 3, &moved), MW_OK, "cannot move it:");
	ok(!moved && second.marker == 2, "the first one may have started it");
	fresh();
	is_int(mw_process_move(j, &ctx, &r, 3, &moved), MW_OK, "the first one, alone again,");
	ok(moved, "can");
	is_int(claim(j, &second, 9, &existing), MW_OK, "a third request");
	fresh();
	is_int(mw_process_abandon(j, &ctx, r.id), MW_OK, "one of two gives up:");
	fresh();
	is_int(mw_process_get(j, &ctx, "w", "w1", &second), MW_OK, "the job stays");
	fresh();
	is_int(mw_process_abandon(j, &ctx, r.id), MW_OK, "so does the other:");
	fresh();
	is_int(mw_process_get(j, &ctx, "w", "w1", &second), MW_PROCESS_NOT_FOUND, "it is gone");
}

struct names {
	char s[200];
	unsigned n;
	struct mw_process_db *remove_from;	/* or NULL */
};

static enum mw_code
note(void *arg, const struct mw_process *r)
{
	struct names *n = arg;

	(void)strncat(n->s, r->id, 20);
	(void)strncat(n->s, " ", 2);
	return MW_OK;
}

static void
test_lists(struct mw_process_db *j)
{
	struct names n = { .n = 0 };
	struct mw_process got;

	fresh();
	is_int(mw_process_list(j, &ctx, "m", 9, note, &n), MW_OK, "a user's jobs");
	is_str(n.s, "m3 m2 m1 ", "newest first");
	n.s[0] = '\0';
	is_int(mw_process_list(j, &ctx, "m", 2, note, &n), MW_OK, "some of them");
	is_str(n.s, "m3 m2 ", "at most so many");
	n.s[0] = '\0';
	is_int(mw_process_unkept(j, &ctx, "s", note, &n), MW_OK, "what is to be done for a user");
	is_str(n.s, "", "nothing, as all is kept");
	n.s[0] = '\0';
	is_int(mw_process_unkept(j, &ctx, "m", note, &n), MW_OK, "for another");
	is_str(n.s, "m1 ", "one that is over");
	n.s[0] = '\0';
	is_int(mw_process_running(j, &ctx, "m", note, &n), MW_OK, "running ones");
	is_str(n.s, "m2 m3 ", "oldest first");
	n.s[0] = '\0';
	is_int(mw_process_expired(j, &ctx, NULL, mw_wall(), note, &n), MW_OK, "expired ones");
	is_str(n.s, "", "none, before their limit has passed");
	is_int(mw_process_expired(j, &ctx, "m", mw_wall() + 31000, note, &n), MW_OK, "later");
	is_str(n.s, "m1 m2 m3 ", "all, the oldest first");
	is_int(mw_process_remove(j, &ctx, "m1"), MW_OK, "one is removed");
	fresh();
	is_int(mw_process_get(j, &ctx, "m", "m1", &got), MW_PROCESS_NOT_FOUND, "and gone");
}

#define MANY 600		/* more than two pages */

static enum mw_code
count(void *arg, const struct mw_process *r)
{
	struct names *n = arg;
	char id[16];

	(void)snprintf(id, sizeof(id), "y%u", n->n++);
	if (strcmp(id, r->id) != 0)
		return mw_ctx_fail(&ctx, MW_INTERNAL_ERROR, "%s instead of %s", r->id, id);
	return n->remove_from == NULL ? MW_OK : mw_process_remove(n->remove_from, &ctx, r->id);
}

/* However many there are, each comes once; what fn removes shifts nothing. */
static void
test_pages(struct mw_process_db *j)
{
	struct mw_process r;
	struct names n = { .n = 0 };
	bool existing, good = true;
	char id[16];
	unsigned i;

	for (i = 0; i < MANY && good; i++) {
		(void)snprintf(id, sizeof(id), "y%u", i);
		r = row("y", id, NULL, 1);
		good = claim(j, &r, MANY, &existing) == MW_OK;
	}
	ok(good, "many jobs");
	fresh();
	is_int(mw_process_running(j, &ctx, "y", count, &n), MW_OK, "all that are running, in order");
	is_int(n.n, MANY, "are as many");
	n.n = 0;
	ctx.deadline = 1;
	is_int(mw_process_running(j, &ctx, "y", count, &n), MW_DEADLINE_EXCEEDED, "without time");
	is_int(n.n, 0, "none");
	fresh();
	n.remove_from = j;
	is_int(mw_process_expired(j, &ctx, "y", mw_wall() + 31000, count, &n), MW_OK,
	    "all that are expired, and they are removed");
	is_int(n.n, MANY, "are as many");
}

static void
test_gone(struct mw_process_db *j)
{
	struct mw_process r = row("z", "z1", NULL, 1);
	struct names n = { .n = 0 };
	bool existing;

	is_int(claim(j, &r, 9, &existing), MW_OK, "a job");
	fresh();
	r.state = MW_PROC_EXITED;
	is_int(mw_process_seen(j, &ctx, &r), MW_OK, "has ended");
	is_int(mw_process_unkept(j, &ctx, "z", note, &n), MW_OK, "and its output");
	is_str(n.s, "z1 ", "is to be kept");
	ok(!r.gone, "as it is not gone");
	is_int(mw_process_gone(j, &ctx, &r), MW_OK, "the output goes");
	ok(r.gone && !r.kept && r.state == MW_PROC_EXITED, "which changes nothing else");
	n.s[0] = '\0';
	is_int(mw_process_unkept(j, &ctx, "z", note, &n), MW_OK, "nothing");
	is_str(n.s, "", "is left to do");
	is_int(mw_process_kept(j, &ctx, &r), MW_OK, "what is gone");
	ok(r.gone && !r.kept, "stays gone");
}

/* Of many processes that claim one key, one makes the job. */
static void
test_processes(void)
{
	struct mw_process r;
	struct mw_process_db *j;
	int i, status, made = 0, joined = 0;
	bool existing;
	char id[16];

	for (i = 0; i < 16; i++) {
		if (fork() != 0)
			continue;
		j = open_it();
		(void)snprintf(id, sizeof(id), "p%d", i);
		r = row("p", id, "key", 1);
		status = claim(j, &r, 1, &existing) != MW_OK ? 2 : existing;
		mw_process_db_close(j);
		_exit(status);
	}
	for (i = 0; i < 16; i++) {
		if (wait(&status) > 0 && WIFEXITED(status)) {
			made += WEXITSTATUS(status) == 0;
			joined += WEXITSTATUS(status) == 1;
		}
	}
	is_int(made, 1, "one of sixteen processes makes the job");
	is_int(joined, 15, "the others join it");
}

int
main(void)
{
	struct mw_process_db *j;
	char command[64];

	if (mkdtemp(dir) == NULL || (arena = mw_arena_open(1 << 20)) == NULL)
		return 1;
	(void)snprintf(command, sizeof(command), "%s/jobs.db", dir);
	j = open_it();
	test_claim_and_get(j);
	test_keys(j);
	test_limit(j);
	test_seen(j);
	test_move(j);
	test_lists(j);
	test_pages(j);
	test_gone(j);
	mw_process_db_close(j);
	test_processes();
	(void)unlink(command);
	(void)snprintf(command, sizeof(command), "%s/locks", dir);
	(void)unlink(command);
	(void)rmdir(dir);
	mw_arena_close(arena);
	return done();
}
