/* SPDX-License-Identifier: BSD-2-Clause */
/* One run of files.sh in a sandbox that is awake, and what its end means. */
#include "sandbox/engine/internal.h"

#include <string.h>

#define ERR_MAX 2048		/* bytes kept of its stderr */

static const char files_script[] =
#include "sandbox/engine/files.sh.h"
;

enum mw_code
mw_engine_script_code(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const char *path, const struct mw_exec_result *r)
{
	const char *text = r->err.len > 0 ? r->err.data : "";
	const char *what = *path == '\0' ? "/" : path;
	enum mw_code code;

	switch (r->exit_code) {
	case 0:
		return MW_OK;
	case MW_SCRIPT_UNPROVEN:
		return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING,
		    "the sandbox's files are not restored yet");
	case MW_SCRIPT_CONFLICT:
		return mw_ctx_fail(ctx, MW_CONFLICT, "%s: a file is where a directory would have to "
		    "be, or the reverse", what);
	case MW_SCRIPT_OUTSIDE:
		return mw_ctx_fail(ctx, MW_PERMISSION_DENIED,
		    "%s: leads out of the user's root by a link", what);
	case MW_SCRIPT_MISSING:
		return mw_engine_missing(e, ctx, user, path);
	default:
		code = mw_engine_code(500, text);
		return mw_ctx_fail(ctx, code == MW_SANDBOX_HIBERNATING ? MW_SANDBOX_UNREACHABLE : code,
		    "%s: the sandbox could not do it (%d): %.150s", what, r->exit_code, text);
	}
}

enum mw_code
mw_engine_script(struct mw_engine *e, struct mw_ctx *ctx, const char *user, const char *path,
    const char *const *args, size_t max, struct mw_exec_result *r)
{
	const char *argv[16] = { "sh", "-c", files_script, "sh" };
	struct mw_exec x = { .argv = argv, .timeout = e->timeout };
	enum mw_code code;
	size_t n = 4;

	*r = (struct mw_exec_result){ .exit_code = -1 };
	mw_buf_init(&r->out, max);
	mw_buf_init(&r->err, ERR_MAX);
	while (*args != NULL && n + 1 < sizeof(argv) / sizeof(argv[0]))
		argv[n++] = *args++;
	code = mw_engine_exec(&e->base, ctx, user, &x, r);
	if (code == MW_OK && r->exit_code != MW_SCRIPT_NO_TOOLS &&
	    r->exit_code != MW_SCRIPT_COMPLAINED)
		code = mw_engine_script_code(e, ctx, user, path, r);
	return code;
}

/* ---- a line of stat ---- */

/* One number of base 10 or 16, and the blank behind it. */
static bool
field(const char **p, const char *end, int base, int64_t *out)
{
	const char *s = *p;
	int64_t v = 0;
	int d;

	for (; s < end && *s != ' '; s++) {
		d = *s >= '0' && *s <= '9' ? *s - '0' : *s >= 'a' && *s <= 'f' ? *s - 'a' + 10 : 99;
		if (d >= base || v > (INT64_MAX - d) / base)
			return false;
		v = v * base + d;
	}
	if (s == *p || s == end)
		return false;
	*out = v;
	*p = s + 1;
	return true;
}

/* "[2023-11-14 22:13:20.123456789 +0000] ": its milliseconds, 0 if it tells none. */
static bool
fraction(const char **p, const char *end, int64_t *ms)
{
	const char *close = memchr(*p, ']', (size_t)(end - *p)), *dot;
	int i;

	*ms = 0;
	if (close == NULL || **p != '[' || close + 1 == end || close[1] != ' ')
		return false;
	dot = memchr(*p, '.', (size_t)(close - *p));
	for (i = 1; dot != NULL && i <= 3; i++) {
		if (dot[i] < '0' || dot[i] > '9') {
			*ms = 0;
			break;
		}
		*ms = *ms * 10 + (dot[i] - '0');
	}
	*p = close + 2;
	return true;
}

bool
mw_engine_stat_line(const char **p, const char *end, const char *name, size_t n, struct mw_stat *st)
{
	const char *s = *p;
	int64_t mode, size, mtime = 0, ms;
	bool before;

	if (!field(&s, end, 16, &mode) || !field(&s, end, 10, &size))
		return false;
	before = s < end && *s == '-';	/* before 1970 */
	if (before)
		s++;
	if (!field(&s, end, 10, &mtime) || mtime > INT64_MAX / 2000 || s == end || !fraction(&s, end, &ms) ||
	    (size_t)(end - s) < n + 1 || memcmp(s, name, n) != 0 ||
	    s[n] != '\n')
		return false;
	*p = s + n + 1;
	mode &= 0xffff;
	st->type = (mode & 0170000) == 0100000 ? MW_FT_FILE : (mode & 0170000) == 0040000 ?
	    MW_FT_DIR : (mode & 0170000) == 0120000 ? MW_FT_SYMLINK : MW_FT_OTHER;
	st->mode = (int)(mode & 07777);
	st->size = size;
	st->mtime = (before ? -mtime * 1000 : mtime * 1000) + ms;
	return true;
}
