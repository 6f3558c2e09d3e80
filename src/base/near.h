/* SPDX-License-Identifier: BSD-2-Clause */
/* "Did you mean": the word that a misspelt one was meant to be. */
#ifndef MW_BASE_NEAR_H
#define MW_BASE_NEAR_H

#include <stddef.h>

#define MW_NEAR_MAX 64		/* bytes of a word, its NUL included; longer ones are near to nothing */

struct mw_near {
	const char *from;
	size_t best;			/* edits; only fewer are nearer */
	char word[MW_NEAR_MAX];		/* the nearest that was tried; "": none is near enough */
};

/* from: what was written; kept. */
void mw_near_init(struct mw_near *n, const char *from);
void mw_near_try(struct mw_near *n, const char *word);

#endif
