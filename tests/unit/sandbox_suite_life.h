/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of sandbox_suite.h: coming and going, limits, threads. */
#ifndef MW_TESTS_SANDBOX_SUITE_LIFE_H
#define MW_TESTS_SANDBOX_SUITE_LIFE_H

#include <pthread.h>

static bool
has(unsigned flag)
{
	return (box.sb->flags & flag) != 0;
}

static void
state_is(enum mw_sandbox_state want, const char *what)
{
	struct mw_sandbox_status st;

	box_fresh(&box);
	suite_code(box.sb->ops->status(box.sb, &box.ctx, box.user, &st), MW_OK, "status");
	is_int(st.state, want, what);
	if (want == MW_SB_RUNNING)
		ok(st.started == 0 || llabs((long long)(st.started - mw_wall())) < 600000,
		    "started a while ago, or unknown");
}

static enum mw_code
exec_code(void)
{
	const char *argv[] = { "true", NULL };
	struct mw_exec x = { .argv = argv };
	struct ran ran;

	box_exec(&box, &x, 100, &ran);
	ran_free(&ran);
	return ran.code;
}

static enum mw_code
count_user(void *arg, const char *user)
{
	*(int *)arg += strcmp(user, box.user) == 0;
	return MW_OK;
}

static int
enumerated(void)
{
	int n = 0;

	box_fresh(&box);
	suite_code(box.sb->ops->enumerate(box.sb, &box.ctx, count_user, &n), MW_OK, "enumerate");
	return n;
}

/* Nothing below may start it, or call a file missing that is not proven so. */
static void
suite_absent(void)
{
	struct mw_stat st;

	state_is(drv->before, "before it was ever started");
	if (drv->before == MW_SB_RUNNING)
		return;
	suite_either(exec_code(), MW_SANDBOX_NOT_FOUND, MW_SANDBOX_HIBERNATING, "exec");
	suite_either(get_code("f"), MW_SANDBOX_NOT_FOUND, MW_SANDBOX_HIBERNATING, "read");
	suite_either(put("f", "x"), MW_SANDBOX_NOT_FOUND, MW_SANDBOX_HIBERNATING, "write");
	suite_either(box_stat(&box, "f", &st), MW_SANDBOX_NOT_FOUND, MW_SANDBOX_HIBERNATING, "stat");
	suite_either(list_code(""), MW_SANDBOX_NOT_FOUND, MW_SANDBOX_HIBERNATING, "list");
	suite_either(box_remove(&box, "f"), MW_SANDBOX_NOT_FOUND, MW_SANDBOX_HIBERNATING, "remove");
	state_is(drv->before, "which none of these has done");
	is_int(enumerated(), 0, "and is not enumerated");
	if (has(MW_SB_CAN_STOP)) {
		box_fresh(&box);
		suite_code(box.sb->ops->stop(box.sb, &box.ctx, box.user), MW_OK, "stop");
	}
}

static void
suite_unproven(void)
{
	struct mw_stat st;

	suite_code(get_code("f"), MW_SANDBOX_HIBERNATING, "without a marker: read");
	suite_code(put("f", "x"), MW_SANDBOX_HIBERNATING, "write");
	suite_code(box_stat(&box, "f", &st), MW_SANDBOX_HIBERNATING, "stat");
	suite_code(list_code(""), MW_SANDBOX_HIBERNATING, "list");
	suite_code(box_remove(&box, "f"), MW_SANDBOX_HIBERNATING, "remove");
	box.sb->allow_unproven = true;
	suite_code(get_code("f"), MW_FILE_NOT_FOUND, "for who restores it: read");
	suite_code(put("f", "restored"), MW_OK, "write");
	holds("f", "restored", "and read again");
	suite_code(box_remove(&box, "f"), MW_OK, "remove");
	box.sb->allow_unproven = false;
}

static void
start(void)
{
	box_fresh(&box);
	suite_code(box.sb->ops->start(box.sb, &box.ctx, box.user), MW_OK, "start");
	state_is(MW_SB_RUNNING, "it runs");
}

static void
suite_asleep(void)
{
	struct mw_stat st;
	struct listed l = { 0 };

	box_fresh(&box);
	suite_code(box.sb->ops->stop(box.sb, &box.ctx, box.user), MW_OK, "stop");
	state_is(MW_SB_ASLEEP, "it sleeps");
	box_fresh(&box);
	suite_code(box.sb->ops->stop(box.sb, &box.ctx, box.user), MW_OK, "stop again");
	suite_code(exec_code(), MW_SANDBOX_HIBERNATING, "exec");
	is_int(enumerated(), drv->unlisted ? 0 : 1, "it is enumerated, if there is a list");
	if (!has(MW_SB_FILES_ASLEEP)) {
		suite_code(get_code("dir/f"), MW_SANDBOX_HIBERNATING, "read");
		suite_code(list_code(""), MW_SANDBOX_HIBERNATING, "list");
		return;
	}
	holds("dir/f", "awake", "its files can be read");
	suite_code(get_code("none"), MW_FILE_NOT_FOUND, "a missing one is missing");
	suite_code(get_code("dir"), MW_CONFLICT, "a directory is one");
	suite_either(get_code("out"), MW_FILE_NOT_FOUND, MW_PERMISSION_DENIED, "a link to outside");
	suite_either(get_code("outdir/passwd"), MW_FILE_NOT_FOUND, MW_PERMISSION_DENIED,
	    "one in the middle");
	suite_code(put("asleep/new file", "asleep"), MW_OK, "they can be written");
	suite_code(box_put(&box, "dir/f", "longer than before", 18, -1, -1), MW_OK, "replaced");
	holds("asleep/new file", "asleep", "and read again");
	holds("dir/f", "longer than before", "the other too");
	suite_code(box_stat(&box, "dir/f", &st), MW_OK, "stat");
	is_int(st.mode & 0777, 0751, "keeps its mode");
	suite_code(put("dir", "x"), MW_CONFLICT, "a directory is not replaced");
	suite_code(put("dir/f/x", "x"), MW_CONFLICT, "a file is no directory");
	(void)put("outdir/planted", "x");
	ok(lists("", true, "asleep/new file", &st) && st.size == 6, "listed");
	ok(lists("", false, "out", &st) && st.type == MW_FT_SYMLINK, "a link is listed");
	suite_code(box_list(&box, "dir", false, &l), MW_OK, "list of a directory");
	is_int((int64_t)l.n, 1, "with one entry");
	mw_buf_free(&l.names);
	suite_either(list_code("outdir"), MW_FILE_NOT_FOUND, MW_PERMISSION_DENIED,
	    "but not one outside");
	suite_either(box_remove(&box, "asleep/new file"), MW_OK, MW_SANDBOX_HIBERNATING,
	    "removed, or woken for it");
	state_is(MW_SB_ASLEEP, "it still sleeps");
	start();
	is_str(sh("cat dir/f; ls /etc/planted 2>/dev/null; :"), "longer than before",
	    "awake again it has the files");
}

/* Either the disk survived with its marker, or neither did. */
static void
suite_again(void)
{
	const char *marker;

	start();
	marker = sh("cat \"$MW_RUN_DIR/instance\" 2>/dev/null; :");
	ok(strcmp(marker, "") == 0 || strcmp(marker, SUITE_MARK) == 0, "a marker or none");
	if (strcmp(marker, "") == 0)
		suite_code(get_code("dir/f"), MW_SANDBOX_HIBERNATING, "unproven");
	else
		suite_code(get_code("dir/f"), MW_OK, "proven, and its files are there");
}

static void
suite_life(void)
{
	suite_absent();
	if (!has(MW_SB_CAN_CREATE))
		drv->replace(box.user);
	start();
	start();
	is_int(enumerated(), drv->unlisted ? 0 : 1, "it is enumerated, if there is a list");
	suite_unproven();
	box_mark(&box);
	suite_code(get_code("f"), MW_FILE_NOT_FOUND, "with a marker, missing is missing");
	suite_code(box_put(&box, "dir/f", "awake", 5, 0751, -1), MW_OK, "write");
	(void)sh("ln -s /etc/passwd out; ln -s /etc outdir");
	if (has(MW_SB_CAN_STOP)) {
		suite_asleep();
		suite_again();
	} else {
		box_fresh(&box);
		suite_code(box.sb->ops->stop(box.sb, &box.ctx, box.user), MW_NOT_SUPPORTED, "stop");
	}
	drv->replace(box.user);
	suite_either(get_code("dir/f"), MW_SANDBOX_HIBERNATING, MW_SANDBOX_NOT_FOUND,
	    "replaced by an empty one: no false 404");
	start();
	is_str(sh("ls -A; cat \"$MW_RUN_DIR/instance\" 2>/dev/null; :"), "",
	    "it has no files and no marker");
	suite_code(get_code("dir/f"), MW_SANDBOX_HIBERNATING, "and does not say so of itself");
	if (has(MW_SB_CAN_STOP)) {
		box_fresh(&box);
		suite_code(box.sb->ops->stop(box.sb, &box.ctx, box.user), MW_OK, "stop");
	}
}

/* ---- limits ---- */

/* A deadline that is over, or comes in the middle, ends a call, and nothing is half done. */
static void
suite_limits(void)
{
	static char big[8 << 20];
	const char *argv[] = { "sleep", "60", NULL };
	struct mw_exec x = { .argv = argv, .timeout = SUITE_DEADLINE };
	struct mw_file_sink sink;
	struct got g = { 0 };
	struct ran ran = { .r = { .exit_code = -1 } };
	int64_t began = mw_now();
	int fd = memfd_create("big", MFD_CLOEXEC);
	enum mw_code code;

	suite_code(put("limit", "before"), MW_OK, "write");
	memset(big, 'n', sizeof(big));
	if (fd < 0 || write(fd, big, sizeof(big)) != (ssize_t)sizeof(big))
		abort();
	box_fresh(&box);
	box.ctx.deadline = mw_now();
	code = box.sb->ops->write(box.sb, &box.ctx, box.user, "limit", fd, sizeof(big), -1, -1);
	ok(code != MW_OK && code != MW_INTERNAL_ERROR, "a write without time: %s",
	    mw_code_info(code)->name);
	holds("limit", "before", "changed nothing");
	(void)close(fd);
	mw_buf_init(&g.body, 100);
	sink = (struct mw_file_sink){ got_begin, got_data, &g };
	box_fresh(&box);
	box.ctx.deadline = mw_now();
	code = box.sb->ops->read(box.sb, &box.ctx, box.user, "limit", false, 0, 0, &sink);
	ok(code != MW_OK && code != MW_FILE_NOT_FOUND && code != MW_INTERNAL_ERROR,
	    "a read without time: %s", mw_code_info(code)->name);
	mw_buf_free(&g.body);
	mw_buf_init(&ran.r.out, 100);
	mw_buf_init(&ran.r.err, 100);
	box_fresh(&box);
	box.ctx.deadline = mw_now() + 700;
	code = box.sb->ops->exec(box.sb, &box.ctx, box.user, &x, &ran.r);
	suite_code(code, MW_SANDBOX_TIMEOUT, "an exec that the request's deadline ends");
	ran_free(&ran);
	ok(mw_now() - began < 40000, "all of it in its time");
	(void)sh("for p in $(pgrep sleep); do kill -9 $p; done; rm limit");
}

/* ---- threads ---- */

struct worker {
	pthread_t thread;
	struct box box;
	char user[8], name[8];
	const char *failed;	/* what did not work, NULL = all did */
};

static const char *
work(struct worker *w)
{
	char path[64], text[64], script[128];
	struct listed l = { 0 };
	int i;

	box_ready(&w->box);
	for (i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "dir %d/%s", i, w->name);
		(void)snprintf(text, sizeof(text), "%s wrote %d", w->name, i);
		(void)snprintf(script, sizeof(script), "cat 'dir %d'/%s", i, w->name);
		if (box_put(&w->box, path, text, strlen(text), -1, -1) != MW_OK)
			return "write";
		if (!box_holds(&w->box, path, text, strlen(text)))
			return "read";
		if (strcmp(box_sh(&w->box, script), text) != 0)
			return "exec";
	}
	if (box_list(&w->box, "", true, &l) != MW_OK || l.n < 6)
		return "list";
	mw_buf_free(&l.names);
	return NULL;
}

static void *
worker(void *arg)
{
	struct worker *w = arg;

	w->failed = work(w);
	return NULL;
}

/* Each thread has its own handle, every two of them the same sandbox. */
static void
suite_threads(void)
{
	static struct worker w[8];
	size_t i;

	for (i = 0; i < 8; i++) {
		(void)snprintf(w[i].user, sizeof(w[i].user), "t%zu", i / 2);
		(void)snprintf(w[i].name, sizeof(w[i].name), "w%zu", i);
		box_open(&w[i].box, w[i].user);
		if (drv->one_start)
			box_ready(&w[i].box);
		if (pthread_create(&w[i].thread, NULL, worker, &w[i]) != 0)
			abort();
	}
	for (i = 0; i < 8; i++) {
		(void)pthread_join(w[i].thread, NULL);
		ok(w[i].failed == NULL, "thread %zu", i);
		if (w[i].failed != NULL)
			printf("# %s: %s\n", w[i].failed, w[i].box.ctx.err.msg);
	}
	for (i = 0; i < 8; i++) {
		if (has(MW_SB_CAN_STOP)) {
			box_fresh(&w[i].box);
			(void)!w[i].box.sb->ops->stop(w[i].box.sb, &w[i].box.ctx,
			    w[i].box.user);
		}
		box_close(&w[i].box);
	}
}

#endif
