/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The S3 driver against a real server: the one of tests/peers/swift-s3.py, of
 * tests/peers/radosgw.sh, or any other.  Wants in the environment
 *   MW_TEST_S3_ENDPOINT    http://127.0.0.1:PORT
 *   MW_TEST_S3_BUCKET      made if it is not there; keys below suite/ are used
 *   MW_TEST_S3_KEY         access key id
 *   MW_TEST_S3_SECRETFILE  file with the secret key, mode 0600
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "store/s3.h"
#include "store_suite.h"

static struct mw_conf conf;
static char dir[] = "/tmp/mw-test-s3.XXXXXX";

/* Keys that only an object store can hold. */
static const char *const more_keys[] = {
	"//double", "slash/", "a/./b", "a/../b", "./a", "../a", ".", "..", "a//b", "a/..",
};

static struct mw_store *
open_store(void)
{
	struct mw_err err = { 0 };
	struct mw_store *s;

	if (mw_store_open(&conf, &s, &err) != MW_OK) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return s;
}

static void
make_bucket(void)
{
	struct mw_store *s = open_store();
	struct mw_s3_req r = { .method = "PUT" };
	enum mw_code code;

	fresh();
	if (s->ops->ping(s, &ctx) != MW_OK) {
		fresh();
		mw_s3_begin((struct mw_s3 *)s);
		code = mw_s3_call((struct mw_s3 *)s, &ctx, &r);
		ok(code == MW_OK, "the bucket is made");
		if (code != MW_OK)
			printf("# %s\n", r.err.msg);
	}
	mw_store_close(s);
}

static char *
secret_file(const char *name, const char *text)
{
	static char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) == -1)
		abort();
	return path;
}

/* Refused for good is neither a miss nor a passing failure. */
static void
refused(const char *what)
{
	struct mw_list_req req = { P, true, NULL, 1 };
	struct mw_store *s = open_store();
	struct got g;
	struct rows r;
	bool more;

	st = s;
	is_code(get(P "x", NULL, &g, NULL), MW_STORE_ERROR, what);
	mw_buf_free(&g.body);
	is_code(put_text(P "x", "x"), MW_STORE_ERROR, what);
	is_code(list(&req, &r, &more), MW_STORE_ERROR, what);
	mw_buf_free(&r.text);
	fresh();
	is_code(s->ops->ping(s, &ctx), MW_STORE_ERROR, what);
	ok(strstr(ctx.err.msg, "store.s3") != NULL, "%s: the message names a setting", what);
	fresh();
	is_code(s->ops->remove(s, &ctx, P "x"), MW_STORE_ERROR, what);
	mw_store_close(s);
}

static void
test_refused(void)
{
	struct mw_conf good = conf;

	conf.store.s3.bucket = (char []){ "no-such-bucket-here" };
	refused("no such bucket");
	conf = good;
	conf.store.s3.secret_key_file = secret_file("wrong", "not the secret\n");
	refused("a wrong secret");
	(void)unlink(conf.store.s3.secret_key_file);
	conf = good;
	conf.store.s3.access_key_id = (char []){ "test:nobody" };
	refused("an unknown key id");
	conf = good;
}

static void
test_unreachable(void)
{
	struct mw_conf good = conf;
	struct mw_object obj;

	conf.store.s3.endpoint = (char []){ "http://127.0.0.1:1" };
	st = open_store();
	fresh();
	is_code(st->ops->head(st, &ctx, P "x", &obj), MW_STORE_UNAVAILABLE, "nobody listens");
	mw_store_close(st);
	conf = good;
}

int
main(void)
{
	static char none[] = "";
	const char *endpoint = getenv("MW_TEST_S3_ENDPOINT");
	const char *bucket = getenv("MW_TEST_S3_BUCKET");
	const char *key = getenv("MW_TEST_S3_KEY"), *secret = getenv("MW_TEST_S3_SECRETFILE");
	struct mw_store *s;

	if (endpoint == NULL || bucket == NULL || key == NULL || secret == NULL) {
		printf("1..0 # SKIP no S3 peer given (MW_TEST_S3_ENDPOINT, _BUCKET, _KEY, _SECRETFILE)\n");
		return 0;
	}
	if (mkdtemp(dir) == NULL)
		return 1;
	conf.store.driver = (char []){ "s3" };
	conf.store.timeout = 30000;
	conf.store.s3.endpoint = strdup(endpoint);
	conf.store.s3.bucket = strdup(bucket);
	conf.store.s3.region = (char []){ "auto" };
	conf.store.s3.access_key_id = strdup(key);
	conf.store.s3.secret_key_file = strdup(secret);
	conf.store.s3.path_style = true;
	conf.store.s3.ca_file = none;
	make_bucket();
	test_refused();
	test_unreachable();
	s = open_store();
	suite(s, more_keys, sizeof(more_keys) / sizeof(more_keys[0]));
	mw_store_close(s);
	free(conf.store.s3.endpoint);
	free(conf.store.s3.bucket);
	free(conf.store.s3.access_key_id);
	free(conf.store.s3.secret_key_file);
	if (rmdir(dir) == -1)
		return 1;
	return done();
}
