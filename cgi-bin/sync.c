/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync.fcgi: how a user's sandbox and R2 stand, and bringing one to the other's
 * content.  Each handler reads like its paragraph of the API manual.
 */
#include <json.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "app/responder.h"
#include "ops/sync/sync.h"
#include "ops/sync/answer.h"

#define MAX_WAKE 180000			/* ms; what a client may ask for at most */

/* ---- GET …/r2-status ---- */

/* {"pending","parked","bytes","oldestSeconds"} of this user. */
static enum mw_code
add_outbox(struct mw_req *req, struct mw_buf *b)
{
	struct mw_outbox_stat st;
	enum mw_code code;
	int64_t age;

	if ((code = mw_outbox_stat(req->app->outbox, &req->ctx, req->user, &st)) != MW_OK)
		return code;
	age = st.oldest > 0 ? (mw_wall() - st.oldest) / 1000 : 0;
	(void)mw_json_open(b, "outbox", '{');
	(void)mw_json_add_int(b, "pending", st.pending);
	(void)mw_json_add_int(b, "parked", st.parked);
	(void)mw_json_add_int(b, "bytes", st.bytes);
	(void)mw_json_add_int(b, "oldestSeconds", age > 0 ? age : 0);
	(void)mw_json_close(b, '}');
	return MW_OK;
}

/* {"changed","unknown","onlyInR2","newerInR2","waiting"}, or null. */
static void
add_differences(struct mw_buf *b, const struct mw_sync_status *st)
{
	if (st->compared) {
		(void)mw_json_open(b, "differences", '{');
		(void)mw_json_add_int(b, "changed", st->changed);
		(void)mw_json_add_int(b, "unknown", st->unknown);
		(void)mw_json_add_int(b, "onlyInR2", st->only_in_r2);
		(void)mw_json_add_int(b, "newerInR2", st->newer_in_r2);
		(void)mw_json_add_int(b, "waiting", st->waiting);
		(void)mw_json_close(b, '}');
	} else {
		(void)mw_json_add(b, "differences", NULL);
	}
	if (st->not_compared != NULL)
		(void)mw_json_add(b, "differencesError", st->not_compared);
}

/* What we wrote last, if it is still a document. */
static void
add_last_sync(struct mw_buf *b, const char *text)
{
	struct json_object *o = text != NULL ? json_tokener_parse(text) : NULL;

	(void)mw_json_add_raw(b, "lastSync", json_object_is_type(o, json_type_object) ?
	    json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE) : "null");
	json_object_put(o);
}

static enum mw_code
get_status(struct mw_req *req)
{
	struct mw_sync_status st;
	struct mw_buf b;
	enum mw_code code;

	mw_app_deadline(req, 0, req->app->conf->store.timeout + req->app->conf->sandbox.timeout);
	req->touched = true;
	if ((code = mw_sync_status(req->app, &req->ctx, req->user, &st)) != MW_OK)
		return code;
	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	(void)mw_json_add_int(&b, "objects", st.objects);
	(void)mw_json_add_int(&b, "bytes", st.bytes);
	add_last_sync(&b, st.last_sync);
	if ((code = add_outbox(req, &b)) != MW_OK) {
		mw_buf_free(&b);
		return code;
	}
	add_differences(&b, &st);
	mw_sync_add_missing(&b, req->app, &req->ctx, req->user);
	return mw_res_object(req, 200, &b);
}

/* ---- POST …/sync ---- */

static enum mw_code
send_result(struct mw_req *req, const struct mw_sync *s, int64_t began)
{
	struct mw_buf b;

	mw_res_open(&b);
	(void)mw_json_add(&b, "userId", req->user);
	mw_sync_add_result(&b, req->ctx.arena, s);
	(void)mw_json_add_int(&b, "durationMs", mw_now() - began);
	return mw_res_object(req, 200, &b);
}

static enum mw_code
post_sync(struct mw_req *req)
{
	struct mw_sync s = { .user = req->user, .max_wake = req->app->conf->wake.max_wait };
	int direction = MW_BACKUP;
	int64_t began = mw_now();
	enum mw_code code;

	if ((code = mw_req_query_choice(req, "direction", mw_direction_words, &direction)) != MW_OK ||
	    (code = mw_req_query_bool(req, "delete", &s.remove)) != MW_OK ||
	    (code = mw_req_query_bool(req, "dryRun", &s.dry_run)) != MW_OK ||
	    (code = mw_req_query_bool(req, "force", &s.force)) != MW_OK ||
	    (code = mw_req_query_bool(req, "verify", &s.verify)) != MW_OK ||
	    (code = mw_req_query_int(req, "maxWakeTime", 0, MAX_WAKE, true, &s.max_wake)) != MW_OK)
		return code;
	s.direction = (enum mw_direction)direction;
	mw_app_deadline(req, s.max_wake, req->app->conf->sync.timeout);
	req->touched = true;
	if ((code = mw_sync(req->app, &req->ctx, &s)) != MW_OK)
		return code;
	return send_result(req, &s, began);
}

static const struct mw_route routes[] = {
	{ "/api/super/users/{user}/r2-status", MW_GET | MW_HEAD, 0, get_status },
	{ "/api/super/users/{user}/sync", MW_POST, 0, post_sync },
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("sync", routes);
}
