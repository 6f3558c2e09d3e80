/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Batches over a directory store and a local sandbox whose files are at hand, in
 * one thread and in many: what ThreadSanitizer looks at.
 */
#include "local_fixture.h"
#include "ops/files/batch.h"
#include "app/pathlock.h"

#define PATHS 12

static struct mw_app *app;
static struct mw_conf mine;		/* the app's configuration, changed for a test */
static struct mw_ctx req;
static struct mw_batch b;

static void
parse(const char *text, int64_t max)
{
	static struct mw_batch_in in;
	enum mw_code code;

	mw_batch_free(&b);
	mw_arena_reset(req.arena);
	req = (struct mw_ctx){ .arena = req.arena, .request_id = "test",
	    .deadline = mw_now() + 120000 };
	mw_batch_in_init(&in, &b, req.arena, &req.err, app->spool_dir, max, MW_SRC_AUTO);
	code = mw_batch_in_feed(&in, text, strlen(text));
	if (code == MW_OK)
		code = mw_batch_in_finish(&in);
	if (code != MW_OK) {
		printf("Bail out! %s\n", req.err.msg);
		exit(1);
	}
	b.user = "u";
	b.max_wake = 60000;
}

static void
run(const char *text)
{
	parse(text, 1000);
	is_int(mw_batch_run(app, &req, &b), MW_OK, "the batch runs");
}

/* "ok", the code's name, or why it did not run. */
static const char *
outcome(size_t i)
{
	const struct mw_batch_op *op = &b.op[i];

	if (op->skipped)
		return "skipped";
	if (!op->ran)
		return op->code == MW_DEADLINE_EXCEEDED ? "late" : "not run";
	return op->code == MW_OK ? "ok" : mw_code_info(op->code)->name;
}

static bool
content_is(size_t i, const char *text)
{
	const struct mw_batch_op *op = &b.op[i];

	return op->content != NULL && op->size == (int64_t)strlen(text) &&
	    memcmp(op->content, text, strlen(text)) == 0;
}

/* On each of many paths: write, read, write, read, delete, exists, write, read. */
static void
test_order(bool parallel)
{
	static char text[PATHS * 1024];
	static const struct {
		const char *op, *word;		/* word: of the content, NULL = none */
	} each[] = {
		{ "write", "one" }, { "read", NULL }, { "write", "two" }, { "read", NULL },
		{ "delete", NULL }, { "exists", NULL }, { "write", "three" }, { "read", NULL },
	};
	const size_t steps = sizeof(each) / sizeof(each[0]);
	char want[3][32];
	size_t n, i, k;
	bool good = true;

	n = (size_t)snprintf(text, sizeof(text), "{\"parallel\":%s,\"operations\":[",
	    parallel ? "true" : "false");
	for (k = 0; k < steps; k++) {
		for (i = 0; i < PATHS; i++) {
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "%s{\"op\":\"%s\",\"path\":\"d/f%zu\"", k + i > 0 ? "," : "",
			    each[k].op, i);
			if (each[k].word != NULL)
				n += (size_t)snprintf(text + n, sizeof(text) - n,
				    ",\"content\":\"%s-%zu\"", each[k].word, i);
			n += (size_t)snprintf(text + n, sizeof(text) - n, "}");
		}
	}
	(void)snprintf(text + n, sizeof(text) - n, "]}");
	run(text);
	is_int((int64_t)b.threads, parallel ? 8 : 1, parallel ? "eight threads" : "one thread");
	for (i = 0; i < steps * PATHS; i++)
		good = good && strcmp(outcome(i), "ok") == 0;
	ok(good, "every operation succeeds");
	for (i = 0, good = true; i < PATHS; i++) {
		(void)snprintf(want[0], sizeof(want[0]), "one-%zu", i);
		(void)snprintf(want[1], sizeof(want[1]), "two-%zu", i);
		(void)snprintf(want[2], sizeof(want[2]), "three-%zu", i);
		good = good && content_is(PATHS + i, want[0]) && content_is(3 * PATHS + i, want[1]) &&
		    content_is(7 * PATHS + i, want[2]) && !b.op[5 * PATHS + i].exists &&
		    b.op[4 * PATHS + i].written.existed;
	}
	ok(good, "and each sees what was done to its path before");
	ok(req.attempts >= steps * PATHS, "all calls are counted");
}

static void
test_one_failure(bool parallel)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "{\"parallel\":%s,\"operations\":["
	    "{\"op\":\"write\",\"path\":\"dir/x\",\"content\":\"x\"},"
	    "{\"op\":\"read\",\"path\":\"none\"},{\"op\":\"read\",\"path\":\"dir/x\"},"
	    "{\"op\":\"delete\",\"path\":\"none\"},{\"op\":\"write\",\"path\":\"d/f1\",\"content\":\"y\"},"
	    "{\"op\":\"exists\",\"path\":\"none\"}]}", parallel ? "true" : "false");
	run(text);
	is_str(outcome(0), "ok", "a write");
	is_str(outcome(1), "file_not_found", "a read of nothing fails");
	ok(b.op[1].error != NULL && strstr(b.op[1].error, "none") != NULL, "and says what");
	ok(content_is(2, "x"), "the one after it does not");
	is_str(outcome(3), "file_not_found", "nor does a failed delete");
	is_str(outcome(4), "ok", "change the write after it");
	ok(strcmp(outcome(5), "ok") == 0 && !b.op[5].exists, "absence is an answer");
}

static void
test_stop(void)
{
	size_t i, n;

	run("{\"stopOnError\":true,\"operations\":[{\"op\":\"exists\",\"path\":\"a\"},"
	    "{\"op\":\"read\",\"path\":\"none\"},{\"op\":\"write\",\"path\":\"never\",\"content\":\"\"},"
	    "{\"op\":\"read\",\"path\":\"none\"}]}");
	is_str(outcome(0), "ok", "before a failure");
	is_str(outcome(1), "file_not_found", "the failure");
	is_str(outcome(2), "skipped", "after it: stopped");
	is_str(outcome(3), "skipped", "to the end");
	is_int((int64_t)b.stopped_by, 1, "it is known by what");
	run("{\"operations\":[{\"op\":\"exists\",\"path\":\"never\"}]}");
	ok(!b.op[0].exists, "what was skipped was not done");

	run("{\"stopOnError\":true,\"parallel\":true,\"operations\":[{\"op\":\"read\",\"path\":\"none\"},"
	    "{\"op\":\"read\",\"path\":\"none\"},{\"op\":\"read\",\"path\":\"none\"},"
	    "{\"op\":\"read\",\"path\":\"none\"}]}");
	is_str(outcome(0), "file_not_found", "one path, in order: the first fails");
	for (i = 1, n = 0; i < 4; i++)
		n += strcmp(outcome(i), "skipped") == 0;
	is_int((int64_t)n, 3, "and the others are skipped");
}

static void
test_deadline(void)
{
	int lock = -1;

	parse("{\"operations\":[{\"op\":\"read\",\"path\":\"d/f1\"},{\"op\":\"exists\",\"path\":\"x\"}]}", 9);
	req.deadline = mw_now() - 1;
	is_int(mw_batch_run(app, &req, &b), MW_OK, "a batch without time has an answer");
	is_str(outcome(0), "late", "nothing of it was run");
	is_str(outcome(1), "late", "to the end");

	parse("{\"operations\":[{\"op\":\"read\",\"path\":\"d/f1\"},"
	    "{\"op\":\"write\",\"path\":\"held\",\"content\":\"\"},{\"op\":\"read\",\"path\":\"d/f1\"}]}", 9);
	if (mw_path_lock(app, &req, "u", "held", &lock) != MW_OK)
		printf("# %s\n", req.err.msg);
	req.deadline = mw_now() + 1500;
	is_int(mw_batch_run(app, &req, &b), MW_OK, "time runs out in the middle");
	mw_path_unlock(lock);
	is_str(outcome(0), "ok", "what was done is told");
	is_str(b.op[0].from, "r2", "R2 was asked first, short as the time was");
	is_str(outcome(1), "deadline_exceeded", "the one that waited failed");
	is_str(outcome(2), "late", "the rest was not run");
}

static void
test_threads(void)
{
	mine.batch.parallel = 3;
	run("{\"parallel\":true,\"operations\":[{\"op\":\"exists\",\"path\":\"1\"},"
	    "{\"op\":\"exists\",\"path\":\"2\"},{\"op\":\"exists\",\"path\":\"3\"},"
	    "{\"op\":\"exists\",\"path\":\"4\"}]}");
	is_int((int64_t)b.threads, 3, "batch.parallel threads");
	mine.batch.parallel = 8;
	run("{\"parallel\":true,\"operations\":[{\"op\":\"exists\",\"path\":\"1\"},"
	    "{\"op\":\"exists\",\"path\":\"2\"}]}");
	is_int((int64_t)b.threads, 2, "never more than operations");
}

/* Contents past what is held in memory. */
static void
test_large(void)
{
	static char text[3 * 5000000 + 1000];
	const size_t size = 4800000;
	size_t n = 0, i, k;
	bool good = true;

	n = (size_t)snprintf(text, sizeof(text), "{\"operations\":[");
	for (i = 0; i < 3; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "%s{\"op\":\"write\",\"path\":\"big%zu\",\"content\":\"", i > 0 ? "," : "", i);
		memset(text + n, 'a' + (int)i, size);
		n += size;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\"}");
	}
	(void)snprintf(text + n, sizeof(text) - n, "]}");
	run(text);
	run("{\"parallel\":true,\"operations\":[{\"op\":\"read\",\"path\":\"big0\"},"
	    "{\"op\":\"read\",\"path\":\"big1\"},{\"op\":\"read\",\"path\":\"big2\"}]}");
	for (i = 0, n = 0; i < 3; i++) {
		n += b.op[i].mapped;
		good = good && b.op[i].size == (int64_t)size;
		for (k = 0; good && k < size; k += 4093)
			good = b.op[i].content[k] == 'a' + (int)i;
	}
	ok(good, "three large contents");
	ok(n >= 1 && n <= 2, "not all of them in memory");
	mine.read.max_json = 1000;
	run("{\"operations\":[{\"op\":\"read\",\"path\":\"big0\"}]}");
	ok(strcmp(outcome(0), "ok") == 0 && b.op[0].too_large && b.op[0].content == NULL &&
	    b.op[0].size == (int64_t)size, "too large for JSON: its size alone");
	mine.read.max_json = 5242880;
}

int
main(int argc, char *argv[])
{
	struct mw_err err = { .code = MW_OK };

	set_up(argc, argv);
	reopen("none");
	make_user("u");
	if (mw_app_open("batch", &app, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	mine = *app->conf;
	app->conf = &mine;
	req.arena = mw_arena_open(64 << 20);
	mw_batch_init(&b);
	test_order(true);
	test_order(false);
	test_one_failure(false);
	test_one_failure(true);
	test_stop();
	test_deadline();
	test_threads();
	test_large();
	mw_batch_free(&b);
	mw_app_close(app);
	mw_arena_close(req.arena);
	tear_down();
	return done();
}
