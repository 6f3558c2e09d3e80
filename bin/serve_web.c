/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kinds of web server: one row each.  A private configuration is a template
 * here that includes the shipped snippet as it is, so that what is tried out is
 * what gets installed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "serve.h"
#include "serve_templates.h"

#define CONF_MAX (256 * 1024)
#define BODY_SLACK 65536	/* bytes over http.max_body that still get the API's own answer */
#define APACHE_PROCS 64		/* of each responder; as etc/apache/moltworker.conf has it */

/* ---- programs ---- */

/* Where web servers live besides PATH: an ordinary user's often lacks sbin. */
#define SBIN ":/usr/sbin:/usr/local/sbin:/sbin"

/* The first executable called `name` in the colon-separated `dirs`, or NULL. */
static char *
search(const char *dirs, const char *name)
{
	while (*dirs != '\0') {
		size_t n = strcspn(dirs, ":");
		char *path;

		if (n > 0 && dirs[0] == '/') {
			if (asprintf(&path, "%.*s/%s", (int)n, dirs, name) == -1)
				return NULL;
			if (access(path, X_OK) == 0)
				return path;
			free(path);
		}
		dirs += n + (dirs[n] == ':');
	}
	return NULL;
}

enum mw_code
mw_web_program(struct mw_serve *s, struct mw_err *err)
{
	const char *path = getenv("PATH");
	char *dirs;

	if (s->web->programs == NULL)
		return MW_OK;
	if (asprintf(&dirs, "%s%s", path != NULL ? path : "", SBIN) == -1)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	for (size_t i = 0; s->web->programs[i] != NULL && s->program == NULL; i++)
		s->program = search(dirs, s->web->programs[i]);
	free(dirs);
	if (s->program == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s is not installed (Debian: apt-get install %s)",
		    s->web->programs[0], s->web->package);
	return MW_OK;
}

/* Where Apache's modules are: Debian, Red Hat, others. */
static const char *
apache_modules(void)
{
	static const char *const dirs[] = { "/usr/lib/apache2/modules",
		"/usr/lib64/httpd/modules", "/usr/lib/httpd/modules",
		"/usr/libexec/apache2", "/usr/local/libexec/apache24" };
	struct stat st;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (stat(dirs[i], &st) == 0)
			return dirs[i];
	}
	return dirs[0];
}

/* ---- templates ---- */

/* A value for @NAME@; false if there is no such name. */
static bool
expand_name(const struct mw_serve *s, const char *name, size_t n, struct mw_buf *out)
{
	const struct { const char *name, *value; } values[] = {
		{ "RUN", s->run }, { "SOCKETS", s->sockets }, { "DATA", s->data },
		{ "LIBEXEC", s->libexec }, { "CONFIG", s->config },
		{ "MODULES", apache_modules() },
	};

	if (n == 4 && strncmp(name, "PORT", n) == 0)
		return mw_buf_addf(out, "%u", s->port);
	if (n == 8 && strncmp(name, "MAX_BODY", n) == 0)
		return mw_buf_addf(out, "%lld", (long long)s->conf->http.max_body + BODY_SLACK);
	if (n == 7 && strncmp(name, "MAX_KIB", n) == 0)
		return mw_buf_addf(out, "%lld", (long long)(s->conf->http.max_body + BODY_SLACK + 1023) / 1024);
	if (n == 5 && strncmp(name, "PROCS", n) == 0)
		return mw_buf_addf(out, "%u", s->most > 0 ? s->most : APACHE_PROCS);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (strlen(values[i].name) == n && strncmp(values[i].name, name, n) == 0)
			return mw_buf_adds(out, values[i].value);
	}
	return false;
}

/* Append `text` with every @NAME@ replaced. */
static bool
expand(const struct mw_serve *s, const char *text, struct mw_buf *out)
{
	for (;;) {
		const char *at = strchr(text, '@'), *end;

		if (at == NULL)
			return mw_buf_adds(out, text);
		end = strchr(at + 1, '@');
		if (end == NULL || !mw_buf_add(out, text, (size_t)(at - text)) ||
		    !expand_name(s, at + 1, (size_t)(end - at - 1), out))
			return false;
		text = end + 1;
	}
}

/* Write the expansion of `parts` (NULL-terminated) to run/name; its path is s->web_conf. */
static enum mw_code
write_conf(struct mw_serve *s, const char *name, const struct mw_buf *env_lines,
    const char *const *parts, struct mw_err *err)
{
	struct mw_buf out;
	enum mw_code code;
	bool good = true;

	free(s->web_conf);
	if (asprintf(&s->web_conf, "%s/%s", s->run, name) == -1) {
		s->web_conf = NULL;
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	mw_buf_init(&out, CONF_MAX);
	for (size_t i = 0; parts[i] != NULL && good; i++) {
		/* Environment lines go in front of the last part. */
		if (parts[i + 1] == NULL && env_lines != NULL && env_lines->len > 0)
			good = mw_buf_add(&out, env_lines->data, env_lines->len);
		good = good && expand(s, parts[i], &out);
	}
	code = good ? mw_serve_write(s->web_conf, out.data, out.len, err) :
	    mw_fail(err, MW_INTERNAL_ERROR, "%s: cannot be made", s->web_conf);
	mw_buf_free(&out);
	return code;
}

static enum mw_code
make_dirs(const struct mw_serve *s, const char *const *names, struct mw_err *err)
{
	char path[PATH_MAX];

	for (size_t i = 0; names[i] != NULL; i++) {
		snprintf(path, sizeof(path), "%s/%s", s->run, names[i]);
		if (mw_serve_mkdir(path, 0700, err) != MW_OK)
			return err->code;
	}
	return MW_OK;
}

/* ---- lighttpd ---- */

static enum mw_code
lighttpd(struct mw_serve *s, struct mw_err *err)
{
	static const char *const dirs[] = { "empty", "tmp", NULL };
	static const char *const parts[] = { lighttpd_text, NULL };

	if (make_dirs(s, dirs, err) != MW_OK ||
	    write_conf(s, "lighttpd.conf", NULL, parts, err) != MW_OK)
		return err->code;
	memcpy(s->web_argv, (const char *[]){ s->program, "-D", "-f", s->web_conf, NULL },
	    5 * sizeof(char *));
	return MW_OK;
}

/* ---- nginx ---- */

static enum mw_code
nginx(struct mw_serve *s, struct mw_err *err)
{
	static const char *const dirs[] = { "moltworker", "tmp", NULL };
	static const char *const linked[] = { "locations.conf", "map.conf", "pass.conf" };
	static const char *const parts[] = { nginx_text, NULL }, *const body[] = { nginx_body_text, NULL };
	char from[PATH_MAX], to[PATH_MAX];

	/* The snippets include each other as moltworker/NAME, beside nginx.conf; an older version
	 * linked them all at once. */
	snprintf(to, sizeof(to), "%s/moltworker", s->run);
	(void)unlink(to);
	if (make_dirs(s, dirs, err) != MW_OK)
		return err->code;
	for (size_t i = 0; i < sizeof(linked) / sizeof(linked[0]); i++) {
		snprintf(from, sizeof(from), "%s/nginx/%s", s->data, linked[i]);
		snprintf(to, sizeof(to), "%s/moltworker/%s", s->run, linked[i]);
		if ((unlink(to) == -1 && errno != ENOENT) || symlink(from, to) == -1)
			return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", to, strerror(errno));
	}
	if (write_conf(s, "moltworker/body.conf", NULL, body, err) != MW_OK ||
	    write_conf(s, "nginx.conf", NULL, parts, err) != MW_OK)
		return err->code;
	memcpy(s->web_argv, (const char *[]){ s->program, "-e", "stderr", "-p", s->run,
	    "-c", s->web_conf, NULL }, 8 * sizeof(char *));
	return MW_OK;
}

/* ---- Apache ---- */

/* The children's environment as Apache directives: mod_fcgid and CGI start the
 * responders with nothing else. */
static enum mw_code
env_lines(const struct mw_serve *s, const char *directive, struct mw_buf *out, struct mw_err *err)
{
	for (size_t i = 0; s->env[i] != NULL; i++) {
		const char *eq = strchr(s->env[i], '=');

		if (eq == NULL)
			continue;
		if (strpbrk(eq, "\"\\\n\r") != NULL || strstr(eq, "${") != NULL)
			return mw_fail(err, MW_INVALID_ARGUMENT, "%.*s: a value that Apache's "
			    "configuration cannot hold", (int)(eq - s->env[i]), s->env[i]);
		if (!mw_buf_addf(out, "%s %.*s \"%s\"\n", directive, (int)(eq - s->env[i]),
		    s->env[i], eq + 1))
			return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	return MW_OK;
}

/* A document root as a shared host has it: our .htaccess, the responders linked
 * into cgi-bin/moltworker. */
static enum mw_code
docroot(struct mw_serve *s, struct mw_err *err)
{
	static const char *const dirs[] = { "htdocs", "htdocs/cgi-bin",
		"htdocs/cgi-bin/moltworker", NULL };
	char from[PATH_MAX], to[PATH_MAX];

	if (make_dirs(s, dirs, err) != MW_OK)
		return err->code;
	snprintf(from, sizeof(from), "%s/apache/htaccess", s->data);
	snprintf(to, sizeof(to), "%s/htdocs/.htaccess", s->run);
	if ((unlink(to) == -1 && errno != ENOENT) || symlink(from, to) == -1)
		return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", to, strerror(errno));
	for (int i = 0; i < MW_R_COUNT; i++) {
		snprintf(to, sizeof(to), "%s/htdocs/cgi-bin/moltworker/%s.fcgi", s->run,
		    mw_responder_names[i]);
		if (unlink(to) == -1 && errno != ENOENT)
			return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", to, strerror(errno));
		if (s->libexec_file[i] != NULL && symlink(s->libexec_file[i], to) == -1)
			return mw_fail(err, MW_INTERNAL_ERROR, "%s: %s", to, strerror(errno));
	}
	return MW_OK;
}

static enum mw_code
apache(struct mw_serve *s, bool fcgid, bool htaccess, struct mw_err *err)
{
	static const char *const dirs[] = { "empty", NULL };
	const char *const parts[] = { apache_text, fcgid ? apache_fcgid_text : apache_cgi_text,
		htaccess ? apache_htaccess_text : apache_vhost_text, NULL };
	struct mw_buf lines;
	enum mw_code code;

	if (make_dirs(s, dirs, err) != MW_OK || (htaccess && docroot(s, err) != MW_OK))
		return err->code;
	mw_buf_init(&lines, CONF_MAX);
	code = env_lines(s, fcgid ? "FcgidInitialEnv" : "SetEnv", &lines, err);
	if (code == MW_OK)
		code = write_conf(s, "apache.conf", &lines, parts, err);
	mw_buf_free(&lines);
	if (code == MW_OK)
		memcpy(s->web_argv, (const char *[]){ s->program, "-DFOREGROUND", "-d", s->run,
		    "-f", s->web_conf, NULL }, 7 * sizeof(char *));
	return code;
}

static enum mw_code
apache_fcgid(struct mw_serve *s, struct mw_err *err)
{
	return apache(s, true, false, err);
}

static enum mw_code
apache_cgi(struct mw_serve *s, struct mw_err *err)
{
	return apache(s, false, false, err);
}

static enum mw_code
apache_htaccess(struct mw_serve *s, struct mw_err *err)
{
	return apache(s, true, true, err);
}

static enum mw_code
apache_htaccess_cgi(struct mw_serve *s, struct mw_err *err)
{
	return apache(s, false, true, err);
}

/* ---- the table ---- */

static const char *const lighttpd_programs[] = { "lighttpd", NULL };
static const char *const nginx_programs[] = { "nginx", NULL };
static const char *const apache_programs[] = { "apache2", "httpd", NULL };
#define FCGID_PACKAGE "apache2 libapache2-mod-fcgid"

static const struct mw_web kinds[] = {
	{ "lighttpd", MW_POOLS_OURS, lighttpd_programs, "lighttpd", lighttpd },
	{ "nginx", MW_POOLS_OURS, nginx_programs, "nginx", nginx },
	{ "apache", MW_POOLS_THEIRS, apache_programs, FCGID_PACKAGE, apache_fcgid },
	{ "cgi", MW_POOLS_THEIRS, apache_programs, "apache2", apache_cgi },
	{ "htaccess", MW_POOLS_THEIRS, apache_programs, FCGID_PACKAGE, apache_htaccess },
	{ "htaccess-cgi", MW_POOLS_THEIRS, apache_programs, "apache2", apache_htaccess_cgi },
	{ "none", MW_POOLS_OURS, NULL, NULL, NULL },
};

const struct mw_web *
mw_web_find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}

const char *
mw_web_words(void)
{
	return "lighttpd, nginx, apache, cgi, htaccess, htaccess-cgi or none";
}
