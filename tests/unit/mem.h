/* SPDX-License-Identifier: BSD-2-Clause */
/* A transport in memory: for the tests and the fuzzers. */
#ifndef MW_TESTS_MEM_H
#define MW_TESTS_MEM_H

#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "http/http.h"

#define MEM_OUT_MAX (64 * 1024 * 1024)

struct mw_mem {
	const char *const *params;	/* "NAME=value", NULL-terminated; borrowed */
	const char *body;		/* borrowed */
	size_t body_len;
	size_t step;			/* most bytes of one read, 0 = no limit */
	bool body_breaks;		/* the end of the body is a failure */
	size_t write_max;		/* bytes until writes fail, 0 = never */
	bool gone;			/* what gone() says */

	/* what came out */
	struct mw_buf out;		/* head and body */
	size_t off;			/* bytes of the body that were read */
	unsigned flushes;
	bool was_cut;
	struct mw_io io;
};

static const char *
mem_param(void *t, const char *name)
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
mem_param_at(void *t, size_t i)
{
	const struct mw_mem *m = t;

	return m->params[i];
}

static long
mem_body_read(void *t, void *p, size_t n)
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
mem_out_write(void *t, const void *p, size_t n)
{
	struct mw_mem *m = t;

	if (m->was_cut || (m->write_max > 0 && m->out.len + n > m->write_max))
		return false;
	return mw_buf_add(&m->out, p, n);
}

static bool
mem_out_flush(void *t)
{
	struct mw_mem *m = t;

	m->flushes++;
	return !m->was_cut;
}

static bool
mem_gone(void *t)
{
	const struct mw_mem *m = t;

	return m->gone;
}

static void
mem_cut(void *t)
{
	struct mw_mem *m = t;

	m->was_cut = true;
}

__attribute__((unused)) static void
mw_mem_init(struct mw_mem *m, const char *const *params, const char *body, size_t n)
{
	memset(m, 0, sizeof(*m));
	m->params = params;
	m->body = body;
	m->body_len = n;
	mw_buf_init(&m->out, MEM_OUT_MAX);
	m->io = (struct mw_io){
		.param = mem_param,
		.read = mem_body_read,
		.write = mem_out_write,
		.flush = mem_out_flush,
		.gone = mem_gone,
		.param_at = mem_param_at,
		.t = m,
		.cut = mem_cut,
	};
}

__attribute__((unused)) static void
mw_mem_free(struct mw_mem *m)
{
	mw_buf_free(&m->out);
}

/* A header of the answer, copied into out (cut at its size); false if it is not there. */
__attribute__((unused)) static bool
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

/* The number after "Status:", 0 if there is none. */
__attribute__((unused)) static int
mw_mem_status(const struct mw_mem *m)
{
	char text[64];
	int64_t status;

	if (!mw_mem_header(m, "Status", text, sizeof(text)) ||
	    !mw_str_uint(text, strspn(text, "0123456789"), 999, &status))
		return 0;
	return (int)status;
}

/* The body of the answer; "" if there is none. */
__attribute__((unused)) static const char *
mw_mem_body(const struct mw_mem *m)
{
	const char *s = m->out.len > 0 ? strstr(m->out.data, "\r\n\r\n") : NULL;

	return s != NULL ? s + 4 : "";
}

#endif
