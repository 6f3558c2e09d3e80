/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of a configuration's text, as libconfig means them.  Private to conf/. */
#ifndef MW_CONF_TOKEN_H
#define MW_CONF_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

enum mw_token_kind {
	MW_TOKEN_BLANK,		/* white space, comment */
	MW_TOKEN_NEWLINE,
	MW_TOKEN_NAME,
	MW_TOKEN_NUMBER,
	MW_TOKEN_STRING,
	MW_TOKEN_OTHER,		/* one byte of anything else */
	MW_TOKEN_OPEN		/* a string or comment that does not end */
};

struct mw_token {
	enum mw_token_kind kind;
	const char *p;
	size_t n;
};

/* The token at p < end.  one_line: a line's end closes a string too, so that a
 * forgotten quote spoils one line only. */
struct mw_token mw_token_next(const char *p, const char *end, bool one_line);
bool mw_token_is(const struct mw_token *k, const char *word);

/* How many of the bytes from p on are in a class; blanks but for newlines. */
size_t mw_token_span(const char *p, const char *end, int (*in)(int));
int mw_token_blank(int c);

#endif
