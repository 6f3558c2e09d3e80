/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every sandbox driver must do, whichever it is: one test program per driver
 * describes it and calls suite().  Commands inside are the second opinion: what the
 * driver wrote they must see, and what they planted the driver must survive.  The
 * sandbox needs a POSIX shell, coreutils or busybox, and find.
 *
 * MW_LONG=1 adds a file of 200 MiB.
 */
#ifndef MW_TESTS_SANDBOX_SUITE_H
#define MW_TESTS_SANDBOX_SUITE_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "sandbox/sandbox.h"
#include "tap.h"

/* What a test program says of its driver.  Only what the contract lets drivers
 * differ in is here; what the flags tell is not. */
struct suite_driver {
	/* Another handle on the same sandboxes; never NULL. */
	struct mw_sandbox *(*open)(void);
	/* From outside: in place of the user's sandbox there is a fresh, empty one, or
	 * none that the next start would not make. */
	void (*replace)(const char *user);
	int64_t grain;		/* ms: how exactly a list tells a time */
	int64_t stat_grain;	/* ms: the same for stat */
	bool not_utf8;		/* arguments need not be UTF-8 */
	/* What status says of a sandbox before its first start: one that somebody else
	 * makes may be there and run. */
	enum mw_sandbox_state before;
	bool unlisted;		/* the upstream has no list to enumerate */
	bool one_start;		/* two first calls at once may make two sandboxes, of which the
				 * later one stays: callers must see to it that there is one */
	/* A user's id, for one of the names that the suite has; NULL: the name. */
	const char *(*user)(const char *name);
	/* Of the odd names one in so many is also written and read, unless MW_LONG is set:
	 * for a driver whose calls take long.  All are listed in any case. */
	unsigned stride;
};

/* A caller: its handle, its request, its user. */
struct box {
	struct mw_sandbox *sb;
	struct mw_ctx ctx;
	const char *user;
};

/* ms of one call; 200 MiB through a bridge, on a machine with other work, take minutes. */
#define SUITE_DEADLINE (getenv("MW_LONG") != NULL ? 300000 : 60000)

static const struct suite_driver *drv;
static struct box box;

static void
box_fresh(struct box *b)
{
	struct mw_arena *a = b->ctx.arena != NULL ? b->ctx.arena : mw_arena_open(16 << 20);

	if (a == NULL)
		abort();
	mw_arena_reset(a);
	b->ctx = (struct mw_ctx){ .arena = a, .deadline = mw_now() + SUITE_DEADLINE,
	    .request_id = "suite" };
}

static void
box_open(struct box *b, const char *user)
{
	*b = (struct box){ .user = drv->user != NULL ? drv->user(user) : user,
	    .sb = drv->open() };
	box_fresh(b);
}

static void
box_close(struct box *b)
{
	mw_sandbox_close(b->sb);
	mw_arena_close(b->ctx.arena);
}

static bool
suite_code(enum mw_code got, enum mw_code want, const char *what)
{
	bool good = ok(got == want, "%s", what);

	if (!good)
		printf("# got %s, want %s (%s)\n", mw_code_info(got)->name,
		    mw_code_info(want)->name, box.ctx.err.msg);
	return good;
}

static bool
suite_either(enum mw_code got, enum mw_code a, enum mw_code b, const char *what)
{
	return suite_code(got, got == b ? b : a, what);
}

/* ---- commands ---- */

struct ran {
	enum mw_code code;
	struct mw_exec_result r;
};

static void
ran_free(struct ran *ran)
{
	mw_buf_free(&ran->r.out);
	mw_buf_free(&ran->r.err);
}

static void
box_exec(struct box *b, struct mw_exec *x, size_t cap, struct ran *ran)
{
	*ran = (struct ran){ .r = { .exit_code = -1 } };
	mw_buf_init(&ran->r.out, cap);
	mw_buf_init(&ran->r.err, cap);
	if (x->timeout == 0)
		x->timeout = SUITE_DEADLINE;
	box_fresh(b);
	ran->code = b->sb->ops->exec(b->sb, &b->ctx, b->user, x, &ran->r);
}

/* Run a script that must succeed; what it printed, good until the next call. */
static const char *
box_sh(struct box *b, const char *script)
{
	static _Thread_local char out[65536];
	const char *argv[] = { "sh", "-c", script, NULL };
	struct mw_exec x = { .argv = argv };
	struct ran ran;

	box_exec(b, &x, sizeof(out) - 1, &ran);
	if (ran.code != MW_OK || ran.r.exit_code != 0)
		printf("# %s: %s, exit %d: %s%s\n", script, mw_code_info(ran.code)->name,
		    ran.r.exit_code, b->ctx.err.msg, ran.r.err.len > 0 ? ran.r.err.data : "");
	(void)snprintf(out, sizeof(out), "%s", ran.code == MW_OK && ran.r.exit_code == 0 ?
	    ran.r.out.len > 0 ? ran.r.out.data : "" : "(failed)");
	ran_free(&ran);
	return out;
}

static const char *
sh(const char *script)
{
	return box_sh(&box, script);
}

#define SUITE_MARK "0123456789abcdef"

/* As a wake does at its end: whole or not at all, for others may look at it. */
static void
box_mark(struct box *b)
{
	(void)box_sh(b, "umask 077; mkdir -p \"$MW_RUN_DIR\" && "
	    "printf " SUITE_MARK " >\"$MW_RUN_DIR/instance.$$\" && "
	    "mv \"$MW_RUN_DIR/instance.$$\" \"$MW_RUN_DIR/instance\"");
}

/* A running sandbox whose content is proven. */
static void
box_ready(struct box *b)
{
	enum mw_code code;

	box_fresh(b);
	code = b->sb->ops->start(b->sb, &b->ctx, b->user);
	if (code != MW_OK) {
		printf("Bail out! start of %s: %s: %s\n", b->user, mw_code_info(code)->name,
		    b->ctx.err.msg);
		exit(1);
	}
	box_mark(b);
}

/* ---- files ---- */

static enum mw_code
box_put(struct box *b, const char *path, const void *p, size_t n, int mode, int64_t mtime)
{
	int fd = memfd_create("content", MFD_CLOEXEC);
	enum mw_code code;
	size_t at = 0;
	ssize_t did;

	while (fd >= 0 && at < n) {
		did = write(fd, (const char *)p + at, n - at);
		if (did <= 0)
			abort();
		at += (size_t)did;
	}
	if (fd < 0)
		abort();
	box_fresh(b);
	code = b->sb->ops->write(b->sb, &b->ctx, b->user, path, fd, (int64_t)n, mode, mtime);
	(void)close(fd);
	return code;
}

static enum mw_code
put(const char *path, const char *text)
{
	return box_put(&box, path, text, strlen(text), -1, -1);
}

struct got {
	struct mw_buf body;
	struct mw_stat st;
	int begun;
	int64_t from, to;
	size_t stop_at;		/* give up after so many bytes; 0 = never */
};

static enum mw_code
got_begin(void *arg, const struct mw_stat *st, int64_t from, int64_t to)
{
	struct got *g = arg;

	g->begun++;
	g->st = *st;
	g->from = from;
	g->to = to;
	return MW_OK;
}

static enum mw_code
got_data(void *arg, const void *p, size_t n)
{
	struct got *g = arg;

	if (!mw_buf_add(&g->body, p, n))
		return MW_INTERNAL_ERROR;
	return g->stop_at > 0 && g->body.len >= g->stop_at ? MW_CLIENT_GONE : MW_OK;
}

/* The caller frees g->body. */
static enum mw_code
box_get(struct box *b, const char *path, bool ranged, int64_t from, int64_t to, struct got *g)
{
	struct mw_file_sink sink = { got_begin, got_data, g };

	mw_buf_init(&g->body, (size_t)512 << 20);
	g->begun = 0;
	box_fresh(b);
	return b->sb->ops->read(b->sb, &b->ctx, b->user, path, ranged, from, to, &sink);
}

/* What a read of `path` comes to. */
static enum mw_code
get_code(const char *path)
{
	struct got g = { 0 };
	enum mw_code code = box_get(&box, path, false, 0, 0, &g);

	mw_buf_free(&g.body);
	return code;
}

static bool
box_holds(struct box *b, const char *path, const void *p, size_t n)
{
	struct got g = { 0 };
	enum mw_code code = box_get(b, path, false, 0, 0, &g);
	bool good = code == MW_OK && g.begun == 1 && g.st.type == MW_FT_FILE &&
	    g.st.size == (int64_t)n && g.from == 0 && g.to == (int64_t)n - 1 &&
	    g.body.len == n && (n == 0 || memcmp(g.body.data, p, n) == 0);

	if (!good)
		printf("# %s: %s (%s), begun %d, size %lld, %zu of %zu bytes\n", path,
		    mw_code_info(code)->name, b->ctx.err.msg, g.begun, (long long)g.st.size,
		    g.body.len, n);
	mw_buf_free(&g.body);
	return good;
}

static bool
holds(const char *path, const char *text, const char *what)
{
	return ok(box_holds(&box, path, text, strlen(text)), "%s", what);
}

static enum mw_code
box_stat(struct box *b, const char *path, struct mw_stat *st)
{
	*st = (struct mw_stat){ .size = -1, .mtime = -1, .mode = -1 };
	box_fresh(b);
	return b->sb->ops->stat(b->sb, &b->ctx, b->user, path, st);
}

static enum mw_code
box_remove(struct box *b, const char *path)
{
	box_fresh(b);
	return b->sb->ops->remove(b->sb, &b->ctx, b->user, path);
}

/* ---- lists ---- */

struct listed {
	size_t n, stop_at;	/* entries; end after so many, 0 = never */
	const char *want;	/* a path to look out for */
	struct mw_stat st;	/* of that one */
	int seen;		/* how often it came */
	struct mw_buf names;	/* all of them, each between two '|' */
};

static enum mw_code
listed_add(void *arg, const struct mw_entry *e)
{
	struct listed *l = arg;

	l->n++;
	if (l->want != NULL && strcmp(l->want, e->path) == 0) {
		l->seen++;
		l->st = e->st;
	}
	(void)(mw_buf_addc(&l->names, '|') && mw_buf_adds(&l->names, e->path) &&
	    mw_buf_addc(&l->names, '|'));
	return l->n == l->stop_at ? MW_CLIENT_GONE : MW_OK;
}

/* The caller frees l->names. */
static enum mw_code
box_list(struct box *b, const char *path, bool recursive, struct listed *l)
{
	mw_buf_init(&l->names, 64 << 20);
	l->n = 0;
	l->seen = 0;
	box_fresh(b);
	return b->sb->ops->list(b->sb, &b->ctx, b->user, path, recursive, listed_add, l);
}

static enum mw_code
list_code(const char *path)
{
	struct listed l = { 0 };
	enum mw_code code = box_list(&box, path, false, &l);

	mw_buf_free(&l.names);
	return code;
}

static bool
is_listed(const struct listed *l, const char *name)
{
	char want[1200];
	int n = snprintf(want, sizeof(want), "|%s|", name);

	return l->names.len > 0 && memmem(l->names.data, l->names.len, want, (size_t)n) != NULL;
}

/* One entry of a list; seen must be 1. */
static bool
lists(const char *dir, bool recursive, const char *want, struct mw_stat *st)
{
	struct listed l = { .want = want };
	enum mw_code code = box_list(&box, dir, recursive, &l);
	bool good = code == MW_OK && l.seen == 1;

	if (!good)
		printf("# list of '%s': %s (%s), %zu entries, '%s' %d times: %.200s\n", dir,
		    mw_code_info(code)->name, box.ctx.err.msg, l.n, want, l.seen,
		    l.names.len > 0 ? l.names.data : "");
	*st = l.st;
	mw_buf_free(&l.names);
	return good;
}

#include "sandbox_suite_files.h"
#include "sandbox_suite_exec.h"
#include "sandbox_suite_life.h"

/* Coming and going only.  Uses the user "life", which must not exist. */
__attribute__((unused)) static void
suite_only_life(const struct suite_driver *driver)
{
	drv = driver;
	box_open(&box, "life");
	suite_life();
	box_close(&box);
}

/* Single files only, by the user "suite". */
__attribute__((unused)) static void
suite_only_files(const struct suite_driver *driver)
{
	drv = driver;
	box_open(&box, "suite");
	box_ready(&box);
	suite_files();
	box_close(&box);
}

/* All of it.  Uses also the users "suite", and t0 to t3. */
__attribute__((unused)) static void
suite(const struct suite_driver *driver)
{
	suite_only_life(driver);
	box_open(&box, "suite");
	box_ready(&box);
	suite_exec();
	suite_files();
	suite_lists();
	suite_limits();
	suite_threads();
	box_close(&box);
}

#endif
