/* SPDX-License-Identifier: BSD-2-Clause */
/* A request and its answer in memory, for tests. */
#include "http/mem.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

#define OUT_MAX (64 * 1024 * 1024)

static const char *
param(void *t, const char *name)
{
	const struct mw_mem *m = t;
	size_t i, n = strlen(name);

	for (i = 0; m->params[i] != NULL; i++) {
		if (strncmp(m->params[i], name, n) == 0 && m->params[i][n] == '=')
			return m->params[i] + n + 1;
	}
	return NULL;
}

static const char *
param_at(void *t, size_t i)
{
	const struct mw_mem *m = t;

	return m->params[i];
}

static long
body_read(void *t, void *p, size_t n)
{
	struct mw_mem *m = t;

	if (m->step > 0 && n > m->step)
		n = m->step;
	if (n > m->body_len - m->off)
		n = m->body_len - m->off;
	if (n == 0)
		return m->body_breaks ? -1 : 0;
	memcpy(p, m->body + m->off, n);
	m->off += n;
	return (long)n;
}

static bool
out_write(void *t, const void *p, size_t n)
{
	struct mw_mem *m = t;

	if (m->was_cut || (m->write_max > 0 && m->out.len + n > m->write_max))
		return false;
	return mw_buf_add(&m->out, p, n);
}

static bool
out_flush(void *t)
{
	struct mw_mem *m = t;

	m->flushes++;
	return !m->was_cut;
}

static bool
gone(void *t)
{
	const struct mw_mem *m = t;

	return m->gone;
}

static void
cut(void *t)
{
	struct mw_mem *m = t;

	m->was_cut = true;
}

void
mw_mem_init(struct mw_mem *m, const char *const *params, const char *body, size_t n)
{
	memset(m, 0, sizeof(*m));
	m->params = params;
	m->body = body;
	m->body_len = n;
	mw_buf_init(&m->out, OUT_MAX);
	m->io = (struct mw_io){
		.param = param,
		.read = body_read,
		.write = out_write,
		.flush = out_flush,
		.gone = gone,
		.param_at = param_at,
		.t = m,
		.cut = cut,
	};
}

void
mw_mem_free(struct mw_mem *m)
{
	mw_buf_free(&m->out);
}

bool
mw_mem_header(const struct mw_mem *m, const char *name, char *out, size_t size)
{
	const char *s = m->out.len > 0 ? m->out.data : "", *end;
	size_t n = strlen(name), len;

	for (; *s != '\0' && *s != '\r'; s = end + 2) {
		if ((end = strstr(s, "\r\n")) == NULL)
			return false;
		if (strncasecmp(s, name, n) != 0 || s[n] != ':' || s[n + 1] != ' ')
			continue;
		len = (size_t)(end - s) - n - 2;
		if (len >= size)
			len = size - 1;
		memcpy(out, s + n + 2, len);
		out[len] = '\0';
		return true;
	}
	return false;
}

int
mw_mem_status(const struct mw_mem *m)
{
	char text[64];
	int64_t status;

	if (!mw_mem_header(m, "Status", text, sizeof(text)) ||
	    !mw_str_uint(text, strspn(text, "0123456789"), 999, &status))
		return 0;
	return (int)status;
}

const char *
mw_mem_body(const struct mw_mem *m)
{
	const char *s = m->out.len > 0 ? strstr(m->out.data, "\r\n\r\n") : NULL;

	return s != NULL ? s + 4 : "";
}
