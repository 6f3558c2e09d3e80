/* SPDX-License-Identifier: BSD-2-Clause */
/* What /proc says of the processes inside the sandbox. */
#include "sandbox/agent/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A small file below /proc as text.  False when its process is gone. */
static bool
slurp(const char *pid, const char *file, char *out, size_t size)
{
	char path[64];
	ssize_t n;
	int fd, w;

	w = snprintf(path, sizeof(path), "/proc/%s/%s", pid, file);
	if (w < 0 || (size_t)w >= sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, out, size - 1);
	(void)close(fd);
	if (n <= 0)
		return false;
	out[n] = '\0';
	return true;
}

/* Decimal digits at *sp, which moves behind them; -1 if there are none. */
static int64_t
number(const char **sp)
{
	int64_t v = 0;
	const char *s = *sp;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9' && v < INT64_MAX / 16; s++)
		v = v * 10 + (*s - '0');
	*sp = s;
	return v;
}

static bool
parent_of(const char *pid, pid_t *parent)
{
	char buf[512];
	const char *p;
	int64_t v;

	if (!slurp(pid, "stat", buf, sizeof(buf)))
		return false;
	p = strrchr(buf, ')');	/* the name before it may hold anything */
	if (p == NULL || strlen(p) < 5)
		return false;
	p += 4;			/* ") S " */
	v = number(&p);
	*parent = (pid_t)v;
	return v >= 0;
}

static int64_t
resident(const char *pid)
{
	char buf[128];
	const char *p = buf;
	int64_t pages;

	if (!slurp(pid, "statm", buf, sizeof(buf)) || number(&p) < 0 || *p++ != ' ')
		return 0;
	pages = number(&p);
	return pages < 0 ? 0 : pages * sysconf(_SC_PAGESIZE);
}

static size_t
scan(struct mw_proc *out, size_t max)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;
	const char *p;
	size_t n = 0;
	int64_t pid;

	if (dir == NULL)
		return 0;
	while (n < max && (de = readdir(dir)) != NULL) {
		p = de->d_name;
		pid = number(&p);
		if (pid <= 0 || *p != '\0' || !parent_of(de->d_name, &out[n].parent))
			continue;
		out[n].pid = (pid_t)pid;
		out[n].resident = -1;
		n++;
	}
	(void)closedir(dir);
	return n;
}

size_t
mw_proc_tree(pid_t top, struct mw_proc *out, size_t max)
{
	size_t all = scan(out, max), n = 0, i, j;
	struct mw_proc t;
	char pid[16];
	bool more = true;

	/* out[0..n) are known descendants; each round adds their children. */
	while (more) {
		more = false;
		for (i = n; i < all; i++) {
			for (j = 0; out[i].parent != top && j < n && out[j].pid != out[i].parent; j++)
				;
			if (out[i].parent != top && j == n)
				continue;
			t = out[n];
			out[n++] = out[i];
			out[i] = t;
			more = true;
		}
	}
	for (i = 0; i < n; i++) {
		(void)snprintf(pid, sizeof(pid), "%d", (int)out[i].pid);
		out[i].resident = resident(pid);
	}
	return n;
}

void
mw_proc_kill_all(void)
{
	static struct mw_proc procs[MW_PROC_MAX];
	pid_t self = getpid(), pid;
	size_t n, i;

	for (;;) {
		if (self == 1) {
			(void)kill(-1, SIGKILL);
		} else {
			n = mw_proc_tree(self, procs, MW_PROC_MAX);
			for (i = 0; i < n; i++)
				(void)kill(procs[i].pid, SIGKILL);
		}
		pid = waitpid(-1, NULL, 0);
		if (pid < 0 && errno != EINTR)
			return;
	}
}
