/* SPDX-License-Identifier: BSD-2-Clause */
/* What the drivers behind an HTTP API share: opening, closing, errors by table. */
#include "sandbox/remote/internal.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAID_DEPTH 16

enum mw_code
mw_remote_init(struct mw_remote *r, const struct mw_sandbox_ops *ops,
    const struct mw_remote_ops *own, const struct mw_conf *conf, const char *url,
    struct mw_err *err)
{
	size_t n = strlen(url);

	r->base.ops = ops;
	r->ops = own;
	r->timeout = conf->sandbox.timeout;
	while (n > 0 && url[n - 1] == '/')
		n--;
	r->url = strndup(url, n);
	r->root = strdup(conf->sandbox.root);
	r->run_dir = strdup(conf->sandbox.run_dir);
	if (asprintf(&r->in, "%s%s", own->only_root ? r->root : r->run_dir,
	    own->only_root ? "/.moltworker/in" : "/in") < 0)
		r->in = NULL;
	if (r->url == NULL || r->root == NULL || r->run_dir == NULL || r->in == NULL)
		return mw_fail(err, MW_INTERNAL_ERROR, "out of memory");
	return mw_net_open(&r->net, err);
}

void
mw_remote_free(struct mw_remote *r)
{
	mw_net_close(r->net);
	free(r->url);
	free(r->root);
	free(r->run_dir);
	free(r->in);
}

enum mw_code
mw_remote_enumerate(struct mw_sandbox *s, struct mw_ctx *ctx, mw_user_fn fn, void *arg)
{
	(void)s;
	(void)ctx;
	(void)fn;
	(void)arg;
	return MW_OK;
}

enum mw_code
mw_remote_net_fail(struct mw_ctx *ctx, const struct mw_net_res *res, const char *what)
{
	enum mw_code code;

	if (res->end == MW_NET_TIMEOUT)
		return mw_ctx_fail(ctx, MW_SANDBOX_TIMEOUT,
		    "%s did not answer in time; what was asked may go on", what);
	if (res->end == MW_NET_NO_CONNECT) {
		code = mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE, "%s cannot be reached: %s", what,
		    res->text);
		ctx->err.unsent = true;
		return code;
	}
	return mw_ctx_fail(ctx, MW_SANDBOX_UNREACHABLE, "%s: the answer was lost: %s", what,
	    res->text);
}

const struct mw_remote_error *
mw_remote_classify(const struct mw_remote_error *table, int status, const char *word,
    const char *text)
{
	for (;; table++) {
		if ((table->status == 0 || table->status == status) &&
		    (table->word == NULL || strcmp(table->word, word) == 0) &&
		    (table->text == NULL || strstr(text, table->text) != NULL))
			return table;
	}
}

static void
copy_member(struct json_object *o, const char *name, char *out, size_t size)
{
	struct json_object *v;

	if (json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string))
		(void)snprintf(out, size, "%s", json_object_get_string(v));
}

void
mw_remote_said(const char *json, size_t n, const char *word, const char *text,
    struct mw_remote_said *out)
{
	struct json_tokener *t = json_tokener_new_ex(SAID_DEPTH);
	struct json_object *o = NULL;

	memset(out, 0, sizeof(*out));
	if (t != NULL && n <= INT32_MAX)
		o = json_tokener_parse_ex(t, json, (int)n);
	if (json_object_is_type(o, json_type_object)) {
		copy_member(o, word, out->code, sizeof(out->code));
		copy_member(o, text, out->text, sizeof(out->text));
	}
	json_object_put(o);
	if (t != NULL)
		json_tokener_free(t);
}
