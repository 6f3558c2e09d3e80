/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: built-in default < libconfig file < environment
 * MOLTWORKER_<GROUP>_<NAME>.  One table of settings (conf/settings.c) drives
 * parsing, range checks, `moltctl config show` and the sample file's test.
 */
#ifndef MW_CONF_CONF_H
#define MW_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MW_CONF_PATHS_MAX 8	/* members of gateway.config_path; it has one at least */
#define MW_CONF_THREADS_MAX 64	/* what parallel and concurrency allow */

struct mw_list {
	char **item;		/* n strings, each owned */
	size_t n;
};

/* Durations are ms, sizes bytes.  Strings are never NULL and owned by the struct. */
struct mw_conf {
	struct { char *secret_file; } auth;
	struct { int64_t max_body; struct mw_list trusted_proxies; } http;
	struct {
		char *driver;
		char *prefix;			/* holds "{user}" */
		int64_t timeout;
		struct { char *path; } dir;
		struct {
			char *endpoint, *bucket, *region, *access_key_id, *secret_key_file;
			bool path_style;
			char *ca_file;
		} s3;
	} store;
	struct {
		char *driver, *name, *root, *run_dir;
		int64_t timeout;
		struct { char *path, *isolation; } local;
		struct { char *url, *token_file; int64_t awake_ttl; } bridge;
		struct { char *url; bool engine; } container;
		struct { char *socket, *image; bool create; char *memory, *network, *sleep, *files; } engine;
	} sandbox;
	struct { char *start, *probe; int64_t port; struct mw_list config_path; } gateway;
	struct {
		int64_t max_wait, health_timeout, poll_min, poll_max;
		int64_t ready_ttl, failure_ttl, max_waiters;
		bool restore;
		char *restore_failures;
	} wake;
	struct { int64_t attempts, base, store_base, max, budget; } retry;
	struct { int64_t failures, open; } breaker;
	struct { char *default_source; int64_t max_json; } read;
	struct {
		int64_t default_timeout, max_timeout, max_output, max_stored, keep, max_jobs;
	} exec;
	struct { int64_t max_operations, parallel; } batch;
	struct { int64_t parallel, timeout; struct mw_list exclude, exclude_restore; } sync;
	struct { int64_t concurrency, timeout; } bulk;
	struct { int64_t max_bytes, drain_interval; } outbox;
	struct {
		char *procs, *small;		/* "MIN-MAX" or "N": mw_pool_range */
		char *files, *exec, *state, *batch, *config, *sync;	/* "" = procs */
		char *health, *bulk, *metrics, *debug;			/* "" = small */
		int64_t idle;
	} pool;
	struct { char *path; } state;
	struct { char *level, *format, *file; } log;
	struct { struct mw_list allow; } metrics;
	struct { bool enabled; struct mw_list allow; } debug;
};

/*
 * Read and check a configuration.  path NULL = MOLTWORKER_CONFIG, else the
 * compiled-in SYSCONFDIR path.  On failure *confp is NULL and err names file,
 * line, key and what was expected.  Does not read secrets.
 */
enum mw_code mw_conf_load(const char *path, struct mw_conf **confp, struct mw_err *err) MW_MUST;
void mw_conf_free(struct mw_conf *conf);	/* accepts NULL */

/* The path that mw_conf_load(NULL) would use. */
const char *mw_conf_path(void);

/*
 * Print every effective setting as a libconfig file, each with a comment that
 * says where it came from ("default", "FILE:LINE", "environment NAME").  Secrets
 * (credentials, not file names) are masked.
 */
struct mw_buf;
enum mw_code mw_conf_show(const char *path, struct mw_buf *out, struct mw_err *err) MW_MUST;

/*
 * The watched configuration of a long-running process.  get() looks at the
 * file (and those it includes) at most once a second and swaps in a changed
 * text; a broken one is logged once and the last good one stays.  A file that
 * is empty all of a sudden counts as broken.  A changed state.path is logged and
 * takes a restart.  Each good text is kept as last-good.conf in the state.path
 * it names, mode 0600; open() of a broken file goes on with that one, with a
 * logged error, if its first line says that it was made from the same path.  The
 * pointer from get() stays valid until the next get().
 */
struct mw_conf_watch;
enum mw_code mw_conf_watch_open(const char *path, struct mw_conf_watch **wp, struct mw_err *err) MW_MUST;
const struct mw_conf *mw_conf_watch_get(struct mw_conf_watch *w);
void mw_conf_watch_close(struct mw_conf_watch *w);

/*
 * Secrets are read from files: owned by root or us, no permission bits for
 * others, group-read only if the group is one of the process's own (for root too),
 * not empty, at most 4 KiB; trailing white
 * space of a line is cut.  Lines 1 and 2 are returned (second may be "").
 * Fails with MW_INTERNAL_ERROR and a message that names file and remedy, never content.
 */
struct mw_secret {
	char line[2][1024];
};
enum mw_code mw_secret_read(const char *path, struct mw_secret *out, struct mw_err *err) MW_MUST;

/* The same, watched like the configuration: rereads when the file changes, at
 * most once a second; a file that turned bad is logged once and the last good value stays. */
struct mw_secret_watch;
enum mw_code mw_secret_watch_open(const char *path, struct mw_secret_watch **wp, struct mw_err *err) MW_MUST;
/* *generation changes with the content. */
const struct mw_secret *mw_secret_watch_get(struct mw_secret_watch *w, unsigned *generation);
void mw_secret_watch_close(struct mw_secret_watch *w);

/* True if `addr` (textual IPv4/IPv6; ::ffff:1.2.3.4 is 1.2.3.4) is in one of the
 * CIDR blocks or addresses.  NULL and what is no address are in none. */
bool mw_conf_addr_in(const struct mw_list *list, const char *addr);

#endif
