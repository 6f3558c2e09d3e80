/* SPDX-License-Identifier: BSD-2-Clause */
/* The body of POST exec. */
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ops/exec/exec.h"

#define PIECE (16 * 1024)
#define MAX_WAKE 180000		/* ms; what a client may ask for at most */
#define MIN_TIMEOUT 1000
#define KEY_MAX 255		/* bytes of an idempotency key */
#define DIR_MAX 4096
#define VARIABLES_MAX 4000

enum member {
	OTHER, COMMAND, TIMEOUT, MAX_WAKE_TIME, ENV, WORKING_DIR, STDIN, STREAM, REQUIRE_GATEWAY,
	KEY, MEMBERS
};

enum kind { ANY, TEXT, NUMBER, BOOL, OBJECT };

static const struct {
	const char *name;
	enum kind kind;
	const char *expected;
} members[MEMBERS] = {
	[OTHER] = { "", ANY, "" },
	[COMMAND] = { "command", TEXT, "a string" },
	[TIMEOUT] = { "timeout", NUMBER, "an integer, milliseconds" },
	[MAX_WAKE_TIME] = { "maxWakeTime", NUMBER, "an integer from 0 to 180000, milliseconds" },
	[ENV] = { "env", OBJECT, "an object of strings" },
	[WORKING_DIR] = { "workingDir", TEXT, "a string" },
	[STDIN] = { "stdin", TEXT, "a string" },
	[STREAM] = { "stream", BOOL, "true or false" },
	[REQUIRE_GATEWAY] = { "requireGateway", BOOL, "true or false" },
	[KEY] = { "idempotencyKey", TEXT, "a string of 1 to 255 bytes" },
};

static enum mw_code
wrong_type(struct mw_exec_in *r)
{
	return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "%s: expected %s",
	    members[r->member].name, members[r->member].expected);
}

static enum mw_code
has_nul(struct mw_exec_in *r, const char *name)
{
	return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "%s: holds a NUL byte", name);
}

/* ---- the top object ---- */

static enum mw_code
key(struct mw_exec_in *r, const char *text, size_t n)
{
	size_t i;

	r->member = OTHER;
	for (i = 1; i < MEMBERS; i++) {
		if (strlen(members[i].name) == n && memcmp(members[i].name, text, n) == 0)
			r->member = (unsigned)i;
	}
	if (r->member != OTHER && (r->seen & 1u << r->member) != 0)
		return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "%s: given twice",
		    members[r->member].name);
	r->seen |= 1u << r->member;
	mw_buf_reset(&r->text);
	return MW_OK;
}

static struct mw_buf *
target(struct mw_exec_in *r)
{
	return r->member == COMMAND ? &r->r->command : r->member == STDIN ? &r->r->input : &r->text;
}

static enum mw_code
chunk(struct mw_exec_in *r, const char *text, size_t n)
{
	if (members[r->member].kind != TEXT || mw_buf_add(target(r), text, n))
		return MW_OK;
	if (r->member == COMMAND || r->member == STDIN)
		return mw_ctx_nomem(r->ctx);
	return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "%s: too long",
	    members[r->member].name);
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
take_dir(struct mw_exec_in *r)
{
	if (r->text.len == 0)
		return MW_OK;
	if (strlen(r->text.data) != r->text.len)
		return has_nul(r, "workingDir");
	if (r->text.data[0] != '/' && has_dotdot(r->text.data))
		return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "workingDir: a relative one is "
		    "below the user's directory and has no \"..\"");
	r->r->cwd = mw_arena_dup(r->ctx->arena, r->text.data, r->text.len);
	return r->r->cwd != NULL ? MW_OK : mw_ctx_nomem(r->ctx);
}

static enum mw_code
take_key(struct mw_exec_in *r)
{
	size_t i;

	for (i = 0; i < r->text.len; i++) {
		if ((unsigned char)r->text.data[i] < 0x20 || r->text.data[i] == 0x7f)
			return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT,
			    "idempotencyKey: holds a control byte");
	}
	if (r->text.len == 0 || r->text.len > KEY_MAX)
		return wrong_type(r);
	r->r->key = mw_arena_dup(r->ctx->arena, r->text.data, r->text.len);
	return r->r->key != NULL ? MW_OK : mw_ctx_nomem(r->ctx);
}

static enum mw_code
string_end(struct mw_exec_in *r)
{
	switch (r->member) {
	case COMMAND:
		if (r->r->command.len == 0)
			return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT, "command: is empty");
		return memchr(r->r->command.data, '\0', r->r->command.len) != NULL ?
		    has_nul(r, "command") : MW_OK;
	case STDIN:
		r->r->has_input = true;
		return MW_OK;
	case WORKING_DIR:
		return take_dir(r);
	case KEY:
		return take_key(r);
	default:
		return MW_OK;
	}
}

/* Digits that are more than fit are still a number: it is held to `max`. */
static enum mw_code
take_number(struct mw_exec_in *r, const char *text, size_t n)
{
	bool negative = n > 1 && text[0] == '-';
	int64_t v;

	/* The text ends where n says: there may be digits of something else behind. */
	if (!mw_str_digits(text + negative, n - negative))
		return wrong_type(r);
	if (!mw_str_int(text, n, INT64_MIN, INT64_MAX, &v))
		v = negative ? INT64_MIN : INT64_MAX;
	if (r->member == MAX_WAKE_TIME) {
		if (v < 0)
			return wrong_type(r);
		r->r->max_wake = v > MAX_WAKE ? MAX_WAKE : v;
		return MW_OK;
	}
	r->r->timeout = v;
	return MW_OK;
}

static enum mw_code
take_bool(struct mw_exec_in *r, bool v)
{
	if (r->member == STREAM)
		r->r->stream = v;
	else
		r->r->gateway = v;
	return MW_OK;
}

/* A value begins, or is there: is it of the member's kind?  null = not given. */
static enum mw_code
value(struct mw_exec_in *r, enum mw_json_event ev, const char *text, size_t n)
{
	enum kind kind = members[r->member].kind;

	if (kind == ANY || (ev == MW_JSON_NULL && r->member != COMMAND))
		return MW_OK;
	switch (ev) {
	case MW_JSON_STRING:
		return kind == TEXT ? MW_OK : wrong_type(r);
	case MW_JSON_NUMBER:
		return kind == NUMBER ? take_number(r, text, n) : wrong_type(r);
	case MW_JSON_TRUE:
	case MW_JSON_FALSE:
		return kind == BOOL ? take_bool(r, ev == MW_JSON_TRUE) : wrong_type(r);
	case MW_JSON_OBJECT:
		return kind == OBJECT ? MW_OK : wrong_type(r);
	default:
		return wrong_type(r);
	}
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
	return mw_buf_addc(&r->env, '\0') ? MW_OK : mw_ctx_nomem(r->ctx);
}

static enum mw_code
env_event(struct mw_exec_in *r, enum mw_json_event ev, const char *text, size_t n)
{
	switch (ev) {
	case MW_JSON_KEY:
		return variable(r, text, n);
	case MW_JSON_CHUNK:
		return mw_buf_add(&r->env, text, n) ? MW_OK : mw_ctx_nomem(r->ctx);
	case MW_JSON_STRING_END:
		return variable_end(r);
	case MW_JSON_STRING:
	case MW_JSON_OBJECT_END:
		return MW_OK;
	default:
		return wrong_type(r);
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

enum mw_code
mw_exec_in_event(void *arg, enum mw_json_event ev, const char *text, size_t n, unsigned depth)
{
	struct mw_exec_in *r = arg;

	if (depth == 0)
		return ev == MW_JSON_OBJECT || ev == MW_JSON_OBJECT_END ? MW_OK :
		    mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT,
		    "body: expected a JSON object with the member command");
	if (depth == 2 && r->member == ENV)
		return env_event(r, ev, text, n);
	if (depth != 1)
		return MW_OK;
	switch (ev) {
	case MW_JSON_KEY:
		return key(r, text, n);
	case MW_JSON_CHUNK:
		return chunk(r, text, n);
	case MW_JSON_STRING_END:
		return string_end(r);
	case MW_JSON_OBJECT_END:
	case MW_JSON_ARRAY_END:
		return MW_OK;
	default:
		return value(r, ev, text, n);
	}
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
	mw_buf_init(&r->text, DIR_MAX);
	mw_buf_init(&r->env, 2 * max);
}

enum mw_code
mw_exec_in_finish(struct mw_exec_in *r)
{
	struct mw_exec_request *out = r->r;

	if ((r->seen & 1u << COMMAND) == 0)
		return mw_ctx_fail(r->ctx, MW_INVALID_ARGUMENT,
		    "command: missing; expected a string");
	if (out->timeout < MIN_TIMEOUT)
		out->timeout = MIN_TIMEOUT;
	if (out->timeout > r->conf->exec.max_timeout)
		out->timeout = r->conf->exec.max_timeout;
	return list_env(r);
}

void
mw_exec_in_free(struct mw_exec_in *r)
{
	mw_buf_free(&r->text);
	mw_buf_free(&r->env);
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
	size_t i;

	for (i = 1; i < MEMBERS; i++) {
		if (strcmp(members[i].name, name) == 0)
			return true;
	}
	return false;
}
