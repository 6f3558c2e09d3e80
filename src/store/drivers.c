/* SPDX-License-Identifier: BSD-2-Clause */
/* Which store is which word of the configuration. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/lockfile.h"
#include "base/utf8.h"
#include "store/key.h"
#include "store/store.h"

#define USER "{user}"

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

void
mw_store_identify(struct mw_store *s, const char *kind, const char *name)
{
	const size_t size = sizeof(s->identity);
	int n = snprintf(s->identity, size, "%s:%s", kind, name);

	if (n < 0 || (size_t)n >= size)
		(void)snprintf(s->identity, size, "%s:%.64s~%016" PRIx64, kind, name,
		    mw_hash(name));
}

char *
mw_store_key(const struct mw_conf *conf, struct mw_arena *a, const char *user,
    const char *path)
{
	const char *prefix = conf->store.prefix, *at = strstr(prefix, USER);
	const char *tail = at == NULL ? "" : at + sizeof(USER) - 1;
	const char *head = at == NULL ? prefix : mw_arena_dup(a, prefix, (size_t)(at - prefix));
	size_t n = strlen(prefix);

	/* "users/{user}" and "users/{user}/" mean the same. */
	return head == NULL ? NULL : mw_arena_cat(a, head, at == NULL ? "" : user, tail,
	    n > 0 && prefix[n - 1] == '/' ? "" : "/", path, (char *)NULL);
}

enum mw_code
mw_key_check(const char *key, size_t max, struct mw_err *err)
{
	const unsigned char *p;
	size_t n = strlen(key);

	if (n == 0 || n > max)
		return mw_fail(err, MW_INVALID_PATH,
		    "a store key of %zu bytes: 1 to %zu are allowed", n, max);
	if (!mw_utf8_valid(key, n))
		return mw_fail(err, MW_INVALID_PATH, "the store key is not valid UTF-8");
	for (p = (const unsigned char *)key; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f)
			return mw_fail(err, MW_INVALID_PATH,
			    "the store key has a control character");
	}
	return MW_OK;
}
