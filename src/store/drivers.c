/* SPDX-License-Identifier: BSD-2-Clause */
/* The drivers of object stores, by name. */
#include "store/store.h"

#include <string.h>

static const struct mw_store_ops *const drivers[] = { &mw_store_dir, &mw_store_s3 };

enum mw_code
mw_store_open(const struct mw_conf *conf, struct mw_store **sp, struct mw_err *err)
{
	size_t i;

	*sp = NULL;
	for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strcmp(drivers[i]->name, conf->store.driver) == 0)
			return drivers[i]->open(conf, sp, err);
	}
	return mw_fail(err, MW_INTERNAL_ERROR,
	    "store.driver '%s' is unknown: use \"dir\" or \"s3\"", conf->store.driver);
}

void
mw_store_close(struct mw_store *s)
{
	if (s != NULL)
		s->ops->close(s);
}
