/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tmpfile.h"

static char dir[] = "/tmp/mw-tmpfile-XXXXXX";
static int dir_fd;

static bool
exists(const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Make the file an hour old. */
static bool
age(const char *name)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	struct stat st;

	if (utimensat(dir_fd, name, ts, AT_SYMLINK_NOFOLLOW) != 0 ||
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	ts[0] = ts[1] = st.st_mtim;
	ts[0].tv_sec -= 3600;
	ts[1].tv_sec -= 3600;
	return utimensat(dir_fd, name, ts, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
test_make(void)
{
	char a[MW_TMPNAME_LEN], b[MW_TMPNAME_LEN], text[4];
	struct mw_err err = { 0 };
	struct stat st;
	int fa, fb;

	is_int(mw_tmpfile(dir_fd, 0600, a, &fa, &err), MW_OK, "make one");
	is_int(mw_tmpfile(dir_fd, 0600, b, &fb, &err), MW_OK, "make another");
	ok(strcmp(a, b) != 0 && exists(a) && exists(b), "they have names of their own");
	ok(a[0] == 't' && strlen(a) == 33 && strspn(a + 1, "0123456789abcdef") == 32,
	    "t and random hex");
	ok(fstat(fa, &st) == 0 && (st.st_mode & 0777) == 0600, "the mode asked for");
	ok((fcntl(fa, F_GETFD) & FD_CLOEXEC) != 0, "closed by exec");
	is_int(mw_write_all(fa, "abc", 3, &err), MW_OK, "write");
	ok(pread(fa, text, sizeof(text), 0) == 3 && memcmp(text, "abc", 3) == 0, "and read back");
	(void)close(fa);
	(void)close(fb);
	ok(unlinkat(dir_fd, a, 0) == 0 && unlinkat(dir_fd, b, 0) == 0, "gone again");
	is_int(mw_tmpfile(-1, 0600, a, &fa, &err), MW_INTERNAL_ERROR, "no directory");
	is_int(fa, -1, "no descriptor then");
}

static void
test_sweep(void)
{
	static const char other[] = "tnot-one-of-our-names-0123456789ab";
	static const char upper[] = "t0123456789ABCDEF0123456789abcdef";
	char held[MW_TMPNAME_LEN], left[MW_TMPNAME_LEN], fresh[MW_TMPNAME_LEN],
	    moved[MW_TMPNAME_LEN];
	struct mw_err err = { 0 };
	int fh = -1, fl = -1, ff = -1, fm = -1, f;

	ok(mw_tmpfile(dir_fd, 0600, held, &fh, &err) == MW_OK &&
	    mw_tmpfile(dir_fd, 0600, left, &fl, &err) == MW_OK &&
	    mw_tmpfile(dir_fd, 0600, fresh, &ff, &err) == MW_OK &&
	    mw_tmpfile(dir_fd, 0600, moved, &fm, &err) == MW_OK, "four files");
	ok(age(held) && age(left) && age(moved), "three of them old");
	(void)close(fl);
	(void)close(ff);
	ok(renameat(dir_fd, moved, dir_fd, "final") == 0, "one renamed into place");
	(void)close(fm);
	f = openat(dir_fd, other, O_CREAT | O_WRONLY, 0600);
	(void)close(f);
	f = openat(dir_fd, upper, O_CREAT | O_WRONLY, 0600);
	(void)close(f);
	ok(age(other) && age(upper), "two old files of somebody else");
	ok(symlinkat("final", dir_fd, "t0123456789abcdef0123456789abcdef") == 0 &&
	    age("t0123456789abcdef0123456789abcdef"), "an old link with such a name");
	is_int(mw_tmpfile_sweep(dir_fd, 7200), 0, "nothing is two hours old");
	is_int(mw_tmpfile_sweep(dir_fd, 1800), 1, "one was left behind for half an hour");
	ok(!exists(left), "it is gone");
	ok(exists(held), "one in use stays");
	ok(exists(fresh), "a fresh one stays");
	ok(exists("final"), "a finished one stays");
	ok(exists(other) && exists(upper) && exists("t0123456789abcdef0123456789abcdef"),
	    "what is not ours stays");
	(void)close(fh);
	is_int(mw_tmpfile_sweep(dir_fd, 1800), 1, "once let go, it goes too");
	ok(age(fresh) && mw_tmpfile_sweep(dir_fd, 0) == 1 && !exists(fresh), "the last one");
	is_int(mw_tmpfile_sweep(-1, 0), 0, "no directory");
	(void)unlinkat(dir_fd, other, 0);
	(void)unlinkat(dir_fd, upper, 0);
	(void)unlinkat(dir_fd, "final", 0);
	(void)unlinkat(dir_fd, "t0123456789abcdef0123456789abcdef", 0);
}

/* What a killed process held is swept; a forked copy of the descriptor holds. */
static void
test_killed(void)
{
	char name[MW_TMPNAME_LEN];
	struct mw_err err = { 0 };
	int p[2], fd, status;
	pid_t pid;

	if (!ok(pipe(p) == 0, "pipe"))
		return;
	pid = fork();
	if (pid == 0) {
		if (mw_tmpfile(dir_fd, 0600, name, &fd, &err) != MW_OK ||
		    write(p[1], name, sizeof(name)) != (ssize_t)sizeof(name))
			_exit(1);
		for (;;)
			(void)pause();
	}
	ok(pid > 0 && read(p[0], name, sizeof(name)) == (ssize_t)sizeof(name) && age(name),
	    "another process holds an old file");
	is_int(mw_tmpfile_sweep(dir_fd, 60), 0, "it stays");
	ok(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid, "the process is killed");
	is_int(mw_tmpfile_sweep(dir_fd, 60), 1, "the file is swept");
	(void)close(p[0]);
	(void)close(p[1]);
}

static void
test_write_fails(void)
{
	struct mw_err err = { 0 };
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	if (fd < 0) {
		ok(true, "a full disk # SKIP there is no /dev/full");
	} else {
		is_int(mw_write_all(fd, "x", 1, &err), MW_STORAGE_FULL, "a full disk");
		(void)close(fd);
	}
	mw_err_clear(&err);
	is_int(mw_write_all(-1, "x", 1, &err), MW_INTERNAL_ERROR, "a bad descriptor");
	is_int(mw_write_all(-1, NULL, 0, &err), MW_OK, "nothing to write");
}

#define BIG 300000		/* more than a pipe takes at once */

static int note_fd;

static void
note(int sig)
{
	(void)sig;
	if (write(note_fd, "x", 1) != 1)
		_exit(1);
}

/* The child: writes to the pipe while a timer interrupts it. */
static int
write_big(int fd)
{
	static unsigned char big[BIG];
	struct itimerval every = { { 0, 5000 }, { 0, 5000 } };
	struct sigaction sa = { .sa_handler = note };
	struct mw_err err = { 0 };
	size_t i;

	for (i = 0; i < sizeof(big); i++)
		big[i] = (unsigned char)(i % 251);
	if (sigaction(SIGALRM, &sa, NULL) != 0 || setitimer(ITIMER_REAL, &every, NULL) != 0)
		return 1;
	return mw_write_all(fd, big, sizeof(big), &err) == MW_OK ? 0 : 1;
}

/* Short and interrupted writes are gone on with. */
static void
test_write(void)
{
	unsigned char part[7001];
	size_t got, i, wrong = 0;
	int p[2], notes[2], status;
	ssize_t n;
	pid_t pid;

	if (!ok(pipe(p) == 0 && pipe(notes) == 0, "pipes"))
		return;
	note_fd = notes[1];
	pid = fork();
	if (pid == 0) {
		(void)close(p[0]);
		_exit(write_big(p[1]));
	}
	(void)close(p[1]);
	/* Once a byte is there the child writes, and soon waits for room; the
	 * second read sees a signal that came after the first. */
	ok(pid > 0 && read(p[0], part, 1) == 1 && part[0] == 0 &&
	    read(notes[0], part, sizeof(part)) > 0 && read(notes[0], part, sizeof(part)) > 0,
	    "a signal interrupts the writer");
	for (got = 1; (n = read(p[0], part, sizeof(part))) > 0;) {
		for (i = 0; i < (size_t)n; i++)
			wrong += part[i] != got++ % 251;
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0 && got == BIG && wrong == 0,
	    "everything arrives once and in order");
	(void)close(p[0]);
	(void)close(notes[0]);
	(void)close(notes[1]);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return 1;
	test_make();
	test_sweep();
	test_killed();
	test_write_fails();
	test_write();
	(void)close(dir_fd);
	if (rmdir(dir) != 0)
		ok(false, "the directory is empty at the end: %s", strerror(errno));
	return done();
}
