/* SPDX-License-Identifier: BSD-2-Clause */
/* What is wrong with a text that libconfig refuses.  Private to conf/. */
#ifndef MW_CONF_EXPLAIN_H
#define MW_CONF_EXPLAIN_H

#include "conf/text.h"

/*
 * Fail with "FILE:LINE: TEXT" of the mistake: where it begins, and the form that
 * is expected.  line and why: what libconfig says, the answer if nothing is found.
 */
enum mw_code mw_text_explain(const struct mw_text *t, unsigned line, const char *why,
    struct mw_err *err);

#endif
