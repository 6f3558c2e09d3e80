/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A real Podman for tests, rootless, in a directory of its own: tests/peers/podman.sh,
 * which ends when this program does.  MW_ENGINE_SOCKET and MW_ENGINE_IMAGE point the tests
 * at another engine (Docker, a Podman of root's); containers named mwt-* are removed there.
 */
#ifndef MW_TESTS_ENGINE_FIXTURE_H
#define MW_TESTS_ENGINE_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "conf/conf.h"
#include "sandbox/engine/internal.h"
#include "tap.h"

static char top[128];		/* the test's directory, "" = an engine from outside */
static struct mw_conf conf;
static int peer_in = -1, peer_out = -1;
static pid_t peer_pid = -1;

static void
die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
drop_root(void)
{
	struct passwd *pw = getpwnam("www-data");

	if (geteuid() != 0)
		return;
	if (pw == NULL || chown(top, pw->pw_uid, pw->pw_gid) != 0 || setgroups(0, NULL) != 0 ||
	    setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
		die("cannot give up root");
}

/* The peer's next line, without its newline. */
static const char *
peer_line(void)
{
	static char line[512];
	size_t n = 0;

	while (n + 1 < sizeof(line) && read(peer_out, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	return line;
}

__attribute__((unused)) static const char *
peer_say(const char *word)
{
	if (dprintf(peer_in, "%s\n", word) < 0)
		die("peer");
	return peer_line();
}

static void
start_peer(void)
{
	const char *src = getenv("srcdir");
	char script[512], engine[160];
	int in[2], out[2];

	(void)snprintf(script, sizeof(script), "%s/tests/peers/podman.sh",
	    src != NULL ? src : ".");
	(void)snprintf(engine, sizeof(engine), "%s/e", top);
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		die("pipe");
	peer_pid = fork();
	if (peer_pid == 0) {
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)execlp("bash", "bash", script, engine, (char *)NULL);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	peer_in = in[1];
	peer_out = out[0];
}

/* A real engine, or false: then the program has said why it skips, and is done. */
static bool
engine_up(void)
{
	static char socket[256];
	const char *dir = getenv("TMPDIR"), *line;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	conf.sandbox.driver = (char *)(uintptr_t)"engine";
	conf.sandbox.name = (char *)(uintptr_t)"mwt-{user}";
	conf.sandbox.root = (char *)(uintptr_t)"/workspace";
	conf.sandbox.run_dir = (char *)(uintptr_t)"/tmp/.moltworker";
	conf.sandbox.timeout = 30000;
	conf.sandbox.engine.create = true;
	conf.sandbox.engine.memory = (char *)(uintptr_t)"256m";
	conf.sandbox.engine.network = (char *)(uintptr_t)"none";
	conf.sandbox.engine.sleep = (char *)(uintptr_t)"stop";
	conf.sandbox.engine.files = (char *)(uintptr_t)"";
	conf.sandbox.engine.image = getenv("MW_ENGINE_IMAGE");
	conf.sandbox.engine.socket = getenv("MW_ENGINE_SOCKET");
	if (conf.sandbox.engine.image == NULL)
		conf.sandbox.engine.image = (char *)(uintptr_t)"localhost/moltworker-test:1";
	if (conf.sandbox.engine.socket != NULL)
		return true;
	(void)snprintf(top, sizeof(top), "%s/e.XXXXXX",
	    dir != NULL && strlen(dir) < 60 ? dir : "/tmp");
	if (mkdtemp(top) == NULL)
		die("mkdtemp");
	drop_root();
	start_peer();
	line = peer_line();
	if (strncmp(line, "ready", 5) != 0 && strncmp(line, "unavailable", 11) != 0)
		die(line);
	if (strncmp(line, "ready", 5) != 0) {
		ok(true, "no engine # SKIP %s", line);
		(void)close(peer_in);
		(void)waitpid(peer_pid, NULL, 0);
		(void)rmdir(top);
		(void)done();
		return false;
	}
	(void)snprintf(socket, sizeof(socket), "%s/e/podman.sock", top);
	conf.sandbox.engine.socket = socket;
	return true;
}

static struct mw_sandbox *
open_engine(void)
{
	struct mw_err err = { 0 };
	struct mw_sandbox *s;

	if (mw_sandbox_open(&conf, &s, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return s;
}

static struct mw_ctx
new_ctx(void)
{
	static _Thread_local struct mw_arena *arena;

	if (arena == NULL)
		arena = mw_arena_open(8 << 20);
	if (arena == NULL)
		abort();
	mw_arena_reset(arena);
	return (struct mw_ctx){ .arena = arena, .deadline = mw_now() + 60000,
	    .request_id = "test" };
}

/* A call of the engine's own, by hand: its status. */
static int
by_hand_with(const char *method, const char *path, struct json_object *json)
{
	struct mw_ctx c = new_ctx();
	struct mw_engine_answer a;
	struct mw_sandbox *s;
	struct mw_err err;
	enum mw_code rc;

	/* Whatever driver the test is about. */
	if (mw_sandbox_engine.open(&conf, &s, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	rc = mw_engine_call((struct mw_engine *)s, &c, method, path, json, &a);
	if (rc == MW_OK && a.status >= 400 && a.status != 404)
		printf("# %s %s: %d %s\n", method, path, a.status, a.message);
	if (rc == MW_OK)
		json_object_put(a.json);
	mw_sandbox_close(s);
	return rc == MW_OK ? a.status : 0;
}

static int
by_hand(const char *method, const char *path)
{
	return by_hand_with(method, path, NULL);
}

/* An operator's container, by the engine's own call. */
__attribute__((unused)) static void
make_by_hand(const char *user, const char *json)
{
	struct json_object *o = json_tokener_parse(json);
	char path[128];

	(void)snprintf(path, sizeof(path), "/containers/create?name=mwt-%s", user);
	json_object_object_add(o, "Image", json_object_new_string(conf.sandbox.engine.image));
	(void)by_hand_with("POST", path, o);
	json_object_put(o);
}

/* Removed by hand, whatever it does. */
static void
remove_by_hand(const char *user)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "/containers/mwt-%s?force=true&v=true", user);
	(void)by_hand("DELETE", path);
}

static enum mw_code
remove_one(void *arg, const char *user)
{
	(void)arg;
	remove_by_hand(user);
	return MW_OK;
}

static void
engine_down(void)
{
	struct mw_sandbox *s = open_engine();
	struct mw_ctx c = new_ctx();

	/* Its own engine goes with everything in it. */
	if (peer_pid < 0 && s->ops->enumerate(s, &c, remove_one, NULL) != MW_OK)
		printf("# %s\n", c.err.msg);
	mw_sandbox_close(s);
	mw_arena_close(c.arena);
	if (peer_pid > 0) {
		(void)close(peer_in);
		(void)waitpid(peer_pid, NULL, 0);
		(void)close(peer_out);
		if (rmdir(top) != 0)
			printf("# %s stays: %s\n", top, strerror(errno));
	}
}

#endif
