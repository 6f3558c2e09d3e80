/* SPDX-License-Identifier: BSD-2-Clause */
/* The directory driver: what every store must do, and what a file system adds:
 * edits by hand, crashes, planted links, conflicts, a PATH that goes away. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sys/stat.h>

#include "store_suite.h"

static struct mw_conf conf;
static char top[] = "/tmp/mw-test-dir.XXXXXX";
static char path[64];

static struct mw_store *
open_store(void)
{
	struct mw_err err = { 0 };
	struct mw_store *s = NULL;

	if (mw_store_open(&conf, &s, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return s;
}

static const char *
at(const char *name)
{
	static char full[4][512];
	static unsigned turn;
	char *p = full[turn++ % 4];

	(void)snprintf(p, sizeof(full[0]), "%s/%s", path, name);
	return p;
}

static void
must(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
by_hand(const char *name, const char *text)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	must(fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
	    close(fd) == 0, name);
}

static bool
there(const char *name)
{
	struct stat sb;

	return lstat(at(name), &sb) == 0;
}

static int
unlink_one(const char *p, const struct stat *sb, int type, struct FTW *ftw)
{
	(void)sb;
	(void)type;
	(void)ftw;
	return remove(p);
}

static int entries;

static int
count_one(const char *p, const struct stat *sb, int type, struct FTW *ftw)
{
	(void)p;
	(void)sb;
	(void)ftw;
	if (type == FTW_F)
		entries++;
	return 0;
}

static int
files_in(const char *name)
{
	entries = 0;
	(void)nftw(at(name), count_one, 16, FTW_PHYS);
	return entries;
}

/* The suite has removed everything it has put: nothing may be left. */
static void
test_clean(void)
{
	ok(!there("suite"), "empty directories are removed");
	is_int(files_in(".moltworker-store/tmp"), 0, "no temporary file is left");
	is_int(files_in(".moltworker-store/meta"), 0, "no sidecar is left");
}

static void
test_plain_file(void)
{
	struct mw_object obj;
	struct stat sb;
	char etag[64];

	is_code(put_text("u/plain", "plain"), MW_OK, "put");
	ok(stat(at("u/plain"), &sb) == 0 && sb.st_size == 5, "an object is a plain file at its key");
	ok((sb.st_mode & 0007) == 0, "not for everybody");
	by_hand("u/plain", "edited");
	fresh();
	is_code(st->ops->head(st, &ctx, "u/plain", &obj), MW_OK, "head after an edit by hand");
	is_int(obj.size, 6, "the new size");
	is_str(obj.etag, "\"683dc5278b1fbbd98a996cecc3ffd06a\"", "a new ETag");
	(void)snprintf(etag, sizeof(etag), "%s", obj.etag);
	fresh();
	is_code(st->ops->head(st, &ctx, "u/plain", &obj), MW_OK, "head again");
	is_str(obj.etag, etag, "the same ETag");
	holds("u/plain", "edited", "the edited content");
	drop("u/plain");
}

/* What a crash between the two renames leaves: no sidecar, or an old one. */
static void
test_crash(void)
{
	struct content c;
	struct mw_object obj;

	content(&c, "by hand", 7);
	must(mkdir(at("u"), 0755) == 0, "mkdir");
	by_hand("u/file", "by hand");
	fresh();
	is_code(st->ops->head(st, &ctx, "u/file", &obj), MW_OK, "a file without a sidecar");
	is_str(obj.etag, c.etag, "its ETag is the MD5 of its content");
	is_int(obj.mode, -1, "its mode is unknown");
	is_int(files_in(".moltworker-store/meta"), 1, "the sidecar is repaired");
	fresh();
	is_code(st->ops->head(st, &ctx, "u/file", &obj), MW_OK, "again, by the sidecar");
	is_str(obj.etag, c.etag, "the same ETag");
	content_done(&c);
	drop("u/file");
}

static int
damage_one(const char *p, const struct stat *sb, int type, struct FTW *ftw)
{
	(void)ftw;
	return type == FTW_F && truncate(p, sb->st_size / 2) == -1 ? -1 : 0;
}

static void
test_damaged_sidecar(void)
{
	struct mw_object obj;

	is_code(put_text("u/file", "content"), MW_OK, "put");
	must(nftw(at(".moltworker-store/meta"), damage_one, 16, FTW_PHYS) == 0, "truncate");
	fresh();
	is_code(st->ops->head(st, &ctx, "u/file", &obj), MW_OK, "half a sidecar");
	is_str(obj.etag, "\"9a0364b9e99bb480dd25e1f0284c8555\"", "the ETag is right");
	drop("u/file");
}

static void
test_conflict(void)
{
	is_code(put_text("u/a", "file"), MW_OK, "put a");
	is_code(put_text("u/a/b", "below"), MW_CONFLICT, "put a/b where a is a file");
	is_code(put_text("u/d/e", "below"), MW_OK, "put d/e");
	is_code(put_text("u/d", "file"), MW_CONFLICT, "put d where d is a directory");
	missing("u/a/b", "a/b");
	missing("u/d", "a directory is no object");
	drop("u/d");
	holds("u/d/e", "below", "removing a directory's name removes nothing");
	holds("u/a", "file", "a");
	drop("u/a");
	is_code(put_text("u/a/b", "below"), MW_OK, "a/b after a is gone");
	drop("u/a/b");
	drop("u/d/e");
	is_int(files_in(".moltworker-store/tmp"), 0, "no temporary file is left");
}

/* No name leads out of PATH, and nothing that is no file is an object. */
static void
test_planted(void)
{
	char secret[64], link[64];

	(void)snprintf(secret, sizeof(secret), "%s/secret", top);
	(void)snprintf(link, sizeof(link), "%s/outside", top);
	must(mkdir(at("u"), 0755) == 0 && mkdir(link, 0755) == 0, "mkdir");
	by_hand("../secret", "secret");
	by_hand("../outside/file", "secret");
	must(symlink(secret, at("u/link")) == 0 && symlink(link, at("u/dir")) == 0 &&
	    symlink("..", at("u/up")) == 0 && mkfifo(at("u/fifo"), 0644) == 0, "plant");
	missing("u/link", "a link to a file outside");
	missing("u/dir/file", "a file behind a link to a directory");
	missing("u/up/u/link", "a link upwards");
	missing("u/fifo", "a FIFO");
	is_code(put_text("u/dir/new", "x"), MW_CONFLICT, "put behind a link");
	ok(access(at("../outside/new"), F_OK) == -1, "nothing was written there");
	drop("u/dir/file");
	ok(access(at("../outside/file"), F_OK) == 0, "nothing was removed there");
	list_is("", true, NULL, 10, "", false);
	list_is("", false, NULL, 10, "", false);
	list_is("u/dir/", true, NULL, 10, "", false);
	is_code(put_text("u/link", "mine"), MW_OK, "put over a link");
	holds("u/link", "mine", "it is a file now");
	holds("u/link", "mine", "again");
	by_hand("../secret", "still");
	drop("u/link");
	must(unlink(at("u/dir")) == 0 && unlink(at("u/up")) == 0 && unlink(at("u/fifo")) == 0,
	    "unlink");
	(void)rmdir(at("u"));
}

static void
test_keys(void)
{
	static const char *const bad[] = { "../secret", "a/../../secret", "a//b", "/a", "a/",
	    ".", "..", "a/.", ".moltworker-store", ".moltworker-store/lock" };
	static char segment[300];
	struct got g;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		is_code(put_text(bad[i], "x"), MW_INVALID_PATH, bad[i]);
		is_code(get(bad[i], NULL, &g, NULL), MW_INVALID_PATH, bad[i]);
		mw_buf_free(&g.body);
	}
	memset(segment, 'x', 256);
	is_code(put_text(segment, "x"), MW_INVALID_PATH, "a segment of 256 bytes");
	is_code(put_text(".moltworker-store2", "x"), MW_OK, "not ours");
	drop(".moltworker-store2");
	list_is("", true, NULL, 10, "", false);
	list_is(".moltworker-store/", true, NULL, 10, "", false);
	list_is("../", true, NULL, 10, "", false);
}

/* An unmounted PATH is an outage, never an empty store. */
static void
test_away(void)
{
	char away[64];
	struct mw_object obj;
	struct mw_list_req req = { "", true, NULL, 10 };
	struct rows r;
	bool more;

	(void)snprintf(away, sizeof(away), "%s/away", top);
	is_code(put_text("u/x", "x"), MW_OK, "put");
	must(rename(path, away) == 0, "rename");
	fresh();
	is_code(st->ops->head(st, &ctx, "u/x", &obj), MW_STORE_UNAVAILABLE, "PATH is gone");
	must(mkdir(path, 0755) == 0, "mkdir");
	fresh();
	is_code(st->ops->head(st, &ctx, "u/x", &obj), MW_STORE_UNAVAILABLE, "PATH is empty");
	is_code(list(&req, &r, &more), MW_STORE_UNAVAILABLE, "no empty listing");
	mw_buf_free(&r.text);
	is_code(put_text("u/y", "y"), MW_STORE_UNAVAILABLE, "no put");
	fresh();
	is_code(st->ops->ping(st, &ctx), MW_STORE_UNAVAILABLE, "no ping");
	must(rmdir(path) == 0 && rename(away, path) == 0, "rename");
	holds("u/x", "x", "PATH is back");
	drop("u/x");
}

static void
test_open_fails(void)
{
	struct mw_conf bad = conf;
	struct mw_store *s;
	struct mw_err err = { 0 };

	bad.store.dir.path = (char []){ "/tmp/mw-test-no-such/below/it" };
	ok(mw_store_open(&bad, &s, &err) == MW_STORE_UNAVAILABLE && s == NULL,
	    "only the last component is made");
	mw_err_clear(&err);
	bad.store.dir.path = (char []){ "/proc" };
	ok(mw_store_open(&bad, &s, &err) != MW_OK && s == NULL, "PATH cannot be written");
	mw_err_clear(&err);
	bad.store.driver = (char []){ "tape" };
	ok(mw_store_open(&bad, &s, &err) == MW_INTERNAL_ERROR && s == NULL &&
	    strstr(err.msg, "tape") != NULL, "an unknown driver is named");
}

static void
test_key_of_path(void)
{
	static const struct { const char *prefix, *path, *key; } rows[] = {
		{ "users/{user}", "a/b", "users/alice/a/b" },
		{ "users/{user}", "", "users/alice/" },
		{ "users/{user}/", "a", "users/alice/a" },
		{ "{user}", "a", "alice/a" },
		{ "x-{user}-y/z", "a", "x-alice-y/z/a" },
	};
	struct mw_conf c = conf;
	size_t i;

	fresh();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c.store.prefix = strdup(rows[i].prefix);
		is_str(mw_store_key(&c, ctx.arena, "alice", rows[i].path), rows[i].key,
		    rows[i].prefix);
		free(c.store.prefix);
	}
}

/* ---- writers against each other ---- */

#define WRITERS 4
#define ROUNDS 40

static void *
writer(void *arg)
{
	int n = *(int *)arg, i;
	struct mw_store *s = open_store();
	struct mw_ctx c = { .arena = mw_arena_open(1 << 20), .request_id = "test" };
	struct content two[2];
	const char *etag, *key;
	intptr_t bad = 0;

	content(&two[0], "first", 5);
	content(&two[1], "second", 6);
	for (i = 0; i < ROUNDS; i++) {
		/* All in one directory that the others' removals empty. */
		key = n % 2 == 0 ? "race/deep/er/a" : "race/deep/er/b";
		c.deadline = mw_now() + PATIENCE;
		mw_arena_reset(c.arena);
		bad += s->ops->put(s, &c, key, &two[i % 2].put, &etag) != MW_OK;
		bad += s->ops->remove(s, &c, key) != MW_OK;
	}
	if (bad > 0)
		printf("# %s\n", c.err.msg);
	content_done(&two[0]);
	content_done(&two[1]);
	mw_arena_close(c.arena);
	mw_store_close(s);
	return (void *)bad;
}

static void
test_race(void)
{
	pthread_t t[WRITERS];
	int n[WRITERS], i;
	void *bad;

	for (i = 0; i < WRITERS; i++) {
		n[i] = i;
		must(pthread_create(&t[i], NULL, writer, &n[i]) == 0, "thread");
	}
	for (i = 0; i < WRITERS; i++) {
		must(pthread_join(t[i], &bad) == 0, "join");
		is_int((intptr_t)bad, 0, "puts against removals in one directory");
	}
	ok(!there("race"), "nothing is left of it");
	test_clean();
}

static void *
creator(void *arg)
{
	struct mw_store *s = open_store();
	struct mw_ctx c = { .arena = mw_arena_open(1 << 20), .request_id = "test",
	    .deadline = mw_now() + PATIENCE };
	struct content one;
	const char *etag;
	intptr_t won;

	(void)arg;
	content(&one, "mine", 4);
	one.put.if_none_match = true;
	won = s->ops->put(s, &c, "race/one", &one.put, &etag) == MW_OK;
	content_done(&one);
	mw_arena_close(c.arena);
	mw_store_close(s);
	return (void *)won;
}

static void
test_one_creator(void)
{
	pthread_t t[WRITERS];
	intptr_t won = 0;
	void *p;
	int i, round;

	for (round = 0; round < 10; round++) {
		for (won = 0, i = 0; i < WRITERS; i++)
			must(pthread_create(&t[i], NULL, creator, NULL) == 0, "thread");
		for (i = 0; i < WRITERS; i++) {
			must(pthread_join(t[i], &p) == 0, "join");
			won += (intptr_t)p;
		}
		is_int(won, 1, "If-None-Match: * lets one of many win");
		drop("race/one");
	}
}

int
main(void)
{
	struct mw_store *s;

	if (mkdtemp(top) == NULL)
		return 1;
	(void)snprintf(path, sizeof(path), "%s/store", top);
	conf.store.driver = (char []){ "dir" };
	conf.store.timeout = 30000;
	conf.store.dir.path = path;
	s = open_store();
	suite(s, NULL, 0);
	test_clean();
	test_plain_file();
	test_crash();
	test_damaged_sidecar();
	test_conflict();
	test_planted();
	test_keys();
	test_away();
	test_open_fails();
	test_key_of_path();
	test_race();
	test_one_creator();
	mw_store_close(s);
	mw_arena_close(ctx.arena);
	if (nftw(top, unlink_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		return 1;
	return done();
}
