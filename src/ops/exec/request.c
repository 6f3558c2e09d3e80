/* SPDX-License-Identifier: BSD-2-Clause */
/* The body of POST exec. */
#include "ops/exec/request.h"

#include <string.h>

#include "app/responder.h"

#define PIECE (16 * 1024)
#define MIN_TIMEOUT 1000
#define KEY_MAX 255		/* bytes of an idempotency key */
#define VARIABLES_MAX 4000
/* What Linux takes: bytes of one string with its NUL, and of all strings and pointers. */
#define STRING_MAX (128 * 1024)
#define STRINGS_MAX (2 * 1024 * 1024 - STRING_MAX)	/* the rest is for the sandbox's own */

static enum mw_code
has_nul(struct mw_fields *f)
{
	return mw_fields_bad(f, f->field, MW_INVALID_ARGUMENT, "holds a NUL byte");
}

static enum mw_code
take_command(struct mw_fields *f)
{
	const struct mw_exec_in *r = f->arg;

	if (r->r->command.len == 0)
		return mw_fields_bad(f, f->field, MW_INVALID_ARGUMENT, "is empty");
	return memchr(r->r->command.data, '\0', r->r->command.len) != NULL ? has_nul(f) : MW_OK;
}

static enum mw_code
take_input(struct mw_fields *f)
{
	const struct mw_exec_in *r = f->arg;

	r->r->has_input = true;
	return MW_OK;
}

static bool
has_dotdot(const char *s)
{
	size_t n;

	for (;; s += n + 1) {
		n = strcspn(s, "/");
		if (n == 2 && memcmp(s, "..", 2) == 0)
			return true;
		if (s[n] == '\0')
			return false;
	}
}

static enum mw_code
take_dir(struct mw_fields *f)
{
	const struct mw_exec_in *r = f->arg;

	if (f->len == 0)
		return MW_OK;
	if (strlen(f->text) != f->len)
		return has_nul(f);
	if (f->text[0] != '/' && has_dotdot(f->text))
		return mw_fields_bad(f, f->field, MW_INVALID_ARGUMENT, "a relative one is "
		    "below the user's directory and has no \"..\"");
	r->r->cwd = mw_arena_dup(r->ctx->arena, f->text, f->len);
	return r->r->cwd != NULL ? MW_OK : mw_ctx_nomem(r->ctx);
}

static enum mw_code
take_key(struct mw_fields *f)
{
	const struct mw_exec_in *r = f->arg;
	size_t i;

	for (i = 0; i < f->len; i++) {
		if ((unsigned char)f->text[i] < 0x20 || f->text[i] == 0x7f)
			return mw_fields_bad(f, f->field, MW_INVALID_ARGUMENT, "holds a control byte");
	}
	if (f->len == 0 || f->len > KEY_MAX)
		return mw_fields_wrong(f, f->field, "");
	r->r->key = mw_arena_dup(r->ctx->arena, f->text, f->len);
	return r->r->key != NULL ? MW_OK : mw_ctx_nomem(r->ctx);
}

/* ---- env ---- */

/* As the shell has names; what it keeps for itself cannot be given. */
static bool
good_name(const char *s, size_t n)
{
	static const char *const own[] = { "BASHOPTS", "BASH_VERSINFO", "EUID", "PPID",
	    "SHELLOPTS", "UID", "OPTIND", "IFS" };
	size_t i;

	if (n == 0 || n >= MW_JSON_KEY_MAX || (s[0] >= '0' && s[0] <= '9'))
		return false;
	for (i = 0; i < n; i++) {
		if (!((s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= 'a' && s[i] <= 'z') ||
		    (s[i] >= '0' && s[i] <= '9') || s[i] == '_'))
			return false;
	}
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (strlen(own[i]) == n && memcmp(own[i], s, n) == 0)
			return false;
	}
	return true;
}

static enum mw_code
variable(struct mw_exec_in *r, const char *text, size_t n)
{
	if (!good_name(text, n))
		return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "env: %.*s is no name that a "
		    "shell can give to a variable", n > 80 ? 80 : (int)n, text);
	if (++r->nenv > VARIABLES_MAX)
		return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "env: more than %d variables",
		    VARIABLES_MAX);
	r->name_at = r->env.len;
	return mw_buf_add(&r->env, text, n) && mw_buf_addc(&r->env, '=') ? MW_OK :
	    mw_ctx_nomem(r->ctx);
}

static enum mw_code
variable_end(struct mw_exec_in *r)
{
	const char *entry = r->env.data + r->name_at;

	if (strlen(entry) != r->env.len - r->name_at)
		return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "env: %.*s holds a NUL byte",
		    (int)strcspn(entry, "="), entry);
	if (r->env.len - r->name_at >= STRING_MAX)
		return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "env: %.*s has more than the %d "
		    "bytes that a system takes for one variable, name and value",
		    (int)strcspn(entry, "="), entry, STRING_MAX - 2);
	if (r->env.len + r->nenv * sizeof(char *) >= STRINGS_MAX)
		return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "env: all variables together have "
		    "more than the %d bytes that a system takes", STRINGS_MAX);
	return mw_buf_addc(&r->env, '\0') ? MW_OK : mw_ctx_nomem(r->ctx);
}

static enum mw_code
take_env(struct mw_fields *f, enum mw_json_event ev, const char *text, size_t n, unsigned depth)
{
	struct mw_exec_in *r = f->arg;

	if (depth == 0)
		return ev == MW_JSON_OBJECT || ev == MW_JSON_OBJECT_END ? MW_OK :
		    mw_fields_wrong(f, f->field, "");
	switch (ev) {
	case MW_JSON_KEY:
		return variable(r, text, n);
	case MW_JSON_CHUNK:
		return mw_buf_add(&r->env, text, n) ? MW_OK : mw_ctx_nomem(r->ctx);
	case MW_JSON_STRING_END:
		return variable_end(r);
	case MW_JSON_STRING:
		return MW_OK;
	default:
		return mw_fields_wrong(f, f->field, "");
	}
}

static enum mw_code
list_env(struct mw_exec_in *r)
{
	struct mw_arena *a = r->ctx->arena;
	const char **list, *s;
	size_t i;

	if (r->nenv == 0)
		return MW_OK;
	s = mw_arena_dup(a, r->env.data, r->env.len);
	list = mw_arena_alloc(a, (r->nenv + 1) * sizeof(*list));
	if (s == NULL || list == NULL)
		return mw_ctx_nomem(r->ctx);
	for (i = 0; i < r->nenv; i++, s += strlen(s) + 1)
		list[i] = s;
	r->r->env = list;
	return MW_OK;
}

/* ---- the document ---- */

#define AT(member) offsetof(struct mw_exec_request, member)

static const struct mw_field members[] = {
	{ .name = "command", .expected = "a string", .kind = MW_FIELD_TEXT, .at = AT(command),
	    .done = take_command },
	{ .name = "timeout", .expected = "an integer, milliseconds", .kind = MW_FIELD_INT,
	    .at = AT(timeout), .min = INT64_MIN, .max = INT64_MAX, .null = true },
	{ .name = "maxWakeTime", .expected = MW_EXPECTED_MAX_WAKE, .kind = MW_FIELD_INT,
	    .at = AT(max_wake), .max = MW_MAX_WAKE, .cap = true, .null = true },
	{ .name = "env", .expected = "an object of strings", .kind = MW_FIELD_OWN,
	    .event = take_env, .null = true },
	{ .name = "workingDir", .expected = "a string", .kind = MW_FIELD_STRING, .done = take_dir,
	    .null = true },
	{ .name = "stdin", .expected = "a string", .kind = MW_FIELD_TEXT, .at = AT(input),
	    .done = take_input, .null = true },
	{ .name = "stream", .expected = "true or false", .kind = MW_FIELD_BOOL, .at = AT(stream),
	    .null = true },
	{ .name = "requireGateway", .expected = "true or false", .kind = MW_FIELD_BOOL,
	    .at = AT(gateway), .null = true },
	{ .name = "idempotencyKey", .expected = "a string of 1 to 255 bytes",
	    .kind = MW_FIELD_STRING, .done = take_key, .null = true },
	{ .name = NULL }
};

enum mw_code
mw_exec_in_event(void *in, enum mw_json_event ev, const char *text, size_t n, unsigned depth)
{
	struct mw_exec_in *r = in;

	return mw_fields_event(&r->fields, ev, text, n, depth);
}

void
mw_exec_in_init(struct mw_exec_in *r, struct mw_ctx *ctx, const struct mw_conf *conf, size_t max,
    struct mw_exec_request *out)
{
	memset(r, 0, sizeof(*r));
	r->ctx = ctx;
	r->conf = conf;
	r->r = out;
	*out = (struct mw_exec_request){ .gateway = true,
	    .timeout = conf->exec.default_timeout, .max_wake = conf->wake.max_wait };
	mw_buf_init(&out->command, max);
	mw_buf_init(&out->input, max);
	mw_buf_init(&r->env, 2 * max);
	mw_fields_init(&r->fields, members, out, &ctx->err);
	r->fields.arg = r;
}

enum mw_code
mw_exec_in_finish(struct mw_exec_in *r)
{
	struct mw_exec_request *out = r->r;
	enum mw_code code;

	if ((code = mw_fields_need(&r->fields, &members[0])) != MW_OK)
		return code;
	if (out->timeout < MIN_TIMEOUT)
		out->timeout = MIN_TIMEOUT;
	if (out->timeout > r->conf->exec.max_timeout)
		out->timeout = r->conf->exec.max_timeout;
	return list_env(r);
}

void
mw_exec_in_free(struct mw_exec_in *r)
{
	mw_buf_free(&r->env);
}

void
mw_exec_request_free(struct mw_exec_request *r)
{
	mw_buf_free(&r->command);
	mw_buf_free(&r->input);
}

static enum mw_code
feed(struct mw_req *req, struct mw_exec_in *r)
{
	struct mw_json json;
	char piece[PIECE];
	enum mw_code code;
	size_t n;

	mw_json_init(&json, mw_exec_in_event, r);
	do {
		if ((code = mw_req_read(req, piece, sizeof(piece), &n)) != MW_OK ||
		    (n > 0 && (code = mw_json_feed(&json, piece, n, &req->ctx.err)) != MW_OK))
			return code;
	} while (n > 0);
	return mw_json_finish(&json, &req->ctx.err);
}

enum mw_code
mw_exec_read(struct mw_req *req, struct mw_exec_request *out)
{
	struct mw_exec_in r;
	enum mw_code code;

	mw_exec_in_init(&r, &req->ctx, req->app->conf, (size_t)req->max_body, out);
	out->user = req->user;
	if ((code = feed(req, &r)) == MW_OK)
		code = mw_exec_in_finish(&r);
	mw_exec_in_free(&r);
	return code;
}

bool
mw_exec_in_knows(const char *name)
{
	return mw_field_find(members, 0, name, strlen(name)) != NULL;
}
