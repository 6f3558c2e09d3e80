/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands in a local sandbox: what they get, what they give, what they cannot reach. */
#include "local_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"

static struct mw_exec_result res;

static enum mw_code
run_x(const char *user, const struct mw_exec *x, size_t max)
{
	mw_buf_free(&res.out);
	mw_buf_free(&res.err);
	memset(&res, 0, sizeof(res));
	mw_buf_init(&res.out, max);
	mw_buf_init(&res.err, max);
	fresh_ctx();
	return sb->ops->exec(sb, &ctx, user, x, &res);
}

static enum mw_code
sh_as(const char *user, const char *script, int64_t timeout)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct mw_exec x = { .argv = argv, .timeout = timeout };

	return run_x(user, &x, 2 << 20);
}

static enum mw_code
sh(const char *script)
{
	return sh_as("alice", script, 20000);
}

static const char *
out(void)
{
	return res.out.data == NULL ? "" : res.out.data;
}

static const char *
err(void)
{
	return res.err.data == NULL ? "" : res.err.data;
}

/* The script ends with 0 and says exactly this. */
static void
says(const char *script, const char *want, const char *what)
{
	enum mw_code rc = sh(script);

	if (!ok(rc == MW_OK && res.exit_code == 0 && strcmp(out(), want) == 0, "%s", what))
		printf("# code %d, exit %d, out '%s', err '%s', %s\n", rc, res.exit_code, out(),
		    err(), ctx.err.msg);
}

static void
start(const char *user)
{
	fresh_ctx();
	if (!ok(sb->ops->start(sb, &ctx, user) == MW_OK, "%s starts", user))
		printf("# %s\n", ctx.err.msg);
}

static void
stop(const char *user)
{
	fresh_ctx();
	if (!ok(sb->ops->stop(sb, &ctx, user) == MW_OK, "%s stops", user))
		printf("# %s\n", ctx.err.msg);
}

/* Ask again until it is so; false after some seconds. */
static bool
becomes(const char *script, const char *want)
{
	int64_t end = mw_now() + 10000;

	do {
		if (sh(script) == MW_OK && strcmp(out(), want) == 0)
			return true;
		mw_sleep_ms(5);
	} while (mw_left(end) > 0);
	return false;
}

/* ---- results ---- */

static void
test_status(void)
{
	static const struct { const char *script; int code; } cases[] = {
		{ "exit 0", 0 }, { "exit 1", 1 }, { "exit 126", 126 }, { "exit 255", 255 },
		{ "no-such-command-here", 127 }, { "kill -9 $$", 137 }, { "kill -TERM $$", 143 },
		{ "exec 2>/dev/null; false", 1 }
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)(sh(cases[i].script) == MW_OK || printf("# %s\n", ctx.err.msg));
		is_int(res.exit_code, cases[i].code, cases[i].script);
	}
}

static void
test_refusals(void)
{
	const char *const none[] = { "/no/such/program", NULL };
	const char *const sh_true[] = { "sh", "-c", "touch ran", NULL };
	const char *const empty[] = { NULL };
	struct mw_exec x = { .argv = none, .timeout = 5000 };
	static char big[9 << 20];

	is_int(run_x("alice", &x, 100), MW_COMMAND_ERROR, "no such program");
	ok(strstr(ctx.err.msg, "/no/such/program") != NULL, "... is named");
	x.argv = sh_true;
	x.cwd = "/no/such/dir";
	is_int(run_x("alice", &x, 100), MW_COMMAND_ERROR, "no such directory");
	ok(strstr(ctx.err.msg, "/no/such/dir") != NULL, "... is named");
	x.cwd = NULL;
	x.input = big;
	x.input_len = sizeof(big);
	is_int(run_x("alice", &x, 100), MW_BODY_TOO_LARGE, "too much input");
	x = (struct mw_exec){ .argv = empty, .timeout = 5000 };
	is_int(run_x("alice", &x, 100), MW_INVALID_ARGUMENT, "no arguments at all");
	says("ls", "", "none of them ran");
	x = (struct mw_exec){ .argv = sh_true, .timeout = 5000 };
	is_int(run_x("nobody", &x, 100), MW_SANDBOX_NOT_FOUND, "no such user");
	make_user("asleep");
	is_int(run_x("asleep", &x, 100), MW_SANDBOX_HIBERNATING, "a user that sleeps");
}

static void
test_output(void)
{
	const char *const argv[] = { "sh", "-c", "head -c 1000 /dev/zero; printf e >&2", NULL };
	struct mw_exec x = { .argv = argv, .timeout = 5000 };

	is_int(sh("head -c 1048576 /dev/zero | tr '\\0' x; head -c 1048576 /dev/zero | tr '\\0' y >&2"),
	    MW_OK, "1 MiB on both streams");
	ok(res.out.len == 1 << 20 && out()[0] == 'x' && out()[(1 << 20) - 1] == 'x' && !res.out_cut,
	    "... all of stdout");
	ok(res.err.len == 1 << 20 && err()[0] == 'y' && !res.err_cut, "... all of stderr");
	is_int(run_x("alice", &x, 100), MW_OK, "more than the cap");
	ok(res.out.len == 100 && res.out_cut && !res.err_cut && res.err.len == 1, "... is cut, and said");
	is_int(run_x("alice", &x, 1000), MW_OK, "exactly the cap");
	ok(res.out.len == 1000 && !res.out_cut, "... is not");
	says("printf 'a\\377b'", "a\377b", "bytes are bytes");
}

static void
test_input(void)
{
	static char big[3 << 20];
	const char *const argv[] = { "sh", "-c", "cat", NULL };
	const char *const lazy[] = { "sh", "-c", "head -c 3", NULL };
	struct mw_exec x = { .argv = argv, .timeout = 20000, .input = big, .input_len = sizeof(big) };
	size_t i;

	for (i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	is_int(run_x("alice", &x, 4 << 20), MW_OK, "3 MiB of input, all said back");
	ok(res.out.len == sizeof(big) && memcmp(res.out.data, big, sizeof(big)) == 0, "... bit for bit");
	x.argv = lazy;
	is_int(run_x("alice", &x, 100), MW_OK, "input that is not read");
	is_int((int64_t)res.out.len, 3, "... does no harm");
	x.argv = argv;
	x.input_len = 0;
	is_int(run_x("alice", &x, 100), MW_OK, "input of 0 bytes");
	says("cat", "", "no input");
}

static void
test_data_not_code(void)
{
	const char *const argv[] = { "printf", "%s|", "$(touch /tmp/pwned)", "; touch /tmp/pwned", "'", "\"",
	    "", "\n", "-n", "*", NULL };
	const char *const env[] = { "A=$(touch /tmp/pwned)", "B=`id`;'\"\n$A", "EMPTY=", "MW_ROOT=/evil",
	    "MW_RUN_DIR=/evil", "HOME=/tmp", "X=1", NULL };
	const char *const show[] = { "sh", "-c", "printf '%s|' \"$A\" \"$B\" \"${EMPTY-unset}\" "
	    "\"$MW_ROOT\" \"$MW_RUN_DIR\" \"$HOME\" \"$X\" \"$USER\"; env | grep -c ^HOME=", NULL };
	struct mw_exec x = { .argv = argv, .env = env, .timeout = 5000 };

	is_int(run_x("alice", &x, 1000), MW_OK, "arguments");
	is_str(out(), "$(touch /tmp/pwned)|; touch /tmp/pwned|'|\"||\n|-n|*|", "... are data");
	x.argv = show;
	is_int(run_x("alice", &x, 1000), MW_OK, "environment");
	is_str(out(), "$(touch /tmp/pwned)|`id`;'\"\n$A||/workspace|/tmp/.moltworker|/tmp|1|alice|1\n",
	    "... is data, and ours stays ours");
	x = (struct mw_exec){ .argv = show, .timeout = 5000, .cwd = "a;touch $(id)/tmp/pwned" };
	is_int(run_x("alice", &x, 1000), MW_COMMAND_ERROR, "a directory is data too");
	says("ls /tmp/pwned 2>/dev/null || echo none", "none\n", "nothing of it ran");
}

static void
test_place(void)
{
	const char *const argv[] = { "pwd", NULL };
	struct mw_exec x = { .argv = argv, .timeout = 5000, .cwd = "sub/dir" };

	says("pwd; echo $MW_ROOT $HOME; mkdir -p sub/dir", "/workspace\n/workspace /workspace\n",
	    "commands start in the user's root");
	is_int(run_x("alice", &x, 100), MW_OK, "a relative directory");
	is_str(out(), "/workspace/sub/dir\n", "... is below it");
	x.cwd = "/usr";
	is_int(run_x("alice", &x, 100), MW_OK, "an absolute one");
	is_str(out(), "/usr\n", "... is meant as seen inside");
	says("mkdir -p $MW_RUN_DIR && echo 00000000000000a7 >$MW_RUN_DIR/instance && umask", "0022\n", "the marker");
	ok(access(in_top("sandboxes/.run/alice/tmp/.moltworker/instance"), F_OK) == 0,
	    "... is where the driver looks for it");
	says("ps -o sid= -p $$ | tr -d ' ' | grep -qx $$ && echo leads", "leads\n",
	    "a command leads a session of its own");
}

/* ---- time ---- */

static void
test_background(void)
{
	int64_t before = mw_now();

	says("sleep 300 & echo $! >/tmp/bg; echo done", "done\n", "a child that keeps stdout open");
	ok(mw_now() - before < 20000, "... does not hold the answer");
	says("kill -0 $(cat /tmp/bg) && echo lives; kill $(cat /tmp/bg)", "lives\n", "... and lives on");
	says("(until [ -e /tmp/go ]; do sleep 0.02; done; "
	    "while sleep 0.02; do echo tick; [ -e /tmp/enough ] && touch /tmp/survived && exit; done) & echo x",
	    "x\n", "one that goes on and will write");
	says("touch /tmp/go; sleep 0.3; touch /tmp/enough", "", "... for a while");
	ok(becomes("[ -e /tmp/survived ] && echo yes", "yes\n"), "... is not killed by it");
}

static void
test_timeout(void)
{
	int64_t before = mw_now();

	is_int(sh_as("alice", "echo $$ >/tmp/slow; for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.05; done; "
	    "touch /tmp/slow-done; sleep 100", 150), MW_SANDBOX_TIMEOUT, "a call that takes too long");
	ok(mw_now() - before < 20000, "... is given up in time");
	ok(becomes("[ -e /tmp/slow-done ] && echo yes", "yes\n"), "... its command goes on without us");
	says("kill -9 $(cat /tmp/slow)", "", "it was still there");
}

static void *
one_exec(void *arg)
{
	const char *const argv[] = { "sh", "-c", "sleep 1; echo $N", NULL };
	const char *env[] = { arg, NULL };
	struct mw_exec x = { .argv = argv, .env = env, .timeout = 20000 };
	struct mw_exec_result r = { 0 };
	struct mw_ctx c = { .arena = mw_arena_open(1 << 20), .deadline = mw_now() + DEADLINE,
	    .request_id = "t" };
	struct mw_sandbox *own = NULL;
	bool good;

	mw_buf_init(&r.out, 100);
	mw_buf_init(&r.err, 100);
	good = mw_sandbox_open(conf, &own, &c.err) == MW_OK &&
	    own->ops->exec(own, &c, "alice", &x, &r) == MW_OK && r.out.len > 1 &&
	    strncmp(r.out.data, (const char *)arg + 2, r.out.len - 1) == 0;
	mw_sandbox_close(own);
	mw_buf_free(&r.out);
	mw_buf_free(&r.err);
	mw_arena_close(c.arena);
	return good ? arg : NULL;
}

static void
test_many(void)
{
	static char names[32][8];
	pthread_t t[32];
	int i, good = 0;
	int64_t before = mw_now();
	void *ret;

	for (i = 0; i < 32; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "N=%d", i);
		if (pthread_create(&t[i], NULL, one_exec, names[i]) != 0)
			die("thread");
	}
	for (i = 0; i < 32; i++) {
		(void)pthread_join(t[i], &ret);
		good += ret != NULL;
	}
	is_int(good, 32, "32 commands at once, each with its own answer");
	ok(mw_now() - before < 20000, "... side by side");
}

/* ---- what it cannot reach ---- */

static void
test_walls(void)
{
	char script[2048];

	(void)snprintf(script, sizeof(script), "for f in %s/admin.secret %s/conf %s/state %s/store %s/sandboxes "
	    "/etc/shadow /root /var/lib /home /run/lock; do [ -e $f ] && echo $f; done; :", top, top, top, top, top);
	says(script, "", "secret, state, store and other users do not exist inside");
	says("cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | "
	    "grep -i -e 'secret[=]' -e 'hus[h]' -e 'MOLTWORKER[_]' -e 'GATEWAY[_]' -e 'sandboxe[s]'; :", "",
	    "nothing of our environment or command lines is inside");
	says("env | sed 's/=.*//' | sort | tr '\\n' ' '",
	    "HOME LANG LOGNAME MW_HOLDER MW_ROOT MW_RUN_DIR PATH PWD SHELL TMPDIR USER ", "the environment is the built one");
	says("grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status | grep -v 0000000000000000; "
	    "grep NoNewPrivs /proc/self/status | tr -d '\\t'", "NoNewPrivs:1\n", "no capability is left");
	says("sed 1,2d /proc/net/dev | grep -v lo:; :", "", "there is no network but the loopback");
	says("touch /usr/x /x /etc/x 2>/dev/null; ls /usr/x /x /etc/x 2>/dev/null; :", "",
	    "only the user's own can be written");
	is_int(sh("kill -9 1; kill -9 -1"), MW_SANDBOX_UNREACHABLE, "killing everything");
	says("echo still", "still\n", "... does not end the sandbox");
	says("cat /proc/1/environ /proc/1/maps 2>/dev/null | wc -c; ls -l /proc/1/fd 2>/dev/null | wc -l",
	    "0\n0\n", "the agent cannot be looked into");
	says("ls /proc/self/fd | wc -l", "4\n", "a command has its three descriptors, and none of ours");
	says("hostname", "sandbox\n", "the host's name is not shown");
}

/* ---- an agent that lies ---- */

/* What it sends, in place of each answer. */
static const struct { const char *name; unsigned char bytes[64]; size_t n; bool endless; } lies[] = {
	{ "nothing", "", 0, false },
	{ "half a head", "MW\1", 3, false },
	{ "text", "HTTP/1.1 200 OK\r\n\r\n", 19, false },
	{ "a wrong version", "MW\2\x45\0\0\0\x8\0\0\0\0\0\0\0\0", 16, false },
	{ "an unknown type", "MW\1\x63\0\0\0\0", 8, false },
	{ "a request", "MW\1\4\0\0\0\0", 8, false },
	{ "a huge frame", "MW\1\x43\xff\xff\xff\xff", 8, false },
	{ "a piece over the cap", "MW\1\x43\0\0\0\x65", 8, true },
	{ "empty pieces for ever", "MW\1\x43\0\0\0\0", 8, true },
	{ "more output than asked for", "MW\1\x43\0\0\0\x10" "0123456789abcdef", 24, true },
	{ "a cut end", "MW\1\x45\0\0\0\x8\0\0", 10, false },
	{ "a short end", "MW\1\x45\0\0\0\4\0\0\0\0", 12, false },
	{ "an impossible status", "MW\1\x45\0\0\0\x8\0\0\1\0\0\0\0\0", 16, false },
	{ "an impossible failure", "MW\1\x46\0\0\0\x8\0\0\0\x9\0\0\0\0", 16, false },
};

static void *
liar(void *arg)
{
	int fd = *(int *)arg, client;
	unsigned char req[4096];
	size_t i;

	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		client = accept(fd, NULL, NULL);
		if (client < 0 || recv(client, req, sizeof(req), 0) <= 0)
			break;
		while (send(client, lies[i].bytes, lies[i].n, MSG_NOSIGNAL) > 0 && lies[i].endless)
			;
		(void)close(client);
	}
	/* Then one that says nothing at all, and keeps the line. */
	client = accept(fd, NULL, NULL);
	while (client >= 0 && recv(client, req, sizeof(req), 0) > 0)
		;
	(void)close(client);
	return NULL;
}

static void
test_liar(void)
{
	const char *const argv[] = { "true", NULL };
	struct mw_exec x = { .argv = argv, .timeout = 10000 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct mw_sandbox_status st;
	int64_t before;
	pthread_t t;
	size_t i;

	make_user("liar");
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", in_top("sandboxes/.run/liar/sock"));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0 || listen(fd, 8) != 0 ||
	    pthread_create(&t, NULL, liar, &fd) != 0)
		die("liar");
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		is_int(run_x("liar", &x, 100), MW_SANDBOX_UNREACHABLE, lies[i].name);
		ok(res.out.len <= 100 && ctx.err.msg[0] != '\0', "... within the cap");
	}
	before = mw_now();
	x.timeout = 100;
	is_int(run_x("liar", &x, 100), MW_SANDBOX_TIMEOUT, "silence");
	ok(mw_now() - before < 20000, "... ends in time");
	(void)pthread_join(t, NULL);
	(void)close(fd);
	fresh_ctx();
	ok(sb->ops->status(sb, &ctx, "liar", &st) == MW_OK && st.state == MW_SB_ASLEEP,
	    "without an agent it sleeps");
}

/* ---- without bubblewrap, as somebody chose ---- */

static void
test_none(void)
{
	reopen("none");
	start("plain");
	is_int(sh_as("plain", "pwd; echo $MW_ROOT; echo $MW_RUN_DIR; mkdir -p $MW_RUN_DIR; echo 00000000000000a8 >$MW_RUN_DIR/instance",
	    20000), MW_OK, "isolation none");
	ok(strstr(out(), in_top("sandboxes/plain\n%s/sandboxes/plain\n%s/sandboxes/.run/plain/tmp/.moltworker\n",
	    top, top)) == out(), "... runs in the host's directory");
	ok(access(in_top("sandboxes/.run/plain/tmp/.moltworker/instance"), F_OK) == 0, "... has its marker");
	is_int(sh_as("plain", "env | grep -c -e MOLTWORKER -e GATEWAY -e HTTP_; :", 20000), MW_OK, "... its environment");
	is_str(out(), "0\n", "... holds nothing of ours");
	is_int(sh_as("plain", "setsid sleep 4321 & (setsid setsid sleep 4321 &); echo $! >pid", 20000), MW_OK,
	    "... what ran away");
	stop("plain");
	{
		const char *p = keep(in_top("sandboxes/plain/pid"));
		FILE *f = fopen(p, "r");
		int pid = 0;
		char line[32] = "";

		if (f != NULL && fgets(line, sizeof(line), f) != NULL)
			pid = (int)strtol(line, NULL, 10);
		if (f != NULL)
			(void)fclose(f);
		ok(pid > 1 && kill(pid, 0) != 0 && errno == ESRCH, "... is ended by stop");
	}
	reopen("auto");
}

int
main(int argc, char *argv[])
{
	set_up(argc, argv);
	/* As a plain CGI process has them. */
	if (setenv("HTTP_X_ADMIN_SECRET", "hush", 1) != 0 || setenv("GATEWAY_INTERFACE", "CGI/1.1", 1) != 0 ||
	    setenv("MOLTWORKER_SECRET", "hush", 1) != 0)
		die("setenv");
	start("alice");
	test_status();
	test_refusals();
	test_output();
	test_input();
	test_data_not_code();
	test_place();
	test_background();
	test_timeout();
	test_many();
	test_walls();
	stop("alice");
	is_int(sh("true"), MW_SANDBOX_HIBERNATING, "a stopped sandbox sleeps");
	test_liar();
	test_none();
	mw_buf_free(&res.out);
	mw_buf_free(&res.err);
	tear_down();
	return done();
}
