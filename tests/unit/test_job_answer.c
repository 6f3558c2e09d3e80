/* SPDX-License-Identifier: BSD-2-Clause */
#include "ops/job/answer.h"
#include "tap.h"

#define HEAD "mw1 exited 3 100 250 300 -\n"
#define REST "out\nerr\nend a\n"

static const struct {
	const char *text;
	enum mw_job_state state;
	int exit_code;
	int64_t age, duration;
	bool out_cut, err_cut;
	const char *out, *err;
} good[] = {
	{ HEAD REST, MW_JOB_EXITED, 3, 2000, 1500, false, false, "", "" },
	{ HEAD "out\naGk=\nerr\nYQ==\nend a\n", MW_JOB_EXITED, 3, 2000, 1500, false, false, "hi", "a" },
	{ HEAD "out\naG\nk=\nerr\nend a\n", MW_JOB_EXITED, 3, 2000, 1500, false, false, "hi", "" },
	{ HEAD "out\nMTIzNDU2\nNzg5\nerr\nend a\n", MW_JOB_EXITED, 3, 2000, 1500, false, false,
	    "123456789", "" },
	{ "mw1 none - - - 300 -\n" REST, MW_JOB_NONE, -1, -1, -1, false, false, "", "" },
	{ "mw1 ready - - - 300 -\n" REST, MW_JOB_READY, -1, -1, -1, false, false, "", "" },
	{ "mw1 running - 200 - 300 oe\n" REST, MW_JOB_RUNNING, -1, 1000, 1000, true, true, "", "" },
	{ "mw1 killed 143 1 2 3 o\n" REST, MW_JOB_KILLED, 143, 20, 10, true, false, "", "" },
	{ "mw1 timeout 255 1 2 3 e\n" REST, MW_JOB_TIMEOUT, 255, 20, 10, false, true, "", "" },
	{ "mw1 error 2 - 2 3 -\n" REST, MW_JOB_ERROR, 2, -1, -1, false, false, "", "" },
	{ "mw1 lost - 5 - 3 -\n" REST, MW_JOB_LOST, -1, -1, -1, false, false, "", "" },
	{ "mw1 replaced - - - 300 -\n" REST, MW_JOB_REPLACED, -1, -1, -1, false, false, "", "" },
	{ "mw1 exited 0 9 2 10 -\n" REST, MW_JOB_EXITED, 0, 10, 0, false, false, "", "" },
};

static const char *const bad[] = {
	"", "\n", "mw1", HEAD, HEAD "out\n", HEAD "out\nerr\n", HEAD "out\nerr\nend a", HEAD "err\nout\nend a\n",
	HEAD "out\nerr\nend b\n", HEAD "out\nerr\nend aa\n", HEAD REST "x", HEAD REST "\n", "\n" HEAD REST,
	"mw2 exited 3 100 250 300 -\n" REST, "mw1 exits 3 100 250 300 -\n" REST,
	"mw1  exited 3 100 250 300 -\n" REST, "mw1 exited 3 100 250 300 - \n" REST,
	"mw1 exited 256 100 250 300 -\n" REST, "mw1 exited -1 100 250 300 -\n" REST,
	"mw1 exited 3 100 250 - -\n" REST, "mw1 exited 3 100 250 300\n" REST,
	"mw1 exited 3 100 250 300 x\n" REST, "mw1 exited 3 100 250 300 eo\n" REST,
	"mw1 exited 3 100 250 99999999999999999999 -\n" REST, "mw1 exited 3 1e2 250 300 -\n" REST,
	HEAD "out\naGk\nerr\nend a\n", HEAD "out\naGk==\nerr\nend a\n", HEAD "out\naG k=\nerr\nend a\n",
	HEAD "out\n\xff\nerr\nend a\n", HEAD "out\naGk=\naGk=\nerr\nend a\n",
	HEAD "out\nerr\naGk\nend a\n", HEAD "out\r\nerr\nend a\n",
	HEAD "out\nMTIzNDU2Nzg5MA==\nerr\nend a\n",	/* ten bytes, nine are wanted */
};

static void
test_good(void)
{
	struct mw_job_view v;
	size_t i;
	bool same;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		mw_job_view_init(&v);
		same = mw_job_answer(good[i].text, strlen(good[i].text), "a", 9, &v) &&
		    v.state == good[i].state && v.exit_code == good[i].exit_code &&
		    v.age == good[i].age && v.duration == good[i].duration &&
		    v.out_cut == good[i].out_cut && v.err_cut == good[i].err_cut &&
		    v.out.len == strlen(good[i].out) && v.err.len == strlen(good[i].err) &&
		    (v.out.len == 0 || strcmp(v.out.data, good[i].out) == 0) &&
		    (v.err.len == 0 || strcmp(v.err.data, good[i].err) == 0);
		ok(same, "taken: answer %zu", i);
		mw_job_view_free(&v);
	}
}

static void
test_bad(void)
{
	struct mw_job_view v;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mw_job_view_init(&v);
		ok(!mw_job_answer(bad[i], strlen(bad[i]), "a", 9, &v), "refused: answer %zu", i);
		mw_job_view_free(&v);
	}
}

/* An answer that breaks off is none, wherever it does. */
static void
test_cut(void)
{
	static const char whole[] = HEAD "out\naGk=\nerr\nYQ==\nend a\n";
	struct mw_job_view v;
	size_t n;
	bool none = true;

	for (n = 0; n < sizeof(whole) - 1; n++) {
		mw_job_view_init(&v);
		none = none && !mw_job_answer(whole, n, "a", 9, &v);
		mw_job_view_free(&v);
	}
	ok(none, "no beginning of an answer is one");
}

int
main(void)
{
	test_good();
	test_bad();
	test_cut();
	return done();
}
