/* SPDX-License-Identifier: BSD-2-Clause */
/* Which driver is which word of the configuration. */
#include <string.h>

#include "sandbox/sandbox.h"

static const struct mw_sandbox_ops *const drivers[] = {
	&mw_sandbox_local,
	&mw_sandbox_bridge,
	&mw_sandbox_container,
	&mw_sandbox_engine,
};

#define NDRIVERS (sizeof(drivers) / sizeof(drivers[0]))

/* The names of all drivers: "local, bridge". */
static void
known(char *out, size_t size)
{
	size_t i, len = 0, n;

	out[0] = '\0';
	for (i = 0; i < NDRIVERS; i++) {
		n = strlen(drivers[i]->name);
		if (n + 3 > size - len)
			return;
		if (i > 0) {
			memcpy(out + len, ", ", 2);
			len += 2;
		}
		memcpy(out + len, drivers[i]->name, n + 1);
		len += n;
	}
}

enum mw_code
mw_sandbox_open(const struct mw_conf *conf, struct mw_sandbox **sp, struct mw_err *err)
{
	char names[128];
	size_t i;

	*sp = NULL;
	for (i = 0; i < NDRIVERS; i++) {
		if (strcmp(drivers[i]->name, conf->sandbox.driver) == 0)
			return drivers[i]->open(conf, sp, err);
	}
	known(names, sizeof(names));
	return mw_fail(err, MW_INTERNAL_ERROR,
	    "sandbox.driver = \"%s\" is not in this build, which has: %s",
	    conf->sandbox.driver, names);
}

void
mw_sandbox_close(struct mw_sandbox *s)
{
	if (s != NULL)
		s->ops->close(s);
}
