/* SPDX-License-Identifier: BSD-2-Clause */
/* Built-in default < file < environment, and the way back: `moltctl config show`. */
#include "conf/conf.h"

#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/near.h"
#include "conf/explain.h"
#include "conf/internal.h"

#define PREFIX "MOLTWORKER_"
#define KEY_MAX 128		/* of a key in the file; the table's are shorter */

extern char **environ;

const char *
mw_conf_path(void)
{
	const char *path = getenv(PREFIX "CONFIG");

	return path != NULL && *path != '\0' ? path : MW_SYSCONFDIR "/moltworker/moltworker.conf";
}

static enum mw_code
nomem(struct mw_err *err)
{
	return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
}

static enum mw_code
put_defaults(struct mw_load *l, struct mw_err *err)
{
	bool oom = false;
	size_t i;

	for (i = 0; i < mw_setting_count; i++) {
		if (!mw_setting_put_any(&mw_settings[i], l->conf, mw_settings[i].def, &oom))
			return oom ? nomem(err) : mw_fail(err, MW_INTERNAL_ERROR,
			    "%s: bad built-in default", mw_settings[i].key);
	}
	return MW_OK;
}

/* "FILE:LINE: KEY: TEXT" of a setting in the file. */
static enum mw_code
fail_line(const struct mw_load *l, unsigned out, const char *key, struct mw_err *err,
    const char *text)
{
	const char *file;
	unsigned line;

	mw_text_where(&l->text, out, &file, &line);
	return mw_fail(err, MW_INTERNAL_ERROR, "%s:%u: %s: %s", file, line, key, text);
}

enum mw_code
mw_load_fail(const struct mw_load *l, const char *key, struct mw_err *err, const char *text)
{
	const struct mw_setting *s = mw_setting_find(key);
	char env[MW_SET_ENV_MAX];

	if (s != NULL && l->origin[s - mw_settings].from == MW_FROM_FILE)
		return fail_line(l, l->origin[s - mw_settings].line, key, err, text);
	if (s != NULL && l->origin[s - mw_settings].from == MW_FROM_ENV) {
		mw_setting_env(s, env);
		return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s: %s", env, key, text);
	}
	return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s: %s", l->text.file[0].path, key, text);
}

static const char *
type_name(const config_setting_t *v)
{
	switch (config_setting_type(v)) {
	case CONFIG_TYPE_GROUP: return "a group";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64: return "an integer";
	case CONFIG_TYPE_FLOAT: return "a float";
	case CONFIG_TYPE_STRING: return "a string";
	case CONFIG_TYPE_BOOL: return "a boolean";
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST: return "a list";
	default: return "nothing";
	}
}

/* An array or a list of strings; *strings says whether it is one. */
static bool
put_list(const struct mw_setting *s, struct mw_conf *c, const config_setting_t *v,
    bool *strings, bool *oom)
{
	int i, n = config_setting_length(v);
	const char **item;
	bool good;

	*strings = true;
	if (n <= 0)
		return mw_setting_put_list(s, c, NULL, 0, oom);
	item = calloc((size_t)n, sizeof(*item));
	if (item == NULL) {
		*oom = true;
		return false;
	}
	for (i = 0; i < n; i++) {
		item[i] = config_setting_get_string(config_setting_get_elem(v, (unsigned)i));
		*strings = *strings && item[i] != NULL;
	}
	good = *strings && mw_setting_put_list(s, c, item, (size_t)n, oom);
	free(item);
	return good;
}

/* Whether the row takes the value; *fits says whether the type at least is right. */
static bool
put_value(const struct mw_setting *s, struct mw_conf *c, const config_setting_t *v,
    bool *fits, bool *oom)
{
	int type = config_setting_type(v);
	const char *one;

	switch (s->type) {
	case MW_SET_INT:
		*fits = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
		return *fits && mw_setting_put_int(s, c, type == CONFIG_TYPE_INT ?
		    config_setting_get_int(v) : config_setting_get_int64(v));
	case MW_SET_BOOL:
		*fits = type == CONFIG_TYPE_BOOL;
		return *fits && mw_setting_put_bool(s, c, config_setting_get_bool(v) != 0);
	case MW_SET_LIST:
		if ((s->flags & MW_SET_FEW) != 0 && type == CONFIG_TYPE_STRING) {
			*fits = true;
			one = config_setting_get_string(v);
			return mw_setting_put_list(s, c, &one, 1, oom);
		}
		*fits = type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST;
		return *fits && put_list(s, c, v, fits, oom);
	case MW_SET_STRING:
	case MW_SET_WORD:
		break;
	}
	*fits = type == CONFIG_TYPE_STRING;
	return *fits && mw_setting_put_text(s, c, config_setting_get_string(v), oom);
}

/* What the setting got instead; a value is named only where it cannot be a credential. */
static void
got(const struct mw_setting *s, const config_setting_t *v, bool fits, char *out, size_t max)
{
	if (fits && s->type == MW_SET_INT)
		(void)snprintf(out, max, "%lld", config_setting_type(v) == CONFIG_TYPE_INT ?
		    (long long)config_setting_get_int(v) : config_setting_get_int64(v));
	else if (fits && s->type == MW_SET_WORD)
		(void)snprintf(out, max, "\"%.40s\"", config_setting_get_string(v));
	else if (fits)
		(void)snprintf(out, max, "another");
	else
		(void)snprintf(out, max, "%s", s->type == MW_SET_LIST &&
		    strcmp(type_name(v), "a list") == 0 ? "a list of others" : type_name(v));
}

static void
put_setting(struct mw_load *l, const struct mw_setting *s, const config_setting_t *v,
    struct mw_err *err)
{
	char expect[MW_SET_EXPECT_MAX], what[64], text[MW_SET_EXPECT_MAX + 96];
	bool fits, oom = false;

	l->origin[s - mw_settings].from = MW_FROM_FILE;
	l->origin[s - mw_settings].line = config_setting_source_line(v);
	if (put_value(s, l->conf, v, &fits, &oom))
		return;
	if (oom) {
		(void)nomem(err);
		return;
	}
	mw_setting_expect(s, expect);
	got(s, v, fits, what, sizeof(what));
	(void)snprintf(text, sizeof(text), "expected %s, got %s", expect, what);
	(void)fail_line(l, config_setting_source_line(v), s->key, err, text);
}

/* A key that is in no row; a group is compared with groups, a setting with settings. */
static void
unknown(const struct mw_load *l, const config_setting_t *v, const char *key, struct mw_err *err)
{
	bool group = config_setting_is_group(v) != 0;
	char text[KEY_MAX + 64], part[KEY_MAX];
	const char *dot, *leaf = config_setting_name(v);
	struct mw_near near;
	size_t i;

	mw_near_init(&near, key);
	for (i = 0; i < mw_setting_count; i++) {
		dot = strchr(mw_settings[i].key, '.');
		for (; group && dot != NULL; dot = strchr(dot + 1, '.')) {
			(void)snprintf(part, sizeof(part), "%.*s",
			    (int)(dot - mw_settings[i].key), mw_settings[i].key);
			mw_near_try(&near, part);
		}
		if (!group)
			mw_near_try(&near, mw_settings[i].key);
	}
	/* In another group: by its own name. */
	for (i = 0; i < mw_setting_count && !group && near.word[0] == '\0'; i++) {
		dot = strrchr(mw_settings[i].key, '.');
		if (dot != NULL && strcmp(dot + 1, leaf) == 0)
			(void)snprintf(near.word, sizeof(near.word), "%s", mw_settings[i].key);
	}
	(void)snprintf(text, sizeof(text), "unknown %s%s%s%s", group ? "group" : "setting",
	    near.word[0] != '\0' ? "; did you mean " : "", near.word,
	    near.word[0] != '\0' ? "?" : "");
	(void)fail_line(l, config_setting_source_line(v), key, err, text);
}

/* Every setting of a group; the first fault is in err, the rest is still read. */
static void
put_group(struct mw_load *l, const config_setting_t *group, const char *prefix,
    struct mw_err *err)
{
	const struct mw_setting *s;
	const config_setting_t *v;
	char key[KEY_MAX];
	unsigned i, line;

	for (i = 0; (v = config_setting_get_elem(group, i)) != NULL; i++) {
		line = config_setting_source_line(v);
		if (snprintf(key, sizeof(key), "%s%s%s", prefix, *prefix != '\0' ? "." : "",
		    config_setting_name(v)) >= (int)sizeof(key))
			(void)fail_line(l, line, key, err, "unknown setting");
		else if ((s = mw_setting_find(key)) != NULL)
			put_setting(l, s, v, err);
		else if (!mw_setting_group(key))
			unknown(l, v, key, err);
		else if (!config_setting_is_group(v))
			(void)fail_line(l, line, key, err, "expected a group { ... }");
		else
			put_group(l, v, key, err);
	}
}

static enum mw_code
put_file(struct mw_load *l, struct mw_err *err)
{
	config_t cfg;

	config_init(&cfg);
	if (config_read_string(&cfg, l->text.buf.data != NULL ? l->text.buf.data : "") ==
	    CONFIG_TRUE) {
		put_group(l, config_root_setting(&cfg), "", err);
	} else {
		(void)mw_text_explain(&l->text, (unsigned)config_error_line(&cfg),
		    config_error_text(&cfg), err);
	}
	config_destroy(&cfg);
	return err->code;
}

static enum mw_code
put_environment(struct mw_load *l, struct mw_err *err)
{
	char env[MW_SET_ENV_MAX], expect[MW_SET_EXPECT_MAX];
	const struct mw_setting *s;
	const char *v;
	bool oom = false;
	size_t i;

	for (i = 0; i < mw_setting_count; i++) {
		s = &mw_settings[i];
		mw_setting_env(s, env);
		v = getenv(env);
		if (v == NULL)
			continue;
		l->origin[i].from = MW_FROM_ENV;
		if (mw_setting_put_any(s, l->conf, v, &oom))
			continue;
		mw_setting_expect(s, expect);
		(void)(oom ? nomem(err) : mw_fail(err, MW_INTERNAL_ERROR,
		    "%s: %s: expected %s", env, s->key, expect));
	}
	return err->code;
}

/* A name of ours in the environment that is no setting is likely a slip: said once. */
static void
warn_environment(void)
{
	/* What the client verbs of moltctl and the test programs take from there. */
	static const char *const others[] = { "CONFIG", "URL", "SECRET", "SECRET_FILE",
	    "MOLTCTL", "AGENT", "LIBEXEC", "DATA", "PROCS", "POOL" };
	static bool warned;
	char env[MW_SET_ENV_MAX];
	size_t i, n;
	char **e;
	bool known;

	for (e = environ; !warned && e != NULL && *e != NULL; e++) {
		if (strncmp(*e, PREFIX, sizeof(PREFIX) - 1) != 0)
			continue;
		n = strcspn(*e, "=");
		known = false;
		for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			known = known || (n == sizeof(PREFIX) - 1 + strlen(others[i]) &&
			    memcmp(*e + sizeof(PREFIX) - 1, others[i], strlen(others[i])) == 0);
		for (i = 0; i < mw_setting_count && !known; i++) {
			mw_setting_env(&mw_settings[i], env);
			known = strlen(env) == n && memcmp(*e, env, n) == 0;
		}
		if (!known)
			mw_log(MW_WARN, "the environment's %.*s is not a setting", (int)n, *e);
	}
	warned = true;
}

enum mw_code
mw_load_read(struct mw_load *l, const char *path, struct mw_err *err)
{
	struct mw_err first = { .code = MW_OK };

	memset(l, 0, sizeof(*l));
	l->conf = calloc(1, sizeof(*l->conf));
	l->origin = calloc(mw_setting_count, sizeof(*l->origin));
	if (l->conf == NULL || l->origin == NULL)
		return nomem(err);
	if (put_defaults(l, &first) == MW_OK &&
	    mw_text_read(&l->text, path, &first) == MW_OK)
		(void)put_file(l, &first);
	/* After a bad file too, for the sake of MOLTWORKER_STATE_PATH. */
	(void)put_environment(l, &first);
	if (first.code == MW_OK)
		first.code = mw_load_check(l, &first);
	warn_environment();
	return first.code == MW_OK ? MW_OK : mw_fail(err, first.code, "%s", first.msg);
}

void
mw_load_free(struct mw_load *l)
{
	mw_conf_free(l->conf);
	free(l->origin);
	mw_text_free(&l->text);
	l->conf = NULL;
	l->origin = NULL;
}

void
mw_conf_free(struct mw_conf *conf)
{
	size_t i;

	if (conf == NULL)
		return;
	for (i = 0; i < mw_setting_count; i++)
		mw_setting_free(&mw_settings[i], conf);
	free(conf);
}

enum mw_code
mw_conf_load(const char *path, struct mw_conf **confp, struct mw_err *err)
{
	struct mw_load l;
	enum mw_code code = mw_load_read(&l, path != NULL ? path : mw_conf_path(), err);

	*confp = NULL;
	if (code == MW_OK) {
		*confp = l.conf;
		l.conf = NULL;
	}
	mw_load_free(&l);
	return code;
}
