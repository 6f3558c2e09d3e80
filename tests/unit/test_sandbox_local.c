/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a local sandbox: there, asleep, running, once, and gone for good. */
#include "local_fixture.h"

#include <dirent.h>
#include <signal.h>

#include "base/buf.h"

static char out[4096];

/* ---- helpers ---- */

static enum mw_code
sh_within(const char *user, const char *script, int64_t timeout)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct mw_exec x = { .argv = argv, .timeout = timeout };
	struct mw_exec_result r = { 0 };
	enum mw_code rc;

	mw_buf_init(&r.out, sizeof(out) - 1);
	mw_buf_init(&r.err, 1000);
	fresh_ctx();
	rc = sb->ops->exec(sb, &ctx, user, &x, &r);
	(void)snprintf(out, sizeof(out), "%s", r.out.data == NULL ? "" : r.out.data);
	if (r.err.len > 0)
		printf("# %s\n", r.err.data);
	mw_buf_free(&r.out);
	mw_buf_free(&r.err);
	return rc;
}

static enum mw_code
sh(const char *user, const char *script)
{
	return sh_within(user, script, 20000);
}

static enum mw_code
start(const char *user)
{
	enum mw_code rc;

	fresh_ctx();
	rc = sb->ops->start(sb, &ctx, user);
	if (rc != MW_OK)
		printf("# start: %s\n", ctx.err.msg);
	return rc;
}

static enum mw_code
stop(const char *user)
{
	enum mw_code rc;

	fresh_ctx();
	rc = sb->ops->stop(sb, &ctx, user);
	if (rc != MW_OK)
		printf("# stop: %s\n", ctx.err.msg);
	return rc;
}

static struct mw_sandbox_status
status(const char *user)
{
	struct mw_sandbox_status st;

	fresh_ctx();
	if (sb->ops->status(sb, &ctx, user, &st) != MW_OK)
		st.state = (enum mw_sandbox_state)-1;
	return st;
}

/*
 * The first process whose arguments, joined by spaces, end in `tail`; *n counts
 * them.  Zombies have none.
 */
static pid_t
find(const char *tail, int *n)
{
	DIR *dir = opendir("/proc");
	const struct dirent *de;
	char path[300], line[4096];
	pid_t found = -1;
	ssize_t len, i;
	int fd;

	*n = 0;
	while (dir != NULL && (de = readdir(dir)) != NULL) {
		(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", de->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		len = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
		if (fd >= 0)
			(void)close(fd);
		if (len <= 0)
			continue;
		for (i = 0; i + 1 < len; i++)
			line[i] = line[i] == '\0' ? ' ' : line[i];
		line[len] = '\0';
		if (strlen(line) < strlen(tail) || strcmp(line + strlen(line) - strlen(tail), tail) != 0)
			continue;
		(*n)++;
		found = (pid_t)strtol(de->d_name, NULL, 10);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return found;
}

static int
count(const char *tail)
{
	int n;

	(void)find(tail, &n);
	return n;
}

static pid_t
child_of(pid_t parent)
{
	static struct mw_proc procs[MW_PROC_MAX];
	size_t n = mw_proc_tree(parent, procs, MW_PROC_MAX), i;

	for (i = 0; i < n; i++) {
		if (procs[i].parent == parent)
			return procs[i].pid;
	}
	return -1;
}

static pid_t
holder(const char *user)
{
	char tail[256];
	int n;

	(void)snprintf(tail, sizeof(tail), "%s hold %s", in_top("self"), user);
	return find(tail, &n);
}

static int
holders(const char *user)
{
	char tail[256];

	(void)snprintf(tail, sizeof(tail), "%s hold %s", in_top("self"), user);
	return count(tail);
}

/* A zombie, which some process 1 is slow to reap, runs no more. */
static bool
runs(pid_t pid)
{
	char path[64], c;
	int fd;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, &c, 1);
	if (fd >= 0)
		(void)close(fd);
	return n > 0;
}

static bool
gone(pid_t pid)
{
	int64_t end = mw_now() + 10000;

	while (runs(pid) && mw_left(end) > 0)
		mw_sleep_ms(2);
	return !runs(pid);
}

static int
mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

/* ---- the table ---- */

static void
test_drivers(void)
{
	struct mw_sandbox *s = NULL;
	struct mw_err err = { 0 };
	char *was = conf->sandbox.driver, word[] = "balloon";

	conf->sandbox.driver = word;
	is_int(mw_sandbox_open(conf, &s, &err), MW_INTERNAL_ERROR, "a driver that does not exist");
	ok(s == NULL && strstr(err.msg, "sandbox.driver") != NULL && strstr(err.msg, "balloon") != NULL &&
	    strstr(err.msg, "local") != NULL, "... names the setting and the known ones: %s", err.msg);
	conf->sandbox.driver = was;
	mw_sandbox_close(NULL);
	ok((sb->flags & MW_SB_FILES_ASLEEP) != 0 && (sb->flags & MW_SB_CAN_STOP) != 0 &&
	    (sb->flags & MW_SB_CAN_CREATE) != 0, "the local driver's flags");
	if (root_told == MW_OK)
		ok(true, "# SKIP not started as root");
	else
		is_int(root_told, MW_SANDBOX_UNAVAILABLE, "root may run nothing, even without isolation");
}

struct names { char all[256]; enum mw_code rc; };

static enum mw_code
name(void *arg, const char *user)
{
	struct names *n = arg;
	size_t len = strlen(n->all);

	(void)snprintf(n->all + len, sizeof(n->all) - len, "[%s]", user);
	return n->rc;
}

static void
test_enumerate(void)
{
	struct names n = { "", MW_OK };

	fresh_ctx();
	is_int(sb->ops->enumerate(sb, &ctx, name, &n), MW_OK, "no directory at all");
	is_str(n.all, "", "... has no users");
	is_int(status("alice").state, MW_SB_ABSENT, "... and alice is absent");
	is_int(stop("alice"), MW_OK, "... and stopped");
	ok(access(in_top("sandboxes"), F_OK) != 0, "... asking made nothing");
	make_user("alice");
	(void)mkdir(in_top("sandboxes/not a user"), 0700);
	(void)mkdir(in_top("sandboxes/.hidden"), 0700);
	spit(in_top("sandboxes/file"), "x", 1);
	if (symlink("alice", in_top("sandboxes/link")) != 0)
		die("symlink");
	is_int(sb->ops->enumerate(sb, &ctx, name, &n), MW_OK, "enumerate");
	is_str(n.all, "[alice]", "... has the one directory that is a user's");
	n.rc = MW_CLIENT_GONE;
	is_int(sb->ops->enumerate(sb, &ctx, name, &n), MW_CLIENT_GONE, "a caller that has enough");
	is_int(status("link").state, MW_SB_ABSENT, "a link is no user");
}

/* ---- start, status, stop ---- */

/* Does the environment that process began with hold `word`? */
static bool
environ_has(pid_t pid, const char *word)
{
	char path[64], buf[16384];
	ssize_t n, i;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return true;
	for (i = 0; i < n; i++)
		buf[i] = buf[i] == '\0' ? '\n' : buf[i];
	buf[n] = '\0';
	return strstr(buf, word) != NULL;
}

/* A plain CGI process has the admin secret in its environment. */
static void
test_environment(void)
{
	pid_t h;

	if (setenv("HTTP_X_ADMIN_SECRET", "hush", 1) != 0 || setenv("MOLTWORKER_SECRET", "hush", 1) != 0)
		die("setenv");
	is_int(start("env"), MW_OK, "start");
	h = holder("env");
	ok(environ_has(h, "MOLTWORKER_CONFIG"), "the holder knows the configuration");
	ok(!environ_has(h, "hush"), "... and no secret");
	ok(!environ_has(child_of(h), "hush") && !environ_has(child_of(h), "MOLTWORKER_"),
	    "bubblewrap has nothing of ours");
	is_int(stop("env"), MW_OK, "stop");
	(void)unsetenv("HTTP_X_ADMIN_SECRET");
	(void)unsetenv("MOLTWORKER_SECRET");
}

static void
test_life(void)
{
	struct mw_sandbox_status st = status("alice");
	int64_t before = mw_wall();

	ok(st.state == MW_SB_ASLEEP && st.processes == -1 && st.memory == -1, "alice sleeps");
	is_int(holders("alice"), 0, "asking started nothing");
	is_int(start("alice"), MW_OK, "start");
	is_int(start("alice"), MW_OK, "start of what runs");
	is_int(holders("alice"), 1, "one holder");
	st = status("alice");
	ok(st.state == MW_SB_RUNNING && st.processes == 0, "runs, without a command yet (%d)", st.processes);
	ok(st.started >= before - 1 && st.started <= mw_wall(), "since just now");
	is_int(sh("alice", "sleep 98765 >/dev/null 2>&1 & sleep 98765 >/dev/null 2>&1 & echo x >kept"), MW_OK, "exec");
	st = status("alice");
	is_int(st.processes, 2, "two processes");
	ok(st.memory > 100000, "... take memory (%lld)", (long long)st.memory);
	is_int(mode_of(in_top("sandboxes/.run/alice/sock")), 0600, "the socket's mode");
	is_int(mode_of(in_top("sandboxes/.run/alice")), 0700, "its directory's mode");
	is_int(count("sleep 98765"), 2, "seen from here");
	is_int(stop("alice"), MW_OK, "stop");
	is_int(count("sleep 98765"), 0, "nothing of it runs");
	is_int(holders("alice"), 0, "... nor its holder");
	is_int(stop("alice"), MW_OK, "stop of what does not run");
	is_int(status("alice").state, MW_SB_ASLEEP, "sleeps again");
	is_int(start("alice"), MW_OK, "start again");
	is_int(sh("alice", "cat kept; cat $MW_RUN_DIR/instance"), MW_OK, "files and marker");
	is_str(out, "x\n00000000000000a1\n", "... have survived");
	is_int(stop("alice"), MW_OK, "stop");
}

static void
test_new_user(void)
{
	struct mw_stat st;

	is_int(start("new"), MW_OK, "start makes a user");
	is_int(mode_of(in_top("sandboxes/new")), 0700, "... with a directory of its own");
	is_int(sb->ops->stat(sb, &ctx, "new", "f", &st), MW_SANDBOX_HIBERNATING, "... whose files are not proven");
	is_int(sh("new", "ls -A; echo 00000000000000a1 >$MW_RUN_DIR/instance; echo old >/tmp/old; sleep 98766 >/dev/null 2>&1 &"),
	    MW_OK, "... and which is empty");
	is_str(out, "", "... indeed");
	fresh_ctx();
	is_int(sb->ops->stat(sb, &ctx, "new", "f", &st), MW_FILE_NOT_FOUND, "proven now");
	if (rename(in_top("sandboxes/new"), in_top("sandboxes/taken")) != 0)
		die("rename");
	is_int(status("new").state, MW_SB_ABSENT, "without its directory it is absent");
	is_int(sh("new", "true"), MW_SANDBOX_NOT_FOUND, "... for commands");
	fresh_ctx();
	is_int(sb->ops->stat(sb, &ctx, "new", "f", &st), MW_SANDBOX_NOT_FOUND, "... for files");
	is_int(start("new"), MW_OK, "start makes it anew");
	is_int(count("sleep 98766"), 0, "... what ran on is ended");
	fresh_ctx();
	is_int(sb->ops->stat(sb, &ctx, "new", "f", &st), MW_SANDBOX_HIBERNATING, "... the old marker counts no more");
	is_int(sh("new", "ls /tmp/old 2>/dev/null; :"), MW_OK, "... the old /tmp");
	is_str(out, "", "... is gone");
	is_int(stop("new"), MW_OK, "stop");
}

/* ---- many at once ---- */

static void
test_race(void)
{
	int i, good = 0, status_, round;
	pid_t pid[8];

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 8; i++) {
			pid[i] = fork();
			if (pid[i] == 0)
				_exit(start("race") == MW_OK && sh("race", "echo $PPID") == MW_OK ? 0 : 1);
		}
		for (i = 0; i < 8; i++) {
			if (pid[i] > 0 && waitpid(pid[i], &status_, 0) == pid[i] && status_ == 0)
				good++;
		}
		is_int(holders("race"), 1, "8 starts at once: one holder");
		is_int(stop("race"), MW_OK, "... stopped");
	}
	is_int(good, 24, "every one of them could use it");
	/* A holder whose starter is gone already is taken over, not doubled. */
	pid[0] = fork();
	if (pid[0] == 0) {
		(void)close(1);
		(void)open("/dev/null", O_WRONLY);
		(void)execl(in_top("self"), in_top("self"), "hold", "race", (char *)NULL);
		_exit(127);
	}
	is_int(start("race"), MW_OK, "a start beside a holder that was just begun");
	ok(sh("race", "echo here") == MW_OK && strcmp(out, "here\n") == 0, "... works");
	is_int(stop("race"), MW_OK, "... and stops");
	(void)waitpid(pid[0], &status_, 0);
	is_int(holders("race"), 0, "... leaving no holder");
}

/* ---- killed parts ---- */

/* The kernel takes a killed process 1's descriptors, then kills all in its namespace. */
static bool
ends(const char *tail)
{
	int64_t end = mw_now() + 10000;

	while (count(tail) > 0 && mw_left(end) > 0)
		mw_sleep_ms(2);
	return count(tail) == 0;
}

/* What was killed gives up its lock a moment after it is gone. */
static bool
sleeps(const char *user)
{
	int64_t end = mw_now() + 10000;

	while (status(user).state == MW_SB_STARTING && mw_left(end) > 0)
		mw_sleep_ms(2);
	return status(user).state == MW_SB_ASLEEP;
}

static void
test_killed(void)
{
	pid_t h, bwrap, agent;

	is_int(start("k"), MW_OK, "start");
	h = holder("k");
	bwrap = child_of(h);
	agent = child_of(bwrap);
	ok(h > 1 && bwrap > 1 && agent > 1, "holder, bubblewrap and agent");
	is_int(sh("k", "sleep 98767 >/dev/null 2>&1 &"), MW_OK, "exec");
	ok(kill(h, SIGKILL) == 0 && gone(h), "the holder is killed");
	ok(gone(bwrap) && gone(agent), "... bubblewrap and the agent end");
	is_int(stop("k"), MW_OK, "stop has nothing to do but to wait");
	ok(ends("sleep 98767"), "... all of it ends");
	is_int(start("k"), MW_OK, "start");
	h = holder("k");
	bwrap = child_of(h);
	is_int(sh("k", "sleep 98767 >/dev/null 2>&1 &"), MW_OK, "exec");
	ok(kill(bwrap, SIGKILL) == 0 && gone(h), "bubblewrap is killed: the holder ends");
	is_int(count("sleep 98767"), 0, "... and all of it");
	ok(sleeps("k"), "it sleeps");
	is_int(start("k"), MW_OK, "start over what was left");
	h = holder("k");
	agent = child_of(child_of(h));
	is_int(sh("k", "sleep 98767 >/dev/null 2>&1 &"), MW_OK, "exec");
	ok(kill(agent, SIGKILL) == 0 && gone(h), "the agent is killed: the holder ends");
	is_int(count("sleep 98767"), 0, "... and all of it");
	is_int(sh("k", "true"), MW_SANDBOX_HIBERNATING, "it sleeps");
}

static void
test_frozen(void)
{
	struct mw_sandbox_status st;
	pid_t agent;

	is_int(start("ice"), MW_OK, "start");
	agent = child_of(child_of(holder("ice")));
	ok(agent > 1 && kill(agent, SIGSTOP) == 0, "the agent is frozen");
	is_int(sh_within("ice", "true", 100), MW_SANDBOX_TIMEOUT, "exec is given up");
	fresh_ctx();
	ctx.deadline = mw_now() + 100;
	is_int(sb->ops->status(sb, &ctx, "ice", &st), MW_SANDBOX_UNREACHABLE, "status says so");
	fresh_ctx();
	ctx.deadline = mw_now() + 100;
	is_int(sb->ops->start(sb, &ctx, "ice"), MW_SANDBOX_UNREACHABLE, "start says so");
	is_int(stop("ice"), MW_OK, "stop kills it");
	is_int(holders("ice"), 0, "... with its holder");
	is_int(start("ice"), MW_OK, "start");
	is_int(sh("ice", "true"), MW_OK, "... works again");
	is_int(stop("ice"), MW_OK, "stop");
}

/* ---- hosts that are not ready for it ---- */

static void
test_unavailable(void)
{
	static const char fake[] = "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n";
	const char *path = keep(getenv("PATH"));
	struct mw_sandbox_status st;

	make_user("stuck");
	(void)setenv("PATH", "/nonexistent", 1);
	is_int(start("stuck"), MW_SANDBOX_UNAVAILABLE, "start without bubblewrap");
	ok(strstr(ctx.err.msg, "bubblewrap") != NULL && strstr(ctx.err.msg, "sandbox.local.isolation") != NULL,
	    "... names it and the setting");
	is_int(sh("stuck", "true"), MW_SANDBOX_UNAVAILABLE, "exec without bubblewrap");
	fresh_ctx();
	ok(sb->ops->status(sb, &ctx, "stuck", &st) == MW_OK && st.state == MW_SB_ASLEEP, "status works");
	if (mkdir(in_top("bin"), 0700) != 0)
		die("bin");
	spit(in_top("bin/bwrap"), fake, sizeof(fake) - 1);
	(void)chmod(in_top("bin/bwrap"), 0700);
	(void)setenv("PATH", in_top("bin"), 1);
	is_int(start("stuck"), MW_SANDBOX_UNAVAILABLE, "start where namespaces are refused");
	ok(strstr(ctx.err.msg, "No permissions to create new namespace") != NULL &&
	    strstr(ctx.err.msg, "sandbox.local.isolation") != NULL, "... says why: %s", ctx.err.msg);
	(void)setenv("PATH", path, 1);
	(void)setenv("MOLTWORKER_AGENT", "/nonexistent/agent", 1);
	is_int(start("stuck"), MW_SANDBOX_UNAVAILABLE, "start without the agent");
	ok(strstr(ctx.err.msg, "/nonexistent/agent") != NULL, "... names it");
	(void)setenv("MOLTWORKER_AGENT", in_top("self"), 1);
	(void)setenv("MOLTWORKER_MOLTCTL", "/nonexistent/moltctl", 1);
	is_int(start("stuck"), MW_SANDBOX_UNAVAILABLE, "start without moltctl");
	(void)setenv("MOLTWORKER_MOLTCTL", in_top("self"), 1);
	is_int(start("stuck"), MW_OK, "start with everything there");
	is_int(stop("stuck"), MW_OK, "stop");
}

/* A directory of the host that is shown inside and not empty. */
static const char *
shown_dir(void)
{
	DIR *dir = opendir("/usr/share");
	const struct dirent *de;
	static char path[300];
	struct stat st;

	while (dir != NULL && (de = readdir(dir)) != NULL) {
		(void)snprintf(path, sizeof(path), "/usr/share/%s", de->d_name);
		if (de->d_name[0] != '.' && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink > 2)
			break;
		path[0] = '\0';
	}
	if (dir != NULL)
		(void)closedir(dir);
	return path;
}

static void
test_layouts(void)
{
	char script[1024], deep[160];
	const char *dir = shown_dir();

	(void)setenv("MOLTWORKER_STORE_DIR_PATH", dir, 1);
	reopen("auto");
	is_int(start("cover"), MW_OK, "start with data of ours where programs are");
	(void)snprintf(script, sizeof(script), "ls -A %s; touch %s/x 2>/dev/null && echo written; :", dir, dir);
	is_int(sh("cover", script), MW_OK, dir);
	is_str(out, "", "... is empty inside, and stays so");
	is_int(stop("cover"), MW_OK, "stop");
	(void)setenv("MOLTWORKER_STORE_DIR_PATH", "/usr/lib", 1);
	reopen("auto");
	is_int(start("cover"), MW_SANDBOX_UNAVAILABLE, "data of ours in /usr/lib: nothing runs");
	(void)unsetenv("MOLTWORKER_STORE_DIR_PATH");

	(void)setenv("MOLTWORKER_SANDBOX_RUN_DIR", "/var/moltworker", 1);
	reopen("auto");
	is_int(start("far"), MW_OK, "start with a run_dir of its own");
	is_int(sh("far", "echo 00000000000000a9 >$MW_RUN_DIR/instance; cat /var/moltworker/instance"), MW_OK, "marker");
	is_str(out, "00000000000000a9\n", "... is there inside");
	is_int(access(in_top("sandboxes/.run/far/run/instance"), F_OK), 0, "... and on the host's side");
	is_int(stop("far"), MW_OK, "stop");
	(void)unsetenv("MOLTWORKER_SANDBOX_RUN_DIR");

	memset(deep, 'd', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	(void)setenv("MOLTWORKER_SANDBOX_LOCAL_PATH", in_top("%s", deep), 1);
	reopen("auto");
	is_int(start("long"), MW_OK, "start below a path longer than a socket's name");
	is_int(sh("long", "echo ok"), MW_OK, "exec");
	is_int(stop("long"), MW_OK, "stop");
	(void)unsetenv("MOLTWORKER_SANDBOX_LOCAL_PATH");
	reopen("auto");
}

static void
test_deadline(void)
{
	make_user("late");
	fresh_ctx();
	ctx.deadline = mw_now();
	is_int(sb->ops->start(sb, &ctx, "late"), MW_SANDBOX_TIMEOUT, "start without time");
	/* Its holder may be on the way: it is used or ended like any other. */
	is_int(start("late"), MW_OK, "start with time");
	is_int(holders("late"), 1, "... one holder");
	is_int(stop("late"), MW_OK, "stop");
}

int
main(int argc, char *argv[])
{
	set_up(argc, argv);
	test_drivers();
	test_enumerate();
	test_life();
	test_environment();
	test_new_user();
	test_race();
	test_killed();
	test_frozen();
	test_unavailable();
	test_layouts();
	test_deadline();
	tear_down();
	return done();
}
