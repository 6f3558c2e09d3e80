/* SPDX-License-Identifier: BSD-2-Clause */
/* What POST bulk/... asks for, and the reader of its body. */
#ifndef MW_OPS_FLEET_BULK_REQUEST_H
#define MW_OPS_FLEET_BULK_REQUEST_H

#include "app/fields.h"
#include "app/workers.h"
#include "ops/exec/request.h"
#include "ops/sync/sync.h"

#define MW_FLEET_USERS_MAX 10000

enum mw_fleet_op {
	MW_FLEET_WAKE, MW_FLEET_RESTART, MW_FLEET_EXEC, MW_FLEET_SYNC, MW_FLEET_CONFIG
};
extern const char *const mw_fleet_words[];	/* "wake", ..., "config-patch" */

struct mw_fleet_request {
	enum mw_fleet_op op;
	bool all;			/* everybody: user and n are the caller's to fill in */
	const char **user;		/* n of them, each once; arena */
	size_t n;
	int64_t concurrency;
	int64_t max_wake;		/* ms; not of exec, which has its own */

	bool wait;			/* wake */
	bool sync;			/* restart */
	bool force;			/* restart, sync, config-patch */
	enum mw_direction direction;	/* sync */
	bool remove, dry_run;		/* restart, sync; sync */
	struct mw_exec_request exec;	/* exec: without user; key is the request's own */
	struct mw_buf patch;		/* config-patch: a JSON object, as it was sent */
};
void mw_fleet_request_free(struct mw_fleet_request *f);

/*
 * Reads it from its JSON, piece by piece; every member is checked.  A bad one fails
 * with MW_INVALID_ARGUMENT and a text that names it; of a user's row with
 * "userIds[INDEX]: ...", MW_INVALID_USER_ID if it is no user id; more users than
 * MW_FLEET_USERS_MAX with MW_TOO_MANY_OPERATIONS.
 */
struct mw_fleet_in {
	struct mw_fleet_request *f;
	struct mw_ctx *ctx;

	/* of a failure: the row, -1 = none, and its member, NULL = another one */
	int64_t row;
	const char *field;

	/* private */
	struct mw_json json;
	struct mw_exec_in exec;
	struct mw_fields fields;
	size_t room;			/* of f->user */
	int64_t patch_from, patch_to;	/* offsets in the body; -1 = not seen yet */
	size_t len;			/* of text */
	char text[MW_USER_MAX + 2];
};

/* `max`: bytes of a body.  Free `f` and `in` in any case. */
void mw_fleet_in_init(struct mw_fleet_in *in, struct mw_fleet_request *f, enum mw_fleet_op op,
    struct mw_ctx *ctx, const struct mw_conf *conf, size_t max);
enum mw_code mw_fleet_in_feed(struct mw_fleet_in *in, const char *p, size_t n) MW_MUST;
enum mw_code mw_fleet_in_finish(struct mw_fleet_in *in) MW_MUST;
void mw_fleet_in_free(struct mw_fleet_in *in);

/* A parameter of the query.  One that is a member of the body is refused, and named. */
enum mw_code mw_fleet_in_query(struct mw_fleet_in *in, const char *name) MW_MUST;

#endif
