/* SPDX-License-Identifier: BSD-2-Clause */
/* The effective settings as a file that says where each came from. */
#include "conf/conf.h"

#include <string.h>

#include "base/buf.h"
#include "conf/internal.h"

static bool
indent(struct mw_buf *out, unsigned depth)
{
	bool good = true;

	while (good && depth-- > 0)
		good = mw_buf_addc(out, '\t');
	return good;
}

/* Close the groups of `open` that `key` is not in, and open those it is in; returns the depth. */
static unsigned
turn(struct mw_buf *out, const char *open, const char *key)
{
	size_t common = 0, i;
	unsigned depth = 0, at = 0;

	for (i = 0; open[i] != '\0' && open[i] == key[i]; i++) {
		if (key[i] == '.') {
			common = i + 1;
			at++;
		}
	}
	for (i = 0; open[i] != '\0'; i++)
		depth += open[i] == '.';
	while (depth > at) {
		(void)(indent(out, --depth) && mw_buf_adds(out, "};\n"));
	}
	for (i = common; key[i] != '\0'; i++) {
		if (key[i] != '.')
			continue;
		(void)(indent(out, depth++) &&
		    mw_buf_addf(out, "%.*s: {\n", (int)(i - common), key + common));
		common = i + 1;
	}
	return depth;
}

static bool
origin(struct mw_buf *out, const struct mw_load *l, size_t row)
{
	char env[MW_SET_ENV_MAX];
	const char *file;
	unsigned line;

	switch (l->origin[row].from) {
	case MW_FROM_FILE:
		mw_text_where(&l->text, l->origin[row].line, &file, &line);
		return mw_buf_addf(out, "\t# %s:%u\n", file, line);
	case MW_FROM_ENV:
		mw_setting_env(&mw_settings[row], env);
		return mw_buf_addf(out, "\t# environment %s\n", env);
	case MW_FROM_DEFAULT:
		break;
	}
	return mw_buf_adds(out, "\t# default\n");
}

static bool
show(const struct mw_load *l, struct mw_buf *out)
{
	const char *open = "", *key;
	unsigned depth;
	size_t i;
	bool good = mw_buf_addf(out, "# %s\n", l->text.file[0].path);

	for (i = 0; good && i < mw_setting_count; i++) {
		key = mw_settings[i].key;
		depth = turn(out, open, key);
		open = key;
		good = indent(out, depth) &&
		    mw_buf_addf(out, "%s = ", strrchr(key, '.') + 1) &&
		    mw_setting_print(&mw_settings[i], l->conf, out) &&
		    mw_buf_adds(out, ";") && origin(out, l, i);
	}
	(void)turn(out, open, "");
	return good && !out->failed;
}

enum mw_code
mw_conf_show(const char *path, struct mw_buf *out, struct mw_err *err)
{
	struct mw_load l;
	enum mw_code code = mw_load_read(&l, path != NULL ? path : mw_conf_path(), err);

	if (code == MW_OK && !show(&l, out))
		code = mw_fail(err, MW_INTERNAL_ERROR, "the settings do not fit the buffer");
	mw_load_free(&l);
	return code;
}
