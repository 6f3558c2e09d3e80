/* SPDX-License-Identifier: BSD-2-Clause */
/* One reading of the configuration, with where each setting came from.  Private to conf/. */
#ifndef MW_CONF_INTERNAL_H
#define MW_CONF_INTERNAL_H

#include "conf/conf.h"
#include "conf/settings.h"
#include "conf/text.h"

struct mw_origin {
	enum { MW_FROM_DEFAULT, MW_FROM_FILE, MW_FROM_ENV } from;
	unsigned line;			/* of text, for MW_FROM_FILE */
};

struct mw_load {
	struct mw_conf *conf;		/* may be incomplete after a failure */
	struct mw_text text;
	struct mw_origin *origin;	/* one per row of mw_settings */
};

/*
 * Read, check, and keep everything in *l, which the caller frees in either case.
 * After a failure l->conf still holds what could be understood.
 */
enum mw_code mw_load_read(struct mw_load *l, const char *path, struct mw_err *err) MW_MUST;
void mw_load_free(struct mw_load *l);

/* Fail about a key, naming the place that set it. */
enum mw_code mw_load_fail(const struct mw_load *l, const char *key, struct mw_err *err,
    const char *text);

/* What the settings ask of each other (check.c). */
enum mw_code mw_load_check(const struct mw_load *l, struct mw_err *err) MW_MUST;

#endif
