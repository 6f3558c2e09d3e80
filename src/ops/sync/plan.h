/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a sync does about one path, from what is known of it in three places: the
 * sandbox, R2, and the manifest, which remembers both as they were when they held
 * the same content.  No input or output: one table of cases.
 */
#ifndef MW_OPS_SYNC_PLAN_H
#define MW_OPS_SYNC_PLAN_H

#include "conf/conf.h"
#include "ops/sync/sorted.h"
#include "state/outbox.h"

/* mtimes that are no further apart prove nothing, for clocks differ, ms. */
#define MW_SYNC_CLOSE 2000

enum mw_act {
	MW_ACT_NONE,		/* nothing is left of it */
	MW_ACT_SAME,		/* both have it */
	MW_ACT_KEEP,		/* only one place has it, and that may be so */
	MW_ACT_NEWER,		/* the other side is newer: not touched, reported */
	MW_ACT_WAIT,		/* a change of it waits in the outbox: not touched */
	MW_ACT_CLASH,		/* a file here, something else there: reported as failed */
	MW_ACT_LINK,		/* a link or directory that only the manifest has */
	MW_ACT_CHECK,		/* the same, but for an mtime that proves nothing */
	MW_ACT_COPY,		/* transfer, unless the contents turn out to be the same */
	MW_ACT_DECIDE,		/* both may have changed: contents first, then times */
	MW_ACT_REMOVE,		/* absent on the side that counts */
	MW_ACT_FORGET,		/* the same, because a mark says so */
	MW_ACT_REPLACE		/* the other side's: its place is another kind's now */
};

enum mw_waiting { MW_WAITING_NOT, MW_WAITING_PUT, MW_WAITING_DELETE };

struct mw_sides {
	const struct mw_row *sandbox, *manifest, *r2;	/* NULL = not there; R2's mtime: Last-Modified */
	enum mw_mark mark;
	enum mw_waiting waiting;	/* in the outbox */
	const struct mw_row *way;	/* the sandbox's that an object cannot stand beside, or NULL */
	bool way_was;			/* it is the manifest's */
	bool way_older, way_newer;	/* than R2's object, by more than clocks differ */
	bool synced;			/* there is a manifest, if without this path */
	bool pair;			/* R2 holds it, too, as a file */
	bool excluded;			/* by sync.exclude: the sandbox's is not looked at */
	bool remove;			/* delete=true */
	bool force;
	bool verify;			/* a size and mtime prove nothing */
	bool add_only;			/* a wake's restore: overwrites nothing */
};

enum mw_act mw_plan_backup(const struct mw_sides *s);
enum mw_act mw_plan_restore(const struct mw_sides *s);

/*
 * Does sync.exclude name the path?  A pattern without '/' is matched with each
 * segment, one with '/' with the whole path and with each directory above it.
 */
bool mw_plan_excluded(const struct mw_list *patterns, const char *path);

#endif
