/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sandboxes behind Cloudflare's APIs for tests: the peer of tests/peers/cloudflare.py,
 * started here, or a real one:
 *
 *   MW_BRIDGE_URL          a bridge, and
 *   MW_BRIDGE_TOKEN_FILE   the file with its token, mode 0600 (if it asks for one)
 *   MW_CONTAINER_URL       a container server; {user} is a user's name, if there is a
 *                          server for each
 *
 * Everything in the sandboxes of the users that a test names is removed.
 */
#ifndef MW_TESTS_REMOTE_FIXTURE_H
#define MW_TESTS_REMOTE_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/net.h"
#include "sandbox/remote/bridge.h"
#include "sandbox/local/local.h"
#include "sandbox/sandbox.h"
#include "tap.h"

#define PEER_TOKEN "a-token-0f91"

static char top[128];
static struct mw_conf *conf;
static pid_t peer;		/* 0 = a real one is used */
static int peer_port;

static void
die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static const char *
in_top(const char *name)
{
	static char path[8][256];
	static unsigned next;
	char *out = path[next++ % 8];

	(void)snprintf(out, sizeof(path[0]), "%s/%s", top, name);
	return out;
}

static const char *
spit(const char *name, const char *text)
{
	const char *path = in_top(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) != 0)
		die(path);
	return path;
}

/* ---- who is awake, as the product's shared memory has it ---- */

#define KNOWN_MAX 32

static struct { char user[32]; int64_t at; } known[KNOWN_MAX];
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

static int64_t *
known_at(const char *user)
{
	size_t i;

	for (i = 0; i < KNOWN_MAX; i++) {
		if (known[i].user[0] == '\0')
			(void)snprintf(known[i].user, sizeof(known[i].user), "%s", user);
		if (strcmp(known[i].user, user) == 0)
			return &known[i].at;
	}
	abort();
}

static bool
is_known(void *arg, const char *user, int64_t ttl)
{
	int64_t at;

	(void)arg;
	(void)pthread_mutex_lock(&known_lock);
	at = *known_at(user);
	(void)pthread_mutex_unlock(&known_lock);
	return at != 0 && mw_now() - at < ttl;
}

static void
is_told(void *arg, const char *user, bool awake)
{
	(void)arg;
	(void)pthread_mutex_lock(&known_lock);
	*known_at(user) = awake ? mw_now() : 0;
	(void)pthread_mutex_unlock(&known_lock);
}

static const struct mw_awake memory = { is_known, is_told, NULL };

/* ---- the peer ---- */

static int
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		die("free port");
	(void)close(fd);
	return ntohs(a.sin_port);
}

static void
peer_start(void)
{
	const char *src = getenv("srcdir");
	char program[512], port[16], word[6] = "";
	int out[2];

	peer_port = free_port();
	(void)snprintf(program, sizeof(program), "%s/tests/peers/cloudflare.py",
	    src != NULL ? src : ".");
	(void)snprintf(port, sizeof(port), "%d", peer_port);
	if (pipe(out) != 0 || (peer = fork()) < 0)
		die("fork");
	if (peer == 0) {
		(void)dup2(out[1], 1);
		(void)close(out[0]);
		(void)close(out[1]);
		execlp("/usr/bin/python3", "python3", program, port, in_top("boxes"), PEER_TOKEN, NULL);
		_exit(127);
	}
	(void)close(out[1]);
	if (read(out[0], word, 5) != 5 || strcmp(word, "ready") != 0)
		die("tests/peers/cloudflare.py");
}

/* POST /control/WORD, with json. */
__attribute__((unused)) static void
control(const char *word, const char *json)
{
	struct mw_err err = { 0 };
	struct mw_ctx c = { .deadline = mw_now() + 30000, .request_id = "control" };
	struct mw_net_req q = { .method = "POST", .body = json, .body_fd = -1,
	    .body_size = (int64_t)strlen(json), .max_response = 4096 };
	struct mw_net_res res;
	struct mw_net *net;
	char url[128];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/control/%s", peer_port, word);
	q.url = url;
	if (mw_net_open(&net, &err) != MW_OK)
		die("net");
	mw_net_call(net, &c, &q, &res);
	mw_net_close(net);
	if (res.status != 200)
		die(url);
}

/* ---- around a test ---- */

static bool
can_run(void)
{
	char path[512];
	int status;
	pid_t pid;

	if (!mw_bwrap_find(path, sizeof(path)) || (pid = fork()) < 0)
		return false;
	if (pid == 0) {
		execlp("bwrap", "bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/",
		    "/usr/bin/python3", "-c", "import socket; socket.send_fds", NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* False: skipped, and said why. */
__attribute__((unused)) static bool
set_up(const char *driver)
{
	const char *dir = getenv("TMPDIR"), *url = getenv(strcmp(driver, "bridge") == 0 ?
	    "MW_BRIDGE_URL" : "MW_CONTAINER_URL"), *token = getenv("MW_BRIDGE_TOKEN_FILE");
	struct mw_err err = { 0 };
	char text[2048], own[128];

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (url == NULL && !can_run()) {
		ok(true, "# SKIP bubblewrap or Python's socket.send_fds cannot be had");
		return false;
	}
	(void)snprintf(top, sizeof(top), "%s/mw-remote-XXXXXX",
	    dir != NULL && strlen(dir) < 90 ? dir : "/tmp");
	if (mkdtemp(top) == NULL)
		die("mkdtemp");
	if (url == NULL) {
		peer_start();
		(void)snprintf(own, sizeof(own), strcmp(driver, "bridge") == 0 ?
		    "http://127.0.0.1:%d" : "http://127.0.0.1:%d/c/{user}", peer_port);
		url = own;
		token = spit("token", PEER_TOKEN "\n");
	}
	(void)snprintf(text, sizeof(text), "auth: { secret_file = \"%s\"; };\n"
	    "sandbox: { driver = \"%s\"; bridge: { url = \"%s\"; token_file = \"%s\"; };\n"
	    "container: { url = \"%s%s\"; }; };\n", in_top("admin.secret"), driver,
	    strcmp(driver, "bridge") == 0 ? url : "", token != NULL ? token : "",
	    strcmp(driver, "bridge") == 0 ? "http://{user}" : url,
	    strstr(url, "{user}") == NULL && strcmp(driver, "bridge") != 0 ? "/{user}/.." : "");
	if (mw_conf_load(spit("conf", text), &conf, &err) != MW_OK) {
		printf("# %s\n", err.msg);
		die("configuration");
	}
	return true;
}

__attribute__((unused)) static void
tear_down(void)
{
	static const char *const files[] = { "token", "conf", "boxes" };
	size_t i;

	mw_conf_free(conf);
	if (peer > 0) {
		(void)kill(peer, SIGTERM);
		(void)waitpid(peer, NULL, 0);
	}
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		(void)remove(in_top(files[i]));
	(void)rmdir(top);
}

static struct mw_sandbox *
open_remote(void)
{
	struct mw_err err = { 0 };
	struct mw_sandbox *s;

	if (mw_sandbox_open(conf, &s, &err) != MW_OK) {
		printf("# %s\n", err.msg);
		die("open");
	}
	s->awake = &memory;
	return s;
}

#endif
