/* SPDX-License-Identifier: BSD-2-Clause */
/* The readiness probe and the marker: what is asked of a sandbox, and what it answers. */
#include "ops/ready/probe.h"

#include <stdio.h>
#include <string.h>

#include "app/script.h"
#include "base/clock.h"
#include "base/str.h"

#define GENERATION_MAX 99999999	/* as many digits as the script takes */
#define EACH_MIN 200		/* ms that a probe command has at least */
#define NAPS_MAX 2048		/* bytes of the list of naps */

static const char probe_script[] =
#include "ops/ready/probe.sh.h"
;

/* The claim becomes the marker, which is whole or absent; also if this was done before,
 * and the answer was lost.  Nothing is said where it went well. */
static const char mark_script[] =
    "is() { read -r m <\"$MW_RUN_DIR/$1\" && [ \"$m\" = \"$MW_MARKER\" ]; } 2>/dev/null\n"
    "is instance && exit 0\n"
    "is instance.new || { echo replaced; exit 0; }\n"
    "mv \"$MW_RUN_DIR/instance.new\" \"$MW_RUN_DIR/instance\"\n";

bool
mw_has_gateway(const struct mw_conf *conf)
{
	return conf->gateway.start[0] != '\0';
}

/*
 * Not every driver starts a group for each command, and the probe ends its own.  setsid
 * would not wait for what it runs, were it the leader of a group: so it is a child.
 */
static const char *const in_session[] = { "sh", "-c", "(exec setsid sh); exit $?", NULL };

/* ---- the answer ---- */

/* The next line of [*sp, end), without its newline; false at the end or if it is cut. */
static bool
next_line(const char **sp, const char *end, const char **line, size_t *n)
{
	const char *s = *sp, *nl = s < end ? memchr(s, '\n', (size_t)(end - s)) : NULL;

	if (nl == NULL)
		return false;
	*line = s;
	*n = (size_t)(nl - s);
	*sp = nl + 1;
	return true;
}

static bool
is(const char *line, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(line, word, n) == 0;
}

static bool
begins(const char *line, size_t n, const char *word)
{
	return n > strlen(word) && memcmp(line, word, strlen(word)) == 0;
}

static bool
parse_marker(const char *s, size_t n, uint64_t *out)
{
	unsigned char b[MW_MARKER_LEN / 2];
	size_t i;

	*out = 0;
	if (is(s, n, "-"))
		return true;
	if (n != MW_MARKER_LEN || !mw_str_unhex(s, n, b))
		return false;
	for (i = 0; i < sizeof(b); i++)
		*out = *out << 8 | b[i];
	return *out != 0;
}

bool
mw_probe_parse(const char *s, size_t n, struct mw_probe *out)
{
	const char *end = s + n, *line;
	int64_t passed = -1, newest = 0;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (n == 0 || !next_line(&s, end, &line, &len) || !begins(line, len, "marker ") ||
	    !parse_marker(line + 7, len - 7, &out->marker))
		return false;
	while (next_line(&s, end, &line, &len)) {
		if (is(line, len, "gateway up") || is(line, len, "gateway down") ||
		    is(line, len, "gateway none")) {
			out->looked = true;
			out->gateway = is(line, len, "gateway up");
			out->none = is(line, len, "gateway none");
		} else if (begins(line, len, "generation ")) {
			if (!mw_str_uint(line + 11, len - 11, GENERATION_MAX, &newest))
				return false;
		} else if (begins(line, len, "passed ")) {
			if (!mw_str_uint(line + 7, len - 7, GENERATION_MAX, &passed))
				return false;
		} else {
			return false;
		}
	}
	out->generation = (unsigned)newest;
	out->passed = passed == newest;
	return s == end;
}

/* ---- the question ---- */

int64_t
mw_probe_nap(const struct mw_conf *conf, int64_t elapsed)
{
	int64_t nap = elapsed / 25;

	if (nap > conf->wake.poll_max)
		nap = conf->wake.poll_max;
	return nap < conf->wake.poll_min ? conf->wake.poll_min : nap;
}

/*
 * "0.100 0.100 0.104": what is slept inside, in all no more than the window.  Towards its
 * end the looks come closer together: after it there may be no time for another.
 */
static void
list_naps(const struct mw_conf *conf, const struct mw_probe_ask *ask, char *out, size_t size)
{
	int64_t spent = 0, nap;
	size_t used = 0;
	int w;

	out[0] = '\0';
	for (;;) {
		nap = mw_probe_nap(conf, ask->elapsed + spent);
		if (nap > (ask->window - spent) / 2)
			nap = (ask->window - spent) / 2;
		if (nap < conf->wake.poll_min)
			nap = conf->wake.poll_min;
		if (nap > ask->window - spent)
			nap = ask->window - spent;
		if (nap <= 0)
			return;
		w = snprintf(out + used, size - used, "%lld.%03lld ", (long long)nap / 1000,
		    (long long)nap % 1000);
		if (w < 0 || (size_t)w >= size - used) {
			out[used] = '\0';
			return;
		}
		used += (size_t)w;
		spent += nap;
	}
}

/* ms for the probe command: well below what the call has, also where a deadline cuts that. */
static int64_t
each(const struct mw_conf *conf, const struct mw_ctx *ctx)
{
	int64_t limit = conf->wake.health_timeout / 2, left = mw_left(ctx->deadline) / 3;

	limit = left < limit ? left : limit;
	return limit < EACH_MIN ? EACH_MIN : limit;
}

enum mw_code
mw_probe_run(const struct mw_conf *conf, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, const struct mw_probe_ask *ask, struct mw_probe *out)
{
	char naps[NAPS_MAX], port[8] = "";
	int64_t timeout = ask->window + conf->wake.health_timeout;
	int64_t one = each(conf, ctx);
	const char *env[12];
	struct mw_buf buf;
	enum mw_code code;
	size_t i;

	memset(out, 0, sizeof(*out));
	list_naps(conf, ask, naps, sizeof(naps));
	if (conf->gateway.port != 0)
		(void)snprintf(port, sizeof(port), "%04X", (unsigned)conf->gateway.port & 0xffff);
	env[0] = ask->gateway && mw_has_gateway(conf) ? "MW_GATEWAY=1" : "MW_GATEWAY=";
	env[1] = mw_arena_printf(ctx->arena, "MW_PROBE=%s", conf->gateway.probe);
	env[2] = mw_arena_printf(ctx->arena, "MW_PORT=%s", port);
	env[3] = mw_arena_printf(ctx->arena, "MW_NAPS=%s", naps);
	env[4] = mw_arena_printf(ctx->arena, "MW_JOB=%s", ask->job != NULL ? ask->job : "");
	env[5] = ask->pass ? "MW_PASS=1" : "MW_PASS=";
	env[6] = mw_arena_printf(ctx->arena, "MW_LIMIT=%lld", (long long)(timeout + 999) / 1000);
	env[7] = ask->claim == 0 ? "MW_CLAIM=" : mw_arena_printf(ctx->arena,
	    "MW_CLAIM=%016llx", (unsigned long long)ask->claim);
	env[8] = mw_arena_printf(ctx->arena, "MW_WINDOW=%lld", (long long)ask->window / 10);
	env[9] = mw_arena_printf(ctx->arena, "MW_EACH=%lld.%03lld", (long long)one / 1000,
	    (long long)one % 1000);
	env[10] = "MW_SINCE=1";
	env[11] = NULL;
	for (i = 0; i < 11; i++) {
		if (env[i] == NULL)
			return mw_ctx_nomem(ctx);
	}
	mw_buf_init(&buf, MW_PROBE_MAX);
	code = mw_run_script(ctx, sb, user, in_session, probe_script, env, timeout, &buf);
	if (code == MW_OK && !mw_probe_parse(buf.data, buf.len, out))
		code = mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
		    "the sandbox of %s does not answer the readiness probe as it should", user);
	mw_buf_free(&buf);
	return code;
}

enum mw_code
mw_ask(struct mw_app *app, struct mw_ctx *ctx, const char *user, bool gateway,
    struct mw_probe *out)
{
	const struct mw_probe_ask ask = { .gateway = gateway };
	struct mw_sandbox *sb;
	enum mw_code code;

	memset(out, 0, sizeof(*out));
	if ((code = mw_app_sandbox(app, ctx, &sb)) != MW_OK)
		return code;
	mw_ctx_count(ctx);
	return mw_probe_run(app->conf, ctx, sb, user, &ask, out);
}

enum mw_code
mw_mark(const struct mw_conf *conf, struct mw_ctx *ctx, struct mw_sandbox *sb,
    const char *user, uint64_t marker)
{
	const char *env[] = { NULL, NULL };
	struct mw_buf buf;
	enum mw_code code;

	env[0] = mw_arena_printf(ctx->arena, "MW_MARKER=%016llx", (unsigned long long)marker);
	if (env[0] == NULL)
		return mw_ctx_nomem(ctx);
	mw_buf_init(&buf, MW_PROBE_MAX);
	code = mw_run_script(ctx, sb, user, NULL, mark_script, env, conf->wake.health_timeout, &buf);
	if (code == MW_OK && buf.len > 0)
		code = mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING,
		    "the sandbox was replaced while it was filled");
	mw_buf_free(&buf);
	return code;
}
