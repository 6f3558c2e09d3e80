/* SPDX-License-Identifier: BSD-2-Clause */
/* The local driver's files: what a hostile tree can do, and what it cannot. */
#include "local_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/buf.h"

#define HIDDEN "hush-hush-not-for-you"	/* as in the fixture's secret file */
#define BIG ((1 << 20) + 12345)

/* ---- one call each ---- */

struct taken {
	struct mw_buf data;
	struct mw_stat st;
	int64_t from, to;
	int begun;
	void (*between)(void);	/* called once, after the first data */
};
static struct taken got;

static enum mw_code
begin(void *arg, const struct mw_stat *st, int64_t from, int64_t to)
{
	struct taken *t = arg;

	t->begun++;
	t->st = *st;
	t->from = from;
	t->to = to;
	return MW_OK;
}

static enum mw_code
data(void *arg, const void *p, size_t n)
{
	struct taken *t = arg;

	if (!mw_buf_add(&t->data, p, n))
		return MW_INTERNAL_ERROR;
	if (t->between != NULL)
		t->between();
	t->between = NULL;
	return MW_OK;
}

static const struct mw_file_sink sink = { begin, data, &got };

static enum mw_code
get_from(const char *user, const char *path, bool ranged, int64_t from, int64_t to)
{
	void (*between)(void) = got.between;

	mw_buf_free(&got.data);
	memset(&got, 0, sizeof(got));
	got.between = between;
	mw_buf_init(&got.data, 64 << 20);
	fresh_ctx();
	return sb->ops->read(sb, &ctx, user, path, ranged, from, to, &sink);
}

static enum mw_code
get(const char *path)
{
	return get_from("alice", path, false, 0, 0);
}

static bool
got_is(const char *s)
{
	return got.data.len == strlen(s) && (got.data.len == 0 ||
	    memcmp(got.data.data, s, got.data.len) == 0);
}

static enum mw_code
put_as(const char *path, const void *p, size_t n, int mode, int64_t mtime)
{
	enum mw_code rc;
	int fd;

	spit(in_top("spool"), p, n);
	fd = open(in_top("spool"), O_RDONLY | O_CLOEXEC);
	fresh_ctx();
	rc = sb->ops->write(sb, &ctx, "alice", path, fd, (int64_t)n, mode, mtime);
	(void)close(fd);
	return rc;
}

static enum mw_code
put(const char *path, const char *s)
{
	return put_as(path, s, strlen(s), -1, -1);
}

static enum mw_code
rm(const char *path)
{
	fresh_ctx();
	return sb->ops->remove(sb, &ctx, "alice", path);
}

static enum mw_code
stat_of(const char *path, struct mw_stat *st)
{
	fresh_ctx();
	memset(st, 0, sizeof(*st));
	return sb->ops->stat(sb, &ctx, "alice", path, st);
}

static const char *
alice(const char *path)
{
	return in_top("sandboxes/alice/%s", path);
}

/* What a host path holds, as a string; NULL if it cannot be read. */
static const char *
host(const char *path)
{
	static char buf[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		(void)close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n < 0 ? NULL : buf;
}

static int
count_dir(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *de;
	int n = 0;

	if (dir == NULL)
		return -1;
	while ((de = readdir(dir)) != NULL)
		n += strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0;
	(void)closedir(dir);
	return n;
}

static enum mw_code
no_entry(void *arg, const struct mw_entry *e)
{
	(void)arg;
	(void)e;
	return MW_OK;
}

/* ---- is it there, is it proven ---- */

static void
all_five(const char *user, enum mw_code want, const char *what)
{
	int fd = open(in_top("admin.secret"), O_RDONLY | O_CLOEXEC);
	struct mw_stat st;

	is_int(get_from(user, "f", false, 0, 0), want, what);
	fresh_ctx();
	is_int(sb->ops->stat(sb, &ctx, user, "f", &st), want, "... stat");
	fresh_ctx();
	is_int(sb->ops->list(sb, &ctx, user, "", true, no_entry, NULL), want, "... list");
	fresh_ctx();
	is_int(sb->ops->write(sb, &ctx, user, "f", fd, 1, -1, -1), want, "... write");
	fresh_ctx();
	is_int(sb->ops->remove(sb, &ctx, user, "f"), want, "... remove");
	(void)close(fd);
}

static void
test_proof(void)
{
	static const char *const bad[] = { "", "\n", "0123456789abcde\n", "0123456789abcdef0\n",
	    "0123456789ABCDEF\n", "0123456789abcdef\n\n",
	    "00112233445566778899aabbccddeeff" };
	const char *marker = keep(in_top("sandboxes/.run/dora/tmp/.moltworker/instance"));
	size_t i;

	all_five("nobody", MW_SANDBOX_NOT_FOUND, "no such user: read");
	make_user("dora");
	(void)unlink(marker);
	all_five("dora", MW_SANDBOX_HIBERNATING, "no marker: read");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		spit(marker, bad[i], strlen(bad[i]));
		all_five("dora", MW_SANDBOX_HIBERNATING, "no marker of ours: read");
	}
	spit(marker, "0123456789abcdef", 16);
	is_int(get_from("dora", "f", false, 0, 0), MW_FILE_NOT_FOUND, "a marker without its newline");
	(void)unlink(marker);
	sb->allow_unproven = true;
	all_five("nobody", MW_SANDBOX_NOT_FOUND, "allowed, no such user: read");
	is_int(get_from("dora", "f", false, 0, 0), MW_FILE_NOT_FOUND, "allowed: read reaches the root");
	sb->allow_unproven = false;
	if (symlink(in_top("admin.secret"), marker) != 0)
		die("symlink");
	all_five("dora", MW_SANDBOX_HIBERNATING, "a link as marker: read");
	if (unlink(marker) != 0 || mkdir(marker, 0700) != 0)
		die("marker");
	all_five("dora", MW_SANDBOX_HIBERNATING, "a directory as marker: read");
	if (symlink(in_top("sandboxes/alice"), in_top("sandboxes/linked")) != 0)
		die("symlink");
	all_five("linked", MW_SANDBOX_NOT_FOUND, "a link as user: read");
}

/* ---- content ---- */

static void
test_round_trip(void)
{
	static const char *const names[] = { "a", "d/e/f/g.txt", "it's \"quoted\" $(x).txt",
	    "na\xc3\xafve/\xe2\x98\x83", "-rf", "a b", ".hidden" };
	static unsigned char big[BIG];
	size_t i;

	for (i = 0; i < sizeof(big); i++)
		big[i] = (unsigned char)(i * 2654435761u >> 13);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		is_int(put(names[i], names[i]), MW_OK, names[i]);
		ok(get(names[i]) == MW_OK && got_is(names[i]) && got.begun == 1, "... is read back");
	}
	is_int(put("empty", ""), MW_OK, "a file of 0 bytes");
	ok(get("empty") == MW_OK && got.begun == 1 && got.data.len == 0 && got.to == -1,
	    "... begins and has no data");
	is_int(put_as("big", big, sizeof(big), -1, -1), MW_OK, "a large binary file");
	ok(get("big") == MW_OK && got.data.len == sizeof(big) &&
	    memcmp(got.data.data, big, sizeof(big)) == 0, "... bit for bit");
	is_int(got.st.size, BIG, "... and its size");
	is_int(put("big", "small"), MW_OK, "a replaced file");
	ok(get("big") == MW_OK && got_is("small"), "... is the new one, whole");
	is_int(count_dir(in_top("sandboxes/.run/alice/in")), 0, "nothing unfinished stays");
}

static void
test_meta(void)
{
	struct mw_stat st;

	is_int(put("m", "1"), MW_OK, "new");
	(void)stat_of("m", &st);
	is_int(st.mode, 0644, "a new file's mode");
	if (chmod(alice("m"), 0750) != 0)
		die("chmod");
	is_int(put("m", "22"), MW_OK, "replace");
	(void)stat_of("m", &st);
	ok(st.mode == 0750 && st.size == 2 && st.type == MW_FT_FILE, "a replaced file's mode is kept");
	is_int(put_as("m", "3", 1, 0600, 1234567890123), MW_OK, "mode and mtime given");
	is_int(stat_of("m", &st), MW_OK, "stat");
	is_int(st.mode, 0600, "... mode");
	is_int(st.mtime, 1234567890123, "... mtime in ms");
	is_int(put_as("m", "3", 1, 06755, -1), MW_OK, "setuid asked for");
	(void)stat_of("m", &st);
	is_int(st.mode, 0755, "... is not given");
	is_int(stat_of("", &st), MW_OK, "the root");
	is_int(st.type, MW_FT_DIR, "... is a directory");
}

static void
test_ranges(void)
{
	static const struct {
		int64_t from, to;
		const char *want;	/* NULL = not satisfiable */
	} cases[] = {
		{ 0, 0, "0" }, { 0, 9, "0123456789" }, { 0, -1, "0123456789" },
		{ 9, 9, "9" }, { 9, -1, "9" }, { 3, 5, "345" }, { 3, 100, "3456789" },
		{ 10, -1, NULL }, { 10, 20, NULL }, { 5, 4, NULL },
		{ -1, 3, "789" }, { -1, 10, "0123456789" }, { -1, 99, "0123456789" },
		{ -1, 0, NULL }, { INT64_MAX, -1, NULL }, { 0, INT64_MAX, "0123456789" },
		{ -1, INT64_MAX, "0123456789" }
	};
	enum mw_code rc;
	size_t i;

	(void)put("r", "0123456789");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rc = get_from("alice", "r", true, cases[i].from, cases[i].to);
		if (cases[i].want == NULL)
			ok(rc == MW_RANGE_NOT_SATISFIABLE && got.begun == 0, "range %lld-%lld is refused",
			    (long long)cases[i].from, (long long)cases[i].to);
		else
			ok(rc == MW_OK && got_is(cases[i].want) && got.to - got.from + 1 ==
			    (int64_t)strlen(cases[i].want) && got.st.size == 10, "range %lld-%lld",
			    (long long)cases[i].from, (long long)cases[i].to);
	}
	(void)put("r0", "");
	is_int(get_from("alice", "r0", true, 0, -1), MW_RANGE_NOT_SATISFIABLE, "a range of nothing");
	is_int(get_from("alice", "r0", true, -1, 5), MW_RANGE_NOT_SATISFIABLE, "a suffix of nothing");
}

/* ---- what is in the way ---- */

static void
cut_file(void)
{
	if (truncate(alice("cut"), 70000) != 0)
		die("truncate");
}

static void
test_refusals(void)
{
	static unsigned char big[300000];
	char longname[300];
	int fd;

	is_int(get("missing"), MW_FILE_NOT_FOUND, "read of a missing file");
	is_int(get("m/below"), MW_FILE_NOT_FOUND, "read below a file");
	is_int(rm("missing"), MW_FILE_NOT_FOUND, "remove of a missing file");
	is_int(rm("nodir/missing"), MW_FILE_NOT_FOUND, "remove in a missing directory");
	is_int(get("d"), MW_CONFLICT, "read of a directory");
	is_int(get(""), MW_CONFLICT, "read of the root");
	is_int(rm("d"), MW_CONFLICT, "remove of a directory");
	is_int(rm(""), MW_CONFLICT, "remove of the root");
	is_int(put("d", "x"), MW_CONFLICT, "write over a directory");
	is_int(put("m/below", "x"), MW_CONFLICT, "write below a file");
	is_int(put("m/below/deep", "x"), MW_CONFLICT, "write far below a file");
	memset(longname, 'x', sizeof(longname));
	longname[280] = '\0';
	is_int(put(longname, "x"), MW_INVALID_PATH, "a name of 280 bytes");
	is_int(put("closed", "x"), MW_OK, "a file");
	if (chmod(alice("closed"), 0) != 0)
		die("chmod");
	is_int(get("closed"), MW_PERMISSION_DENIED, "read of a file without permission");
	is_int(rm("closed"), MW_OK, "... which can be removed");
	ok(access(alice("closed"), F_OK) != 0, "... and is gone");
	ctx.deadline = 0;
	is_int(sb->ops->read(sb, &ctx, "alice", "m", false, 0, 0, &sink), MW_SANDBOX_TIMEOUT,
	    "read after the deadline");
	is_int(put_as("cut", big, sizeof(big), -1, -1), MW_OK, "a file");
	got.between = cut_file;
	is_int(get("cut"), MW_SANDBOX_UNAVAILABLE, "a file that gets shorter while it is read");
	ok(got.begun == 1 && got.data.len < sizeof(big), "... is cut, not made up");
	(void)put("whole", "old content");
	fd = open(in_top("spool"), O_RDONLY | O_CLOEXEC);
	fresh_ctx();
	is_int(sb->ops->write(sb, &ctx, "alice", "whole", fd, 4711, -1, -1), MW_INTERNAL_ERROR,
	    "content shorter than its size");
	(void)close(fd);
	ok(get("whole") == MW_OK && got_is("old content"), "... leaves the old file");
	is_int(count_dir(in_top("sandboxes/.run/alice/in")), 0, "... and nothing else");
}

static void
test_special(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct mw_stat st;

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", alice("sock"));
	if (mkfifo(alice("fifo"), 0644) != 0 || s < 0 ||
	    bind(s, (const struct sockaddr *)&sun, sizeof(sun)) != 0)
		die("fifo, socket");
	(void)alarm(20);	/* a hang is a failure */
	is_int(get("fifo"), MW_CONFLICT, "read of a FIFO");
	is_int(put("fifo", "x"), MW_CONFLICT, "write to a FIFO");
	is_int(get("sock"), MW_CONFLICT, "read of a socket");
	is_int(put("fifo/x", "x"), MW_CONFLICT, "write below a FIFO");
	is_int(stat_of("fifo", &st), MW_OK, "stat of a FIFO");
	is_int(st.type, MW_FT_OTHER, "... is something else");
	is_int(rm("fifo"), MW_OK, "remove of a FIFO");
	is_int(rm("sock"), MW_OK, "remove of a socket");
	(void)alarm(0);
	(void)close(s);
}

/* ---- links ---- */

static void
test_planted_links(void)
{
	const char *const targets[] = {
		keep(in_top("admin.secret")), "../../admin.secret", "../bob/private",
		keep(in_top("sandboxes/bob/private")), "/proc/self/root/etc/passwd", "/etc/passwd",
		"/proc/self/cwd", "../.run/alice/tmp/.moltworker/instance", "/workspace/../../admin.secret",
		"/workspace/../bob/private", "loop"
	};
	struct mw_stat st;
	enum mw_code rc;
	size_t i;

	spit(in_top("sandboxes/bob/private"), "of bob", 6);
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		(void)unlink(alice("loop"));
		if (symlink(targets[i], alice("loop")) != 0)
			die("symlink");
		rc = get("loop");
		ok(rc == MW_FILE_NOT_FOUND || rc == MW_PERMISSION_DENIED, "a link to %s reads nothing",
		    targets[i]);
		ok(got.begun == 0 && got.data.len == 0, "... not a byte");
		ok(stat_of("loop", &st) == MW_OK && st.type == MW_FT_SYMLINK, "... is itself by stat");
		is_int(put("loop", "mine"), MW_OK, "... is replaced by a write");
		ok(get("loop") == MW_OK && got_is("mine"), "... by the user's own file");
	}
	is_str(host(in_top("admin.secret")), HIDDEN "\n", "the secret is as it was");
	is_str(host(in_top("sandboxes/bob/private")), "of bob", "bob's file is as it was");
}

static void
test_linked_dirs(void)
{
	const char *const targets[] = { top, "../..", "../bob",
	    keep(in_top("sandboxes/bob")), "/proc/self/root" };
	int before = count_dir(in_top("sandboxes/bob"));
	enum mw_code rc;
	size_t i;

	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		(void)unlink(alice("lane"));
		if (symlink(targets[i], alice("lane")) != 0)
			die("symlink");
		rc = get("lane/admin.secret");
		ok(rc == MW_FILE_NOT_FOUND || rc == MW_PERMISSION_DENIED, "below a link to %s is nothing",
		    targets[i]);
		(void)put("lane/planted", "x");
		(void)put("lane/new/planted", "x");
		ok(access(in_top("planted"), F_OK) != 0 && access(in_top("new"), F_OK) != 0 &&
		    access(in_top("sandboxes/bob/planted"), F_OK) != 0, "... nor written");
		(void)rm("lane/private");
	}
	is_int(count_dir(in_top("sandboxes/bob")), before, "bob has what he had");
	is_int(rm("lane"), MW_OK, "remove of a link");
}

static void
test_own_links(void)
{
	(void)put("real/file", "content");
	if (symlink("real/file", alice("rel")) != 0 || symlink("/workspace/real/file", alice("abs")) != 0 ||
	    symlink("/workspace/real", alice("absdir")) != 0 || symlink("real", alice("reldir")) != 0 ||
	    symlink("/workspace", alice("home")) != 0 || symlink("/workspace/chain", alice("chain")) != 0)
		die("symlink");
	ok(get("rel") == MW_OK && got_is("content"), "a relative link is followed");
	ok(get("abs") == MW_OK && got_is("content"), "an absolute link, as seen inside, is followed");
	ok(get("absdir/file") == MW_OK && got_is("content"), "also on the way");
	ok(get("home/absdir/file") == MW_OK && got_is("content"), "also two of them");
	is_int(get("chain"), MW_PERMISSION_DENIED, "a link to itself ends");
	is_int(put("absdir/new", "n"), MW_OK, "a write through it");
	ok(get("real/new") == MW_OK && got_is("n"), "... lands behind it");
	is_int(put("reldir/sub/new", "n"), MW_OK, "a write that makes directories through a link");
	ok(get("real/sub/new") == MW_OK && got_is("n"), "... lands behind it");
	is_int(put("abs", "own"), MW_OK, "a write over a link");
	ok(get("real/file") == MW_OK && got_is("content"), "... leaves what it pointed to");
	is_int(rm("rel"), MW_OK, "remove of a link");
	ok(get("real/file") == MW_OK, "... too");
}

static void
test_dots(void)
{
	static const char *const paths[] = { "../bob/private", "d/../../bob/private",
	    "../../admin.secret", "/etc/passwd", "//etc/passwd", "./../bob/private" };
	enum mw_code rc;
	size_t i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		rc = get(paths[i]);
		ok(rc != MW_OK && got.data.len == 0, "%s reads nothing", paths[i]);
		is_int(rm(paths[i]) == MW_OK, 0, "... and removes nothing");
	}
	is_int(put("..", "x"), MW_CONFLICT, "write to ..");
	is_int(put("d/.", "x"), MW_CONFLICT, "write to d/.");
	is_int(rm(".."), MW_CONFLICT, "remove of ..");
	(void)put("../../../escaped", "x");
	ok(access(in_top("escaped"), F_OK) != 0 && access(in_top("sandboxes/escaped"), F_OK) != 0,
	    "no write leaves the root");
	is_str(host(in_top("sandboxes/bob/private")), "of bob", "bob's file is as it was");
}

/* ---- a directory that changes all the time ---- */

static atomic_bool swapping;

static void *
swapper(void *arg)
{
	int dir = open(alice(""), O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)arg;
	while (atomic_load(&swapping))
		(void)syscall(SYS_renameat2, dir, "swap", dir, "evil", 2u /* RENAME_EXCHANGE */);
	(void)close(dir);
	return NULL;
}

static void
test_swapped(void)
{
	int i, leaked = 0, good = 0, bad = 0, listed = 0;
	pthread_t thread;
	enum mw_code rc;

	if (mkdir(in_top("outside"), 0755) != 0)
		die("mkdir");
	spit(in_top("outside/f"), HIDDEN, sizeof(HIDDEN) - 1);
	(void)put("swap/f", "fine");
	if (symlink(in_top("outside"), alice("evil")) != 0)
		die("symlink");
	atomic_store(&swapping, true);
	if (pthread_create(&thread, NULL, swapper, NULL) != 0)
		die("thread");
	for (i = 0; i < 3000; i++) {
		rc = get("swap/f");
		good += rc == MW_OK && got_is("fine");
		bad += rc != MW_OK;
		leaked += rc == MW_OK && !got_is("fine");
		if (i % 10 == 0)
			(void)put("swap/w", "w");
		(void)rm("swap/w");
		fresh_ctx();
		rc = sb->ops->list(sb, &ctx, "alice", "", true, no_entry, NULL);
		listed += rc == MW_OK;
	}
	atomic_store(&swapping, false);
	(void)pthread_join(thread, NULL);
	printf("# %d read, %d refused\n", good, bad);
	is_int(leaked, 0, "a swapped directory shows nothing of outside");
	ok(good > 0 && bad > 0, "... and was met in both shapes");
	is_int(listed, 3000, "... a listing does not mind");
	is_int(count_dir(in_top("outside")), 1, "... nothing is written or removed there");
}

/* ---- listing ---- */

struct seen {
	struct mw_buf all;	/* "path\n" each */
	int n, max;
};

static enum mw_code
see(void *arg, const struct mw_entry *e)
{
	static const char kinds[] = { [MW_FT_FILE] = 'f', [MW_FT_DIR] = 'd', [MW_FT_SYMLINK] = 'l',
	    [MW_FT_OTHER] = 'o' };
	struct seen *s = arg;

	s->n++;
	if (s->max > 0 && s->n >= s->max)
		return MW_CLIENT_GONE;
	return mw_buf_addc(&s->all, kinds[e->st.type]) && mw_buf_addc(&s->all, ':') &&
	    mw_buf_adds(&s->all, e->path) && mw_buf_addc(&s->all, '\n') ? MW_OK : MW_INTERNAL_ERROR;
}

static enum mw_code
list(const char *path, bool recursive, struct seen *s)
{
	int max = s->max;

	mw_buf_free(&s->all);
	memset(s, 0, sizeof(*s));
	s->max = max;
	mw_buf_init(&s->all, 1 << 20);
	(void)mw_buf_addc(&s->all, '\n');
	fresh_ctx();
	return sb->ops->list(sb, &ctx, "alice", path, recursive, see, s);
}

static bool
has(const struct seen *s, const char *entry)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "\n%s\n", entry);
	return strstr(s->all.data, line) != NULL;
}

static void
test_list(void)
{
	struct seen s = { .max = 0 };

	(void)put("tree/a", "1");
	(void)put("tree/b/c", "22");
	(void)put("tree/b/d/e", "333");
	if (symlink("..", alice("tree/up")) != 0 || mkfifo(alice("tree/pipe"), 0600) != 0 ||
	    mkdir(alice("tree/hollow"), 0700) != 0 || mkdir(alice("tree/bad\xff\nname"), 0700) != 0)
		die("tree");
	spit(alice("tree/bad\xff\nname/f"), "x", 1);
	is_int(list("tree", false, &s), MW_OK, "list");
	ok(s.n == 6 && has(&s, "f:a") && has(&s, "d:b") && has(&s, "l:up") && has(&s, "o:pipe") &&
	    has(&s, "d:hollow") && has(&s, "d:bad\xff\nname"), "... has each entry with its type");
	is_int(list("tree", true, &s), MW_OK, "list all");
	ok(s.n == 10 && has(&s, "f:b/c") && has(&s, "d:b/d") && has(&s, "f:b/d/e") &&
	    has(&s, "f:bad\xff\nname/f"), "... goes below directories, not through links");
	is_int(list("tree/up/tree/b", false, &s), MW_OK, "list through a link in the path");
	ok(s.n == 2 && has(&s, "f:c") && has(&s, "d:d"), "... has its entries");
	is_int(list("", false, &s), MW_OK, "list of the root");
	ok(has(&s, "d:tree"), "... has the tree");
	is_int(list("tree/a", false, &s), MW_CONFLICT, "list of a file");
	is_int(list("tree/none", false, &s), MW_FILE_NOT_FOUND, "list of nothing");
	is_int(list("tree/a/x", false, &s), MW_FILE_NOT_FOUND, "list below a file");
	s.max = 2;
	is_int(list("tree", true, &s), MW_CLIENT_GONE, "a caller that has enough");
	is_int(s.n, 2, "... gets no more");
	mw_buf_free(&s.all);
}

/* A chain of `n` directories named "x" below `path`. */
static void
make_chain(const char *path, int n)
{
	int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), next, i;

	for (i = 0; i < n && dir >= 0; i++) {
		if (mkdirat(dir, "x", 0755) != 0)
			die("mkdirat");
		next = openat(dir, "x", O_PATH | O_DIRECTORY | O_CLOEXEC);
		(void)close(dir);
		dir = next;
	}
	if (dir < 0)
		die("chain");
	(void)close(dir);
}

static void
test_deep(void)
{
	struct seen s = { .max = 0 };
	int run = mw_local_run_dir((struct mw_local *)sb, "alice");

	if (mkdir(alice("hollow-deep"), 0755) != 0)
		die("mkdir");
	make_chain(alice("hollow-deep"), 5000);
	is_int(list("hollow-deep", true, &s), MW_OK, "a tree deeper than any path");
	ok(s.n >= 512 && s.n <= 520, "... is listed as deep as names go (%d)", s.n);
	mw_buf_free(&s.all);
	if (mkdirat(run, "junk", 0700) != 0)
		die("junk");
	make_chain(in_top("sandboxes/.run/alice/junk"), 3000);
	if (mkdirat(run, "junk/closed", 0700) != 0 || mkdirat(run, "junk/closed/in", 0) != 0 ||
	    symlinkat("/", run, "junk/closed/root") != 0 || fchmodat(run, "junk/closed", 0, 0) != 0 ||
	    fchmodat(run, "junk", 0, 0) != 0)
		die("junk");
	ok(mw_local_wipe(run, "junk") && faccessat(run, "junk", F_OK, 0) != 0,
	    "wiping takes deep and closed directories");
	ok(mw_local_wipe(run, "junk"), "wiping what is not there");
	if (symlinkat(in_top("outside"), run, "junk") != 0)
		die("junk");
	ok(mw_local_wipe(run, "junk") && count_dir(in_top("outside")) == 1,
	    "wiping a link takes the link");
	(void)close(run);
}

int
main(int argc, char *argv[])
{
	set_up(argc, argv);
	make_user("alice");
	make_user("bob");
	test_proof();
	test_round_trip();
	test_meta();
	test_ranges();
	test_refusals();
	test_special();
	test_planted_links();
	test_linked_dirs();
	test_own_links();
	test_dots();
	test_swapped();
	test_list();
	test_deep();
	mw_buf_free(&got.data);
	tear_down();
	return done();
}
