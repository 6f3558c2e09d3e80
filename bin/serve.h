/* SPDX-License-Identifier: BSD-2-Clause */
/* moltctl serve: what its files share. */
#ifndef MW_BIN_SERVE_H
#define MW_BIN_SERVE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "conf/conf.h"
#include "base/supervise.h"

enum mw_responder { MW_R_FILES, MW_R_HEALTH, MW_R_BATCH, MW_R_EXEC, MW_R_STATE,
	MW_R_CONFIG, MW_R_SYNC, MW_R_BULK, MW_R_METRICS, MW_R_DEBUG, MW_R_COUNT };

/* How a server kind gets at the responders. */
enum mw_pools {
	MW_POOLS_OURS,		/* our pools on Unix sockets */
	MW_POOLS_THEIRS		/* the web server starts them */
};

struct mw_serve;

/* A kind of web server: one row of the table in serve_web.c. */
struct mw_web {
	const char *name;			/* the word after --server */
	enum mw_pools pools;
	const char *const *programs;		/* names to look for, NULL = no web server */
	const char *package;			/* Debian's */
	enum mw_code (*prepare)(struct mw_serve *s, struct mw_err *err);	/* writes its files, sets web_argv */
};

struct mw_serve {
	/* options */
	const struct mw_web *web;
	unsigned port;
	const char *procs;			/* --procs, or NULL: the settings say it */
	unsigned most;				/* processes of a pool, by --procs, or 0 */
	const char *user;			/* --user, or NULL */
	char *config;				/* --config, absolute, or NULL */
	char *dir;				/* --dir, absolute; or the private directory */
	char *sockets;				/* --sockets, absolute; or dir/run */
	bool keep;

	bool temporary;				/* dir was made by us and goes at the end */
	bool own_config;			/* config is in dir too */
	char *run;				/* dir/run: the web server's own files */
	const char *libexec, *data;		/* where responders and snippets are */
	char *libexec_file[MW_R_COUNT];		/* of each responder; NULL = not installed */
	const char *responder_argv[MW_R_COUNT][2];
	char **env;				/* of every child */
	struct mw_conf *conf;
	bool opened[MW_R_COUNT];		/* this responder's socket is ours */
	char *program;				/* the web server's, absolute */
	const char *web_argv[12];
	char *web_conf;				/* path of its generated configuration */
	struct mw_supervisor sup;
};

/* ---- serve_web.c ---- */

/* The row of a --server word, or NULL. */
const struct mw_web *mw_web_find(const char *name);
/* The words, for the usage text: "lighttpd|apache|...". */
const char *mw_web_words(void);

/* Find the web server's program.  The error names the Debian package. */
enum mw_code mw_web_program(struct mw_serve *s, struct mw_err *err) MW_MUST;

/* ---- serve_dir.c ---- */

/*
 * The directory that all of an instance's own files are in, made or used again;
 * with a configuration and a fresh secret unless --config names one, or they are
 * there already.  Sets dir, run, sockets and config.
 */
enum mw_code mw_serve_dir(struct mw_serve *s, struct mw_err *err) MW_MUST;

/* Remove a temporary directory, else only run/. */
void mw_serve_dir_remove(const struct mw_serve *s);

/* Write a file of an instance (created 0600, replaced). */
enum mw_code mw_serve_write(const char *path, const char *text, size_t n, struct mw_err *err) MW_MUST;

/* mkdir; a directory that is there already will do. */
enum mw_code mw_serve_mkdir(const char *path, mode_t mode, struct mw_err *err) MW_MUST;

/* Can this user write everything the configuration names?  The error says which not. */
enum mw_code mw_serve_writable(const struct mw_conf *conf, struct mw_err *err) MW_MUST;

/* ---- serve_pools.c ---- */

extern const char *const mw_responder_names[MW_R_COUNT];

/* Find the responders.  files and health must be there. */
enum mw_code mw_pools_find(struct mw_serve *s, struct mw_err *err) MW_MUST;

/*
 * A listening socket and a service for each responder; the socket of one that is
 * not installed is a link to the responder that takes its URLs.
 */
enum mw_code mw_pools_open(struct mw_serve *s, struct mw_err *err) MW_MUST;
void mw_pools_unlink(const struct mw_serve *s);

/* ---- serve_env.c ---- */

/* PATH, this program's own path, MOLTWORKER_*; nothing else of ours.  NULL: no memory. */
/* procs: MOLTWORKER_PROCS. */
char **mw_serve_env(const char *config, const char *procs);
void mw_serve_env_free(char **env);		/* accepts NULL */

/* ---- privdrop.c ---- */

/*
 * Give up root for `user` (NULL: "moltworker", else "www-data") for good, and
 * prove it.  Does nothing when not root, unless `user` is somebody else.
 */
enum mw_code mw_privdrop(const char *user, struct mw_err *err) MW_MUST;

/* ---- probe.c ---- */

/* Can 127.0.0.1:port be listened on?  The error names the port. */
enum mw_code mw_port_free(unsigned port, struct mw_err *err) MW_MUST;

/* Does GET /healthz on 127.0.0.1:port answer 200?  Waits at most a second. */
bool mw_probe(unsigned port);

/* ---- serve_sandboxes.c ---- */

/* The users whose local sandbox runs now; freed by mw_running_free. */
struct mw_running { char **user; size_t n; };
void mw_running_get(const struct mw_conf *conf, struct mw_running *r);
/* Stop those that run now and are not in `before`. */
void mw_running_stop(const struct mw_conf *conf, const struct mw_running *before);
void mw_running_free(struct mw_running *r);
/* End the wakes in hand: one that went on would start a sandbox again. */
void mw_wakes_end(const struct mw_conf *conf);

#endif
