/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every setting there is.  A row here is all it takes: the parser, the
 * environment, `moltctl config show` and the sample's test follow the table.
 * Rows of one group stand together, scalars before sub-groups.
 */
#include "conf/settings.h"

#define MS_MAX 86400000LL		/* a day */
#define KEEP_MAX (30 * MS_MAX)
#define COUNT_MAX 100000
#define BYTES_MAX (1LL << 40)		/* 1 TiB */

#define AT(field) offsetof(struct mw_conf, field)
#define INT(k, f, d, lo, hi) \
	{ .key = k, .type = MW_SET_INT, .offset = AT(f), .def = d, .min = lo, .max = hi }
#define MS(k, f, d) INT(k, f, d, 1, MS_MAX)
#define MS0(k, f, d) INT(k, f, d, 0, MS_MAX)	/* 0 means "not at all" */
#define COUNT(k, f, d) INT(k, f, d, 1, COUNT_MAX)
#define THREADS(k, f, d) INT(k, f, d, 1, MW_CONF_THREADS_MAX)
#define BYTES(k, f, d) INT(k, f, d, 1, BYTES_MAX)
#define BOOL(k, f, d) { .key = k, .type = MW_SET_BOOL, .offset = AT(f), .def = d }
#define WORD(k, f, d, w) \
	{ .key = k, .type = MW_SET_WORD, .offset = AT(f), .def = d, .words = w }
#define STRING(k, f, d, fl) \
	{ .key = k, .type = MW_SET_STRING, .offset = AT(f), .def = d, .flags = fl }
#define CHECKED(k, f, d, fl, fn, ex) \
	{ .key = k, .type = MW_SET_STRING, .offset = AT(f), .def = d, .flags = fl, \
	    .check = fn, .expect = ex }
#define PATH(k, f, d, fl) CHECKED(k, f, d, fl, mw_check_path, "an absolute path")
#define URL(k, f, d) \
	CHECKED(k, f, d, MW_SET_EMPTY, mw_check_url, "http(s)://host[:port][/path] without credentials")
#define ADDRS(k, f, d) \
	{ .key = k, .type = MW_SET_LIST, .offset = AT(f), .def = d, \
	    .check = mw_check_addr, .expect = "addresses or CIDR blocks" }

#define PROCS "a number of processes, N or MIN-MAX, of 1 to 512"
#define PROBE "pgrep -f '[o]penclaw gateway|[c]lawdbot gateway'"

const struct mw_setting mw_settings[] = {
	PATH("auth.secret_file", auth.secret_file, "/etc/moltworker/admin.secret", 0),

	BYTES("http.max_body", http.max_body, "33554432"),
	ADDRS("http.trusted_proxies", http.trusted_proxies, ""),

	WORD("store.driver", store.driver, "dir", "dir|s3"),
	CHECKED("store.prefix", store.prefix, "users/{user}", 0, mw_check_prefix,
	    "a key prefix with one {user}, no empty or dot segment, not .moltworker"),
	MS("store.timeout", store.timeout, "30000"),
	PATH("store.dir.path", store.dir.path, "/var/lib/moltworker/store", 0),
	CHECKED("store.s3.endpoint", store.s3.endpoint, "", MW_SET_EMPTY, mw_check_origin,
	    "http(s)://host[:port] without path or credentials"),
	CHECKED("store.s3.bucket", store.s3.bucket, "moltbot-data", MW_SET_EMPTY, mw_check_bucket,
	    "a bucket name of letters, digits, '.', '_' and '-'"),
	STRING("store.s3.region", store.s3.region, "auto", 0),
	STRING("store.s3.access_key_id", store.s3.access_key_id, "", MW_SET_EMPTY | MW_SET_MASK),
	PATH("store.s3.secret_key_file", store.s3.secret_key_file, "/etc/moltworker/r2.secret",
	    MW_SET_EMPTY),
	BOOL("store.s3.path_style", store.s3.path_style, "true"),
	PATH("store.s3.ca_file", store.s3.ca_file, "", MW_SET_EMPTY),

	WORD("sandbox.driver", sandbox.driver, "local", "local|bridge|container|engine"),
	CHECKED("sandbox.name", sandbox.name, "openclaw-{user}", 0, mw_check_name,
	    "a name with one {user}, of letters, digits, '.', '_' and '-'"),
	CHECKED("sandbox.root", sandbox.root, "/workspace", 0, mw_check_canonical,
	    "an absolute path without empty or dot segments"),
	CHECKED("sandbox.run_dir", sandbox.run_dir, "/tmp/.moltworker", 0, mw_check_canonical,
	    "an absolute path without empty or dot segments"),
	MS("sandbox.timeout", sandbox.timeout, "30000"),
	PATH("sandbox.local.path", sandbox.local.path, "/var/lib/moltworker/sandboxes", 0),
	WORD("sandbox.local.isolation", sandbox.local.isolation, "auto", "auto|bwrap|none"),
	URL("sandbox.bridge.url", sandbox.bridge.url, ""),
	PATH("sandbox.bridge.token_file", sandbox.bridge.token_file, "", MW_SET_EMPTY),
	MS0("sandbox.bridge.awake_ttl", sandbox.bridge.awake_ttl, "540000"),
	URL("sandbox.container.url", sandbox.container.url, "http://sandbox-{user}:3000"),
	BOOL("sandbox.container.engine", sandbox.container.engine, "false"),
	CHECKED("sandbox.engine.socket", sandbox.engine.socket, "/run/podman/podman.sock", 0,
	    mw_check_socket, "an absolute path or tcp://host:port"),
	STRING("sandbox.engine.image", sandbox.engine.image, "", MW_SET_EMPTY),
	BOOL("sandbox.engine.create", sandbox.engine.create, "false"),
	CHECKED("sandbox.engine.memory", sandbox.engine.memory, "1g", MW_SET_EMPTY, mw_check_memory,
	    "a number of bytes, or with one of the endings k, m, g"),
	CHECKED("sandbox.engine.network", sandbox.engine.network, "", MW_SET_EMPTY, mw_check_network,
	    "\"none\", \"bridge\" or a network's name"),
	WORD("sandbox.engine.sleep", sandbox.engine.sleep, "stop", "stop|pause"),
	CHECKED("sandbox.engine.files", sandbox.engine.files, "", MW_SET_EMPTY, mw_check_files,
	    "an absolute path with one {user} as a directory of it, not the first"),

	STRING("gateway.start", gateway.start, "", MW_SET_EMPTY | MW_SET_LINES),
	STRING("gateway.probe", gateway.probe, PROBE, MW_SET_EMPTY | MW_SET_LINES),
	INT("gateway.port", gateway.port, "18789", 0, 65535),
	{ .key = "gateway.config_path", .type = MW_SET_LIST, .offset = AT(gateway.config_path),
	    .def = ".clawdbot/clawdbot.json", .flags = MW_SET_FEW, .check = mw_check_relative,
	    .expect = "1 to 8 paths below the user's root, without empty or dot segments" },

	MS("wake.max_wait", wake.max_wait, "120000"),
	MS("wake.health_timeout", wake.health_timeout, "10000"),
	MS("wake.poll_min", wake.poll_min, "100"),
	MS("wake.poll_max", wake.poll_max, "2000"),
	MS0("wake.ready_ttl", wake.ready_ttl, "30000"),
	MS0("wake.failure_ttl", wake.failure_ttl, "15000"),
	COUNT("wake.max_waiters", wake.max_waiters, "256"),
	BOOL("wake.restore", wake.restore, "true"),
	WORD("wake.restore_failures", wake.restore_failures, "continue", "continue|stop"),

	COUNT("retry.attempts", retry.attempts, "3"),
	MS("retry.base", retry.base, "1000"),
	MS("retry.store_base", retry.store_base, "100"),
	MS("retry.max", retry.max, "5000"),
	INT("retry.budget", retry.budget, "500", 0, COUNT_MAX),

	COUNT("breaker.failures", breaker.failures, "5"),
	MS("breaker.open", breaker.open, "30000"),

	WORD("read.default_source", read.default_source, "auto", "auto|r2|container"),
	BYTES("read.max_json", read.max_json, "5242880"),

	MS("exec.default_timeout", exec.default_timeout, "30000"),
	MS("exec.max_timeout", exec.max_timeout, "300000"),
	BYTES("exec.max_output", exec.max_output, "1048576"),
	BYTES("exec.max_stored", exec.max_stored, "67108864"),
	INT("exec.keep", exec.keep, "86400000", 0, KEEP_MAX),
	COUNT("exec.max_jobs", exec.max_jobs, "32"),

	COUNT("batch.max_operations", batch.max_operations, "50"),
	THREADS("batch.parallel", batch.parallel, "8"),

	THREADS("sync.parallel", sync.parallel, "8"),
	MS("sync.timeout", sync.timeout, "540000"),
	{ .key = "sync.exclude", .type = MW_SET_LIST, .offset = AT(sync.exclude),
	    .def = "node_modules,.cache,*.tmp" },
	{ .key = "sync.exclude_restore", .type = MW_SET_LIST, .offset = AT(sync.exclude_restore),
	    .def = "" },

	THREADS("bulk.concurrency", bulk.concurrency, "8"),
	MS("bulk.timeout", bulk.timeout, "540000"),

	BYTES("outbox.max_bytes", outbox.max_bytes, "1073741824"),
	MS0("outbox.drain_interval", outbox.drain_interval, "2000"),

	CHECKED("pool.procs", pool.procs, "2-512", 0, mw_check_procs, PROCS),
	CHECKED("pool.small", pool.small, "1-8", 0, mw_check_procs, PROCS),
	CHECKED("pool.files", pool.files, "", MW_SET_EMPTY, mw_check_procs, PROCS),
	CHECKED("pool.exec", pool.exec, "", MW_SET_EMPTY, mw_check_procs, PROCS),
	CHECKED("pool.state", pool.state, "", MW_SET_EMPTY, mw_check_procs, PROCS),
	CHECKED("pool.batch", pool.batch, "", MW_SET_EMPTY, mw_check_procs, PROCS),
	CHECKED("pool.config", pool.config, "", MW_SET_EMPTY, mw_check_procs, PROCS),
	CHECKED("pool.sync", pool.sync, "", MW_SET_EMPTY, mw_check_procs, PROCS),
	CHECKED("pool.health", pool.health, "", MW_SET_EMPTY, mw_check_procs, PROCS),
	CHECKED("pool.bulk", pool.bulk, "", MW_SET_EMPTY, mw_check_procs, PROCS),
	CHECKED("pool.metrics", pool.metrics, "", MW_SET_EMPTY, mw_check_procs, PROCS),
	CHECKED("pool.debug", pool.debug, "", MW_SET_EMPTY, mw_check_procs, PROCS),
	MS("pool.idle", pool.idle, "60000"),

	PATH("state.path", state.path, "/var/lib/moltworker/state", 0),

	WORD("log.level", log.level, "info", "debug|info|warn|error"),
	WORD("log.format", log.format, "text", "text|json"),
	PATH("log.file", log.file, "", MW_SET_EMPTY),

	ADDRS("metrics.allow", metrics.allow, ""),

	BOOL("debug.enabled", debug.enabled, "false"),
	ADDRS("debug.allow", debug.allow, "127.0.0.1/32,::1/128"),
};

const size_t mw_setting_count = sizeof(mw_settings) / sizeof(mw_settings[0]);
