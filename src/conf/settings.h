/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table of settings, and what is done with a row: check and store a
 * value, print it, name its environment variable.  Private to conf/, its tests
 * and nobody else.
 */
#ifndef MW_CONF_SETTINGS_H
#define MW_CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"

enum mw_setting_type { MW_SET_STRING, MW_SET_WORD, MW_SET_INT, MW_SET_BOOL, MW_SET_LIST };

enum mw_setting_flag {
	MW_SET_EMPTY = 1,	/* "" is a value: not used, none */
	MW_SET_MASK = 2,	/* a credential: never printed in full */
	MW_SET_LINES = 4,	/* may hold TAB and LF: shell commands */
	MW_SET_FEW = 8		/* a list of 1 to MW_CONF_PATHS_MAX, none twice; a string is a list of one */
};

#define MW_SET_TEXT_MAX 4096	/* bytes of a string, or of one member of a list */
#define MW_SET_LIST_MAX 1000	/* members of a list */

struct mw_setting {
	const char *key;		/* "store.s3.endpoint" */
	enum mw_setting_type type;
	size_t offset;			/* of the field in struct mw_conf */
	const char *def;		/* as in the environment: lists comma-separated */
	int64_t min, max;		/* MW_SET_INT */
	const char *words;		/* MW_SET_WORD: "dir|s3" */
	unsigned flags;
	bool (*check)(const char *value);	/* NULL, or of a string and of each member of a list */
	const char *expect;		/* what check wants: "an absolute path" */
};

extern const struct mw_setting mw_settings[];
extern const size_t mw_setting_count;

/* The row of a key, NULL if there is none. */
const struct mw_setting *mw_setting_find(const char *key);

/* True if `key` is a group: some row's key begins with it and a dot. */
bool mw_setting_group(const char *key);

#define MW_SET_ENV_MAX 64
/* MOLTWORKER_STORE_S3_ENDPOINT of store.s3.endpoint. */
void mw_setting_env(const struct mw_setting *s, char out[MW_SET_ENV_MAX]);

/* What the row accepts, for a person: "an integer 1..86400000". */
#define MW_SET_EXPECT_MAX 160
void mw_setting_expect(const struct mw_setting *s, char out[MW_SET_EXPECT_MAX]);

/*
 * Store a value.  False if the row does not accept it, or memory is out (*nomem);
 * the old value stays then.  Each is for rows of its own type only.
 */
bool mw_setting_put_text(const struct mw_setting *s, struct mw_conf *c, const char *v, bool *nomem);
bool mw_setting_put_int(const struct mw_setting *s, struct mw_conf *c, int64_t v);
bool mw_setting_put_bool(const struct mw_setting *s, struct mw_conf *c, bool v);
bool mw_setting_put_list(const struct mw_setting *s, struct mw_conf *c,
    const char *const *item, size_t n, bool *nomem);

/* Any type from its environment form. */
bool mw_setting_put_any(const struct mw_setting *s, struct mw_conf *c, const char *v, bool *nomem);

/* The value as libconfig writes it; credentials masked. */
bool mw_setting_print(const struct mw_setting *s, const struct mw_conf *c, struct mw_buf *out);

/* Release what the row's field owns. */
void mw_setting_free(const struct mw_setting *s, struct mw_conf *c);

/* Checks of single values (check.c). */
bool mw_check_path(const char *v);		/* absolute */
bool mw_check_canonical(const char *v);		/* absolute, no empty or dot segment */
bool mw_check_prefix(const char *v);		/* store.prefix */
bool mw_check_name(const char *v);		/* sandbox.name */
bool mw_check_relative(const char *v);		/* a canonical path below the user's root */
bool mw_check_files(const char *v);		/* canonical, with {user} as a directory, not the first */
bool mw_check_origin(const char *v);		/* http(s)://host[:port] */
bool mw_check_url(const char *v);		/* http(s)://host[:port][/path] */
bool mw_check_bucket(const char *v);
bool mw_check_memory(const char *v);		/* "1g" */
bool mw_check_socket(const char *v);		/* a path, or tcp://host:port */
bool mw_check_procs(const char *v);		/* "N" or "MIN-MAX" */
bool mw_check_network(const char *v);		/* a network's name */
bool mw_check_addr(const char *v);		/* an address or CIDR block (addr.c) */

#endif
