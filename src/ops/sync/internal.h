/* SPDX-License-Identifier: BSD-2-Clause */
/* One sync under way: what the files of this folder share. */
#ifndef MW_OPS_SYNC_INTERNAL_H
#define MW_OPS_SYNC_INTERNAL_H

#include <pthread.h>

#include "ops/sync/manifest.h"
#include "ops/sync/sorted.h"
#include "ops/sync/sync.h"
#include "ops/sync/plan.h"

#define MW_SYNC_OLD 256			/* results of forgotten jobs that one backup removes */
#define MW_R2_PAGE 999			/* rows: with one more, one call to S3 has them */

/* R2's listing as rows, page by page. */
struct mw_r2_list {
	struct mw_app *app;
	struct mw_ctx *ctx;
	struct mw_sync *s;		/* takes the bad names; or NULL */
	struct mw_sync_run *run;	/* takes old results; or NULL */
	struct mw_sorted *made;		/* takes the directories that objects are markers of; or NULL */
	struct mw_list_req req;		/* the next page */
	struct mw_arena *page;		/* of the rows below */
	struct mw_row *rows;
	size_t n, next;
	bool more;
	char last[2 * MW_PATH_MAX];	/* of the page before: its last key */
	bool has_manifest, has_last_sync;
	int64_t objects, bytes;		/* given out */
};

/* A directory that cannot be listed: what is below it may be anything. */
struct mw_untold {
	const char *path, *error;
	enum mw_code code;
};

/*
 * A path that one side has as a file or link, the other as something else.  What is
 * at it or below it is only copied if all that it replaces is gone.
 */
struct mw_sync_kind {
	struct mw_sync_kind *next;
	const char *path;
	bool link;			/* in the sandbox: a path below it leads elsewhere */
	bool stays;			/* something of the other kind */
	bool weak;			/* no manifest says that the object is replaced */
};

struct mw_sync_run {
	struct mw_app *app;
	struct mw_ctx *ctx;		/* of the thread that began it */
	struct mw_sync *s;
	const char *user;
	size_t prefix_length;		/* of the user's keys */
	struct mw_store *store;
	struct mw_sandbox *sb;
	bool restore;
	bool add_only;			/* a wake's restore: no locks, nothing overwritten */
	int64_t deadline;		/* of the transfers */
	struct mw_manifest manifest;	/* as it was */
	struct mw_sorted *sandbox;	/* its listing */
	struct mw_untold *untold;	/* directories whose content it lacks, in order of path */
	size_t nuntold, untold_max;
	struct mw_sorted *plan;		/* what is to be done, one row a path */
	struct mw_sorted *links;		/* links and directories: to be read, or made */
	struct mw_sorted *facts;		/* changes of the manifest; act NONE = entry goes */
	struct mw_sync_kind *kinds;
	int64_t replaced;		/* planned: objects in the way of another kind */
	bool half;			/* they are too many */
	int64_t removals;		/* planned, on nobody's word but delete=true */
	int64_t there;			/* of so many files */
	int64_t checks;			/* planned: files that are the same in all likelihood */
	const char *old[MW_SYNC_OLD];	/* results that no row can know any more */
	size_t nold;
	int64_t unsure;			/* planned: both may have changed, and are of one size */
	/* the transfers, under the mutex */
	pthread_mutex_t mutex;
	int round;			/* of transfer.c */
	enum mw_code code;		/* what ended it, MW_OK = nothing yet */
	struct mw_err err;
};

/* ---- run.c ---- */

/* Allocate the rows; reset and free them.  close accepts a zeroed struct. */
enum mw_code mw_run_open(struct mw_sync_run *run) MW_MUST;
void mw_run_close(struct mw_sync_run *run);
/* For the metrics: backup 0, restore 1, a restore within a wake 2; `began`: ms. */
void mw_sync_counted(unsigned direction, const struct mw_sync *s, enum mw_code code,
    int64_t began);

/* Add a path to one of the lists of notes; error NULL = none. */
void mw_sync_note(struct mw_arena *a, struct mw_sync_notes *notes, const char *path,
    enum mw_code code, const char *error);

/* ---- listing.c ---- */

enum mw_code mw_r2_list_open(struct mw_r2_list *l, struct mw_app *app, struct mw_ctx *ctx,
    const char *user, struct mw_sync *s) MW_MUST;
/* The next object, *row = NULL after the last.  Valid until the next call. */
enum mw_code mw_r2_list_next(struct mw_r2_list *l, const struct mw_row **row) MW_MUST;
void mw_r2_list_close(struct mw_r2_list *l);		/* accepts a zeroed struct */

/* The sandbox's listing into run->sandbox, sorted and rewound. */
enum mw_code mw_sync_list_sandbox(struct mw_sync_run *run) MW_MUST;

/* Is the path below a directory that could not be listed? */
bool mw_sync_untold(const struct mw_sync_run *run, const char *path);

/* ---- compare.c ---- */

/* Compare the three listings: counts, run->plan, run->links, run->facts. */
enum mw_code mw_sync_compare(struct mw_sync_run *run) MW_MUST;

/* ---- kinds.c ---- */

/* Files and links whose names begin the path in hand: directories, perhaps, elsewhere. */
struct mw_sync_above {
	size_t n;
	char path[MW_PATH_MAX + 1];
	struct { size_t length; struct mw_row row; bool sandbox, was, r2; } item[MW_PATH_MAX + 1];
};

/* What the disk has in the place of the object in hand: sides->way and what goes with it. */
void mw_sync_kind_look(struct mw_sync_above *a, const char *path, int64_t clock,
    struct mw_sides *sides);
/* Keep the path in hand for those that come below it. */
void mw_sync_kind_push(struct mw_sync_above *a, const char *path, const struct mw_sides *sides);
/* Remember the place of sides->way, and what was decided about the object. */
enum mw_code mw_sync_kind_note(struct mw_sync_run *run, const struct mw_sync_above *a,
    const char *path, const struct mw_sides *sides, enum mw_act act) MW_MUST;
/* May this be copied to R2, or recorded?  May this object be replaced?  Any failure is
 * the path's own. */
enum mw_code mw_sync_kind_copy(struct mw_sync_run *run, struct mw_ctx *ctx, const struct mw_row *item) MW_MUST;
enum mw_code mw_sync_kind_replace(struct mw_sync_run *run, struct mw_ctx *ctx, const char *path) MW_MUST;
/* Is there a link of the sandbox's at it or above it? */
bool mw_sync_kind_link(const struct mw_sync_run *run, const char *path);
/* It could not be replaced. */
void mw_sync_kind_stays(struct mw_sync_run *run, const char *path);

/* ---- transfer.c ---- */

/* Do what run->plan says, sync.parallel at a time; first the copies, then the
 * removals.  The failure that ended it, or MW_OK. */
enum mw_code mw_sync_transfer(struct mw_sync_run *run) MW_MUST;

/* Does this failure concern one path alone? */
bool mw_sync_one_path(enum mw_code code, const struct mw_err *err);

/* ---- up.c, down.c, path.c: one path ---- */

struct mw_sync_worker {
	struct mw_sync_run *run;
	struct mw_app *app;		/* with its own store */
	struct mw_sandbox *sb;
	struct mw_ctx *ctx;		/* its arena is reset for each path */
};

/* What became of it. */
struct mw_sync_result {
	enum mw_act act;		/* COPY, REMOVE: done; SAME, KEEP, NEWER, WAIT, NONE (gone) */
	int64_t bytes;
	bool absent;			/* a restore: the sandbox has none, proven */
	bool has_fact;
	struct mw_row fact;		/* for the manifest */
};

enum mw_code mw_sync_up(struct mw_sync_worker *w, const struct mw_row *item, struct mw_sync_result *o) MW_MUST;
enum mw_code mw_sync_up_remove(struct mw_sync_worker *w, const struct mw_row *item, struct mw_sync_result *o) MW_MUST;
enum mw_code mw_sync_down(struct mw_sync_worker *w, const struct mw_row *item, struct mw_sync_result *o) MW_MUST;
enum mw_code mw_sync_down_remove(struct mw_sync_worker *w, const struct mw_row *item, struct mw_sync_result *o) MW_MUST;

/* Read the sandbox's file into a spool, whole: *st as it was then. */
enum mw_code mw_sync_read(struct mw_sync_worker *w, const char *path, struct mw_spool *spool,
    struct mw_stat *st) MW_MUST;

/* stat of the sandbox's; *there false: proven absent. */
enum mw_code mw_sync_stat(struct mw_sync_worker *w, const char *path, struct mw_stat *st, bool *there) MW_MUST;

/* HEAD of R2's; *there false: it has none. */
enum mw_code mw_sync_head(struct mw_sync_worker *w, const char *path, struct mw_object *obj, bool *there) MW_MUST;

/* The path's lock, for a while; MW_CONFLICT when somebody else keeps it. */
enum mw_code mw_sync_lock(struct mw_sync_worker *w, const char *path, int *lock) MW_MUST;

/* Is this ETag of R2's the MD5? */
bool mw_sync_tag_is(const char *tag, const unsigned char md5[16]);

/*
 * What the sandbox's content, of this MD5, says without another question: SAME as
 * R2's; NEWER, for it is the manifest's still, and R2's is another; else COPY.
 */
enum mw_act mw_sync_judge(const struct mw_row *item, const unsigned char md5[16]);

/* Is R2's content later than the sandbox's file?  A recorded mtime says so exactly;
 * Last-Modified has whole seconds of another clock. */
bool mw_sync_later(const struct mw_store *store, const struct mw_object *obj, int64_t mtime);

/* ---- finish.c ---- */

/* Look for what was transferred; what is not there is noted as failed.  The facts
 * that hold are copied to `good`, if it is not NULL. */
enum mw_code mw_sync_verify(struct mw_sync_run *run, struct mw_sorted *good) MW_MUST;
enum mw_code mw_sync_write_manifest(struct mw_sync_run *run, struct mw_sorted *facts) MW_MUST;
enum mw_code mw_sync_write_last(struct mw_sync_run *run) MW_MUST;
/* Remove run->old from R2, as far as that can be done. */
void mw_sync_remove_old(struct mw_sync_run *run);

/* ---- links.c ---- */

/* Read the targets of the links in run->links into run->facts. */
enum mw_code mw_sync_read_links(struct mw_sync_run *run) MW_MUST;
/* Make the links and directories in run->links. */
enum mw_code mw_sync_make_links(struct mw_sync_run *run) MW_MUST;

#endif
