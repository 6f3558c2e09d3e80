/* SPDX-License-Identifier: BSD-2-Clause */
/* What single values must look like, and what settings ask of each other. */
#include "conf/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/path.h"
#include "base/pool.h"
#include "base/str.h"

#define USER "{user}"

bool
mw_check_path(const char *v)
{
	return v[0] == '/';
}

/* No empty, "." or ".." segment in a/b/c. */
static bool
segments_ok(const char *v)
{
	size_t k;

	for (;; v += k + 1) {
		k = strcspn(v, "/");
		if (k == 0 || (k == 1 && v[0] == '.') || (k == 2 && memcmp(v, "..", 2) == 0))
			return false;
		if (v[k] == '\0')
			return true;
	}
}

bool
mw_check_canonical(const char *v)
{
	return v[0] == '/' && segments_ok(v + 1);
}

/* The one place where the user's id goes; NULL if there is none or more, or other braces. */
static const char *
find_user(const char *v)
{
	const char *p = strstr(v, USER);

	if (p == NULL || strcspn(v, "{}") != (size_t)(p - v))
		return NULL;
	return strpbrk(p + strlen(USER), "{}") == NULL ? p : NULL;
}

bool
mw_check_prefix(const char *v)
{
	static const char ours[] = ".moltworker";

	return strlen(v) <= MW_PATH_MAX && find_user(v) != NULL && segments_ok(v) &&
	    strncmp(v, ours, sizeof(ours) - 1) != 0;
}

static bool
only(const char *v, size_t n, const char *more)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (v[i] >= 'a' && v[i] <= 'z')
			continue;
		if (v[i] >= 'A' && v[i] <= 'Z')
			continue;
		if (v[i] >= '0' && v[i] <= '9')
			continue;
		if (v[i] == '\0' || strchr(more, v[i]) == NULL)
			return false;
	}
	return true;
}

bool
mw_check_name(const char *v)
{
	const char *p = find_user(v);

	return p != NULL && strlen(v) <= MW_SEGMENT_MAX &&
	    only(v, (size_t)(p - v), "._-") &&
	    only(p + strlen(USER), strlen(p + strlen(USER)), "._-");
}

bool
mw_check_files(const char *v)
{
	const char *p = find_user(v);

	return mw_check_canonical(v) && strlen(v) <= MW_PATH_MAX && p != NULL && p > v + 1 &&
	    p[-1] == '/' && (p[strlen(USER)] == '/' || p[strlen(USER)] == '\0');
}

bool
mw_check_relative(const char *v)
{
	char out[MW_PATH_MAX + 1];
	struct mw_err err = { .code = MW_OK };

	return mw_path_parse(v, strlen(v), MW_PATH_WRITE, out, &err) == MW_OK &&
	    strcmp(out, v) == 0;
}

/* http(s)://host[:port]; returns what follows, NULL if it is none. */
static const char *
after_origin(const char *v)
{
	const char *host, *port;
	int64_t ignored;
	size_t n, hn;

	if (strncmp(v, "http://", 7) == 0)
		host = v + 7;
	else if (strncmp(v, "https://", 8) == 0)
		host = v + 8;
	else
		return NULL;
	n = strcspn(host, "/?#");
	hn = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
	if (hn == 0 || hn > n)
		return NULL;
	if (host[0] == '[' ? !only(host + 1, hn - 2, ":.") : !only(host, hn, ".-_{}"))
		return NULL;
	if (hn == n)
		return host + n;
	port = host + hn + 1;
	if (host[hn] != ':' || !mw_str_uint(port, n - hn - 1, 65535, &ignored))
		return NULL;
	return host + n;
}

bool
mw_check_origin(const char *v)
{
	const char *rest = after_origin(v);

	return rest != NULL && *rest == '\0' && strpbrk(v, "{}") == NULL;
}

bool
mw_check_url(const char *v)
{
	const char *rest = after_origin(v);

	if (rest == NULL || (*rest != '\0' && *rest != '/') || strpbrk(rest, "?# ") != NULL)
		return false;
	return strpbrk(v, "{}") == NULL || find_user(v) != NULL;
}

bool
mw_check_bucket(const char *v)
{
	return strlen(v) <= MW_SEGMENT_MAX && only(v, 1, "") && only(v, strlen(v), "._-");
}

bool
mw_check_memory(const char *v)
{
	size_t n = strspn(v, "0123456789");
	int64_t ignored;

	return mw_str_uint(v, n, 1LL << 50, &ignored) &&
	    (v[n] == '\0' || (strchr("kmgKMG", v[n]) != NULL && v[n + 1] == '\0'));
}

bool
mw_check_socket(const char *v)
{
	char url[300];
	int n;

	if (strncmp(v, "tcp://", 6) != 0)
		return mw_check_path(v);
	n = snprintf(url, sizeof(url), "http://%s", v + 6);
	return n > 0 && (size_t)n < sizeof(url) && mw_check_origin(url) &&
	    strchr(strchr(v + 6, ']') != NULL ? strchr(v + 6, ']') : v + 6, ':') != NULL;
}

bool
mw_check_network(const char *v)
{
	return only(v, strlen(v), "._-:");
}

bool
mw_check_procs(const char *v)
{
	unsigned min, max;

	return mw_pool_range(v, &min, &max);
}

/* Is `path` `dir` or below it? */
static bool
within(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static enum mw_code
check_store(const struct mw_load *l, struct mw_err *err)
{
	const struct mw_conf *c = l->conf;
	const struct { const char *key, *value; } need[] = {
		{ "store.s3.endpoint", c->store.s3.endpoint },
		{ "store.s3.bucket", c->store.s3.bucket },
		{ "store.s3.access_key_id", c->store.s3.access_key_id },
		{ "store.s3.secret_key_file", c->store.s3.secret_key_file },
	};
	size_t i;

	if (strcmp(c->store.driver, "s3") != 0)
		return MW_OK;
	for (i = 0; i < sizeof(need) / sizeof(need[0]); i++) {
		if (*need[i].value == '\0')
			return mw_load_fail(l, need[i].key, err,
			    "store.driver \"s3\" needs it, and it is empty");
	}
	return MW_OK;
}

static enum mw_code
check_sandbox(const struct mw_load *l, struct mw_err *err)
{
	const struct mw_conf *c = l->conf;
	const char *driver = c->sandbox.driver;

	if (within(c->sandbox.run_dir, c->sandbox.root) ||
	    within(c->sandbox.root, c->sandbox.run_dir))
		return mw_load_fail(l, "sandbox.run_dir", err,
		    "expected a directory outside sandbox.root, and not around it");
	if (strcmp(driver, "bridge") == 0 && *c->sandbox.bridge.url == '\0')
		return mw_load_fail(l, "sandbox.bridge.url", err,
		    "sandbox.driver \"bridge\" needs it, and it is empty");
	if (strcmp(driver, "container") == 0 && *c->sandbox.container.url == '\0')
		return mw_load_fail(l, "sandbox.container.url", err,
		    "sandbox.driver \"container\" needs it, and it is empty");
	if ((strcmp(driver, "engine") == 0 ||
	    (strcmp(driver, "container") == 0 && c->sandbox.container.engine)) &&
	    c->sandbox.engine.create &&
	    *c->sandbox.engine.image == '\0')
		return mw_load_fail(l, "sandbox.engine.image", err,
		    "sandbox.engine.create needs it, and it is empty");
	return MW_OK;
}

enum mw_code
mw_load_check(const struct mw_load *l, struct mw_err *err)
{
	enum mw_code code = check_store(l, err);

	return code != MW_OK ? code : check_sandbox(l, err);
}
