/* SPDX-License-Identifier: BSD-2-Clause */
/* Loading, checking and showing the configuration, and the sample file. */
#include "conf_fixture.h"

#include "base/buf.h"
#include "conf/internal.h"

#define S3 "store: { driver = \"s3\"; s3: { endpoint = \"http://127.0.0.1:1\"; bucket = \"b\"; " \
	"access_key_id = \"k\"; secret_key_file = \"/s\"; }; };"

static struct mw_err err;

/* libconfig 1.5 itself forgets a string that does not end. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

/* NULL when refused; err says why. */
static struct mw_conf *
load_at(const char *path)
{
	struct mw_conf *conf;

	mw_err_clear(&err);
	if (mw_conf_load(path, &conf, &err) != MW_OK && conf != NULL)
		ok(false, "no conf after a failure");
	return conf;
}

static struct mw_conf *
load(const char *text)
{
	return load_at(put("t.conf", text, 0600));
}

static void
print_row(const struct mw_conf *c, const char *key, char *out, size_t max)
{
	const struct mw_setting *s = mw_setting_find(key);
	struct mw_buf b;

	mw_buf_init(&b, max - 1);
	(void)snprintf(out, max, "%s", s != NULL && mw_setting_print(s, c, &b) ? b.data : "?");
	mw_buf_free(&b);
}

static void
test_table(void)
{
	char env[MW_SET_ENV_MAX], other[MW_SET_ENV_MAX];
	struct mw_conf *c = load_at("/dev/null");
	size_t i, j;
	bool unique = true;

	if (!ok(c != NULL, "the defaults alone are good"))
		printf("# %s\n", err.msg);
	mw_conf_free(c);
	for (i = 0; i < mw_setting_count; i++) {
		mw_setting_env(&mw_settings[i], env);
		for (j = 0; j < i; j++) {
			mw_setting_env(&mw_settings[j], other);
			unique = unique && strcmp(env, other) != 0;
		}
	}
	ok(unique, "each variable is one setting's");
	mw_setting_env(mw_setting_find("store.s3.endpoint"), env);
	is_str(env, "MOLTWORKER_STORE_S3_ENDPOINT", "name of a variable");
}

static const struct {
	const char *text, *key, *value;
} goods[] = {
	{ "http: { max_body = 1; };", "http.max_body", "1" },
	{ "http = { max_body = 7L }", "http.max_body", "7" },
	{ "http: { max_body = 2147483648; };", "http.max_body", "2147483648L" },
	{ "http: { max_body = 5368709120; };", "http.max_body", "5368709120L" },
	{ "http: { max_body = 5368709120L; };", "http.max_body", "5368709120L" },
	{ "http: { max_body = 1099511627776; };", "http.max_body", "1099511627776L" },
	{ "http: { max_body = 00000000000000000009; };", "http.max_body", "9" },
	{ "http: { max_body = 0xff; };", "http.max_body", "255" },
	{ "http: { max_body = 0x80000000; };", "http.max_body", "2147483648L" },
	{ "http: { max_body = 0x1ffffffff; };", "http.max_body", "8589934591L" },
	{ "# 99999999999\n/* 99999999999 */ http: { max_body = 3; }; // 9", "http.max_body", "3" },
	{ "http: {\r\n max_body = 3;\r\n};\r\n", "http.max_body", "3" },
	{ "gateway: { start = \"run 99999999999 # \\\"x\\\"\"; };", "gateway.start",
	    "\"run 99999999999 # \\\"x\\\"\"" },
	{ "gateway: { start = \"a\\n\\tb\"; };", "gateway.start", "\"a\\x0a\\x09b\"" },
	{ "gateway: { start = \"\"; probe = \"\"; port = 0; };", "gateway.probe", "\"\"" },
	{ "gateway: { port = 65535; };", "gateway.port", "65535" },
	{ "outbox: { drain_interval = 0; };", "outbox.drain_interval", "0" },
	{ "exec: { keep = 2592000000; };", "exec.keep", "2592000000L" },
	{ "wake: { max_wait = 86400000; };", "wake.max_wait", "86400000" },
	{ "wake: { restore = false; };", "wake.restore", "false" },
	{ "sync: { exclude = []; };", "sync.exclude", "[]" },
	{ "sync: { exclude = (); };", "sync.exclude", "[]" },
	{ "sync: { exclude = ( \"a\", \"b\\\\c\" ); };", "sync.exclude", "[ \"a\", \"b\\\\c\" ]" },
	{ "metrics: { allow = [ \"10.0.0.0/8\", \"::1\", \"::ffff:1.2.3.4\" ]; };", "metrics.allow",
	    "[ \"10.0.0.0/8\", \"::1\", \"::ffff:1.2.3.4\" ]" },
	{ "store: { prefix = \"{user}\"; };", "store.prefix", "\"{user}\"" },
	{ "store: { prefix = \"a/b-{user}.x\"; };", "store.prefix", "\"a/b-{user}.x\"" },
	{ "store: { prefix = \"a/.moltworker/{user}\"; };", "store.prefix", "\"a/.moltworker/{user}\"" },
	{ "sandbox: { name = \"{user}\"; };", "sandbox.name", "\"{user}\"" },
	{ "sandbox: { root = \"/tmp/.moltworker2\"; };", "sandbox.root", "\"/tmp/.moltworker2\"" },
	{ "sandbox: { container: { url = \"http://127.0.0.1:80/x/{user}\"; }; };",
	    "sandbox.container.url", "\"http://127.0.0.1:80/x/{user}\"" },
	{ "sandbox: { container: { engine = true; }; };", "sandbox.container.engine", "true" },
	{ "sandbox: { bridge: { url = \"https://[::1]:8443\"; }; };", "sandbox.bridge.url",
	    "\"https://[::1]:8443\"" },
	{ "sandbox: { engine: { memory = \"\"; }; };", "sandbox.engine.memory", "\"\"" },
	{ "sandbox: { engine: { memory = \"512m\"; }; };", "sandbox.engine.memory", "\"512m\"" },
	{ "sandbox: { engine: { socket = \"tcp://10.0.0.1:2375\"; }; };", "sandbox.engine.socket",
	    "\"tcp://10.0.0.1:2375\"" },
	{ "sandbox: { engine: { network = \"none\"; }; };", "sandbox.engine.network", "\"none\"" },
	{ "sandbox: { engine: { sleep = \"pause\"; }; };", "sandbox.engine.sleep", "\"pause\"" },
	{ "sandbox: { engine: { files = \"/srv/{user}/f\"; }; };", "sandbox.engine.files",
	    "\"/srv/{user}/f\"" },
	{ S3, "store.s3.bucket", "\"b\"" },
	{ "", "gateway.start", "\"\"" },
};

static void
test_goods(void)
{
	struct mw_conf *c;
	char value[256];
	size_t i;

	for (i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
		c = load(goods[i].text);
		if (!ok(c != NULL, "takes %s", goods[i].value)) {
			printf("# %s\n", err.msg);
			continue;
		}
		print_row(c, goods[i].key, value, sizeof(value));
		is_str(value, goods[i].value, goods[i].key);
		mw_conf_free(c);
	}
}

/* Each is the third line of its file; `key` and `expect` must be in the message. */
static const struct {
	const char *text, *key, *expect;
} bads[] = {
	{ "colour = 1;", "colour", "unknown setting" },
	{ "colour: { x = 1; };", "colour", "unknown group" },
	{ "http: { max_boby = 1; };", "http.max_boby", "unknown setting; did you mean http.max_body?" },
	{ "max_body = 1;", "max_body", "did you mean http.max_body?" },
	{ "stroe: { driver = \"dir\"; };", "stroe", "unknown group; did you mean store?" },
	{ "store: { S4: { bucket = \"b\"; }; };", "store.S4", "did you mean store.s3?" },
	{ "store: { s3: { keys: { a = 1; }; }; };", "store.s3.keys", "unknown group" },
	{ "HTTP: { max_body = 1; };", "HTTP", "unknown" },
	{ "http = 5;", "http", "expected a group" },
	{ "store: { s3 = \"x\"; };", "store.s3", "expected a group" },
	{ "http: { max_body: { x = 1; }; };", "http.max_body", "got a group" },
	{ "http: { max_body = \"1\"; };", "http.max_body", "expected an integer 1..1099511627776, got a string" },
	{ "http: { max_body = 1.0; };", "http.max_body", "got a float" },
	{ "http: { max_body = 1e3; };", "http.max_body", "got a float" },
	{ "http: { max_body = true; };", "http.max_body", "got a boolean" },
	{ "http: { max_body = 0; };", "http.max_body", "1..1099511627776, got 0" },
	{ "http: { max_body = -1; };", "http.max_body", "got -1" },
	{ "http: { max_body = 1099511627777; };", "http.max_body", "got 1099511627777" },
	{ "http: { max_body = -5000000000; };", "http.max_body", "got -5000000000" },
	{ "http: { max_body = 9999999999999999999; };", "", "too large" },
	{ "http: { max_body = 99999999999999999999L; };", "", "too large" },
	{ "http: { max_body = 0x8000000000000000; };", "", "too large" },
	{ "wake: { max_wait = 86400001; };", "wake.max_wait", "1..86400000" },
	{ "retry: { attempts = 100001; };", "retry.attempts", "1..100000" },
	{ "gateway: { port = 65536; };", "gateway.port", "0..65535" },
	{ "wake: { restore = 1; };", "wake.restore", "true or false" },
	{ "wake: { restore = \"true\"; };", "wake.restore", "true or false" },
	{ "log: { level = \"Info\"; };", "log.level", "debug|info|warn|error, got \"Info\"" },
	{ "log: { level = \"debug|info\"; };", "log.level", "one of" },
	{ "log: { level = \"\"; };", "log.level", "one of" },
	{ "log: { format = \"xml\"; };", "log.format", "text|json" },
	{ "log: { file = \"x.log\"; };", "log.file", "an absolute path, or \"\"" },
	{ "read: { default_source = \"r3\"; };", "read.default_source", "auto|r2|container" },
	{ "store: { driver = \"r2\"; };", "store.driver", "dir|s3" },
	{ "sandbox: { driver = \"docker\"; };", "sandbox.driver", "local|bridge|container|engine" },
	{ "sandbox: { local: { isolation = \"off\"; }; };", "sandbox.local.isolation", "auto|bwrap|none" },
	{ "auth: { secret_file = \"\"; };", "auth.secret_file", "an absolute path" },
	{ "auth: { secret_file = \"s\"; };", "auth.secret_file", "an absolute path" },
	{ "state: { path = \"state\"; };", "state.path", "an absolute path" },
	{ "state: { path = \"/a\\x01b\"; };", "state.path", "an absolute path" },
	{ "store: { prefix = \"users\"; };", "store.prefix", "{user}" },
	{ "store: { prefix = \"{user}/{user}\"; };", "store.prefix", "one {user}" },
	{ "store: { prefix = \"/{user}\"; };", "store.prefix", "empty" },
	{ "store: { prefix = \"{user}/\"; };", "store.prefix", "empty" },
	{ "store: { prefix = \"a//{user}\"; };", "store.prefix", "empty" },
	{ "store: { prefix = \"../{user}\"; };", "store.prefix", "dot" },
	{ "store: { prefix = \"./{user}\"; };", "store.prefix", "dot" },
	{ "store: { prefix = \".moltworker/{user}\"; };", "store.prefix", ".moltworker" },
	{ "store: { prefix = \"{x}{user}\"; };", "store.prefix", "{user}" },
	{ "sandbox: { name = \"x\"; };", "sandbox.name", "{user}" },
	{ "sandbox: { name = \"a/{user}\"; };", "sandbox.name", "letters" },
	{ "sandbox: { root = \"workspace\"; };", "sandbox.root", "absolute" },
	{ "sandbox: { root = \"/work/../etc\"; };", "sandbox.root", "dot" },
	{ "sandbox: { root = \"/workspace/\"; };", "sandbox.root", "empty" },
	{ "sandbox: { run_dir = \"/workspace/.run\"; };", "sandbox.run_dir", "outside sandbox.root" },
	{ "sandbox: { run_dir = \"/workspace\"; };", "sandbox.run_dir", "outside sandbox.root" },
	{ "sandbox: { run_dir = \"/w\"; root = \"/w/u\"; };", "sandbox.run_dir", "not around" },
	{ "gateway: { config_path = \"/a\"; };", "gateway.config_path", "below the user's root" },
	{ "gateway: { config_path = \"a/../b\"; };", "gateway.config_path", "below the user's root" },
	{ "gateway: { config_path = [ \"a\", \"/b\" ]; };", "gateway.config_path", "below the user's root" },
	{ "gateway: { config_path = [ ]; };", "gateway.config_path", "1 to 8" },
	{ "gateway: { config_path = [ \"a\", \"b\", \"a\" ]; };", "gateway.config_path", "1 to 8" },
	{ "gateway: { config_path = 5; };", "gateway.config_path", "1 to 8" },
	{ "gateway: { config_path = \".moltworker/x\"; };", "gateway.config_path", "below" },
	{ "store: { s3: { endpoint = \"r2.example\"; }; };", "store.s3.endpoint", "http(s)://" },
	{ "store: { s3: { endpoint = \"ftp://r2.example\"; }; };", "store.s3.endpoint", "http(s)://" },
	{ "store: { s3: { endpoint = \"https://r2.example/b\"; }; };", "store.s3.endpoint", "without path" },
	{ "store: { s3: { endpoint = \"https://r2.example/\"; }; };", "store.s3.endpoint", "without path" },
	{ "store: { s3: { endpoint = \"https://k:s@r2.example\"; }; };", "store.s3.endpoint", "credentials" },
	{ "store: { s3: { endpoint = \"https://r2.example:65536\"; }; };", "store.s3.endpoint", "port" },
	{ "store: { s3: { endpoint = \"https://\"; }; };", "store.s3.endpoint", "host" },
	{ "store: { s3: { bucket = \"a/b\"; }; };", "store.s3.bucket", "bucket name" },
	{ "store: { s3: { bucket = \"..\"; }; };", "store.s3.bucket", "bucket name" },
	{ "sandbox: { bridge: { url = \"http://u:p@h\"; }; };", "sandbox.bridge.url", "credentials" },
	{ "sandbox: { bridge: { url = \"http://h/?a\"; }; };", "sandbox.bridge.url", "http(s)://" },
	{ "sandbox: { engine: { memory = \"1 GB\"; }; };", "sandbox.engine.memory", "k, m, g" },
	{ "sandbox: { engine: { socket = \"podman.sock\"; }; };", "sandbox.engine.socket", "tcp://" },
	{ "sandbox: { engine: { socket = \"tcp://host\"; }; };", "sandbox.engine.socket", "tcp://" },
	{ "sandbox: { engine: { network = \"a b\"; }; };", "sandbox.engine.network", "network" },
	{ "sandbox: { engine: { sleep = \"freeze\"; }; };", "sandbox.engine.sleep", "stop|pause" },
	{ "sandbox: { engine: { files = \"srv/{user}\"; }; };", "sandbox.engine.files", "absolute" },
	{ "sandbox: { engine: { files = \"/srv\"; }; };", "sandbox.engine.files", "{user}" },
	{ "sandbox: { engine: { files = \"/srv/u-{user}\"; }; };", "sandbox.engine.files", "a directory" },
	{ "sandbox: { engine: { files = \"/srv/{user}.d\"; }; };", "sandbox.engine.files", "a directory" },
	{ "sandbox: { engine: { files = \"/{user}\"; }; };", "sandbox.engine.files", "not the first" },
	{ "sandbox: { engine: { files = \"/srv/../{user}\"; }; };", "sandbox.engine.files", "absolute" },
	{ "sandbox: { engine: { files = \"/{user}/{user}\"; }; };", "sandbox.engine.files", "one {user}" },
	{ "store: { driver = \"s3\"; };", "store.s3.endpoint", "needs it" },
	{ "debug: { allow = [ 1, 2 ]; };", "debug.allow", "addresses or CIDR blocks" },
	{ "debug: { allow = \"::1\"; };", "debug.allow", "got a string" },
	{ "debug: { allow = [ \"localhost\" ]; };", "debug.allow", "addresses or CIDR blocks" },
	{ "debug: { allow = [ \"127.0.0.1/33\" ]; };", "debug.allow", "addresses" },
	{ "debug: { allow = [ \"\" ]; };", "debug.allow", "addresses" },
	{ "sync: { exclude = ( \"a\", 1 ); };", "sync.exclude", "a list of strings, got a list of others" },
	{ "http: { max_body = ; };", "", "syntax error" },
	{ "http: { max_body = 1; max_body = 2; };", "http.max_body", "t.conf:3: make it one" },
	{ "bulk: { concurrency = 2; };", "bulk", "duplicate: bulk is there already, at " },
	{ "bulk: { concurrency = 2; };", "t.conf:2", "make it one" },
	{ "wake: { max_wait = 120s; };", "wake.max_wait", "120s is 120000 milliseconds" },
	{ "http: { max_body = 32M; };", "http.max_body", "without a unit: 32M is 33554432 bytes" },
	{ "http: { max_body 32; };", "http.max_body", "expected =" },
	{ "http: { max_body = 32;\nwake: { max_wait = 1; };", "the group http", "not closed: expected };" },
	{ "http: { max_body = 32; }; };", "", "closes no group" },
	{ "http:\n  max_body: 32\n", "http: { max_body", "not YAML" },
	{ "{ \"http\": { \"max_body\": 32 } }", "GROUP: { NAME = VALUE; };", "not JSON" },
	{ "http: { \"max_body\": 32 }", "without quotes", "not JSON" },
	{ "[http]\nmax_body = 32", "", "not [GROUP]" },
	{ "wake: { restore = yes; };", "wake.restore", "expected true or false, got yes" },
	{ "log: { level = debug; };", "log.level", "in quotes: \"debug\"" },
	{ "log: { file = /var/log/x; };", "log.file", "in quotes" },
	{ "log: { level = 'debug'; };", "log.level", "double quotes" },
	{ "debug: { allow = [ 127.0.0.1 ]; };", "debug.allow", "in quotes: \"127.0.0.1\"" },
	{ "debug: { allow = [ \"127.0.0.1\"; };", "debug.allow", "not closed: expected ]" },
	{ "gateway: { start = \"x; };", "", "does not end" },
	{ "/* http: { max_body = 1; };", "", "does not end" },
	{ "@include \"missing\"", "missing", "cannot open" },
};

static void
test_bads(void)
{
	struct mw_conf *c;
	char text[512];
	size_t i;
	bool good;

	for (i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		(void)snprintf(text, sizeof(text), "# one\nbulk: { timeout = 1; };\n%s\n", bads[i].text);
		c = load(text);
		/* A setting that the driver misses stands nowhere: there is no line to name. */
		good = strstr(err.msg, "t.conf") != NULL && strstr(err.msg, bads[i].key) != NULL &&
		    strstr(err.msg, bads[i].expect) != NULL &&
		    (strstr(err.msg, "t.conf:3: ") != NULL || strstr(err.msg, "needs it") != NULL);
		if (!ok(c == NULL && good, "refuses %s", bads[i].text))
			printf("# %s\n", c != NULL ? "taken" : err.msg);
		mw_conf_free(c);
	}
}

/* What a driver needs; each group leaves one thing out. */
static void
test_drivers(void)
{
	static const struct { const char *text, *key; } cases[] = {
		{ "store: { driver = \"s3\"; s3: { endpoint = \"http://h\"; }; };", "store.s3.access_key_id" },
		{ "store: { driver = \"s3\"; s3: { endpoint = \"http://h\"; access_key_id = \"k\"; "
		    "bucket = \"\"; }; };", "store.s3.bucket" },
		{ "store: { driver = \"s3\"; s3: { endpoint = \"http://h\"; access_key_id = \"k\"; "
		    "secret_key_file = \"\"; }; };", "store.s3.secret_key_file" },
		{ "sandbox: { driver = \"bridge\"; };", "sandbox.bridge.url" },
		{ "sandbox: { driver = \"container\"; container: { url = \"\"; }; };",
		    "sandbox.container.url" },
		{ "sandbox: { driver = \"engine\"; engine: { create = true; }; };", "sandbox.engine.image" },
		{ "sandbox: { driver = \"container\"; container: { engine = true; }; "
		    "engine: { create = true; }; };", "sandbox.engine.image" },
	};
	struct mw_conf *c;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		c = load(cases[i].text);
		ok(c == NULL && strstr(err.msg, cases[i].key) != NULL, "misses %s", cases[i].key);
		mw_conf_free(c);
	}
}

static void
test_environment(void)
{
	static const struct { const char *name, *value, *key, *want; } cases[] = {
		{ "MOLTWORKER_HTTP_MAX_BODY", "5368709120", "http.max_body", "5368709120L" },
		{ "MOLTWORKER_HTTP_MAX_BODY", "0", NULL, "1..1099511627776" },
		{ "MOLTWORKER_HTTP_MAX_BODY", "", NULL, "an integer" },
		{ "MOLTWORKER_HTTP_MAX_BODY", "1 ", NULL, "an integer" },
		{ "MOLTWORKER_HTTP_MAX_BODY", "99999999999999999999999", NULL, "an integer" },
		{ "MOLTWORKER_WAKE_RESTORE", "false", "wake.restore", "false" },
		{ "MOLTWORKER_WAKE_RESTORE", "maybe", NULL, "true or false" },
		{ "MOLTWORKER_GATEWAY_START", "", "gateway.start", "\"\"" },
		{ "MOLTWORKER_GATEWAY_START", "a, b", "gateway.start", "\"a, b\"" },
		{ "MOLTWORKER_SANDBOX_LOCAL_PATH", "/x", "sandbox.local.path", "\"/x\"" },
		{ "MOLTWORKER_SANDBOX_LOCAL_PATH", "x", NULL, "an absolute path" },
		{ "MOLTWORKER_STORE_DRIVER", "tape", NULL, "dir|s3" },
		{ "MOLTWORKER_SYNC_EXCLUDE", "a, *.b ,c", "sync.exclude", "[ \"a\", \"*.b\", \"c\" ]" },
		{ "MOLTWORKER_SYNC_EXCLUDE", "one", "sync.exclude", "[ \"one\" ]" },
		{ "MOLTWORKER_SYNC_EXCLUDE", "", "sync.exclude", "[]" },
		{ "MOLTWORKER_SYNC_EXCLUDE", "a,,b", NULL, "strings" },
		{ "MOLTWORKER_DEBUG_ALLOW", "10.0.0.0/8,::1", "debug.allow", "[ \"10.0.0.0/8\", \"::1\" ]" },
		{ "MOLTWORKER_DEBUG_ALLOW", "10.0.0.0/8,x", NULL, "addresses" },
		{ "MOLTWORKER_STORE_S3_ENDPOINT", "http://h:9", "store.s3.endpoint", "\"http://h:9\"" },
		{ "MOLTWORKER_SANDBOX_RUN_DIR", "/workspace/x", NULL, "outside sandbox.root" },
	};
	struct mw_conf *c;
	char value[128];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		need(setenv(cases[i].name, cases[i].value, 1) == 0, "setenv");
		c = load("http: { max_body = 9; }; store: { driver = \"dir\"; };");
		if (c != NULL && cases[i].key != NULL) {
			print_row(c, cases[i].key, value, sizeof(value));
			is_str(value, cases[i].want, cases[i].name);
		} else if (!ok(c == NULL && cases[i].key == NULL &&
		    strncmp(err.msg, cases[i].name, strlen(cases[i].name)) == 0 &&
		    strstr(err.msg, cases[i].want) != NULL,
		    "%s=%s is refused", cases[i].name, cases[i].value)) {
			printf("# %s\n", c != NULL ? "taken" : err.msg);
		}
		mw_conf_free(c);
		need(unsetenv(cases[i].name) == 0, "unsetenv");
	}
}

static void
test_include(void)
{
	struct mw_conf *c;
	char text[512];

	need(mkdir(in_dir("sub"), 0700) == 0, "mkdir");
	put("sub/b.conf", "retry: { attempts = 4; };\n@include \"c.conf\"", 0600);
	put("sub/c.conf", "breaker: { failures = 5000000000; };", 0600);
	c = load("# one\n@include \"sub/b.conf\"\nwake: { max_wait = 1; };\n");
	ok(c == NULL && strstr(err.msg, "sub/c.conf:1: breaker.failures: ") != NULL &&
	    strstr(err.msg, "got 5000000000") != NULL, "a fault in a file included twice over");
	put("sub/c.conf", "breaker: { failures = 6; };", 0600);
	c = load("# one\n  @include \"sub/b.conf\" # and on\nwake: { max_wait = 1; };\n");
	ok(c != NULL && c->retry.attempts == 4 && c->breaker.failures == 6 && c->wake.max_wait == 1,
	    "included files count");
	mw_conf_free(c);
	c = load("# one\n@include \"sub/b.conf\"\nwake: { max_wait = 0; };\n");
	ok(c == NULL && strstr(err.msg, "t.conf:3: wake.max_wait") != NULL,
	    "the line after an include is counted in its own file");
	put("sub/c.conf", "breaker: {\n\nfailures = };", 0600);
	c = load("@include \"sub/b.conf\"\n");
	ok(c == NULL && strstr(err.msg, "sub/c.conf:3: syntax error") != NULL,
	    "a syntax error in an included file");
	put("sub/c.conf", "", 0600);
	(void)snprintf(text, sizeof(text), "@include \"%s\"\n", in_dir("sub/b.conf"));
	c = load(text);
	ok(c != NULL && c->retry.attempts == 4, "an absolute path is taken as it is");
	mw_conf_free(c);
	c = load("@include \"t.conf\"\n");
	ok(c == NULL && strstr(err.msg, "t.conf:1: too many included files") != NULL,
	    "a file that includes itself");
	c = load("gateway: { start = \"\n@include \\\"x\\\"\"; };\n/*\n@include \"y\"\n*/");
	ok(c != NULL && strstr(c->gateway.start, "@include") != NULL,
	    "no include within a string or a comment");
	mw_conf_free(c);
}

static void
test_files(void)
{
	struct mw_conf *c;
	char big[70000];

	c = load_at(in_dir("nowhere.conf"));
	ok(c == NULL && strstr(err.msg, "nowhere.conf") != NULL, "a missing file is named");
	c = load_at(dir);
	ok(c == NULL && strstr(err.msg, "not a regular file") != NULL, "a directory");
	need(mkfifo(in_dir("fifo"), 0600) == 0, "mkfifo");
	c = load_at(in_dir("fifo"));
	ok(c == NULL && strstr(err.msg, "not a regular file") != NULL, "a FIFO does not hang");
	c = load_at("/dev/zero");
	ok(c == NULL, "/dev/zero");
	need(truncate(put("holes", "#", 0600), 10) == 0, "truncate");
	c = load_at(in_dir("holes"));
	ok(c == NULL && strstr(err.msg, "NUL") != NULL, "a NUL byte");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	memcpy(big, "gateway: { start = \"", 20);
	memcpy(big + sizeof(big) - 6, "\"; };", 5);
	c = load(big);
	ok(c == NULL && strstr(err.msg, "gateway.start") != NULL, "a string of 70 kB");
	need(setenv("MOLTWORKER_CONFIG", "/a/b", 1) == 0, "setenv");
	is_str(mw_conf_path(), "/a/b", "MOLTWORKER_CONFIG names the file");
	need(unsetenv("MOLTWORKER_CONFIG") == 0, "unsetenv");
	ok(strstr(mw_conf_path(), "/moltworker/moltworker.conf") != NULL, "else SYSCONFDIR");
}

static char shown[65536];

static bool
show(const char *path)
{
	struct mw_buf b;
	bool good;

	mw_buf_init(&b, sizeof(shown) - 1);
	mw_err_clear(&err);
	good = mw_conf_show(path, &b, &err) == MW_OK;
	(void)snprintf(shown, sizeof(shown), "%s", good ? b.data : "");
	mw_buf_free(&b);
	return good;
}

static void
test_show(void)
{
	char a[4096], b[4096];
	struct mw_conf *one, *two;
	size_t i, differ = 0;

	put("s.conf", "gateway: { start = \"a \\\"b\\\" \\\\ \\n c\"; };\n" S3 "\n"
	    "exec: { keep = 2592000000; };\nsync: { exclude = [ \"x\\\\y\", \"é\" ]; };\n", 0600);
	need(setenv("MOLTWORKER_BULK_TIMEOUT", "77", 1) == 0, "setenv");
	ok(show(in_dir("s.conf")), "show");
	ok(strstr(shown, "\ttimeout = 77;\t# environment MOLTWORKER_BULK_TIMEOUT\n") != NULL,
	    "names the variable");
	ok(strstr(shown, "s.conf:3\n") != NULL, "names file and line");
	ok(strstr(shown, "restore = true;\t# default\n") != NULL, "says default");
	one = load_at(in_dir("s.conf"));
	two = load(shown);
	if (!ok(one != NULL && two != NULL, "what is shown can be loaded"))
		printf("# %s\n", err.msg);
	for (i = 0; i < mw_setting_count && one != NULL && two != NULL; i++) {
		print_row(one, mw_settings[i].key, a, sizeof(a));
		print_row(two, mw_settings[i].key, b, sizeof(b));
		differ += strcmp(a, b) != 0;
	}
	is_int((int64_t)differ, 0, "and means the same");
	mw_conf_free(one);
	mw_conf_free(two);
	need(unsetenv("MOLTWORKER_BULK_TIMEOUT") == 0, "unsetenv");
	put("s.conf", "store: { s3: { access_key_id = \"AKIAverysecret\"; }; };", 0600);
	ok(show(in_dir("s.conf")) && strstr(shown, "AKIAv") == NULL &&
	    strstr(shown, "access_key_id = \"AKIA…\"") != NULL, "a credential is masked");
	put("s.conf", "store: { s3: { access_key_id = \"short\"; }; };", 0600);
	ok(show(in_dir("s.conf")) && strstr(shown, "short") == NULL, "a short one entirely");
	put("s.conf", "x = 1;", 0600);
	ok(!show(in_dir("s.conf")) && strstr(err.msg, "s.conf:1: x") != NULL,
	    "a broken file says the same as a load");
}

static void
test_addresses(void)
{
	static char *blocks[] = { (char *)(uintptr_t)"10.0.0.0/8", (char *)(uintptr_t)"192.0.2.7",
	    (char *)(uintptr_t)"192.0.2.64/27", (char *)(uintptr_t)"2001:db8::/33",
	    (char *)(uintptr_t)"::1/128", (char *)(uintptr_t)"::ffff:198.51.100.0/120" };
	static const struct mw_list list = { blocks, sizeof(blocks) / sizeof(blocks[0]) };
	static char *all4[] = { (char *)(uintptr_t)"0.0.0.0/0" }, *all6[] = { (char *)(uintptr_t)"::/0" };
	static const struct mw_list four = { all4, 1 }, six = { all6, 1 }, none = { NULL, 0 };
	static const struct { const char *addr; bool in; } cases[] = {
		{ "10.0.0.0", true }, { "10.255.255.255", true }, { "11.0.0.0", false },
		{ "9.255.255.255", false }, { "192.0.2.7", true }, { "192.0.2.8", false },
		{ "192.0.2.63", false }, { "192.0.2.64", true }, { "192.0.2.95", true },
		{ "192.0.2.96", false }, { "2001:db8::1", true }, { "2001:db8:7fff::", true },
		{ "2001:db8:8000::", false }, { "::1", true }, { "::2", false },
		{ "::ffff:10.1.2.3", true }, { "::FFFF:0a01:0203", true }, { "::ffff:11.1.2.3", false },
		{ "198.51.100.9", true }, { "198.51.101.9", false }, { "::10.1.2.3", false },
		{ "", false }, { "10.1.2", false }, { "10.1.2.3 ", false }, { "10.1.2.3/8", false },
		{ "010.1.2.3.4", false }, { "[::1]", false }, { "fe80::1%lo", false }, { "unix:", false },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok(mw_conf_addr_in(&list, cases[i].addr) == cases[i].in, "'%s' is %s", cases[i].addr,
		    cases[i].in ? "in" : "out");
	ok(mw_conf_addr_in(&four, "1.2.3.4") && mw_conf_addr_in(&four, "::ffff:1.2.3.4") &&
	    !mw_conf_addr_in(&four, "::1"), "0.0.0.0/0 is IPv4");
	ok(mw_conf_addr_in(&six, "::1") && !mw_conf_addr_in(&six, "1.2.3.4"), "::/0 is IPv6");
	ok(!mw_conf_addr_in(&none, "::1") && !mw_conf_addr_in(&list, NULL), "an empty list, no address");
}

static void
test_state_path(void)
{
	static const struct { const char *text, *path; } cases[] = {
		{ "state: { path = \"/a\"; };", "/a" },
		{ "state={path:\"/a\"}", "/a" },
		{ "http: { path = \"/no\"; };\nstate:\n{\n /* path = \"/no\" */ # path = \"/no\"\n path = \"/a\"; };", "/a" },
		{ "store: { driver = \"dir; };\nstate: { path = \"/a\"; };", "/a" },
		{ "store: {\nstate: { path = \"/a\"; };", "/a" },
		{ "state: { x: { path = \"/no\"; }; path = \"/a\"; };", "/a" },
		{ "} } state: { path = \"/a\"; };", "/a" },
		{ "# state: { path = \"/no\"; };", NULL },
		{ "gateway: { start = \"state: { path = 1\"; };", NULL },
		{ "state: { path = 5; };", NULL },
		{ "state: { path = \"/a", NULL },
		{ "", NULL },
	};
	struct mw_text t;
	char *got;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		mw_err_clear(&err);
		/* Some are so broken that this fails: the text is there nevertheless. */
		if (mw_text_read(&t, put("t.conf", cases[i].text, 0600), &err) != MW_OK)
			printf("# %s\n", err.msg);
		got = mw_text_state_path(&t);
		is_str(got, cases[i].path, "state.path by the words alone");
		free(got);
		mw_text_free(&t);
	}
}

static char sample[65536];

/* Line `n` of the sample, counted from 1; good until the next call. */
static const char *
sample_line(unsigned n)
{
	static char line[1024];
	const char *p = sample;

	while (p != NULL && --n > 0)
		p = (p = strchr(p, '\n')) != NULL ? p + 1 : NULL;
	(void)snprintf(line, sizeof(line), "%.*s", p != NULL ? (int)strcspn(p, "\n") : 0,
	    p != NULL ? p : "");
	return line;
}

/* The comment above a setting states range or words, and the built-in default. */
static void
check_sample_row(const struct mw_load *l, const struct mw_conf *defaults, size_t row)
{
	const struct mw_setting *s = &mw_settings[row];
	char value[256], def[256], want[320], range[64] = "";
	const char *comment;
	size_t n;

	if (!ok(l->origin[row].from == MW_FROM_FILE, "%s is in the sample", s->key))
		return;
	print_row(defaults, s->key, def, sizeof(def));
	print_row(l->conf, s->key, value, sizeof(value));
	/* libconfig's L is not for people. */
	n = strlen(def);
	if (s->type == MW_SET_INT && def[n - 1] == 'L')
		def[n - 1] = '\0';
	(void)snprintf(want, sizeof(want), "Default: %s.", def);
	if (s->type == MW_SET_INT)
		(void)snprintf(range, sizeof(range), " %lld..%lld", (long long)s->min, (long long)s->max);
	else if (s->type == MW_SET_WORD)
		(void)snprintf(range, sizeof(range), "One of %s.", s->words);
	comment = sample_line(l->origin[row].line - 1);
	if (!ok(comment[strspn(comment, "\t")] == '#' && strstr(comment, want) != NULL &&
	    strstr(comment, range) != NULL, "%s: its comment says %s %s", s->key, range, want))
		printf("# %s\n", comment);
	if (strstr(comment, " Example.") == NULL)
		is_str(value, def, s->key);
	else
		ok(strcmp(value, def) != 0, "%s: an example differs", s->key);
}

static void
test_sample(void)
{
	const char *src = getenv("srcdir");
	struct mw_conf *defaults = load_at("/dev/null");
	char path[4096];
	struct mw_load l;
	size_t i;
	int fd;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/etc/moltworker.conf", src != NULL ? src : ".");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, sample, sizeof(sample) - 1);
	need(n > 0 && close(fd) == 0 && defaults != NULL, path);
	mw_err_clear(&err);
	if (!ok(mw_load_read(&l, path, &err) == MW_OK, "the sample is good"))
		printf("# %s\n", err.msg);
	for (i = 0; i < mw_setting_count; i++)
		check_sample_row(&l, defaults, i);
	mw_load_free(&l);
	mw_conf_free(defaults);
}

int
main(void)
{
	begin();
	test_table();
	test_goods();
	test_bads();
	test_drivers();
	test_environment();
	test_include();
	test_files();
	test_show();
	test_addresses();
	test_state_path();
	test_sample();
	return done();
}
