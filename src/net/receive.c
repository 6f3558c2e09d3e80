/* SPDX-License-Identifier: BSD-2-Clause */
/* What an upstream answers, line by line and piece by piece, whoever has read it. */
#include "net/internal.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"

/* One line of a head ends in CRLF; returns its length without it. */
static size_t
line_length(const char *p, size_t n)
{
	while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
		n--;
	return n;
}

/* Keep "Name: value"; a line that is no header is left out. */
static bool
header_keep(struct mw_net *n, const char *p, size_t len)
{
	const char *colon = memchr(p, ':', len);
	size_t name, value;

	if (colon == NULL || p[0] == ' ' || p[0] == '\t')
		return true;
	name = (size_t)(colon - p);
	for (value = name + 1; value < len && (p[value] == ' ' || p[value] == '\t'); value++)
		continue;
	while (len > value && (p[len - 1] == ' ' || p[len - 1] == '\t'))
		len--;
	if (n->nindex == HEADERS_IN || len + 2 > sizeof(n->in) - n->in_len)
		return false;
	n->index[n->nindex].name = (unsigned short)n->in_len;
	memcpy(n->in + n->in_len, p, name);
	n->in_len += name;
	n->in[n->in_len++] = '\0';
	n->index[n->nindex++].value = (unsigned short)n->in_len;
	memcpy(n->in + n->in_len, p + value, len - value);
	n->in_len += len - value;
	n->in[n->in_len++] = '\0';
	return true;
}

static void
head_begin(struct mw_net *n, const char *p, size_t len)
{
	const char *space = memchr(p, ' ', len);
	int64_t status = 0;

	n->in_len = n->nindex = 0;
	n->head_done = false;
	if (space == NULL || len - (size_t)(space - p) < 4 ||
	    !mw_str_uint(space + 1, 3, 999, &status))
		status = 0;
	n->status = (int)status;
}

static bool
head_end(struct mw_net *n)
{
	if (n->status < 200)		/* 1xx: the real one follows */
		return true;
	n->head_done = true;
	n->res->status = n->status;
	if (n->req->on_head != NULL && !n->req->on_head(n->req->arg, n->status)) {
		n->stopped = true;
		return false;
	}
	return true;
}

/* Something came; false = too late, even if it was the last of it. */
static bool
moved(struct mw_net *n)
{
	n->last_move = mw_now();
	n->late = n->last_move >= n->until;
	return !n->late;
}

bool
mw_net_head_line(struct mw_net *n, const char *p, size_t len)
{
	len = line_length(p, len);
	if (!moved(n))
		return false;
	if (len >= 5 && memcmp(p, "HTTP/", 5) == 0) {
		head_begin(n, p, len);
		return true;
	}
	if (n->head_done)
		return true;
	if (len == 0)
		return head_end(n);
	if (!header_keep(n, p, len)) {
		n->too_large = true;
		return false;
	}
	return true;
}

bool
mw_net_data(struct mw_net *n, const char *p, size_t len)
{
	if (n->req->max_response < n->res->received ||
	    (uint64_t)len > (uint64_t)(n->req->max_response - n->res->received)) {
		n->too_large = true;
		return false;
	}
	n->res->received += (int64_t)len;
	if (n->req->on_data != NULL && !n->req->on_data(n->req->arg, p, len)) {
		n->stopped = true;
		return false;
	}
	/* What the receiver of the bytes needs is no stall of the sender. */
	return moved(n);
}
