/* SPDX-License-Identifier: BSD-2-Clause */
/* Scripts of ours, run inside a sandbox. */
#ifndef MW_APP_SCRIPT_H
#define MW_APP_SCRIPT_H

#include "sandbox/sandbox.h"

/*
 * Run a script with the variables env: argv, NULL = a plain sh, has it as its standard
 * input.  out has been inited by the caller.  One call of the driver, which the caller
 * counts.  An exit status other than 0 is MW_SANDBOX_UNAVAILABLE.
 */
enum mw_code mw_run_script(struct mw_ctx *ctx, struct mw_sandbox *sb, const char *user,
    const char *const *argv, const char *script, const char *const *env, int64_t timeout,
    struct mw_buf *out) MW_MUST;

#endif
