/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * moltctl serve: a private web server with the shipped snippet and its pools of
 * responders, or only the pools, in the foreground.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "serve.h"
#include "verbs.h"

#define PORT_DEFAULT 8080
#define READY_TIME 20000	/* ms until /healthz must answer */
#define READY_POLL_MIN 30	/* ms; doubled with each try: a failing one is logged */
#define READY_POLL_MAX 1000

/* ---- options ---- */

/* Paths are made absolute while the current directory can still be read. */
static enum mw_code
absolute(const char *path, char **out, struct mw_err *err)
{
	char cwd[PATH_MAX];
	int n;

	free(*out);
	*out = NULL;
	if (path[0] == '/')
		n = asprintf(out, "%s", path);
	else if (getcwd(cwd, sizeof(cwd)) == NULL)
		return mw_fail(err, MW_INVALID_ARGUMENT, "%s: getcwd: %s", path, strerror(errno));
	else
		n = asprintf(out, "%s/%s", cwd, path);
	if (n == -1) {
		*out = NULL;
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	}
	return MW_OK;
}

static enum mw_code
number(const char *option, const char *text, int64_t max, unsigned *out, struct mw_err *err)
{
	int64_t v;

	if (!mw_str_uint(text, strlen(text), max, &v) || v == 0)
		return mw_fail(err, MW_INVALID_ARGUMENT, "%s %s: expected 1 to %lld", option, text,
		    (long long)max);
	*out = (unsigned)v;
	return MW_OK;
}

static enum mw_code
procs(struct mw_serve *s, const char *arg, struct mw_err *err)
{
	unsigned min;

	if (!mw_pool_range(arg, &min, &s->most))
		return mw_fail(err, MW_INVALID_ARGUMENT, "--procs %s: expected N or MIN-MAX, of 1 to %d",
		    arg, MW_POOL_MAX);
	s->procs = arg;
	return MW_OK;
}

static enum mw_code
option(struct mw_serve *s, int c, const char *arg, struct mw_err *err)
{
	switch (c) {
	case 's':
		s->web = mw_web_find(arg);
		if (s->web == NULL)
			return mw_fail(err, MW_INVALID_ARGUMENT, "--server %s: expected %s", arg,
			    mw_web_words());
		return MW_OK;
	case 'p':
		return number("--port", arg, 65535, &s->port, err);
	case 'n':
		return procs(s, arg, err);
	case 'c':
		return absolute(arg, &s->config, err);
	case 'd':
		return absolute(arg, &s->dir, err);
	case 'S':
		return absolute(arg, &s->sockets, err);
	case 'u':
		s->user = arg;
		return MW_OK;
	case 'k':
		s->keep = true;
		return MW_OK;
	default:
		return mw_fail(err, MW_INVALID_ARGUMENT, "%s", "");
	}
}

static enum mw_code
options(struct mw_serve *s, int argc, char **argv, struct mw_err *err)
{
	static const struct option longs[] = {
		{ "server", required_argument, NULL, 's' },
		{ "port", required_argument, NULL, 'p' },
		{ "procs", required_argument, NULL, 'n' },
		{ "config", required_argument, NULL, 'c' },
		{ "dir", required_argument, NULL, 'd' },
		{ "sockets", required_argument, NULL, 'S' },
		{ "user", required_argument, NULL, 'u' },
		{ "keep", no_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (option(s, c, optarg, err) != MW_OK)
			return err->code;
	}
	if (optind != argc)
		return mw_fail(err, MW_INVALID_ARGUMENT, "%s: not an option", argv[optind]);
	if (s->sockets != NULL && s->web->programs != NULL)
		return mw_fail(err, MW_INVALID_ARGUMENT, "--sockets goes with --server none");
	return MW_OK;
}

/* ---- setting up ---- */

/* A directory of the installation, or the one an uninstalled tree names. */
static const char *
place(const char *variable, const char *installed)
{
	const char *v = getenv(variable);

	return v != NULL && v[0] == '/' ? v : installed;
}

/* 0, 1 and 2 exist, so that no socket gets one of their numbers. */
static enum mw_code
standard_fds(struct mw_err *err)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd == -1)
			return mw_fail(err, MW_INTERNAL_ERROR, "/dev/null: %s", strerror(errno));
	} while (fd <= 2);
	close(fd);
	return MW_OK;
}

/* With --server none and no --dir there is nothing of our own to keep. */
static bool
wants_dir(const struct mw_serve *s)
{
	return s->web->programs != NULL || s->config == NULL || s->sockets == NULL;
}

static enum mw_code
load(struct mw_serve *s, struct mw_err *err)
{
	struct mw_secret secret;

	if (mw_conf_load(s->config, &s->conf, err) != MW_OK)
		return err->code;
	if (mw_serve_writable(s->conf, err) != MW_OK)
		return err->code;
	if (!mw_ctl_owner(s->conf, err))
		return err->code;
	/* Responders would refuse to start for the same reason, one by one. */
	if (mw_secret_read(s->conf->auth.secret_file, &secret, err) == MW_OK)
		explicit_bzero(&secret, sizeof(secret));
	return err->code;
}

static enum mw_code
prepare(struct mw_serve *s, struct mw_err *err)
{
	if (standard_fds(err) != MW_OK || mw_privdrop(s->user, err) != MW_OK ||
	    mw_pools_find(s, err) != MW_OK || mw_web_program(s, err) != MW_OK)
		return err->code;
	if (s->web->programs != NULL && mw_port_free(s->port, err) != MW_OK)
		return err->code;
	if (wants_dir(s) && mw_serve_dir(s, err) != MW_OK)
		return err->code;
	if (chdir(s->dir != NULL ? s->dir : "/") == -1)
		return mw_fail(err, MW_INTERNAL_ERROR, "chdir %s: %s", s->dir, strerror(errno));
	if (load(s, err) != MW_OK)
		return err->code;
	s->env = mw_serve_env(s->config, s->procs != NULL ? s->procs : "auto");
	if (s->env == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	return mw_sup_init(&s->sup, s->env, err);
}

static enum mw_code
add_services(struct mw_serve *s, struct mw_err *err)
{
	if (s->web->pools == MW_POOLS_OURS && mw_pools_open(s, err) != MW_OK)
		return err->code;
	if (s->web->prepare == NULL)
		return MW_OK;
	if (s->web->prepare(s, err) != MW_OK)
		return err->code;
	return mw_sup_add(&s->sup, s->web->programs[0], s->web_argv, -1, 1, true, err);
}

/* ---- running ---- */

static void
announce(const struct mw_serve *s)
{
	if (s->web->programs == NULL)
		printf("ready: sockets in %s\n", s->sockets);
	else
		printf("ready: http://127.0.0.1:%u/ (%s)\n", s->port, s->web->name);
	printf("configuration: %s\nsecret file: %s\n", s->config, s->conf->auth.secret_file);
	if (s->temporary && s->own_config && !s->keep)
		printf("all of it goes when this ends; --dir DIR keeps it\n");
	if (fflush(stdout) != 0)
		mw_log(MW_WARN, "standard output: %s", strerror(errno));
}

/* Until /healthz answers.  False: it did not, or we are to stop. */
static bool
wait_ready(struct mw_serve *s)
{
	int64_t deadline = mw_now() + READY_TIME, poll = READY_POLL_MIN;

	if (s->web->programs == NULL)
		return mw_sup_step(&s->sup, 0);
	while (mw_sup_step(&s->sup, poll)) {
		if (mw_probe(s->port))
			return true;
		poll = poll * 2 < READY_POLL_MAX ? poll * 2 : READY_POLL_MAX;
		if (mw_left(deadline) == 0) {
			mw_log(MW_ERROR, "http://127.0.0.1:%u/healthz does not answer", s->port);
			return false;
		}
	}
	return false;
}

static int
run(struct mw_serve *s)
{
	bool ready = wait_ready(s);

	if (ready) {
		announce(s);
		while (mw_sup_step(&s->sup, INT64_MAX))
			continue;
	}
	mw_sup_stop(&s->sup);
	return s->sup.stopping && !s->sup.died ? 0 : 1;
}

static void
release(struct mw_serve *s)
{
	mw_sup_free(&s->sup);
	mw_serve_env_free(s->env);
	mw_conf_free(s->conf);
	for (int i = 0; i < MW_R_COUNT; i++)
		free(s->libexec_file[i]);
	free(s->program);
	free(s->web_conf);
	free(s->config);
	free(s->dir);
	free(s->sockets);
	free(s->run);
}

int
mw_verb_serve(int argc, char **argv)
{
	struct mw_serve s = { .web = mw_web_find("lighttpd"), .port = PORT_DEFAULT };
	struct mw_running before = { 0 };
	struct mw_err err = { 0 };
	int status = 1;

	mw_log_open("moltctl", "", MW_INFO, false);
	s.libexec = place("MOLTWORKER_LIBEXEC", MW_LIBEXECDIR "/moltworker");
	s.data = place("MOLTWORKER_DATA", MW_DATADIR "/moltworker");
	if (options(&s, argc, argv, &err) != MW_OK) {
		if (err.msg[0] != '\0')
			mw_ctl_error("%s", err.msg);
		status = mw_ctl_usage("serve");
		goto out;
	}
	if (prepare(&s, &err) == MW_OK) {
		/* Sandboxes of a production pool outlive its restarts. */
		if (s.dir == NULL)
			s.keep = true;
		mw_running_get(s.conf, &before);
		if (add_services(&s, &err) == MW_OK)
			status = run(&s);
		if (!s.keep)
			mw_running_stop(s.conf, &before);
		mw_running_free(&before);
	}
	if (err.code != MW_OK)
		status = mw_ctl_error("%s", err.msg);
	mw_pools_unlink(&s);
	mw_serve_dir_remove(&s);
out:
	release(&s);
	return status;
}
