/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine driver in its other modes, with a real Podman: sleeping by a pause, files in
 * directories of this host; and the container driver that starts and stops through it.  What
 * every driver must do, of which only coming and going (and files) unless MW_LONG is set, and
 * what is the mode's own.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "engine_fixture.h"
#include "sandbox/local/local.h"
#include "sandbox_suite.h"


static enum mw_code
stop(bool ends)
{
	enum mw_code code;

	box_fresh(&box);
	box.sb->stop_ends = ends;
	code = box.sb->ops->stop(box.sb, &box.ctx, box.user);
	box.sb->stop_ends = false;
	return code;
}

/* ---- paused ---- */

static const struct suite_driver paused = {
	.open = open_engine, .replace = remove_by_hand, .grain = 1, .stat_grain = 1,
	.stride = 6,
};

static bool
engine_pauses(void)
{
	bool can;

	box_open(&box, "can");
	box_ready(&box);
	can = by_hand("POST", "/containers/mwt-can/pause") == 204;
	if (!can) {
		suite_code(stop(false), MW_SANDBOX_UNAVAILABLE, "a pause that cannot be had");
		ok(strstr(box.ctx.err.msg, "sandbox.engine.sleep") != NULL, "names the setting");
		state_is(MW_SB_RUNNING, "and changes nothing");
		suite_code(stop(true), MW_OK, "a restart's stop needs none");
		state_is(MW_SB_ASLEEP, "it sleeps");
	}
	box_close(&box);
	remove_by_hand("can");
	return can;
}

/* A command that runs when its sandbox is paused would have no end.  What it has done is not
 * known: it runs on after the wake. */
static void
paused_meanwhile(void)
{
	const char *argv[] = { "sleep", "300", NULL };
	struct mw_exec x = { .argv = argv };
	int64_t began = mw_now();
	char path[64];
	struct ran ran;
	pid_t pid = fork();

	if (pid == 0) {
		mw_sleep_ms(1000);
		(void)snprintf(path, sizeof(path), "/containers/mwt-%s/pause", box.user);
		(void)by_hand("POST", path);
		_exit(0);
	}
	box_exec(&box, &x, 100, &ran);
	ok(ran.code == MW_SANDBOX_UNREACHABLE || ran.code == MW_SANDBOX_HIBERNATING,
	    "a command whose sandbox is paused under it: %s", mw_code_info(ran.code)->name);
	ok(mw_now() - began < SUITE_DEADLINE / 2, "is given up soon");
	ran_free(&ran);
	(void)waitpid(pid, NULL, 0);
	start();
	(void)sh("for p in $(pgrep sleep); do kill -9 $p; done; :");
}

/* Its processes stay, until a restart. */
static void
pause_keeps(void)
{
	const char *argv[] = { "cat", NULL };
	struct mw_exec x = { .argv = argv, .input = "in", .input_len = 2 };
	char pid[32];
	struct ran ran;

	box_open(&box, "keeps");
	ok((box.sb->flags & MW_SB_PAUSES) != 0, "the handle says so");
	box_ready(&box);
	(void)snprintf(pid, sizeof(pid), "%s",
	    sh("sleep 3600 >/dev/null 2>&1 & echo $! >\"$MW_RUN_DIR/pid\"; echo $!"));
	ok(atoi(pid) > 0, "something runs");
	suite_code(stop(false), MW_OK, "stop");
	state_is(MW_SB_ASLEEP, "it sleeps");
	box_exec(&box, &x, 100, &ran);
	suite_code(ran.code, MW_SANDBOX_HIBERNATING, "a command with an input");
	ran_free(&ran);
	start();
	is_str(sh("kill -0 $(cat \"$MW_RUN_DIR/pid\") && cat \"$MW_RUN_DIR/pid\""), pid,
	    "what ran runs on");
	is_str(sh("cat \"$MW_RUN_DIR/instance\""), SUITE_MARK, "it is the same instance");
	suite_code(stop(true), MW_OK, "a restart's stop");
	state_is(MW_SB_ASLEEP, "it sleeps");
	start();
	is_str(sh("kill -0 $(cat \"$MW_RUN_DIR/pid\") 2>/dev/null || echo gone"), "gone\n",
	    "nothing of it ran on");
	is_str(sh("cat \"$MW_RUN_DIR/instance\""), SUITE_MARK, "but the disk stayed");
	suite_code(stop(false), MW_OK, "stop");
	suite_code(stop(true), MW_OK, "one that is paused is stopped too");
	suite_code(stop(false), MW_OK, "and one that is stopped sleeps");
	start();
	is_str(sh("echo runs"), "runs\n", "and starts");
	paused_meanwhile();
	box_close(&box);
}

static void
test_paused(void)
{
	conf.sandbox.engine.sleep = (char *)(uintptr_t)"pause";
	drv = &paused;
	if (engine_pauses()) {
		if (getenv("MW_LONG") != NULL)
			suite(&paused);
		else
			suite_only_life(&paused);
		pause_keeps();
	} else
		ok(true, "a pause # SKIP this engine cannot pause (rootless, cgroup v1)");
	conf.sandbox.engine.sleep = (char *)(uintptr_t)"stop";
}

/* ---- bound ---- */

static char shared[160];		/* the directory that holds the users' */

static const char *
in_shared(const char *before, const char *user, const char *after)
{
	static char path[2][512];
	static unsigned next;
	char *out = path[next++ % 2];

	(void)snprintf(out, sizeof(path[0]), "%s/%s%s%s", shared, before, user, after);
	return out;
}

static void
wipe(const char *path)
{
	int dir = open("/", O_RDONLY | O_CLOEXEC);

	if (dir < 0 || !mw_local_wipe(dir, path + 1))
		printf("# %s stays: %s\n", path, strerror(errno));
	(void)close(dir);
}

static void
replace_bound(const char *user)
{
	remove_by_hand(user);
	wipe(in_shared("", user, ""));
	wipe(in_shared(".run/", user, ""));
}

static const struct suite_driver bound = {
	.open = open_engine, .replace = replace_bound, .grain = 1, .stat_grain = 1,
	.stride = 6,
};

/* None of these asks the engine anything. */
static void
bound_calls(void)
{
	struct mw_stat st;

	suite_code(put("d/f", "content"), MW_OK, "write");
	is_int(box.ctx.attempts, 0, "without a call");
	holds("d/f", "content", "read");
	is_int(box.ctx.attempts, 0, "without a call");
	suite_code(box_stat(&box, "d/f", &st), MW_OK, "stat");
	ok(lists("", true, "d/f", &st), "list");
	is_int(box.ctx.attempts, 0, "without a call");
	suite_code(get_code("none"), MW_FILE_NOT_FOUND, "what is not there");
	is_int(box.ctx.attempts, 0, "without a call");
}

static void
bound_files(void)
{
	const char *argv[] = { "cat", NULL };
	struct mw_exec x = { .argv = argv, .input = "in", .input_len = 2 };
	struct ran ran;

	box_open(&box, "b1");
	box_ready(&box);
	bound_calls();
	is_str(sh("cat d/f; printf inside >g"), "content", "the sandbox sees it");
	ok(access(in_shared("", "b1", "/g"), R_OK) == 0, "what it writes is here");
	suite_code(stop(false), MW_OK, "stop");
	bound_calls();
	suite_code(box_remove(&box, "d/f"), MW_OK, "asleep it is removed, too");
	suite_code(get_code("d/f"), MW_FILE_NOT_FOUND, "and gone");
	box_exec(&box, &x, 100, &ran);
	suite_code(ran.code, MW_SANDBOX_HIBERNATING, "a command with an input");
	ran_free(&ran);
	ok(rmdir(in_shared(".run/", "b1", "/run/in")) == 0, "which does not stay");
	remove_by_hand("b1");
	start();
	holds("g", "inside", "a container made anew has the files");
	is_str(sh("cat \"$MW_RUN_DIR/instance\" g"), SUITE_MARK "inside", "and the marker");
	suite_code(stop(false), MW_OK, "stop");
	wipe(in_shared("", "b1", ""));
	suite_code(get_code("g"), MW_SANDBOX_NOT_FOUND, "its directory was removed");
	start();
	suite_code(get_code("g"), MW_SANDBOX_HIBERNATING, "so the marker is too: no false 404");
	box_mark(&box);
	suite_code(put("g", "new"), MW_OK, "restored");
	is_str(sh("cat g"), "new", "it is seen inside");
	box_close(&box);
	replace_bound("b1");
}

/* What would never be seen inside is refused. */
static void
bound_elsewhere(void)
{
	char *files = conf.sandbox.engine.files;

	conf.sandbox.engine.files = (char *)(uintptr_t)"";
	box_open(&box, "b2");
	box_ready(&box);
	box_close(&box);
	conf.sandbox.engine.files = files;
	box_open(&box, "b2");
	suite_code(get_code("f"), MW_SANDBOX_UNAVAILABLE, "a container without the mounts");
	ok(strstr(box.ctx.err.msg, "nothing is mounted at sandbox.root") != NULL, "is told");
	suite_code(stop(false), MW_OK, "stop");
	box_fresh(&box);
	suite_code(box.sb->ops->start(box.sb, &box.ctx, "b2"), MW_SANDBOX_UNAVAILABLE, "start");
	box_close(&box);
	remove_by_hand("b2");
}

static void
test_bound(void)
{
	static const char *const users[] = { "life", "suite", "t0", "t1", "t2", "t3" };
	const char *dir = getenv("TMPDIR");
	char files[200];
	size_t i;

	(void)snprintf(shared, sizeof(shared), "%s/mw-bound-XXXXXX",
	    dir != NULL && strlen(dir) < 60 ? dir : "/tmp");
	if (mkdtemp(shared) == NULL)
		die("mkdtemp");
	(void)snprintf(files, sizeof(files), "%s/{user}", shared);
	conf.sandbox.engine.files = files;
	drv = &bound;
	for (i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		remove_by_hand(users[i]);	/* they have none of these mounts */
	bound_files();
	bound_elsewhere();
	if (getenv("MW_LONG") != NULL) {
		suite(&bound);
	} else {
		suite_only_life(&bound);
		suite_only_files(&bound);
	}
	(void)snprintf(files, sizeof(files), "%s/in/{user}/its/files", shared);
	(void)mkdir(in_shared("in", "", ""), 0700);
	box_open(&box, "b3");
	box_ready(&box);
	suite_code(put("f", "deep"), MW_OK, "a root further below");
	is_str(sh("cat f"), "deep", "is the one inside");
	ok(access(in_shared("in/", "b3", "/its/files/f"), R_OK) == 0, "and here");
	box_close(&box);
	conf.sandbox.engine.files = (char *)(uintptr_t)"";
}

/* ---- a container server that the engine starts and stops ---- */

/*
 * The image has no server, so these containers are made by hand: with the host's Python, and
 * tests/peers/cloudflare.py, which there runs commands in the container itself.  On the host's
 * network, each at an address of its own, which is the user's id: 127.0.0.21 and on.
 */
static int server_port;

static const char *
number_of(const char *name)
{
	static const char *const names[] = { "life", "suite", "t0", "t1", "t2", "t3", NULL };
	static const char *const numbers[] = { "21", "22", "23", "24", "25", "26" };
	size_t i;

	for (i = 0; names[i] != NULL; i++) {
		if (strcmp(names[i], name) == 0)
			return numbers[i];
	}
	return name;
}

static void
make_server(const char *user)
{
	const char *src = getenv("srcdir");
	char *top_dir = realpath(src != NULL ? src : ".", NULL), json[2048];

	if (top_dir == NULL)
		die("srcdir");
	(void)snprintf(json, sizeof(json), "{\"Cmd\":[\"/usr/bin/python3\",\"-BS\",\"/peer.py\","
	    "\"alone\",\"127.0.0.%s\",\"%d\"],\"HostConfig\":{\"NetworkMode\":\"host\","
	    "\"Init\":true,\"Binds\":[\"/usr:/usr:ro\",\"/usr/lib:/lib:ro\",\"/usr/lib64:/lib64:ro\","
	    "\"/usr/bin/bash:/bin/bash:ro\",\"%s/tests/peers/cloudflare.py:/peer.py:ro\"]}}",
	    user, server_port, top_dir);
	make_by_hand(user, json);
	free(top_dir);
}

static void
replace_server(const char *user)
{
	remove_by_hand(user);
	make_server(user);
}

static const struct suite_driver server = {
	.open = open_engine, .replace = replace_server, .grain = 1, .stat_grain = 1,
	.not_utf8 = true, .stride = 6, .user = number_of,
};

static void
choose_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), i;

	for (i = 0; fd >= 0 && i < 100; i++) {
		server_port = 20000 + (getpid() + i * 97) % 10000;
		a.sin_port = htons((uint16_t)server_port);
		if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			break;
	}
	(void)close(fd);
}

/* Asked of the engine and of the server, not of the driver. */
static bool
server_runs(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server_port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 26) };
	int64_t end = mw_now() + 20000;
	bool up = false;
	int fd;

	make_server("27");
	(void)by_hand("POST", "/containers/mwt-27/start");
	while (!up && mw_left(end) > 0) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		up = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
		(void)close(fd);
		if (!up)
			mw_sleep_ms(50);
	}
	remove_by_hand("27");
	return up;
}

/* One that the driver made itself: of an image without a server. */
static void
server_missing(void)
{
	enum mw_code code = MW_SANDBOX_TIMEOUT;
	int i;

	conf.sandbox.engine.create = true;
	box_open(&box, "28");
	ok((box.sb->flags & MW_SB_CAN_CREATE) != 0, "it can create");
	ok((box.sb->flags & MW_SB_CAN_STOP) != 0, "and stop");
	ok((box.sb->flags & MW_SB_FILES_ASLEEP) == 0, "but has no files asleep");
	/* The time may be over before the engine has started it. */
	for (i = 0; i < 40 && code == MW_SANDBOX_TIMEOUT; i++) {
		box_fresh(&box);
		box.ctx.deadline = mw_now() + 1000;
		code = box.sb->ops->start(box.sb, &box.ctx, box.user);
	}
	suite_code(code, MW_SANDBOX_UNREACHABLE, "a server that does not come up");
	state_is(MW_SB_STARTING, "is starting");
	suite_code(exec_code(), MW_SANDBOX_UNREACHABLE, "a command is worth another try");
	suite_code(stop(false), MW_OK, "stop");
	suite_code(exec_code(), MW_SANDBOX_HIBERNATING, "then it sleeps");
	box_close(&box);
	remove_by_hand("28");
	conf.sandbox.engine.create = false;
}

static void
test_server(void)
{
	static const char *const users[] = { "suite", "t0", "t1", "t2", "t3" };
	char url[64];
	size_t i;

	conf.sandbox.driver = (char *)(uintptr_t)"container";
	conf.sandbox.container.engine = true;
	conf.sandbox.container.url = url;
	conf.sandbox.engine.create = false;
	drv = &server;
	choose_port();
	(void)snprintf(url, sizeof(url), "http://127.0.0.{user}:%d", server_port);
	if (!server_runs()) {
		ok(true, "a server in a container # SKIP the host's Python does not run in one");
		return;
	}
	server_missing();
	if (getenv("MW_LONG") != NULL) {
		for (i = 0; i < sizeof(users) / sizeof(users[0]); i++)
			make_server(number_of(users[i]));
		suite(&server);
	} else {
		suite_only_life(&server);
	}
	for (i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		remove_by_hand(number_of(users[i]));
	/* Frozen, a server takes connections and says nothing. */
	conf.sandbox.engine.sleep = (char *)(uintptr_t)"pause";
	box_open(&box, "life");
	box_ready(&box);
	if (stop(false) == MW_OK) {
		state_is(MW_SB_ASLEEP, "paused, it sleeps");
		suite_code(exec_code(), MW_SANDBOX_HIBERNATING, "exec, at once");
		suite_code(put("f", "x"), MW_SANDBOX_HIBERNATING, "write");
		start();
		is_str(sh("echo runs"), "runs\n", "and on it goes");
		paused_meanwhile();
	} else
		ok(true, "a pause # SKIP this engine cannot pause (rootless, cgroup v1)");
	box_close(&box);
	remove_by_hand("21");
}

int
main(void)
{
	if (!engine_up())
		return 0;
	test_paused();
	test_bound();
	test_server();
	conf.sandbox.driver = (char *)(uintptr_t)"engine";
	engine_down();
	if (*shared != '\0')
		wipe(shared);
	return done();
}
