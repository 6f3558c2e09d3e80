/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the directory driver.  Objects are plain files at PATH/<key>; what is
 * ours lies in PATH/.moltworker-store/: tmp/ (files being written), meta/ (one
 * sidecar per object, named by the hash of its key) and lock.
 *
 * A sidecar names the inode, size and mtime of the file it describes.  After a
 * crash between the two renames, or an edit by hand, they do not match: then the
 * file alone counts, its ETag is computed again, mode and type are unknown.
 */
#ifndef MW_STORE_DIR_H
#define MW_STORE_DIR_H

#include <sys/stat.h>

#include "base/tmpfile.h"
#include "store/key.h"
#include "store/store.h"

#define MW_DIR_AREA ".moltworker-store"
#define MW_DIR_PIECE 65536		/* bytes read or written at a time */
#define MW_DIR_TYPE_MAX 255

struct mw_dir {
	struct mw_store store;
	char *path;			/* store.dir.path */
	char *lock_path;
	char *known_path;		/* exists: the store was made, and is never made again */
	int64_t timeout;		/* longest wait for a lock, ms */
	int root, tmp, meta;		/* descriptors, -1 = closed */
	dev_t dev;			/* of root */
	ino_t ino;
};

struct mw_dir_meta {
	char etag[35];			/* quoted MD5 */
	char type[MW_DIR_TYPE_MAX + 1];	/* "" = unknown */
	int64_t mode, mtime;		/* -1 = unknown */
};

/* ---- dir_path.c: names to descriptors, nothing ever outside PATH ---- */

/* Open PATH and our area in it; fresh: make what is missing, down to PATH's last
 * component.  A PATH that lost its area is not mounted, and no store. */
enum mw_code mw_dir_attach(struct mw_dir *d, bool fresh, struct mw_err *err) MW_MUST;

/* Was a store made at PATH before?  state.path remembers it. */
bool mw_dir_known(const struct mw_dir *d);
void mw_dir_remember(const struct mw_dir *d);
void mw_dir_detach(struct mw_dir *d);

/* Before every call: PATH is still the directory that is open, else open it again. */
enum mw_code mw_dir_enter(struct mw_dir *d, struct mw_err *err) MW_MUST;

/* mw_key_check, and a key that can be a path below PATH and not in our area. */
enum mw_code mw_dir_key_check(const char *key, struct mw_err *err) MW_MUST;

/* openat2 that follows no link and does not leave `at`; -1 and errno. */
int mw_dir_open(int at, const char *path, int flags);

/* The directory that holds `key`, made if `make`; *leaf is the name in it. -1 and errno. */
int mw_dir_parent(struct mw_dir *d, const char *key, bool make, const char **leaf);

/* Remove the directories above `key` that are empty now. */
void mw_dir_prune(struct mw_dir *d, const char *key);

/* True for an errno that says: there is no such object. */
bool mw_dir_is_miss(int e);

/* What errno `e` means for the store; and record it. */
enum mw_code mw_dir_of_errno(int e);
enum mw_code mw_dir_fail(struct mw_err *err, int e, const char *what, const char *key);

/* ---- dir_meta.c ---- */

/* Describe the open object; computes the ETag from the content where the
 * sidecar does not match, and repairs the sidecar. */
enum mw_code mw_dir_meta_load(struct mw_dir *d, const char *key, int fd,
    const struct stat *st, struct mw_dir_meta *m, struct mw_err *err) MW_MUST;

/* Write the sidecar of the file with identity `st` to tmp/; commit renames it. */
enum mw_code mw_dir_meta_stage(struct mw_dir *d, const char *key, const struct stat *st,
    const struct mw_dir_meta *m, char name[MW_TMPNAME_LEN], struct mw_err *err) MW_MUST;
void mw_dir_meta_commit(struct mw_dir *d, const char *key, const char *name);
void mw_dir_meta_remove(struct mw_dir *d, const char *key);

void mw_dir_etag(const unsigned char md5[16], char etag[35]);

/* ---- dir.c ---- */

/* The open object and its metadata; anything but a regular file is no object. */
enum mw_code mw_dir_object(struct mw_dir *d, struct mw_ctx *ctx, const char *key,
    int *fd, struct stat *st, struct mw_dir_meta *m) MW_MUST;

/* The lock of a key, given back with mw_lockfile_give; -1 on failure. */
enum mw_code mw_dir_lock(struct mw_dir *d, struct mw_ctx *ctx, const char *key,
    int *lock) MW_MUST;

/* ---- dir_put.c, dir_list.c ---- */
enum mw_code mw_dir_put(struct mw_store *s, struct mw_ctx *ctx, const char *key,
    const struct mw_put *put, const char **etag);
enum mw_code mw_dir_list(struct mw_store *s, struct mw_ctx *ctx,
    const struct mw_list_req *req, mw_list_fn fn, void *arg, bool *more);

#endif
