/* SPDX-License-Identifier: BSD-2-Clause */
/* How many letters two words differ by. */
#include "base/near.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters put in, left out or replaced (Levenshtein), upper case as lower. */
static size_t
edits(const char *a, const char *b)
{
	size_t row[MW_NEAR_MAX], i, k, above, left, m = strlen(b);

	for (k = 0; k <= m; k++)
		row[k] = k;
	for (i = 0; a[i] != '\0'; i++) {
		left = row[0];
		row[0] = i + 1;
		for (k = 1; k <= m; k++) {
			above = row[k];
			row[k] = least(left + (tolower((unsigned char)a[i]) !=
			    tolower((unsigned char)b[k - 1])), least(above, row[k - 1]) + 1);
			left = above;
		}
	}
	return row[m];
}

void
mw_near_init(struct mw_near *n, const char *from)
{
	n->from = from;
	/* A third of it at most: a short word is near to many. */
	n->best = least((strlen(from) + 2) / 3, 3) + 1;
	n->word[0] = '\0';
}

void
mw_near_try(struct mw_near *n, const char *word)
{
	size_t d;

	if (strlen(n->from) >= MW_NEAR_MAX || strlen(word) >= MW_NEAR_MAX)
		return;
	d = edits(n->from, word);
	if (d >= n->best)
		return;
	n->best = d;
	(void)snprintf(n->word, sizeof(n->word), "%s", word);
}
