/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "outbox_fixture.h"

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

int
main(void)
{
	begin();
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
	return end();
}
