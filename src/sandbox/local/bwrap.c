/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of bubblewrap.  What it shows of the host is read-only and
 * holds programs and public facts only; everything else of the host, the network
 * included, does not exist inside.  The caller gives bubblewrap exactly the
 * environment that the sandbox shall have: it is handed on as it is.
 */
#include "sandbox/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/agent/agent.h"

#define ARGS_MAX 256

/* Programs; on a host with a merged /usr all but the first are links into it. */
static const char *const system_dirs[] = {
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"
};

/* Left out without a word where the host has none. */
static const char *const etc[] = {
	"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/resolv.conf",
	"/etc/localtime", "/etc/timezone", "/etc/ld.so.cache", "/etc/ld.so.conf",
	"/etc/ld.so.conf.d", "/etc/alternatives", "/etc/mime.types", "/etc/services",
	"/etc/protocols", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates",
	"/etc/pki/tls/certs", "/etc/pki/ca-trust"
};

#define NSYSTEM (sizeof(system_dirs) / sizeof(system_dirs[0]))
#define NETC (sizeof(etc) / sizeof(etc[0]))

struct args {
	struct mw_arena *arena;
	char **v;
	size_t n;
	bool failed;		/* too many, or out of memory */
};

static void
add(struct args *a, const char *s)
{
	char *copy = s == NULL ? NULL : mw_arena_strdup(a->arena, s);

	if (copy == NULL || a->n + 1 >= ARGS_MAX) {
		a->failed = true;
		return;
	}
	a->v[a->n++] = copy;
}

static void
add3(struct args *a, const char *option, const char *from, const char *to)
{
	add(a, option);
	add(a, from);
	add(a, to);
}

bool
mw_bwrap_find(char *out, size_t size)
{
	static const char usual[] = "/usr/bin:/bin:/usr/local/bin";
	const char *dirs = getenv("PATH"), *p;
	size_t n;

	for (p = dirs != NULL && *dirs != '\0' ? dirs : usual; *p != '\0'; p += n + (p[n] == ':')) {
		n = strcspn(p, ":");
		if (n == 0 || *p != '/' || n + sizeof("/bwrap") > size)
			continue;
		memcpy(out, p, n);
		memcpy(out + n, "/bwrap", sizeof("/bwrap"));
		if (access(out, X_OK) == 0)
			return true;
	}
	return false;
}

/*
 * Can no user namespace be made inside, by the kernel's own limit?  Older versions, and
 * one that is set-user-id, cannot do it; nor can they where /proc/sys is read-only.  The
 * filter of system calls refuses them in any case.
 */
static bool
can_disable_userns(const char *bwrap)
{
	char *const env[] = { NULL };
	int status, null;
	pid_t pid = fork();

	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		if (null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2)
			(void)execle(bwrap, bwrap, "--unshare-user", "--disable-userns",
			    "--ro-bind", "/", "/", "--", "/bin/true", (char *)NULL, env);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
add_host(struct args *a)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;
	size_t i;

	for (i = 0; i < NSYSTEM; i++) {
		if (lstat(system_dirs[i], &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			add3(a, "--ro-bind", system_dirs[i], system_dirs[i]);
			continue;
		}
		n = readlink(system_dirs[i], target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		add3(a, "--symlink", target, system_dirs[i]);
	}
	for (i = 0; i < NETC; i++)
		add3(a, "--ro-bind-try", etc[i], etc[i]);
}

static bool
is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Is this real path one of those the sandbox sees? */
static bool
is_shown(const char *path)
{
	size_t i;

	for (i = 0; i < NSYSTEM; i++) {
		if (is_below(path, system_dirs[i]))
			return true;
	}
	for (i = 0; i < NETC; i++) {
		if (is_below(path, etc[i]))
			return true;
	}
	return false;
}

static size_t
depth(const char *path)
{
	size_t n = 0;

	for (; *path != '\0'; path++)
		n += *path == '/';
	return n;
}

/*
 * Put an empty directory over one of our own that lies in what is shown (prefix
 * /usr/local has its configuration in /usr/local/etc).  A directory that programs
 * need cannot be covered: then nothing runs.
 */
static enum mw_code
cover(struct args *a, const char *path, bool is_file, struct mw_err *err)
{
	char real[PATH_MAX], *slash;

	if (*path == '\0' || realpath(path, real) == NULL)
		return MW_OK;	/* what does not exist shows nothing */
	if (is_file) {
		slash = strrchr(real, '/');
		*(slash == real ? slash + 1 : slash) = '\0';
	}
	if (!is_shown(real))
		return MW_OK;
	if (depth(real) < 3)
		return mw_fail(err, MW_SANDBOX_UNAVAILABLE,
		    "%s lies where every sandbox can read it: move it out of %s", path, real);
	add(a, "--tmpfs");
	add(a, real);
	add(a, "--remount-ro");
	add(a, real);
	return MW_OK;
}

static enum mw_code
add_covers(struct args *a, const struct mw_conf *conf, struct mw_err *err)
{
	const struct { const char *path; bool is_file; } ours[] = {
		{ mw_conf_path(), true },
		{ conf->auth.secret_file, true },
		{ conf->store.s3.secret_key_file, true },
		{ conf->sandbox.bridge.token_file, true },
		{ conf->log.file, true },
		{ conf->state.path, false },
		{ conf->store.dir.path, false },
		{ conf->sandbox.local.path, false },
	};
	enum mw_code code = MW_OK;
	size_t i;

	for (i = 0; code == MW_OK && i < sizeof(ours) / sizeof(ours[0]); i++)
		code = cover(a, ours[i].path, ours[i].is_file, err);
	return code;
}

/* The user's own directories, the only ones that can be written. */
static void
add_user(struct args *a, const struct mw_local *l, const char *user)
{
	const char *run = mw_arena_printf(a->arena, "%s/.run/%s", l->path, user);
	const char *root = mw_arena_printf(a->arena, "%s/%s", l->path, user);
	const char *tmp = run == NULL ? NULL : mw_arena_printf(a->arena, "%s/tmp", run);
	const char *own = run == NULL ? NULL : mw_arena_printf(a->arena, "%s/run", run);

	if (root == NULL || tmp == NULL || own == NULL) {
		a->failed = true;
		return;
	}
	add3(a, "--bind", tmp, "/tmp");
	add3(a, "--symlink", "../tmp", "/var/tmp");
	if (strcmp(l->run_tail, "run") == 0)
		add3(a, "--bind", own, l->run_dir);
	add3(a, "--bind", root, l->root);
}

enum mw_code
mw_bwrap_argv(const struct mw_local *l, const struct mw_conf *conf, const char *user,
    const char *agent, struct mw_arena *arena, char ***argvp, struct mw_err *err)
{
	struct args a = { .arena = arena };
	char bwrap[PATH_MAX];
	enum mw_code code;

	if (!mw_bwrap_find(bwrap, sizeof(bwrap)))
		return mw_fail(err, MW_SANDBOX_UNAVAILABLE, "bubblewrap (bwrap) is not installed: "
		    "nothing can be run with " MW_LOCAL_SETTING " = \"auto\" or \"bwrap\"");
	a.v = mw_arena_alloc(arena, ARGS_MAX * sizeof(*a.v));
	if (a.v == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	add(&a, bwrap);
	/* All namespaces, also the network's: a sandbox that shared it would reach the
	 * web server, the other users' gateways and every service bound to 127.0.0.1. */
	add(&a, "--unshare-all");
	if (can_disable_userns(bwrap)) {
		add(&a, "--unshare-user");
		add(&a, "--disable-userns");
	}
	add(&a, "--die-with-parent");	/* whoever kills the holder ends the sandbox */
	add(&a, "--new-session");
	add(&a, "--as-pid-1");	/* nothing inside can kill the agent */
	add(&a, "--cap-drop");
	add(&a, "ALL");
	add(&a, "--hostname");
	add(&a, "sandbox");
	add(&a, "--seccomp");
	add(&a, mw_arena_printf(arena, "%d", MW_BWRAP_FD_FILTER));
	add_host(&a);
	code = add_covers(&a, conf, err);
	if (code != MW_OK)
		return code;
	add(&a, "--proc");
	add(&a, "/proc");
	add(&a, "--dev");
	add(&a, "/dev");
	add_user(&a, l, user);
	add3(&a, "--ro-bind", agent, MW_BWRAP_AGENT);
	add(&a, "--remount-ro");
	add(&a, "/");
	add(&a, "--chdir");
	add(&a, l->root);
	add(&a, "--");
	add(&a, MW_BWRAP_AGENT);
	add(&a, MW_AG_WORD);
	*argvp = a.v;
	return a.failed ? mw_fail(err, MW_INTERNAL_ERROR, "out of memory") : MW_OK;
}

enum mw_code
mw_local_may_run(const struct mw_local *l, struct mw_err *err)
{
	char path[PATH_MAX];

	if (geteuid() == 0)
		return mw_fail(err, MW_SANDBOX_UNAVAILABLE,
		    "nothing is run as root: run the gateway as a user of its own");
	if (!l->plain && !mw_bwrap_find(path, sizeof(path)))
		return mw_fail(err, MW_SANDBOX_UNAVAILABLE, "bubblewrap (bwrap) is not installed: "
		    "nothing can be run with " MW_LOCAL_SETTING " = \"auto\" or \"bwrap\"");
	return MW_OK;
}
