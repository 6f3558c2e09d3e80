/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "base/str.h"
#include "app/app.h"
#include "app/helper.h"
#include "ops/files/drain.h"
#include "app/helper.h"
#include "app/pathlock.h"
#include "tap.h"

/* ---- a store that does as it is told ---- */

static struct mw_store store;
static char calls[512];			/* "put KEY=BODY;" ... */
static enum mw_code answers[8];		/* of the next calls, then MW_OK */
static unsigned nanswers, next_answer;
static const char *head_etag;		/* NULL: no object */
static int64_t head_size;
static bool saw_condition;
static void (*during_put)(void);	/* what happens while it is under way */

static enum mw_code
answer(struct mw_ctx *ctx)
{
	enum mw_code code = next_answer < nanswers ? answers[next_answer++] : MW_OK;

	return code == MW_OK ? MW_OK : mw_ctx_fail(ctx, code, "scripted %s", mw_code_info(code)->name);
}

static void
note(const char *what, const char *key, const char *text)
{
	size_t len = strlen(calls);

	(void)snprintf(calls + len, sizeof(calls) - len, "%s %s%s;", what,
	    key + strlen("users/"), text);
}

static enum mw_code
fake_put(struct mw_store *s, struct mw_ctx *ctx, const char *key, const struct mw_put *put,
    const char **etag)
{
	void (*event)(void) = during_put;
	char text[64] = "=";
	ssize_t n = pread(put->fd, text + 1, sizeof(text) - 2, 0);

	(void)s;
	text[1 + (n < 0 ? 0 : n)] = '\0';
	note("put", key, text);
	saw_condition = put->if_match != NULL || put->if_none_match;
	*etag = "\"x\"";
	during_put = NULL;
	if (event != NULL)
		event();
	return answer(ctx);
}

static enum mw_code
fake_remove(struct mw_store *s, struct mw_ctx *ctx, const char *key)
{
	(void)s;
	note("del", key, "");
	return answer(ctx);
}

static enum mw_code
fake_head(struct mw_store *s, struct mw_ctx *ctx, const char *key, struct mw_object *obj)
{
	(void)s;
	(void)key;
	memset(obj, 0, sizeof(*obj));
	if (head_etag == NULL)
		return mw_ctx_fail(ctx, MW_FILE_NOT_FOUND, "no such object");
	obj->etag = head_etag;
	obj->size = head_size;
	return MW_OK;
}

static const struct mw_store_ops fake = {
	.name = "fake", .head = fake_head, .put = fake_put, .remove = fake_remove,
};

/* ---- a process around it ---- */

static char dir[32], locks[64];
static struct mw_app app;
static struct mw_conf conf;
static struct mw_ctx ctx;
static struct mw_drain_result res;

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void
finish(void)
{
	mw_outbox_close(app.outbox);
	mw_shm_close(app.shm);
	if (app.spool_dir > 0)
		(void)close(app.spool_dir);
	memset(&app, 0, sizeof(app));
	if (dir[0] != '\0')
		(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
fresh(void)
{
	struct mw_err err = { .code = MW_OK };
	static char prefix[] = "users/{user}";

	finish();
	(void)snprintf(dir, sizeof(dir), "/tmp/mw-drain-XXXXXX");
	if (mkdtemp(dir) == NULL || mw_shm_open(dir, &app.shm, &err) != MW_OK ||
	    mw_spool_dir(dir, &app.spool_dir, &err) != MW_OK ||
	    mw_outbox_open(dir, app.shm, 1 << 24, &app.outbox, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	(void)snprintf(locks, sizeof(locks), "%s/locks", dir);
	app.lock_path = locks;
	conf.store.prefix = prefix;
	conf.store.timeout = 5000;
	conf.outbox.drain_interval = 60000;
	app.conf = &conf;
	store.ops = &fake;
	(void)snprintf(store.identity, sizeof(store.identity), "fake|one");
	app.store = &store;
	calls[0] = '\0';
	nanswers = next_answer = 0;
	head_etag = NULL;
}

static struct mw_ctx *
c(void)
{
	mw_err_clear(&ctx.err);
	mw_arena_reset(ctx.arena);
	ctx.deadline = mw_now() + 20000;
	return &ctx;
}

static void
will_answer(unsigned n, const enum mw_code *codes)
{
	memcpy(answers, codes, n * sizeof(*codes));
	nanswers = n;
	next_answer = 0;
	calls[0] = '\0';
}

#define ANSWERS(...) will_answer(sizeof((enum mw_code[]){ __VA_ARGS__ }) / \
	sizeof(enum mw_code), (enum mw_code[]){ __VA_ARGS__ })

static void
queue_if(const char *user, const char *path, const char *text, const char *if_match, bool none)
{
	struct mw_outbox_row row = { .user = user, .path = path, .store = store.identity,
	    .mode = -1, .mtime = -1, .if_match = if_match, .if_none_match = none };
	struct mw_spool s = { .fd = -1 };
	struct mw_err err = { .code = MW_OK };
	enum mw_code code;

	if (text == NULL) {
		code = mw_outbox_put(app.outbox, c(), &row, NULL);
	} else {
		if (mw_spool_begin(&s, app.spool_dir, &err) != MW_OK ||
		    mw_spool_add(&s, text, strlen(text), &err) != MW_OK ||
		    mw_spool_finish(&s, &err) != MW_OK)
			printf("# %s\n", err.msg);
		code = mw_outbox_put(app.outbox, c(), &row, &s);
	}
	mw_spool_drop(&s);
	if (code != MW_OK)
		printf("# queue: %s\n", ctx.err.msg);
}

static void
queue(const char *user, const char *path, const char *text)
{
	queue_if(user, path, text, NULL, false);
}

static void
drain(unsigned flags, int64_t done_, int64_t left, int64_t parked, const char *what)
{
	enum mw_code code = mw_drain(&app, c(), flags, &res);

	if (!ok(code == MW_OK && res.done == done_ && res.left == left && res.parked == parked,
	    "%s", what))
		printf("# %s: %s; %lld done, %lld left, %lld parked\n", mw_code_info(code)->name,
		    ctx.err.msg, (long long)res.done, (long long)res.left, (long long)res.parked);
}

/* ---- tests ---- */

static void
test_pass(void)
{
	fresh();
	drain(0, 0, 0, 0, "an empty outbox");
	ok(!mw_shm_queued(app.shm), "is known to be empty after that");
	queue("u1", "a", "one");
	queue("u2", "b", "two");
	queue("u1", "gone", NULL);
	queue("u1", "a", "three");
	ok(mw_shm_queued(app.shm), "rows wait");
	drain(0, 3, 0, 0, "three rows");
	is_str(calls, "put u2/b=two;del u1/gone;put u1/a=three;", "sent in order, each path once");
	ok(!mw_shm_queued(app.shm), "nothing waits any more");
	app.store = NULL;
	drain(0, 0, 0, 0, "an empty outbox needs no store");
	queue("u1", "a", "one");
	app.store_err.code = MW_STORE_UNAVAILABLE;
	is_int(mw_drain(&app, c(), 0, &res), MW_STORE_UNAVAILABLE, "a row does");
	is_int(res.left, 1, "and is left");
}

static void
test_backoff(void)
{
	int64_t wait;

	fresh();
	queue("u1", "a", "one");
	queue("u1", "b", "two");
	queue("u2", "c", "three");
	ANSWERS(MW_STORE_UNAVAILABLE);
	drain(0, 1, 2, 0, "a failure");
	is_str(calls, "put u1/a=one;put u2/c=three;", "holds up its user and no other");
	wait = atomic_load(&mw_shm_user(app.shm, "u1")->drain_after) - mw_now();
	ok(wait > 300 && wait <= 1000, "for about a second");
	ANSWERS(MW_OK);
	drain(0, 0, 2, 0, "before that time");
	is_str(calls, "", "the store is left in peace");
	ANSWERS(MW_STORE_UNAVAILABLE);
	drain(MW_DRAIN_NOW, 0, 2, 0, "an operator may insist");
	wait = atomic_load(&mw_shm_user(app.shm, "u1")->drain_after) - mw_now();
	ok(wait > 900 && wait <= 2000, "the second wait is longer");
	ANSWERS(MW_OK);
	drain(MW_DRAIN_NOW, 2, 0, 0, "the store is back");
	is_str(calls, "put u1/a=one;put u1/b=two;", "and gets the rest, in order");
	is_int(atomic_load(&mw_shm_user(app.shm, "u1")->drain_after), 0, "nobody waits then");
}

static void
test_down(void)
{
	fresh();
	queue("u1", "a", "1");
	queue("u2", "a", "2");
	queue("u3", "a", "3");
	queue("u4", "a", "4");
	ANSWERS(MW_STORE_UNAVAILABLE, MW_STORE_UNAVAILABLE, MW_DEADLINE_EXCEEDED, MW_OK);
	drain(MW_DRAIN_NOW, 0, 4, 0, "a store that is down");
	is_str(calls, "put u1/a=1;put u2/a=2;put u3/a=3;", "is not asked for every user");
}

struct refusal {
	enum mw_code code;
	bool parks;
};

static const struct refusal refusals[] = {
	{ MW_STORE_ERROR, true }, { MW_PRECONDITION_FAILED, true }, { MW_INVALID_PATH, true },
	{ MW_FILE_TOO_LARGE, true }, { MW_STORE_UNAVAILABLE, false },
	{ MW_DEADLINE_EXCEEDED, false }, { MW_STORAGE_FULL, false },
	{ MW_TOO_MANY_REQUESTS, false }, { MW_INTERNAL_ERROR, false },
};

static void
test_parked(void)
{
	const struct mw_outbox_row *row;
	size_t i;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		fresh();
		queue("u1", "a", "one");
		ANSWERS(refusals[i].code);
		drain(0, 0, !refusals[i].parks, refusals[i].parks, mw_code_info(refusals[i].code)->name);
	}
	fresh();
	queue("u1", "a", "one");
	queue("u1", "b", "two");
	ANSWERS(MW_STORE_ERROR);
	drain(0, 1, 0, 1, "a refused row");
	is_str(calls, "put u1/a=one;put u1/b=two;", "blocks only its path");
	ok(mw_outbox_find(app.outbox, c(), "u1", "a", &row) == MW_OK && row != NULL && row->parked &&
	    strcmp(row->error, "scripted store_error") == 0, "it is kept, with the reason");
	ANSWERS(MW_OK);
	drain(MW_DRAIN_NOW, 0, 0, 1, "it is not tried again");
	ok(calls[0] == '\0' && !mw_shm_queued(app.shm), "nor does it start drains");
	drain(MW_DRAIN_NOW | MW_DRAIN_PARKED, 1, 0, 0, "unless an operator says so");
	is_str(calls, "put u1/a=one;", "then it is sent");
}

static void
test_conditions(void)
{
	char ours[35] = "\"f97c5d29941bfb1b2fdab0874906ab82\"";	/* MD5 of "one" */

	fresh();
	queue_if("u1", "a", "one", "\"e\"", false);
	ANSWERS(MW_OK);
	drain(0, 1, 0, 0, "a conditional write");
	ok(saw_condition, "repeats its condition");

	queue_if("u1", "a", "one", "\"e\"", false);
	ANSWERS(MW_PRECONDITION_FAILED);
	head_etag = "\"other\"";
	drain(0, 0, 0, 1, "a condition that fails parks the row");

	fresh();
	queue_if("u1", "a", "one", "\"e\"", false);
	ANSWERS(MW_PRECONDITION_FAILED);
	head_etag = ours;
	head_size = 3;
	drain(0, 1, 0, 0, "but not when the object is the one we sent");

	fresh();
	queue_if("u1", "a", "one", "\"e\"", false);
	ANSWERS(MW_NOT_SUPPORTED);
	head_etag = "\"e\"";
	drain(0, 1, 0, 0, "a store without conditions");
	is_str(calls, "put u1/a=one;put u1/a=one;", "is asked twice");
	ok(!saw_condition, "the second time without one");

	fresh();
	queue_if("u1", "a", "one", NULL, true);
	ANSWERS(MW_NOT_SUPPORTED);
	head_etag = "\"e\"";
	drain(0, 0, 0, 1, "nothing is overwritten that should not be there");
	is_str(calls, "put u1/a=one;", "not even tried");
}

static void
test_damage(void)
{
	const struct mw_outbox_row *row;
	int fd;

	fresh();
	queue("u1", "a", "one");
	queue("u1", "b", "two");
	queue("u1", "c", "three");
	ok(mw_outbox_find(app.outbox, c(), "u1", "a", &row) == MW_OK && row != NULL &&
	    (fd = openat(app.spool_dir, row->spool, O_WRONLY | O_CLOEXEC)) >= 0 &&
	    write(fd, "x", 1) == 1 && close(fd) == 0, "a byte of a body flips");
	ok(mw_outbox_find(app.outbox, c(), "u1", "b", &row) == MW_OK && row != NULL &&
	    unlinkat(app.spool_dir, row->spool, 0) == 0, "a body disappears");
	drain(0, 1, 0, 2, "both rows are parked");
	is_str(calls, "put u1/c=three;", "and nothing wrong is sent");
}

static void
test_identity(void)
{
	fresh();
	queue("u1", "a", "one");
	(void)snprintf(store.identity, sizeof(store.identity), "fake|two");
	drain(0, 0, 0, 1, "a row for another store is parked");
	is_str(calls, "", "it does not go astray");
	(void)snprintf(store.identity, sizeof(store.identity), "fake|one");
	drain(MW_DRAIN_PARKED, 1, 0, 0, "and goes when its store is back");
}

static void
write_again(void)
{
	queue("u1", "a", "newer");
}

static void
test_locks(void)
{
	struct mw_err err = { .code = MW_OK };
	enum mw_code code;
	int lock;

	fresh();
	queue("u1", "a", "one");
	during_put = write_again;
	drain(0, 2, 0, 0, "a row that is replaced while it is sent");
	is_str(calls, "put u1/a=one;put u1/a=newer;", "is followed by the later one");

	queue("u1", "a", "one");
	ok(mw_path_lock(&app, c(), "u1", "a", &lock) == MW_OK, "somebody has the path's lock");
	calls[0] = '\0';
	(void)c();
	ctx.deadline = mw_now() + 200;
	code = mw_drain(&app, &ctx, 0, &res);
	ok(code == MW_OK && res.left == 1 && calls[0] == '\0', "its row is left to him");
	mw_path_unlock(lock);

	ok(mw_lockfile_take(locks, "drain", 0, &lock, &err) == MW_OK, "another drainer is at work");
	drain(MW_DRAIN_IDLE, 0, 1, 0, "then we do nothing");
	ok(res.busy && calls[0] == '\0', "and say so");
	mw_lockfile_give(lock);
	drain(MW_DRAIN_IDLE, 1, 0, 0, "when he is gone, we work");
	ok(!res.busy, "and say so");
}

/* ---- the detached helper ---- */

static const char script[] =
    "#!/bin/sh\n"
    "{ echo \"args: $*\"; env; ls -l /proc/$$/fd; ps -o sid= -p $$ | tr -d ' ' | sed \"s/^$$\\$/leader/\";\n"
    "} >\"$MOLTWORKER_TEST_OUT\" 2>&1\n";

/* What the helper writes into the FIFO; "" if it does not come within `ms`. */
static const char *
hear(int fifo, int ms)
{
	static char text[8192];
	struct pollfd p = { .fd = fifo, .events = POLLIN };
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < sizeof(text) - 1 && poll(&p, 1, ms) == 1) {
		n = read(fifo, text + len, sizeof(text) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
		ms = 5000;
	}
	text[len] = '\0';
	return text;
}

static void
test_kick(void)
{
	char helper[64], out[64], ours[16];
	const char *text;
	int64_t start;
	int fd, fifo, i;

	fresh();
	(void)snprintf(helper, sizeof(helper), "%s/helper", dir);
	(void)snprintf(out, sizeof(out), "%s/out", dir);
	fd = open(helper, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	ok(fd >= 0 && write(fd, script, sizeof(script) - 1) == (ssize_t)sizeof(script) - 1 &&
	    close(fd) == 0 && mkfifo(out, 0600) == 0, "a helper");
	fifo = open(out, O_RDONLY | O_NONBLOCK);	/* on purpose not O_CLOEXEC */
	ok(fifo >= 0 && setenv("MOLTWORKER_MOLTCTL", helper, 1) == 0 &&
	    setenv("MOLTWORKER_TEST_OUT", out, 1) == 0 &&
	    setenv("HTTP_X_SUPER_SECRET", "hunter2", 1) == 0, "an environment");
	drain(0, 0, 0, 0, "nothing waits");
	start = mw_now_us();
	for (i = 0; i < 100000; i++)
		mw_drain_kick(&app);
	start = mw_now_us() - start;
	printf("# %lld ns for each kick with nothing to do\n", (long long)start / 100);
	ok(start < 500000, "that costs next to nothing");
	is_str(hear(fifo, 200), "", "and starts nothing");
	(void)fflush(stdout);
	queue("u1", "a", "one");
	mw_drain_kick(&app);
	text = hear(fifo, 10000);
	ok(strncmp(text, "args: drain --detached\n", 23) == 0, "a row starts a drain");
	ok(strstr(text, "MOLTWORKER_TEST_OUT=") != NULL && strstr(text, "PATH=") != NULL,
	    "it has the environment it needs");
	ok(strstr(text, "hunter2") == NULL && strstr(text, "HTTP_") == NULL, "and nothing of a request");
	(void)snprintf(ours, sizeof(ours), " %d -> ", fifo);
	ok(strstr(text, " 0 -> /dev/null") != NULL && strstr(text, ours) == NULL,
	    "no descriptor of ours");
	ok(strstr(text, "leader") != NULL, "a session of its own");
	is_int(waitpid(-1, NULL, WNOHANG), -1, "and leaves no zombie");
	/* A FIFO that had a writer would report his end for ever. */
	(void)close(fifo);
	fifo = open(out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	mw_drain_kick(&app);
	is_str(hear(fifo, 200), "", "the interval is kept");
	atomic_store(&app.shm->last_drain, mw_now() - conf.outbox.drain_interval);
	mw_drain_kick(&app);
	ok(hear(fifo, 10000)[0] != '\0', "after it, the next drain is started");
	(void)close(fifo);
}

static void
test_detach_errors(void)
{
	static const char *const args[] = { "drain", NULL };
	struct mw_err err = { .code = MW_OK };

	ok(setenv("MOLTWORKER_MOLTCTL", "/nonexistent/moltctl", 1) == 0, "no moltctl");
	is_int(mw_detach(args, &err), MW_INTERNAL_ERROR, "is an error");
	ok(strstr(err.msg, "/nonexistent/moltctl") != NULL, "that names it");
}

int
main(void)
{
	ctx.request_id = "test";
	ctx.arena = mw_arena_open(1 << 20);
	(void)mw_log_open("test", "/dev/null", MW_ERROR, false);
	test_pass();
	test_backoff();
	test_down();
	test_parked();
	test_conditions();
	test_damage();
	test_identity();
	test_locks();
	test_kick();
	test_detach_errors();
	finish();
	mw_arena_close(ctx.arena);
	return done();
}
