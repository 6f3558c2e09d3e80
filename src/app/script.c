/* SPDX-License-Identifier: BSD-2-Clause */
/* A script of ours inside a sandbox. */
#include "app/script.h"

#include <string.h>

enum mw_code
mw_run_script(struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user,
    const char *const *argv, const char *script, const char *const *env, int64_t timeout,
    struct mw_buf *out)
{
	static const char *const plain[] = { "sh", NULL };
	struct mw_exec x = {
		.argv = argv != NULL ? argv : plain, .env = env, .input = script, .input_len = strlen(script),
		.timeout = timeout,
	};
	struct mw_exec_result r = { .exit_code = -1, .out = *out };
	enum mw_code code;

	mw_buf_init(&r.err, 256);
	code = sb->ops->exec(sb, ctx, user, &x, &r);
	*out = r.out;
	if (code == MW_OK && r.exit_code != 0)
		code = mw_ctx_fail(ctx, MW_SANDBOX_UNAVAILABLE,
		    "the sandbox of %s cannot run our script: exit %d, %.120s",
		    user, r.exit_code, r.err.len > 0 ? r.err.data : "no output");
	mw_buf_free(&r.err);
	return code;
}
