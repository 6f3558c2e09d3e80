/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing a JSON document member by member. */
#include "base/json.h"

#include <string.h>

#include "base/buf.h"

bool
mw_buf_writer(void *buf, const void *p, size_t n)
{
	return mw_buf_add(buf, p, n);
}

/* What stands before a value: a comma unless it is the first, and its name. */
static bool
begin(struct mw_buf *b, const char *name)
{
	char last = b->len > 0 ? b->data[b->len - 1] : '{';

	if (last != '{' && last != '[' && !mw_buf_addc(b, ','))
		return false;
	return name == NULL ? !b->failed : mw_buf_cat(b, "\"", name, "\":", (char *)NULL);
}

bool
mw_json_open(struct mw_buf *b, const char *name, char bracket)
{
	return begin(b, name) && mw_buf_addc(b, bracket);
}

bool
mw_json_close(struct mw_buf *b, char bracket)
{
	return mw_buf_addc(b, bracket);
}

bool
mw_json_add_text(struct mw_buf *b, const char *name, const char *s, size_t n)
{
	return begin(b, name) && mw_buf_addc(b, '"') &&
	    (n == 0 || mw_json_escape(mw_buf_writer, b, s, n)) && mw_buf_addc(b, '"');
}

bool
mw_json_add_raw(struct mw_buf *b, const char *name, const char *json)
{
	return begin(b, name) && mw_buf_adds(b, json);
}

bool
mw_json_add(struct mw_buf *b, const char *name, const char *s)
{
	return s != NULL ? mw_json_add_text(b, name, s, strlen(s)) :
	    mw_json_add_raw(b, name, "null");
}

bool
mw_json_add_int(struct mw_buf *b, const char *name, int64_t value)
{
	return begin(b, name) && mw_buf_addi(b, value);
}

bool
mw_json_add_known(struct mw_buf *b, const char *name, int64_t value)
{
	return value >= 0 ? mw_json_add_int(b, name, value) : mw_json_add_raw(b, name, "null");
}

bool
mw_json_add_bool(struct mw_buf *b, const char *name, bool value)
{
	return mw_json_add_raw(b, name, value ? "true" : "false");
}

bool
mw_json_add_base64(struct mw_buf *b, const char *name, const void *p, size_t n)
{
	return begin(b, name) && mw_buf_addc(b, '"') &&
	    mw_base64_write(mw_buf_writer, b, p, n) && mw_buf_addc(b, '"');
}

bool
mw_json_add_all(struct mw_buf *b, const struct mw_buf *more)
{
	return more->len == 0 ? !b->failed : begin(b, NULL) && mw_buf_add(b, more->data, more->len);
}
