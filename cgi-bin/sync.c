/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync.fcgi: how a user's sandbox and R2 stand, and bringing one to the other's
 * content.  Each handler reads like its paragraph of the API manual.
 */
#include <json.h>
#include <string.h>

#include "base/clock.h"
#include "app/responder.h"
#include "ops/sync/sync.h"
#include "ops/sync/answer.h"

#define MAX_WAKE 180000			/* ms; what a client may ask for at most */

static void
add_int(struct json_object *o, const char *name, int64_t value)
{
	json_object_object_add(o, name, json_object_new_int64(value));
}

static void
add_text(struct json_object *o, const char *name, const char *value)
{
	json_object_object_add(o, name, value != NULL ? json_object_new_string(value) : NULL);
}

/* ---- GET …/r2-status ---- */

/* {"pending","parked","bytes","oldestSeconds"} of this user. */
static enum mw_code
add_outbox(struct mw_req *req, struct json_object *o)
{
	struct json_object *box;
	struct mw_outbox_stat st;
	enum mw_code code;
	int64_t age;

	if ((code = mw_outbox_stat(req->app->outbox, &req->ctx, req->user, &st)) != MW_OK)
		return code;
	age = st.oldest > 0 ? (mw_wall() - st.oldest) / 1000 : 0;
	box = json_object_new_object();
	add_int(box, "pending", st.pending);
	add_int(box, "parked", st.parked);
	add_int(box, "bytes", st.bytes);
	add_int(box, "oldestSeconds", age > 0 ? age : 0);
	json_object_object_add(o, "outbox", box);
	return MW_OK;
}

/* {"changed","unknown","onlyInR2","newerInR2","waiting"}, or null. */
static void
add_differences(struct json_object *o, const struct mw_sync_status *st)
{
	struct json_object *d = NULL;

	if (st->compared) {
		d = json_object_new_object();
		add_int(d, "changed", st->changed);
		add_int(d, "unknown", st->unknown);
		add_int(d, "onlyInR2", st->only_in_r2);
		add_int(d, "newerInR2", st->newer_in_r2);
		add_int(d, "waiting", st->waiting);
	}
	json_object_object_add(o, "differences", d);
	if (st->not_compared != NULL)
		add_text(o, "differencesError", st->not_compared);
}

/* What we wrote last, if it is still a document. */
static struct json_object *
last_sync(const char *text)
{
	struct json_object *o = text != NULL ? json_tokener_parse(text) : NULL;

	if (o != NULL && !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = NULL;
	}
	return o;
}

static enum mw_code
get_status(struct mw_req *req)
{
	struct mw_sync_status st;
	struct json_object *o;
	enum mw_code code;

	mw_app_deadline(req, 0, req->app->conf->store.timeout + req->app->conf->sandbox.timeout);
	req->touched = true;
	if ((code = mw_sync_status(req->app, &req->ctx, req->user, &st)) != MW_OK)
		return code;
	o = json_object_new_object();
	add_text(o, "userId", req->user);
	add_int(o, "objects", st.objects);
	add_int(o, "bytes", st.bytes);
	json_object_object_add(o, "lastSync", last_sync(st.last_sync));
	if ((code = add_outbox(req, o)) != MW_OK) {
		json_object_put(o);
		return code;
	}
	add_differences(o, &st);
	add_text(o, "timestamp", mw_req_time(req, mw_wall()));
	return mw_res_json(req, 200, o);
}

/* ---- POST …/sync ---- */

static enum mw_code
send_result(struct mw_req *req, const struct mw_sync *s, int64_t began)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "userId", req->user);
	mw_sync_add_result(o, req->ctx.arena, s);
	add_int(o, "durationMs", mw_now() - began);
	add_text(o, "timestamp", mw_req_time(req, mw_wall()));
	return mw_res_json(req, 200, o);
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
