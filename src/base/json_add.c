/* SPDX-License-Identifier: BSD-2-Clause */
/* Members of a JSON object, one after the other. */
#include "base/json.h"

#include <string.h>

#include "base/buf.h"

bool
mw_buf_writer(void *buf, const void *p, size_t n)
{
	return mw_buf_add(buf, p, n);
}

bool
mw_json_add_text(struct mw_buf *b, const char *name, const char *s, size_t n)
{
	return mw_buf_addf(b, ",\"%s\":\"", name) &&
	    (n == 0 || mw_json_escape(mw_buf_writer, b, s, n)) && mw_buf_addc(b, '"');
}

bool
mw_json_add(struct mw_buf *b, const char *name, const char *s)
{
	return s != NULL ? mw_json_add_text(b, name, s, strlen(s)) :
	    mw_buf_addf(b, ",\"%s\":null", name);
}

bool
mw_json_add_int(struct mw_buf *b, const char *name, int64_t value)
{
	return mw_buf_addf(b, ",\"%s\":%lld", name, (long long)value);
}

bool
mw_json_add_bool(struct mw_buf *b, const char *name, bool value)
{
	return mw_buf_addf(b, ",\"%s\":%s", name, value ? "true" : "false");
}
