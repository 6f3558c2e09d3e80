/* SPDX-License-Identifier: BSD-2-Clause */
/* What POST exec asks for, and the reader of its body. */
#ifndef MW_OPS_EXEC_REQUEST_H
#define MW_OPS_EXEC_REQUEST_H

#include "app/app.h"
#include "app/fields.h"

struct mw_exec_request {
	const char *user;
	struct mw_buf command, input;	/* owned; freed by mw_exec_request_free */
	bool has_input;
	const char *const *env;		/* as of struct mw_job */
	const char *cwd;
	int64_t timeout, max_wake;	/* ms */
	bool stream, gateway;
	const char *key;
	/* How the client is: asked between steps of waiting, may be NULL. */
	bool (*gone)(void *arg);
	void *arg;
};
void mw_exec_request_free(struct mw_exec_request *r);

/*
 * Read POST exec's body (api: Exec): every member checked, defaults and clamps
 * applied.  MW_INVALID_ARGUMENT names the member.
 */
enum mw_code mw_exec_read(struct mw_req *req, struct mw_exec_request *r) MW_MUST;

/*
 * The same event by event, for a body that holds other things too, which it
 * ignores.  `max`: bytes of a command, of an input.  After finish nothing points
 * into `in`; free it in any case.
 */
struct mw_exec_in {
	struct mw_ctx *ctx;
	const struct mw_conf *conf;
	struct mw_exec_request *r;
	/* private */
	struct mw_fields fields;
	struct mw_buf env;	/* "NAME=value" NUL, and on */
	size_t nenv;
	size_t name_at;		/* where the variable in hand begins in env */
};
void mw_exec_in_init(struct mw_exec_in *in, struct mw_ctx *ctx, const struct mw_conf *conf,
    size_t max, struct mw_exec_request *r);
enum mw_code mw_exec_in_event(void *in, enum mw_json_event ev, const char *text, size_t n,
    unsigned depth) MW_MUST;
enum mw_code mw_exec_in_finish(struct mw_exec_in *in) MW_MUST;
void mw_exec_in_free(struct mw_exec_in *in);

/* Is this a member of the body? */
bool mw_exec_in_knows(const char *name);

#endif
