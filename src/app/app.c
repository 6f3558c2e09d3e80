/* SPDX-License-Identifier: BSD-2-Clause */
/* One process of the product: what is opened once, kept, and opened anew by a new configuration. */
#include "app/app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "app/workers.h"
#include "state/metrics.h"

static void
open_log(const char *name, const struct mw_conf *conf)
{
	enum mw_log_level level = MW_INFO;

	(void)mw_log_level(conf->log.level, &level);
	if (!mw_log_open(name, conf->log.file, level, strcmp(conf->log.format, "json") == 0))
		mw_log(MW_ERROR, "log.file %s cannot be opened: %s",
		    conf->log.file, strerror(errno));
}

/* ---- who is awake, as the drivers tell and ask ---- */

static bool
awake_known(void *arg, const char *user, int64_t ttl)
{
	int64_t at = atomic_load(&mw_shm_user(arg, user)->answered);

	return at != 0 && mw_now() - at < ttl;
}

static void
awake_told(void *arg, const char *user, bool awake)
{
	atomic_store(&mw_shm_user(arg, user)->answered, awake ? mw_now() : 0);
}

enum mw_code
mw_app_open_sandbox(const struct mw_app *a, struct mw_sandbox **sp, struct mw_err *err)
{
	enum mw_code code = mw_sandbox_open(a->conf, sp, err);

	if (code == MW_OK)
		(*sp)->awake = &a->awake;
	return code;
}

/* The state directory: its last component is made, the rest must be there. */
static enum mw_code
make_state(struct mw_app *a, struct mw_err *err)
{
	const char *path = a->conf->state.path;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return mw_fail(err, MW_INTERNAL_ERROR,
		    "state.path %s cannot be made: %s", path, strerror(errno));
	a->state_path = strdup(path);
	if (asprintf(&a->lock_path, "%s/locks", path) < 0)
		a->lock_path = NULL;
	if (a->state_path == NULL || a->lock_path == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	return MW_OK;
}

/* Without digests nobody is let in. */
static void
digest_secrets(struct mw_app *a, const struct mw_secret *s)
{
	a->has_first = mw_sha256(s->line[0], strlen(s->line[0]), "", 0, a->digest[0]);
	a->has_second = s->line[1][0] != '\0' &&
	    mw_sha256(s->line[1], strlen(s->line[1]), "", 0, a->digest[1]);
}

/* Without the file this process counts for itself: nothing that a request needs. */
static void
count_from_here(const struct mw_app *a)
{
	struct mw_err err = { .code = MW_OK };

	if (mw_metrics_open(a->state_path, &err) != MW_OK)
		mw_log(MW_ERROR, "metrics are counted by this process alone: %s", err.msg);
}

enum mw_code
mw_app_open(const char *name, struct mw_app **ap, struct mw_err *err)
{
	enum mw_code code;
	struct mw_app *a;

	*ap = NULL;
	if ((a = calloc(1, sizeof(*a))) == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	a->name = name;
	a->spool_dir = -1;
	a->file_op = -1;
	if ((code = mw_conf_watch_open(NULL, &a->watch, err)) != MW_OK)
		goto out;
	a->conf = mw_conf_watch_get(a->watch);
	open_log(name, a->conf);
	if ((code = mw_secret_watch_open(a->conf->auth.secret_file, &a->secret, err)) != MW_OK ||
	    (code = make_state(a, err)) != MW_OK ||
	    (code = mw_shm_open(a->state_path, &a->shm, err)) != MW_OK ||
	    (code = mw_spool_dir(a->state_path, &a->spool_dir, err)) != MW_OK ||
	    (code = mw_outbox_open(a->state_path, a->shm, a->conf->outbox.max_bytes,
	    &a->outbox, err)) != MW_OK ||
	    (code = mw_process_db_open(a->state_path, &a->processes, err)) != MW_OK)
		goto out;
	count_from_here(a);
	digest_secrets(a, mw_secret_watch_get(a->secret, &a->secret_gen));
	a->awake = (struct mw_awake){ .known = awake_known, .told = awake_told, .arg = a->shm };
	if (mw_store_open(a->conf, &a->store, &a->store_err) != MW_OK)
		mw_log(MW_ERROR, "store: %s", a->store_err.msg);
	if (mw_app_open_sandbox(a, &a->sandbox, &a->sandbox_err) != MW_OK)
		mw_log(MW_ERROR, "sandbox: %s", a->sandbox_err.msg);
	*ap = a;
	return MW_OK;
out:
	mw_app_close(a);
	return code;
}

void
mw_app_close(struct mw_app *a)
{
	if (a == NULL)
		return;
	mw_workers_forget(a);
	mw_sandbox_close(a->sandbox);
	mw_store_close(a->store);
	mw_process_db_close(a->processes);
	mw_outbox_close(a->outbox);
	if (a->spool_dir >= 0)
		(void)close(a->spool_dir);
	mw_shm_close(a->shm);
	mw_metrics_close();
	mw_secret_watch_close(a->secret);
	mw_conf_watch_close(a->watch);
	free(a->lock_path);
	free(a->state_path);
	free(a);
}

enum mw_code
mw_app_store(struct mw_app *a, struct mw_ctx *ctx, struct mw_store **s)
{
	if ((*s = a->store) == NULL)
		return mw_ctx_fail(ctx, a->store_err.code, "%s", a->store_err.msg);
	return MW_OK;
}

enum mw_code
mw_app_sandbox(struct mw_app *a, struct mw_ctx *ctx, struct mw_sandbox **s)
{
	if ((*s = a->sandbox) == NULL)
		return mw_ctx_fail(ctx, a->sandbox_err.code, "%s", a->sandbox_err.msg);
	return MW_OK;
}

/* A changed configuration: what was opened by the old one is opened anew. */
static void
reopen(struct mw_app *a)
{
	open_log(a->name, a->conf);
	mw_outbox_limit(a->outbox, a->conf->outbox.max_bytes);
	mw_secret_watch_close(a->secret);
	mw_workers_forget(a);
	mw_sandbox_close(a->sandbox);
	mw_store_close(a->store);
	a->secret = NULL;
	a->sandbox = NULL;
	a->store = NULL;
	mw_err_clear(&a->store_err);
	mw_err_clear(&a->sandbox_err);
	if (mw_store_open(a->conf, &a->store, &a->store_err) != MW_OK)
		mw_log(MW_ERROR, "store: %s", a->store_err.msg);
	if (mw_app_open_sandbox(a, &a->sandbox, &a->sandbox_err) != MW_OK)
		mw_log(MW_ERROR, "sandbox: %s", a->sandbox_err.msg);
}

/* A store or sandbox that could not be opened may be mended meanwhile. */
static void
retry_open(struct mw_app *a)
{
	struct mw_err err;

	mw_err_clear(&err);
	if (a->store == NULL && mw_store_open(a->conf, &a->store, &err) != MW_OK)
		a->store_err = err;
	mw_err_clear(&err);
	if (a->sandbox == NULL && mw_app_open_sandbox(a, &a->sandbox, &err) != MW_OK)
		a->sandbox_err = err;
}

/* The secret of the file in force; the last good one stays while it cannot be read. */
static void
refresh_secret(struct mw_app *a)
{
	const struct mw_secret *secret;
	struct mw_err err = { .code = MW_OK };
	unsigned gen;

	if (a->secret == NULL) {
		if (mw_secret_watch_open(a->conf->auth.secret_file, &a->secret, &err) != MW_OK)
			mw_log(MW_ERROR, "auth.secret_file: %s; the last good secret stays", err.msg);
		else
			a->secret_gen = 0;
	}
	if (a->secret == NULL)
		return;
	secret = mw_secret_watch_get(a->secret, &gen);
	if (gen != a->secret_gen) {
		digest_secrets(a, secret);
		a->secret_gen = gen;
	}
}

void
mw_app_refresh(struct mw_app *a)
{
	const struct mw_conf *conf = mw_conf_watch_get(a->watch);

	if (conf != a->conf) {
		a->conf = conf;
		reopen(a);
	} else {
		retry_open(a);
	}
	refresh_secret(a);
}
