/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file below state.path that processes map together: allocated in full at creation, of
 * one layout, for one boot of this host.
 */
#ifndef MW_STATE_MAPFILE_H
#define MW_STATE_MAPFILE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What each begins with. */
struct mw_mapfile {
	_Atomic uint64_t magic;
	char boot_id[40];
};

struct mw_mapfile_kind {
	const char *name;		/* with the number of its layout */
	uint64_t magic;
	size_t size;
	void (*set_up)(void *map);	/* all zero so far, but for the boot id */
};

/*
 * Map state.path/NAME, made anew if it is missing, of another layout or of another boot.
 * Fails clearly on a directory that is unwritable, another user's or unsuitable (NFS, FUSE,
 * SMB), and on a full disk.  The file must not be removed while processes use it.
 */
enum mw_code mw_mapfile_open(const char *state_path, const struct mw_mapfile_kind *k,
    struct mw_mapfile **sp, struct mw_err *err) MW_MUST;
void mw_mapfile_close(struct mw_mapfile *s, const struct mw_mapfile_kind *k);	/* accepts NULL */

#endif
