/* SPDX-License-Identifier: BSD-2-Clause */
/* Detached moltctl processes, and when a drain is started so. */
#include "app/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define ARGS_MAX 16
#define ENV_MAX 256
#define DEFAULT_PATH "PATH=/usr/local/bin:/usr/bin:/bin"

extern char **environ;

static const char *
moltctl_path(void)
{
	const char *path = getenv("MOLTWORKER_MOLTCTL");

	return path != NULL && path[0] == '/' ? path : MW_BINDIR "/moltctl";
}

/* The CGI environment holds the request and its secret: next to nothing of it. */
static bool
build_env(const char *envp[ENV_MAX], char *path)
{
	size_t n = 0;
	char **e;

	envp[n++] = path;
	for (e = environ; e != NULL && *e != NULL; e++) {
		if (strncmp(*e, "PATH=", 5) == 0) {
			envp[0] = *e;
		} else if (strncmp(*e, "MOLTWORKER_", 11) == 0) {
			if (n == ENV_MAX - 1)
				return false;
			envp[n++] = *e;
		}
	}
	envp[n] = NULL;
	return true;
}

/*
 * In the grandchild: nothing of the responder's but the program.  Only calls
 * that are safe after the fork of a process with threads.
 */
static void
become(const char *file, char *const argv[], char *const envp[], int keep)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;
	int null, i;

	(void)setsid();
	for (i = 1; i < NSIG; i++)
		(void)sigaction(i, &dfl, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Out of the way of the places that are filled now. */
	if (keep >= 0 && (keep = fcntl(keep, F_DUPFD, MW_DETACH_FD + 1)) < 0)
		_exit(127);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    (keep >= 0 && dup2(keep, MW_DETACH_FD) < 0) ||
	    close_range(keep >= 0 ? MW_DETACH_FD + 1 : MW_DETACH_FD, ~0U, 0) < 0 ||
	    chdir("/") < 0)
		_exit(127);
	(void)execve(file, argv, envp);
	_exit(127);
}

/* The child is gone at once; its own child belongs to init. */
static bool
wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return errno == ECHILD;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

enum mw_code
mw_detach(const char *const *args, struct mw_err *err)
{
	return mw_detach_with(args, -1, err);
}

enum mw_code
mw_detach_with(const char *const *args, int keep, struct mw_err *err)
{
	char name[] = "moltctl", path[] = DEFAULT_PATH;
	const char *file = moltctl_path(), *argv[ARGS_MAX + 2], *envp[ENV_MAX];
	size_t n;
	pid_t pid;

	argv[0] = name;
	for (n = 0; args[n] != NULL; n++) {
		if (n == ARGS_MAX)
			return mw_fail(err, MW_INTERNAL_ERROR, "too many arguments for moltctl");
		argv[n + 1] = args[n];
	}
	argv[n + 1] = NULL;
	if (!build_env(envp, path))
		return mw_fail(err, MW_INTERNAL_ERROR, "too many MOLTWORKER_* variables");
	if (access(file, X_OK) < 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", file, strerror(errno));
	if ((pid = fork()) < 0)
		return mw_fail(err, MW_INTERNAL_ERROR, "fork: %s", strerror(errno));
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			/* execve takes its lists without const for C's history only. */
			become(file, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp,
			    keep);
		_exit(pid < 0 ? 1 : 0);
	}
	if (!wait_for(pid))
		return mw_fail(err, MW_INTERNAL_ERROR, "%s could not be started", file);
	return MW_OK;
}

/* ---- drains ---- */

void
mw_drain_start(struct mw_app *app)
{
	static const char *const args[] = { "drain", "--detached", NULL };
	struct mw_err err = { .code = MW_OK };
	int64_t now = mw_now(), last = atomic_load(&app->shm->last_drain);

	if (last != 0 && now - last < app->conf->outbox.drain_interval)
		return;
	if (!atomic_compare_exchange_strong(&app->shm->last_drain, &last, now))
		return;
	if (mw_detach(args, &err) != MW_OK)
		mw_log(MW_ERROR, "[SYNC] no drain was started: %s", err.msg);
}

void
mw_drain_kick(struct mw_app *app)
{
	if (mw_shm_queued(app->shm))
		mw_drain_start(app);
}
