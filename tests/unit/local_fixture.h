/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A local sandbox for tests: a directory of its own, a configuration in it, and
 * this very program in the parts of `moltctl hold` and of the agent.  Root gives
 * up its rights first, since nothing is run as root.
 */
#ifndef MW_TESTS_LOCAL_FIXTURE_H
#define MW_TESTS_LOCAL_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "sandbox/agent/agent.h"
#include "sandbox/agent/exec.h"
#include "sandbox/local/local.h"
#include "tap.h"

#define DEADLINE 30000

static char top[128];		/* the test's directory, "sandboxes" is in it */
static struct mw_conf *conf;
static struct mw_sandbox *sb;
static struct mw_ctx ctx;

/* A path in the test's directory; good for the next seven calls, see keep(). */
__attribute__((format(printf, 1, 2))) static const char *
in_top(const char *fmt, ...)
{
	static _Thread_local char buf[8][1024];
	static _Thread_local unsigned next;
	char *out = buf[next++ % 8];
	int n = snprintf(out, sizeof(buf[0]), "%s/", top);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(out + n, sizeof(buf[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	return out;
}

/* A copy that stays until the end of the test. */
__attribute__((unused)) static const char *
keep(const char *s)
{
	static char pool[16384];
	static size_t used;
	size_t n = strlen(s) + 1;
	char *out = pool + used;

	if (n > sizeof(pool) - used)
		abort();
	memcpy(out, s, n);
	used += n;
	return out;
}

static void
die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((unused)) static void
spit(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		die(path);
	(void)close(fd);
}

static void
copy_self(void)
{
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int out = open(in_top("self"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	static char buf[65536];
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0) {
		if (write(out, buf, (size_t)n) != n)
			die("copy");
	}
	if (n != 0 || fchmod(out, 0755) != 0 || close(out) != 0)
		die("copy");
	(void)close(in);
}

/* What root was told when it asked whether it may run something; MW_OK = was not root. */
static enum mw_code root_told;

static void
drop_root(void)
{
	struct mw_local plain = { .plain = true };
	struct passwd *pw;

	if (geteuid() != 0)
		return;
	root_told = mw_local_may_run(&plain, NULL);
	pw = getpwnam("www-data");
	if (pw == NULL)
		pw = getpwnam("nobody");
	if (pw == NULL || chown(top, pw->pw_uid, pw->pw_gid) != 0 ||
	    setgroups(0, NULL) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
		die("cannot give up root");
}

static void
fresh_ctx(void)
{
	const char *id = "test";

	if (ctx.arena == NULL)
		ctx.arena = mw_arena_open(8 << 20);
	mw_arena_reset(ctx.arena);
	ctx = (struct mw_ctx){ .arena = ctx.arena, .deadline = mw_now() + DEADLINE,
	    .request_id = id };
}

/* The handle, anew, for an isolation. */
static void
reopen(const char *isolation)
{
	struct mw_err err = { 0 };

	mw_sandbox_close(sb);
	mw_conf_free(conf);
	if (setenv("MOLTWORKER_SANDBOX_LOCAL_ISOLATION", isolation, 1) != 0 ||
	    mw_conf_load(NULL, &conf, &err) != MW_OK || mw_sandbox_open(conf, &sb, &err) != MW_OK) {
		printf("# %s\n", err.msg);
		die("open");
	}
	fresh_ctx();
}

/* Parts of this program that it starts itself. */
static void
act(int argc, char *argv[])
{
	struct mw_err err = { 0 };

	if (argc == 2 && strcmp(argv[1], MW_AG_WORD) == 0)
		exit(mw_agent_main(argc, argv));
	if (argc == 3 && strcmp(argv[1], "hold") == 0) {
		if (mw_conf_load(NULL, &conf, &err) != MW_OK) {
			fprintf(stderr, "%s\n", err.msg);
			exit(1);
		}
		exit(mw_local_hold(conf, argv[2]));
	}
	/* Else what is detached by a test would run all tests, and detach more. */
	if (argc > 1) {
		fprintf(stderr, "%s: no such act\n", argv[1]);
		exit(2);
	}
}

static void
set_up(int argc, char *argv[])
{
	const char *dir = getenv("TMPDIR");
	static char text[2048];

	act(argc, argv);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)snprintf(top, sizeof(top), "%s/mw-local-XXXXXX",
	    dir != NULL && strlen(dir) < 90 ? dir : "/tmp");
	if (mkdtemp(top) == NULL)
		die("mkdtemp");
	copy_self();
	drop_root();
	if (mkdir(in_top("state"), 0700) != 0 || mkdir(in_top("store"), 0700) != 0)
		die("mkdir");
	spit(in_top("admin.secret"), "hush-hush-not-for-you\n", 22);
	if (chmod(in_top("admin.secret"), 0600) != 0)
		die("chmod");
	(void)snprintf(text, sizeof(text),
	    "auth: { secret_file = \"%s/admin.secret\"; };\n"
	    "store: { driver = \"dir\"; dir: { path = \"%s/store\"; }; };\n"
	    "sandbox: { driver = \"local\"; local: { path = \"%s/sandboxes\"; }; };\n"
	    "state: { path = \"%s/state\"; };\n", top, top, top, top);
	spit(in_top("conf"), text, strlen(text));
	if (setenv("MOLTWORKER_CONFIG", in_top("conf"), 1) != 0 ||
	    setenv("MOLTWORKER_MOLTCTL", in_top("self"), 1) != 0 ||
	    setenv("MOLTWORKER_AGENT", in_top("self"), 1) != 0)
		die("setenv");
	reopen("auto");
}

static void
tear_down(void)
{
	int dir = open("/", O_RDONLY | O_CLOEXEC);

	mw_sandbox_close(sb);
	mw_conf_free(conf);
	mw_arena_close(ctx.arena);
	/* As root the directory in /tmp was given away: it can still be emptied. */
	if (dir >= 0 && !mw_local_wipe(dir, top + 1))
		printf("# %s stays: %s\n", top, strerror(errno));
	if (dir >= 0)
		(void)close(dir);
}

/* Make `user` exist as a sandbox whose files are proven, without running anything. */
__attribute__((unused)) static void
make_user(const char *user)
{
	int run;

	(void)mkdir(in_top("sandboxes"), 0700);
	run = mw_local_make_run_dir((struct mw_local *)sb, user);
	if (run < 0 || mkdir(in_top("sandboxes/%s", user), 0700) != 0 ||
	    mkdirat(run, "tmp", 0700) != 0 || mkdirat(run, "tmp/.moltworker", 0700) != 0)
		die(user);
	(void)close(run);
	spit(in_top("sandboxes/.run/%s/tmp/.moltworker/instance", user), "00000000000000a1\n", 17);
}

#endif
