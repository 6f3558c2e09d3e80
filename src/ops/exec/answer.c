/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands and their output in JSON answers. */
#include "ops/exec/answer.h"

#include "base/json.h"
#include "base/utf8.h"

/* Does p[0..n) begin a character, and lack the rest of it? */
static bool
is_cut(const char *p, size_t n)
{
	unsigned char lo, hi, c;
	unsigned need = mw_utf8_lead((unsigned char)p[0], &lo, &hi);
	size_t i;

	if (need == 0 || n > need)
		return false;
	for (i = 1; i < n; i++, lo = 0x80, hi = 0xBF) {
		c = (unsigned char)p[i];
		if (c < lo || c > hi)
			return false;
	}
	return true;
}

size_t
mw_exec_usable(const struct mw_buf *b, size_t n, bool more, bool *text)
{
	size_t span = n == 0 ? 0 : mw_utf8_span(b->data, n);

	*text = span == n || (more && span > 0 && is_cut(b->data + span, n - span));
	return *text ? span : n;
}

size_t
mw_exec_fitting(const struct mw_buf *b, size_t max, bool dropped, bool *text, bool *cut)
{
	*cut = dropped || b->len > max;
	return mw_exec_usable(b, b->len > max ? max : b->len, b->len > max, text);
}

int
mw_exec_exit_code(const struct mw_process *row)
{
	return row->state == MW_PROC_TIMEOUT ? -1 : row->exit_code;
}

bool
mw_exec_add_stream(struct mw_buf *b, const char *name, const char *encoding, const char *s,
    size_t n, bool text)
{
	(void)(text ? mw_json_add_text(b, name, s, n) : mw_json_add_base64(b, name, s, n));
	return mw_json_add(b, encoding, text ? "utf-8" : "base64");
}

bool
mw_exec_add_result(struct mw_buf *b, const struct mw_exec_view *v, size_t max)
{
	bool out_text, err_text, out_cut, err_cut;
	size_t out = mw_exec_fitting(&v->out, max, v->row.out_cut, &out_text, &out_cut);
	size_t err = mw_exec_fitting(&v->err, max, v->row.err_cut, &err_text, &err_cut);

	return mw_json_add(b, "processId", v->row.id) &&
	    mw_json_add_int(b, "exitCode", mw_exec_exit_code(&v->row)) &&
	    mw_exec_add_stream(b, "stdout", "stdoutEncoding", v->out.data, out, out_text) &&
	    mw_exec_add_stream(b, "stderr", "stderrEncoding", v->err.data, err, err_text) &&
	    mw_json_add_bool(b, "stdoutTruncated", out_cut) &&
	    mw_json_add_bool(b, "stderrTruncated", err_cut) &&
	    mw_json_add_int(b, "duration", v->duration > 0 ? v->duration : 0);
}

bool
mw_exec_add_started(struct mw_buf *b, const struct mw_exec_view *v)
{
	const char *user = v->row.user, *id = v->row.id;

	return mw_json_add(b, "processId", id) && mw_json_add_bool(b, "stream", true) &&
	    mw_buf_addf(b, ",\"pollEndpoint\":\"/api/super/users/%s/exec/%s/status\","
	    "\"streamEndpoint\":\"/api/super/users/%s/exec/%s/stream\"", user, id, user, id);
}
