/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symbolic links and directories, which no object can be: read and made by small
 * scripts in the sandbox.  Names go by stdin, one a line; they hold no newline.
 */
#include <stdio.h>
#include <string.h>

#include "app/retry.h"
#include "ops/sync/internal.h"

#define BATCH 64			/* names of one call */
#define TARGET_MAX 4095
#define IN_MAX ((size_t)BATCH * (MW_PATH_MAX + TARGET_MAX + 16))
#define OUT_MAX ((size_t)BATCH * (MW_PATH_MAX + TARGET_MAX + 16))

/* A NUL after each; nothing before it: it is no link any more. */
static const char read_script[] =
    "while IFS= read -r p; do [ -h \"$p\" ] && readlink -n \"$p\"; printf '\\000'; done; exit 0";

/* Prints the names that could not be made. */
static const char make_script[] =
    "while IFS= read -r p && IFS= read -r t; do\n"
    "\t[ -e \"$p\" ] || [ -h \"$p\" ] || case $t in\n"
    "\td) mkdir -p \"$p\" ;;\n"
    "\t*) mkdir -p \"${p%/*}\" && ln -s -- \"${t#l}\" \"$p\" ;;\n"
    "\tesac 2>/dev/null || printf '%s\\n' \"$p\"\n"
    "done; exit 0";

static const char mode_script[] =
    "while IFS= read -r p && IFS= read -r m; do\n"
    "\t[ -d \"$p\" ] && chmod \"$m\" \"$p\" 2>/dev/null || printf '%s\\n' \"$p\"\n"
    "done; exit 0";

struct call {
	struct mw_sync_run *run;
	const char *script;
	struct mw_buf *in, *out;
};

static enum mw_code
try_call(void *arg)
{
	struct call *c = arg;
	struct mw_sync_run *run = c->run;
	const char *argv[] = { "sh", "-c", c->script, NULL };
	struct mw_exec x = { .argv = argv, .input = c->in->data, .input_len = c->in->len,
	    .timeout = run->app->conf->sandbox.timeout };
	struct mw_exec_result r = { .exit_code = -1 };
	enum mw_code code;

	mw_buf_reset(c->out);
	mw_buf_init(&r.err, 256);
	r.out = *c->out;
	code = run->sb->ops->exec(run->sb, run->ctx, run->user, &x, &r);
	*c->out = r.out;
	if (code == MW_OK && (r.exit_code != 0 || r.out_cut))
		code = mw_ctx_fail(run->ctx, MW_SANDBOX_UNAVAILABLE,
		    "the sandbox of %s cannot run our script: exit %d, %.120s", run->user,
		    r.exit_code, r.err.len > 0 ? r.err.data : "no output");
	mw_buf_free(&r.err);
	return code;
}

/* Every script of ours may run again. */
static enum mw_code
call(struct mw_sync_run *run, const char *script, struct mw_buf *in, struct mw_buf *out)
{
	struct call c = { .run = run, .script = script, .in = in, .out = out };

	return in->failed ? mw_ctx_nomem(run->ctx) :
	    mw_retry(run->app, run->ctx, MW_UP_SANDBOX, try_call, &c);
}

/* ---- reading ---- */

static bool
target_good(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > TARGET_MAX)
		return false;
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	}
	return true;
}

/* One name of a batch and its target.  What cannot stand in a line is left out. */
static enum mw_code
add_target(struct mw_sync_run *run, const struct mw_row *link, const char *target)
{
	struct mw_row row = *link;

	if (target[0] == '\0')
		return MW_OK;
	if (!target_good(target)) {
		mw_sync_note(run->ctx->arena, &run->s->bad_names, link->path, MW_OK, NULL);
		return MW_OK;
	}
	row.tag = target;
	return mw_sorted_add(run->facts, &row, &run->ctx->err);
}

/* The names of the batch again, from the call's own input. */
static enum mw_code
take_targets(struct mw_sync_run *run, char *in, const struct mw_row *batch, size_t n,
    const struct mw_buf *out)
{
	const char *target = out->data, *end = target + out->len;
	enum mw_code code = MW_OK;
	struct mw_row row;
	size_t i;

	for (i = 0; i < n && code == MW_OK; i++) {
		if (out->len == 0 || target >= end || memchr(target, '\0', (size_t)(end - target)) == NULL)
			return mw_ctx_fail(run->ctx, MW_SANDBOX_UNAVAILABLE,
			    "the sandbox of %s does not tell where its links point", run->user);
		in[strcspn(in, "\n")] = '\0';
		row = batch[i];
		row.path = in + 2;
		code = add_target(run, &row, target);
		in += strlen(in) + 1;
		target += strlen(target) + 1;
	}
	return code;
}

static enum mw_code
read_batch(struct mw_sync_run *run, struct mw_buf *in, struct mw_buf *out, bool *more)
{
	const struct mw_row *row = NULL;
	struct mw_row batch[BATCH];
	enum mw_code code = MW_OK;
	size_t n = 0;

	mw_buf_reset(in);
	while (n < BATCH && (code = mw_sorted_next(run->links, &row, &run->ctx->err)) == MW_OK &&
	    row != NULL) {
		batch[n] = *row;
		batch[n].tag = "";
		n++;
		(void)mw_buf_addf(in, "./%s\n", row->path);
	}
	*more = n == BATCH;
	if (code != MW_OK || n == 0)
		return code;
	code = call(run, read_script, in, out);
	return code == MW_OK ? take_targets(run, in->data, batch, n, out) : code;
}

enum mw_code
mw_sync_read_links(struct mw_sync_run *run)
{
	struct mw_buf in, out;
	enum mw_code code = MW_OK;
	bool more = mw_sorted_count(run->links) > 0;

	mw_buf_init(&in, IN_MAX);
	mw_buf_init(&out, OUT_MAX);
	while (code == MW_OK && more)
		code = read_batch(run, &in, &out, &more);
	mw_buf_free(&in);
	mw_buf_free(&out);
	return code;
}

/* ---- making ---- */

static void
note_failed(struct mw_sync_run *run, char *names)
{
	char *end;

	for (; names != NULL && (end = strchr(names, '\n')) != NULL; names = end + 1) {
		*end = '\0';
		if (strncmp(names, "./", 2) == 0)
			mw_sync_note(run->ctx->arena, &run->s->failed, names + 2,
			    MW_PERMISSION_DENIED, "The sandbox cannot make this directory or link");
	}
}

static bool
add_made(struct mw_buf *in, const struct mw_row *row, bool modes)
{
	if (modes)
		return row->type != MW_FT_DIR || row->mode < 0 ||
		    mw_buf_addf(in, "./%s\n%04o\n", row->path, (unsigned)row->mode & 07777);
	if (row->type == MW_FT_DIR)
		return mw_buf_addf(in, "./%s\nd\n", row->path);
	return mw_buf_addf(in, "./%s\nl%s\n", row->path, row->tag);
}

static enum mw_code
make_batch(struct mw_sync_run *run, bool modes, struct mw_buf *in, struct mw_buf *out, bool *more)
{
	const struct mw_row *row = NULL;
	enum mw_code code = MW_OK;
	size_t n = 0;

	mw_buf_reset(in);
	while (n < BATCH && (code = mw_sorted_next(run->links, &row, &run->ctx->err)) == MW_OK &&
	    row != NULL) {
		n++;
		(void)add_made(in, row, modes);
	}
	*more = n == BATCH;
	if (code != MW_OK || in->len == 0)
		return code;
	code = call(run, modes ? mode_script : make_script, in, out);
	if (code == MW_OK && out->len > 0)
		note_failed(run, out->data);
	return code;
}

/* Modes come last: a directory may be one that nothing can be made in. */
enum mw_code
mw_sync_make_links(struct mw_sync_run *run)
{
	struct mw_buf in, out;
	enum mw_code code = MW_OK;
	bool more;
	int modes;

	if (mw_sorted_count(run->links) == 0)
		return MW_OK;
	mw_buf_init(&in, IN_MAX);
	mw_buf_init(&out, OUT_MAX);
	for (modes = 0; modes < 2 && code == MW_OK; modes++) {
		code = mw_sorted_rewind(run->links, &run->ctx->err);
		for (more = true; more && code == MW_OK;)
			code = make_batch(run, modes == 1, &in, &out, &more);
	}
	mw_buf_free(&in);
	mw_buf_free(&out);
	return code;
}
