/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As much of tar as the engine's archive calls need: POSIX.1-2017 pax and ustar, and
 * GNU's long names when reading.  Reading is by pushing bytes in, and strict: what an
 * engine does not write is an error.
 */
#ifndef MW_SANDBOX_ENGINE_TAR_H
#define MW_SANDBOX_ENGINE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "sandbox/sandbox.h"

#define MW_TAR_BLOCK 512
#define MW_TAR_NAME_MAX 16384	/* bytes of a name, and of a pax header */

struct mw_tar_entry {
	const char *name;	/* as it stands there */
	const char *link;	/* target of a link, "" = none */
	bool hard;		/* a second name of an earlier entry; st knows no size */
	struct mw_stat st;
};

struct mw_tar {
	/* An entry begins.  false stops. */
	bool (*on_entry)(void *arg, const struct mw_tar_entry *e);
	/* Bytes of its content.  NULL = they are skipped. */
	bool (*on_content)(void *arg, const void *p, size_t n);
	void *arg;
	/* private */
	unsigned char block[MW_TAR_BLOCK];
	size_t nblock;		/* bytes of a header so far */
	int64_t left, pad;	/* of the entry's content */
	char kind;		/* of the content: 'x' pax, 'L' 'K' GNU names, 0 = the entry's */
	struct mw_buf meta;	/* content of x, L or K */
	struct mw_buf name, link;	/* from there, for the next entry */
	int64_t size, mtime;	/* likewise; -1 = not given */
	bool bad, ended;
};

void mw_tar_init(struct mw_tar *t);	/* after on_entry etc. are set */
void mw_tar_free(struct mw_tar *t);

/* The next bytes.  false: a callback said so, or it is no tar (t->bad). */
bool mw_tar_feed(struct mw_tar *t, const void *p, size_t n);

/* Was it whole: did the empty block at its end come? */
bool mw_tar_complete(const struct mw_tar *t);

/* Append an entry's header (pax and ustar). */
struct mw_tar_head {
	char type;		/* '0' a file, '1' a hard link to `link`, '5' a directory */
	const char *name, *link;	/* link may be NULL */
	int64_t size;		/* of its content */
	int mode;
	int64_t mtime;		/* wall ms; -1 = now */
	int64_t uid, gid;
};
bool mw_tar_header(struct mw_buf *out, const struct mw_tar_head *h);

#endif
