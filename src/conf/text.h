/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a configuration, made ready for libconfig: files included, and
 * integers past 32 bits marked as such, for libconfig before 1.7 cuts them
 * without a word.  Remembers which line came from where.  Private to conf/.
 */
#ifndef MW_CONF_TEXT_H
#define MW_CONF_TEXT_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

#define MW_TEXT_MAX (1024 * 1024)	/* bytes, included files counted */
#define MW_TEXT_FILES 16		/* the file itself and those it includes */

/* What tells one state of a file from another.  All zero: no such file. */
struct mw_ident {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;	/* ctime: a chmod may be the repair */
};

struct mw_ident mw_ident_of(const struct stat *st);
struct mw_ident mw_ident_at(const char *path);
bool mw_ident_same(const struct mw_ident *a, const struct mw_ident *b);

/* Changed so short a time ago that a further change might leave the same times. */
bool mw_ident_fresh(const struct mw_ident *id);

struct mw_text_run {
	unsigned out;		/* first line of the result that ... */
	unsigned file;		/* ... is from this file ... */
	unsigned line;		/* ... where it has this number */
};

struct mw_text {
	struct mw_buf buf;
	struct {
		char *path;
		struct mw_ident id;
	} file[MW_TEXT_FILES];
	unsigned nfile;
	struct mw_text_run run[2 * MW_TEXT_FILES];
	unsigned nrun;
};

/*
 * Read the file `path` and what it includes (relative to the including file).
 * Fails with MW_INTERNAL_ERROR, naming file and line.  Free it in either case:
 * the identities of the files met so far are kept for the watch.
 */
enum mw_code mw_text_read(struct mw_text *t, const char *path, struct mw_err *err) MW_MUST;
void mw_text_free(struct mw_text *t);		/* a zeroed one is fine */

/* Where line `out` of the result stands. */
void mw_text_where(const struct mw_text *t, unsigned out, const char **file, unsigned *line);

/*
 * The value of state.path by a look at the words alone, for a text that
 * libconfig refuses; NULL if there is none.  The caller frees it.
 */
char *mw_text_state_path(const struct mw_text *t);

/* The rest of the open file `fd` into buf. */
enum mw_code mw_text_slurp(int fd, const char *path, struct mw_buf *buf, struct mw_err *err) MW_MUST;

#endif
