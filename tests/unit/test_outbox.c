/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/outbox.h"
#include "tap.h"

static char dir[32];
static int spool_dir;
static struct mw_shm *shm;
static struct mw_ctx ctx;

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static char *
in_dir(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* Nothing left from the test before. */
static void
fresh(void)
{
	struct mw_err err = { .code = MW_OK };

	mw_shm_close(shm);
	if (spool_dir > 0)
		(void)close(spool_dir);
	if (dir[0] != '\0')
		(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	(void)snprintf(dir, sizeof(dir), "/tmp/mw-outbox-XXXXXX");
	if (mkdtemp(dir) == NULL || mw_shm_open(dir, &shm, &err) != MW_OK ||
	    mw_spool_dir(dir, &spool_dir, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
}

/* A failure of the call before is not one of the next. */
static struct mw_ctx *
c(void)
{
	mw_err_clear(&ctx.err);
	ctx.deadline = mw_now() + 20000;
	mw_arena_reset(ctx.arena);
	return &ctx;
}

static struct mw_outbox *
open_box(struct mw_shm *s, int64_t max)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_outbox *o;

	if (mw_outbox_open(dir, s, max, &o, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return o;
}

static struct mw_spool
body(const char *text)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_spool s;

	if (mw_spool_begin(&s, spool_dir, &err) != MW_OK ||
	    mw_spool_add(&s, text, strlen(text), &err) != MW_OK ||
	    mw_spool_finish(&s, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return s;
}

static enum mw_code
put(struct mw_outbox *o, const char *user, const char *path, const char *text)
{
	struct mw_outbox_row row = { .user = user, .path = path, .store = "test",
	    .content_type = "text/plain", .mode = 0640, .mtime = 1234567890123 };
	struct mw_spool s = { .fd = -1 };
	enum mw_code code;

	if (text == NULL)
		return mw_outbox_put(o, c(), &row, NULL);
	s = body(text);
	code = mw_outbox_put(o, c(), &row, &s);
	mw_spool_drop(&s);
	return code;
}

/* What the row of a path says it holds: its body, "(deleted)" or "(none)". */
static const char *
holds(struct mw_outbox *o, const char *user, const char *path)
{
	static char text[256];
	const struct mw_outbox_row *row;
	ssize_t n;
	int fd;

	if (mw_outbox_find(o, c(), user, path, &row) != MW_OK)
		return ctx.err.msg;
	if (row == NULL)
		return "(none)";
	if (row->op == MW_OUTBOX_DELETE)
		return "(deleted)";
	if (mw_outbox_body(o, &ctx, row, &fd) != MW_OK)
		return ctx.err.msg;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static unsigned
spool_files(void)
{
	const struct dirent *e;
	unsigned n = 0;
	DIR *d = opendir(in_dir("spool"));

	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	if (d != NULL)
		(void)closedir(d);
	return n;
}

static void
test_lazy(void)
{
	const struct mw_outbox_row *row;
	struct mw_outbox *o, *blind;
	struct stat st = { 0 };
	enum mw_mark mark;
	unsigned i;

	fresh();
	for (i = 0; i < MW_SHM_BUCKETS; i++)
		atomic_store(&shm->clean[i], atomic_load(&shm->dirty[i]));
	o = open_box(shm, 1 << 20);
	ok(mw_outbox_find(o, c(), "alice", "a", &row) == MW_OK && row == NULL, "nothing is there");
	ok(mw_outbox_marked(o, c(), "alice", "a", &mark) == MW_OK && mark == MW_MARK_NONE, "no mark");
	ok(mw_outbox_mark(o, c(), "alice", "a", MW_MARK_NONE) == MW_OK, "nothing to unmark");
	ok(stat(in_dir("outbox.db"), &st) < 0, "and no database was opened to learn that");
	is_str(put(o, "alice", "a", "one") == MW_OK ? "" : ctx.err.msg, "", "put");
	ok(stat(in_dir("outbox.db"), &st) == 0 && (st.st_mode & 0777) == 0600,
	    "the database is its owner's");
	ok(stat(in_dir("outbox.db-wal"), &st) == 0 && (st.st_mode & 0777) == 0600, "its log, too");
	is_str(holds(o, "alice", "a"), "one", "found");
	blind = open_box(NULL, 1 << 20);
	is_str(holds(blind, "alice", "a"), "one", "found without a mapping");
	is_str(holds(blind, "bob", "a"), "(none)", "no row, without a mapping");
	mw_outbox_close(blind);
	mw_outbox_close(o);
	mw_outbox_close(NULL);
}

static bool
clean(const char *user)
{
	unsigned b = mw_shm_bucket(user);

	return atomic_load(&shm->dirty[b]) == atomic_load(&shm->clean[b]);
}

static void
test_clean(void)
{
	const struct mw_outbox_row *row;
	struct mw_outbox *o;

	fresh();
	o = open_box(shm, 1 << 20);
	ok(!clean("alice"), "a new mapping knows nothing");
	is_str(holds(o, "alice", "a"), "(none)", "the database is asked");
	ok(clean("alice") && clean("bob"), "found empty, all users are known to have nothing");
	ok(put(o, "alice", "a", "one") == MW_OK && !clean("alice"), "a row makes its user dirty");
	ok(clean("bob"), "and nobody else");
	is_str(holds(o, "alice", "b"), "(none)", "another path has none");
	ok(!clean("alice"), "the bucket is not empty");
	ok(mw_outbox_find(o, c(), "alice", "a", &row) == MW_OK && row != NULL &&
	    mw_outbox_done(o, &ctx, row) == MW_OK, "done");
	is_str(holds(o, "alice", "a"), "(none)", "gone");
	ok(clean("alice"), "the look-up noted that the bucket is empty");
	ok(mw_outbox_mark(o, c(), "alice", "a", MW_MARK_NEWER_R2) == MW_OK && !clean("alice"),
	    "a mark makes it dirty, too");
	is_str(holds(o, "alice", "a"), "(none)", "a look-up of rows");
	ok(!clean("alice"), "does not forget the mark");
	mw_outbox_close(o);
}

/* The mapping's promise, taken apart: whoever sees "clean" may skip the database,
 * so no interleaving may leave a row in a clean bucket. */
static _Atomic bool stop;
static _Atomic unsigned hidden;

static void *
look_up_for_ever(void *arg)
{
	struct mw_ctx mine = { .arena = mw_arena_open(1 << 20), .request_id = "t" };
	struct mw_outbox *o = open_box(shm, 1 << 20);
	const struct mw_outbox_row *row;

	(void)arg;
	while (!atomic_load(&stop)) {
		mine.deadline = mw_now() + 5000;
		mw_err_clear(&mine.err);
		mw_arena_reset(mine.arena);
		if (mw_outbox_find(o, &mine, "alice", "nothing", &row) != MW_OK || row != NULL)
			atomic_fetch_add(&hidden, 1);
	}
	mw_outbox_close(o);
	mw_arena_close(mine.arena);
	return NULL;
}

static void
test_no_row_in_a_clean_bucket(void)
{
	const struct mw_outbox_row *row;
	struct mw_outbox *o;
	pthread_t t[2];
	unsigned i;

	fresh();
	o = open_box(shm, 1 << 20);
	atomic_store(&stop, false);
	for (i = 0; i < 2; i++)
		if (pthread_create(&t[i], NULL, look_up_for_ever, NULL) != 0)
			abort();
	for (i = 0; i < 200; i++) {
		if (put(o, "alice", "a", NULL) != MW_OK ||
		    mw_outbox_find(o, c(), "alice", "a", &row) != MW_OK || row == NULL)
			hidden++;
		else if (mw_outbox_done(o, &ctx, row) != MW_OK)
			hidden += 1000;
	}
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		(void)pthread_join(t[i], NULL);
	is_int(hidden, 0, "no committed row is hidden by a look-up at the same time");
	mw_outbox_close(o);
}

static void
test_row(void)
{
	struct mw_outbox_row in = { .user = "alice", .path = "a/\xc3\xa9", .store = "s3|bucket",
	    .content_type = "text/x", .if_match = "\"e\"", .if_none_match = true,
	    .mode = 0755, .mtime = -1, .created = 42 };
	const struct mw_outbox_row *row;
	struct mw_outbox *o;
	struct mw_spool s;

	fresh();
	o = open_box(shm, 1 << 20);
	s = body("hello");
	ok(mw_outbox_put(o, c(), &in, &s) == MW_OK && s.kept, "put keeps the body");
	ok(mw_outbox_find(o, &ctx, "alice", in.path, &row) == MW_OK && row != NULL, "found");
	is_str(row->path, in.path, "path");
	is_str(row->store, "s3|bucket", "store");
	is_str(row->spool, s.name, "spool");
	is_int(row->size, 5, "size");
	ok(memcmp(row->md5, s.md5, 16) == 0 && memcmp(row->sha256, s.sha256, 32) == 0, "hashes");
	is_str(row->content_type, "text/x", "content type");
	is_str(row->if_match, "\"e\"", "If-Match");
	ok(row->if_none_match, "If-None-Match");
	is_int(row->mode, 0755, "mode");
	is_int(row->mtime, -1, "mtime");
	is_int(row->created, 42, "created");
	is_int(row->tries, 0, "no tries");
	ok(!row->parked && row->error == NULL, "not parked");
	mw_spool_drop(&s);
	is_str(holds(o, "alice", in.path), "hello", "the body outlives the spool's drop");
	mw_outbox_close(o);
}

static void
test_replace(void)
{
	const struct mw_outbox_row *old;
	struct mw_outbox *o;
	int fd;

	fresh();
	o = open_box(shm, 1 << 20);
	ok(put(o, "alice", "a", "one") == MW_OK && put(o, "alice", "b", "other") == MW_OK, "two rows");
	ok(mw_outbox_find(o, c(), "alice", "a", &old) == MW_OK && old != NULL, "the first");
	struct mw_outbox_row keep = *old;
	char name[64];
	(void)snprintf(name, sizeof(name), "%s", old->spool);
	keep.spool = name;
	keep.path = "a";
	ok(put(o, "alice", "a", "two") == MW_OK, "replaced");
	is_str(holds(o, "alice", "a"), "two", "the later one counts");
	is_int(spool_files(), 2, "the old body is gone");
	is_int(mw_outbox_body(o, c(), &keep, &fd), MW_FILE_NOT_FOUND, "the old row has no body");
	ok(mw_outbox_done(o, c(), &keep) == MW_OK, "the old row is done");
	is_str(holds(o, "alice", "a"), "two", "which leaves the new one alone");
	ok(mw_outbox_failed(o, c(), keep.id, true, "x") == MW_OK, "the old row failed");
	ok(mw_outbox_find(o, c(), "alice", "a", &old) == MW_OK && !old->parked, "likewise");
	ok(put(o, "alice", "a", NULL) == MW_OK, "a delete replaces it");
	is_str(holds(o, "alice", "a"), "(deleted)", "deleted");
	is_int(spool_files(), 1, "its body is gone");
	ok(put(o, "alice", "a", "three") == MW_OK, "and is replaced");
	is_str(holds(o, "alice", "a"), "three", "by a write");
	mw_outbox_close(o);
}

static void
test_order(void)
{
	const struct mw_outbox_row *row;
	struct mw_outbox_stat st;
	char seen[64] = "";
	struct mw_outbox *o;
	int64_t after = 0;

	fresh();
	o = open_box(shm, 1 << 20);
	ok(mw_shm_queued(shm), "a drain is due, for all one knows");
	ok(mw_outbox_next(o, c(), 0, &row) == MW_OK && row == NULL, "nothing to drain");
	ok(!mw_shm_queued(shm), "and that is known now");
	ok(put(o, "u1", "a", "1") == MW_OK && put(o, "u2", "b", "22") == MW_OK &&
	    put(o, "u1", "c", NULL) == MW_OK && put(o, "u1", "a", "333") == MW_OK, "rows");
	ok(mw_shm_queued(shm), "a drain is due");
	while (mw_outbox_next(o, c(), after, &row) == MW_OK && row != NULL) {
		(void)strncat(seen, row->path, 8);
		after = row->id;
	}
	is_str(seen, "bca", "oldest first; a replaced row is a new one");
	ok(mw_outbox_stat(o, c(), NULL, &st) == MW_OK && st.pending == 3 && st.parked == 0 &&
	    st.bytes == 5 && st.oldest > 0, "counted");
	ok(mw_outbox_stat(o, c(), "u2", &st) == MW_OK && st.pending == 1 && st.bytes == 2,
	    "counted for one user");
	ok(mw_outbox_next(o, c(), 0, &row) == MW_OK &&
	    mw_outbox_failed(o, &ctx, row->id, false, "try again") == MW_OK, "a try failed");
	ok(mw_outbox_next(o, c(), 0, &row) == MW_OK && row->tries == 1 &&
	    strcmp(row->error, "try again") == 0, "it is counted, with its error");
	ok(mw_outbox_failed(o, &ctx, row->id, true, "refused") == MW_OK, "parked");
	ok(mw_outbox_next(o, c(), 0, &row) == MW_OK && strcmp(row->path, "c") == 0,
	    "a parked row is not tried");
	is_str(holds(o, "u2", "b"), "22", "but read");
	ok(mw_outbox_stat(o, c(), NULL, &st) == MW_OK && st.pending == 2 && st.parked == 1,
	    "and counted");
	ok(put(o, "u2", "b", "4444") == MW_OK &&
	    mw_outbox_stat(o, c(), NULL, &st) == MW_OK && st.parked == 0, "a later write replaces it");
	ok(mw_outbox_find(o, c(), "u2", "b", &row) == MW_OK &&
	    mw_outbox_failed(o, &ctx, row->id, true, "refused") == MW_OK &&
	    mw_outbox_unpark(o, c()) == MW_OK &&
	    mw_outbox_stat(o, c(), NULL, &st) == MW_OK && st.pending == 3 && st.parked == 0,
	    "parked rows can be made to wait again");
	mw_outbox_close(o);
}

struct collected {
	struct mw_outbox *o;
	unsigned n, out_of_order;
	char last[64];
	char all[256];
	unsigned stop_at;
};

static enum mw_code
collect(void *arg, const struct mw_outbox_row *row)
{
	struct collected *got = arg;
	const struct mw_outbox_row *again;

	got->out_of_order += got->n > 0 && strcmp(got->last, row->path) >= 0;
	(void)snprintf(got->last, sizeof(got->last), "%s", row->path);
	if (strlen(got->all) + strlen(row->path) + 2 < sizeof(got->all)) {
		(void)strcat(got->all, row->path);
		(void)strcat(got->all, " ");
	}
	/* The outbox is ours to use meanwhile. */
	if (mw_outbox_find(got->o, &ctx, row->user, row->path, &again) != MW_OK || again == NULL)
		got->out_of_order += 1000;
	got->n++;
	return got->stop_at == got->n ? MW_CONFLICT : MW_OK;
}

static void
test_each(void)
{
	static const char *const paths[] = { "b", "a/x", "a", "a-b", "ab", "a/\xc3\xa9", "a/y/z", "A" };
	struct collected got = { 0 };
	struct mw_outbox *o;
	char path[32];
	unsigned i;
	bool good = true;

	fresh();
	o = open_box(shm, 1 << 24);
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		good = good && put(o, "alice", paths[i], NULL) == MW_OK;
	good = good && put(o, "bob", "a/other", NULL) == MW_OK;
	ok(good, "rows");
	got.o = o;
	ok(mw_outbox_each(o, c(), "alice", "", collect, &got) == MW_OK, "each");
	is_str(got.all, "A a a-b a/x a/y/z a/\xc3\xa9 ab b ", "all, in byte order");
	got = (struct collected){ .o = o };
	ok(mw_outbox_each(o, c(), "alice", "a/", collect, &got) == MW_OK, "each below a/");
	is_str(got.all, "a/x a/y/z a/\xc3\xa9 ", "those below a/");
	got = (struct collected){ .o = o, .stop_at = 2 };
	is_int(mw_outbox_each(o, c(), "alice", "", collect, &got), MW_CONFLICT, "stopped");
	is_int(got.n, 2, "at once");
	for (i = 0; i < 200 && good; i++) {
		(void)snprintf(path, sizeof(path), "many/%03u", i);
		good = put(o, "carol", path, NULL) == MW_OK;
	}
	got = (struct collected){ .o = o };
	ok(good && mw_outbox_each(o, c(), "carol", "many/", collect, &got) == MW_OK, "many");
	is_int(got.n, 200, "all of them");
	is_int(got.out_of_order, 0, "in order");
	mw_outbox_close(o);
}

static void
test_limit(void)
{
	const struct mw_outbox_row *row;
	struct mw_outbox *o;
	char text[3000];

	fresh();
	o = open_box(shm, 2 * 4096 + 3000);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ok(put(o, "u", "a", text) == MW_OK, "the first fits");
	ok(!mw_outbox_room(o, c(), 2), "no room for two bytes more");
	ok(mw_outbox_room(o, c(), 1), "but for one");
	is_int(put(o, "u", "b", "xx"), MW_STORAGE_FULL, "storage_full");
	ok(strstr(ctx.err.msg, "outbox.max_bytes") != NULL, "which names the setting");
	is_str(holds(o, "u", "b"), "(none)", "nothing was queued");
	is_int(spool_files(), 1, "and nothing left behind");
	is_int(put(o, "u", "a", "small"), MW_OK, "a smaller body replaces the large one");
	is_int(put(o, "u", "b", "xx"), MW_OK, "which makes room");
	is_int(put(o, "u", "c", NULL), MW_STORAGE_FULL, "a row costs something, too");
	ok(mw_outbox_find(o, c(), "u", "a", &row) == MW_OK && mw_outbox_done(o, &ctx, row) == MW_OK,
	    "one is done");
	is_int(put(o, "u", "c", NULL), MW_OK, "which makes room");
	mw_outbox_close(o);
}

static enum mw_code
collect_mark(void *arg, const char *path, enum mw_mark mark)
{
	struct collected *got = arg;
	size_t len = strlen(got->all);

	(void)snprintf(got->all + len, sizeof(got->all) - len, "%s=%d ", path, (int)mark);
	got->n++;
	return mw_outbox_mark(got->o, &ctx, "alice", path, MW_MARK_NONE);
}

static void
test_marks(void)
{
	struct collected got = { 0 };
	struct mw_outbox *o;
	enum mw_mark mark;
	char path[32];
	unsigned i;
	bool good = true;

	fresh();
	o = open_box(shm, 1 << 20);
	ok(mw_outbox_mark(o, c(), "alice", "b", MW_MARK_NEWER_R2) == MW_OK &&
	    mw_outbox_mark(o, c(), "alice", "a", MW_MARK_NEWER_SANDBOX) == MW_OK &&
	    mw_outbox_mark(o, c(), "bob", "a", MW_MARK_DELETED_R2) == MW_OK, "three marks");
	ok(mw_outbox_marked(o, c(), "alice", "a", &mark) == MW_OK && mark == MW_MARK_NEWER_SANDBOX,
	    "read");
	ok(mw_outbox_mark(o, c(), "alice", "a", MW_MARK_DELETED_R2) == MW_OK &&
	    mw_outbox_marked(o, c(), "alice", "a", &mark) == MW_OK && mark == MW_MARK_DELETED_R2,
	    "changed");
	got.o = o;
	ok(mw_outbox_marks(o, c(), "alice", collect_mark, &got) == MW_OK, "walked and removed");
	is_str(got.all, "a=3 b=2 ", "all of a user's, in order");
	ok(mw_outbox_marked(o, c(), "alice", "a", &mark) == MW_OK && mark == MW_MARK_NONE, "removed");
	ok(mw_outbox_marked(o, c(), "bob", "a", &mark) == MW_OK && mark == MW_MARK_DELETED_R2,
	    "another user's stays");
	for (i = 0; i < 150 && good; i++) {
		(void)snprintf(path, sizeof(path), "p%03u", i);
		good = mw_outbox_mark(o, c(), "alice", path, MW_MARK_NEWER_R2) == MW_OK;
	}
	got = (struct collected){ .o = o };
	ok(good && mw_outbox_marks(o, c(), "alice", collect_mark, &got) == MW_OK, "many");
	is_int(got.n, 150, "all of them");
	mw_outbox_close(o);
}

static void
age(const char *name)
{
	struct timespec t[2] = { { .tv_sec = time(NULL) - 120 }, { .tv_sec = time(NULL) - 120 } };

	(void)utimensat(spool_dir, name, t, 0);
}

static void
age_all(void)
{
	const struct dirent *e;
	DIR *d = opendir(in_dir("spool"));

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			age(e->d_name);
	if (d != NULL)
		(void)closedir(d);
}

static void
test_sweep(void)
{
	const struct mw_outbox_row *row = NULL;
	struct mw_spool held, left, young;
	struct mw_outbox *o;

	fresh();
	o = open_box(shm, 1 << 20);
	ok(put(o, "alice", "a", "named") == MW_OK &&
	    mw_outbox_find(o, c(), "alice", "a", &row) == MW_OK && row != NULL, "a row");
	if (row != NULL)
		age(row->spool);
	held = body("held");
	age(held.name);
	left = body("left");
	left.kept = true;
	mw_spool_drop(&left);
	age(left.name);
	young = body("young");
	young.kept = true;
	mw_spool_drop(&young);
	is_int(mw_outbox_sweep(o), 1, "one file is swept");
	ok(faccessat(spool_dir, left.name, F_OK, 0) < 0, "the one that nobody wants");
	ok(faccessat(spool_dir, held.name, F_OK, 0) == 0, "not one in use");
	ok(faccessat(spool_dir, young.name, F_OK, 0) == 0, "not a young one");
	is_str(holds(o, "alice", "a"), "named", "not a row's");
	mw_spool_drop(&held);
	mw_outbox_close(o);
}

static void
test_damage(void)
{
	static const char junk[8192] = "this is no database";
	const struct mw_outbox_row *row;
	struct mw_outbox *o;
	struct stat st;
	int fd;

	fresh();
	fd = open(in_dir("outbox.db"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ok(fd >= 0 && write(fd, junk, sizeof(junk)) == (ssize_t)sizeof(junk), "a damaged file");
	(void)close(fd);
	o = open_box(shm, 1 << 20);
	is_int(mw_outbox_find(o, c(), "alice", "a", &row), MW_INTERNAL_ERROR, "is an error");
	ok(strstr(ctx.err.msg, "damaged") != NULL, "that says so");
	is_int(put(o, "alice", "a", "x"), MW_INTERNAL_ERROR, "for a write, too");
	is_int(spool_files(), 0, "which leaves nothing behind");
	ok(stat(in_dir("outbox.db"), &st) == 0 && st.st_size == (off_t)sizeof(junk),
	    "the file is left as it was");
	mw_outbox_close(o);

	fresh();
	o = open_box(shm, 1 << 20);
	ok(put(o, "alice", "a", "x") == MW_OK && mw_outbox_find(o, c(), "alice", "a", &row) == MW_OK &&
	    unlinkat(spool_dir, row->spool, 0) == 0, "a body is lost");
	is_int(mw_outbox_body(o, &ctx, row, &fd), MW_INTERNAL_ERROR, "that is no 404");
	mw_outbox_close(o);
}

static void
test_link(void)
{
	const struct mw_outbox_row *row;
	struct mw_outbox *o;
	char target[64];

	fresh();
	(void)snprintf(target, sizeof(target), "%s/elsewhere", dir);
	ok(symlink(target, in_dir("outbox.db")) == 0, "a link in the database's place");
	o = open_box(shm, 1 << 20);
	is_int(mw_outbox_find(o, c(), "alice", "a", &row), MW_INTERNAL_ERROR, "is refused");
	ok(access(target, F_OK) < 0, "not followed");
	mw_outbox_close(o);
}

static void
test_fork(void)
{
	const struct mw_outbox_row *row;
	struct mw_outbox *o;
	int status = 0;
	pid_t pid;

	fresh();
	o = open_box(shm, 1 << 20);
	ok(put(o, "alice", "a", "x") == MW_OK, "a row");
	(void)fflush(stdout);
	if ((pid = fork()) == 0) {
		status = mw_outbox_find(o, c(), "alice", "a", &row) == MW_INTERNAL_ERROR ? 0 : 1;
		mw_outbox_close(o);
		_exit(status);
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0, "a handle is refused after a fork");
	is_str(holds(o, "alice", "a"), "x", "and its owner goes on");
	mw_outbox_close(o);
}

/* SQLite's own full disk: its files may not grow.  The shell's ulimit -f. */
static void
test_full_disk(void)
{
	struct rlimit lim, old;
	struct mw_outbox *o;
	enum mw_code code = MW_OK;
	char path[32];
	unsigned i;

	fresh();
	o = open_box(shm, 1 << 30);
	ok(put(o, "alice", "a", "x") == MW_OK, "a row");
	(void)signal(SIGXFSZ, SIG_IGN);
	ok(getrlimit(RLIMIT_FSIZE, &old) == 0, "limit");
	lim = old;
	lim.rlim_cur = 1 << 17;
	ok(setrlimit(RLIMIT_FSIZE, &lim) == 0, "files may not grow past 128 KiB");
	for (i = 0; i < 2000 && code == MW_OK; i++) {
		(void)snprintf(path, sizeof(path), "p%u", i);
		code = put(o, "alice", path, "y");
	}
	ok(code != MW_OK, "some write fails");
	is_str(holds(o, "alice", path), "(none)", "and has changed nothing");
	is_int(spool_files(), i, "its body is gone");
	ok(setrlimit(RLIMIT_FSIZE, &old) == 0 && put(o, "alice", path, "z") == MW_OK,
	    "with room again, writes go on");
	is_str(holds(o, "alice", "a"), "x", "the first row is unharmed");
	mw_outbox_close(o);
}

/* ---- kill -9 in the middle of it ---- */

#define KILLS 40

/* Puts rows for ever; says on the pipe which of them were acknowledged. */
static void
writer(int ack, unsigned round)
{
	struct mw_outbox *o = open_box(shm, 1 << 28);
	char path[32], text[64];
	unsigned i;

	for (i = 0;; i++) {
		(void)snprintf(path, sizeof(path), "r%u/%u", round, i % 7);
		(void)snprintf(text, sizeof(text), "round %u, body %u", round, i);
		if (put(o, "alice", path, text) != MW_OK)
			_exit(1);
		if (write(ack, &i, sizeof(i)) != (ssize_t)sizeof(i))
			_exit(1);
	}
}

/* The last acknowledged body of each path, or a later one, must be there. */
static unsigned
check_round(struct mw_outbox *o, unsigned round, unsigned last)
{
	unsigned i, n, r, bad = 0;
	const char *text;
	char path[32];
	char *end;

	for (i = last >= 6 ? last - 6 : 0; i <= last; i++) {
		(void)snprintf(path, sizeof(path), "r%u/%u", round, i % 7);
		text = holds(o, "alice", path);
		r = n = 0;
		if (strncmp(text, "round ", 6) == 0) {
			r = (unsigned)strtoul(text + 6, &end, 10);
			if (strncmp(end, ", body ", 7) == 0)
				n = (unsigned)strtoul(end + 7, NULL, 10);
		}
		/* A later one: committed, then killed before it could say so. */
		if (r != round || n % 7 != i % 7 || n < i || n > last + 1) {
			printf("# %s: wanted body %u, got '%s'\n", path, i, text);
			bad++;
		}
	}
	return bad;
}

static void
test_kill(void)
{
	unsigned round, i, last, bad = 0, rounds = 0;
	struct mw_outbox *o;
	struct mw_outbox_stat st;
	int p[2];
	pid_t pid;

	fresh();
	srand(7);
	for (round = 0; round < KILLS; round++) {
		if (pipe(p) != 0)
			break;
		(void)fflush(stdout);
		if ((pid = fork()) == 0) {
			(void)close(p[0]);
			writer(p[1], round);
		}
		(void)close(p[1]);
		last = UINT32_MAX;
		/* Some acknowledgements, then a moment that is anybody's guess. */
		for (i = (unsigned)rand() % 12 + 1; i > 0; i--)
			if (read(p[0], &last, sizeof(last)) != (ssize_t)sizeof(last))
				break;
		(void)usleep((useconds_t)(rand() % 3000));
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		while (read(p[0], &i, sizeof(i)) == (ssize_t)sizeof(i))
			last = i;
		(void)close(p[0]);
		if (last == UINT32_MAX)
			continue;
		rounds++;
		o = open_box(shm, 1 << 28);
		bad += check_round(o, round, last);
		mw_outbox_close(o);
	}
	is_int(rounds, KILLS, "every writer got to write");
	is_int(bad, 0, "after a kill every acknowledged row is there, with its body");
	o = open_box(shm, 1 << 28);
	age_all();
	(void)mw_outbox_sweep(o);
	ok(mw_outbox_stat(o, c(), NULL, &st) == MW_OK &&
	    st.pending == (int64_t)spool_files(), "a sweep leaves the rows' bodies and no orphan");
	mw_outbox_close(o);
}

/* ---- many at once ---- */

#define THREADS 4
#define EACH 30

static struct mw_outbox *box;
static _Atomic unsigned failures;

static void *
put_many(void *arg)
{
	struct mw_ctx mine = { .arena = mw_arena_open(1 << 20), .request_id = "t" };
	unsigned me = (unsigned)(uintptr_t)arg, i;
	const struct mw_outbox_row *found;
	struct mw_spool s;
	char path[32];

	for (i = 0; i < EACH; i++) {
		(void)snprintf(path, sizeof(path), "%u/%u", me, i);
		struct mw_outbox_row row = { .user = "alice", .path = path, .mode = -1, .mtime = -1 };

		s = body(path);
		mine.deadline = mw_now() + 20000;
		mw_arena_reset(mine.arena);
		if (mw_outbox_put(box, &mine, &row, &s) != MW_OK ||
		    mw_outbox_find(box, &mine, "alice", path, &found) != MW_OK || found == NULL)
			atomic_fetch_add(&failures, 1);
		mw_spool_drop(&s);
	}
	mw_arena_close(mine.arena);
	return NULL;
}

static void
test_threads(void)
{
	struct mw_outbox_stat st;
	pthread_t t[THREADS];
	uintptr_t i;

	fresh();
	box = open_box(shm, 1 << 28);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, put_many, (void *)i) != 0)
			abort();
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	is_int(failures, 0, "threads share a handle");
	ok(mw_outbox_stat(box, c(), NULL, &st) == MW_OK && st.pending == THREADS * EACH, "all rows");
	mw_outbox_close(box);
}

/* The first opening of a new database, by many processes at once. */
static void
test_processes(void)
{
	struct mw_outbox_stat st;
	struct mw_outbox *o;
	pid_t pid[6];
	char path[32];
	int i, j, status, good = 0;

	fresh();
	(void)fflush(stdout);
	for (i = 0; i < 6; i++) {
		if ((pid[i] = fork()) == 0) {
			o = open_box(shm, 1 << 28);
			for (j = 0; j < 10; j++) {
				(void)snprintf(path, sizeof(path), "%d/%d", i, j);
				if (put(o, "alice", path, path) != MW_OK)
					_exit(1);
			}
			mw_outbox_close(o);
			_exit(0);
		}
	}
	for (i = 0; i < 6; i++)
		good += waitpid(pid[i], &status, 0) == pid[i] && status == 0;
	is_int(good, 6, "processes make and fill the database together");
	o = open_box(shm, 1 << 28);
	ok(mw_outbox_stat(o, c(), NULL, &st) == MW_OK && st.pending == 60, "all rows are there");
	mw_outbox_close(o);
}

int
main(void)
{
	ctx.request_id = "test";
	ctx.arena = mw_arena_open(1 << 22);
	test_lazy();
	test_clean();
	test_no_row_in_a_clean_bucket();
	test_row();
	test_replace();
	test_order();
	test_each();
	test_limit();
	test_marks();
	test_sweep();
	test_damage();
	test_link();
	test_fork();
	test_full_disk();
	test_kill();
	test_threads();
	test_processes();
	mw_arena_close(ctx.arena);
	mw_shm_close(shm);
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return done();
}
